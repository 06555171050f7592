//! What happens to an incident, with everything an alert must explain.

use core::net::IpAddr;
use std::sync::Arc;

use netwatch_common::{Class, Proto, Techniques};

use super::detail::Detail;
use super::limits::FIRST_DESTS;
use super::ports::PortSummary;
use super::rules::{RuleId, Severity};
use super::slot::Confidence;

/// One step in the life of an incident.
///
/// Times are monotonic nanoseconds; the wall clock is added where it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What happened.
    pub state: State,
    /// When it happened.
    pub at_ns: u64,
    /// Which incident of this run, from 1 on; the same in all its transitions. One of an earlier run has a number above
    /// all of these, and a name.
    pub incident: u64,
    /// What an earlier run called it, where one has opened it.
    pub name: Option<Arc<str>>,
    /// The rule that was broken.
    pub rule: RuleId,
    /// The protocol, where the rule looks at one.
    pub proto: Option<Proto>,
    /// The highest severity so far.
    pub severity: Severity,
    /// How much it weighs where it is decided who is told; [`Severity::Info`] is recorded only.
    pub weight: Severity,
    /// The source that it is about; none where the rule is about a destination or netwatch itself.
    pub source: Option<Peer>,
    /// The destination that it is about; none where the rule is about a source or netwatch itself.
    pub dest: Option<IpAddr>,
    /// The destination port that it is about, where the rule looks at one.
    pub port: Option<u16>,
    /// Name of the interface on which it was seen.
    pub interface: Box<str>,
    /// What is counted, in the plural: mostly [`Rule::unit`](super::rules::Rule::unit).
    pub unit: &'static str,
    /// What the window holds now, in units.
    pub observed: u64,
    /// The most that a window held so far, in units.
    pub peak: u64,
    /// What is tolerated, in units.
    pub threshold: u64,
    /// Length of the window: that of a full one, or more where a slot was drained late.
    pub window_ns: u64,
    /// How replies were told from probes.
    pub confidence: Confidence,
    /// Ports with evidence in the window that set the peak: of the rule's protocol, or else of the one with
    /// more evidence.
    pub ports: PortSummary,
    /// Destinations that a source tried, where that matters.
    pub dests: DestSummary,
    /// How many sources took part, where the rule is about a destination; 0 elsewhere.
    pub sources: u64,
    /// How the source, or all sources together, probed.
    pub techniques: Techniques,
    /// Packets by [`Class`] of the source, or to the destination: in the window, or at a close during the whole
    /// incident.
    pub evidence: [u64; Class::COUNT],
    /// Those packets during the incident, from the beginning of the window in which it began.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Whether the source, or most sources, may be forged: no handshake was completed.
    pub spoofable: bool,
    /// Whether something that should have been counted within the window was not.
    pub degraded: bool,
    /// When the first of them came.
    pub first_ns: u64,
    /// When the last of them came.
    pub last_ns: u64,
    /// When the threshold was crossed: earlier than the open transition where that was held back.
    pub opened_ns: u64,
    /// How often the opening of this incident was held back ([`Suppression`]) since its last close.
    pub suppressed: u64,
    /// Which feed or signature it is about, where it is about one, and what is known of it.
    pub detail: Option<Arc<Detail>>,
    /// The file in which packets of the source are kept. Nothing here sets it: whoever keeps them does.
    pub evidence_file: Option<Arc<str>>,
}

/// A source as it is told: an address, or the network that it is accounted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address, or the first one of the network.
    pub addr: IpAddr,
    /// Length of the network's prefix: that of the whole address where it is accounted by itself.
    pub bits: u8,
    /// The only host of the network that was seen, where there was one only.
    pub host: Option<IpAddr>,
}

/// The destinations that one source tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestSummary {
    /// How many.
    pub distinct: u64,
    first: [Option<IpAddr>; FIRST_DESTS],
}

impl DestSummary {
    /// Adds one destination; each at most once.
    pub fn add(&mut self, dest: IpAddr) {
        let index = usize::try_from(self.distinct).ok();
        if let Some(free) = index.and_then(|index| self.first.get_mut(index)) {
            *free = Some(dest);
        }
        self.distinct += 1;
    }

    /// The first of them: all, or [`FIRST_DESTS`].
    pub fn first(&self) -> impl Iterator<Item = IpAddr> {
        self.first.into_iter().flatten()
    }
}

/// What the cap on notifications held back within a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// When the minute ended, in monotonic nanoseconds.
    pub at_ns: u64,
    /// The cap: [`Policy::notifications_per_minute`](super::Policy::notifications_per_minute).
    pub cap: u64,
    /// The highest weight of what was held back, and [`Severity::Low`] at least.
    pub weight: Severity,
    /// Openings held back, by rule.
    pub openings: [u64; RuleId::COUNT],
    /// Updates held back.
    pub updates: u64,
}

impl Transition {
    /// The classes that are in evidence, with their packets.
    pub fn by_class(&self) -> impl Iterator<Item = (Class, u64)> {
        Class::ALL.into_iter().zip(self.evidence).filter(|(_, count)| *count > 0)
    }
}

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It began.
    Open,
    /// It goes on: ten times as much as last told, more severe, or still there after a while.
    Update,
    /// It ended.
    Close(CloseReason),
}

impl State {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Close(_) => "close",
        }
    }
}

/// Why an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The source was quiet for two windows.
    Quiet,
    /// netwatch stopped while the incident was open.
    Shutdown,
    /// The source was put on the allow-list.
    Allowed,
    /// The rule was switched off.
    Disabled,
}

impl CloseReason {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Shutdown => "shutdown",
            Self::Allowed => "allowed",
            Self::Disabled => "disabled",
        }
    }
}

/// Why the opening of an incident was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Suppression {
    /// The packets are those of a scan by the same source, which has an incident of its own.
    PartOfScan,
    /// The packets are those of a flood that has an incident of its own.
    PartOfFlood,
    /// There are more notifications than [`Policy::notifications_per_minute`](super::Policy): it waits for the next
    /// minute.
    OverCap,
    /// The same incident closed less than an hour ago.
    MutedAfterClose,
    /// The rule has [`OPEN_INCIDENTS`](super::limits::OPEN_INCIDENTS) incidents already.
    TooManyOpen,
    /// The allow-list says that the source may do this.
    Allowed,
}

impl Suppression {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 6] = [
        Self::PartOfScan,
        Self::PartOfFlood,
        Self::OverCap,
        Self::MutedAfterClose,
        Self::TooManyOpen,
        Self::Allowed,
    ];

    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PartOfScan => "part_of_scan",
            Self::PartOfFlood => "part_of_flood",
            Self::OverCap => "over_cap",
            Self::MutedAfterClose => "muted_after_close",
            Self::TooManyOpen => "too_many_open",
            Self::Allowed => "allowed",
        }
    }
}

/// What was told and what was held back since the start; never reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Incidents opened.
    pub opened: u64,
    /// Incidents of an earlier run that were continued.
    pub resumed: u64,
    /// Updates of open incidents.
    pub updated: u64,
    /// Incidents closed.
    pub closed: u64,
    /// Closed incidents forgotten early because there were more than
    /// [`CLOSED_INCIDENTS`](super::limits::CLOSED_INCIDENTS): their reopening is not muted.
    pub forgotten: u64,
    suppressed: [u64; Suppression::COUNT],
}

impl Counters {
    /// Incidents open now.
    #[must_use]
    pub const fn open(&self) -> u64 {
        (self.opened + self.resumed).saturating_sub(self.closed)
    }

    /// Openings held back for this reason. One that stays held back counts once, except
    /// [`Suppression::TooManyOpen`], of which nothing is remembered: it counts at each evaluation.
    #[must_use]
    pub const fn suppressed(&self, reason: Suppression) -> u64 {
        self.suppressed[reason as usize]
    }

    pub(super) const fn suppress(&mut self, reason: Suppression) {
        self.suppressed[reason as usize] += 1;
    }
}
