//! What the programs counted in a slot, by key.

use std::collections::BTreeMap;

use netwatch::kernel::Watch;
use netwatch_common::entries::Entry;
use netwatch_common::{Addr, Ports, Service, SourceCounts, TargetCounts, TargetKey};

/// The entries of one slot, of each key as many as there are CPUs that have one.
#[derive(Debug, Default)]
pub struct Drained {
    pub sources: BTreeMap<Addr, Vec<SourceCounts>>,
    pub targets: BTreeMap<TargetKey, Vec<TargetCounts>>,
    /// What was counted under nobody's name.
    pub nobody: Vec<SourceCounts>,
    pub services: BTreeMap<(Addr, Service), Vec<TargetCounts>>,
    pub ports: BTreeMap<Addr, Ports>,
    /// What was counted under no destination.
    pub elsewhere: Vec<TargetCounts>,
}

/// Ends the slot.
pub fn swap_and_drain(watch: &mut Watch) -> Drained {
    watch.swap().expect("the tables are swapped");
    drain(watch)
}

/// What the slot that a swap has ended holds.
pub fn drain(watch: &mut Watch) -> Drained {
    let mut drained = Drained::default();
    watch.drain(|entry| drained.add(entry));
    drained
}

impl Drained {
    fn add(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Source(addr, counts, ports) => {
                self.sources.entry(addr).or_default().push(*counts);
                if let Some(ports) = ports {
                    self.ports.entry(addr).or_default().union(ports);
                }
            }
            Entry::Nobody(counts) => self.nobody.extend((counts.packets() > 0).then_some(*counts)),
            Entry::Target(key, counts) => self.targets.entry(key).or_default().push(*counts),
            Entry::Elsewhere(counts) => self.elsewhere.extend((counts.packets() > 0).then_some(*counts)),
            Entry::Service(dest, service, counts) => {
                self.services.entry((dest, service)).or_default().push(*counts);
            }
        }
    }

    /// Packets by source, those of nobody included.
    pub fn sourced(&self) -> u64 {
        self.sources.values().flatten().chain(&self.nobody).map(SourceCounts::packets).sum()
    }

    /// Packets by target, those of nobody included.
    pub fn targeted(&self) -> u64 {
        self.target_counts().map(TargetCounts::packets).sum()
    }

    /// Bytes by source and by target.
    pub fn bytes(&self) -> (u64, u64) {
        let sources = self.sources.values().flatten().chain(&self.nobody).map(|counts| counts.bytes);
        (sources.sum(), self.target_counts().map(|counts| counts.bytes).sum())
    }

    fn target_counts(&self) -> impl Iterator<Item = &TargetCounts> {
        let services = self.services.values().flatten();
        self.targets.values().flatten().chain(services).chain(&self.elsewhere)
    }
}
