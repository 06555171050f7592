//! What one interface counted during one slot.

use netwatch_common::{Addr, Class, Service, TargetKey, Totals, Verdict};

use super::stats::{SourceStats, TargetStats};

/// The sources and targets that a slot is made of, in any order.
pub type Counted = (Vec<(Addr, SourceStats)>, Vec<(TargetKey, TargetStats)>);

/// How replies were told from probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confidence {
    /// By flags and ports, which can be forged.
    #[default]
    Flags,
    /// By what this host was seen to send.
    Flows,
}

/// How well counting itself went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Packets that entered the program.
    pub seen: u64,
    /// Those of them that are malformed.
    pub malformed: u64,
    /// Counts that found no room, of sources and targets.
    pub lost: u64,
    /// Those of them that are of targets.
    pub lost_targets: u64,
    /// Hints that found no room: what they would have told was told later.
    pub hints_lost: u64,
    /// Slots that were drained much too late, or not to their end.
    pub late: u64,
}

impl Health {
    /// How counting went between two looks at a program's totals, `late` times of which too late.
    #[must_use]
    pub fn between(before: &Totals, now: &Totals, late: u64) -> Self {
        let lost = |totals: &Totals| totals.sources_refused + totals.targets_lost;
        // First fragments that hide their flags are no trouble of the parser's: they are evidence, and seen as such.
        let malformed = |totals: &Totals| {
            totals.class(Class::Malformed) - totals.verdict(Verdict::FirstFragmentTruncated)
        };
        Self {
            seen: now.seen - before.seen,
            malformed: malformed(now) - malformed(before),
            lost: lost(now) - lost(before),
            lost_targets: now.targets_lost - before.targets_lost,
            hints_lost: now.hints_lost - before.hints_lost,
            late,
        }
    }

    /// Adds that of another part of the slot, or of another slot.
    pub const fn merge(&mut self, other: &Self) {
        self.seen = self.seen.saturating_add(other.seen);
        self.malformed = self.malformed.saturating_add(other.malformed);
        self.lost = self.lost.saturating_add(other.lost);
        self.lost_targets = self.lost_targets.saturating_add(other.lost_targets);
        self.hints_lost = self.hints_lost.saturating_add(other.hints_lost);
        self.late = self.late.saturating_add(other.late);
    }

    /// Whether sums may be too small.
    #[must_use]
    pub const fn is_lossy(&self) -> bool {
        self.lost > 0
    }
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
    sources: Vec<(Addr, SourceStats)>,
    targets: Vec<(TargetKey, TargetStats)>,
    /// The targets once more, summed over sources: sorted by destination and service.
    services: Vec<(ServiceKey, TargetStats)>,
}

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
    pub fn new(
        start_ns: u64,
        end_ns: u64,
        mut sources: Vec<(Addr, SourceStats)>,
        mut targets: Vec<(TargetKey, TargetStats)>,
    ) -> Self {
        sort_and_merge(&mut sources, SourceStats::merge);
        sort_and_merge(&mut targets, TargetStats::merge);
        let service = |(key, stats): &(TargetKey, TargetStats)| {
            (ServiceKey { dest: key.dest, service: key.service }, *stats)
        };
        let mut services = targets.iter().map(service).collect();
        sort_and_merge(&mut services, TargetStats::merge);
        services.shrink_to_fit();
        Self { sources, targets, services, ..Self::empty(start_ns, end_ns) }
    }

    /// A slot in which nothing was counted.
    #[must_use]
    pub const fn empty(start_ns: u64, end_ns: u64) -> Self {
        Self {
            start_ns,
            end_ns,
            number: 0,
            confidence: Confidence::Flags,
            health: Health { seen: 0, malformed: 0, lost: 0, lost_targets: 0, hints_lost: 0, late: 0 },
            sources: Vec::new(),
            targets: Vec::new(),
            services: Vec::new(),
        }
    }

    /// How long it lasted, in nanoseconds; never 0.
    #[must_use]
    pub fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns).max(1)
    }

    /// The sources, sorted, each once.
    #[must_use]
    pub fn sources(&self) -> &[(Addr, SourceStats)] {
        &self.sources
    }

    /// What the sources sent to, sorted by source, destination and service, each once.
    #[must_use]
    pub fn targets(&self) -> &[(TargetKey, TargetStats)] {
        &self.targets
    }

    /// What was sent to each service, sorted by destination and service, each once.
    #[must_use]
    pub fn services(&self) -> &[(ServiceKey, TargetStats)] {
        &self.services
    }

    /// What one source sent during the slot.
    #[must_use]
    pub fn source(&self, addr: Addr) -> Option<&SourceStats> {
        let index = self.sources.binary_search_by_key(&addr, |(key, _)| *key).ok()?;
        self.sources.get(index).map(|(_, stats)| stats)
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
        sort_and_merge(&mut self.sources, SourceStats::merge);
        sort_and_merge(&mut self.targets, TargetStats::merge);
        sort_and_merge(&mut self.services, TargetStats::merge);
    }
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
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use netwatch_common::Proto;
    use proptest::prelude::*;

    fn addr(last: u8) -> Addr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn what_belongs_to_one_is_found_among_many() {
        let stats = |bytes| SourceStats { bytes, ..SourceStats::default() };
        let target = |source, dest, port| {
            let key =
                TargetKey { source: addr(source), dest: addr(dest), service: Service::new(Proto::Tcp, port) };
            (key, TargetStats { opening: 1, ..TargetStats::default() })
        };
        let targets = vec![target(3, 9, 80), target(1, 9, 80), target(3, 8, 22), target(2, 8, 22)];
        let slot = Slot::new(0, 1, vec![(addr(3), stats(3)), (addr(1), stats(1))], targets);
        assert_eq!(slot.source(addr(3)), Some(&stats(3)));
        assert_eq!(slot.source(addr(2)), None);
        assert_eq!(slot.targets_of(addr(3)), [target(3, 8, 22), target(3, 9, 80)]);
        assert_eq!(slot.targets_of(addr(4)), []);
        let [(key, sum)] = slot.services_of(addr(9)) else { panic!("one service") };
        assert_eq!((key.service.port(), sum.opening), (Some((Proto::Tcp, 80)), 2));
    }

    fn slots() -> impl Strategy<Value = Slot> {
        let stats = (0..9u64, 0..5u64, 0..5u64, any::<[u8; Class::COUNT]>());
        let source = (0..6u8, stats).prop_map(|(last, (bytes, first_ns, last_ns, classes))| {
            let classes = classes.map(u64::from);
            (addr(last), SourceStats { bytes, first_ns, last_ns, classes, ..SourceStats::default() })
        });
        let target = (0..3u8, 0..3u8, any::<bool>(), 0..4u16, any::<[u8; 5]>()).prop_map(
            |(source, dest, udp, port, [opening, stealth, out_of_state, noise, rest])| {
                let proto = if udp { Proto::Udp } else { Proto::Tcp };
                let service = Service::new(proto, port);
                (
                    TargetKey { source: addr(source), dest: addr(dest), service },
                    TargetStats {
                        opening: opening.into(),
                        stealth: stealth.into(),
                        out_of_state: out_of_state.into(),
                        noise: noise.into(),
                        rest: rest.into(),
                        ..TargetStats::default()
                    },
                )
            },
        );
        let sources = prop::collection::vec(source, 0..20);
        let targets = prop::collection::vec(target, 0..20);
        (0..9u64, 0..9u64, sources, targets)
            .prop_map(|(start, length, sources, targets)| Slot::new(start, start + length, sources, targets))
    }

    fn merged(mut left: Slot, right: &Slot) -> Slot {
        left.merge(right);
        left
    }

    fn packets(slot: &Slot) -> (u64, u64, u64, u64) {
        (
            slot.sources().iter().map(|(_, stats)| stats.packets()).sum(),
            slot.sources().iter().map(|(_, stats)| stats.bytes).sum(),
            slot.targets().iter().map(|(_, stats)| stats.packets()).sum(),
            slot.services().iter().map(|(_, stats)| stats.packets()).sum(),
        )
    }

    proptest! {
        #[test]
        fn merging_is_associative_and_free_of_order(a in slots(), b in slots(), c in slots()) {
            let left = merged(merged(a.clone(), &b), &c);
            prop_assert_eq!(&left, &merged(a.clone(), &merged(b.clone(), &c)));
            prop_assert_eq!(&left, &merged(merged(c, &b), &a));
        }

        #[test]
        fn merging_loses_and_invents_nothing(a in slots(), b in slots()) {
            let (one, two) = (packets(&a), packets(&b));
            prop_assert_eq!(one.2, one.3);
            let both = merged(a, &b);
            let sum = (one.0 + two.0, one.1 + two.1, one.2 + two.2, one.3 + two.3);
            prop_assert_eq!(packets(&both), sum);
            prop_assert!(both.sources().is_sorted_by(|left, right| left.0 < right.0));
            prop_assert!(both.targets().is_sorted_by(|left, right| left.0 < right.0));
            prop_assert!(both.services().is_sorted_by(|left, right| left.0 < right.0));
        }
    }
}
