//! `cargo xtask bench kernel`: what a packet costs inside the kernel, beside programs that do less.
//!
//! Every program sees the same packets through `BPF_PROG_TEST_RUN`, in turns, so that a busy machine slows all
//! of them alike; on one CPU where nothing else is said. Compare within one run only: the ratios are what counts.
//!
//! First comes one frame over and over, of several kinds ([`frames`]); then packets that differ from each other, as
//! many sources or a flood have them ([`scenes`]); then both on several CPUs at once ([`cores`]), and what room there is
//! by their number ([`capacity`]).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::process::ExitCode;

use clap::Parser;

mod capacity;
mod cores;
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
    /// Leaves out all but one part: `frames`, the same frame over and over, `scenes`, many sources and floods, or `cores`,
    /// several CPUs at once.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Frames,
    Scenes,
    Cores,
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
    let cpus = support::process::cpus()?;
    support::process::stay_on_one_cpu()?;
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    let frames = is_wanted(Part::Frames).then(|| frames::measure(options.rounds)).transpose()?;
    let scenes = is_wanted(Part::Scenes).then(|| scenes::measure(options.rounds)).transpose()?;
    let has_several = is_wanted(Part::Cores) && cpus.len() > 1;
    let cores = has_several.then(|| cores::measure(options.rounds, &cpus)).transpose()?;
    if options.json {
        let mut result = serde_json::json!({ "benchmark": "kernel", "rounds": options.rounds });
        if let Some(frames) = frames {
            frames.write_json(&mut result);
        }
        result["scenes"] = scenes.map_or(serde_json::Value::Null, |scenes| scenes.to_json());
        result["cores"] = cores.map_or(serde_json::Value::Null, |cores| cores.to_json());
        if is_wanted(Part::Cores) {
            result["capacity"] = capacity::to_json();
        }
        println!("{result}");
        return Ok(());
    }
    if let Some(frames) = &frames {
        frames.print();
        println!();
    }
    if let Some(scenes) = &scenes {
        scenes.print();
        println!();
    }
    if is_wanted(Part::Cores) {
        match &cores {
            Some(cores) => cores.print(),
            None => println!("skipped: several CPUs at once, because there is only one to run on"),
        }
        println!();
        capacity::print();
    }
    Ok(())
}
