//! What the host counts in: hash tables that hold no more than the kernel's maps do.
//!
//! Entries lie side by side in the order in which they came, and a small table says at which place each key is: most of
//! the time goes to waiting for memory, so what is looked at has to be little.

use std::hash::{BuildHasher as _, Hasher as _};

use bytemuck::Pod;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Entries under keys, each with a place of its own for as long as it is there: who has kept the place need not look
/// the key up again.
#[derive(Debug)]
pub struct Table<K, V> {
    places: HashTable<Place>,
    entries: Vec<(K, V)>,
    room: usize,
    /// Keys come from packets, so the hash has a seed that nobody knows.
    seed: RandomState,
}

/// Where the entry of a key lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Part of the key's hash, so that other keys are rarely compared.
    hash: u32,
    place: u32,
}

impl Place {
    /// What a table of places is ordered by: it takes its bits from both ends.
    fn order(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

impl<K: Pod + Eq, V: Copy> Table<K, V> {
    /// A table of `room` entries at most.
    #[must_use]
    pub fn new(room: u32) -> Self {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        Self { places: HashTable::new(), entries: Vec::new(), room, seed: RandomState::default() }
    }

    /// The place of the entry under `key`, if it is there.
    #[must_use]
    pub fn find(&self, key: K) -> Option<u32> {
        self.find_hashed(self.hash(&key), key)
    }

    /// The place of the entry under `key`, made of `fresh` if it is not there. `None` where the table takes no more
    /// entries.
    pub fn place(&mut self, key: K, fresh: V) -> Option<u32> {
        let hash = self.hash(&key);
        if let Some(place) = self.find_hashed(hash, key) {
            return Some(place);
        }
        let place = u32::try_from(self.entries.len()).ok().filter(|_| self.entries.len() < self.room)?;
        self.entries.push((key, fresh));
        let order = |at: &Place| Place::order(at.hash);
        self.places.insert_unique(Place::order(hash), Place { hash, place }, order);
        Some(place)
    }

    /// The entry at a place.
    pub fn at(&mut self, place: u32) -> Option<&mut V> {
        self.entries.get_mut(usize::try_from(place).ok()?).map(|(_, value)| value)
    }

    /// The entry under `key`.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        self.entries.get(usize::try_from(self.find(key)?).ok()?).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.at(self.find(key)?)
    }

    /// Takes out all entries. Places that were kept lead nowhere any more.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        self.places.clear();
        self.entries.drain(..)
    }

    fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.room
    }

    fn find_hashed(&self, hash: u32, key: K) -> Option<u32> {
        let is_it = |at: &Place| {
            let place = usize::try_from(at.place).unwrap_or(usize::MAX);
            at.hash == hash && self.entries.get(place).is_some_and(|(other, _)| *other == key)
        };
        self.places.find(Place::order(hash), is_it).map(|at| at.place)
    }

    /// The key is hashed as the bytes that it is: at once, not word by word.
    fn hash(&self, key: &K) -> u32 {
        let mut hasher = self.seed.build_hasher();
        hasher.write(bytemuck::bytes_of(key));
        let [a, b, c, d, ..] = hasher.finish().to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }
}

/// Entries of which those that were used last are kept: at least `room` of them, and at most twice as many.
///
/// There are two generations. What is used moves to the young one, and when that is full it becomes the old one, which
/// is forgotten.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: Table<K, V>,
    old: Table<K, V>,
}

impl<K: Pod + Eq, V: Copy> Recent<K, V> {
    /// An empty table.
    #[must_use]
    pub fn new(room: u32) -> Self {
        let room = room.max(1);
        Self { young: Table::new(room), old: Table::new(room) }
    }

    /// The place of the entry under `key`, if it is there. It holds until another key is asked for.
    pub fn find(&mut self, key: K) -> Option<u32> {
        self.young.find(key).or_else(|| {
            let value = *self.old.get(key)?;
            self.renew(key, value)
        })
    }

    /// The place of the entry under `key`, made of `fresh` if it is not there. It holds until another key is asked for.
    pub fn place(&mut self, key: K, fresh: V) -> Option<u32> {
        if self.old.entries.is_empty() && !self.young.is_full() {
            return self.young.place(key, fresh);
        }
        self.young.find(key).or_else(|| {
            let value = self.old.get(key).copied().unwrap_or(fresh);
            self.renew(key, value)
        })
    }

    /// The entry at a place.
    pub fn at(&mut self, place: u32) -> Option<&mut V> {
        self.young.at(place)
    }

    /// Puts an entry into the young generation. One that stays in the old one, too, is not asked for there any more.
    fn renew(&mut self, key: K, value: V) -> Option<u32> {
        if self.young.is_full() {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.place(key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_keeps_what_it_has_and_takes_nothing_new() {
        let mut table = Table::new(2);
        for (key, fresh, expect) in [(1_u32, 10, Some(0)), (2, 20, Some(1)), (3, 30, None), (1, 40, Some(0))]
        {
            assert_eq!(table.place(key, fresh), expect, "{key}");
        }
        *table.at(1).unwrap() += 1;
        assert_eq!((table.get(1).copied(), table.get(2).copied(), table.get(3)), (Some(10), Some(21), None));
        assert_eq!(table.drain().collect::<Vec<_>>(), [(1, 10), (2, 21)]);
        assert_eq!(table.at(0), None);
        assert_eq!(table.place(3, 30), Some(0));
    }

    impl Recent<u32, u32> {
        fn entry(&mut self, key: u32, fresh: u32) -> u32 {
            let place = self.place(key, fresh).unwrap();
            *self.at(place).unwrap()
        }
    }

    #[test]
    fn many_keys_are_told_apart() {
        let mut table = Table::new(u32::MAX);
        for key in 0..100_000_u32 {
            assert_eq!(table.place(key, key), Some(key));
        }
        assert!((0..100_000).all(|key| table.get(key) == Some(&key) && table.find(key) == Some(key)));
        assert_eq!(table.find(100_000), None);
    }

    #[test]
    fn what_was_used_last_is_kept_and_the_rest_goes() {
        let mut flows = Recent::new(100);
        assert_eq!(flows.entry(0, 0), 0);
        for key in 1..10_000_u32 {
            assert_eq!(flows.entry(key, key), key);
            assert_eq!(
                flows.find(0).and_then(|place| flows.at(place).copied()),
                Some(0),
                "used all the time"
            );
            let oldest = key.saturating_sub(45).max(1);
            assert_eq!(flows.entry(oldest, u32::MAX), oldest);
            assert!(flows.young.entries.len() <= 100 && flows.old.entries.len() <= 100);
        }
        assert_eq!(flows.find(5_000), None);
    }
}
