//! What was drained, held against what was counted: nothing may be lost on the way.

use netwatch_common::{Totals, Verdict};

use crate::analysis::Counted;

/// Sums over all slots, to hold against the kernel's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Packets counted under a source, those of nobody in particular included.
    pub sourced: u64,
    /// Packets counted under a target, likewise.
    pub targeted: u64,
    /// Slots drained.
    pub slots: u64,
    /// Slots that lasted over one and a half times as long as they should.
    pub late_slots: u64,
    /// Slots whose drain failed; what remained was drained with a later one.
    pub failed_slots: u64,
}

impl Drained {
    /// Adds what was drained of a slot.
    pub fn count(&mut self, counted: &Counted) {
        let Counted { sources, targets, unattributed, services, elsewhere, .. } = counted;
        self.slots += 1;
        self.sourced +=
            sources.iter().map(|(_, stats)| stats.packets()).sum::<u64>() + unattributed.packets();
        self.targeted += targets.iter().map(|(_, stats)| stats.packets()).sum::<u64>();
        self.targeted += services.iter().map(|(_, stats)| stats.packets()).sum::<u64>() + elsewhere.packets();
    }

    /// Packets in the totals that neither a drained slot nor a counter of losses accounts for; 0 unless netwatch is
    /// wrong. Exact only when no packets come.
    #[must_use]
    pub fn unaccounted(&self, totals: &Totals) -> u64 {
        let by_verdict: u64 = Verdict::ALL.into_iter().map(|verdict| totals.verdict(verdict)).sum();
        totals.seen.abs_diff(by_verdict)
            + totals.sourced.abs_diff(self.sourced)
            + totals.sourced.abs_diff(self.targeted)
    }
}
