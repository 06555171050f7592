//! All incidents: findings become openings, updates and closes, so that an attack is one alert and not thousands.

use std::collections::BTreeMap;
use std::sync::Arc;

use netwatch_common::Addr;

use super::cap::Cap;
use super::detail::Detail;
use super::finding::{Activity, Check, Evidence, Finding, RuleSet};
use super::incident::{Closed, Fingerprint, Incident, InterfaceId, Moment, Next, Sent};
use super::limits::{CLOSED_INCIDENTS, OPEN_INCIDENTS};
use super::rules::{RuleId, Subject};
use super::transition::{CloseReason, Counters, Digest, State, Suppression, Transition};

/// The incidents of all interfaces.
#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    /// Those that go on, told or held back.
    active: BTreeMap<Fingerprint, Incident>,
    /// How many of them each rule has.
    active_by_rule: [usize; RuleId::COUNT],
    /// Those that were told and whose close still mutes them.
    closed: BTreeMap<Fingerprint, Closed>,
    /// What is known of those that are about an address, beside numbers.
    details: BTreeMap<Fingerprint, Arc<Detail>>,
    /// What earlier runs called those of theirs that go on.
    names: BTreeMap<Fingerprint, Arc<str>>,
    cap: Cap,
    counters: Counters,
}

impl Incidents {
    /// Closes every open incident because netwatch stops; `moment` gives the circumstances of each.
    pub(super) fn close_all<'a>(
        &mut self,
        moment: impl Fn(InterfaceId, RuleId) -> Moment<'a>,
    ) -> Vec<Transition> {
        self.active_by_rule = [0; RuleId::COUNT];
        let mut transitions = Vec::new();
        for (key, incident) in core::mem::take(&mut self.active) {
            if let Some(number) = incident.number() {
                self.counters.closed += 1;
                let state = State::Close(CloseReason::Shutdown);
                let told = incident.transition(state, number, &key, &moment(key.interface, key.check.rule));
                transitions.push(self.complete(&key, told));
            }
        }
        transitions
    }

    /// Whether there is none, told or held back.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// What was told and held back so far.
    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }

    /// Sources, or destinations, that have incidents on an interface, ascending.
    pub(super) fn followed(&self, interface: InterfaceId, side: Side) -> Vec<Addr> {
        let first = Fingerprint { interface, addr: Addr([0; 4]), check: LEAST };
        let keys = self.active.range(first..).map(|(key, _)| key);
        let own = keys.take_while(|key| key.interface == interface).filter(|key| side.is_of(key.check.rule));
        let mut followed: Vec<Addr> = own.map(|key| key.addr).collect();
        followed.dedup();
        followed
    }

    /// The checks of a source, or of a destination, that have incidents.
    pub(super) fn checks(&self, interface: InterfaceId, addr: Addr, side: Side) -> Vec<Check> {
        self.of(interface, addr, side).map(|(check, _)| check).collect()
    }

    /// Which incidents of a source or destination may explain what `check` finds; `dest` is the destination that a
    /// source sends most to.
    pub(super) fn activity(&self, key: &Fingerprint, dest: Option<Addr>) -> Activity {
        let side = if Side::Source.is_of(key.check.rule) { Side::Source } else { Side::Dest };
        let mut activity = Activity::default();
        for (check, incident) in
            self.of(key.interface, key.addr, side).filter(|(check, _)| *check != key.check)
        {
            activity.active.insert(check.rule);
            if incident.number().is_some() {
                activity.told.insert(check.rule);
                activity.told_ports += usize::from(check.dest_port().is_some());
            }
        }
        for (check, incident) in dest.into_iter().flat_map(|dest| self.of(key.interface, dest, Side::Dest)) {
            if incident.number().is_some() {
                activity.at_dest.insert(check.rule);
            }
        }
        activity
    }

    /// Whether a source has a scan that goes on.
    pub(super) fn has_scan(&self, interface: InterfaceId, source: Addr) -> bool {
        self.of(interface, source, Side::Source)
            .any(|(check, _)| check.rule != RuleId::ScanSlow && RuleSet::SCANS.contains(check.rule))
    }

    /// Begins or continues the incident of one finding. `sent` is what came since the last evaluation, and `most`
    /// how many notifications there may be within a minute.
    pub(super) fn advance(
        &mut self,
        key: Fingerprint,
        finding: &Finding,
        evidence: &Evidence,
        sent: &Sent,
        moment: &Moment<'_>,
        most: u64,
    ) -> Option<Transition> {
        match self.active.get_mut(&key) {
            Some(incident) => incident.add(sent),
            None => self.begin(key, finding, evidence, sent, moment.now_ns)?,
        }
        let incident = self.active.get_mut(&key)?;
        let next = incident.next(finding, evidence, moment);
        if matches!(next, Next::Open | Next::Update) && !self.cap.admits(finding.weight, most) {
            if incident.wait(self.cap.minute_ns()) {
                if next == Next::Open {
                    self.cap.hold_opening(key.check.rule, finding.weight);
                } else {
                    self.cap.hold_update(finding.weight);
                }
                self.counters.suppress(Suppression::OverCap);
            }
            return None;
        }
        let state = match next {
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
        let number = incident.number()?;
        self.step(&key, number, state, moment)
    }

    /// Begins or continues the incident of a finding about an address, of which this is known.
    pub(super) fn advance_with(
        &mut self,
        key: Fingerprint,
        finding: &Finding,
        detail: Arc<Detail>,
        sent: &Sent,
        moment: &Moment<'_>,
        most: u64,
    ) -> Option<Transition> {
        let dests = match &*detail {
            Detail::Listed(listed) => listed.hosts.summary(),
            Detail::Matched(matched) => matched.dests.summary(),
        };
        let (Sent::Slot(stats) | Sent::Early(stats)) = *sent;
        self.details.insert(key, detail);
        let told =
            self.advance(key, finding, &Evidence { stats, dests, ..Evidence::default() }, sent, moment, most);
        if !self.active.contains_key(&key) {
            self.details.remove(&key);
        }
        told
    }

    /// Whether an incident goes on, told or held back.
    pub(super) fn is_active(&self, key: &Fingerprint) -> bool {
        self.active.contains_key(key)
    }

    /// What had to wait in the minute that is over, if one is.
    pub(super) fn turn(&mut self, now_ns: u64, most: u64) -> Option<Digest> {
        self.cap.turn(now_ns, most)
    }

    /// What had to wait since the last minute began, because netwatch stops.
    pub(super) fn last_digest(&self, now_ns: u64, most: u64) -> Option<Digest> {
        self.cap.digest(now_ns, most)
    }

    /// Forgets the closes that mute nothing any more, and the oldest of those there is no room for.
    pub(super) fn forget(&mut self, now_ns: u64) {
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

    /// Follows a finding from now on, if it fires and there is room; `None` otherwise.
    fn begin(
        &mut self,
        key: Fingerprint,
        finding: &Finding,
        evidence: &Evidence,
        sent: &Sent,
        now_ns: u64,
    ) -> Option<()> {
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
        self.active.insert(key, Incident::new(finding, evidence, sent, closed, now_ns));
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
        let told = incident.transition(State::Close(reason), number, key, moment);
        let told = self.complete(key, told);
        self.names.remove(key);
        Some(told)
    }

    /// Enters an incident of an earlier run as one that was told. Returns its number, unless there is one of the same, or no
    /// room.
    pub(super) fn enter_resumed(
        &mut self,
        key: Fingerprint,
        name: Arc<str>,
        last: &Transition,
    ) -> Option<u64> {
        let active = &mut self.active_by_rule[key.check.rule as usize];
        if self.active.contains_key(&key) || *active >= OPEN_INCIDENTS {
            return None;
        }
        *active += 1;
        // From the other end, so that there are never two of one number.
        let number = u64::MAX - self.counters.resumed;
        self.counters.resumed += 1;
        self.counters.updated += 1;
        self.active.insert(key, Incident::resumed(last, number));
        self.names.insert(key, name);
        if let Some(detail) = &last.detail {
            self.details.insert(key, Arc::clone(detail));
        }
        Some(number)
    }

    /// What is told of an incident.
    pub(super) fn step(
        &self,
        key: &Fingerprint,
        number: u64,
        state: State,
        moment: &Moment<'_>,
    ) -> Option<Transition> {
        let told = self.active.get(key)?.transition(state, number, key, moment);
        Some(self.complete(key, told))
    }

    /// Adds what is known beside numbers.
    fn complete(&self, key: &Fingerprint, told: Transition) -> Transition {
        let name = self.names.get(key).map(Arc::clone);
        detailed(Transition { name, ..told }, self.details.get(key))
    }

    /// The incidents of a source or destination.
    fn of(&self, interface: InterfaceId, addr: Addr, side: Side) -> impl Iterator<Item = (Check, &Incident)> {
        let first = Fingerprint { interface, addr, check: LEAST };
        self.active
            .range(first..)
            .take_while(move |(key, _)| key.interface == interface && key.addr == addr)
            .filter(move |(key, _)| side.is_of(key.check.rule))
            .map(|(key, incident)| (key.check, incident))
    }
}

/// Adds what is known beside numbers, and the numbers that come from there.
fn detailed(told: Transition, detail: Option<&Arc<Detail>>) -> Transition {
    let Some(detail) = detail else { return told };
    let (packets, bytes) = match &**detail {
        Detail::Listed(listed) => (listed.packets(), listed.bytes),
        Detail::Matched(_) => (0, 0),
    };
    let (first_ns, last_ns) = detail.times();
    let spoofable = detail.is_spoofable();
    Transition { packets, bytes, first_ns, last_ns, spoofable, detail: Some(Arc::clone(detail)), ..told }
}

/// The check that comes before all others.
const LEAST: Check = Check::whole(RuleId::ALL[0]);

/// Which side of a packet an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Dest,
    /// Either: it is about an address by itself.
    Address,
}

impl Side {
    pub(super) fn is_of(self, rule: RuleId) -> bool {
        match rule.rule().subject {
            Subject::Source | Subject::SourcePort => self == Self::Source,
            Subject::Destination | Subject::DestinationPort => self == Self::Dest,
            Subject::Address => self == Self::Address,
            Subject::Itself => false,
        }
    }
}

#[cfg(test)]
mod tests;
