//! The last slots of one interface, looked at as one.

use std::collections::VecDeque;

use netwatch_common::{Addr, PortKey, Proto};

use super::limits::WINDOW_SLOTS_MAX;
use super::policy::Counting;
use super::ports::PortSummary;
use super::slot::{PortStats, Slot, SourceStats};

/// The last slots of one interface.
#[derive(Clone, Debug)]
pub struct Window {
    slots: VecDeque<Slot>,
    capacity: usize,
}

impl Window {
    /// A window over the last `slots` slots, at least 1 and at most [`WINDOW_SLOTS_MAX`].
    #[must_use]
    pub fn new(slots: usize) -> Self {
        let capacity = slots.clamp(1, WINDOW_SLOTS_MAX);
        Self { slots: VecDeque::with_capacity(capacity), capacity }
    }

    /// Slides the window by one slot: adds the newest and drops the oldest once the window is full.
    pub fn push(&mut self, slot: Slot) {
        if self.slots.len() == self.capacity {
            self.slots.pop_front();
        }
        self.slots.push_back(slot);
    }

    /// Adds a further part of the newest slot, or the newest slot where there is none yet.
    pub fn extend_newest(&mut self, part: &Slot) {
        match self.slots.back_mut() {
            Some(newest) => newest.merge(part),
            None => self.slots.push_back(part.clone()),
        }
    }

    /// The slot pushed last.
    #[must_use]
    pub fn newest(&self) -> Option<&Slot> {
        self.slots.back()
    }

    /// From when to when the window reaches, in monotonic nanoseconds; `None` before the first slot.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        let start_ns = self.slots.iter().map(|slot| slot.start_ns).min()?;
        let end_ns = self.slots.iter().map(|slot| slot.end_ns).max()?;
        Some(Span { start_ns, end_ns })
    }

    /// Visits each source once, in the order of [`Addr`], with its counts over the whole window. `counting` says
    /// which packets are evidence.
    ///
    /// The slots are merged as they are walked: beyond them this needs memory for one source, however many
    /// there are. A source of which only ports were counted, because the sources map was full, is visited too.
    pub fn for_each_source(&self, counting: Counting, mut visit: impl FnMut(&SourceView)) {
        let mut cursors: Vec<Cursor<'_>> = self.slots.iter().filter_map(Cursor::new).collect();
        let mut ports = Vec::with_capacity(cursors.len());
        while let Some(addr) = cursors.iter().map(|cursor| cursor.head).min() {
            let mut view = SourceView::new(addr);
            ports.clear();
            cursors.retain_mut(|cursor| {
                if cursor.head != addr {
                    return true;
                }
                let (stats, own_ports) = cursor.take();
                if let Some(stats) = stats {
                    view.stats.merge(stats);
                }
                if !own_ports.is_empty() {
                    ports.push(own_ports);
                }
                cursor.advance()
            });
            view.add_ports(&mut ports, counting);
            visit(&view);
        }
    }
}

/// From when to when something lasted, in monotonic nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
}

/// One source over the whole window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its address.
    pub addr: Addr,
    /// What it sent.
    pub stats: SourceStats,
    /// The TCP ports it sent to.
    pub tcp: PortSummary,
    /// The UDP ports it sent to.
    pub udp: PortSummary,
}

impl SourceView {
    /// A source that sent nothing.
    #[must_use]
    pub fn new(addr: Addr) -> Self {
        Self { addr, stats: SourceStats::default(), tcp: PortSummary::default(), udp: PortSummary::default() }
    }

    /// The ports of one protocol.
    #[must_use]
    pub const fn ports(&self, proto: Proto) -> &PortSummary {
        match proto {
            Proto::Tcp => &self.tcp,
            Proto::Udp => &self.udp,
        }
    }

    /// Distinct ports of both protocols that were scanned.
    #[must_use]
    pub const fn scanned_ports(&self) -> u64 {
        self.tcp.scanned() + self.udp.scanned()
    }

    /// Merges what each slot knows about the ports of this source, which is sorted in each.
    fn add_ports(&mut self, slots: &mut Vec<&[(PortKey, PortStats)]>, counting: Counting) {
        // Nearly every source of a flood lies in one slot.
        if let [only] = slots[..] {
            for (key, stats) in only {
                self.add_port(*key, stats, counting);
            }
            return;
        }
        while let Some(key) = slots.iter().filter_map(|ports| ports.first()).map(|(key, _)| *key).min() {
            let mut sum = PortStats::default();
            slots.retain_mut(|ports| {
                if let [(first, stats), rest @ ..] = *ports
                    && *first == key
                {
                    sum.merge(stats);
                    *ports = rest;
                }
                !ports.is_empty()
            });
            self.add_port(key, &sum, counting);
        }
    }

    fn add_port(&mut self, key: PortKey, stats: &PortStats, counting: Counting) {
        let stats = match counting {
            Counting::Evidence => *stats,
            Counting::Everything => PortStats { evidence: stats.packets, ..*stats },
        };
        let summary = match key.proto() {
            Proto::Tcp => &mut self.tcp,
            Proto::Udp => &mut self.udp,
        };
        summary.add(key.port(), &stats);
    }
}

/// How far one slot has been walked.
struct Cursor<'a> {
    /// The lowest source not yet taken.
    head: Addr,
    sources: &'a [(Addr, SourceStats)],
    ports: &'a [(PortKey, PortStats)],
}

impl<'a> Cursor<'a> {
    /// `None` for a slot in which nothing was counted.
    fn new(slot: &'a Slot) -> Option<Self> {
        let (sources, ports) = (slot.sources(), slot.ports());
        Some(Self { head: head(sources, ports)?, sources, ports })
    }

    /// What the slot knows about the source at the head.
    fn take(&mut self) -> (Option<&'a SourceStats>, &'a [(PortKey, PortStats)]) {
        let mut taken = None;
        if let [(addr, stats), rest @ ..] = self.sources
            && *addr == self.head
        {
            taken = Some(stats);
            self.sources = rest;
        }
        let end = self.ports.iter().position(|(key, _)| key.source != self.head).unwrap_or(self.ports.len());
        let (own, rest) = self.ports.split_at(end);
        self.ports = rest;
        (taken, own)
    }

    /// Moves on to the next source; false at the end of the slot.
    fn advance(&mut self) -> bool {
        head(self.sources, self.ports).is_some_and(|next| {
            self.head = next;
            true
        })
    }
}

fn head(sources: &[(Addr, SourceStats)], ports: &[(PortKey, PortStats)]) -> Option<Addr> {
    match (sources.first(), ports.first()) {
        (Some((addr, _)), Some((key, _))) => Some((*addr).min(key.source)),
        (Some((addr, _)), None) => Some(*addr),
        (None, Some((key, _))) => Some(key.source),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use netwatch_common::Class;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn addr(last: u8) -> Addr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn probe(last: u8, proto: Proto, port: u16) -> (PortKey, PortStats) {
        (PortKey::new(addr(last), proto, port), PortStats { packets: 1, evidence: 1, ..PortStats::default() })
    }

    fn views(window: &Window) -> Vec<SourceView> {
        let mut views = Vec::new();
        window.for_each_source(Counting::Evidence, |view| views.push(*view));
        views
    }

    #[test]
    fn a_window_keeps_the_last_slots() {
        let mut window = Window::new(2);
        assert_eq!(window.span(), None);
        for (index, last) in (0..3).zip([1, 2, 3]) {
            window.push(Slot::new(index, index + 1, vec![(addr(last), SourceStats::default())], Vec::new()));
        }
        assert_eq!(window.span(), Some(Span { start_ns: 1, end_ns: 3 }));
        assert_eq!(views(&window).iter().map(|view| view.addr).collect::<Vec<_>>(), [addr(2), addr(3)]);
        assert_eq!(window.newest().map(|slot| slot.end_ns), Some(3));
    }

    #[test]
    fn a_scan_across_the_edge_of_two_slots_is_one_scan() {
        let mut window = Window::new(12);
        let ports = |range: core::ops::Range<u16>| range.map(|port| probe(1, Proto::Tcp, port)).collect();
        window.push(Slot::new(0, 5, Vec::new(), ports(1..11)));
        window.push(Slot::new(5, 10, Vec::new(), ports(10..20)));
        let [view] = views(&window)[..] else { panic!("one source") };
        assert_eq!((view.tcp.distinct, view.tcp.packets, view.udp.distinct), (19, 20, 0));
        assert_eq!(view.tcp.first_ports(), (1..=16).collect::<Vec<u16>>());
    }

    #[test]
    fn ports_without_evidence_are_not_listed() {
        let quiet = (
            PortKey::new(addr(1), Proto::Udp, 40000),
            PortStats { packets: 9, evidence: 0, ..PortStats::default() },
        );
        let mut window = Window::new(1);
        window.push(Slot::new(0, 5, Vec::new(), vec![quiet, probe(1, Proto::Udp, 53)]));
        let [view] = views(&window)[..] else { panic!("one source") };
        assert_eq!((view.udp.distinct, view.udp.packets, view.udp.evidence), (1, 10, 1));
        assert_eq!(view.udp.first_ports(), [53]);
        assert_eq!(view.tcp.first_ports(), [0; 0]);
        let mut everything = Vec::new();
        window.for_each_source(Counting::Everything, |view| everything.push(*view));
        let [view] = everything[..] else { panic!("one source") };
        assert_eq!((view.udp.distinct, view.udp.evidence, view.udp.first_ports()), (2, 10, &[53, 40000][..]));
    }

    type Probe = (u8, bool, u16, u64, bool);

    /// Merges in maps what the window merges in a stream.
    fn reference(slots: &[(Vec<u8>, Vec<Probe>)]) -> Vec<SourceView> {
        let mut merged: BTreeMap<Addr, (SourceStats, BTreeMap<PortKey, PortStats>)> = BTreeMap::new();
        for slot in slots.iter().map(slot) {
            for (addr, stats) in slot.sources() {
                merged.entry(*addr).or_default().0.merge(stats);
            }
            for (key, stats) in slot.ports() {
                merged.entry(key.source).or_default().1.entry(*key).or_default().merge(stats);
            }
        }
        merged
            .into_iter()
            .map(|(addr, (stats, ports))| {
                let mut view = SourceView { stats, ..SourceView::new(addr) };
                ports.iter().for_each(|(key, stats)| view.add_port(*key, stats, Counting::Evidence));
                view
            })
            .collect()
    }

    fn slot((sources, probes): &(Vec<u8>, Vec<Probe>)) -> Slot {
        let sources = sources
            .iter()
            .map(|last| (addr(*last), SourceStats { classes: [1; Class::COUNT], ..SourceStats::default() }))
            .collect();
        let ports = probes
            .iter()
            .map(|(last, udp, port, packets, evidence)| {
                let proto = if *udp { Proto::Udp } else { Proto::Tcp };
                let evidence = if *evidence { *packets } else { 0 };
                (
                    PortKey::new(addr(*last), proto, *port),
                    PortStats { packets: *packets, evidence, ..PortStats::default() },
                )
            })
            .collect();
        Slot::new(0, 1, sources, ports)
    }

    proptest! {
        #[test]
        fn a_stream_merges_like_a_map(
            slots in prop::collection::vec(
                (
                    prop::collection::vec(0..8u8, 0..8),
                    prop::collection::vec((0..8u8, any::<bool>(), 0..40u16, 0..3u64, any::<bool>()), 0..60),
                ),
                0..6,
            ),
        ) {
            let mut window = Window::new(6);
            slots.iter().map(slot).for_each(|slot| window.push(slot));
            prop_assert_eq!(views(&window), reference(&slots));
        }
    }
}
