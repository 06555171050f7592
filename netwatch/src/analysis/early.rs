//! What hints tell of the slot that goes on.
//!
//! A hint decides nothing. It says which source to look at, and which targets to look up: the counts come from the
//! maps, and what they show is judged by the same rules as an ended slot, as far as these need neither a rate nor
//! all targets.

use std::collections::BTreeMap;

use netwatch_common::{Addr, Hint, Ports, TargetKey};

use super::limits::{EARLY_EVALUATIONS, EARLY_FLOODS, EARLY_LEAST, EARLY_NEAR, EARLY_SOURCES, EARLY_TARGETS};
use super::policy::Policy;
use super::rules::RuleId;
use super::stats::{SourceStats, TargetStats};

/// Looks up what the maps hold of the slot that goes on; `None` where there is no entry.
pub trait Look {
    /// What a source has sent.
    fn source(&mut self, slot: u32, source: Addr) -> Option<SourceStats>;
    /// What it has sent to a target.
    fn target(&mut self, slot: u32, target: &TargetKey) -> Option<TargetStats>;
    /// The ports that it has probed at targets that found no room, where that is known.
    fn ports(&mut self, _slot: u32, _source: Addr) -> Option<Ports> {
        None
    }
}

/// Of how much the programs give hints, on each CPU and in each slot. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintRates {
    /// [`Control::hint_packets`](netwatch_common::Control::hint_packets).
    pub packets: u32,
    /// [`Control::hint_crossing`](netwatch_common::Control::hint_crossing).
    pub crossing: u32,
    /// [`Control::hint_probes`](netwatch_common::Control::hint_probes).
    pub probes: u32,
}

impl HintRates {
    /// Often enough that no threshold is crossed by much before there is a hint: of a share of it, so that some CPU has
    /// seen as many when all `cpus` together have crossed it.
    #[must_use]
    pub fn of(policy: &Policy, cpus: usize) -> Self {
        let cpus = u64::try_from(cpus.max(1)).unwrap_or(u64::MAX);
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let crossing = |rules: &[RuleId]| {
            let enabled = rules.iter().map(|rule| policy.of(*rule)).filter(|rule| rule.enabled);
            enabled.map(|rule| rule.threshold.saturating_add(1)).min()
        };
        let packets = crossing(&[RuleId::DosUnsolicited]);
        let probes = crossing(&[RuleId::ScanVertical, RuleId::ScanHorizontal, RuleId::ScanSweepIcmp]);
        let share = |crossing: Option<u64>| crossing.map_or(0, |crossing| narrow(crossing.div_ceil(cpus)));
        Self { packets: share(packets), crossing: packets.map_or(0, narrow), probes: share(probes) }
    }
}

/// What hints told of one interface since its last slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Early {
    /// The slot that the rest is about.
    slot: u32,
    /// The slot that was drained last; hints of it and of earlier ones come too late to be of use.
    drained: Option<u32>,
    sources: BTreeMap<Addr, Vec<TargetKey>>,
    /// Sources that came near a threshold: one CPU has seen its share of it, and what the others see makes no hint.
    near: Vec<Addr>,
    evaluations: usize,
    /// Looks that had to wait for the end of their slot, since the start.
    deferred: u64,
    floods: usize,
}

impl Early {
    /// Forgets all that is about the slot that was drained, and earlier ones.
    pub(super) fn slot_drained(&mut self, number: u32) {
        self.drained = Some(number);
        if !is_later(self.slot, number) {
            self.begin(number.wrapping_add(1));
        }
    }

    /// Takes note of hints, and returns the sources that should be looked at, each once.
    /// `is_notable` says of which sources so much is known that a few targets more may matter, `one_cpu` that nothing
    /// happens to a source that there is no hint of.
    pub(super) fn take(
        &mut self,
        hints: &[Hint],
        one_cpu: bool,
        is_notable: impl Fn(Addr) -> bool,
    ) -> Vec<Addr> {
        let mut worth = Vec::new();
        for hint in hints {
            // Listed addresses are another matter than scans and floods.
            if hint.kind == Hint::LISTED {
                continue;
            }
            if self.drained.is_some_and(|drained| !is_later(hint.slot, drained)) {
                continue;
            }
            if is_later(hint.slot, self.slot) {
                self.begin(hint.slot);
                worth.clear();
            }
            let source = hint.target.source;
            let has_room = self.sources.len() < EARLY_SOURCES;
            let targets = match self.sources.get_mut(&source) {
                Some(targets) => targets,
                None if has_room => self.sources.entry(source).or_default(),
                None => continue,
            };
            if hint.kind == Hint::PROBE && targets.len() < EARLY_TARGETS && !targets.contains(&hint.target) {
                targets.push(hint.target);
            }
            if hint.kind == Hint::PACKETS
                && !one_cpu
                && self.near.len() < EARLY_NEAR
                && !self.near.contains(&source)
            {
                self.near.push(source);
            }
            // Fewer targets break no rule, unless the window knows some already.
            if hint.kind == Hint::PACKETS || targets.len() >= EARLY_LEAST || is_notable(source) {
                worth.push(source);
            }
        }
        worth.extend_from_slice(&self.near);
        worth.sort_unstable();
        worth.dedup();
        let room = EARLY_EVALUATIONS.saturating_sub(self.evaluations);
        self.deferred += u64::try_from(worth.len().saturating_sub(room)).unwrap_or(u64::MAX);
        worth.truncate(room);
        self.evaluations += worth.len();
        worth
    }

    /// What the maps hold of a source: what it has sent, and what of it went to the targets that hints named, as far as
    /// these found room.
    pub(super) fn look(
        &self,
        source: Addr,
        look: &mut impl Look,
    ) -> (SourceStats, Vec<(TargetKey, TargetStats)>, Option<Ports>) {
        let named = self.sources.get(&source).map_or(&[][..], |targets| targets);
        let mut targets: Vec<_> =
            named.iter().filter_map(|key| Some((*key, look.target(self.slot, key)?))).collect();
        targets.sort_unstable_by_key(|(key, _)| *key);
        let ports = look.ports(self.slot, source).filter(|ports| !ports.is_empty());
        (look.source(self.slot, source).unwrap_or_default(), targets, ports)
    }

    /// Looks that had to wait for the end of their slot, since the start.
    pub(super) const fn deferred(&self) -> u64 {
        self.deferred
    }

    /// Whether one more flood may be told before the slot ends.
    pub(super) const fn may_tell_flood(&self) -> bool {
        self.floods < EARLY_FLOODS
    }

    /// Takes note of a flood that was told.
    pub(super) fn flood_told(&mut self, source: Addr) {
        self.floods += 1;
        self.near.retain(|near| *near != source);
    }

    /// Whether some source should be looked at again although no hint tells of it.
    pub(super) const fn is_any_near(&self) -> bool {
        !self.near.is_empty() && self.evaluations < EARLY_EVALUATIONS && self.may_tell_flood()
    }

    fn begin(&mut self, slot: u32) {
        *self = Self { slot, drained: self.drained, deferred: self.deferred, ..Self::default() };
    }
}

/// Whether a slot comes after another; numbers wrap.
const fn is_later(slot: u32, other: u32) -> bool {
    let ahead = slot.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}
