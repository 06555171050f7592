//! What is usual for a destination: how many unsolicited packets it gets in nearly every slot.

use std::collections::BTreeMap;

use netwatch_common::Addr;

use super::limits::LEARNED_DESTS;

/// How long a destination must have been watched before its rates mean something, in nanoseconds: 1 h.
const LEAST_NS: u64 = 3_600_000_000_000;
/// How long rates count: twice this, they are halved. In nanoseconds: 24 h.
const MEMORY_NS: u64 = 24 * LEAST_NS;
/// Rates are told apart by quarters of an octave, up to 2^32 packets/s.
const STEPS: usize = 4 * 32;

/// The usual rates of the destinations of one interface.
#[derive(Clone, Debug, Default)]
pub struct Usual {
    dests: BTreeMap<Addr, Rates>,
}

/// How often each rate was seen.
#[derive(Clone, Debug)]
struct Rates {
    watched_ns: u64,
    /// Time with a rate of this step or less, but more than the last one, in nanoseconds.
    steps: [u64; STEPS],
}

impl Usual {
    /// Takes note of a slot of `length_ns` and the rates in it, in packets/s; a destination that is not named had
    /// none.
    pub fn learn(&mut self, rates: &[(Addr, u64)], length_ns: u64) {
        for known in self.dests.values_mut() {
            known.watched_ns = known.watched_ns.saturating_add(length_ns);
            while known.watched_ns >= 2 * MEMORY_NS {
                known.watched_ns /= 2;
                known.steps.iter_mut().for_each(|time_ns| *time_ns /= 2);
            }
        }
        for (dest, rate) in rates {
            let has_room = self.dests.len() < LEARNED_DESTS;
            let known = match self.dests.get_mut(dest) {
                Some(known) => known,
                None if has_room => {
                    self.dests.entry(*dest).or_insert(Rates { watched_ns: length_ns, steps: [0; STEPS] })
                }
                None => continue,
            };
            if let Some(time_ns) = known.steps.get_mut(step(*rate)) {
                *time_ns = time_ns.saturating_add(length_ns);
            }
        }
    }

    /// The rate that a destination stays within for 99 of 100 slots, in packets/s, rounded up to the next step;
    /// `None` until it was watched for an hour.
    #[must_use]
    pub fn p99(&self, dest: Addr) -> Option<u64> {
        let known = self.dests.get(&dest).filter(|known| known.watched_ns >= LEAST_NS)?;
        let mut above_ns = 0_u64;
        for (step, time_ns) in known.steps.iter().enumerate().rev() {
            above_ns = above_ns.saturating_add(*time_ns);
            if above_ns > known.watched_ns / 100 {
                return Some(most_of(step));
            }
        }
        Some(0)
    }
}

/// Which step a rate belongs to: the first whose most is not below it.
fn step(rate: u64) -> usize {
    (0..STEPS).find(|step| most_of(*step) >= rate).unwrap_or(STEPS - 1)
}

/// The highest rate of a step, in packets/s.
fn most_of(step: usize) -> u64 {
    let quarters = u64::try_from(step % 4).unwrap_or(0);
    (1_u64 << (step / 4)) * (4 + quarters) / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const SLOT: u64 = 5_000_000_000;

    fn dest(last: u8) -> Addr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn steps_grow_by_a_fifth_at_most() {
        for rate in [0, 1, 2, 7, 100, 20_000, 1_000_000] {
            let most = most_of(step(rate));
            assert!(most >= rate && most <= rate.max(4) * 5 / 4 + 1, "{rate} {most}");
        }
    }

    #[test]
    fn nothing_is_usual_before_an_hour() {
        let mut usual = Usual::default();
        for _ in 0..719 {
            usual.learn(&[(dest(1), 100)], SLOT);
        }
        assert_eq!(usual.p99(dest(1)), None);
        usual.learn(&[(dest(1), 100)], SLOT);
        assert_eq!(usual.p99(dest(1)), Some(112));
    }

    #[test]
    fn one_slot_in_a_hundred_may_be_unusual() {
        let mut usual = Usual::default();
        for slot in 0..2_000 {
            let rate = if slot % 200 == 0 { 50_000 } else { 10 };
            usual.learn(&[(dest(1), rate)], SLOT);
        }
        assert_eq!(usual.p99(dest(1)), Some(10));
        for slot in 0..2_000 {
            let rates = [(dest(2), 1_000)];
            usual.learn(if slot % 50 == 0 { &rates } else { &[] }, SLOT);
        }
        assert_eq!(usual.p99(dest(2)), Some(1_024));
    }

    #[test]
    fn only_so_many_destinations_are_learned() {
        let mut usual = Usual::default();
        let many = u32::try_from(LEARNED_DESTS).unwrap() + 10;
        let rates: Vec<_> = (0..many).map(|bits| (Ipv4Addr::from_bits(bits).into(), 1)).collect();
        usual.learn(&rates, SLOT);
        assert_eq!(usual.dests.len(), LEARNED_DESTS);
    }
}
