//! What a replay counts of a capture, in windows as those of the truth, and in its terms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use netwatch::analysis::{Slot, SourceStats, TargetStats};
use netwatch::capture::Captures;
use netwatch::kernel::{Capacity, Options};
use netwatch::replay::host::Host;
use netwatch::replay::timeline::{BEGINNING_NS, Timeline};
use netwatch_common::{Addr, Proto, Replayed, Service, Settings, TargetKey, Techniques, Totals, Verdict};

/// Techniques of odd flags.
const ODD: Techniques = Techniques::NULL
    .union(Techniques::FIN)
    .union(Techniques::XMAS)
    .union(Techniques::SYN_FIN)
    .union(Techniques::ODD_FLAGS);

/// More packets, or more ports, than which a source has in a window make a row of the truth.
const PACKETS: u64 = 100;
const PORTS: usize = 10;

/// The truth's window, in nanoseconds.
const WINDOW_NS: u64 = 60_000_000_000;

/// What a replay counted of one capture.
#[derive(Default)]
pub struct Counted {
    /// By its number; earlier than the first packet where times go back.
    pub windows: BTreeMap<i64, Window>,
    pub totals: Totals,
}

pub struct Window {
    pub slot: Slot,
    pub verdicts: [u64; Verdict::COUNT],
}

impl Counted {
    pub fn replay(path: &Path, replies: u32) -> Self {
        // Every IPv6 host is a source, as in the truth, and no table is ever full.
        let settings = Settings { source6_mask: Settings::source6_prefix(128), ..Settings::DEFAULT };
        let capacity = Capacity { sources: 1 << 19, targets: 1 << 19, blocks: 1 << 10, flows: 1 << 20 };
        let options = Options { settings, capacity, ..Options::of_this_host(1 << 20) };
        let mut host = Host::new(&options, replies, BEGINNING_NS);
        let mut captures = Captures::open(&[path.to_owned()]).unwrap();
        let mut counted = Self::default();
        let mut clock = Timeline::new(0, WINDOW_NS);
        let (mut first_ns, mut current) = (None, 0);
        while let Some(packet) = captures.next() {
            let first_ns = *first_ns.get_or_insert_with(|| {
                clock = Timeline::new(packet.at_ns, WINDOW_NS);
                packet.at_ns
            });
            let now_ns = clock.at(packet.at_ns);
            clock.skip_to(now_ns);
            clock.go_to(now_ns);
            // The truth follows times that go back, where the clock of a replay stands still.
            let window = (packet.at_ns - first_ns).div_euclid(WINDOW_NS.cast_signed());
            if clock.at(packet.at_ns - 1) < now_ns {
                assert_eq!((clock.slot_start_ns() - BEGINNING_NS) / WINDOW_NS, window.unsigned_abs());
            }
            if window != current {
                counted.end(current, &mut host);
                current = window;
            }
            host.received(Replayed { now_ns, wire_bytes: packet.wire_bytes.into() }, packet.frame);
        }
        counted.end(current, &mut host);
        counted
    }

    /// Ends a window, or one of its parts.
    fn end(&mut self, number: i64, host: &mut Host) {
        let (totals, slot) = (host.totals(), host.end_slot());
        assert_eq!((totals.sources_refused, totals.targets_lost), (0, 0));
        let empty = || Window { slot: Slot::empty(0, 1), verdicts: [0; Verdict::COUNT] };
        let window = self.windows.entry(number).or_insert_with(empty);
        window.slot.merge(&Slot::new(0, 1, slot));
        for (sum, verdict) in window.verdicts.iter_mut().zip(Verdict::ALL) {
            *sum += totals.verdict(verdict) - self.totals.verdict(verdict);
        }
        self.totals = totals;
    }
}

/// What one source sent in a window, or all of them, in the terms of the truth.
#[derive(Default)]
pub struct Sent {
    pub packets: u64,
    pub bytes: u64,
    /// Fewest and most SYNs without ACK that there can have been.
    pub syns: [u64; 2],
    /// Fewest and most ports of destinations that they can have gone to.
    pub opened: [u64; 2],
    pub udp: u64,
    /// By the number of the port, in both protocols.
    pub by_port: BTreeMap<u16, u64>,
    pub tcp_ports: BTreeSet<u16>,
    pub udp_ports: BTreeSet<u16>,
    pub by_dest: BTreeMap<Addr, u64>,
    /// Fewest and most packets of these flags.
    pub null: [u64; 2],
    pub fin: [u64; 2],
    pub xmas: [u64; 2],
    /// Requests of ICMP.
    pub probes: u64,
}

impl Sent {
    pub fn by_all(slot: &Slot) -> Self {
        let mut sent = Self::default();
        slot.sources().for_each(|(_, stats)| sent.add_source(&stats));
        slot.targets().iter().for_each(|(key, stats)| sent.add_target(key, stats));
        sent
    }

    pub fn by(slot: &Slot, source: Addr) -> Self {
        let mut sent = Self::default();
        slot.source(source).into_iter().for_each(|stats| sent.add_source(&stats));
        slot.targets_of(source).iter().for_each(|(key, stats)| sent.add_target(key, stats));
        sent
    }

    pub fn is_over(&self) -> bool {
        self.packets > PACKETS || self.by_port.len() > PORTS
    }

    fn add_source(&mut self, stats: &SourceStats) {
        self.packets += stats.packets();
        self.bytes += stats.bytes;
    }

    fn add_target(&mut self, key: &TargetKey, stats: &TargetStats) {
        *self.by_dest.entry(key.dest).or_default() += stats.packets();
        if key.service == Service::PROBE {
            self.probes += stats.packets();
        }
        let Some((proto, port)) = key.service.port() else { return };
        *self.by_port.entry(port).or_default() += stats.packets();
        match proto {
            Proto::Udp => {
                self.udp += stats.packets();
                self.udp_ports.insert(port);
            }
            Proto::Tcp => {
                self.tcp_ports.insert(port);
                self.add_flags(stats);
            }
        }
    }

    fn add_flags(&mut self, stats: &TargetStats) {
        let (opening, stealth) = (u64::from(stats.opening), u64::from(stats.stealth));
        // Of packets with odd flags, a slot tells which there are, and not how many of each.
        let kinds = stats.techniques.intersection(ODD).names().count();
        let odd = |technique| match stats.techniques.intersection(technique).is_empty() {
            true => [0, 0],
            false => [if kinds == 1 { stealth } else { 1 }, stealth],
        };
        // Those that have SYN may have ACK, too.
        let syns = [opening, opening + odd(Techniques::SYN_FIN)[1]];
        add(&mut self.syns, syns);
        add(&mut self.opened, syns.map(|syns| u64::from(syns > 0)));
        add(&mut self.null, odd(Techniques::NULL));
        add(&mut self.fin, odd(Techniques::FIN));
        add(&mut self.xmas, odd(Techniques::XMAS));
    }
}

/// Adds fewest to fewest, and most to most.
pub fn add(sum: &mut [u64; 2], more: [u64; 2]) {
    *sum = [sum[0] + more[0], sum[1] + more[1]];
}
