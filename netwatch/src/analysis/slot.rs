//! What one interface counted during one slot.

use netwatch_common::entries::Entry;
use netwatch_common::{Addr, Ports, Service, TargetKey};

use super::events::Event;
pub use super::health::Health;
use super::packed::Packed;
use super::stats::{SourceStats, TargetStats};

mod fold;

pub use fold::Bounds;

/// What a slot is made of; each list in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The sources.
    pub sources: Vec<(Addr, SourceStats)>,
    /// What they sent to.
    pub targets: Vec<(TargetKey, TargetStats)>,
    /// What nobody in particular sent: sources that were given no entry of their own.
    pub unattributed: SourceStats,
    /// What that was sent to, with what of the sources' targets found no room.
    pub services: Vec<(ServiceKey, TargetStats)>,
    /// Of sources some of whose targets found no room, the ports of these that were probed.
    pub ports: Vec<(Addr, Ports)>,
    /// What went to destinations that were too many to be kept apart.
    pub elsewhere: TargetStats,
}

impl Counted {
    /// Adds an entry of the tables that were counted in. The same source or target may come from several CPUs.
    pub fn add(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Source(addr, counts, ports) => {
                self.sources.push((addr, SourceStats::from_cpus([counts])));
                let is_telling =
                    |ports: &&Ports| ports.distinct() > FEW_PORTS || self.ports.len() < PORTS_AT_ONCE;
                self.ports.extend(ports.filter(is_telling).map(|ports| (addr, *ports)));
            }
            Entry::Nobody(counts) => self.unattributed.merge(&SourceStats::from_cpus([counts])),
            Entry::Elsewhere(counts) => self.elsewhere.merge(&TargetStats::from_cpus([counts])),
            Entry::Target(key, counts) => self.targets.push((key, TargetStats::from_cpus([counts]))),
            Entry::Service(dest, service, counts) => {
                self.services.push((ServiceKey { dest, service }, TargetStats::from_cpus([counts])));
            }
        }
    }

    /// Sources and targets that were all counted under their names.
    #[must_use]
    pub fn named(sources: Vec<(Addr, SourceStats)>, targets: Vec<(TargetKey, TargetStats)>) -> Self {
        Self { sources, targets, ..Self::default() }
    }
}

/// How replies were told from probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confidence {
    /// By flags and ports, which can be forged.
    #[default]
    Flags,
    /// By what this host was seen to send.
    Flows,
}

/// The drained maps of one interface after one slot, summed over CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When counting began, in monotonic nanoseconds.
    pub start_ns: u64,
    /// When it ended, in monotonic nanoseconds.
    pub end_ns: u64,
    /// Which slot it is, as the kernel program numbers them; of several merged, the last.
    pub number: u32,
    /// How replies were told from probes.
    pub confidence: Confidence,
    /// How well counting went.
    pub health: Health,
    /// What was seen in it of listed addresses, in any order: each address and feed once for each host of ours.
    pub listed: Vec<Event>,
    sources: Vec<(Addr, Packed)>,
    targets: Vec<(TargetKey, TargetStats)>,
    /// The targets once more, summed over sources, with what nobody in particular sent: sorted by destination and
    /// service.
    services: Vec<(ServiceKey, TargetStats)>,
    ports: Vec<(Addr, Ports)>,
    unattributed: SourceStats,
    /// What went to destinations that are too many to be kept apart.
    elsewhere: TargetStats,
}

/// Port sets that are taken out of the tables whatever is in them: a slot keeps fewer.
const PORTS_AT_ONCE: usize = 8_192;

/// Ports in a set that is not taken beyond that.
const FEW_PORTS: u32 = 2;

/// Services that are collected before those of the same key are added up.
const SERVICES_AT_ONCE: usize = 32_768;

/// A service of a destination, whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The destination.
    pub dest: Addr,
    /// What of it.
    pub service: Service,
}

impl Slot {
    /// A slot from entries in any order; entries of the same key are added up.
    #[must_use]
    pub fn new(start_ns: u64, end_ns: u64, counted: Counted) -> Self {
        let Counted { sources, mut targets, unattributed, mut services, mut ports, elsewhere } = counted;
        let mut room = SERVICES_AT_ONCE;
        let mut sources = sources.into_iter().map(|(addr, stats)| (addr, Packed::from(&stats))).collect();
        sort_and_merge(&mut sources, Packed::merge);
        sort_and_merge(&mut targets, TargetStats::merge);
        for (key, stats) in &targets {
            // A flood of forged sources goes to few services: nobody needs a copy of all targets for them.
            if services.len() >= room {
                sort_and_merge(&mut services, TargetStats::merge);
                room = room.max(2 * services.len());
            }
            services.push((ServiceKey { dest: key.dest, service: key.service }, *stats));
        }
        sort_and_merge(&mut services, TargetStats::merge);
        services.shrink_to_fit();
        // As if each had been united with another, so that it does not matter which are.
        for (_, ports) in &mut ports {
            ports.union(&Ports::ZERO);
        }
        sort_and_merge(&mut ports, Ports::union);
        Self { sources, targets, services, ports, unattributed, elsewhere, ..Self::empty(start_ns, end_ns) }
    }

    /// A slot in which nothing was counted.
    #[must_use]
    pub fn empty(start_ns: u64, end_ns: u64) -> Self {
        Self {
            start_ns,
            end_ns,
            number: 0,
            confidence: Confidence::Flags,
            health: Health::NOTHING,
            listed: Vec::new(),
            sources: Vec::new(),
            targets: Vec::new(),
            services: Vec::new(),
            ports: Vec::new(),
            unattributed: SourceStats::default(),
            elsewhere: TargetStats::default(),
        }
    }

    /// How long it lasted, in nanoseconds; never 0.
    #[must_use]
    pub fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns).max(1)
    }

    /// The sources, sorted, each once.
    #[must_use]
    pub fn sources(&self) -> impl ExactSizeIterator<Item = (Addr, SourceStats)> {
        self.sources.iter().map(|(addr, packed)| (*addr, packed.stats()))
    }

    /// The same, as they are kept.
    pub(super) fn packed(&self) -> &[(Addr, Packed)] {
        &self.sources
    }

    /// What the sources sent to, sorted by source, destination and service, each once.
    #[must_use]
    pub fn targets(&self) -> &[(TargetKey, TargetStats)] {
        &self.targets
    }

    /// What was sent to each service, whoever sent it, sorted by destination and service, each once.
    #[must_use]
    pub fn services(&self) -> &[(ServiceKey, TargetStats)] {
        &self.services
    }

    /// What one source sent during the slot.
    #[must_use]
    pub fn source(&self, addr: Addr) -> Option<SourceStats> {
        find(&self.sources, addr).map(Packed::stats)
    }

    /// What was sent by nobody in particular: by sources that were given no entry of their own.
    #[must_use]
    pub const fn unattributed(&self) -> &SourceStats {
        &self.unattributed
    }

    /// What went to destinations that are too many to be kept apart.
    #[must_use]
    pub const fn elsewhere(&self) -> &TargetStats {
        &self.elsewhere
    }

    /// The ports that one source probed during the slot at targets that found no room.
    #[must_use]
    pub fn ports_of(&self, addr: Addr) -> Option<&Ports> {
        find(&self.ports, addr)
    }

    /// What one source sent to during the slot.
    #[must_use]
    pub fn targets_of(&self, source: Addr) -> &[(TargetKey, TargetStats)] {
        range(&self.targets, |(key, _)| key.source.cmp(&source))
    }

    /// What was sent to one destination during the slot.
    #[must_use]
    pub fn services_of(&self, dest: Addr) -> &[(ServiceKey, TargetStats)] {
        range(&self.services, |(key, _)| key.dest.cmp(&dest))
    }

    /// Adds the counts of another slot, as if both had been one.
    ///
    /// Which slot comes first does not matter, nor in which order several are merged.
    pub fn merge(&mut self, other: &Self) {
        self.number = self.number.max(other.number);
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        self.health.merge(&other.health);
        self.sources.extend_from_slice(&other.sources);
        self.targets.extend_from_slice(&other.targets);
        self.services.extend_from_slice(&other.services);
        self.ports.extend_from_slice(&other.ports);
        sort_and_merge(&mut self.sources, Packed::merge);
        sort_and_merge(&mut self.targets, TargetStats::merge);
        sort_and_merge(&mut self.services, TargetStats::merge);
        sort_and_merge(&mut self.ports, Ports::union);
        self.unattributed.merge(&other.unattributed);
        self.elsewhere.merge(&other.elsewhere);
    }

    /// Whether no packet was counted in it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.health.seen == 0 && self.sources.is_empty() && self.unattributed.packets() == 0
    }
}

/// The entry of one source in a list that is sorted by source.
fn find<V>(entries: &[(Addr, V)], addr: Addr) -> Option<&V> {
    let index = entries.binary_search_by_key(&addr, |(key, _)| *key).ok()?;
    entries.get(index).map(|(_, value)| value)
}

/// The part of a sorted list whose entries `compare` as equal.
pub(super) fn range<T>(entries: &[T], compare: impl Fn(&T) -> core::cmp::Ordering) -> &[T] {
    let start = entries.partition_point(|entry| compare(entry).is_lt());
    let rest = entries.get(start..).unwrap_or(&[]);
    let len = rest.partition_point(|entry| compare(entry).is_eq());
    rest.get(..len).unwrap_or(&[])
}

/// Sorts entries by key and adds up those of the same key.
fn sort_and_merge<K: Ord + Copy, V>(entries: &mut Vec<(K, V)>, merge: impl Fn(&mut V, &V)) {
    if entries.is_sorted_by(|(left, _), (right, _)| left < right) {
        return;
    }
    // The stable sort finds runs, of which there are two when slots are merged.
    entries.sort_by_key(|(key, _)| *key);
    entries.dedup_by(|(key, later), (kept_key, kept)| {
        let same = key == kept_key;
        if same {
            merge(kept, later);
        }
        same
    });
}

#[cfg(test)]
mod tests;
