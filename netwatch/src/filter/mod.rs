//! Filter expressions in tcpdump's language, as programs that run in the kernel.
//!
//! libpcap compiles what the user typed to classic BPF ([`libpcap`]), the language that packet sockets are filtered in.
//! The hooks of the stack run eBPF, so [`mod@translate`] turns the one into the other, by way of `assembler`. Nothing that does not match leaves the
//! kernel.

use bytemuck::{Pod, Zeroable};

mod assembler;
mod libpcap;
mod translate;

pub use assembler::Instruction;
pub use translate::{Ending, translate};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library that knows the language cannot be loaded.
    #[error(
        "filters need libpcap, which cannot be loaded ({0}); `apt install libpcap0.8`, or `dnf install libpcap`"
    )]
    NoLibpcap(String),
    /// The library does not understand the expression.
    #[error("filter {expression:?}: {reason}")]
    Expression {
        /// What was typed.
        expression: String,
        /// What libpcap says.
        reason: String,
    },
    /// It compiles to something that the kernel would not take.
    #[error("filter {expression:?} cannot run in the kernel: {reason}")]
    Untranslatable {
        /// What was typed.
        expression: String,
        /// Why not.
        reason: &'static str,
    },
}

/// An instruction of classic BPF: `struct bpf_insn` of pcap.h, `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Classic {
    /// Class, size, mode or operation.
    pub code: u16,
    /// Instructions to skip where the condition holds.
    pub jump_true: u8,
    /// Instructions to skip where it does not.
    pub jump_false: u8,
    /// An operand.
    pub k: u32,
}

/// What frames start with, and so how an expression is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// An Ethernet header.
    Ethernet,
    /// An IP header.
    Ip,
}

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    expression: String,
    link: LinkType,
    program: Vec<Classic>,
}

impl Filter {
    /// Compiles an expression for frames of a link type.
    ///
    /// # Errors
    ///
    /// There is no libpcap, or it does not understand the expression.
    pub fn compile(expression: &str, link: LinkType) -> Result<Self, Error> {
        let program = libpcap::compile(expression, link)?;
        Ok(Self { expression: expression.to_owned(), link, program })
    }

    /// What was typed.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The program in classic BPF.
    #[must_use]
    pub fn program(&self) -> &[Classic] {
        &self.program
    }

    /// The program for a hook of the stack, which ends in one of two ways.
    ///
    /// # Errors
    ///
    /// It does what such a program cannot do.
    pub fn translate(&self, ending: Ending) -> Result<Vec<Instruction>, Error> {
        translate(&self.program, self.link, ending)
            .map_err(|reason| Error::Untranslatable { expression: self.expression.clone(), reason })
    }
}
