//! Which numbers to raise, and how far. Pure: who was told of in, numbers out.
//!
//! Each number gets its fair share of the alerts that may be told, those that need little first: what tells one alert
//! keeps it as long as there is room for one of each, and the room that is left goes to those that tell more, in equal
//! parts. So the noisy pay, and the rare are heard. A number that tells more than its share is raised to the largest
//! alert that finds no room, and no further.

use core::cmp::Reverse;
use std::collections::BTreeMap;

use super::knob::{Knob, Raised};
use crate::analysis::Severity;

/// What it takes not to tell an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What is to be raised.
    pub knob: Knob,
    /// To how much, at least. It stands below that, or the alert would not have been told.
    pub need: u64,
    /// How severe the alert is: of those that need as much room, the most severe comes first.
    pub severity: Severity,
}

/// What to raise so that at most `most` of the alerts remain; nothing where there are no more than that.
#[must_use]
pub fn raise(demands: &[Demand], most: usize) -> Raised {
    let mut groups: BTreeMap<Knob, Group> = BTreeMap::new();
    for demand in demands {
        groups.entry(demand.knob).or_default().needs.push((demand.need, demand.severity));
    }
    groups.values_mut().for_each(Group::rank);
    let mut room = most;
    loop {
        let steps = groups.iter_mut().filter_map(|(knob, group)| {
            let (count, severity) = group.next()?;
            let fits = count - group.stays() <= room;
            fits.then_some(((count, Reverse(severity), *knob), group))
        });
        let Some((_, group)) = steps.min_by_key(|(order, _)| *order) else { break };
        let before = group.stays();
        group.taken += 1;
        room -= group.stays() - before;
    }
    groups.iter().filter_map(|(knob, group)| Some((*knob, group.first_out()?))).collect()
}

/// The alerts of one knob.
#[derive(Debug, Default)]
struct Group {
    /// What each needs, descending.
    needs: Vec<(u64, Severity)>,
    /// How many remain if the first, the first two, … of the different needs do: those that need the same cannot be
    /// told apart.
    levels: Vec<usize>,
    /// How many levels remain.
    taken: usize,
}

impl Group {
    fn rank(&mut self) {
        self.needs.sort_unstable_by(|left, right| right.cmp(left));
        let equal = self.needs.chunk_by(|(left, _), (right, _)| left == right);
        self.levels = equal
            .scan(0, |sum, run| {
                *sum += run.len();
                Some(*sum)
            })
            .collect();
    }

    /// How many remain.
    fn stays(&self) -> usize {
        self.taken.checked_sub(1).and_then(|last| self.levels.get(last)).copied().unwrap_or(0)
    }

    /// How many would remain with the next level, and how severe the first of that is.
    fn next(&self) -> Option<(usize, Severity)> {
        let count = self.levels.get(self.taken).copied()?;
        let (_, severity) = self.needs.get(self.stays())?;
        Some((count, *severity))
    }

    /// What the largest needs that finds no room.
    fn first_out(&self) -> Option<u64> {
        self.needs.get(self.stays()).map(|(need, _)| *need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::RuleId;
    use proptest::prelude::*;

    fn knob(rule: usize) -> Knob {
        Knob { rule: RuleId::ALL[rule], is_bits: false }
    }

    fn demands(rule: usize, severity: Severity, needs: impl IntoIterator<Item = u64>) -> Vec<Demand> {
        needs.into_iter().map(|need| Demand { knob: knob(rule), need, severity }).collect()
    }

    fn remain(demands: &[Demand], raised: &Raised) -> usize {
        demands
            .iter()
            .filter(|demand| raised.get(&demand.knob).is_none_or(|value| demand.need > *value))
            .count()
    }

    #[test]
    fn one_rule_keeps_its_largest() {
        let scans = demands(0, Severity::Medium, 11..=40);
        assert_eq!(raise(&scans, 5), Raised::from([(knob(0), 35)]));
        assert_eq!(raise(&scans, 30), Raised::new());
        assert_eq!(raise(&scans, 0), Raised::from([(knob(0), 40)]));
    }

    #[test]
    fn the_noisy_pay_and_the_rare_are_heard() {
        let all = [
            demands(0, Severity::Medium, 11..=40),
            demands(6, Severity::Low, 101..=200),
            demands(9, Severity::Critical, [30_000]),
        ]
        .concat();
        assert_eq!(raise(&all, 5), Raised::from([(knob(0), 38), (knob(6), 198)]));
        // What does not go up in equal parts goes to the more severe.
        assert_eq!(raise(&all, 4), Raised::from([(knob(0), 38), (knob(6), 199)]));
        assert_eq!(raise(&all, 1), Raised::from([(knob(0), 40), (knob(6), 200)]));
    }

    #[test]
    fn equals_stay_or_go_together() {
        let all =
            [demands(0, Severity::Medium, [12; 10]), demands(6, Severity::Low, [300, 200, 150])].concat();
        assert_eq!(raise(&all, 5), Raised::from([(knob(0), 12)]));
        assert_eq!(raise(&all, 12), Raised::from([(knob(0), 12)]));
        assert_eq!(raise(&all, 2), Raised::from([(knob(0), 12), (knob(6), 150)]));
        assert_eq!(raise(&all, 13), Raised::new());
    }

    fn any_demand() -> impl Strategy<Value = Demand> {
        (0..6_usize, 11..60_u64, 0..Severity::COUNT).prop_map(|(rule, need, severity)| Demand {
            knob: knob(rule),
            need,
            severity: Severity::ALL[severity],
        })
    }

    proptest! {
        #[test]
        fn what_remains_fits_and_no_more_would(
            all in prop::collection::vec(any_demand(), 0..80),
            most in 0..90_usize,
        ) {
            let raised = raise(&all, most);
            prop_assert!(remain(&all, &raised) <= most);
            prop_assert_eq!(raised.is_empty(), all.len() <= most);
            for (knob, value) in &raised {
                // Never lowered, and never raised for nothing.
                prop_assert!(all.iter().any(|demand| demand.knob == *knob && demand.need == *value));
                let mut lower = raised.clone();
                let next = all.iter().filter(|demand| demand.knob == *knob && demand.need < *value);
                lower.insert(*knob, next.map(|demand| demand.need).max().unwrap_or(0));
                prop_assert!(remain(&all, &lower) > most, "{knob:?} could stay lower");
            }
        }

        /// Each may be a part of one before it, and be told once that is not.
        #[test]
        fn again_and_again_comes_to_an_end(
            all in prop::collection::vec((any_demand(), 0..80_usize), 0..80),
            most in 0..20_usize,
        ) {
            let mut raised = Raised::new();
            for round in 0.. {
                let mut told: Vec<bool> = Vec::new();
                for (index, (demand, part_of)) in all.iter().enumerate() {
                    let fires = demand.need > raised.get(&demand.knob).copied().unwrap_or(10);
                    let is_explained = *part_of < index && told[*part_of];
                    told.push(fires && !is_explained);
                }
                let told: Vec<_> = all.iter().zip(told).filter(|(_, told)| *told).map(|((one, _), _)| *one).collect();
                if told.len() <= most {
                    break;
                }
                prop_assert!(round < 6 * 50, "each time one of six goes up, to one of fifty");
                let more = raise(&told, most);
                prop_assert!(!more.is_empty());
                for (knob, value) in more {
                    prop_assert!(raised.insert(knob, value).is_none_or(|before| before < value));
                }
            }
        }
    }
}
