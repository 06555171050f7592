//! What benchmarks share. Each uses a part of it.
#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

pub mod batch;
pub mod clients;
pub mod drained;
pub mod generator;
pub mod live;
pub mod process;
pub mod python;
pub mod run;
pub mod scanner;
pub mod scatter;
#[path = "../../../netwatch-ebpf/src/scene.rs"]
pub mod scene;
pub mod table;
pub mod traffic;

use std::process::ExitCode;

/// How a benchmark ends that tells whether all is accounted for.
pub fn exit_code(result: anyhow::Result<bool>, otherwise: &str) -> ExitCode {
    match result {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => eprintln!("error: {otherwise}"),
        Err(error) => eprintln!("error: {error:#}"),
    }
    ExitCode::FAILURE
}
