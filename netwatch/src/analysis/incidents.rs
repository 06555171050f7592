//! All incidents: each source's findings become openings, updates and closes, so that an attack is one alert
//! and not thousands.

use core::iter::Peekable;
use std::collections::BTreeMap;
use std::vec;

use netwatch_common::Addr;

use super::finding::{self, Check, Finding};
use super::incident::{Closed, Fingerprint, Incident, InterfaceId, Moment, Next};
use super::limits::{CLOSED_INCIDENTS, OPEN_INCIDENTS};
use super::policy::{Counting, Policy};
use super::rules::RuleId;
use super::slot::{Confidence, Slot, SourceStats};
use super::transition::{CloseReason, Counters, State, Suppression, Transition};
use super::window::SourceView;

/// The incidents of all interfaces.
#[derive(Clone, Debug)]
pub struct Incidents {
    policy: Policy,
    window_ns: u64,
    /// How replies were told in the slot evaluated last.
    confidence: Confidence,
    /// Those that go on, told or held back.
    active: BTreeMap<Fingerprint, Incident>,
    /// How many of them each rule has.
    active_by_rule: [usize; RuleId::COUNT],
    /// Those that were told and whose close still mutes them.
    closed: BTreeMap<Fingerprint, Closed>,
    counters: Counters,
}

impl Incidents {
    /// No incidents yet. `window_ns` is the length of a full window.
    #[must_use]
    pub fn new(policy: Policy, window_ns: u64) -> Self {
        Self {
            policy,
            window_ns,
            confidence: Confidence::default(),
            active: BTreeMap::new(),
            active_by_rule: [0; RuleId::COUNT],
            closed: BTreeMap::new(),
            counters: Counters::default(),
        }
    }

    /// Applies the rules in another way from the next evaluation on.
    pub fn apply(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Begins the evaluation of one interface, called `name`, at the end of what was drained last. Its window
    /// covers `covered_ns`.
    ///
    /// Hand the sources of the window to [`Step::source`] in ascending order, then call [`Step::finish`].
    pub fn step<'a>(
        &'a mut self,
        interface: InterfaceId,
        name: &'a str,
        drained: &'a Slot,
        covered_ns: u64,
    ) -> Step<'a> {
        self.confidence = drained.confidence;
        let keys = self.active.keys().filter(|key| key.interface == interface);
        let mut followed: Vec<Addr> = keys.map(|key| key.addr).collect();
        followed.dedup();
        Step {
            moment: Moment {
                now_ns: drained.end_ns,
                window_ns: self.window_ns,
                covered_ns,
                confidence: drained.confidence,
                interface: name,
            },
            incidents: self,
            interface,
            drained,
            followed: followed.into_iter().peekable(),
            transitions: Vec::new(),
        }
    }

    /// Closes every open incident because netwatch stops; `name` gives the interfaces' names.
    pub fn close_all<'a>(&mut self, now_ns: u64, name: impl Fn(InterfaceId) -> &'a str) -> Vec<Transition> {
        self.active_by_rule = [0; RuleId::COUNT];
        let mut transitions = Vec::new();
        for (key, incident) in core::mem::take(&mut self.active) {
            if let Some(number) = incident.number() {
                self.counters.closed += 1;
                let moment = Moment {
                    now_ns,
                    window_ns: self.window_ns,
                    covered_ns: 0,
                    confidence: self.confidence,
                    interface: name(key.interface),
                };
                let state = State::Close(CloseReason::Shutdown);
                transitions.push(incident.transition(state, number, &key, &moment));
            }
        }
        transitions
    }

    /// What was told and held back so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Begins or continues the incident of one finding. `sent` is what the source sent since the last evaluation.
    fn advance(
        &mut self,
        key: Fingerprint,
        finding: &Finding,
        view: &SourceView,
        sent: &SourceStats,
        moment: &Moment<'_>,
    ) -> Option<Transition> {
        match self.active.get_mut(&key) {
            Some(incident) => incident.add(sent),
            None => self.begin(key, finding, view, moment.now_ns)?,
        }
        let in_scan = finding.part_of_scan && self.has_scan(&key);
        let incident = self.active.get_mut(&key)?;
        let state = match incident.next(finding, view, in_scan, moment) {
            Next::Stay => return None,
            Next::Hold(reason) => {
                self.counters.suppress(reason);
                return None;
            }
            Next::End(reason) => return self.end(&key, reason, moment),
            Next::Update => {
                self.counters.updated += 1;
                State::Update
            }
            Next::Open => {
                self.counters.opened += 1;
                State::Open
            }
        };
        incident.tell(finding, self.counters.opened, moment.now_ns);
        Some(incident.transition(state, incident.number()?, &key, moment))
    }

    /// Follows a finding from now on, if it fires and there is room; `None` otherwise.
    fn begin(&mut self, key: Fingerprint, finding: &Finding, view: &SourceView, now_ns: u64) -> Option<()> {
        if !finding.fires() {
            return None;
        }
        let active = &mut self.active_by_rule[key.check.rule as usize];
        if *active >= OPEN_INCIDENTS {
            self.counters.suppress(Suppression::TooManyOpen);
            return None;
        }
        *active += 1;
        let closed = self.closed.remove(&key);
        self.active.insert(key, Incident::new(finding, view, closed, now_ns));
        Some(())
    }

    /// Ends an incident: with a close if it was told, without a word if it was held back all the time.
    fn end(&mut self, key: &Fingerprint, reason: CloseReason, moment: &Moment<'_>) -> Option<Transition> {
        let incident = self.active.remove(key)?;
        self.active_by_rule[key.check.rule as usize] -= 1;
        // Who switches a rule on again wants to hear of it, so only what ended by itself mutes.
        if reason == CloseReason::Quiet
            && let Some(closed) = incident.remains(moment.now_ns)
        {
            self.closed.insert(*key, closed);
        }
        let number = incident.number()?;
        self.counters.closed += 1;
        Some(incident.transition(State::Close(reason), number, key, moment))
    }

    /// Whether the source of `key` has a scan that goes on. The scans' findings come first, so that a new scan
    /// is known here.
    fn has_scan(&self, key: &Fingerprint) -> bool {
        let mut scans = Check::ALL.into_iter().filter(|check| check.rule == RuleId::ScanVertical);
        scans.any(|check| self.active.contains_key(&Fingerprint { check, ..*key }))
    }

    /// Forgets the closes that mute nothing any more, and the oldest of those there is no room for.
    fn forget(&mut self, now_ns: u64) {
        self.closed.retain(|_, closed| closed.mutes(now_ns));
        let excess = self.closed.len().saturating_sub(CLOSED_INCIDENTS);
        if excess == 0 {
            return;
        }
        let mut by_age: Vec<_> = self.closed.iter().map(|(key, closed)| (closed.at_ns, *key)).collect();
        by_age.sort_unstable();
        for (_, key) in by_age.into_iter().take(excess) {
            self.closed.remove(&key);
            self.counters.forgotten += 1;
        }
    }
}

/// The evaluation of one interface at one time.
#[derive(Debug)]
#[must_use = "`finish` returns what happened"]
pub struct Step<'a> {
    incidents: &'a mut Incidents,
    interface: InterfaceId,
    moment: Moment<'a>,
    drained: &'a Slot,
    /// Sources with an incident that were not yet visited, ascending.
    followed: Peekable<vec::IntoIter<Addr>>,
    transitions: Vec<Transition>,
}

impl Step<'_> {
    /// Which packets are evidence.
    #[must_use]
    pub const fn counting(&self) -> Counting {
        self.incidents.policy.counting
    }

    /// Evaluates one source of the window.
    ///
    /// A source that breaks no rule and has no incident costs the evaluation of the rules and no memory.
    pub fn source(&mut self, view: &SourceView) {
        while let Some(gone) = self.followed.next_if(|addr| *addr < view.addr) {
            self.advance(&SourceView::new(gone));
        }
        let followed = self.followed.next_if_eq(&view.addr).is_some();
        if followed || finding::may_fire(view, &self.incidents.policy) {
            self.advance(view);
        }
    }

    /// Evaluates the incidents whose sources have left the window, and returns what happened.
    pub fn finish(mut self) -> Vec<Transition> {
        while let Some(gone) = self.followed.next() {
            self.advance(&SourceView::new(gone));
        }
        self.incidents.forget(self.moment.now_ns);
        self.transitions
    }

    fn advance(&mut self, view: &SourceView) {
        let sent = self.drained.source(view.addr).copied().unwrap_or_default();
        for finding in finding::evaluate(view, &self.incidents.policy) {
            let key = Fingerprint { interface: self.interface, addr: view.addr, check: finding.check };
            let transition = self.incidents.advance(key, &finding, view, &sent, &self.moment);
            self.transitions.extend(transition);
        }
    }
}

#[cfg(test)]
mod tests;
