//! `cargo xtask bench kernel`: what a packet costs inside the kernel, beside programs that do less.
//!
//! Every program sees the same packets through `BPF_PROG_TEST_RUN`, on one CPU, in turns, so that a busy machine
//! slows all of them alike. Compare within one run only: the ratios are what counts.
//!
//! First comes one frame over and over, of several kinds ([`frames`]); then packets that differ from each other, as
//! many sources or a flood have them ([`scenes`]).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::process::ExitCode;

use clap::Parser;

mod frames;
mod scenes;
#[path = "../support/mod.rs"]
mod support;

/// What a packet costs inside the kernel.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench kernel")]
struct Options {
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Leaves out one half: `frames`, the same frame over and over, or `scenes`, many sources and floods.
    #[arg(long, value_name = "HALF")]
    only: Option<Half>,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Half {
    Frames,
    Scenes,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    support::process::stay_on_one_cpu()?;
    let is_wanted = |half| options.only.is_none_or(|only| only == half);
    let frames = is_wanted(Half::Frames).then(|| frames::measure(options.rounds)).transpose()?;
    let scenes = is_wanted(Half::Scenes).then(|| scenes::measure(options.rounds)).transpose()?;
    if options.json {
        let mut result = serde_json::json!({ "benchmark": "kernel", "rounds": options.rounds });
        if let Some(frames) = frames {
            frames.write_json(&mut result);
        }
        result["scenes"] = scenes.map_or(serde_json::Value::Null, |scenes| scenes.to_json());
        println!("{result}");
        return Ok(());
    }
    if let Some(frames) = &frames {
        frames.print();
        println!();
    }
    if let Some(scenes) = &scenes {
        scenes.print();
    }
    Ok(())
}
