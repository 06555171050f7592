//! How netwatch is, at length and in short.

use std::collections::BTreeMap;

use netwatch_common::Totals;
use serde::Serialize;
use utoipa::ToSchema;

use super::seconds;
use crate::analysis::Counters;
use crate::analysis::transition::Suppression;
use crate::report::Time;
use crate::report::snapshot::{InterfaceState, OutputState, Snapshot, StoreState};

/// How netwatch is.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Status {
    /// netwatch's version.
    pub version: &'static str,
    /// What sets this run apart from others.
    pub run: String,
    /// The name of this machine.
    pub host: String,
    /// When the run began.
    pub started_at: Time,
    /// When this was so.
    pub at: Time,
    /// Why netwatch is not ready; null where it is.
    pub trouble: Option<String>,
    /// What keeps the watch from being whole, the worst first; empty where nothing does.
    pub degraded: Vec<String>,
    /// How often counts are read, in seconds.
    pub slot_s: f64,
    /// How far back rules look, in seconds.
    pub window_s: f64,
    /// How long the last reading took, in seconds.
    pub drain_s: f64,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Incidents so far.
    pub incidents: Lives,
    /// Openings held back, by reason.
    pub suppressed: BTreeMap<&'static str, u64>,
    /// Whether the last reading of the configuration succeeded.
    pub config_is_good: bool,
    /// Lines that were not written to stdout because nobody read fast enough.
    pub stdout_dropped: u64,
    /// Where alerts go.
    pub outputs: Vec<Output>,
    /// How the history is kept.
    pub history: Store,
    /// The server itself.
    pub server: Server,
}

/// How many incidents there were.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Lives {
    /// Opened.
    pub opened: u64,
    /// Updates of open ones.
    pub updated: u64,
    /// Closed.
    pub closed: u64,
    /// Open now.
    pub open: u64,
}

impl From<&Counters> for Lives {
    fn from(counters: &Counters) -> Self {
        let Counters { opened, updated, closed, .. } = *counters;
        Self { opened, updated, closed, open: counters.open() }
    }
}

/// Openings held back, by reason.
pub(in crate::web) fn suppressed(counters: &Counters) -> BTreeMap<&'static str, u64> {
    Suppression::ALL.into_iter().map(|reason| (reason.name(), counters.suppressed(reason))).collect()
}

/// An interface.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Interface {
    /// Its name.
    pub name: String,
    /// How the program is attached, `native` or `generic`; null while it is not.
    pub mode: Option<&'static str>,
    /// How replies are told from probes: `flows` or `flags`.
    pub confidence: &'static str,
    /// Whether services are being learned.
    pub is_learning: bool,
    /// Packets seen.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Counts, hints and slots that were lost, by what they are; those that are not zero.
    pub lost: BTreeMap<&'static str, u64>,
    /// The last slot.
    pub slot: Slot,
}

/// A slot.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Slot {
    /// How long it was, in seconds.
    pub length_s: f64,
    /// Sources with an entry.
    pub sources: u64,
    /// Pairs of source and target with an entry.
    pub targets: u64,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl From<&InterfaceState> for Interface {
    fn from(state: &InterfaceState) -> Self {
        Self {
            name: state.name.to_string(),
            mode: state.mode,
            confidence: state.confidence,
            is_learning: state.is_learning,
            packets: state.totals.seen,
            bytes: state.totals.bytes,
            lost: lost(state).into_iter().filter(|(_, count)| *count > 0).collect(),
            slot: Slot {
                length_s: seconds(state.slot_ns),
                sources: state.slot_sources,
                targets: state.slot_targets,
                packets: state.slot_packets,
                bytes: state.slot_bytes,
            },
        }
    }
}

/// What an interface lost, by name.
pub(in crate::web) fn lost(state: &InterfaceState) -> [(&'static str, u64); 9] {
    let Totals { sources_refused, targets_refused, targets_lost, hints_lost, hints_withheld, .. } =
        state.totals;
    let Totals { flows_lost, samples_lost, samples_withheld, listed_lost, .. } = state.totals;
    [
        ("sources_refused", sources_refused),
        ("targets_refused", targets_refused),
        ("targets_lost", targets_lost),
        ("hints_lost", hints_lost),
        ("hints_withheld", hints_withheld),
        ("flows_lost", flows_lost),
        ("samples_lost", samples_lost),
        ("samples_withheld", samples_withheld),
        ("listed_lost", listed_lost),
    ]
}

/// An output.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Output {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// What was delivered.
    pub delivered: u64,
    /// What was dropped.
    pub dropped: u64,
    /// Failed tries.
    pub failures: u64,
    /// What waits.
    pub queued: u64,
    /// Why the last try failed; null after one that succeeded.
    pub trouble: Option<String>,
}

impl From<&OutputState> for Output {
    fn from(output: &OutputState) -> Self {
        Self {
            name: output.name.to_string(),
            kind: output.kind,
            delivered: output.delivered,
            dropped: output.dropped,
            failures: output.failures,
            queued: output.queued,
            trouble: output.trouble.clone(),
        }
    }
}

/// The history.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Store {
    /// The file; null where only memory is used.
    pub file: Option<String>,
    /// Why the file cannot be written at the moment.
    pub trouble: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Incidents in it.
    pub incidents: u64,
    /// What was written.
    pub written: u64,
    /// What was dropped because there was no room to wait.
    pub dropped: u64,
    /// What waits to be written.
    pub waiting: u64,
    /// What was removed because of its age, or for want of room.
    pub removed: u64,
    /// Failed writes.
    pub failures: u64,
}

impl From<&StoreState> for Store {
    fn from(store: &StoreState) -> Self {
        Self {
            file: store.file.clone(),
            trouble: store.trouble.clone(),
            bytes: store.bytes,
            incidents: store.incidents,
            written: store.written,
            dropped: store.dropped,
            waiting: store.waiting,
            removed: store.removed,
            failures: store.failures,
        }
    }
}

/// The server.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Server {
    /// Connections now.
    pub connections: u64,
    /// Streams now.
    pub streams: u64,
    /// What was refused or ended early, by reason; those that are not zero.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Data of a `stats`: the state in short.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Stats {
    /// When that is.
    at: Time,
    /// Incidents that are open.
    open: u64,
    /// Lines, counts and hints that were lost, of all kinds together.
    lost: u64,
    /// The last slot of each interface.
    interfaces: Vec<InterfaceStats>,
}

/// An interface in short.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct InterfaceStats {
    /// Its name.
    name: String,
    /// Packets a second.
    packets_per_s: f64,
    /// Bytes a second.
    bytes_per_s: f64,
    /// Sources with an entry.
    sources: u64,
}

impl From<&Snapshot> for Stats {
    fn from(snapshot: &Snapshot) -> Self {
        let per_second = |count: u64, state: &InterfaceState| match seconds(state.slot_ns) {
            length if length > 0.0 => (count as f64 / length * 10.0).round() / 10.0,
            _ => 0.0,
        };
        let interface = |state: &InterfaceState| InterfaceStats {
            name: state.name.to_string(),
            packets_per_s: per_second(state.slot_packets, state),
            bytes_per_s: per_second(state.slot_bytes, state),
            sources: state.slot_sources,
        };
        Self {
            at: snapshot.at,
            open: snapshot.counters.open(),
            lost: snapshot.interfaces.iter().flat_map(lost).map(|(_, count)| count).sum(),
            interfaces: snapshot.interfaces.iter().map(interface).collect(),
        }
    }
}
