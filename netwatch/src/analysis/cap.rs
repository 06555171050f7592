//! The cap on notifications: how many are told within a minute, and what had to wait.

use super::rules::{RuleId, Severity};
use super::transition::Digest;

const MINUTE_NS: u64 = 60_000_000_000;

/// Of the notifications within a minute, one in so many is kept for what is high or critical.
const RESERVE: u64 = 5;

/// Counts the notifications of the minute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cap {
    minute_ns: u64,
    told: u64,
    openings: [u64; RuleId::COUNT],
    updates: u64,
    /// The highest weight of what has to wait.
    weight: Option<Severity>,
}

impl Cap {
    /// Whether one more of this weight may be told, of `most` within a minute; counts it if so. What is only
    /// recorded always may.
    pub(super) fn admits(&mut self, weight: Severity, most: u64) -> bool {
        let most = if weight >= Severity::High { most } else { most - most / RESERVE };
        let admits = weight == Severity::Info || self.told < most;
        self.told += u64::from(admits && weight > Severity::Info);
        admits
    }

    /// When the minute began.
    pub(super) const fn minute_ns(&self) -> u64 {
        self.minute_ns
    }

    /// Takes note of an opening that has to wait.
    pub(super) fn hold_opening(&mut self, rule: RuleId, weight: Severity) {
        self.openings[rule as usize] += 1;
        self.weight = self.weight.max(Some(weight));
    }

    /// Takes note of an update that has to wait.
    pub(super) fn hold_update(&mut self, weight: Severity) {
        self.updates += 1;
        self.weight = self.weight.max(Some(weight));
    }

    /// Begins the next minute if the last one is over, and tells what had to wait in it.
    pub(super) fn turn(&mut self, now_ns: u64, cap: u64) -> Option<Digest> {
        if now_ns.saturating_sub(self.minute_ns) < MINUTE_NS {
            return None;
        }
        let digest = self.digest(now_ns, cap);
        *self = Self { minute_ns: now_ns, ..Self::default() };
        digest
    }

    /// What had to wait since the minute began.
    pub(super) fn digest(&self, now_ns: u64, cap: u64) -> Option<Digest> {
        let waits = self.updates > 0 || self.openings.iter().any(|count| *count > 0);
        let weight = self.weight.unwrap_or(Severity::Low).max(Severity::Low);
        waits.then_some(Digest { at_ns: now_ns, cap, weight, openings: self.openings, updates: self.updates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_kept_for_what_is_high() {
        let mut cap = Cap::default();
        let told = |cap: &mut Cap, weight| (0..100).filter(|_| cap.admits(weight, 10)).count();
        assert_eq!(told(&mut cap, Severity::Medium), 8);
        assert_eq!(told(&mut cap, Severity::Critical), 2);
        assert_eq!(told(&mut cap, Severity::Info), 100);
        assert_eq!(cap.turn(MINUTE_NS, 10), None);
        assert_eq!(told(&mut cap, Severity::High), 10);
    }

    #[test]
    fn what_waits_is_told_when_the_minute_is_over() {
        let mut cap = Cap::default();
        cap.hold_opening(RuleId::ScanVertical, Severity::Medium);
        cap.hold_update(Severity::High);
        assert_eq!(cap.turn(MINUTE_NS - 1, 7), None);
        let digest = cap.turn(MINUTE_NS, 7).unwrap();
        assert_eq!(digest.weight, Severity::High, "who hears of nothing less learns that something waits");
        assert_eq!((digest.cap, digest.openings[RuleId::ScanVertical as usize], digest.updates), (7, 1, 1));
        assert_eq!(cap.turn(2 * MINUTE_NS, 7), None);
    }
}
