//! The tables of the host engine: those of one CPU of the kernel's, in this process' memory.

use bytemuck::{Zeroable as _, zeroed_vec};
use netwatch_common::{
    Addr, PortHash, Ports, Service, SourceCounts, TargetCounts, TargetKey,
    entries::{ELSEWHERE, Entry, Fill, NOBODY, Source, Target, entries},
    filter::{Block, Guard},
    index::{Hash, Line},
    secrets::Secrets,
    tables::{self, Tables},
};

use crate::kernel::Capacity;

/// Tables of one CPU. What is not used of them is not touched, and so takes no memory.
pub struct Region {
    slot: u32,
    room: Capacity,
    secrets: Secrets,
    fill: Fill,
    guard: Guard,
    sources: Vec<Source>,
    targets: Vec<Target>,
    source_index: Vec<Line>,
    target_index: Vec<Line>,
    filter: Vec<Block>,
}

impl Region {
    /// Empty tables.
    #[must_use]
    pub fn new(room: Capacity, secrets: Secrets) -> Self {
        Self {
            slot: 0,
            room,
            secrets,
            fill: Fill::default(),
            guard: Guard::default(),
            sources: zeroed_vec(at(room.sources) + 1),
            targets: zeroed_vec(at(room.targets) + 1),
            source_index: zeroed_vec(at(room.source_lines())),
            target_index: zeroed_vec(at(room.target_lines())),
            filter: zeroed_vec(at(room.blocks)),
        }
    }

    /// Ends the slot, hands over what was counted in it, and begins the next one.
    pub fn drain(&mut self, each: impl FnMut(Entry<'_>)) {
        let sources = self.sources.get(..=at(self.fill.sources)).unwrap_or_default();
        let targets = self.targets.get(..=at(self.fill.targets)).unwrap_or_default();
        entries(sources, targets, each);
        self.fill = Fill::default();
        self.slot = self.slot.wrapping_add(1);
        if let Some(nobody) = self.sources.get_mut(at(NOBODY)) {
            *nobody = Source::zeroed();
        }
        if let Some(elsewhere) = self.targets.get_mut(at(ELSEWHERE)) {
            *elsewhere = Target::zeroed();
        }
    }

    /// What was counted of a source in this slot.
    #[must_use]
    pub fn counts_of_source(&mut self, source: Addr) -> Option<&SourceCounts> {
        let position = tables::find(self, &source)?;
        self.sources.get(at(position)).map(|entry| &entry.counts)
    }

    /// The ports that a source probed for which there was no room among the targets.
    #[must_use]
    pub fn ports_of_source(&mut self, source: Addr) -> Option<&Ports> {
        let position = tables::find(self, &source)?;
        self.sources.get(at(position))?.ports()
    }

    /// What was counted of a target in this slot.
    #[must_use]
    pub fn counts_of_target(&mut self, target: &TargetKey) -> Option<&TargetCounts> {
        let source = tables::find(self, &target.source)?;
        let position = tables::look_up_target(self, source, &target.dest, target.service)?;
        self.targets.get(at(position)).map(|entry| &entry.counts)
    }
}

const fn at(position: u32) -> usize {
    position as usize
}

impl Tables for Region {
    fn slot(&self) -> u32 {
        self.slot
    }

    fn most_sources(&self) -> u32 {
        self.room.sources
    }

    fn most_targets(&self) -> u32 {
        self.room.targets
    }

    fn source_lines(&self) -> u32 {
        self.room.source_lines() - 1
    }

    fn target_lines(&self) -> u32 {
        self.room.target_lines() - 1
    }

    fn blocks(&self) -> u32 {
        self.room.blocks - 1
    }

    fn hash_source(&self, source: &Addr) -> Hash {
        self.secrets.of_source(source)
    }

    fn hash_target(&self, source: u32, dest: &Addr, service: Service) -> Hash {
        self.secrets.of_target(source, dest, service)
    }

    fn port_hash(&self) -> PortHash {
        self.secrets.of_ports()
    }

    fn fill(&mut self) -> Option<&mut Fill> {
        Some(&mut self.fill)
    }

    fn source_line(&mut self, line: u32) -> Option<&mut Line> {
        self.source_index.get_mut(at(line))
    }

    fn target_line(&mut self, line: u32) -> Option<&mut Line> {
        self.target_index.get_mut(at(line))
    }

    fn source(&mut self, position: u32) -> Option<&mut Source> {
        self.sources.get_mut(at(position))
    }

    fn target(&mut self, position: u32) -> Option<&mut Target> {
        self.targets.get_mut(at(position))
    }

    fn block(&mut self, block: u32) -> Option<&mut Block> {
        self.filter.get_mut(at(block))
    }

    fn guard(&mut self) -> Option<&mut Guard> {
        Some(&mut self.guard)
    }

    /// A replay has none: it would have to tell the kernel's tables of them, too.
    fn is_suspect(&mut self, _bits: u64) -> bool {
        false
    }
}
