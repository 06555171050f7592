//! `cargo xtask bench feeds`: how long feeds take to load, what they cost per packet, and whether any packet goes by unjudged
//! while they are replaced.
//!
//! First files of several sizes are loaded as `netwatch run` loads them ([`load`]); then the program runs on packets that
//! differ from each other, with sets of these sizes and without any ([`packets`]); then sets are replaced under traffic
//! ([`gap`]). Compare within one run only.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

mod gap;
mod load;
mod made_up;
mod packets;
#[path = "../support/mod.rs"]
mod support;

/// What feeds take.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench feeds")]
struct Options {
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Packets that are sent while sets are replaced.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    packets: u32,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Sizes of feeds, in entries.
const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];

fn main() -> ExitCode {
    support::exit_code(run(&Options::parse()), "packets went by unjudged")
}

fn run(options: &Options) -> anyhow::Result<bool> {
    // Before this thread is kept on one CPU, because the senders of packets want others.
    let gap = gap::measure(options.packets)?;
    support::process::stay_on_one_cpu()?;
    let load = load::measure(options.rounds)?;
    let packets = packets::measure(options.rounds)?;
    if options.json {
        let result = json!({
            "benchmark": "feeds",
            "rounds": options.rounds,
            "load": load.to_json(),
            "packets": packets.to_json(),
            "reload": gap.to_json(),
        });
        println!("{result}");
    } else {
        load.print();
        println!();
        packets.print();
        println!();
        gap.print();
    }
    Ok(gap.is_whole())
}
