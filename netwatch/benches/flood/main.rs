//! `cargo xtask bench flood`: whether a flood of forged sources hides a scan, slows the kernel's part down, or costs more
//! and more memory.
//!
//! netwatch runs as a user runs it, in a laboratory of network namespaces. The generator sends all that it can, and a
//! scanner at two ports a second sends its own packets beside it. What the interface has received, netwatch must have
//! seen, to the packet.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};
use serde_json::{Value, json};

use kinds::{Flood, Kind};
use support::clients;
use support::process::Sample;
use support::run::{self, Load, Outcome, Plan};
use support::table::{self, mib, note};

mod kinds;
#[path = "../support/mod.rs"]
mod support;

/// The length of what is told of one by one.
const SEGMENT: Duration = Duration::from_secs(5);

/// Whether a flood hides a scan, slows the kernel down, or costs more and more memory.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench flood")]
struct Options {
    /// What the flood is meant to fill [default: each in turn]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// How long each flood lasts [default: 60, or 20 where each kind has its turn]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Packets a second [default: as many as there can be]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pace: Option<u32>,
    /// 200 clients with an open stream and 1,000 requests a second meanwhile
    #[arg(long)]
    serve: bool,
    /// Prints one JSON object instead of tables.
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
    support::exit_code(run(&Options::parse()), "packets are not accounted for")
}

/// Whether every packet is accounted for.
fn run(options: &Options) -> anyhow::Result<bool> {
    let kinds = options.kind.map_or(Kind::value_variants().to_vec(), |kind| vec![kind]);
    let seconds = options.seconds.unwrap_or(if kinds.len() == 1 { 60 } else { 20 });
    let mut results = Vec::new();
    for flood in kinds.into_iter().flat_map(Kind::floods) {
        note(&format!("{}: {seconds} s", flood.name));
        let plan = Plan {
            netwatch: &options.netwatch,
            arguments: flood.arguments,
            load: Load::Generated { phases: &flood.phases, pace: options.pace },
            time: Duration::from_secs(seconds),
            scans: true,
            serves: options.serve,
        };
        let outcome = run::run(&plan, SEGMENT).with_context(|| flood.name)?;
        results.push((flood, outcome));
    }
    if options.json {
        let floods: Vec<_> = results.iter().map(|(flood, outcome)| to_json(flood, outcome)).collect();
        println!("{}", json!({ "benchmark": "flood", "seconds": seconds, "floods": floods }));
    } else {
        print(&results);
    }
    Ok(results.iter().all(|(_, outcome)| outcome.is_whole()))
}

fn print(results: &[(Flood, Outcome)]) {
    let rows: Vec<_> = results
        .iter()
        .map(|(flood, outcome)| {
            let told = outcome.scan.and_then(|scan| scan.told(&outcome.ended.alerts));
            vec![
                flood.name.to_owned(),
                outcome.sent.packets.to_string(),
                format!("{:.0}", outcome.sent.rate()),
                outcome.dropped().to_string(),
                outcome.arrived.to_string(),
                outcome.ended.counted.seen.to_string(),
                outcome.ended.counted.unaccounted.to_string(),
                if outcome.is_whole() { "yes" } else { "NO" }.to_owned(),
                told.map_or("NOT TOLD".to_owned(), |told| format!("{:.2}", told.after_s)),
                told.map_or("-".to_owned(), |told| format!("{:.2}", told.late_s)),
                if outcome.is_degraded() { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    table::print(
        &[
            "flood",
            "sent",
            "packets/s",
            "queue full",
            "arrived",
            "seen",
            "unaccounted",
            "conserved",
            "scan told s",
            "late s",
            "degraded",
        ],
        &rows,
    );
    println!();
    let rows: Vec<_> = results
        .iter()
        .map(|(flood, outcome)| {
            let mut cells = vec![flood.name.to_owned()];
            cells.extend([0.0, 0.25, 0.5, 1.0].map(|part| mib(outcome.sample_at(part).anon_bytes)));
            let last = outcome.sample_at(1.0);
            cells.extend([
                mib(outcome.peak_anon()),
                mib(last.mapped_bytes),
                mib(outcome.ended.used.rss_bytes),
            ]);
            cells.push(format!("{:.3}", outcome.cpu_per_million()));
            cells
        })
        .collect();
    table::print(
        &[
            "MiB of its own",
            "first",
            "at 1/4",
            "at 1/2",
            "end",
            "peak",
            "mapped",
            "peak, all",
            "CPU s/M packets",
        ],
        &rows,
    );
    println!();
    for (flood, outcome) in results {
        let parts = outcome.segments.iter().filter(|(_, sent)| sent.packets > 0);
        let parts: Vec<_> =
            parts.map(|(phase, sent)| format!("{phase} {:.0} ({:.0})", sent.ns(), sent.cpu_ns())).collect();
        println!("{}, ns per packet in parts of {} s: {}", flood.name, SEGMENT.as_secs(), parts.join(", "));
        println!("  {}", outcome.ended.counted.line);
        if let Some(served) = outcome.served {
            println!("  {served}");
        }
    }
    println!();
    println!(
        "Scan told: seconds from the scanner's first packet to the line that opens its scan.vertical; late: from its 11th \
         port. ns per packet: to make it, netwatch's program and the stack behind it, on one CPU; in brackets \
         the sending thread's own part of it, which others on that CPU do not lengthen. Queue full: sent, and \
         dropped before netwatch could see it."
    );
}

fn to_json(flood: &Flood, outcome: &Outcome) -> Value {
    let told = outcome.scan.and_then(|scan| scan.told(&outcome.ended.alerts));
    let sample = |at: f64, sample: &Sample| json!({ "at_s": at, "anon_bytes": sample.anon_bytes, "mapped_bytes": sample.mapped_bytes });
    let counted = &outcome.ended.counted;
    json!({
        "flood": flood.name,
        "arguments": flood.arguments,
        "announced": outcome.announced,
        "packets_sent": outcome.sent.packets,
        "packets_per_second": outcome.sent.rate(),
        "packets_dropped_by_queue": outcome.dropped(),
        "packets_arrived": outcome.arrived,
        "packets_seen": counted.seen,
        "packets_by_class": counted.by_class,
        "packets_unaccounted": counted.unaccounted,
        "conserved": outcome.is_whole(),
        "summary": counted.line,
        "scan_told": told.is_some(),
        "scan_told_after_s": told.map(|told| told.after_s),
        "scan_told_late_s": told.map(|told| told.late_s),
        "degraded": outcome.is_degraded(),
        "alerts": outcome.ended.alerts.len(),
        "memory": outcome.samples.iter().map(|(at, each)| sample(*at, each)).collect::<Vec<_>>(),
        "peak_anon_bytes": outcome.peak_anon(),
        "peak_rss_bytes": outcome.ended.used.rss_bytes,
        "cpu_s_per_million_packets": outcome.cpu_per_million(),
        "served": outcome.served.map(clients::Served::json),
        "segments": outcome.segments.iter().map(|(phase, sent)| json!({
            "phase": phase,
            "packets": sent.packets,
            "packets_per_second": sent.rate(),
            "ns_per_packet": sent.ns(),
            "cpu_ns_per_packet": sent.cpu_ns(),
        })).collect::<Vec<_>>(),
    })
}
