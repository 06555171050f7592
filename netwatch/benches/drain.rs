//! `cargo xtask bench drain`: what it takes to end a slot, from the swap until all of its entries are in userspace, and
//! that no packet is lost while that goes on.
//!
//! The generator fills netwatch's tables, each packet from another source. Then netwatch's own code swaps and drains,
//! in this process, while packets go on coming in on another CPU. Beside it two maps of the kernel's, filled with as many
//! entries, are emptied by the two ways that there are.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use netwatch::kernel::{ModeWish, Options as KernelOptions, Watch};
use nix::net::if_::if_nametoindex;
use serde_json::{Value, json};
use xtask::lab::Lab;

use support::drained::{Drained, Took, end_slot, timed};
use support::generator::{Generator, Sent};
use support::process;
use support::scatter::Scatter;
use support::table::{self, float, median, note};
use support::traffic::{Kind, Traffic};

mod support;

/// What it takes to end a slot, and whether packets are lost meanwhile.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench drain")]
struct Options {
    /// Sources, each of which has one target.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    entries: u32,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Memory of netwatch's maps, in MiB; what does not find room is told.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    map_memory: u64,
    /// Packets a second while a slot is drained.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pace: u32,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Cargo tells a benchmark so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    support::exit_code(run(&Options::parse()), "packets are not accounted for")
}

fn run(options: &Options) -> anyhow::Result<bool> {
    note(&format!("netwatch: {} rounds of {} sources", options.rounds, options.entries));
    let rounds = netwatch(options)?;
    note("two maps of the kernel's");
    let result = Report { options, rounds, references: references(options)? };
    if options.json {
        println!("{}", result.to_json());
    } else {
        result.print();
    }
    Ok(result.lost() == 0)
}

/// One filled slot.
struct Round {
    drained: Drained,
    /// Packets that the interface has received, of this slot and of what came while it was drained.
    arrived: u64,
    /// Of them those that netwatch's program has seen.
    seen: u64,
    /// Those that were drained under a source, of both slots.
    sourced: u64,
    /// Those that found no room, by netwatch's own count.
    refused: u64,
    /// What came while the slot was drained.
    meanwhile: Sent,
    /// Of that what the interface's queue had no room for.
    dropped: u64,
}

fn netwatch(options: &Options) -> anyhow::Result<Vec<Round>> {
    let lab = Lab::new()?;
    let mut watch = Watch::load(&KernelOptions::of_this_host(options.map_memory << 20))?;
    let interface = lab.watched().interface();
    lab.watched().run(|| {
        let index = if_nametoindex(interface)?;
        anyhow::Ok(watch.attach(interface, index, ModeWish::Native)?)
    })??;
    let (mut filler, mut other) = (Generator::load()?, Generator::load()?);
    // Where the generators are.
    process::leave_cpu(process::last_cpu()?)?;
    (0..=options.rounds).map(|_| round(options, &lab, &mut watch, &mut filler, &mut other)).skip(1).collect()
}

fn round(
    options: &Options,
    lab: &Lab,
    watch: &mut Watch,
    filler: &mut Generator,
    other: &mut Generator,
) -> anyhow::Result<Round> {
    filler.set(&[Traffic::ipv4(Kind::Syn).new_sources(options.entries)])?;
    other.set(&[Traffic::ipv4(Kind::Syn).random_sources(1000)])?;
    let (before, totals_before) = (lab.watched().counters()?, watch.totals()?);
    filler.send_count(lab, options.entries.into())?;
    let filled = lab.watched().counters()?;
    let stop = AtomicBool::new(false);
    let (drained, meanwhile) = thread::scope(|scope| {
        let sender = scope.spawn(|| other.send(lab, Some(options.pace), |_| !stop.load(Ordering::Relaxed)));
        thread::sleep(Duration::from_millis(50));
        let drained = end_slot(watch);
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        anyhow::Ok((drained?, sent?))
    })?;
    thread::sleep(Duration::from_millis(50));
    let rest = end_slot(watch)?;
    let (after, totals) = (lab.watched().counters()?, watch.totals()?);
    Ok(Round {
        drained,
        arrived: after.rx_packets - before.rx_packets,
        seen: totals.seen - totals_before.seen,
        sourced: drained.sourced + rest.sourced,
        refused: totals.sources_refused - totals_before.sources_refused,
        meanwhile,
        dropped: meanwhile.packets.saturating_sub(after.rx_packets - filled.rx_packets),
    })
}

/// How long both ways of emptying the kernel's maps take, and how many entries there are.
struct References {
    entries: u64,
    by_key: Vec<Took>,
    in_batches: Vec<Took>,
}

fn references(options: &Options) -> anyhow::Result<References> {
    let mut scatter = Scatter::load(options.entries)?;
    scatter.hand_to_reference("reference_count")?;
    let traffic = Traffic::ipv4(Kind::Syn).new_sources(options.entries);
    let mut references = References { entries: 0, by_key: Vec::new(), in_batches: Vec::new() };
    for _ in 0..options.rounds {
        scatter.run(&traffic, options.entries)?;
        let ((entries, packets), took) = timed(|| scatter.empty_by_key())?;
        ensure!(packets == u64::from(options.entries), "{packets} packets were in the kernel's maps");
        references.by_key.push(took);
        scatter.run(&traffic, options.entries)?;
        let (in_batches, took) = timed(|| scatter.empty_in_batches())?;
        ensure!((entries, packets) == in_batches, "the two ways found different counts");
        references.in_batches.push(took);
        references.entries = entries;
    }
    Ok(references)
}

struct Report<'a> {
    options: &'a Options,
    rounds: Vec<Round>,
    references: References,
}

/// What was measured of one way.
struct Row {
    name: &'static str,
    entries: u64,
    wall_ms: f64,
    cpu_ms: f64,
}

impl Report<'_> {
    fn rows(&self) -> [Row; 5] {
        let entries = |round: &Round| round.drained.sources + round.drained.targets;
        let entries = self.rounds.iter().map(entries).max().unwrap_or(0);
        let row = |name, entries, took: &mut dyn Iterator<Item = Took>| {
            let took: Vec<_> = took.collect();
            let ms = |time: fn(&Took) -> Duration| {
                median(took.iter().map(|took| time(took).as_secs_f64() * 1000.0).collect())
            };
            Row { name, entries, wall_ms: ms(|took| took.wall), cpu_ms: ms(|took| took.cpu) }
        };
        let of = |took: fn(&Round) -> Took| self.rounds.iter().map(took);
        let References { entries: kernel, by_key, in_batches } = &self.references;
        [
            row("netwatch, swap", entries, &mut of(|round| round.drained.swap)),
            row("netwatch, drain", entries, &mut of(|round| round.drained.drain)),
            row(
                "netwatch, both",
                entries,
                &mut of(|round| {
                    let Drained { swap, drain, .. } = round.drained;
                    Took { wall: swap.wall + drain.wall, cpu: swap.cpu + drain.cpu }
                }),
            ),
            row("hash maps, by key", *kernel, &mut by_key.iter().copied()),
            row("hash maps, batches", *kernel, &mut in_batches.iter().copied()),
        ]
    }

    /// Packets that arrived and are neither in a drained slot nor among those that found no room.
    fn lost(&self) -> u64 {
        let lost = |round: &Round| round.arrived.abs_diff(round.seen) + round.seen.abs_diff(round.sourced);
        self.rounds.iter().map(lost).sum()
    }

    fn sum(&self, value: impl Fn(&Round) -> u64) -> u64 {
        self.rounds.iter().map(value).sum()
    }

    fn print(&self) {
        let rows: Vec<_> = self
            .rows()
            .iter()
            .map(|row| {
                let ns = row.cpu_ms * 1e6 / float(row.entries.max(1));
                vec![
                    row.name.to_owned(),
                    row.entries.to_string(),
                    format!("{:.1}", row.wall_ms),
                    format!("{:.1}", row.cpu_ms),
                    format!("{ns:.0}"),
                ]
            })
            .collect();
        table::print(&["emptying", "entries", "wall ms", "CPU ms", "CPU ns/entry"], &rows);
        println!();
        println!(
            "packets arrived {}, seen {}, drained {}, found no room {}; lost: {}",
            self.sum(|round| round.arrived),
            self.sum(|round| round.seen),
            self.sum(|round| round.sourced),
            self.sum(|round| round.refused),
            self.lost(),
        );
        println!(
            "while slots were swapped and drained: {} packets sent, of which the interface's queue dropped {}",
            self.sum(|round| round.meanwhile.packets),
            self.sum(|round| round.dropped),
        );
        println!(
            "medians of {} rounds. {} sources with one target each, in maps of {} MiB; the hash maps are per CPU, one of \
             sources and one of their ports. The program goes on counting meanwhile.",
            self.options.rounds, self.options.entries, self.options.map_memory,
        );
    }

    fn to_json(&self) -> Value {
        let rows = self.rows().map(|row| {
            json!({ "name": row.name, "entries": row.entries, "wall_ms": row.wall_ms, "cpu_ms": row.cpu_ms })
        });
        json!({
            "benchmark": "drain",
            "rounds": self.options.rounds,
            "sources": self.options.entries,
            "map_memory_bytes": self.options.map_memory << 20,
            "rows": rows,
            "packets_arrived": self.sum(|round| round.arrived),
            "packets_seen": self.sum(|round| round.seen),
            "packets_drained": self.sum(|round| round.sourced),
            "packets_refused": self.sum(|round| round.refused),
            "packets_lost": self.lost(),
            "packets_sent_meanwhile": self.sum(|round| round.meanwhile.packets),
            "packets_dropped_by_queue_meanwhile": self.sum(|round| round.dropped),
        })
    }
}
