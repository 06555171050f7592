//! Who is to have an entry of its own in the next slots, however many forged sources there are.
//!
//! A flood can fill the tables within milliseconds of a slot's beginning, so who gets an entry is a matter of luck. Who had
//! it once, and probed one target after the other, is known by then, and keeps it.

use std::collections::BTreeMap;

use netwatch_common::Addr;

use crate::analysis::{Counted, SourceStats};

/// Suspects at most: see [`netwatch_common::filter::Suspects::PARTS`].
const MOST: usize = 1_024;
/// Targets probed in a slot that make a suspect. A forged source that shows in a moment and never again probes one or two.
const PROBES: u64 = 4;
/// Slots after its last probes for which one stays a suspect: those of a window.
const PATIENCE: u32 = 12;

/// The suspects of one interface.
#[derive(Clone, Debug, Default)]
pub struct SuspectList {
    /// For how many more slots each is one.
    left: BTreeMap<Addr, u32>,
}

impl SuspectList {
    /// Takes note of a slot, in which some sources found no room or none. Returns who are the suspects from now on, where
    /// that changes.
    pub fn slot(&mut self, counted: &Counted, is_crowded: bool) -> Option<Vec<Addr>> {
        if !is_crowded && self.left.is_empty() {
            return None;
        }
        let before: Vec<_> = self.left.keys().copied().collect();
        self.left.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        if is_crowded {
            // Those who are suspects already come first, then who probed most.
            let is_one = |stats: &SourceStats| stats.probes >= PROBES && stats.completed == 0;
            let mut seen: Vec<_> = counted.sources.iter().filter(|(_, stats)| is_one(stats)).collect();
            seen.sort_by_key(|(addr, stats)| {
                (!self.left.contains_key(addr), std::cmp::Reverse(stats.probes), *addr)
            });
            for (addr, _) in seen {
                if self.left.len() < MOST || self.left.contains_key(addr) {
                    self.left.insert(*addr, PATIENCE);
                }
            }
        }
        let now: Vec<_> = self.left.keys().copied().collect();
        (now != before).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn slot(sources: impl IntoIterator<Item = (u32, u64)>) -> Counted {
        let stats = |probes| SourceStats { probes, ..SourceStats::default() };
        let sources = sources.into_iter().map(|(addr, probes)| (Ipv4Addr::from(addr).into(), stats(probes)));
        Counted::named(sources.collect(), Vec::new())
    }

    fn addrs(numbers: impl IntoIterator<Item = u32>) -> Vec<Addr> {
        let mut addrs: Vec<_> = numbers.into_iter().map(|number| Ipv4Addr::from(number).into()).collect();
        addrs.sort();
        addrs
    }

    #[test]
    fn who_probes_on_in_a_crowd_is_one_for_the_length_of_a_window() {
        let mut list = SuspectList::default();
        assert_eq!(list.slot(&slot([(1, 50)]), false), None, "there is room for everybody");
        assert_eq!(list.slot(&slot([(1, 2), (2, 4), (3, 9)]), true), Some(addrs([2, 3])));
        assert_eq!(list.slot(&slot([(1, 2), (2, 4)]), true), None);
        for _ in 0..10 {
            assert_eq!(list.slot(&slot([]), false), None);
        }
        assert_eq!(list.slot(&slot([]), true), Some(addrs([2])), "the other was seen a slot earlier");
        assert_eq!(list.slot(&slot([]), false), Some(addrs([])));
        assert_eq!(list.slot(&slot([]), false), None);
    }

    #[test]
    fn there_are_not_more_than_fit_and_the_first_ones_stay() {
        let mut list = SuspectList::default();
        assert_eq!(list.slot(&slot([(7, 4)]), true), Some(addrs([7])));
        let crowd = slot((1_000..4_000).map(|number| (number, u64::from(number))).chain([(7, 4)]));
        let suspects = list.slot(&crowd, true).unwrap();
        assert_eq!(suspects.len(), MOST);
        assert!(suspects.contains(&addrs([7])[0]) && suspects.contains(&addrs([3_999])[0]));
    }
}
