//! The tables that programs count in, as userspace sees them: see [`netwatch_common::tables`].
//!
//! Every CPU has a region of each array, and of those that are drained it has two: one is counted in, the other is
//! drained.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use aya::{Ebpf, EbpfLoader, maps::Map};
use bytemuck::{Pod, Zeroable as _};
use netwatch_common::{
    Addr, Ports, SourceCounts, TargetCounts, TargetKey,
    entries::{ELSEWHERE, Entry, Fill, NOBODY, Source, Target, entries},
    filter::Suspects,
    flow_table::FlowFactors,
    index::{Line, SourceFactors, TargetFactors},
    secrets::Secrets,
};

use super::{Capacity, Error, maps::Wire, shared::Shared};

/// The tables of one interface.
pub struct Regions {
    cpus: usize,
    room: Capacity,
    secrets: Secrets,
    fills: Shared<Fill>,
    sources: Shared<Source>,
    targets: Shared<Target>,
    source_index: Shared<Line>,
    target_index: Shared<Line>,
    suspects: Shared<Suspects>,
}

/// Secrets of the operating system's random numbers.
#[must_use]
pub fn random_secrets() -> Secrets {
    // Each state has keys of its own, made from what the system gives.
    Secrets::new(std::array::from_fn(|word| RandomState::new().hash_one(word)))
}

/// Secrets for a replay, which are none: what is told of a recording is the same each time. Who makes one so that its keys
/// collide has as many refused as it makes, and that is told.
#[must_use]
pub fn replay_secrets() -> Secrets {
    let mut state = 0_u64;
    let random = std::array::from_fn(|_| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    Secrets { ports: 0, ..Secrets::new(random) }
}

/// Sets the sizes of the maps, and what programs must know of them, before they are loaded.
pub(super) fn prepare<'a>(loader: &mut EbpfLoader<'a>, numbers: &'a Numbers) {
    for (map, entries) in numbers.maps {
        loader.map_max_entries(map, entries);
    }
    for (global, value) in &numbers.globals {
        loader.override_global(global, value, true);
    }
    loader
        .override_global("SOURCE_FACTORS", &numbers.source_factors, true)
        .override_global("TARGET_FACTORS", &numbers.target_factors, true)
        .override_global("FLOW_FACTORS", &numbers.flow_factors, true)
        .override_global("PORT_SECRET", &numbers.secrets.ports, true);
}

/// What [`prepare`] sets.
pub(super) struct Numbers {
    secrets: Secrets,
    source_factors: Wire<SourceFactors>,
    target_factors: Wire<TargetFactors>,
    flow_factors: Wire<FlowFactors>,
    maps: [(&'static str, u32); 7],
    globals: [(&'static str, u32); 7],
}

impl Numbers {
    pub(super) fn of(room: &Capacity, secrets: &Secrets, cpus: usize) -> Self {
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        let (source_lines, target_lines) = (room.source_lines(), room.target_lines());
        Self {
            secrets: *secrets,
            source_factors: Wire(secrets.sources),
            target_factors: Wire(secrets.targets),
            flow_factors: Wire(secrets.flows),
            maps: [
                ("SOURCES", 2 * cpus * (room.sources + 1)),
                ("TARGETS", 2 * cpus * (room.targets + 1)),
                ("FILLS", 2 * cpus),
                ("SOURCE_INDEX", cpus * source_lines),
                ("TARGET_INDEX", cpus * target_lines),
                ("FILTER", cpus * room.blocks),
                ("FLOWS", room.flow_lines()),
            ],
            globals: [
                ("CPUS", cpus),
                ("MOST_SOURCES", room.sources),
                ("MOST_TARGETS", room.targets),
                ("SOURCE_LINES", source_lines - 1),
                ("TARGET_LINES", target_lines - 1),
                ("BLOCKS", room.blocks - 1),
                ("FLOW_LINES", room.flow_lines() - 1),
            ],
        }
    }
}

impl Regions {
    /// Takes the maps of a loaded object that [`prepare`] was used for.
    pub(super) fn take(
        object: &mut Ebpf,
        room: Capacity,
        secrets: Secrets,
        cpus: usize,
    ) -> Result<Self, Error> {
        let size = |entries: u32| usize::try_from(entries).unwrap_or(usize::MAX);
        Ok(Self {
            cpus,
            room,
            secrets,
            fills: take(object, "FILLS", 2 * cpus)?,
            sources: take(object, "SOURCES", 2 * cpus * (size(room.sources) + 1))?,
            targets: take(object, "TARGETS", 2 * cpus * (size(room.targets) + 1))?,
            source_index: take(object, "SOURCE_INDEX", cpus * size(room.source_lines()))?,
            target_index: take(object, "TARGET_INDEX", cpus * size(room.target_lines()))?,
            suspects: take(object, "SUSPECTS", Suspects::PARTS as usize)?,
        })
    }

    /// Hands over what was counted in the slots of even or of odd numbers, of each CPU in turn, and forgets it.
    ///
    /// # Safety
    ///
    /// No program may be counting in such a slot.
    pub(super) unsafe fn drain(&self, half: u32, mut each: impl FnMut(Entry<'_>)) {
        for cpu in 0..self.cpus {
            let region = self.region(half, cpu);
            let fill = self.fills.read(region).unwrap_or_default();
            let (sources, targets) = (self.sources_of(region), self.targets_of(region));
            let in_use = |count: u32, most: u32| count.min(most) as usize + 1;
            // SAFETY: the caller sees to it.
            let (in_use_sources, in_use_targets) = unsafe {
                (
                    self.sources.slice(sources, in_use(fill.sources, self.room.sources)),
                    self.targets.slice(targets, in_use(fill.targets, self.room.targets)),
                )
            };
            entries(in_use_sources, in_use_targets, &mut each);
            self.sources.write(sources + NOBODY as usize, Source::zeroed());
            self.targets.write(targets + ELSEWHERE as usize, Target::zeroed());
            self.fills.write(region, Fill::default());
        }
    }

    /// Sets which sources get an entry in any case, instead of those that did.
    pub(super) fn set_suspects(&self, suspects: &[Addr]) {
        let mut parts = vec![Suspects::zeroed(); Suspects::PARTS as usize];
        for source in suspects {
            let bits = self.secrets.of_source(source).mixed();
            if let Some(part) = parts.get_mut(Suspects::part(bits) as usize) {
                part.add(bits);
            }
        }
        for (index, part) in parts.into_iter().enumerate() {
            self.suspects.write(index, part);
        }
    }

    /// What each CPU has counted of a source in the slot of a number so far.
    pub(super) fn source(&self, slot: u32, source: Addr, into: &mut Vec<SourceCounts>) {
        into.clear();
        for cpu in 0..self.cpus {
            into.extend(self.find_source(slot, cpu, source).map(|(_, entry)| entry.counts));
        }
    }

    /// Ports of a source for which there was no room among the targets of some CPU.
    pub(super) fn ports(&self, slot: u32, source: Addr) -> Option<Ports> {
        let of_cpus = (0..self.cpus).filter_map(|cpu| self.find_source(slot, cpu, source));
        of_cpus.filter_map(|(_, entry)| entry.ports().copied()).reduce(|mut sum, ports| {
            sum.union(&ports);
            sum
        })
    }

    /// What each CPU has counted of a target in the slot of a number so far.
    pub(super) fn target(&self, slot: u32, target: &TargetKey, into: &mut Vec<TargetCounts>) {
        into.clear();
        for cpu in 0..self.cpus {
            let entry = self
                .find_source(slot, cpu, target.source)
                .and_then(|(source, _)| self.find_target(slot, cpu, source, target));
            into.extend(entry.map(|entry| entry.counts));
        }
    }

    fn find_source(&self, slot: u32, cpu: usize, source: Addr) -> Option<(u32, Source)> {
        let hash = self.secrets.of_source(&source);
        let lines = self.room.source_lines();
        let line = self.source_index.read(cpu * lines as usize + hash.line(lines - 1) as usize)?;
        let region = self.region(slot, cpu);
        // What was drained still lies there, and is none any more.
        let fill = self.fills.read(region)?;
        line.positions(slot, hash).filter(|position| *position <= fill.sources).find_map(|position| {
            let entry = self.sources.read(self.sources_of(region) + position as usize)?;
            (entry.addr == source).then_some((position, entry))
        })
    }

    fn find_target(&self, slot: u32, cpu: usize, source: u32, target: &TargetKey) -> Option<Target> {
        let hash = self.secrets.of_target(source, &target.dest, target.service);
        let lines = self.room.target_lines();
        let line = self.target_index.read(cpu * lines as usize + hash.line(lines - 1) as usize)?;
        let region = self.region(slot, cpu);
        let fill = self.fills.read(region)?;
        line.positions(slot, hash).filter(|position| *position <= fill.targets).find_map(|position| {
            let entry = self.targets.read(self.targets_of(region) + position as usize)?;
            entry.is_of(source, &target.dest, target.service).then_some(entry)
        })
    }

    const fn region(&self, slot: u32, cpu: usize) -> usize {
        (slot & 1) as usize * self.cpus + cpu
    }

    const fn sources_of(&self, region: usize) -> usize {
        region * (self.room.sources as usize + 1)
    }

    const fn targets_of(&self, region: usize) -> usize {
        region * (self.room.targets as usize + 1)
    }
}

fn take<T: Pod>(object: &mut Ebpf, name: &str, len: usize) -> Result<Shared<T>, Error> {
    match object.take_map(name) {
        Some(Map::Array(map)) => Shared::map(map, len),
        _ => Err(Error::Object(format!("it has no array {name}"))),
    }
}
