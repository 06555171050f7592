//! What answers are made of, besides what [`report`](crate::report) has.

mod status;

use std::collections::BTreeMap;

use netwatch_common::Class;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::analysis::rules::Rule;
use crate::guide;
use crate::report::snapshot::{BusyPort, BusySource, FeedState, InterfaceState};
use crate::report::{Incident, Time, WindowSummary};
pub(super) use status::{Interface, Lives, Output, Server, Stats, Status, Store, lost, suppressed};

/// Why there is no answer.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Problem {
    /// A sentence that says what to do.
    pub error: String,
}

/// Incidents, or a part of them.
#[derive(Serialize, ToSchema)]
pub(super) struct Incidents {
    /// What was asked for.
    pub items: Vec<Incident>,
    /// Where to go on, as `cursor`; null where there is no more.
    pub next: Option<String>,
}

/// Windows, or a part of them.
#[derive(Serialize, ToSchema)]
pub(super) struct Windows {
    /// What was asked for, the newest first.
    pub items: Vec<WindowSummary>,
    /// Where to go on, as `cursor`; null where there is no more.
    pub next: Option<String>,
}

/// What is true at a time.
#[derive(Serialize, ToSchema)]
pub(super) struct AsOf<T: ToSchema> {
    /// When that is.
    pub at: Time,
    /// What was asked for.
    pub items: Vec<T>,
}

/// A busy source.
#[derive(Serialize, ToSchema)]
pub(super) struct Source {
    /// The interface.
    pub interface: String,
    /// The address, or the network that it is accounted with.
    pub source: String,
    /// Packets in the window.
    pub packets: u64,
    /// Bytes in the window.
    pub bytes: u64,
    /// Packets by class.
    pub classes: BTreeMap<&'static str, u64>,
    /// Handshakes completed.
    pub completed: u64,
    /// When the first packet came.
    pub first_seen: Time,
    /// When the last one did.
    pub last_seen: Time,
}

impl From<&BusySource> for Source {
    fn from(busy: &BusySource) -> Self {
        Self {
            interface: busy.interface.to_string(),
            source: busy.source.to_string(),
            packets: busy.packets,
            bytes: busy.bytes,
            classes: classes(|class| busy.classes[class as usize]),
            completed: busy.completed,
            first_seen: busy.first_seen,
            last_seen: busy.last_seen,
        }
    }
}

/// What is known of one source.
#[derive(Serialize, ToSchema)]
pub(super) struct SourceDetail {
    /// When that is.
    pub at: Time,
    /// The address that was asked for.
    pub address: String,
    /// What it sends now, where it is among the busiest; once for each interface.
    pub now: Vec<Source>,
    /// Its last incidents, the newest first.
    pub incidents: Vec<Incident>,
}

/// A busy port.
#[derive(Serialize, ToSchema)]
pub(super) struct Port {
    /// The interface.
    pub interface: String,
    /// `tcp` or `udp`.
    pub proto: &'static str,
    /// The destination port.
    pub port: u16,
    /// Packets to it.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Sources that sent them, each counted once for each destination.
    pub flows: u64,
}

impl From<&BusyPort> for Port {
    fn from(busy: &BusyPort) -> Self {
        Self {
            interface: busy.interface.to_string(),
            proto: busy.proto.name(),
            port: busy.port,
            packets: busy.packets,
            bytes: busy.bytes,
            flows: busy.flows,
        }
    }
}

/// Packets of an interface by class, since netwatch watches it.
#[derive(Serialize, ToSchema)]
pub(super) struct Classes {
    /// The interface.
    pub interface: String,
    /// Packets by class; all classes are there.
    pub packets: BTreeMap<&'static str, u64>,
}

impl From<&InterfaceState> for Classes {
    fn from(state: &InterfaceState) -> Self {
        let packets = Class::ALL.into_iter().map(|class| (class.name(), state.totals.class(class))).collect();
        Self { interface: state.name.to_string(), packets }
    }
}

/// A feed.
#[derive(Serialize, ToSchema)]
pub(super) struct Feed {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Entries in use.
    pub entries: u64,
    /// Whether it is in use: it has not ended, and could be read.
    pub is_live: bool,
    /// When its file was written last, if that is known.
    pub written_at: Option<Time>,
}

impl From<&FeedState> for Feed {
    fn from(feed: &FeedState) -> Self {
        Self {
            name: feed.name.to_string(),
            file: feed.file.to_string(),
            entries: feed.entries,
            is_live: feed.is_live,
            written_at: feed.written_at,
        }
    }
}

/// A rule, as it comes with netwatch.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleShape {
    /// Its name.
    pub name: &'static str,
    /// What it finds, in one sentence.
    pub summary: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// How many units are tolerated, unless configured otherwise.
    pub threshold: u64,
    /// How far back it looks: `window`, `slot`, or a time of its own.
    pub over: String,
    /// Severity of a finding, before it is raised by what is observed.
    pub severity: &'static str,
    /// Whether its incidents are told unless configured otherwise, or only recorded.
    pub notify: bool,
    /// The technique in MITRE ATT&CK; empty where there is none.
    pub attack_id: &'static str,
    /// Where it is explained.
    pub reference: String,
    /// What it measures.
    pub measures: &'static str,
    /// Why it fires.
    pub fires: &'static str,
    /// What looks alike and is not counted.
    pub spares: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

impl From<&Rule> for RuleShape {
    fn from(rule: &Rule) -> Self {
        Self {
            name: rule.name,
            summary: rule.summary,
            unit: rule.unit,
            threshold: rule.threshold,
            over: guide::over(rule),
            severity: rule.severity.name(),
            notify: rule.notifies(),
            attack_id: rule.attack_id,
            reference: guide::reference(rule),
            measures: rule.text.measures,
            fires: rule.text.fires,
            spares: rule.text.spares,
            advice: rule.text.advice,
        }
    }
}

/// The configuration in effect.
#[derive(Serialize, ToSchema)]
pub(super) struct Effective {
    /// As TOML, each line with its origin.
    pub toml: String,
    /// Whether the last reading of the file succeeded; true where it was never read again.
    pub is_good: bool,
}

/// Nanoseconds as seconds.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Those classes that have packets.
fn classes(count: impl Fn(Class) -> u64) -> BTreeMap<&'static str, u64> {
    let all = Class::ALL.into_iter().map(|class| (class.name(), count(class)));
    all.filter(|(_, packets)| *packets > 0).collect()
}
