//! What a source sent in one slot, in as little memory as a whole window of slots should take.

use netwatch_common::Class;

use super::stats::{Hosts, SourceStats};

/// [`SourceStats`] of one slot. Numbers of packets stop at 4 billion of a class, which no link carries in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
    classes: [u32; Class::COUNT],
    completed: u32,
    probes: u32,
    answered: u32,
    to_groups: u32,
    hosts: Hosts,
}

impl Packed {
    /// What is in it.
    #[must_use]
    pub fn stats(&self) -> SourceStats {
        SourceStats {
            bytes: self.bytes,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            classes: self.classes.map(u64::from),
            completed: self.completed.into(),
            probes: self.probes.into(),
            answered: self.answered.into(),
            to_groups: self.to_groups.into(),
            hosts: self.hosts,
        }
    }

    /// Adds the counts of another part of the slot.
    pub fn merge(&mut self, other: &Self) {
        let mut sum = self.stats();
        sum.merge(&other.stats());
        *self = Self::from(&sum);
    }
}

impl From<&SourceStats> for Packed {
    fn from(stats: &SourceStats) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            bytes: stats.bytes,
            first_ns: stats.first_ns,
            last_ns: stats.last_ns,
            classes: stats.classes.map(narrow),
            completed: narrow(stats.completed),
            probes: narrow(stats.probes),
            answered: narrow(stats.answered),
            to_groups: narrow(stats.to_groups),
            hosts: stats.hosts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_there_again() {
        let stats = SourceStats {
            bytes: u64::MAX,
            first_ns: u64::MAX - 2,
            last_ns: u64::MAX - 1,
            classes: [0, 1, 2, 3, 4, 5, 6, 7, 8, u32::MAX.into()],
            completed: 11,
            probes: 12,
            answered: 13,
            to_groups: 14,
            hosts: Hosts::One([15, 16]),
        };
        assert_eq!(Packed::from(&stats).stats(), stats);
        let most = SourceStats { classes: [u64::MAX; Class::COUNT], ..stats };
        assert_eq!(Packed::from(&most).stats().classes, [u64::from(u32::MAX); Class::COUNT]);
        assert_eq!(Packed::from(&SourceStats::default()).stats(), SourceStats::default());
        assert!(size_of::<Packed>() <= 96 && size_of::<SourceStats>() > 140);
    }
}
