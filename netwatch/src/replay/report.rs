//! What `netwatch replay --summary` prints: one report of all that was replayed, for people or machines.

mod json;
mod text;

use jiff::Timestamp;
use netwatch_common::{Class, Service, Totals, Verdict};

use crate::analysis::Counters;
use crate::sinks::Wall;

pub use json::json;
pub use text::text;

/// What there is to tell of a replay besides what [`Tally`](super::tally::Tally) collects.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Names of the files, in the order in which they were replayed.
    pub files: Vec<String>,
    /// When the first packet was recorded, in nanoseconds since 1970 in UTC; none where there is no packet.
    pub first_ns: Option<i64>,
    /// When the last packet was recorded, likewise.
    pub last_ns: Option<i64>,
    /// Whether somebody stopped it before the end.
    pub is_stopped: bool,
    /// Packets that came a slot or more after their time, and those without one; both are counted when they came.
    pub late: u64,
    /// See [`late`](Self::late).
    pub without_time: u64,
    /// What counted: `host` or `kernel`.
    pub engine: &'static str,
    /// How replies were told: `mirror`, `host` or `flags`.
    pub replies: &'static str,
    /// Networks that are ours; none where that is not known.
    pub local: Vec<String>,
    /// Where these networks, or that there are none, are a guess: why, in a sentence.
    pub guessed: Option<String>,
    /// With how many bits of their addresses IPv6 sources were accounted.
    pub ipv6_bits: u8,
    /// What was counted.
    pub totals: Totals,
    /// Packets that were not replayed, by reason.
    pub skipped: Vec<(String, u64)>,
    /// What was wrong with the files, a sentence each.
    pub problems: Vec<String>,
    /// The wall clock at the monotonic times of slots and transitions.
    pub wall: Wall,
    /// What was told and held back.
    pub counters: Counters,
}

impl Facts {
    /// From the first packet to the last, in nanoseconds.
    fn length_ns(&self) -> Option<u64> {
        let (first, last) = (self.first_ns?, self.last_ns?);
        Some(last.max(first).abs_diff(first))
    }

    /// Packets that were not replayed.
    fn not_replayed(&self) -> u64 {
        self.skipped.iter().fold(0, |sum, (_, packets)| sum.saturating_add(*packets))
    }

    /// The classes that have packets, with their number.
    fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Class::ALL.into_iter().map(|class| (class.name(), self.totals.class(class)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// Of malformed and other packets, what they are.
    fn by_verdict(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let verdicts = Verdict::ALL.into_iter();
        let vague = verdicts.filter(|verdict| matches!(verdict.class(), Class::Malformed | Class::Other));
        let counts = vague.map(|verdict| (verdict.name(), self.totals.verdict(verdict)));
        counts.filter(|(_, count)| *count > 0)
    }
}

/// What was sent to: `tcp/22`, or the class of what has no port.
fn service(service: Service) -> String {
    match service.port() {
        Some((proto, port)) => format!("{}/{port}", proto.name()),
        None if service == Service::PROBE => Class::IcmpProbe.name().to_owned(),
        None if service == Service::FRAGMENT => Class::Fragment.name().to_owned(),
        None if service == Service::LUMP => "any".to_owned(),
        None => Class::Other.name().to_owned(),
    }
}

/// A time since 1970, in UTC.
fn since_1970(ns: i64) -> Timestamp {
    // A timestamp reaches to the year 9999, and 64 bits of nanoseconds to 2262.
    Timestamp::from_nanosecond(ns.into()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
