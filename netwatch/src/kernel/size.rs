//! What a loaded program costs.

use aya::programs::{ProgramError, Xdp};

/// The verifier's cost and the size of a loaded program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramSize {
    /// Instructions the verifier walked. Linux 5.16.
    pub verified_instructions: Option<u32>,
    /// Bytes of machine code.
    pub machine_code_bytes: u32,
}

/// Asks the kernel about a loaded program.
///
/// # Errors
///
/// The system call's error.
pub fn size_of_program(program: &Xdp) -> Result<ProgramSize, ProgramError> {
    let info = program.info()?;
    Ok(ProgramSize {
        verified_instructions: info.verified_instruction_count(),
        machine_code_bytes: info.size_jitted(),
    })
}
