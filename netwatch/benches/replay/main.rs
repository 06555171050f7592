//! `cargo xtask bench replay`: how fast `netwatch replay` reads a capture, beside tcpdump and a Scapy loop, and that
//! its memory does not grow with what it reads.
//!
//! Two captures are made anew, a million packets each at 20,000 a second, with the lengths that they have on the wire: a
//! busy network of short conversations, lookups, scans and floods, with three packets to a flow
//! (`xtask::traffic::mixture`), and long conversations (`xtask::traffic::bulk`). In rounds, each program in turn reads it as a whole process on one CPU,
//! always the same one, so that a busy machine slows all of them alike. tcpdump reads and writes every packet, to
//! /dev/null; the Scapy loop counts in dictionaries, and reads the first 20,000 packets only. Nothing is taken off for
//! the start of a process; what that alone takes is measured with a capture of one packet.
//!
//! Then a stream of gigabytes, whose sources change as it goes on, is written into `netwatch replay -`, and the
//! memory that it has needed after three tenths of it is compared with that at the end. `--gigabytes 5` is the full check.
//! It counts as failed where memory has grown by more than a fifth or by more than 64 MiB.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use capture::Captures;
use contender::Contender;
use support::process;
use support::table::note;

mod capture;
mod contender;
mod memory;
mod print;
#[path = "../support/mod.rs"]
mod support;

/// How fast netwatch replays, and whether its memory stays what it is.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench replay")]
struct Options {
    /// Packets of each capture.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    packets: u64,
    /// Rounds that count; one more comes first.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of the stream of the check of memory, in units of a billion bytes; 0 leaves the check out.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    gigabytes: u64,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Measures this netwatch instead of the one that was just built.
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_netwatch"))]
    netwatch: PathBuf,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether both engines could be measured and memory is what it should be.
fn run(options: &Options) -> anyhow::Result<bool> {
    let cpu = process::stay_on_one_cpu()?;
    note(&format!("two captures of {} packets", options.packets));
    let captures = Captures::make(options.packets)?;
    let mut contenders = contender::all(&options.netwatch, &captures);
    note(&format!("{} rounds, and one before that", options.rounds));
    for round in 0..=options.rounds {
        for contender in &mut contenders {
            contender.take_turn(round > 0);
        }
    }
    let memory = if options.gigabytes > 0 {
        note(&format!("a stream of {} GB", options.gigabytes));
        Some(memory::measure(&options.netwatch, options.gigabytes * 1_000_000_000, cpu)?)
    } else {
        None
    };
    let report = print::Report { options, captures: &captures, contenders: &contenders, memory };
    if options.json {
        report.print_json();
    } else {
        report.print();
    }
    let measured =
        contenders.iter().filter(|contender| contender.target.is_some()).all(Contender::is_measured);
    Ok(measured && report.memory.as_ref().is_none_or(memory::Memory::is_constant))
}
