//! Again and again: what is told, what to raise, and what is told then.

use std::collections::BTreeMap;

use super::budget::{Demand, raise};
use super::knob::{Knob, Raised, apply};
use super::told::{Alert, Told};
use crate::analysis::{Policy, Severity};

/// Alerts of one knob that are listed by name.
pub const LISTED: usize = 5;

/// Replays at most. Numbers only go up, so there is an end in any case; it may be far away where a source that goes on
/// for hours falls into one alert after another.
const REPLAYS: u32 = 24;

/// Replays after which each one aims at half as many alerts as the one before.
const PATIENT: u32 = 8;

/// What a replay tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// What is raised.
    pub raised: Raised,
    /// Whether the cap on notifications applies. Mostly it does not: what waits for the next minute is to be seen, too.
    pub is_capped: bool,
}

impl Trial {
    /// The policy that it tries.
    #[must_use]
    pub fn policy(&self, policy: Policy) -> Policy {
        let most = policy.notifications_per_minute;
        let notifications_per_minute = if self.is_capped { most } else { u64::MAX };
        apply(&self.raised, Policy { notifications_per_minute, ..policy })
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was raised in the end.
    pub raised: Raised,
    /// What was told with nothing raised.
    pub before: Told,
    /// What is told with all of that raised, as the last replay has shown.
    pub after: Told,
    /// What the raised numbers keep from being told, whether it was told before or came up on the way.
    pub left_out: BTreeMap<Knob, LeftOut>,
    /// How many replays it took.
    pub replays: u32,
}

/// Alerts that a knob keeps from being told.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// How many of them were high or critical.
    pub severe: u64,
    /// The worst of them, [`LISTED`] at most.
    pub worst: Vec<Alert>,
}

/// Raises numbers until at most `budget` alerts are told. `before` is what is told with none raised, and `replay` tells
/// what is told with some, which follows what it is given.
///
/// Alerts that no number decides cannot be left out. Where they alone are as many as wanted, the others get the whole
/// budget for themselves: to silence everything else would help nobody.
///
/// # Errors
///
/// Those of `replay`.
pub fn search<E>(
    before: Told,
    budget: u64,
    most_in_a_minute: u64,
    mut replay: impl FnMut(&Trial, &Told) -> Result<Told, E>,
) -> Result<Found, E> {
    let (mut trial, mut replays) = (Trial::default(), 1);
    let mut left_out: BTreeMap<Knob, LeftOut> = BTreeMap::new();
    let mut after = before.clone();
    loop {
        let demands: Vec<_> = after.alerts().filter_map(demand).collect();
        let known = len(&demands);
        let fixed = len(after.alerts()).saturating_sub(known);
        let room = if fixed < budget { budget - fixed } else { budget };
        if after.count().saturating_sub(fixed) > room && replays < REPLAYS {
            let most = share(room, known, after.unlisted()) >> replays.saturating_sub(PATIENT).min(63);
            let more = raise(&demands, usize::try_from(most).unwrap_or(usize::MAX));
            if more.is_empty() {
                break;
            }
            for alert in after.alerts() {
                if let Some((knob, need)) = alert.knob
                    && more.get(&knob).is_some_and(|value| need <= *value)
                {
                    left_out.entry(knob).or_default().add(alert);
                }
            }
            trial.raised.extend(more);
        } else if !trial.is_capped && after.busiest_minute() > most_in_a_minute / 2 {
            // What the cap holds back cannot explain other things: this may differ from what was seen without it. A
            // fifth of the cap is kept for what is severe, so it does nothing up to four fifths.
            trial.is_capped = true;
        } else {
            break;
        }
        after = replay(&trial, &after)?;
        replays += 1;
    }
    Ok(Found { raised: trial.raised, before, after, left_out, replays })
}

impl Found {
    /// How much is left out in all; nothing of it is listed.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        let mut all = LeftOut::default();
        for LeftOut { count, severe, .. } in self.left_out.values() {
            all.count += count;
            all.severe += severe;
        }
        all
    }
}

impl LeftOut {
    fn add(&mut self, alert: &Alert) {
        self.count += 1;
        self.severe += u64::from(alert.severity >= Severity::High);
        self.worst.push(*alert);
        self.worst.sort_by_key(Alert::rank);
        self.worst.truncate(LISTED);
    }
}

fn demand(alert: &Alert) -> Option<Demand> {
    let (knob, need) = alert.knob?;
    Some(Demand { knob, need, severity: alert.severity })
}

/// How many of the known alerts may remain where more is told than is known.
fn share(room: u64, known: u64, unlisted: u64) -> u64 {
    let all = u128::from(known) + u128::from(unlisted);
    let share = u128::from(room) * u128::from(known) / all.max(1);
    u64::try_from(share).unwrap_or(u64::MAX)
}

pub(super) fn len<T>(all: impl IntoIterator<Item = T>) -> u64 {
    u64::try_from(all.into_iter().count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{RuleId, Transition};
    use crate::replay::player::Observe as _;
    use crate::suggest::tests::scan;

    const SCAN: Knob = Knob { rule: RuleId::ScanVertical, is_bits: false };

    /// What is told of scans with these peaks.
    fn told(peaks: impl IntoIterator<Item = u64>, trial: &Trial) -> Told {
        let policy = trial.policy(Policy::default());
        let threshold = policy.of(RuleId::ScanVertical).threshold;
        let peaks = peaks.into_iter().filter(|peak| *peak > threshold);
        let scans: Vec<_> =
            (1..).zip(peaks).map(|(number, peak)| Transition { peak, threshold, ..scan(number) }).collect();
        let mut told = Told::new(policy, Severity::Low);
        told.transitions(&scans);
        told
    }

    fn found(budget: u64, most_in_a_minute: u64, tell: impl Fn(&Trial) -> Told) -> (Found, Vec<Trial>) {
        let mut trials = Vec::new();
        let found = search(tell(&Trial::default()), budget, most_in_a_minute, |trial, _| {
            trials.push(trial.clone());
            Ok::<_, ()>(tell(trial))
        });
        (found.unwrap(), trials)
    }

    #[test]
    fn what_fits_is_left_alone() {
        let (found, trials) = found(5, 100, |trial| told(11..16, trial));
        assert_eq!((found.raised.len(), found.replays, trials.len()), (0, 1, 0));
        assert_eq!((found.before.count(), found.after.count()), (5, 5));
    }

    #[test]
    fn the_last_replay_proves_it() {
        let (found, trials) = found(5, 100, |trial| told(11..=40, trial));
        assert_eq!((&found.raised, trials.len()), (&Raised::from([(SCAN, 35)]), 1));
        assert_eq!((found.before.count(), found.after.count()), (30, 5));
        let left_out = &found.left_out[&SCAN];
        let worst: Vec<_> =
            left_out.worst.iter().filter_map(|alert| alert.knob).map(|(_, need)| need).collect();
        assert_eq!((left_out.count, left_out.severe, worst), (25, 0, vec![35, 34, 33, 32, 31]));
    }

    #[test]
    fn alerts_that_come_up_on_the_way_are_counted() {
        // Each time the threshold goes up, as many again come up, a little larger.
        let rising = |trial: &Trial| {
            let threshold = trial.raised.get(&SCAN).copied().unwrap_or(10);
            told((threshold + 1..=threshold + 20).filter(|peak| *peak <= 200), trial)
        };
        let (found, _) = found(5, 100, rising);
        assert!(found.after.count() <= 5 && found.replays < REPLAYS, "{}", found.replays);
        assert!(found.left_out[&SCAN].count > 100);
    }

    #[test]
    fn there_is_an_end_to_it_in_any_case() {
        let endless = |trial: &Trial| {
            let threshold = trial.raised.get(&SCAN).copied().unwrap_or(10);
            told(threshold + 1..=threshold + 20, trial)
        };
        let (found, _) = found(5, 100, endless);
        assert_eq!((found.replays, found.after.count()), (REPLAYS, 20));
    }

    #[test]
    fn what_no_number_decides_costs_the_others_little() {
        let with_lost = |lost: u64| {
            move |trial: &Trial| {
                let mut told = told(11..=40, trial);
                let lost =
                    (100..100 + lost).map(|number| Transition { rule: RuleId::Degraded, ..scan(number) });
                told.transitions(&lost.collect::<Vec<_>>());
                told
            }
        };
        let (some, _) = found(5, 100, with_lost(2));
        assert_eq!((some.after.count(), &some.raised), (5, &Raised::from([(SCAN, 37)])));
        let (too_many, _) = found(5, 100, with_lost(9));
        assert_eq!((too_many.after.count(), &too_many.raised), (14, &Raised::from([(SCAN, 35)])));
    }

    #[test]
    fn the_cap_is_tried_where_it_may_matter() {
        let tell = |trial: &Trial| {
            let mut told = told(11..=40, trial);
            // Explained by what the cap holds back.
            let more = Transition { rule: RuleId::PortHammer, peak: 50, threshold: 30, ..scan(90) };
            if trial.is_capped && !trial.raised.keys().any(|knob| knob.rule == RuleId::PortHammer) {
                told.transitions(&[more]);
            }
            told
        };
        let (found, trials) = found(5, 8, tell);
        assert_eq!(trials.iter().map(|trial| trial.is_capped).collect::<Vec<_>>(), [false, true, true]);
        assert!(found.after.count() <= 5);
    }
}
