//! The rules about addresses by themselves: those of feeds and of signatures.

use std::sync::Arc;

use netwatch_common::Settings;

use super::super::Knowledge;
use super::super::detail::Detail;
use super::super::events::{Event, Sight};
use super::super::finding::Finding;
use super::super::incident::{Fingerprint, Sent};
use super::super::rules::{RuleId, Severity};
use super::super::stats::SourceStats;
use super::super::transition::Suppression;
use super::super::window::Window;
use super::Evaluation;

/// Whether it is a question that tells of curiosity, and of no more: of signatures those of low severity.
fn is_curious(sight: &Sight) -> bool {
    sight.check.rule == RuleId::PayloadMatch && sight.severity <= Severity::Low
}

impl Evaluation<'_> {
    /// The rules about addresses, when something was seen.
    pub(in super::super) fn events(
        &mut self,
        window: &Window,
        known: &mut Knowledge,
        events: impl IntoIterator<Item = Event>,
    ) {
        for event in events {
            let host = match &event.detail {
                Detail::Listed(listed) => listed.hosts.only(),
                Detail::Matched(_) => None,
            };
            let sight = match host {
                Some(host) => known.events.so_far(event, host.into()),
                None => known.events.add(event),
            };
            // What a scanner asks is a part of its scan, which may be known by the end of the slot only.
            if let Some(sight) = sight.filter(|sight| !is_curious(sight)) {
                self.sight(window, &sight);
            }
        }
    }

    /// The same at the end of a slot.
    pub(super) fn turn_events(
        &mut self,
        window: &Window,
        known: &mut Knowledge,
        number: u32,
        listed: Vec<Event>,
    ) {
        let slots = self.setting.window_slots as u64;
        let is_followed =
            |addr, check| self.incidents.is_active(&Fingerprint { interface: self.id, addr, check });
        for sight in known.events.turn(number, listed, slots, is_followed) {
            self.sight(window, &sight);
        }
    }

    fn sight(&mut self, window: &Window, sight: &Sight) {
        let Sight { addr, check, observed, severity, ref detail } = *sight;
        let permit = self.policy.permits(addr)[check.rule as usize];
        let threshold = check.threshold(self.policy, false);
        let finding =
            Finding::new(check, observed, threshold, self.policy, permit).graded(severity, self.policy);
        let source =
            Settings { source6_mask: Settings::source6_prefix(self.setting.ipv6_bits), ..Settings::DEFAULT }
                .account(addr);
        let is_in_scan = is_curious(sight) && self.incidents.has_scan(self.id, source);
        let explained = is_in_scan.then_some(Suppression::PartOfScan);
        let finding = Finding { explained, ..finding };
        let (first_ns, last_ns) = detail.times();
        // What is told of packets comes with the detail, all of it each time.
        let sent = Sent::Early(SourceStats { first_ns, last_ns, ..SourceStats::default() });
        let key = Fingerprint { interface: self.id, addr, check };
        let moment = self.moment(check.rule, window, self.setting.window_slots);
        let most = self.policy.notifications_per_minute;
        let told = self.incidents.advance_with(key, &finding, Arc::clone(detail), &sent, &moment, most);
        self.transitions.extend(told);
    }
}
