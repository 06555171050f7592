//! How many sources and targets the kernel may count at once, from a budget of memory.

use netwatch_common::ListedCounts;
use netwatch_common::entries::{Fill, Source, Target};
use netwatch_common::filter::Block;
use netwatch_common::flow_table::FlowLine;
use netwatch_common::index::Line;

use crate::analysis::Bounds;
use crate::analysis::limits::{SLOT_BYTES, SLOT_PORTS};

/// Memory for all maps of one interface unless `--map-memory` says otherwise, in bytes.
pub const DEFAULT_MAP_MEMORY: u64 = 128 << 20;
/// Least memory that makes sense, in bytes: about a thousand sources on a machine with two CPUs.
pub const MIN_MAP_MEMORY: u64 = 1 << 20;
/// Most memory that can be asked for, in bytes.
pub const MAX_MAP_MEMORY: u64 = 64 << 30;

/// Targets per source, on average. Most sources talk to one service or two; scanners to many.
const TARGETS_PER_SOURCE: u64 = 2;
/// One region takes packets while the other is drained.
const BUFFERS: u64 = 2;
/// The part of the budget that goes to the flows known: one in eight.
const FLOWS_SHARE: u64 = 8;
/// The part that goes to the filters of who was seen lately: one in eight, too.
const FILTER_SHARE: u64 = 8;
/// Entries per line of an index, at most and on average: with that many one in 60,000 finds no room in its line, all
/// others do.
const ENTRIES_PER_LINE: u32 = 5;

/// Room for packets that are looked into or kept as evidence, in bytes: 2,000 of full size and more.
pub const SAMPLE_RING: u32 = 4 << 20;

/// Pairs of a listed address and another that are counted in each slot, where there are few CPUs.
const LISTED_MOST: u64 = 8192;
/// And where there are many.
const LISTED_LEAST: u64 = 1024;
/// Memory for both halves of these pairs, in bytes; it comes on top of the budget for maps.
const LISTED_MEMORY: u64 = 16 << 20;

/// How many pairs of a listed address and another are counted in each slot on a machine with `cpus` possible CPUs.
#[must_use]
pub fn listed_pairs(cpus: u64) -> u32 {
    let pair = size_of::<ListedCounts>() as u64 * cpus.max(1);
    let pairs = (LISTED_MEMORY / BUFFERS / pair).clamp(LISTED_LEAST, LISTED_MOST);
    u32::try_from(pairs).unwrap_or(u32::MAX)
}

/// Entries of the tables of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sources that each CPU counts per slot.
    pub sources: u32,
    /// Targets that each CPU counts per slot: services of destinations, for each source.
    pub targets: u32,
    /// Blocks of each CPU's filter of who was seen lately: a power of two.
    pub blocks: u32,
    /// Flows known at once.
    pub flows: u32,
}

impl Capacity {
    /// The most entries that fit into `budget` bytes on a machine with `cpus` possible CPUs; one of each at
    /// least.
    #[must_use]
    pub fn within(budget: u64, cpus: u64) -> Self {
        let cpus = cpus.max(1);
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let blocks = (budget / FILTER_SHARE / cpus / size_of::<Block>() as u64).max(1);
        let blocks = narrow(1 << blocks.ilog2());
        // The cost is a step function of the size (tables have a power of two of buckets): search for it.
        let lines = (budget / FLOWS_SHARE / size_of::<FlowLine>() as u64).clamp(1, MAX_FLOW_LINES);
        let flows = (1_u64 << lines.ilog2()) * u64::from(FlowLine::WAYS);
        let of = |sources: u64| Self {
            sources: narrow(sources),
            targets: narrow((sources * TARGETS_PER_SOURCE).min(MOST_POSITIONS)),
            blocks,
            flows: narrow(flows),
        };
        of(most(MOST_POSITIONS, |sources| of(sources).bytes(cpus) <= budget))
    }

    /// Lines of the index of sources.
    #[must_use]
    pub const fn source_lines(&self) -> u32 {
        self.sources.div_ceil(ENTRIES_PER_LINE).next_power_of_two()
    }

    /// Lines of the index of targets.
    #[must_use]
    pub const fn target_lines(&self) -> u32 {
        self.targets.div_ceil(ENTRIES_PER_LINE).next_power_of_two()
    }

    /// Lines of the table of flows: a power of two.
    #[must_use]
    pub fn flow_lines(&self) -> u32 {
        self.flows.div_ceil(FlowLine::WAYS).next_power_of_two()
    }

    /// Memory that the maps take on a machine with `cpus` possible CPUs, in bytes, both buffers included.
    #[must_use]
    pub fn bytes(&self, cpus: u64) -> u64 {
        let entries = (u64::from(self.sources) + 1) * size_of::<Source>() as u64
            + (u64::from(self.targets) + 1) * size_of::<Target>() as u64;
        let lines = u64::from(self.source_lines()) + u64::from(self.target_lines());
        let region = BUFFERS * (entries + size_of::<Fill>() as u64)
            + lines * size_of::<Line>() as u64
            + u64::from(self.blocks) * size_of::<Block>() as u64;
        cpus * region + u64::from(self.flow_lines()) * size_of::<FlowLine>() as u64
    }

    /// Memory that a window of `slots` slots takes in userspace when every slot is full on every CPU, in bytes: what is drained
    /// is kept until it has left the window, as far as [`SLOT_BYTES`] allow.
    #[must_use]
    pub fn window_bytes(self, slots: usize, cpus: u64) -> u64 {
        let entries = |entries: u32| usize::try_from(u64::from(entries) * cpus).unwrap_or(usize::MAX);
        let (sources, targets) = (entries(self.sources), entries(self.targets));
        let ports = sources.min(SLOT_PORTS);
        // A service may have no target but what nobody in particular sent.
        let full = Bounds { sources, targets, services: targets, ports };
        (slots * full.bytes().min(SLOT_BYTES)) as u64
    }
}

/// Most entries of a slab that an index can name, position 0 aside.
const MOST_POSITIONS: u64 = Line::POSITIONS as u64 - 1;
/// Most lines of the table of flows: what is known of them is two minutes old at most.
const MAX_FLOW_LINES: u64 = 1 << 22;

/// The largest number of at most `limit` that fits, at least 1.
fn most(limit: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (1, limit);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
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
                let is_least = capacity.sources == 1;
                assert!(used <= budget || is_least, "{capacity:?} takes {used} of {budget} on {cpus} CPUs");
                // Doubling the buckets for one entry more may be what does not fit.
                assert!(used * 10 >= budget * 8, "{capacity:?} takes only {used} of {budget} on {cpus} CPUs");
            }
        }
    }

    #[test]
    fn a_window_takes_what_its_slots_take_and_never_more_than_its_budget() {
        let window = |memory| Capacity::within(memory, 2).window_bytes(12, 2);
        assert_eq!(window(MAX_MAP_MEMORY), 48 << 20);
        assert_eq!(window(DEFAULT_MAP_MEMORY), 48 << 20);
        let small = Capacity { sources: 50, targets: 100, blocks: 1, flows: 200 };
        let full = Bounds { sources: 100, targets: 200, services: 200, ports: 100 };
        assert_eq!(small.window_bytes(12, 2), 12 * full.bytes() as u64);
        assert!(window(MIN_MAP_MEMORY) < 12 << 20);
    }

    #[test]
    fn the_smallest_budget_still_counts() {
        assert_eq!(Capacity::within(0, 2), Capacity { sources: 1, targets: 2, blocks: 1, flows: 4 });
    }
}
