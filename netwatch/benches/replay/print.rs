//! What was measured, for people and for programs.

use serde_json::{Value, json};

use crate::Options;
use crate::capture::Captures;
use crate::contender::{Contender, Outcome, TCPDUMP, Target, Traffic};
use crate::memory::Memory;

/// All that there is to tell.
pub struct Report<'a> {
    pub options: &'a Options,
    pub captures: &'a Captures,
    pub contenders: &'a [Contender],
    pub memory: Option<Memory>,
}

impl Report<'_> {
    pub fn print(&self) {
        for (traffic, what) in [
            (Traffic::Busy, "a busy network: short conversations and lookups, scans and floods"),
            (Traffic::Bulk, "long conversations"),
        ] {
            println!("{}: {what}", traffic.name());
            self.print_table(traffic);
            println!();
        }
        println!(
            "medians of {} rounds, and the largest memory; whole processes on one CPU, {} packets in {:.0} MB (busy) \
             and {:.0} MB (bulk), the Scapy loop the first {} of the busy ones. To tcpdump: packets a second as a part \
             of tcpdump's. Start: a capture of one packet; it is part of the other times.",
            self.options.rounds,
            self.captures.busy.packets,
            millions(self.captures.busy.bytes),
            millions(self.captures.bulk.bytes),
            self.captures.short.packets,
        );
        println!();
        for (contender, target) in self.targets() {
            let wanted = target.packets_per_second / 1e6;
            let (engine, traffic) = (target.engine, contender.traffic.name());
            match contender.result() {
                Err(reason) => {
                    println!("{engine} engine, {traffic}: not measured, target {wanted} M: {reason}");
                }
                Ok(outcome) => println!(
                    "{engine} engine, {traffic}: {:.2} M packets/s, target {wanted} M: {}",
                    outcome.packets_per_second() / 1e6,
                    if is_met(target, &outcome) { "met" } else { "missed" }
                ),
            }
        }
        if let Some(memory) = &self.memory {
            print_memory(memory);
        }
    }

    fn print_table(&self, traffic: Traffic) {
        let reference = self.reference(traffic);
        println!(
            "{:<24} {:>12} {:>10} {:>10} {:>11} {:>9} {:>9}",
            "program", "packets/s", "ns/packet", "CPU ns", "to tcpdump", "RSS MiB", "start ms"
        );
        for contender in self.contenders.iter().filter(|contender| contender.traffic == traffic) {
            match contender.result() {
                Err(reason) => println!("{:<24} {reason}", contender.name),
                Ok(outcome) => {
                    let ratio = ratio(&outcome, reference);
                    println!(
                        "{:<24} {:>12.0} {:>10.1} {:>10.1} {:>11} {:>9.1} {:>9.1}",
                        contender.name,
                        outcome.packets_per_second(),
                        outcome.ns_per_packet(),
                        outcome.cpu_ns_per_packet(),
                        ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.4}")),
                        mebibytes(outcome.rss_bytes),
                        outcome.start.as_secs_f64() * 1000.0,
                    );
                }
            }
        }
    }

    pub fn print_json(&self) {
        let programs: Vec<_> =
            self.contenders.iter().map(|each| program(each, self.reference(each.traffic))).collect();
        let targets: Vec<_> = self
            .targets()
            .map(|(contender, target)| {
                json!({
                    "engine": target.engine,
                    "traffic": contender.traffic.name(),
                    "target_packets_per_second": target.packets_per_second,
                    "met": contender.result().is_ok_and(|outcome| is_met(target, &outcome)),
                })
            })
            .collect();
        let result = json!({
            "benchmark": "replay",
            "rounds": self.options.rounds,
            "packets": self.captures.busy.packets,
            "bytes": { "busy": self.captures.busy.bytes, "bulk": self.captures.bulk.bytes },
            "programs": programs,
            "targets": targets,
            "memory": self.memory.as_ref().map(memory),
        });
        println!("{result}");
    }

    /// tcpdump's packets a second.
    fn reference(&self, traffic: Traffic) -> Option<f64> {
        let is_it = |contender: &&Contender| contender.name == TCPDUMP && contender.traffic == traffic;
        let tcpdump = self.contenders.iter().find(is_it)?;
        tcpdump.result().ok().map(|outcome| outcome.packets_per_second())
    }

    fn targets(&self) -> impl Iterator<Item = (&Contender, &Target)> {
        self.contenders.iter().filter_map(|contender| Some((contender, contender.target.as_ref()?)))
    }
}

fn is_met(target: &Target, outcome: &Outcome) -> bool {
    outcome.packets_per_second() >= target.packets_per_second
}

fn ratio(outcome: &Outcome, reference: Option<f64>) -> Option<f64> {
    reference.map(|reference| outcome.packets_per_second() / reference)
}

fn print_memory(memory: &Memory) {
    let (first, last) = memory.ends();
    println!();
    println!(
        "memory: {} packets in {:.2} GB through a pipe, {:.2} M packets/s; {:.1} MiB after three tenths, {:.1} MiB at the \
         end, {:.2} times as much: {}",
        memory.packets,
        millions(memory.bytes) / 1000.0,
        rate(memory) / 1e6,
        mebibytes(first),
        mebibytes(last),
        mebibytes(last) / mebibytes(first),
        if memory.is_constant() { "constant" } else { "it grows" }
    );
    let peaks: Vec<_> = memory.peaks.iter().map(|peak| format!("{:.1}", mebibytes(*peak))).collect();
    println!("MiB after each tenth: {}", peaks.join(" "));
}

fn program(contender: &Contender, reference: Option<f64>) -> Value {
    match contender.result() {
        Err(reason) => {
            json!({ "name": contender.name, "traffic": contender.traffic.name(), "missing": reason })
        }
        Ok(outcome) => json!({
            "name": contender.name,
            "traffic": contender.traffic.name(),
            "packets": contender.capture.packets,
            "packets_per_second": outcome.packets_per_second(),
            "ns_per_packet": outcome.ns_per_packet(),
            "cpu_ns_per_packet": outcome.cpu_ns_per_packet(),
            "to_tcpdump": ratio(&outcome, reference),
            "max_rss_bytes": outcome.rss_bytes,
            "start_ms": outcome.start.as_secs_f64() * 1000.0,
        }),
    }
}

fn memory(memory: &Memory) -> Value {
    let (first, last) = memory.ends();
    json!({
        "packets": memory.packets,
        "bytes": memory.bytes,
        "packets_per_second": rate(memory),
        "peak_bytes_after_tenths": memory.peaks,
        "ratio": mebibytes(last) / mebibytes(first),
        "constant": memory.is_constant(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
fn rate(memory: &Memory) -> f64 {
    memory.packets as f64 / memory.took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "bytes, for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "bytes, for people")]
fn millions(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
