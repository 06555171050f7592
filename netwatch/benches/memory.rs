//! `cargo xtask bench memory`: what `netwatch run` takes of a machine: memory, and on an idle link processor time.
//!
//! netwatch runs as a user runs it, in a laboratory of network namespaces: with nothing to see, with a busy network of
//! short conversations, and in a flood of forged sources. What the kernel's part takes is not the process' memory, and
//! netwatch says at its start how much that is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

use support::run::{self, Load, Outcome, Phase, Plan};
use support::table::{self, float, mib, note};
use support::traffic::{Kind, Traffic};

mod support;

/// Packets a second of the busy network.
const BUSY: u32 = 20_000;
/// What an idle link may take of a CPU.
const IDLE_TARGET: f64 = 0.001;
/// What may be resident besides maps, in bytes.
const MEMORY_TARGET: u64 = 64 << 20;

/// What netwatch takes of a machine.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench memory")]
struct Options {
    /// How long each scene lasts.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Measures this netwatch instead of the one that was just built.
    #[arg(long, value_name = "PATH", default_value = support::live::NETWATCH)]
    netwatch: PathBuf,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
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
    let both = [Traffic::ipv4(Kind::Syn), Traffic::ipv6(Kind::Syn)];
    let flood = [Phase { name: "flood", traffic: both.map(|each| each.new_sources(0)).into() }];
    let loads = [
        ("idle", Load::Idle),
        ("busy", Load::Mixture(BUSY)),
        ("flood", Load::Generated { phases: &flood, pace: None }),
    ];
    let measure = |(name, load)| {
        note(&format!("{name}: {} s", options.seconds));
        let time = Duration::from_secs(options.seconds);
        let plan =
            Plan { netwatch: &options.netwatch, arguments: &[], load, time, scans: false, serves: false };
        anyhow::Ok((name, run::run(&plan, time).with_context(|| name)?))
    };
    let scenes = loads.into_iter().map(measure).collect::<anyhow::Result<Vec<_>>>()?;
    if options.json {
        let scenes: Vec<_> = scenes.iter().map(|(name, outcome)| to_json(name, outcome)).collect();
        println!("{}", json!({ "benchmark": "memory", "seconds": options.seconds, "scenes": scenes }));
    } else {
        print(&scenes);
    }
    Ok(())
}

fn print(scenes: &[(&str, Outcome)]) {
    let rows: Vec<_> = scenes
        .iter()
        .map(|(name, outcome)| {
            let last = outcome.sample_at(1.0);
            vec![
                (*name).to_owned(),
                format!("{:.0}", float(outcome.arrived) / outcome.seconds().max(1e-9)),
                mib(outcome.sample_at(0.0).anon_bytes),
                mib(last.anon_bytes),
                mib(outcome.peak_anon()),
                mib(last.mapped_bytes),
                mib(outcome.ended.used.rss_bytes),
                format!("{:.3} %", outcome.cpu_share() * 100.0),
                format!("{:.1}", outcome.wakeups()),
            ]
        })
        .collect();
    table::print(
        &[
            "MiB",
            "packets/s",
            "own, first",
            "own, end",
            "own, peak",
            "mapped",
            "peak, all",
            "of a CPU",
            "wakeups/s",
        ],
        &rows,
    );
    println!();
    for (name, outcome) in scenes {
        let met = |is_met| if is_met { "met" } else { "missed" };
        if *name == "idle" {
            let share = outcome.cpu_share();
            println!(
                "idle link: {:.3} % of a CPU, target below 0.1 %: {}",
                share * 100.0,
                met(share < IDLE_TARGET)
            );
            println!("at its start netwatch says: {}", outcome.announced);
        }
        let peak = outcome.peak_anon();
        println!("{name}: at most {} MiB of its own, target 64: {}", mib(peak), met(peak <= MEMORY_TARGET));
    }
    println!();
    println!(
        "own: anonymous memory. Mapped: resident of files and maps that the process has mapped. Peak, all: the most that \
         was resident, until its end."
    );
}

fn to_json(name: &str, outcome: &Outcome) -> Value {
    json!({
        "scene": name,
        "announced": outcome.announced,
        "packets_arrived": outcome.arrived,
        "packets_seen": outcome.ended.counted.seen,
        "conserved": outcome.is_whole(),
        "seconds": outcome.seconds(),
        "own_bytes_first": outcome.sample_at(0.0).anon_bytes,
        "own_bytes_end": outcome.sample_at(1.0).anon_bytes,
        "own_bytes_peak": outcome.peak_anon(),
        "mapped_bytes_end": outcome.sample_at(1.0).mapped_bytes,
        "peak_rss_bytes": outcome.ended.used.rss_bytes,
        "cpu_share": outcome.cpu_share(),
        "wakeups_per_second": outcome.wakeups(),
    })
}
