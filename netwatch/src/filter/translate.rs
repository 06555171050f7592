//! From classic BPF to a program of the stack's hooks (`BPF_PROG_TYPE_SCHED_CLS`).
//!
//! The machine of classic BPF has an accumulator, an index register and sixteen words of memory. Here they are registers 7
//! and 8 and words on the stack; register 6 holds the context. Packets are read by `bpf_skb_load_bytes`, which knows where
//! the packet ends and does not mind in how many pieces it lies; a read beyond the end is no match, as in libpcap.
//!
//! The kernel takes the VLAN tag out of a frame before the hooks see it, but libpcap's program looks for it where it was on
//! the wire. So frames are read as if it were there still: register 9 is 4 where there is a tag beside the frame, what lies
//! behind the addresses is looked for 4 bytes earlier then, and the first 20 bytes with the tag are put together on the
//! stack.

use std::mem::size_of;

use super::assembler::{
    A, ADD, ADDRESSES, ALU32, ALU64, AND, Assembler, BEHIND_TAG, BYTE, CALL, CONTEXT, DOUBLE, EXIT, FRAME,
    FROM_REGISTER, FURTHEST, HALF, HEAD, Instruction, JEQ, JGE, JGT, JMP32, JMP64, JNE, JUST_READ, LEN,
    LOAD_MAP, Label, MAP_FD, MEMORY, MOV, OR, R0, R1, R2, R3, SHL, STORE, STORE_FROM, TAGGED, TAIL_CALL,
    TO_BIG, UNSPECIFIED, VLAN_PRESENT, VLAN_PROTO, VLAN_TCI, WORD, X,
};
use super::{Classic, LinkType};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One that matches goes on to an entry of an array of programs; the program returns "unspecified" for all others.
    Jump {
        /// The array's descriptor.
        programs: i32,
        /// The entry.
        index: i32,
    },
    /// The program returns 1 for one that matches and 0 for all others: to be tested.
    Return,
}

// Classes and modes of classic BPF; eBPF has the same codes for arithmetic and jumps.
const CLASS: u16 = 0x07;
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;
const BY_X: u16 = 0x08;
const SIZE: u16 = 0x18;
const MODE: u16 = 0xe0;
const OPERATION: u16 = 0xf0;

const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LENGTH: u16 = 0x80;
const MSH: u16 = 0xa0;

const DIV: u16 = 0x30;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
const MOD: u16 = 0x90;
const JA: u16 = 0x00;

/// Translates a program for frames of a link type.
///
/// # Errors
///
/// What the program does that cannot be done there. libpcap makes no such programs.
pub fn translate(
    program: &[Classic],
    link: LinkType,
    ending: Ending,
) -> Result<Vec<Instruction>, &'static str> {
    let reachable = reachable(program)?;
    let mut out = Assembler { code: Vec::new(), jumps: Vec::new(), labels: vec![None; program.len() + 2] };
    let (matches, differs) = (Label(program.len()), Label(program.len() + 1));
    out.prologue(link, differs);
    for (index, classic) in program.iter().enumerate() {
        // The kernel refuses what no way leads to.
        if reachable[index] {
            out.place(Label(index));
            let ways = Ways { index, matches, differs, tags: link == LinkType::Ethernet };
            out.instruction(classic, &ways)?;
        }
    }
    out.ending(ending, matches, differs);
    out.finish()
}

/// Which instructions some way leads to. Every way ends with a return.
fn reachable(program: &[Classic]) -> Result<Vec<bool>, &'static str> {
    const NO_RETURN: &str = "it does not end with a return";
    let mut reachable = vec![false; program.len()];
    *reachable.first_mut().ok_or("it is empty")? = true;
    for (index, classic) in program.iter().enumerate() {
        if !reachable[index] {
            continue;
        }
        // Jumps lead forward only, so one walk finds all.
        for next in successors(index, classic) {
            *reachable.get_mut(next).ok_or(NO_RETURN)? = true;
        }
    }
    Ok(reachable)
}

fn successors(index: usize, classic: &Classic) -> impl Iterator<Item = usize> {
    let (first, second) = match classic.code & CLASS {
        RET => (None, None),
        JMP if classic.code & OPERATION == JA => (Some((index + 1).saturating_add(classic.k as usize)), None),
        JMP => (
            Some(index + 1 + usize::from(classic.jump_true)),
            Some(index + 1 + usize::from(classic.jump_false)),
        ),
        _ => (Some(index + 1), None),
    };
    first.into_iter().chain(second)
}

/// Where an instruction may lead.
struct Ways {
    /// Its number.
    index: usize,
    matches: Label,
    differs: Label,
    /// Whether there may be a VLAN tag beside the frame.
    tags: bool,
}

impl Assembler {
    fn prologue(&mut self, link: LinkType, differs: Label) {
        self.copy(CONTEXT, R1);
        self.set(A, 0);
        self.set(X, 0);
        for word in 0..8 {
            self.emit(STORE | DOUBLE, FRAME, 0, MEMORY + 8 * word, 0);
        }
        self.set(TAGGED, 0);
        if link == LinkType::Ip {
            return;
        }
        let untagged = self.label();
        self.load(WORD, R1, CONTEXT, VLAN_PRESENT);
        self.jump_if(JEQ, R1, 0, untagged);
        self.set(TAGGED, 4);
        self.set(R2, 0);
        self.load_bytes(HEAD, ADDRESSES, differs);
        self.set(R2, ADDRESSES);
        self.load_bytes(HEAD + 16, 4, differs);
        // The protocol lies there as it does on the wire, the control field as a number.
        self.load(WORD, R1, CONTEXT, VLAN_PROTO);
        self.emit(STORE_FROM | HALF, FRAME, R1, HEAD + 12, 0);
        self.load(WORD, R1, CONTEXT, VLAN_TCI);
        self.emit(TO_BIG, R1, 0, 0, 16);
        self.emit(STORE_FROM | HALF, FRAME, R1, HEAD + 14, 0);
        self.place(untagged);
    }

    fn instruction(&mut self, classic: &Classic, ways: &Ways) -> Result<(), &'static str> {
        const UNKNOWN: &str = "it has an instruction that is not known";
        let Classic { code, k, .. } = *classic;
        match code & CLASS {
            LD => self.load_accumulator(code, k, ways)?,
            LDX => match code & MODE {
                IMM => self.set(X, signed(k)),
                MEM => self.load(WORD, X, FRAME, memory(k)?),
                LENGTH => self.load_length(X),
                MSH => {
                    // The length of an IPv4 header: four times its low half.
                    self.read(Where::At(k), BYTE, ways)?;
                    self.emit(ALU32 | AND, R0, 0, 0, 0x0f);
                    self.emit(ALU32 | SHL, R0, 0, 0, 2);
                    self.copy(X, R0);
                }
                _ => return Err(UNKNOWN),
            },
            ST => self.emit(STORE_FROM | WORD, FRAME, A, memory(k)?, 0),
            STX => self.emit(STORE_FROM | WORD, FRAME, X, memory(k)?, 0),
            ALU => self.arithmetic(code, k, ways)?,
            JMP => self.branch(classic, ways),
            RET => match code & SIZE {
                // The operand.
                0x00 => self.jump(if k == 0 { ways.differs } else { ways.matches }),
                // The accumulator.
                0x10 => {
                    self.jump_if(JNE, A, 0, ways.matches);
                    self.jump(ways.differs);
                }
                _ => return Err(UNKNOWN),
            },
            MISC if code & 0x80 == 0 => self.copy(X, A),
            _ => self.copy(A, X),
        }
        Ok(())
    }

    fn load_accumulator(&mut self, code: u16, k: u32, ways: &Ways) -> Result<(), &'static str> {
        let size = match code & SIZE {
            0x00 => WORD,
            0x08 => HALF,
            0x10 => BYTE,
            _ => return Err("it reads eight bytes at once"),
        };
        match code & MODE {
            IMM => self.set(A, signed(k)),
            MEM => self.load(WORD, A, FRAME, memory(k)?),
            LENGTH => self.load_length(A),
            ABS => {
                self.read(Where::At(k), size, ways)?;
                self.copy(A, R0);
            }
            IND => {
                self.read(Where::Behind(k), size, ways)?;
                self.copy(A, R0);
            }
            _ => return Err("it has a way to load that is not known"),
        }
        Ok(())
    }

    fn load_length(&mut self, to: u8) {
        self.load(WORD, to, CONTEXT, LEN);
        self.emit(ALU32 | ADD | FROM_REGISTER, to, TAGGED, 0, 0);
    }

    /// Reads from the packet into register 0, in host order. Beyond its end there is no match.
    fn read(&mut self, place: Where, size: u8, ways: &Ways) -> Result<(), &'static str> {
        let bytes = match size {
            WORD => 4,
            HALF => 2,
            _ => 1,
        };
        match place {
            Where::At(k) if k > FURTHEST.cast_unsigned() => {
                return Err("it asks for what is no part of a packet");
            }
            Where::At(k) => self.set(R2, signed(k)),
            Where::Behind(k) => {
                self.copy(R2, X);
                // Both are 32 bits wide, and their sum may be 33.
                self.set(R1, signed(k));
                self.emit(ALU64 | ADD | FROM_REGISTER, R2, R1, 0, 0);
                self.jumps.push((self.code.len(), ways.differs));
                self.emit(JMP64 | JGT, R2, 0, 0, FURTHEST);
            }
        }
        let (plain, done) = (self.label(), self.label());
        let is_before_tag = matches!(place, Where::At(k) if signed(k) <= ADDRESSES - bytes);
        if ways.tags && !is_before_tag {
            self.read_tagged(place, bytes, plain, done);
        }
        self.place(plain);
        self.load_bytes(JUST_READ, bytes, ways.differs);
        self.load(size, R0, FRAME, JUST_READ);
        if bytes > 1 {
            self.emit(TO_BIG, R0, 0, 0, 8 * bytes);
        }
        self.place(done);
        Ok(())
    }

    /// The same where there is a tag beside the frame, if that makes a difference.
    fn read_tagged(&mut self, place: Where, bytes: i32, plain: Label, done: Label) {
        let is_behind = matches!(place, Where::At(k) if signed(k) >= BEHIND_TAG);
        let is_ahead = matches!(place, Where::At(k) if signed(k) < BEHIND_TAG);
        self.jump_if(JEQ, TAGGED, 0, plain);
        if !is_behind {
            let behind = self.label();
            if !is_ahead {
                self.jump_if(JGE, R2, BEHIND_TAG, behind);
            }
            // Byte by byte: on the stack the verifier takes no words that are not aligned.
            self.copy(R1, FRAME);
            self.emit(ALU64 | ADD, R1, 0, 0, HEAD.into());
            self.emit(ALU64 | ADD | FROM_REGISTER, R1, R2, 0, 0);
            self.set(R0, 0);
            for byte in 0..bytes {
                self.emit(ALU32 | SHL, R0, 0, 0, 8);
                #[expect(clippy::cast_possible_truncation, reason = "four bytes at most")]
                self.load(BYTE, R3, R1, byte as i16);
                self.emit(ALU32 | OR | FROM_REGISTER, R0, R3, 0, 0);
            }
            self.jump(done);
            self.place(behind);
        }
        if !is_ahead {
            self.emit(ALU32 | ADD, R2, 0, 0, -4);
        }
    }

    fn arithmetic(&mut self, code: u16, k: u32, ways: &Ways) -> Result<(), &'static str> {
        let operation = code & OPERATION;
        let by_x = code & BY_X != 0;
        let encoded = operation as u8;
        match operation {
            NEG => self.emit(ALU32 | encoded, A, 0, 0, 0),
            DIV | MOD if !by_x && k == 0 => return Err("it divides by zero"),
            LSH | RSH if !by_x && k > 31 => self.set(A, 0),
            _ if !by_x => self.emit(ALU32 | encoded, A, 0, 0, signed(k)),
            DIV | MOD => {
                self.jump_if(JEQ, X, 0, ways.differs);
                self.emit(ALU32 | encoded | FROM_REGISTER, A, X, 0, 0);
            }
            LSH | RSH => {
                // The machine would look at five bits of the distance only.
                let (far, done) = (self.label(), self.label());
                self.jump_if(JGT, X, 31, far);
                self.emit(ALU32 | encoded | FROM_REGISTER, A, X, 0, 0);
                self.jump(done);
                self.place(far);
                self.set(A, 0);
                self.place(done);
            }
            _ if operation > 0xa0 => return Err("it has an operation that is not known"),
            _ => self.emit(ALU32 | encoded | FROM_REGISTER, A, X, 0, 0),
        }
        Ok(())
    }

    fn branch(&mut self, classic: &Classic, ways: &Ways) {
        let Classic { code, k, .. } = *classic;
        let mut next = successors(ways.index, classic).map(Label);
        let (Some(holds), otherwise) = (next.next(), next.next()) else { return };
        let Some(otherwise) = otherwise else { return self.jump(holds) };
        let comparison = (code & OPERATION) as u8;
        if code & BY_X == 0 {
            self.jump_if(comparison, A, signed(k), holds);
        } else {
            self.jumps.push((self.code.len(), holds));
            self.emit(JMP32 | comparison | FROM_REGISTER, A, X, 0, 0);
        }
        if otherwise != Label(ways.index + 1) {
            self.jump(otherwise);
        }
    }

    fn ending(&mut self, ending: Ending, matches: Label, differs: Label) {
        let (yes, no) = match ending {
            Ending::Jump { .. } => (UNSPECIFIED, UNSPECIFIED),
            Ending::Return => (1, 0),
        };
        if self.jumps.iter().any(|(_, to)| *to == matches) {
            self.place(matches);
            if let Ending::Jump { programs, index } = ending {
                self.copy(R1, CONTEXT);
                // Two instructions, of which the second one holds the upper half of what is no address yet.
                self.emit(LOAD_MAP, R2, MAP_FD, 0, programs);
                self.emit(0, 0, 0, 0, 0);
                self.set(R3, index);
                self.emit(CALL, 0, 0, 0, TAIL_CALL);
            }
            // A tail call that fails comes back.
            self.emit(ALU64 | MOV, R0, 0, 0, yes);
            self.emit(EXIT, 0, 0, 0, 0);
        }
        if self.jumps.iter().any(|(_, to)| *to == differs) {
            self.place(differs);
            self.emit(ALU64 | MOV, R0, 0, 0, no);
            self.emit(EXIT, 0, 0, 0, 0);
        }
    }
}

/// Where something is read.
#[derive(Clone, Copy)]
enum Where {
    /// At this offset.
    At(u32),
    /// So many bytes behind the index register.
    Behind(u32),
}

/// The place of one of the sixteen words.
fn memory(k: u32) -> Result<i16, &'static str> {
    let word = i16::try_from(k).ok().filter(|word| (0..16).contains(word));
    word.map(|word| MEMORY + 4 * word).ok_or("it uses more memory than there is")
}

/// An operand as instructions hold it.
const fn signed(k: u32) -> i32 {
    k.cast_signed()
}

const _: () = assert!(size_of::<Classic>() == 8);
