//! Who counts most, without remembering everybody.

use std::collections::HashMap;

/// How many are remembered. When there are twice as many, the lighter half is forgotten.
const REMEMBERED: usize = 4_096;

/// Sums by name. With more names than are remembered, those that count least may be too low or missing.
#[derive(Debug, Default)]
pub(super) struct Top {
    sums: HashMap<String, Sum>,
    /// How many were forgotten.
    pub forgotten: u64,
}

/// What is known of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// By what is sorted.
    pub weight: u64,
    /// How often it was there.
    pub times: u64,
    /// Its packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The highest severity, by its number.
    pub worst: usize,
}

impl Top {
    pub fn add(&mut self, name: &str, add: Sum) {
        if let Some(sum) = self.sums.get_mut(name) {
            sum.weight = sum.weight.saturating_add(add.weight);
            sum.times = sum.times.saturating_add(add.times);
            sum.packets = sum.packets.saturating_add(add.packets);
            sum.bytes = sum.bytes.saturating_add(add.bytes);
            sum.worst = sum.worst.max(add.worst);
            return;
        }
        if self.sums.len() >= 2 * REMEMBERED {
            let mut weights: Vec<_> = self.sums.values().map(|sum| sum.weight).collect();
            let (_, least, _) = weights.select_nth_unstable(REMEMBERED);
            let least = *least;
            let before = self.sums.len();
            // Of those that weigh the same, as many go as must.
            let mut equal = self.sums.values().filter(|sum| sum.weight > least).count();
            self.sums.retain(|_, sum| {
                let stays = sum.weight > least || (sum.weight == least && equal < REMEMBERED);
                equal += usize::from(stays && sum.weight == least);
                stays
            });
            self.forgotten += (before - self.sums.len()) as u64;
        }
        self.sums.insert(name.to_owned(), add);
    }

    /// The first ones.
    pub fn first(&self, count: usize) -> Vec<(&str, Sum)> {
        let mut all: Vec<_> = self.sums.iter().map(|(name, sum)| (name.as_str(), *sum)).collect();
        all.sort_unstable_by(|a, b| b.1.weight.cmp(&a.1.weight).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_is_kept_however_many_there_are() {
        let mut top = Top::default();
        for number in 0..100_000_u32 {
            top.add(&format!("{number}"), Sum { weight: 1, times: 1, ..Sum::default() });
            top.add("heavy", Sum { weight: 5, times: 1, ..Sum::default() });
            assert!(top.sums.len() <= 2 * REMEMBERED + 1);
        }
        assert_eq!(top.first(1), [("heavy", Sum { weight: 500_000, times: 100_000, ..Sum::default() })]);
        assert!(top.forgotten > 90_000, "{}", top.forgotten);
    }
}
