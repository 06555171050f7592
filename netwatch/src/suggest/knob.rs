//! The numbers of rules that are raised to have fewer alerts.

use std::collections::BTreeMap;

use crate::analysis::finding::RuleSet;
use crate::analysis::policy::{LOCAL_FACTOR, Policy};
use crate::analysis::{RuleId, Transition};

/// The highest threshold that a configuration takes.
const THRESHOLD_MAX: u64 = 1_000_000_000_000;

/// The place of `bits_per_second` among the parameters of `dos.rate`.
const BITS: usize = 0;

/// A number of a rule below which nothing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Knob {
    /// The rule.
    pub rule: RuleId,
    /// Whether it is not the threshold but `bits_per_second`, which only `dos.rate` has.
    pub is_bits: bool,
}

/// Knobs that stand higher than configured, with what they stand at.
pub type Raised = BTreeMap<Knob, u64>;

impl Knob {
    /// The knob that keeps an incident from being told, and the least that it has to stand at for that; none where
    /// there is no such number. `policy` is the one under which it was told.
    ///
    /// What netwatch says about itself is no traffic, so there is nothing to tolerate. Who configures a feed or a signature
    /// wants to hear of the first packet that it is about. A flood that is one only by what
    /// is usual for its destination has a threshold that the configuration does not say.
    #[must_use]
    pub fn of(incident: &Transition, policy: &Policy) -> Option<(Self, u64)> {
        let Transition { rule, unit, peak, threshold, .. } = *incident;
        if matches!(rule, RuleId::Degraded | RuleId::IocIp | RuleId::PayloadMatch) {
            return None;
        }
        let knob = Self { rule, is_bits: unit == "bits/s" };
        let stands_at = knob.get(policy);
        // Local sources may do more, and what they may grows with the threshold.
        let of_local = stands_at.saturating_mul(LOCAL_FACTOR);
        let is_local = RuleSet::SCANS.contains(rule) && threshold == of_local;
        let factor = if is_local { LOCAL_FACTOR } else { 1 };
        let need = peak.div_ceil(factor);
        let decides = threshold == stands_at || is_local;
        (decides && need > stands_at && need <= knob.most()).then_some((knob, need))
    }

    /// Its key in the table of its rule.
    #[must_use]
    pub fn key(self) -> &'static str {
        let bits = self.rule.rule().params.get(BITS).filter(|_| self.is_bits);
        bits.map_or("threshold", |param| param.name)
    }

    /// What it stands at.
    #[must_use]
    pub const fn get(self, policy: &Policy) -> u64 {
        if self.is_bits { policy.param(self.rule, BITS) } else { policy.of(self.rule).threshold }
    }

    /// The most that it can stand at.
    fn most(self) -> u64 {
        let bits = self.rule.rule().params.get(BITS).filter(|_| self.is_bits);
        bits.map_or(THRESHOLD_MAX, |param| param.max)
    }

    const fn set(self, policy: &mut Policy, value: u64) {
        let rule = &mut policy.rules[self.rule as usize];
        if self.is_bits {
            rule.params[BITS] = value;
        } else {
            rule.threshold = value;
        }
    }
}

/// The policy with knobs raised.
#[must_use]
pub fn apply(raised: &Raised, mut policy: Policy) -> Policy {
    for (knob, value) in raised {
        knob.set(&mut policy, *value);
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{PlaceArgs, SettingArgs};
    use crate::config::Config;
    use crate::suggest::tests::scan;

    fn knob(rule: RuleId) -> Knob {
        Knob { rule, is_bits: false }
    }

    #[test]
    fn an_incident_needs_its_peak() {
        let policy = Policy::default();
        assert_eq!(Knob::of(&scan(1), &policy), Some((knob(RuleId::ScanVertical), 57)));
        // Of a local source, ten times the threshold is tolerated.
        for (peak, need) in [(101, 11), (110, 11), (111, 12)] {
            let local = Transition { peak, threshold: 100, ..scan(1) };
            assert_eq!(Knob::of(&local, &policy), Some((knob(RuleId::ScanVertical), need)));
        }
        // Floods are floods, whoever makes them.
        let flood = Transition { rule: RuleId::DosUnsolicited, peak: 4_000, threshold: 100, ..scan(1) };
        assert_eq!(Knob::of(&flood, &policy), Some((knob(RuleId::DosUnsolicited), 4_000)));
    }

    #[test]
    fn bits_have_a_number_of_their_own() {
        let mut policy = Policy::default();
        let (threshold, peak) = (1_000_000_000, 2_500_000_000);
        let rate = Transition { rule: RuleId::DosRate, unit: "bits/s", threshold, peak, ..scan(1) };
        let (knob, need) = Knob::of(&rate, &policy).unwrap();
        assert_eq!((knob.key(), need), ("bits_per_second", peak));
        policy = apply(&Raised::from([(knob, need)]), policy);
        assert_eq!((knob.get(&policy), policy.of(RuleId::DosRate).threshold), (peak, 20_000));
        assert_eq!(
            Knob::of(&Transition { peak: 1_000_000_000_001, ..rate }, &policy),
            None,
            "beyond the bound"
        );
    }

    #[test]
    fn what_no_number_decides_has_none() {
        let policy = Policy::default();
        let degraded = Transition { rule: RuleId::Degraded, threshold: 0, peak: 9, ..scan(1) };
        assert_eq!(Knob::of(&degraded, &policy), None);
        for rule in [RuleId::IocIp, RuleId::PayloadMatch] {
            assert_eq!(Knob::of(&Transition { rule, ..degraded.clone() }, &policy), None);
        }
        let (rule, threshold, peak) = (RuleId::DdosDestination, 1_000, 50_000);
        let learned = Transition { rule, threshold, peak, ..scan(1) };
        assert_eq!(Knob::of(&learned, &policy), None);
        let huge = Transition { threshold: 10, peak: THRESHOLD_MAX + 1, ..scan(1) };
        assert_eq!(Knob::of(&huge, &policy), None);
    }

    #[test]
    fn the_bound_is_that_of_the_configuration() {
        let takes = |number: u64| {
            let thresholds = vec![format!("scan.vertical={number}")];
            let settings = SettingArgs { thresholds, ..SettingArgs::default() };
            Config::from_settings(&settings, &PlaceArgs::default()).is_ok()
        };
        assert!(takes(THRESHOLD_MAX) && !takes(THRESHOLD_MAX + 1));
    }
}
