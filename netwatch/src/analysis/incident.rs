//! The life of one incident: when it is told, told again, held back and ended.

use core::net::{IpAddr, Ipv6Addr};

use netwatch_common::{Addr, Class};

use super::finding::{Check, Evidence, Finding, Permit};
use super::rules::{Severity, Subject};
use super::slot::Confidence;
use super::stats::{Hosts, SourceStats};
use super::transition::{CloseReason, Peer, State, Suppression, Transition};

/// How long after a close the same incident is muted, in nanoseconds: 1 h.
pub const MUTE_NS: u64 = 3_600 * 1_000_000_000;

/// How often an incident that goes on is told again, in nanoseconds: 15 min.
pub const REMIND_NS: u64 = 900 * 1_000_000_000;

/// How many windows a source must be quiet before its incident ends.
pub const QUIET_WINDOWS: u64 = 2;

/// An incident is told again when it has grown by this factor.
pub const GROWTH: u64 = 10;

/// An interface, as [`Analysis`](super::Analysis) numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub(super) usize);

/// What makes two incidents the same one. Ordered by interface, then source or destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint {
    pub(super) interface: InterfaceId,
    /// The source or destination that the rule is about; zeros where it is about netwatch itself.
    pub(super) addr: Addr,
    pub(super) check: Check,
}

/// When and where an evaluation takes place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    /// Monotonic nanoseconds.
    pub(super) now_ns: u64,
    /// How far back the rule looks.
    pub(super) window_ns: u64,
    /// How far it really did: less at first, more where a slot was drained late.
    pub(super) covered_ns: u64,
    /// How long a source must be quiet before its incident ends.
    pub(super) patience_ns: u64,
    /// How replies were told.
    pub(super) confidence: Confidence,
    /// Whether something that should have been counted within the window was not.
    pub(super) degraded: bool,
    /// Name of the interface.
    pub(super) interface: &'a str,
    /// With how many bits of their addresses IPv6 sources are accounted.
    pub(super) ipv6_bits: u8,
}

impl Moment<'_> {
    /// The length of the window as it is told. Slots never end to the nanosecond; a quarter more is a stall
    /// that an alert must not hide.
    const fn told_window_ns(&self) -> u64 {
        let late = self.covered_ns > self.window_ns.saturating_add(self.window_ns / 4);
        if late { self.covered_ns } else { self.window_ns }
    }
}

/// What was sent since the last evaluation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sent {
    /// In the slot, or the part of it, that ended just now.
    Slot(SourceStats),
    /// In the slot that goes on, since it began.
    Early(SourceStats),
}

/// A breach of a rule that goes on, whether it was told or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incident {
    phase: Phase,
    opened_ns: u64,
    /// Since when the source has been quiet.
    quiet_since_ns: Option<u64>,
    threshold: u64,
    observed: u64,
    peak: u64,
    severity: Severity,
    /// The highest weight so far: what was told is told to its end.
    weight: Severity,
    /// What the window showed last; ports, destinations and sources are those at the peak.
    evidence: Evidence,
    /// What was sent in ended slots since the incident began.
    settled: SourceStats,
    /// What was sent in the slot that goes on, as far as is known.
    fresh: SourceStats,
    /// Whether anything was lost while it was open.
    degraded: bool,
    suppressed: u64,
    /// When the last minute began in which the cap on notifications held it back.
    waits_in_ns: Option<u64>,
    /// The close that may mute it.
    closed: Option<Closed>,
}

/// Whether an incident was told.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not told, for this reason; without a reason it is new.
    Held(Option<Suppression>),
    /// Told.
    Open(Notice),
}

/// What was told last about an open incident.
#[derive(Clone, Copy, Debug)]
struct Notice {
    number: u64,
    at_ns: u64,
    observed: u64,
}

/// What is remembered of an incident that was told and closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) at_ns: u64,
    pub(super) severity: Severity,
    /// Openings held back since.
    pub(super) suppressed: u64,
}

impl Closed {
    /// Whether a reopening is still muted.
    pub(super) const fn mutes(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.at_ns) < MUTE_NS
    }
}

/// What the next evaluation means for an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing to tell.
    Stay,
    /// It is held back, from now on for this reason.
    Hold(Suppression),
    /// It is to be told for the first time.
    Open,
    /// It is to be told again.
    Update,
    /// It is over.
    End(CloseReason),
}

impl Incident {
    /// A new incident; counts all that the window knows of it.
    pub(super) fn new(
        finding: &Finding,
        evidence: &Evidence,
        sent: &Sent,
        closed: Option<Closed>,
        now_ns: u64,
    ) -> Self {
        let (settled, fresh) = match sent {
            Sent::Slot(_) => (evidence.stats, SourceStats::default()),
            Sent::Early(now) => (evidence.stats.without(now), *now),
        };
        Self {
            phase: Phase::Held(None),
            opened_ns: now_ns,
            quiet_since_ns: None,
            threshold: finding.threshold,
            observed: finding.observed,
            peak: 0,
            severity: Severity::Info,
            weight: Severity::Info,
            evidence: *evidence,
            settled,
            fresh,
            degraded: false,
            suppressed: closed.map_or(0, |closed| closed.suppressed),
            waits_in_ns: None,
            closed,
        }
    }

    /// One that was told before, with what it showed last and all that was sent.
    pub(super) fn told_before(
        last: &Transition,
        number: u64,
        evidence: &Evidence,
        settled: SourceStats,
    ) -> Self {
        Self {
            phase: Phase::Open(Notice { number, at_ns: last.at_ns, observed: last.observed }),
            opened_ns: last.opened_ns,
            quiet_since_ns: None,
            threshold: last.threshold,
            observed: last.observed,
            peak: last.peak,
            severity: last.severity,
            weight: last.weight,
            evidence: *evidence,
            settled,
            fresh: SourceStats::default(),
            degraded: last.degraded,
            suppressed: last.suppressed,
            waits_in_ns: None,
            closed: None,
        }
    }

    /// Adds what was sent since the last evaluation. Windows overlap and cannot be added up.
    pub(super) fn add(&mut self, sent: &Sent) {
        match sent {
            // All of the slot, so also what was known of it before it ended.
            Sent::Slot(sent) => {
                self.settled.merge(sent);
                self.fresh = SourceStats::default();
            }
            Sent::Early(now) => self.fresh = *now,
        }
    }

    /// Takes note of the window and decides what that means.
    pub(super) fn next(&mut self, finding: &Finding, evidence: &Evidence, moment: &Moment<'_>) -> Next {
        self.observe(finding, evidence, moment);
        match (self.phase, finding.permit) {
            (_, Permit::Disabled) => return Next::End(CloseReason::Disabled),
            (Phase::Open(_), Permit::Allowed) => return Next::End(CloseReason::Allowed),
            _ if self.is_over(moment) => return Next::End(CloseReason::Quiet),
            _ => {}
        }
        match self.phase {
            Phase::Open(notice) if self.is_worth_an_update(&notice, finding, moment.now_ns) => Next::Update,
            Phase::Held(was) if finding.fires() => match self.reason_to_hold(finding, moment.now_ns) {
                None => Next::Open,
                reason if reason == was => Next::Stay,
                Some(reason) => {
                    self.hold(reason);
                    Next::Hold(reason)
                }
            },
            Phase::Open(_) | Phase::Held(_) => Next::Stay,
        }
    }

    /// Marks the incident as told now. `number` is only taken when it is told for the first time.
    pub(super) fn tell(&mut self, finding: &Finding, number: u64, now_ns: u64) {
        self.severity = self.severity.max(finding.severity);
        self.weight = self.weight.max(finding.weight);
        let number = self.number().unwrap_or(number);
        let notice = Notice { number, at_ns: now_ns, observed: finding.observed };
        self.phase = Phase::Open(notice);
    }

    /// Marks the incident as waiting to be told, or told again, in the minute that began at `minute_ns`. Returns
    /// whether that is new in this minute.
    pub(super) fn wait(&mut self, minute_ns: u64) -> bool {
        if matches!(self.phase, Phase::Held(reason) if reason != Some(Suppression::OverCap)) {
            self.hold(Suppression::OverCap);
        }
        self.waits_in_ns.replace(minute_ns) != Some(minute_ns)
    }

    /// Its number, once it was told.
    pub(super) const fn number(&self) -> Option<u64> {
        match self.phase {
            Phase::Open(notice) => Some(notice.number),
            Phase::Held(_) => None,
        }
    }

    /// What to remember of it after its end.
    pub(super) fn remains(&self, now_ns: u64) -> Option<Closed> {
        match self.phase {
            Phase::Open(_) => Some(Closed { at_ns: now_ns, severity: self.severity, suppressed: 0 }),
            Phase::Held(_) => self.closed.map(|closed| Closed { suppressed: self.suppressed, ..closed }),
        }
    }

    /// What is told of it.
    pub(super) fn transition(
        &self,
        state: State,
        number: u64,
        key: &Fingerprint,
        moment: &Moment<'_>,
    ) -> Transition {
        let mut life = self.settled;
        life.merge(&self.fresh);
        let evidence = match state {
            State::Open | State::Update => self.evidence.stats.classes,
            State::Close(_) => life.classes,
        };
        // Times are missing where only targets were counted.
        let known = |time_ns: u64| if time_ns == 0 { self.opened_ns } else { time_ns };
        let (source, dest) = match key.check.rule.rule().subject {
            Subject::Source | Subject::SourcePort => {
                (Some(peer(key.addr, moment.ipv6_bits, self.evidence.stats.hosts.union(life.hosts))), None)
            }
            Subject::Address => (Some(peer(key.addr, 128, Hosts::None)), None),
            Subject::Destination | Subject::DestinationPort => (None, Some(key.addr.into())),
            Subject::Itself => (None, None),
        };
        Transition {
            state,
            at_ns: moment.now_ns,
            incident: number,
            rule: key.check.rule,
            proto: key.check.proto(),
            severity: self.severity,
            weight: self.weight,
            source,
            dest,
            port: key.check.dest_port(),
            interface: moment.interface.into(),
            unit: key.check.unit(),
            observed: self.observed,
            peak: self.peak,
            threshold: self.threshold,
            window_ns: moment.told_window_ns(),
            confidence: moment.confidence,
            ports: self.evidence.ports,
            dests: self.evidence.dests,
            sources: self.evidence.sources,
            techniques: self.evidence.techniques,
            evidence,
            packets: life.packets(),
            bytes: life.bytes,
            first_ns: known(life.first_ns),
            last_ns: known(life.last_ns),
            spoofable: match key.check.rule.rule().subject {
                Subject::Source | Subject::SourcePort | Subject::Address => {
                    is_spoofable(&life, moment.confidence)
                }
                // Most of the sources.
                Subject::Destination | Subject::DestinationPort => {
                    life.completed * 2 < life.class(Class::Syn).max(1)
                }
                Subject::Itself => false,
            },
            degraded: self.degraded,
            opened_ns: self.opened_ns,
            suppressed: self.suppressed,
            detail: None,
            name: None,
            evidence_file: None,
        }
    }

    fn hold(&mut self, reason: Suppression) {
        self.phase = Phase::Held(Some(reason));
        self.suppressed += 1;
    }

    fn observe(&mut self, finding: &Finding, evidence: &Evidence, moment: &Moment<'_>) {
        self.observed = finding.observed;
        self.threshold = finding.threshold;
        self.degraded |= moment.degraded;
        let at_peak = self.evidence;
        self.evidence = *evidence;
        if finding.observed >= self.peak {
            self.peak = finding.observed;
        } else {
            self.evidence.ports = at_peak.ports;
            self.evidence.dests = at_peak.dests;
            self.evidence.sources = at_peak.sources;
        }
        self.evidence.techniques = at_peak.techniques.union(evidence.techniques);
        if finding.is_quiet() {
            self.quiet_since_ns.get_or_insert(moment.now_ns);
        } else {
            self.quiet_since_ns = None;
        }
    }

    fn is_over(&self, moment: &Moment<'_>) -> bool {
        let is_long = |since_ns| moment.now_ns.saturating_sub(since_ns) >= moment.patience_ns;
        self.quiet_since_ns.is_some_and(is_long)
    }

    fn is_worth_an_update(&self, last: &Notice, finding: &Finding, now_ns: u64) -> bool {
        !finding.is_quiet()
            && finding.explained != Some(Suppression::PartOfFlood)
            && (finding.observed >= last.observed.saturating_mul(GROWTH)
                || finding.severity > self.severity
                || now_ns.saturating_sub(last.at_ns) >= REMIND_NS)
    }

    fn reason_to_hold(&self, finding: &Finding, now_ns: u64) -> Option<Suppression> {
        let is_muted = |closed: Closed| closed.mutes(now_ns) && finding.severity <= closed.severity;
        if finding.permit == Permit::Allowed {
            Some(Suppression::Allowed)
        } else if finding.explained.is_some() {
            finding.explained
        } else if self.closed.is_some_and(is_muted) {
            Some(Suppression::MutedAfterClose)
        } else {
            None
        }
    }
}

/// Whether whoever sent this may have forged the address: nothing shows that answers arrived there. Where
/// handshakes are not counted, packets that look like those of a connection have to do.
fn is_spoofable(sent: &SourceStats, confidence: Confidence) -> bool {
    sent.completed == 0 && (confidence == Confidence::Flows || sent.class(Class::Known) == 0)
}

/// A source as it is told.
pub(crate) fn peer(addr: Addr, ipv6_bits: u8, hosts: Hosts) -> Peer {
    let shown = IpAddr::from(addr);
    match shown {
        IpAddr::V4(_) => Peer { addr: shown, bits: 32, host: None },
        // Everybody's network: its hosts are accounted by themselves.
        IpAddr::V6(local) if local.is_unicast_link_local() => Peer { addr: shown, bits: 128, host: None },
        IpAddr::V6(_) => {
            let host = only_host(addr, hosts, ipv6_bits).map(IpAddr::from);
            Peer { addr: shown, bits: ipv6_bits, host }
        }
    }
}

/// A source by its whole address where one host of its network only was seen, and by the network where that is not
/// known.
pub(super) fn host(addr: Addr, hosts: Hosts, ipv6_bits: u8) -> Addr {
    only_host(addr, hosts, ipv6_bits).unwrap_or(addr)
}

/// The only host of an IPv6 network that was seen. Of it the last 64 bits are kept.
fn only_host(addr: Addr, hosts: Hosts, ipv6_bits: u8) -> Option<Addr> {
    let IpAddr::V6(network) = IpAddr::from(addr) else { return None };
    let Hosts::One(low) = hosts else { return None };
    let low = u64::from_be_bytes(bytes_of(low));
    let host = Ipv6Addr::from_bits(network.to_bits() >> 64 << 64 | u128::from(low));
    (64..128).contains(&ipv6_bits).then(|| host.into())
}

/// The bytes of two words as they lie in memory.
fn bytes_of([high, low]: [u32; 2]) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (high.to_ne_bytes(), low.to_ne_bytes());
    [a, b, c, d, e, f, g, h]
}
