//! How many sources and targets the kernel may count at once, from a budget of memory.

use netwatch_common::{Addr, Flow, FlowKey, SourceCounts, TargetCounts, TargetKey};

use crate::analysis::Bounds;
use crate::analysis::limits::{SLOT_BYTES, SLOT_PORTS};

/// Memory for all maps of one interface unless `--map-memory` says otherwise, in bytes.
pub const DEFAULT_MAP_MEMORY: u64 = 128 << 20;
/// Least memory that makes sense, in bytes: about a thousand sources on a machine with two CPUs.
pub const MIN_MAP_MEMORY: u64 = 1 << 20;
/// Most memory that can be asked for, in bytes.
pub const MAX_MAP_MEMORY: u64 = 64 << 30;

/// Targets counted per source counted, on average. Most sources talk to one service or two; scanners to many.
const TARGETS_PER_SOURCE: u64 = 2;
/// Flows known per source counted: a client of ours has some connections at once.
const FLOWS_PER_SOURCE: u64 = 2;
/// One map takes packets while the other is drained.
const BUFFERS: u64 = 2;

/// Entries of the maps of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sources counted per slot.
    pub sources: u32,
    /// Targets counted per slot: services of destinations, for each source.
    pub targets: u32,
    /// Flows known at once.
    pub flows: u32,
}

impl Capacity {
    /// The most entries that fit into `budget` bytes on a machine with `cpus` possible CPUs; one of each at
    /// least.
    #[must_use]
    pub fn within(budget: u64, cpus: u64) -> Self {
        let (mut low, mut high) = (1_u64, u64::from(u32::MAX) / TARGETS_PER_SOURCE);
        // The cost is a step function of the size (hash tables have a power of two of buckets): search for it.
        while low < high {
            let middle = (low + high).div_ceil(2);
            if Self::of(middle).bytes(cpus) <= budget {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Self::of(low)
    }

    /// Memory that the maps take on a machine with `cpus` possible CPUs, in bytes, both buffers included.
    #[must_use]
    pub fn bytes(self, cpus: u64) -> u64 {
        BUFFERS
            * (per_cpu_hash_bytes::<Addr, SourceCounts>(u64::from(self.sources), cpus)
                + per_cpu_hash_bytes::<TargetKey, TargetCounts>(u64::from(self.targets), cpus))
            + lru_hash_bytes::<FlowKey, Flow>(u64::from(self.flows))
    }

    /// Memory that a window of `slots` slots takes in userspace when every slot is full, in bytes: what is drained
    /// is kept until it has left the window, as far as [`SLOT_BYTES`] allow.
    #[must_use]
    pub fn window_bytes(self, slots: usize) -> u64 {
        let entries = |entries: u32| usize::try_from(entries).unwrap_or(usize::MAX);
        let (sources, targets) = (entries(self.sources), entries(self.targets));
        let ports = sources.min(SLOT_PORTS);
        // A service may have no target but what nobody in particular sent.
        let full = Bounds { sources, targets, services: targets, ports };
        (slots * full.bytes().min(SLOT_BYTES)) as u64
    }

    fn of(sources: u64) -> Self {
        let entries = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            sources: entries(sources),
            targets: entries(sources * TARGETS_PER_SOURCE),
            flows: entries(sources * FLOWS_PER_SOURCE),
        }
    }
}

/// What the kernel accounts for a preallocated per-CPU hash map: 16 bytes per bucket, and per entry a 48-byte
/// header, the key, a pointer, and a value per possible CPU. Measured equal to `memlock` in the map's fdinfo.
const fn per_cpu_hash_bytes<K, V>(entries: u64, cpus: u64) -> u64 {
    let key = (size_of::<K>() as u64).next_multiple_of(8);
    let value = (size_of::<V>() as u64).next_multiple_of(8);
    16 * entries.next_power_of_two() + entries * (48 + key + 8 + value * cpus)
}

/// The same for a hash map that all CPUs share and that makes room by itself.
const fn lru_hash_bytes<K, V>(entries: u64) -> u64 {
    let key = (size_of::<K>() as u64).next_multiple_of(8);
    let value = (size_of::<V>() as u64).next_multiple_of(8);
    16 * entries.next_power_of_two() + entries * (48 + key + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_used_and_kept() {
        for cpus in [1, 2, 64, 512] {
            for budget in [MIN_MAP_MEMORY, DEFAULT_MAP_MEMORY, 1 << 30] {
                let capacity = Capacity::within(budget, cpus);
                let used = capacity.bytes(cpus);
                assert!(used <= budget, "{capacity:?} takes {used} of {budget} on {cpus} CPUs");
                // Doubling the buckets for one entry more may be what does not fit.
                assert!(used * 10 >= budget * 8, "{capacity:?} takes only {used} of {budget} on {cpus} CPUs");
            }
        }
    }

    #[test]
    fn a_window_takes_what_its_slots_take_and_never_more_than_its_budget() {
        let window = |memory| Capacity::within(memory, 2).window_bytes(12);
        assert_eq!(window(MAX_MAP_MEMORY), 48 << 20);
        assert_eq!(window(DEFAULT_MAP_MEMORY), 48 << 20);
        let small = Capacity { sources: 100, targets: 200, flows: 200 };
        let full = Bounds { sources: 100, targets: 200, services: 200, ports: 100 };
        assert_eq!(small.window_bytes(12), 12 * full.bytes() as u64);
        assert!(window(MIN_MAP_MEMORY) < 12 << 20);
    }

    #[test]
    fn the_smallest_budget_still_counts() {
        assert_eq!(Capacity::within(0, 2), Capacity { sources: 1, targets: 2, flows: 2 });
    }
}
