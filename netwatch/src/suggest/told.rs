//! What a replay tells, as far as it matters for thresholds.

use core::fmt::{self, Display, Formatter};
use core::net::IpAddr;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use netwatch_common::Proto;

use super::knob::Knob;
use crate::analysis::{Peer, Policy, RuleId, Severity, Slot, State, Transition};
use crate::replay::player::Observe;
use crate::sinks::words::{Source, Units};

/// Alerts of which more is known than that there were so many.
const ALERTS: usize = 100_000;

const MINUTE_NS: u64 = 60_000_000_000;

/// An incident that was told: when it opened, or when it became as severe as what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What would have kept it from being told, and how high that would have had to be; none where nothing would.
    pub knob: Option<(Knob, u64)>,
    /// The rule.
    pub rule: RuleId,
    /// How severe it became.
    pub severity: Severity,
    /// When it opened, in monotonic nanoseconds of the replay.
    pub opened_ns: u64,
    source: Option<Peer>,
    dest: Option<IpAddr>,
    port: Option<u16>,
    proto: Option<Proto>,
    /// The most that it came to, in units.
    pub peak: u64,
    unit: &'static str,
}

/// Collects what a replay tells.
#[derive(Clone, Debug)]
pub struct Told {
    policy: Policy,
    least: Severity,
    alerts: BTreeMap<u64, Alert>,
    unlisted: u64,
    /// When there were notices within the last minute.
    notices: VecDeque<u64>,
    busiest: u64,
}

impl Told {
    /// Nothing yet. `policy` is the one of the replay, and `least` is what an incident has to weigh to be printed.
    #[must_use]
    pub const fn new(policy: Policy, least: Severity) -> Self {
        Self { policy, least, alerts: BTreeMap::new(), unlisted: 0, notices: VecDeque::new(), busiest: 0 }
    }

    /// How many alerts there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.unlisted.saturating_add(u64::try_from(self.alerts.len()).unwrap_or(u64::MAX))
    }

    /// Of how many nothing else is known.
    #[must_use]
    pub const fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// The others, in the order in which they opened.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// The most openings and updates within a minute, of those that the cap on notifications counts.
    #[must_use]
    pub const fn busiest_minute(&self) -> u64 {
        self.busiest
    }

    fn add(&mut self, transition: &Transition) {
        let is_close = matches!(transition.state, State::Close(_));
        if !is_close && transition.weight > Severity::Info {
            self.notice(transition.at_ns);
        }
        if transition.weight < self.least {
            return;
        }
        let has_room = self.alerts.len() < ALERTS;
        match self.alerts.entry(transition.incident) {
            Entry::Occupied(mut known) => {
                known.insert(Alert::of(transition, &self.policy));
            }
            // Of what found no room when it was told first, nothing is known later either.
            Entry::Vacant(_) if is_close => {}
            Entry::Vacant(free) if has_room => {
                free.insert(Alert::of(transition, &self.policy));
            }
            Entry::Vacant(_) => self.unlisted += u64::from(transition.state == State::Open),
        }
    }
}

impl Told {
    fn notice(&mut self, at_ns: u64) {
        while self.notices.front().is_some_and(|first| at_ns.saturating_sub(*first) >= MINUTE_NS) {
            self.notices.pop_front();
        }
        self.notices.push_back(at_ns);
        self.busiest = self.busiest.max(u64::try_from(self.notices.len()).unwrap_or(u64::MAX));
    }
}

impl Observe for Told {
    fn slot(&mut self, _: &Slot) {}

    fn transitions(&mut self, transitions: &[Transition]) {
        transitions.iter().for_each(|transition| self.add(transition));
    }
}

impl Alert {
    /// What is kept of an incident.
    #[must_use]
    pub fn of(transition: &Transition, policy: &Policy) -> Self {
        let Transition { rule, severity, opened_ns, source, dest, port, proto, peak, unit, .. } = *transition;
        let knob = Knob::of(transition, policy);
        Self { knob, rule, severity, opened_ns, source, dest, port, proto, peak, unit }
    }

    /// By what alerts are ranked: the worst first.
    #[must_use]
    pub fn rank(&self) -> impl Ord + use<> {
        core::cmp::Reverse((self.severity, self.peak, core::cmp::Reverse(self.opened_ns)))
    }
}

/// Who, and how much: `203.0.113.7 with 35 tcp ports`.
impl Display for Alert {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.source, self.dest) {
            (Some(source), _) => match source.host {
                Some(host) => write!(f, "{} ({host})", Source(source))?,
                None => write!(f, "{}", Source(source))?,
            },
            (None, Some(dest)) => write!(f, "{dest}")?,
            (None, None) => f.write_str("netwatch")?,
        }
        let Self { peak: number, unit, proto, port, .. } = *self;
        write!(f, " with {}", Units { number, unit, distinct: false, proto, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::CloseReason;
    use crate::suggest::tests::scan;

    fn told(transitions: &[Transition], least: Severity) -> Told {
        let mut told = Told::new(Policy::default(), least);
        Observe::transitions(&mut told, transitions);
        told
    }

    #[test]
    fn an_incident_counts_once_with_the_most_that_it_came_to() {
        let open = Transition { peak: 11, severity: Severity::Medium, ..scan(1) };
        let update = Transition { state: State::Update, peak: 200, severity: Severity::High, ..scan(1) };
        let close = Transition { state: State::Close(CloseReason::Quiet), peak: 300, ..update.clone() };
        let told = told(&[open, update, close, scan(2)], Severity::Low);
        assert_eq!((told.count(), told.busiest_minute()), (2, 3));
        let first = told.alerts().next().unwrap();
        assert_eq!((first.knob.unwrap().1, first.severity), (300, Severity::High));
        assert_eq!(first.to_string(), "203.0.113.1 with 300 tcp ports");
    }

    #[test]
    fn only_what_is_printed_counts() {
        let weigh = |incident, state, weight| Transition { state, weight, ..scan(incident) };
        let close = State::Close(CloseReason::Shutdown);
        let all = [
            weigh(1, State::Open, Severity::Low),
            weigh(2, State::Open, Severity::Low),
            // Told by its update.
            weigh(2, State::Update, Severity::High),
            weigh(1, close, Severity::Low),
            weigh(2, close, Severity::High),
            weigh(3, State::Open, Severity::Info),
        ];
        assert_eq!(told(&all, Severity::High).count(), 1);
        assert_eq!(told(&all, Severity::Low).count(), 2);
        assert_eq!(told(&all, Severity::Info).count(), 3);
    }

    #[test]
    fn the_busiest_minute_is_neither_the_first_nor_all() {
        let at = |incident, seconds: u64| Transition { at_ns: seconds * 1_000_000_000, ..scan(incident) };
        let told =
            told(&[at(1, 5), at(2, 100), at(3, 120), at(4, 159), at(5, 160), at(6, 300)], Severity::Low);
        assert_eq!((told.count(), told.busiest_minute()), (6, 3));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let most = u64::try_from(ALERTS).unwrap();
        let mut told = Told::new(Policy::default(), Severity::Low);
        for incident in 0..most + 7 {
            told.add(&scan(incident));
        }
        let late = Transition { state: State::Update, ..scan(most + 3) };
        told.add(&late);
        assert_eq!((told.alerts().count(), told.unlisted(), told.count()), (ALERTS, 7, most + 7));
    }
}
