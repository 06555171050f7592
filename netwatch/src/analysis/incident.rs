//! The life of one incident: when it is told, told again, held back and ended.

use netwatch_common::{Addr, Proto};

use super::finding::{Check, Finding, Permit};
use super::ports::PortSummary;
use super::rules::Severity;
use super::slot::{Confidence, SourceStats};
use super::transition::{CloseReason, State, Suppression, Transition};
use super::window::SourceView;

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

/// What makes two incidents the same one. Ordered by interface, then source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint {
    pub(super) interface: InterfaceId,
    pub(super) addr: Addr,
    pub(super) check: Check,
}

/// When and where an evaluation takes place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    /// Monotonic nanoseconds.
    pub(super) now_ns: u64,
    /// Length of a full window.
    pub(super) window_ns: u64,
    /// What the window really covers: less at first, more where a slot was drained late.
    pub(super) covered_ns: u64,
    /// How replies were told.
    pub(super) confidence: Confidence,
    /// Name of the interface.
    pub(super) interface: &'a str,
}

impl Moment<'_> {
    /// The length of the window as it is told. Slots never end to the nanosecond; a quarter more is a stall
    /// that an alert must not hide.
    const fn told_window_ns(&self) -> u64 {
        let late = self.covered_ns > self.window_ns.saturating_add(self.window_ns / 4);
        if late { self.covered_ns } else { self.window_ns }
    }
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
    /// The ports at the peak.
    ports: PortSummary,
    /// What the source sent in the window.
    window: SourceStats,
    /// What it sent since the incident began.
    life: SourceStats,
    suppressed: u64,
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
    /// A new incident of a source; counts all that the window knows of it.
    pub(super) fn new(finding: &Finding, view: &SourceView, closed: Option<Closed>, now_ns: u64) -> Self {
        Self {
            phase: Phase::Held(None),
            opened_ns: now_ns,
            quiet_since_ns: None,
            threshold: finding.threshold,
            observed: finding.observed,
            peak: 0,
            severity: Severity::Info,
            weight: Severity::Info,
            ports: PortSummary::default(),
            window: view.stats,
            life: view.stats,
            suppressed: closed.map_or(0, |closed| closed.suppressed),
            closed,
        }
    }

    /// Adds what the source sent since the last evaluation. Windows overlap and cannot be added up.
    pub(super) fn add(&mut self, sent: &SourceStats) {
        self.life.merge(sent);
    }

    /// Takes note of the window and decides what that means. `in_scan` says that the source has a scan that
    /// goes on and explains this finding.
    pub(super) fn next(
        &mut self,
        finding: &Finding,
        view: &SourceView,
        in_scan: bool,
        moment: &Moment<'_>,
    ) -> Next {
        self.observe(finding, view, moment.now_ns);
        match (self.phase, finding.permit) {
            (_, Permit::Disabled) => return Next::End(CloseReason::Disabled),
            (Phase::Open(_), Permit::Allowed) => return Next::End(CloseReason::Allowed),
            _ if self.is_over(moment) => return Next::End(CloseReason::Quiet),
            _ => {}
        }
        match self.phase {
            Phase::Open(notice) if self.is_worth_an_update(&notice, finding, moment.now_ns) => Next::Update,
            Phase::Held(was) if finding.fires() => match self.reason_to_hold(finding, in_scan, moment.now_ns)
            {
                None => Next::Open,
                reason if reason == was => Next::Stay,
                Some(reason) => {
                    self.phase = Phase::Held(Some(reason));
                    self.suppressed += 1;
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
        self.phase = Phase::Open(Notice { number, at_ns: now_ns, observed: finding.observed });
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
        let evidence = match state {
            State::Open | State::Update => self.window.classes,
            State::Close(_) => self.life.classes,
        };
        // Times are missing where the sources map was full and only ports were counted.
        let known = |time_ns: u64| if time_ns == 0 { self.opened_ns } else { time_ns };
        Transition {
            state,
            at_ns: moment.now_ns,
            incident: number,
            rule: key.check.rule,
            proto: key.check.proto,
            severity: self.severity,
            weight: self.weight,
            source: key.addr.into(),
            interface: moment.interface.into(),
            observed: self.observed,
            peak: self.peak,
            threshold: self.threshold,
            window_ns: moment.told_window_ns(),
            confidence: moment.confidence,
            ports: self.ports,
            evidence,
            packets: self.life.packets(),
            bytes: self.life.bytes,
            first_ns: known(self.life.first_ns),
            last_ns: known(self.life.last_ns),
            opened_ns: self.opened_ns,
            suppressed: self.suppressed,
        }
    }

    fn observe(&mut self, finding: &Finding, view: &SourceView, now_ns: u64) {
        self.observed = finding.observed;
        self.threshold = finding.threshold;
        self.window = view.stats;
        if finding.observed >= self.peak {
            self.peak = finding.observed;
            self.ports = *match finding.check.proto {
                Some(proto) => view.ports(proto),
                None if view.udp.evidence > view.tcp.evidence => view.ports(Proto::Udp),
                None => view.ports(Proto::Tcp),
            };
        }
        if finding.is_quiet() {
            self.quiet_since_ns.get_or_insert(now_ns);
        } else {
            self.quiet_since_ns = None;
        }
    }

    fn is_over(&self, moment: &Moment<'_>) -> bool {
        let patience_ns = moment.window_ns.saturating_mul(QUIET_WINDOWS);
        self.quiet_since_ns.is_some_and(|since_ns| moment.now_ns.saturating_sub(since_ns) >= patience_ns)
    }

    fn is_worth_an_update(&self, last: &Notice, finding: &Finding, now_ns: u64) -> bool {
        !finding.is_quiet()
            && (finding.observed >= last.observed.saturating_mul(GROWTH)
                || finding.severity > self.severity
                || now_ns.saturating_sub(last.at_ns) >= REMIND_NS)
    }

    fn reason_to_hold(&self, finding: &Finding, in_scan: bool, now_ns: u64) -> Option<Suppression> {
        let is_muted = |closed: Closed| closed.mutes(now_ns) && finding.severity <= closed.severity;
        if finding.permit == Permit::Allowed {
            Some(Suppression::Allowed)
        } else if in_scan {
            Some(Suppression::PartOfScan)
        } else if self.closed.is_some_and(is_muted) {
            Some(Suppression::MutedAfterClose)
        } else {
            None
        }
    }
}
