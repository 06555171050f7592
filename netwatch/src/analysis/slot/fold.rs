//! What is kept of a slot that has more sources or targets than there is memory for.
//!
//! Nothing is dropped: what tells least loses its name first, and its packets are counted with those of nobody in
//! particular, so that sums of destinations and services stay what they are.

use core::cmp::Reverse;

use netwatch_common::{Addr, PortHash, Ports, Service, TargetKey};

use super::super::limits::{SLOT_BYTES, SLOT_PORTS, SLOT_SERVICES, SLOT_SOURCES, SLOT_TARGETS};
use super::super::packed::Packed;
use super::super::stats::{SourceStats, TargetStats};
use super::{ServiceKey, Slot, find, sort_and_merge};

/// How much of a slot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Sources.
    pub sources: usize,
    /// What they sent to.
    pub targets: usize,
    /// Services of destinations.
    pub services: usize,
    /// Sources of which ports are kept that have no target.
    pub ports: usize,
}

impl Bounds {
    /// What there is room for in every slot, whatever there is of the rest.
    pub const LEAST: Self =
        Self { sources: SLOT_SOURCES, targets: SLOT_TARGETS, services: SLOT_SERVICES, ports: SLOT_PORTS };

    /// Memory that a slot takes within them, in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        size_of::<Slot>()
            + self.sources * size_of::<(Addr, Packed)>()
            + self.targets * size_of::<(TargetKey, TargetStats)>()
            + self.services * size_of::<(ServiceKey, TargetStats)>()
            + self.ports * size_of::<(Addr, Ports)>()
    }

    /// As much of this as fits into [`SLOT_BYTES`]. What services leave is divided between sources and targets as they
    /// are many.
    fn fitting(self) -> Self {
        const SOURCE: usize = size_of::<(Addr, Packed)>();
        const TARGET: usize = size_of::<(TargetKey, TargetStats)>();
        let whole = Self { ports: SLOT_PORTS, ..self };
        if self.ports <= SLOT_PORTS && whole.bytes() <= SLOT_BYTES {
            return whole;
        }
        // Sources may come to have port sets by being folded.
        let rest =
            Self { sources: 0, targets: 0, services: self.services.min(SLOT_SERVICES), ports: SLOT_PORTS };
        let room = SLOT_BYTES - rest.bytes();
        let wanted = (self.sources * SOURCE).saturating_add(self.targets * TARGET);
        if wanted <= room {
            return Self { sources: self.sources, targets: self.targets, ..rest };
        }
        let share = self.sources.saturating_mul(room) / wanted;
        let most = (room - self.targets.min(SLOT_TARGETS) * TARGET) / SOURCE;
        let sources = share.max(self.sources.min(SLOT_SOURCES)).min(most);
        Self { sources, targets: (room - sources * SOURCE) / TARGET, ..rest }
    }
}

const _: () = assert!(Bounds::LEAST.bytes() <= SLOT_BYTES);

/// Share of the sources that is kept for what they sent, whatever that was: one in so many.
const HEAVY: usize = 4;

/// Share of the targets that a source should be able to keep: one in so many.
const OF_ONE: usize = 8;

/// Targets that a source may probe in a slot without looking like a scanner.
const FEW_PROBES: u64 = 4;

impl Slot {
    /// Brings the slot down to [`SLOT_BYTES`]. Of one that takes no more already, nothing changes. `hash` is that of all
    /// port sets, and `is_known` says of which sources so much is known that they should keep their names.
    pub fn fold(&mut self, hash: PortHash, is_known: impl Fn(Addr) -> bool) {
        let has = Bounds {
            sources: self.sources.len(),
            targets: self.targets.len(),
            services: self.services.len(),
            ports: self.ports.len(),
        };
        self.fold_to(has.fitting(), hash, is_known);
    }

    fn fold_to(&mut self, bounds: Bounds, hash: PortHash, is_known: impl Fn(Addr) -> bool) {
        if self.sources.len() > bounds.sources || self.targets.len() > bounds.targets {
            self.name_all_sources();
            let candidates = self.candidates(is_known);
            self.fold_sources(choose(candidates, bounds), hash);
        }
        self.fold_ports(bounds.ports);
        self.fold_services(bounds.services);
        self.sources.shrink_to_fit();
        self.targets.shrink_to_fit();
        self.services.shrink_to_fit();
        self.ports.shrink_to_fit();
    }

    /// Memory that it takes, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        Bounds {
            sources: self.sources.capacity(),
            targets: self.targets.capacity(),
            services: self.services.capacity(),
            ports: self.ports.capacity(),
        }
        .bytes()
    }

    /// Enters the sources of which targets only were counted.
    fn name_all_sources(&mut self) {
        let nothing = Packed::from(&SourceStats::default());
        let mut unknown: Vec<_> = self.targets.iter().map(|(key, _)| key.source).collect();
        unknown.dedup();
        unknown.retain(|source| find(&self.sources, *source).is_none());
        self.sources.extend(unknown.into_iter().map(|source| (source, nothing)));
        sort_and_merge(&mut self.sources, Packed::merge);
    }

    /// Keeps some of the sources, each with so many of its targets at most.
    fn fold_sources(&mut self, (kept, most): (Vec<usize>, usize), hash: PortHash) {
        let mut is_kept = vec![false; self.sources.len()];
        for index in kept {
            if let Some(kept) = is_kept.get_mut(index) {
                *kept = true;
            }
        }
        let sources = core::mem::take(&mut self.sources);
        let all = core::mem::take(&mut self.targets);
        let mut rest = all.as_slice();
        let (mut folded, mut newcomers) = (0_u64, Vec::new());
        for ((addr, packed), is_kept) in sources.into_iter().zip(is_kept) {
            let (targets, others) = split_own(rest, addr);
            rest = others;
            if is_kept {
                self.sources.push((addr, packed));
                self.keep_targets(addr, targets, most, hash);
            } else {
                let stats = packed.stats();
                self.unattributed.merge(&stats);
                // Who was asked for all it sent has nothing to be told of.
                if stats.unsolicited() > 0 {
                    folded += 1;
                    newcomers.extend(main_service(targets));
                }
            }
        }
        self.health.folded = self.health.folded.saturating_add(folded);
        for key in newcomers {
            if let Ok(index) = self.services.binary_search_by_key(&key, |(key, _)| *key)
                && let Some((_, stats)) = self.services.get_mut(index)
            {
                stats.newcomers = stats.newcomers.saturating_add(1);
            }
        }
        sort_and_merge(&mut self.ports, Ports::union);
        let sources = &self.sources;
        self.ports.retain(|(addr, _)| find(sources, *addr).is_some());
    }

    /// Keeps `most` targets of a source, those that tell most, and the ports of the others if they were probed.
    fn keep_targets(&mut self, addr: Addr, targets: Targets<'_>, most: usize, hash: PortHash) {
        if targets.len() <= most {
            self.targets.extend_from_slice(targets);
            return;
        }
        let is_kept = chosen(targets, most, |(_, stats)| {
            (stats.evidence().min(1), stats.unsolicited(), stats.packets())
        });
        let mut ports = Ports::ZERO;
        for (target, is_kept) in targets.iter().zip(is_kept) {
            let (key, stats) = target;
            if is_kept {
                self.targets.push(*target);
                continue;
            }
            self.health.cut += u64::from(stats.unsolicited() > 0);
            if let Some((proto, port)) = key.service.port().filter(|_| stats.evidence() > 0) {
                let set = ports.of_mut(proto);
                set.insert(hash, port);
                set.techniques = set.techniques.union(stats.techniques);
            }
        }
        if !ports.is_empty() {
            ports.union(&Ports::ZERO);
            self.ports.push((addr, ports));
        }
    }

    fn fold_ports(&mut self, most: usize) {
        if self.ports.len() <= most {
            return;
        }
        self.health.cut += u64::try_from(self.ports.len() - most).unwrap_or(u64::MAX);
        let mut is_kept = chosen(&self.ports, most, |(_, ports)| ports.distinct()).into_iter();
        self.ports.retain(|_| is_kept.next().unwrap_or(false));
    }

    /// Keeps half as many services as there may be, and the others by their destination; of destinations that are too
    /// many, nothing but the sum.
    fn fold_services(&mut self, most: usize) {
        if self.services.len() <= most {
            return;
        }
        let unasked = |services: &[(ServiceKey, TargetStats)]| {
            services.iter().map(|(_, stats)| u64::from(stats.unsolicited() > 0)).sum::<u64>()
        };
        let before = unasked(&self.services);
        let is_kept = chosen(&self.services, most / 2, |(key, stats)| {
            (key.service != Service::LUMP, stats.unsolicited(), stats.packets())
        });
        let mut is_kept = is_kept.into_iter();
        for (key, _) in &mut self.services {
            if !is_kept.next().unwrap_or(false) {
                key.service = Service::LUMP;
            }
        }
        sort_and_merge(&mut self.services, TargetStats::merge);
        if self.services.len() > most {
            let is_kept = chosen(&self.services, most, |(key, stats)| {
                (key.service != Service::LUMP, stats.unsolicited(), stats.packets())
            });
            let (mut is_kept, elsewhere) = (is_kept.into_iter(), &mut self.elsewhere);
            self.services.retain(|(_, stats)| {
                let is_kept = is_kept.next().unwrap_or(false);
                if !is_kept {
                    elsewhere.merge(stats);
                }
                is_kept
            });
        }
        self.health.cut += before - unasked(&self.services);
    }

    /// The sources by what they show.
    fn candidates(&self, is_known: impl Fn(Addr) -> bool) -> Vec<Candidate> {
        let mut rest = self.targets.as_slice();
        let sources = self.sources.iter().enumerate();
        let candidates = sources.map(|(index, (addr, packed))| {
            let (targets, others) = split_own(rest, *addr);
            rest = others;
            let stats = packed.stats();
            let sum = |of: fn(&TargetStats) -> u64| targets.iter().map(|(_, stats)| of(stats)).sum::<u64>();
            let probed = sum(|stats| stats.evidence().min(1));
            let hidden = find(&self.ports, *addr).map_or(0, |ports| ports.distinct().into());
            Candidate {
                index,
                is_known: is_known(*addr),
                targets: targets.len(),
                probes: stats.probes.max(probed + hidden),
                unsolicited: stats.unsolicited().max(sum(TargetStats::unsolicited)),
                packets: stats.packets().max(sum(TargetStats::packets)),
            }
        });
        candidates.collect()
    }
}

/// What a source sent to, or many.
type Targets<'a> = &'a [(TargetKey, TargetStats)];

/// A source that may be kept.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Its place.
    index: usize,
    /// Whether it has shown something before.
    is_known: bool,
    /// How many targets it has.
    targets: usize,
    /// How many it probed.
    probes: u64,
    unsolicited: u64,
    packets: u64,
}

impl Candidate {
    /// What is kept first for what it shows: of equals, the one that comes first.
    const fn evidence(&self) -> Reverse<(bool, u64, u64, u64, Reverse<usize>)> {
        Reverse((self.is_known, self.probes, self.unsolicited, self.packets, Reverse(self.index)))
    }
}

/// The sources to keep, and how many targets each of them may.
///
/// A part of the room is for those that sent most, the rest for those that show most of a scan: neither a flood of
/// probes nor one of packets takes all names.
fn choose(mut candidates: Vec<Candidate>, bounds: Bounds) -> (Vec<usize>, usize) {
    let heavy = bounds.sources.min(candidates.len()) / HEAVY;
    if heavy < candidates.len() {
        candidates.select_nth_unstable_by_key(heavy, |one| Reverse((one.packets, Reverse(one.index))));
    }
    let others = candidates.get_mut(heavy..).unwrap_or_default();
    let room = bounds.sources - heavy;
    if room < others.len() {
        others.select_nth_unstable_by_key(room, Candidate::evidence);
    }
    candidates.truncate(bounds.sources);

    // Room for what scanners sent to is made by those that are none.
    let share = bounds.targets / OF_ONE;
    let mut targets = sum_of_targets(&candidates, share);
    if targets > bounds.targets {
        candidates.get_mut(heavy..).unwrap_or_default().sort_unstable_by_key(Candidate::evidence);
    }
    while targets > bounds.targets
        && let Some(least) = candidates.pop_if(|least| least.probes <= FEW_PROBES && !least.is_known)
    {
        targets -= least.targets.min(share);
    }
    let (mut most, mut too_many) = (0, bounds.targets + 1);
    while too_many - most > 1 {
        let middle = most.midpoint(too_many);
        match sum_of_targets(&candidates, middle) <= bounds.targets {
            true => most = middle,
            false => too_many = middle,
        }
    }
    (candidates.into_iter().map(|one| one.index).collect(), most)
}

/// How many targets candidates have together, where each keeps `most`.
fn sum_of_targets(candidates: &[Candidate], most: usize) -> usize {
    candidates.iter().map(|one| one.targets.min(most)).sum()
}

/// Which `most` entries of a list come first by their rank, of equals those that come first in the list.
fn chosen<T, K: Ord>(list: &[T], most: usize, rank: impl Fn(&T) -> K) -> Vec<bool> {
    let mut is_chosen = vec![list.len() <= most; list.len()];
    if list.len() <= most {
        return is_chosen;
    }
    let mut ranks: Vec<_> =
        list.iter().enumerate().map(|(index, entry)| Reverse((rank(entry), Reverse(index)))).collect();
    ranks.select_nth_unstable(most);
    for Reverse((_, Reverse(index))) in ranks.into_iter().take(most) {
        if let Some(is_chosen) = is_chosen.get_mut(index) {
            *is_chosen = true;
        }
    }
    is_chosen
}

/// The targets of a source at the beginning of a sorted list, and those after them.
fn split_own(targets: Targets<'_>, addr: Addr) -> (Targets<'_>, Targets<'_>) {
    let end = targets.iter().position(|(key, _)| key.source != addr).unwrap_or(targets.len());
    targets.split_at(end)
}

/// What most of what a source sent went to, or at least most of what nobody had asked for.
fn main_service(targets: Targets<'_>) -> Option<ServiceKey> {
    let (key, _) = targets.iter().max_by_key(|(_, stats)| (stats.unsolicited(), stats.packets()))?;
    Some(ServiceKey { dest: key.dest, service: key.service })
}

#[cfg(test)]
mod tests;
