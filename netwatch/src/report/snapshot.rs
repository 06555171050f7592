//! How netwatch is: what the loop publishes at the end of each slot, and everybody who asks gets, the newest only.

use core::net::IpAddr;
use std::sync::Arc;

use netwatch_common::{Class, Proto, Totals};

use super::Time;
use crate::analysis::{Counters, RuleId, Severity};
use crate::drained::Drained;

/// Most sources, and most ports, of an interface in a snapshot.
pub const BUSIEST: usize = 100;

/// How netwatch is at a time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When that is.
    pub at: Time,
    /// The same in monotonic nanoseconds: clocks of people are set.
    pub at_ns: u64,
    /// What stays as it is.
    pub run: Arc<Run>,
    /// How often a snapshot is made, in nanoseconds: the length of a slot.
    pub slot_ns: u64,
    /// How far back rules look, in nanoseconds.
    pub window_ns: u64,
    /// The interfaces, in the order of the configuration.
    pub interfaces: Vec<InterfaceState>,
    /// The busiest sources of the window, by packets, so many of each interface.
    pub sources: Vec<BusySource>,
    /// The busiest destination ports of the last slot, by packets, so many of each interface.
    pub ports: Vec<BusyPort>,
    /// What was told and what was held back.
    pub counters: Counters,
    /// Incidents by rule and weight: counted when one is opened, and once more when it rises to another weight.
    pub alerts: [[u64; Severity::COUNT]; RuleId::COUNT],
    /// Feeds in use.
    pub feeds: Vec<FeedState>,
    /// The configuration in effect, as TOML.
    pub config: Arc<str>,
    /// Whether the last reading of the configuration succeeded; true where it was never read again.
    pub config_is_good: bool,
    /// Lines of alerts that were not written to stdout because nobody read fast enough.
    pub stdout_dropped: u64,
    /// What became of what the outputs were given.
    pub outputs: Vec<OutputState>,
    /// How the history is kept.
    pub store: StoreState,
    /// How long the last drain took, over all interfaces, in nanoseconds.
    pub drain_ns: u64,
}

/// What stays as it is as long as netwatch runs.
#[derive(Clone, Debug)]
pub struct Run {
    /// netwatch's version.
    pub version: &'static str,
    /// What sets this run apart from others.
    pub id: String,
    /// The name of this machine.
    pub host: String,
    /// When it began.
    pub started_at: Time,
}

/// One interface.
#[derive(Clone, Debug)]
pub struct InterfaceState {
    /// Its name.
    pub name: Box<str>,
    /// How the program is attached, `native` or `generic`; none while it is not.
    pub mode: Option<&'static str>,
    /// How replies are told from probes: `flows` or `flags`.
    pub confidence: &'static str,
    /// Whether services are being learned.
    pub is_learning: bool,
    /// What the kernel counted, as of the last slot.
    pub totals: Totals,
    /// What was drained of that.
    pub drained: Drained,
    /// Sources with an entry in the last slot.
    pub slot_sources: u64,
    /// Pairs of source and target with an entry in the last slot.
    pub slot_targets: u64,
    /// Packets in the last slot.
    pub slot_packets: u64,
    /// Bytes in the last slot.
    pub slot_bytes: u64,
    /// What found no room in the last slot: see [`without_room`].
    pub slot_lost: u64,
    /// How long the last slot was, in nanoseconds.
    pub slot_ns: u64,
}

/// What found no room so far: packets counted without all of their names, flows, hints, samples and sightings of listed
/// addresses. What was held back on purpose is not among it.
#[must_use]
pub const fn without_room(totals: &Totals) -> u64 {
    let Totals {
        sources_refused, targets_refused, flows_lost, hints_lost, samples_lost, listed_lost, ..
    } = *totals;
    sources_refused
        .saturating_add(targets_refused)
        .saturating_add(flows_lost)
        .saturating_add(hints_lost)
        .saturating_add(samples_lost)
        .saturating_add(listed_lost)
}

/// A busy source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusySource {
    /// The interface.
    pub interface: Box<str>,
    /// The address, or the network that it is accounted with.
    pub source: Box<str>,
    /// The address, or the first one of the network.
    pub addr: IpAddr,
    /// How many leading bits of it are accounted.
    pub bits: u8,
    /// Packets in the window.
    pub packets: u64,
    /// Bytes in the window.
    pub bytes: u64,
    /// Packets by class.
    pub classes: [u64; Class::COUNT],
    /// Handshakes completed.
    pub completed: u64,
    /// When the first packet came.
    pub first_seen: Time,
    /// When the last one did.
    pub last_seen: Time,
}

/// A busy port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusyPort {
    /// The interface.
    pub interface: Box<str>,
    /// The protocol.
    pub proto: Proto,
    /// The destination port.
    pub port: u16,
    /// Packets to it.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Sources that sent them, each counted once for each destination.
    pub flows: u64,
}

/// One feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedState {
    /// Its name.
    pub name: Box<str>,
    /// Its file.
    pub file: Box<str>,
    /// Entries in use.
    pub entries: u64,
    /// Whether it is in use: it has not ended, and could be read.
    pub is_live: bool,
    /// When its file was written last, if that is known.
    pub written_at: Option<Time>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputState {
    /// Its name.
    pub name: Arc<str>,
    /// What it is: `file`, `syslog` and so on.
    pub kind: &'static str,
    /// What was delivered.
    pub delivered: u64,
    /// What was dropped because its queue was full, or it refused it for good, or netwatch stopped.
    pub dropped: u64,
    /// Failed tries to deliver.
    pub failures: u64,
    /// What waits.
    pub queued: u64,
    /// Why the last try failed; none after one that succeeded.
    pub trouble: Option<String>,
}

/// How the history is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// The file; none where only memory is used on purpose.
    pub file: Option<String>,
    /// Why the file cannot be written at the moment; what comes is kept in memory until it can.
    pub trouble: Option<String>,
    /// Bytes of the file, as of the last look.
    pub bytes: u64,
    /// Incidents in it.
    pub incidents: u64,
    /// Steps of incidents, and window summaries, that were written.
    pub written: u64,
    /// What was dropped because there was no room to wait for the disk.
    pub dropped: u64,
    /// What waits in memory to be written.
    pub waiting: u64,
    /// Incidents and summaries removed because of their age, or for want of room.
    pub removed: u64,
    /// Failed writes.
    pub failures: u64,
}
