//! What the host counts in: hash tables that hold no more than the kernel's maps do.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use bytemuck::Pod;
use foldhash::fast::RandomState;

/// Entries under keys, each with a place of its own for as long as it is there: who has kept the place need not look
/// the key up again.
#[derive(Debug)]
pub struct Table<K, V> {
    places: HashMap<Bytes<K>, u32, RandomState>,
    entries: Vec<(K, V)>,
    room: usize,
}

impl<K: Pod + Eq, V: Copy> Table<K, V> {
    /// A table of `room` entries at most.
    #[must_use]
    pub fn new(room: u32) -> Self {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        Self { places: HashMap::default(), entries: Vec::new(), room }
    }

    /// The place of the entry under `key`, made of `fresh` if it is not there. `None` where the table takes no more
    /// entries.
    pub fn place(&mut self, key: K, fresh: V) -> Option<u32> {
        if let Some(place) = self.places.get(&Bytes(key)) {
            return Some(*place);
        }
        let place = u32::try_from(self.entries.len()).ok().filter(|_| self.entries.len() < self.room)?;
        self.places.insert(Bytes(key), place);
        self.entries.push((key, fresh));
        Some(place)
    }

    /// The entry at a place.
    pub fn at(&mut self, place: u32) -> Option<&mut V> {
        self.entries.get_mut(usize::try_from(place).ok()?).map(|(_, value)| value)
    }

    /// The entry under `key`.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        let place = self.places.get(&Bytes(key))?;
        self.entries.get(usize::try_from(*place).ok()?).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.at(*self.places.get(&Bytes(key))?)
    }

    /// Takes out all entries. Places that were kept lead nowhere any more.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        self.places.clear();
        self.entries.drain(..)
    }
}

/// Entries of which those that were used last are kept: at least `room` of them, and at most twice as many.
///
/// There are two generations. What is used moves to the young one, and when that is full it becomes the old one, which
/// is forgotten.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<Bytes<K>, V, RandomState>,
    old: HashMap<Bytes<K>, V, RandomState>,
    room: usize,
}

impl<K: Pod + Eq, V: Copy> Recent<K, V> {
    /// An empty table.
    #[must_use]
    pub fn new(room: u32) -> Self {
        let room = usize::try_from(room).unwrap_or(usize::MAX).max(1);
        Self { young: HashMap::default(), old: HashMap::default(), room }
    }

    /// The entry under `key`.
    pub fn get(&mut self, key: K) -> Option<&mut V> {
        self.renew(key, None);
        self.young.get_mut(&Bytes(key))
    }

    /// The entry under `key`, made of `fresh` if it is not there.
    pub fn entry(&mut self, key: K, fresh: V) -> &mut V {
        self.renew(key, Some(fresh));
        // It is there, unless there is but one generation yet.
        self.young.entry(Bytes(key)).or_insert(fresh)
    }

    /// Moves an entry to the young generation, where it is not yet; `fresh` stands in for one that is in neither.
    fn renew(&mut self, key: K, fresh: Option<V>) {
        let has_room = self.young.len() < self.room;
        if (has_room && self.old.is_empty()) || self.young.contains_key(&Bytes(key)) {
            return;
        }
        let Some(value) = self.old.remove(&Bytes(key)).or(fresh) else { return };
        if !has_room {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(Bytes(key), value);
    }
}

/// A key that is hashed as the bytes that it is: at once, not word by word. Keys come from packets, so the hash has a
/// seed that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bytes<K>(K);

impl<K: Pod> Hash for Bytes<K> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(bytemuck::bytes_of(&self.0));
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

    #[test]
    fn what_was_used_last_is_kept_and_the_rest_goes() {
        let mut flows = Recent::new(100);
        flows.entry(0, 0);
        for key in 1..10_000_u32 {
            assert_eq!(*flows.entry(key, key), key);
            assert_eq!(flows.get(0).copied(), Some(0), "used all the time");
            let oldest = key.saturating_sub(45).max(1);
            assert_eq!(*flows.entry(oldest, u32::MAX), oldest);
            assert!(flows.young.len() + flows.old.len() <= 200);
        }
        assert_eq!(flows.get(5_000), None);
    }
}
