//! Who has most, in bounded memory.

use std::collections::HashMap;

use core::cmp::Reverse;
use core::hash::Hash;

/// What one key has.
pub(super) trait Weigh {
    /// By what it is ranked.
    fn weight(&self) -> u64;
}

/// Values by key, of which those that weigh least are forgotten when there are too many.
///
/// A key that comes, or comes back, after something was forgotten may have had as much before as the heaviest that
/// was forgotten, and no more: that is its uncertainty. It stays below the weight of all keys together divided by the
/// number of keys that are kept, so the heavy ones are never forgotten.
#[derive(Clone, Debug)]
pub(super) struct Top<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// How many survive when some are forgotten.
    kept: usize,
    /// The most that one had that was forgotten.
    forgotten: u64,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    /// How much more it may weigh.
    uncertainty: u64,
}

/// One key of a ranking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<'a, K, V> {
    /// The key.
    pub(super) key: &'a K,
    /// What it has, as far as is remembered.
    pub(super) value: &'a V,
    /// How much more it may weigh.
    pub(super) uncertainty: u64,
}

impl<K: Copy + Eq + Hash, V: Default + Weigh> Top<K, V> {
    /// Nothing yet. At least `kept` keys are remembered, and half as many more until some are forgotten.
    pub(super) fn new(kept: usize) -> Self {
        Self { entries: HashMap::new(), kept, forgotten: 0 }
    }

    /// What a key has, to add to it. What is forgotten to make room is handed to `forget`.
    pub(super) fn at(&mut self, key: K, forget: impl FnMut(V)) -> &mut V {
        if self.entries.len() >= self.most() && !self.entries.contains_key(&key) {
            self.make_room(forget);
        }
        let uncertainty = self.forgotten;
        &mut self.entries.entry(key).or_insert_with(|| Entry { value: V::default(), uncertainty }).value
    }

    /// What a key has, if it is known.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// How many keys there are, or where something was forgotten, how many at least.
    pub(super) fn distinct(&self) -> usize {
        if self.forgotten == 0 { self.entries.len() } else { self.most() + 1 }
    }

    /// How much more than is known any key may weigh, those that are not known included; 0 where nothing was
    /// forgotten.
    pub(super) const fn uncertainty(&self) -> u64 {
        self.forgotten
    }

    /// All values that are known, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|entry| &entry.value)
    }

    /// The `count` heaviest, those of the same weight in the order of what `name` makes of their keys.
    pub(super) fn ranked<N: Ord>(&self, count: usize, name: impl Fn(K) -> N) -> Vec<Ranked<'_, K, V>> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|(key, Entry { value, uncertainty })| Ranked { key, value, uncertainty: *uncertainty })
            .collect();
        let weight = |one: &Ranked<'_, K, V>| Reverse(one.value.weight());
        all.sort_unstable_by(|left, right| {
            weight(left).cmp(&weight(right)).then_with(|| name(*left.key).cmp(&name(*right.key)))
        });
        all.truncate(count);
        all
    }

    /// How many are known before some are forgotten: enough more than are kept, so that this is seldom.
    const fn most(&self) -> usize {
        self.kept + self.kept / 2 + 1
    }

    /// Forgets all that may not weigh more than the heaviest that finds no place among `kept`.
    fn make_room(&mut self, mut forget: impl FnMut(V)) {
        let most = |entry: &Entry<V>| entry.value.weight().saturating_add(entry.uncertainty);
        let mut weights: Vec<u64> = self.entries.values().map(most).collect();
        // The next one after those that are kept.
        let index = weights.len().saturating_sub(self.kept + 1);
        if index < weights.len() {
            let (_, heaviest, _) = weights.select_nth_unstable(index);
            self.forgotten = self.forgotten.max(*heaviest);
        }
        let bound = self.forgotten;
        for (_, entry) in self.entries.extract_if(|_, entry| most(entry) <= bound) {
            forget(entry.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Weigh for u64 {
        fn weight(&self) -> u64 {
            *self
        }
    }

    fn count(keys: impl IntoIterator<Item = u32>, kept: usize) -> (Top<u32, u64>, u64) {
        let (mut top, mut forgotten) = (Top::<u32, u64>::new(kept), 0);
        for key in keys {
            *top.at(key, |value| forgotten += value) += 1;
            assert!(top.entries.len() <= top.most());
        }
        (top, forgotten)
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let (top, forgotten) = count((0..16).chain(3..9).chain([7]), 10);
        assert_eq!((top.distinct(), top.uncertainty(), forgotten), (16, 0, 0));
        let ranked: Vec<_> =
            top.ranked(4, |key| key).iter().map(|one| (*one.key, *one.value, one.uncertainty)).collect();
        assert_eq!(ranked, [(7, 3, 0), (3, 2, 0), (4, 2, 0), (5, 2, 0)]);
    }

    #[test]
    fn the_heavy_stay_among_many() {
        let heavy = |turn: u32| [1_000_000 + turn % 3, turn];
        let (top, forgotten) = count((0..30_000).flat_map(heavy), 100);
        let ranked = top.ranked(3, |key| key);
        assert!(
            ranked.iter().all(|one| *one.key >= 1_000_000 && (*one.value, one.uncertainty) == (10_000, 0))
        );
        assert_eq!(top.values().sum::<u64>() + forgotten, 60_000);
        assert!(top.uncertainty() > 0 && top.uncertainty() <= 60_000 / 100);
    }

    proptest! {
        #[test]
        fn what_is_known_is_as_wrong_as_is_said(keys in prop::collection::vec(0..60_u32, 0..400), kept in 1..20_usize) {
            let (top, forgotten) = count(keys.iter().copied(), kept);
            let mut truth = BTreeMap::new();
            keys.iter().for_each(|key| *truth.entry(*key).or_insert(0_u64) += 1);
            let known: BTreeMap<_, _> =
                top.ranked(usize::MAX, |key| key).iter().map(|one| (*one.key, (*one.value, one.uncertainty))).collect();
            for (key, count) in &truth {
                let (least, uncertainty) = known.get(key).copied().unwrap_or((0, top.uncertainty()));
                prop_assert!(least <= *count && *count <= least + uncertainty, "{key}");
            }
            let all = u64::try_from(keys.len()).unwrap();
            prop_assert!(top.uncertainty() <= all / (u64::try_from(kept).unwrap() + 1));
            prop_assert_eq!(known.values().map(|(least, _)| least).sum::<u64>() + forgotten, all);
        }
    }
}
