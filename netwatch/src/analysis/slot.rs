//! What one interface counted during one slot.

use netwatch_common::{Addr, Class, PortCounts, PortKey, SourceCounts};

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
    /// How replies were told from probes.
    pub confidence: Confidence,
    sources: Vec<(Addr, SourceStats)>,
    ports: Vec<(PortKey, PortStats)>,
}

impl Slot {
    /// A slot from entries in any order; entries of the same key are added up.
    #[must_use]
    pub fn new(
        start_ns: u64,
        end_ns: u64,
        mut sources: Vec<(Addr, SourceStats)>,
        mut ports: Vec<(PortKey, PortStats)>,
    ) -> Self {
        sort_and_merge(&mut sources, SourceStats::merge);
        sort_and_merge(&mut ports, PortStats::merge);
        Self { start_ns, end_ns, confidence: Confidence::Flags, sources, ports }
    }

    /// A slot in which nothing was counted.
    #[must_use]
    pub const fn empty(start_ns: u64, end_ns: u64) -> Self {
        Self { start_ns, end_ns, confidence: Confidence::Flags, sources: Vec::new(), ports: Vec::new() }
    }

    /// The sources, sorted, each once.
    #[must_use]
    pub fn sources(&self) -> &[(Addr, SourceStats)] {
        &self.sources
    }

    /// The ports of the sources, sorted by source, protocol and port, each once.
    #[must_use]
    pub fn ports(&self) -> &[(PortKey, PortStats)] {
        &self.ports
    }

    /// What one source sent during the slot.
    #[must_use]
    pub fn source(&self, addr: Addr) -> Option<&SourceStats> {
        let index = self.sources.binary_search_by_key(&addr, |(key, _)| *key).ok()?;
        self.sources.get(index).map(|(_, stats)| stats)
    }

    /// Adds the counts of another slot, as if both had been one.
    ///
    /// Which slot comes first does not matter, nor in which order several are merged.
    pub fn merge(&mut self, other: &Self) {
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        self.sources.extend_from_slice(&other.sources);
        self.ports.extend_from_slice(&other.ports);
        sort_and_merge(&mut self.sources, SourceStats::merge);
        sort_and_merge(&mut self.ports, PortStats::merge);
    }
}

/// What one source sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Bytes on the wire, link header included, frame check sequence not.
    pub bytes: u64,
    /// When the first packet came, in monotonic nanoseconds; 0 where there was none.
    pub first_ns: u64,
    /// When the last packet came, in monotonic nanoseconds; 0 where there was none.
    pub last_ns: u64,
    /// Packets by [`Class`].
    pub classes: [u64; Class::COUNT],
    /// Handshakes that the source began and completed.
    pub completed: u64,
}

impl SourceStats {
    /// Sums what each CPU counted of one source.
    pub fn from_cpus<'a>(cpus: impl IntoIterator<Item = &'a SourceCounts>) -> Self {
        let mut sum = Self::default();
        for cpu in cpus {
            sum.merge(&Self {
                bytes: cpu.bytes,
                first_ns: cpu.first_ns,
                last_ns: cpu.last_ns,
                classes: cpu.classes.map(u64::from),
                completed: cpu.completed.into(),
            });
        }
        sum
    }

    /// Adds the counts of another CPU or slot.
    pub fn merge(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        // A time of 0 says that nothing was counted, so it must not win as the earliest.
        self.first_ns = match (self.first_ns, other.first_ns) {
            (0, first) | (first, 0) => first,
            (mine, theirs) => mine.min(theirs),
        };
        self.last_ns = self.last_ns.max(other.last_ns);
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine = mine.saturating_add(theirs);
        }
        self.completed = self.completed.saturating_add(other.completed);
    }

    /// Packets of all classes.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.classes.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Packets that came without being asked for ([`Class::is_unsolicited`]), less the SYNs of handshakes that
    /// were completed: a client with hundreds of real connections is no flood.
    #[must_use]
    pub fn unsolicited(&self) -> u64 {
        let all = self
            .by_class()
            .filter(|(class, _)| class.is_unsolicited())
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
        all - self.completed.min(self.classes[Class::Syn as usize])
    }

    /// The classes that have packets, with their number.
    pub fn by_class(&self) -> impl Iterator<Item = (Class, u64)> {
        Class::ALL.into_iter().zip(self.classes).filter(|(_, count)| *count > 0)
    }
}

/// What one source sent to one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets to the port.
    pub packets: u64,
    /// Those of them that are evidence of a scan
    /// ([`Verdict::is_scan_evidence`](netwatch_common::Verdict::is_scan_evidence)).
    pub evidence: u64,
    /// Those of class [`Class::OutOfState`].
    pub out_of_state: u64,
    /// Those of class [`Class::Known`].
    pub known: u64,
}

impl PortStats {
    /// Sums what each CPU counted of one source and port.
    pub fn from_cpus<'a>(cpus: impl IntoIterator<Item = &'a PortCounts>) -> Self {
        let mut sum = Self::default();
        for cpu in cpus {
            sum.merge(&Self {
                packets: cpu.packets.into(),
                evidence: cpu.evidence.into(),
                out_of_state: cpu.out_of_state.into(),
                known: cpu.known.into(),
            });
        }
        sum
    }

    /// Adds the counts of another CPU or slot.
    pub const fn merge(&mut self, other: &Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.evidence = self.evidence.saturating_add(other.evidence);
        self.out_of_state = self.out_of_state.saturating_add(other.out_of_state);
        self.known = self.known.saturating_add(other.known);
    }
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
    fn a_cpu_that_counted_nothing_does_not_set_the_time() {
        let mut classes = [0; Class::COUNT];
        classes[Class::Syn as usize] = u32::MAX;
        let busy = SourceCounts { bytes: 60, first_ns: 7, last_ns: 9, classes, ..SourceCounts::ZERO };
        let sum = SourceStats::from_cpus(&[SourceCounts::ZERO, busy, SourceCounts::ZERO, busy]);
        assert_eq!((sum.bytes, sum.first_ns, sum.last_ns), (120, 7, 9));
        assert_eq!(sum.packets(), 2 * u64::from(u32::MAX));
        assert_eq!(SourceStats::from_cpus(&[SourceCounts::ZERO]), SourceStats::default());

        let cpu = PortCounts { packets: u32::MAX, evidence: 1, ..PortCounts::ZERO };
        assert_eq!(
            PortStats::from_cpus(&[cpu, cpu]),
            PortStats { packets: 2 * u64::from(u32::MAX), evidence: 2, ..PortStats::default() }
        );
    }

    #[test]
    fn unsolicited_leaves_out_what_belongs_to_connections() {
        let stats =
            SourceStats { classes: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], ..SourceStats::default() };
        assert_eq!((stats.unsolicited(), stats.packets()), (255, 1023));
    }

    #[test]
    fn a_client_whose_handshakes_complete_is_no_flood() {
        let of = |syns, completed| {
            let mut stats = SourceStats { completed, ..SourceStats::default() };
            stats.classes[Class::Syn as usize] = syns;
            stats.classes[Class::IcmpProbe as usize] = 3;
            stats.unsolicited()
        };
        assert_eq!((of(200, 0), of(200, 150), of(200, 200)), (203, 53, 3));
        // A handshake may complete in a later window than it began.
        assert_eq!(of(0, 7), 3);
    }

    #[test]
    fn one_source_is_found_among_many() {
        let stats = |bytes| SourceStats { bytes, ..SourceStats::default() };
        let slot = Slot::new(0, 1, vec![(addr(3), stats(3)), (addr(1), stats(1))], Vec::new());
        assert_eq!(slot.source(addr(3)), Some(&stats(3)));
        assert_eq!(slot.source(addr(2)), None);
    }

    fn slots() -> impl Strategy<Value = Slot> {
        let stats = (0..9u64, 0..5u64, 0..5u64, any::<[u8; Class::COUNT]>());
        let source = (0..6u8, stats).prop_map(|(last, (bytes, first_ns, last_ns, classes))| {
            (
                addr(last),
                SourceStats { bytes, first_ns, last_ns, classes: classes.map(u64::from), completed: 0 },
            )
        });
        let port = (0..3u8, any::<bool>(), 0..4u16, 0..9u64, 0..9u64).prop_map(
            |(last, udp, port, packets, evidence)| {
                let proto = if udp { Proto::Udp } else { Proto::Tcp };
                (
                    PortKey::new(addr(last), proto, port),
                    PortStats { packets, evidence, ..PortStats::default() },
                )
            },
        );
        let sources = prop::collection::vec(source, 0..20);
        let ports = prop::collection::vec(port, 0..20);
        (0..9u64, 0..9u64, sources, ports)
            .prop_map(|(start, length, sources, ports)| Slot::new(start, start + length, sources, ports))
    }

    fn merged(mut left: Slot, right: &Slot) -> Slot {
        left.merge(right);
        left
    }

    fn packets(slot: &Slot) -> (u64, u64, u64) {
        (
            slot.sources().iter().map(|(_, stats)| stats.packets()).sum(),
            slot.sources().iter().map(|(_, stats)| stats.bytes).sum(),
            slot.ports().iter().map(|(_, stats)| stats.packets + stats.evidence).sum(),
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
            let both = merged(a, &b);
            prop_assert_eq!(packets(&both), (one.0 + two.0, one.1 + two.1, one.2 + two.2));
            prop_assert!(both.sources().is_sorted_by(|left, right| left.0 < right.0));
            prop_assert!(both.ports().is_sorted_by(|left, right| left.0 < right.0));
        }
    }
}
