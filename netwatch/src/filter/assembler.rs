//! eBPF, instruction by instruction: registers, codes, and jumps to places that are not known yet.

use std::mem::size_of;

use bytemuck::{Pod, Zeroable};

/// An instruction of eBPF: `struct bpf_insn` of linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Instruction {
    /// Class, size, mode or operation.
    pub code: u8,
    /// Destination register in bits 0 to 3, source register in bits 4 to 7.
    pub registers: u8,
    /// Offset of a jump, or of memory.
    pub offset: i16,
    /// An operand.
    pub immediate: i32,
}

// Registers.
pub(super) const R0: u8 = 0;
pub(super) const R1: u8 = 1;
pub(super) const R2: u8 = 2;
pub(super) const R3: u8 = 3;
pub(super) const R4: u8 = 4;
pub(super) const CONTEXT: u8 = 6;
pub(super) const A: u8 = 7;
pub(super) const X: u8 = 8;
/// 4 where a VLAN tag lies beside the frame, 0 elsewhere.
pub(super) const TAGGED: u8 = 9;
pub(super) const FRAME: u8 = 10;

// Offsets in `struct __sk_buff`.
pub(super) const LEN: i16 = 0;
pub(super) const VLAN_PRESENT: i16 = 20;
pub(super) const VLAN_TCI: i16 = 24;
pub(super) const VLAN_PROTO: i16 = 28;

// The stack: what was just read, the sixteen words, and the first bytes of a tagged frame.
pub(super) const JUST_READ: i16 = -8;
pub(super) const MEMORY: i16 = JUST_READ - 64;
pub(super) const HEAD: i16 = MEMORY - 24;
/// Bytes before the tag, and before what is looked for 4 bytes earlier.
pub(super) const ADDRESSES: i32 = 12;
pub(super) const BEHIND_TAG: i32 = 16;

// Helpers.
pub(super) const TAIL_CALL: i32 = 12;
pub(super) const SKB_LOAD_BYTES: i32 = 26;

/// `TC_ACT_UNSPEC`: as if the program were not there.
pub(super) const UNSPECIFIED: i32 = -1;
/// The furthest that a jump can lead.
pub(super) const MOST_INSTRUCTIONS: usize = i16::MAX as usize;
/// No packet is as long. What is read beyond is no match, and the helper would not take the offset.
pub(super) const FURTHEST: i32 = i32::MAX;

// What eBPF has besides.
pub(super) const ALU32: u8 = 0x04;
pub(super) const JMP64: u8 = 0x05;
pub(super) const JMP32: u8 = 0x06;
pub(super) const ALU64: u8 = 0x07;
pub(super) const MOV: u8 = 0xb0;
pub(super) const ADD: u8 = 0x00;
pub(super) const OR: u8 = 0x40;
pub(super) const AND: u8 = 0x50;
pub(super) const SHL: u8 = 0x60;
pub(super) const JEQ: u8 = 0x10;
pub(super) const JGT: u8 = 0x20;
pub(super) const JGE: u8 = 0x30;
pub(super) const JNE: u8 = 0x50;
pub(super) const FROM_REGISTER: u8 = 0x08;
pub(super) const CALL: u8 = 0x85;
pub(super) const EXIT: u8 = 0x95;
/// Load, store, store from register: of memory, with the size in bits 3 and 4.
pub(super) const LOAD: u8 = 0x61;
pub(super) const STORE: u8 = 0x62;
pub(super) const STORE_FROM: u8 = 0x63;
pub(super) const SIZE_BITS: u8 = 0x18;
pub(super) const WORD: u8 = 0x00;
pub(super) const HALF: u8 = 0x08;
pub(super) const BYTE: u8 = 0x10;
pub(super) const DOUBLE: u8 = 0x18;
/// To big endian, of as many bits as the operand says.
pub(super) const TO_BIG: u8 = 0xdc;
pub(super) const LOAD_MAP: u8 = 0x18;
/// `BPF_PSEUDO_MAP_FD`.
pub(super) const MAP_FD: u8 = 1;

/// A place that jumps lead to, by its number: that of a classic instruction, or one behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(pub usize);

/// A program in the making.
pub(super) struct Assembler {
    pub code: Vec<Instruction>,
    /// Which instructions jump, and where to.
    pub jumps: Vec<(usize, Label)>,
    /// Where labels lie, once that is known.
    pub labels: Vec<Option<usize>>,
}

impl Assembler {
    pub fn emit(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction { code, registers: from << 4 | to, offset, immediate });
    }

    /// Compares and jumps; both operands are 32 bits wide.
    pub fn jump_if(&mut self, comparison: u8, register: u8, immediate: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.emit(JMP32 | comparison, register, 0, 0, immediate);
    }

    pub fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.emit(JMP64, 0, 0, 0, 0);
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    pub fn set(&mut self, register: u8, value: i32) {
        self.emit(ALU32 | MOV, register, 0, 0, value);
    }

    pub fn copy(&mut self, to: u8, from: u8) {
        self.emit(ALU64 | MOV | FROM_REGISTER, to, from, 0, 0);
    }

    pub fn load(&mut self, size: u8, to: u8, base: u8, offset: i16) {
        self.emit(LOAD & !SIZE_BITS | size, to, base, offset, 0);
    }

    /// Calls `bpf_skb_load_bytes` for as many bytes from the offset in register 2, and jumps away where they are not there.
    pub fn load_bytes(&mut self, to: i16, bytes: i32, otherwise: Label) {
        self.copy(R1, CONTEXT);
        self.copy(R3, FRAME);
        self.emit(ALU64 | ADD, R3, 0, 0, to.into());
        self.set(R4, bytes);
        self.emit(CALL, 0, 0, 0, SKB_LOAD_BYTES);
        // An error is negative.
        self.jump_if(JNE, R0, 0, otherwise);
    }

    pub fn finish(mut self) -> Result<Vec<Instruction>, &'static str> {
        const TOO_LONG: &str = "it is too long";
        if self.code.len() > MOST_INSTRUCTIONS {
            return Err(TOO_LONG);
        }
        for (from, to) in self.jumps {
            let to = self.labels[to.0].ok_or("a jump of it leads nowhere")?;
            let distance = i16::try_from(to - from - 1).map_err(|_| TOO_LONG)?;
            self.code[from].offset = distance;
        }
        Ok(self.code)
    }
}

const _: () = assert!(size_of::<Instruction>() == 8);
