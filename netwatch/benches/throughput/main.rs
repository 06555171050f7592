//! `cargo xtask bench throughput`: how many packets a second a watcher sees, and what that costs it, beside programs
//! that do less and other watchers.
//!
//! Each watches one end of a veth pair in a laboratory of network namespaces, while the generator sends packets of many
//! sources into the other: some, as on a busy wire, and as many as there can be. The work that the kernel does for a
//! packet falls to the sender's CPU for all alike, so flat out it shows as fewer packets a second; what is told of a
//! process is its own.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

use contender::{Contender, Round, Watcher};
use support::table::{self, median, mib, note};
use support::traffic::{Kind, Traffic};

mod contender;
#[path = "../support/mod.rs"]
mod support;

/// How many packets a second watchers see, and what that costs them.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench throughput")]
struct Options {
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// How long packets come, in each round and at each rate.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The lower rate, in packets a second.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pace: u32,
    /// Sources, in no order.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    sources: u32,
    /// Another watcher, like `Suricata=suricata -i {interface} -l /tmp`; repeat for several. What it has seen is not known.
    #[arg(long, value_name = "NAME=COMMAND")]
    watcher: Vec<Watcher>,
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
    support::exit_code(
        run(&Options::parse()),
        "netwatch has not seen every packet, or does not account for each",
    )
}

/// What was measured of one watcher at one rate.
struct Row {
    name: String,
    pace: Option<u32>,
    rounds: Vec<Round>,
}

/// Whether netwatch has seen every packet and accounts for each.
fn run(options: &Options) -> anyhow::Result<bool> {
    let traffic = [Traffic::ipv4(Kind::Syn).random_sources(options.sources)];
    let (contenders, missing) = contender::all(options.netwatch.clone(), &options.watcher);
    let mut rows: Vec<_> = [Some(options.pace), None]
        .into_iter()
        .flat_map(|pace| {
            contenders.iter().map(move |each| Row { name: each.name().to_owned(), pace, rounds: Vec::new() })
        })
        .collect();
    note(&format!("{} rounds of {} watchers at two rates", options.rounds, contenders.len()));
    for _ in 0..options.rounds {
        for (contender, row) in contenders.iter().cycle().zip(&mut rows) {
            let round = contender.watch(&traffic, row.pace, Duration::from_secs(options.seconds));
            row.rounds.push(round.with_context(|| row.name.clone())?);
        }
    }
    if options.json {
        let result = json!({
            "benchmark": "throughput",
            "rounds": options.rounds,
            "seconds": options.seconds,
            "sources": options.sources,
            "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "missing": missing.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect::<Vec<_>>(),
        });
        println!("{result}");
    } else {
        print(options, &rows);
        missing.iter().for_each(|(name, reason)| println!("{name}: {reason}"));
    }
    let netwatch = rows.iter().filter(|row| row.name == Contender::Netwatch(PathBuf::new()).name());
    Ok(netwatch.flat_map(|row| &row.rounds).all(|round| round.is_whole && round.seen == Some(round.arrived)))
}

impl Row {
    /// The median of what each round has; nothing where one has it not.
    fn median(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        self.rounds.iter().map(value).collect::<Option<Vec<_>>>().map(median)
    }

    fn rate(&self) -> f64 {
        let rate = |round: &Round| Some(table::float(round.arrived) / round.sent.wall.as_secs_f64());
        self.median(rate).unwrap_or(f64::NAN)
    }

    /// Nanoseconds for a packet, flat out: with pauses in between they would not be the packets'.
    fn ns(&self) -> Option<f64> {
        self.median(|round| self.pace.is_none().then(|| round.sent.ns()))
    }

    fn memory(&self, bytes: impl Fn(&Round) -> Option<u64>) -> Option<u64> {
        self.rounds.iter().filter_map(bytes).max()
    }

    fn own_bytes(&self) -> Option<u64> {
        self.memory(|round| Some(round.process?.1.anon_bytes))
    }

    fn peak_bytes(&self) -> Option<u64> {
        self.memory(|round| Some(round.process?.1.peak_bytes))
    }

    fn whole(&self) -> bool {
        self.rounds.iter().all(|round| round.is_whole)
    }

    fn to_json(&self) -> Value {
        let sum = |value: fn(&Round) -> u64| self.rounds.iter().map(value).sum::<u64>();
        json!({
            "name": self.name,
            "pace": self.pace,
            "packets_per_second": self.rate(),
            "ns_per_packet": self.ns(),
            "packets_sent": sum(|round| round.sent.packets),
            "packets_arrived": sum(|round| round.arrived),
            "packets_seen": self.rounds.iter().map(|round| round.seen).sum::<Option<u64>>(),
            "share_seen": self.median(Round::share),
            "accounted_for": self.whole(),
            "cpu_s_per_million_seen": self.median(Round::cpu_per_million),
            "own_bytes": self.own_bytes(),
            "peak_bytes": self.peak_bytes(),
        })
    }
}

fn print(options: &Options, rows: &[Row]) {
    let dash = |cell: Option<String>| cell.unwrap_or("-".to_owned());
    for pace in [Some(options.pace), None] {
        let heading = pace.map_or("flat out".to_owned(), |pace| format!("{pace} packets/s"));
        let cells: Vec<_> = rows
            .iter()
            .filter(|row| row.pace == pace)
            .map(|row| {
                vec![
                    row.name.clone(),
                    format!("{:.0}", row.rate()),
                    dash(row.ns().map(|ns| format!("{ns:.0}"))),
                    dash(row.median(Round::share).map(|share| format!("{:.2} %", share * 100.0))),
                    dash(row.median(Round::cpu_per_million).map(|cpu| format!("{cpu:.4}"))),
                    dash(row.own_bytes().map(mib)),
                    dash(row.peak_bytes().map(mib)),
                ]
            })
            .collect();
        table::print(
            &[&heading, "arrived/s", "ns/packet", "seen", "CPU s/M seen", "MiB own", "MiB peak"],
            &cells,
        );
        println!();
    }
    println!(
        "medians of {} rounds of {} s, the largest memory; TCP SYNs of 54 bytes from {} sources. Arrived: what the \
         interface received. ns/packet: to make a packet, to send it, and what the kernel does with it on the same CPU. \
         Seen: of what arrived. CPU: of the watcher's own process.",
        options.rounds, options.seconds, options.sources,
    );
}
