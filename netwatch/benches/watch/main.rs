//! `cargo xtask bench watch`: what a live view costs the host that it looks at, beside tcpdump.
//!
//! First what its programs add to a packet, each run on the same frame (`BPF_PROG_TEST_RUN`) in turns with the others; then
//! live views and tcpdump on one end of a veth pair, while the generator sends into the other as fast as it can. All the
//! work that the kernel does for a packet falls to the sender's CPU, so it shows as nanoseconds per packet; what a process
//! uses is its own.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use live::{Round, WATCHERS};
use support::table::{self, median, note};

mod live;
mod programs;
#[path = "../support/mod.rs"]
mod support;

/// What a live view costs.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench watch")]
struct Options {
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// How long packets come, in each round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
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
    support::exit_code(run(&Options::parse()), "a view does not account for every packet that has arrived")
}

/// Whether every view has accounted for all that has arrived.
fn run(options: &Options) -> anyhow::Result<bool> {
    // On a thread of its own, which stays on one CPU: the watchers that come after may have all.
    let measured = std::thread::scope(|scope| scope.spawn(|| programs::measure(options.rounds)).join());
    let programs = measured.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    note(&format!("{} rounds of {} watchers", options.rounds, WATCHERS.len()));
    let mut rounds: Vec<Vec<Round>> = WATCHERS.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (watcher, rounds) in WATCHERS.iter().zip(&mut rounds) {
            let round = watcher.watch(&options.netwatch, Duration::from_secs(options.seconds))?;
            rounds.extend(round);
        }
    }
    let of = |rounds: &[Round], value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    if options.json {
        let programs: Vec<Value> =
            programs.iter().map(|(name, ns)| json!({ "name": name, "ns_per_packet": ns })).collect();
        let live: Vec<Value> = WATCHERS
            .iter()
            .zip(&rounds)
            .map(|(watcher, rounds)| {
                json!({
                    "name": watcher.name,
                    "ns_per_packet": of(rounds, Round::ns),
                    "cpu_s_per_million": of(rounds, Round::cpu_per_million),
                    "share_shown": of(rounds, Round::share_shown),
                })
            })
            .collect();
        println!(
            "{}",
            json!({ "benchmark": "watch", "rounds": options.rounds, "programs": programs, "live": live })
        );
    } else {
        let rows: Vec<_> =
            programs.iter().map(|(name, ns)| vec![(*name).to_owned(), format!("{ns:.0}")]).collect();
        table::print(&["programs of a view", "ns/packet"], &rows);
        println!();
        let rows: Vec<_> = WATCHERS
            .iter()
            .zip(&rounds)
            .map(|(watcher, rounds)| {
                vec![
                    watcher.name.to_owned(),
                    format!("{:.0}", of(rounds, Round::ns)),
                    format!("{:.3}", of(rounds, Round::cpu_per_million)),
                    format!("{:.2} %", of(rounds, Round::share_shown) * 100.0),
                ]
            })
            .collect();
        table::print(&["flat out", "ns/packet", "CPU s/M", "shown"], &rows);
        println!(
            "\nmedians of {} rounds of {} s; TCP SYNs of 54 bytes from 1,000 sources. ns/packet: to make a packet, to send \
             it, and what the kernel does with it on the same CPU. CPU: of the watcher's own process. Shown: of what has \
             arrived; tcpdump drops what it has no room for.",
            options.rounds, options.seconds,
        );
    }
    Ok(rounds.iter().flatten().all(|round| round.is_whole))
}
