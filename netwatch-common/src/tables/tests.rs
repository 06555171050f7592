//! The tables, over memory of the test's.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use bytemuck::Zeroable as _;

use super::*;
use crate::classify::SYN;
use crate::entries::{Entry, entries};
use crate::filter::Suspects;
use crate::hint::Hint;
use crate::ports::Ports;
use crate::secrets::Secrets;
use crate::verdict::Verdict;
use crate::wire::Proto;

/// Numbers that look random, always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

struct Bench {
    slot: u32,
    secrets: Secrets,
    most: (u32, u32),
    fill: Fill,
    guard: Guard,
    sources: Vec<Source>,
    targets: Vec<Target>,
    source_index: Vec<Line>,
    target_index: Vec<Line>,
    filter: Vec<Block>,
    suspects: Vec<Suspects>,
    totals: Totals,
    /// Numbers of hints by their kind.
    told: Vec<(u32, u32)>,
}

impl Bench {
    fn new(sources: u32, targets: u32, blocks: usize) -> Self {
        let mut numbers = Numbers(1);
        let lines = |entries: u32| entries.div_ceil(5).next_power_of_two() as usize;
        Self {
            slot: 0,
            secrets: Secrets::new(core::array::from_fn(|_| numbers.next())),
            most: (sources, targets),
            fill: Fill::default(),
            guard: Guard::default(),
            sources: vec![Source::zeroed(); sources as usize + 1],
            targets: vec![Target::zeroed(); targets as usize + 1],
            source_index: vec![Line::zeroed(); lines(sources)],
            target_index: vec![Line::zeroed(); lines(targets)],
            filter: vec![Block::zeroed(); blocks],
            suspects: vec![Suspects::zeroed(); Suspects::PARTS as usize],
            totals: Totals::default(),
            told: Vec::new(),
        }
    }

    fn syn(&mut self, source: Addr, dest: Addr, port: u16) {
        self.packet(TargetKey { source, dest, service: Service::new(Proto::Tcp, port) }, Verdict::Syn);
    }

    fn packet(&mut self, key: TargetKey, verdict: Verdict) {
        let seen = Seen { verdict, flags: SYN, bytes: 60, now_ns: 7, completed: 0, host: [0, 1] };
        let control = Control { hint_crossing: 100, hint_packets: 50, ..Control::default() };
        let mut totals = core::mem::take(&mut self.totals);
        let mut told = core::mem::take(&mut self.told);
        totals.seen += 1;
        let places = place(self, &mut totals, &key);
        count(self, &mut totals, &control, &key, &seen, places, |_, kind, number| told.push((kind, number)));
        (self.totals, self.told) = (totals, told);
    }

    /// Ends the slot.
    fn drain(&mut self) -> Drained {
        let mut drained = Drained::default();
        let sources = &self.sources[..=self.fill.sources as usize];
        let targets = &self.targets[..=self.fill.targets as usize];
        entries(sources, targets, |entry| drained.add(entry));
        self.sources[0] = Source::zeroed();
        self.targets[0] = Target::zeroed();
        self.fill = Fill::default();
        self.slot += 1;
        drained
    }
}

#[derive(Debug, Default)]
struct Drained {
    sources: BTreeMap<Addr, u64>,
    nobody: u64,
    targets: BTreeMap<TargetKey, u64>,
    services: BTreeMap<(Addr, Service), (u64, u32)>,
    elsewhere: u64,
    ports: BTreeMap<Addr, Ports>,
}

impl Drained {
    fn add(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Source(addr, counts, ports) => {
                assert_eq!(self.sources.insert(addr, counts.packets()), None, "a source twice");
                self.ports.extend(ports.map(|ports| (addr, *ports)));
            }
            Entry::Nobody(counts) => self.nobody = counts.packets(),
            Entry::Target(key, counts) => {
                assert_eq!(self.targets.insert(key, counts.packets()), None, "a target twice");
            }
            Entry::Elsewhere(counts) => self.elsewhere = counts.packets(),
            Entry::Service(dest, service, counts) => {
                let entry = (counts.packets(), counts.newcomers);
                assert_eq!(self.services.insert((dest, service), entry), None, "a service twice");
            }
        }
    }

    fn sourced(&self) -> u64 {
        self.sources.values().sum::<u64>() + self.nobody
    }

    fn targeted(&self) -> u64 {
        let services = self.services.values().map(|(packets, _)| packets);
        self.targets.values().sum::<u64>() + services.sum::<u64>() + self.elsewhere
    }

    /// Ports of a source that are known to be distinct.
    fn ports_of(&self, source: Addr) -> usize {
        let exact = self.targets.keys().filter(|target| target.source == source).count();
        exact + self.ports.get(&source).map_or(0, |ports| ports.distinct() as usize)
    }
}

impl Tables for Bench {
    fn slot(&self) -> u32 {
        self.slot
    }
    fn most_sources(&self) -> u32 {
        self.most.0
    }
    fn most_targets(&self) -> u32 {
        self.most.1
    }
    fn source_lines(&self) -> u32 {
        u32::try_from(self.source_index.len() - 1).unwrap()
    }
    fn target_lines(&self) -> u32 {
        u32::try_from(self.target_index.len() - 1).unwrap()
    }
    fn blocks(&self) -> u32 {
        u32::try_from(self.filter.len() - 1).unwrap()
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
        self.source_index.get_mut(line as usize)
    }
    fn target_line(&mut self, line: u32) -> Option<&mut Line> {
        self.target_index.get_mut(line as usize)
    }
    fn source(&mut self, position: u32) -> Option<&mut Source> {
        self.sources.get_mut(position as usize)
    }
    fn target(&mut self, position: u32) -> Option<&mut Target> {
        self.targets.get_mut(position as usize)
    }
    fn block(&mut self, block: u32) -> Option<&mut Block> {
        self.filter.get_mut(block as usize)
    }
    fn guard(&mut self) -> Option<&mut Guard> {
        Some(&mut self.guard)
    }
    fn is_suspect(&mut self, bits: u64) -> bool {
        self.suspects[Suspects::part(bits) as usize].has(bits)
    }
}

/// An address of an IPv4 host, or of a network of IPv6.
fn addr(number: u64) -> Addr {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of it")]
    let (high, low) = ((number >> 32) as u32, number as u32);
    if high & 1 == 0 { Addr::from_v4_word(low) } else { Addr([high, low, 0, 0]) }
}

#[test]
fn everything_has_an_entry_of_its_own_while_there_is_room() {
    let mut bench = Bench::new(20_000, 40_000, 256);
    for slot in 0..3 {
        let mut numbers = Numbers(slot);
        let (mut sources, mut targets) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..60_000 {
            // 15,000 sources are three quarters of the room.
            let source = addr((numbers.next() % 15_000).wrapping_mul(0x1_2345_6789));
            let (dest, port) = (addr(numbers.next() % 2), u16::from(numbers.next().is_multiple_of(8)));
            bench.syn(source, dest, port);
            *sources.entry(source).or_insert(0) += 1;
            *targets.entry((source, dest, port)).or_insert(0) += 1;
        }
        let drained = bench.drain();
        assert_eq!(drained.sources, sources);
        assert_eq!(drained.targets.len(), targets.len());
        for (TargetKey { source, dest, service }, packets) in drained.targets {
            let (_, port) = service.port().unwrap();
            assert_eq!(packets, targets[&(source, dest, port)]);
        }
        assert_eq!((drained.nobody, drained.services.len(), drained.ports.len()), (0, 0, 0));
    }
    assert_eq!((bench.totals.sources_refused, bench.totals.targets_refused), (0, 0));
}

/// What a scanner of two ports a second looks like among 100,000 packets a second, over five seconds.
fn scan_among(bench: &mut Bench, mut cover: impl FnMut(&mut Bench, u64)) -> (Addr, Drained) {
    let (scanner, victim) = (addr(0xcb00_7107), addr(0xc633_6401));
    for packet in 0..500_000_u64 {
        if packet % 50_000 == 25_000 {
            bench.syn(scanner, victim, u16::try_from(packet / 50_000).unwrap() + 1000);
        }
        cover(bench, packet);
    }
    (scanner, bench.drain())
}

#[test]
fn forged_sources_do_not_hide_a_scanner() {
    let mut bench = Bench::new(4_000, 8_000, 8_192);
    for slot in 0..3 {
        let mut numbers = Numbers(slot);
        let (scanner, drained) =
            scan_among(&mut bench, |bench, _| bench.syn(addr(numbers.next()), addr(1), 80));
        assert_eq!((drained.sourced(), drained.targeted()), (500_010, 500_010));
        assert!(drained.ports_of(scanner) >= 8, "{} of 10 ports", drained.ports_of(scanner));
        let (packets, newcomers) = drained.services[&(addr(1), Service::new(Proto::Tcp, 80))];
        assert!((495_000..=drained.nobody).contains(&packets), "{packets} of {}", drained.nobody);
        // Those of the filter's epochs that were taken for others are not many.
        assert!((480_000..=500_000).contains(&newcomers), "{newcomers} sources");
    }
}

#[test]
fn nor_do_those_that_come_again_and_again() {
    let mut bench = Bench::new(4_000, 8_000, 8_192);
    let (scanner, drained) =
        scan_among(&mut bench, |bench, packet| bench.syn(addr(packet % 20_000 * 7 + (1 << 20)), addr(1), 80));
    assert!(drained.ports_of(scanner) >= 8, "{} of 10 ports", drained.ports_of(scanner));
    assert_eq!((drained.sourced(), drained.targeted()), (500_010, 500_010));
}

#[test]
fn nor_do_those_that_look_like_scanners_for_a_moment_once_it_is_a_suspect() {
    let mut bench = Bench::new(4_000, 8_000, 8_192);
    let mut numbers = Numbers(11);
    let mut cover = |bench: &mut Bench, packet: u64| {
        static LAST: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
        if packet.is_multiple_of(2) {
            LAST.store(numbers.next(), core::sync::atomic::Ordering::Relaxed);
        }
        let source = LAST.load(core::sync::atomic::Ordering::Relaxed);
        bench.syn(addr(source), addr(1), u16::try_from(packet % 2).unwrap() + 80);
    };
    let (scanner, drained) = scan_among(&mut bench, &mut cover);
    assert!(drained.ports_of(scanner) < 3, "nobody has room for long, unless it is known");
    let bits = Tables::hash_source(&bench, &scanner).mixed();
    bench.suspects[Suspects::part(bits) as usize].add(bits);
    for _ in 0..3 {
        let (scanner, drained) = scan_among(&mut bench, &mut cover);
        assert!(drained.ports_of(scanner) >= 8, "{} of 10 ports", drained.ports_of(scanner));
        assert_eq!((drained.sourced(), drained.targeted()), (500_010, 500_010));
    }
}

#[test]
fn what_is_answered_is_counted_for_whoever_asked_though_its_target_has_no_room() {
    let mut bench = Bench::new(100, 20, 16);
    let question =
        |port| TargetKey { source: addr(1), dest: addr(2), service: Service::new(Proto::Udp, port) };
    for port in 0..50 {
        bench.packet(question(port), Verdict::UdpNew);
        count_answer(&mut bench, &question(port));
    }
    let asker = bench.sources[1].counts;
    assert_eq!((asker.answered, asker.unsolicited), (50, 50));
}

#[test]
fn talkers_in_step_get_in_all_the_same() {
    let mut bench = Bench::new(1_000, 2_000, 4_096);
    let mut numbers = Numbers(5);
    for packet in 0..400_000_u64 {
        let source = if packet % 2 == 0 { numbers.next() | 1 << 32 } else { packet % 128 };
        bench.syn(addr(source), addr(1), 80);
    }
    let drained = bench.drain();
    let named = (0..64).filter(|talker| drained.sources.contains_key(&addr(talker * 2 + 1))).count();
    assert_eq!(named, 64);
}

#[test]
fn the_smallest_tables_count_something() {
    let mut bench = Bench::new(1, 2, 1);
    bench.syn(addr(1), addr(2), 80);
    let drained = bench.drain();
    assert_eq!((drained.sources.len(), drained.targets.len()), (1, 1));
}

#[test]
fn nor_does_one_source_that_fills_the_targets() {
    let mut bench = Bench::new(4_000, 8_000, 1_024);
    let mut numbers = Numbers(3);
    let (scanner, drained) = scan_among(&mut bench, |bench, _| {
        let port = u16::try_from(numbers.next() & 0xffff).unwrap();
        bench.syn(addr(5), addr(numbers.next() | 1 << 32), port);
    });
    assert_eq!(drained.ports_of(scanner), 10);
    assert_eq!(drained.sources.len(), 2);
    assert_eq!((drained.sourced(), drained.targeted()), (500_010, 500_010));
    assert_eq!(drained.elsewhere, bench.totals.targets_lost);
    // A thousand ports and more share 1,024 bits.
    assert!(drained.ports[&addr(5)].tcp.distinct() > 1_000);
}

#[test]
fn many_sources_that_fill_the_targets_leave_the_ports_in_sets() {
    let mut bench = Bench::new(4_000, 2_000, 1_024);
    for source in 0..2_900 {
        for port in 0..12 {
            bench.syn(addr(source), addr(1 << 32), port);
        }
    }
    let drained = bench.drain();
    assert_eq!(drained.sources.len(), 2_900);
    let lump = drained.services[&(addr(1 << 32), Service::LUMP)];
    assert_eq!(u64::from(2_900 * 12_u32), drained.targeted());
    assert!(lump.0 > 30_000 && bench.totals.targets_lost == 0);
    // Twelve ports set eleven bits or twelve, but for one source in six hundred.
    let told = (0..2_900).filter(|source| drained.ports_of(addr(*source)) > 10).count();
    assert!(told > 2_880, "{told} of 2,900 scans");
    assert!((0..2_900).all(|source| drained.ports_of(addr(source)) <= 12));
}

#[test]
fn who_sends_much_gets_in_when_it_is_crowded() {
    let mut bench = Bench::new(1_000, 2_000, 4_096);
    let mut numbers = Numbers(9);
    let talker = addr(42);
    for packet in 0..200_000_u64 {
        bench.syn(addr(numbers.next() | 1 << 32), addr(1), 80);
        if packet % 100 == 99 {
            bench.syn(talker, addr(1), 80);
        }
    }
    let drained = bench.drain();
    assert!(
        drained.sources.get(&talker).is_some_and(|packets| *packets > 500),
        "{:?}",
        drained.sources.get(&talker)
    );
}

#[test]
fn chosen_keys_do_not_crowd_one_line() {
    let patterns: [fn(u32) -> Addr; 5] = [
        |n| Addr::from_v4_word(n),
        |n| Addr::from_v4_word(n.swap_bytes()),
        |n| Addr::from_v4_word(n << 16),
        |n| Addr([0x20, n << 12, 0, 0]),
        |n| Addr([n, n, n, n]),
    ];
    for pattern in patterns {
        let mut bench = Bench::new(20_000, 40_000, 256);
        let sources: BTreeSet<_> = (0..15_000).map(pattern).collect();
        for source in &sources {
            bench.syn(*source, addr(1), 80);
        }
        assert_eq!(bench.totals.sources_refused, 0);
        assert_eq!(bench.drain().sources.len(), sources.len());
    }
}

#[test]
fn nobody_is_told_of_and_everybody_else_is() {
    let mut bench = Bench::new(4, 64, 16);
    for source in 0..3 {
        for port in 0..5 {
            bench.syn(addr(source), addr(9), port);
        }
    }
    assert_eq!(bench.told.len(), 15);
    for source in 100..200 {
        bench.syn(addr(source), addr(9), 1);
    }
    assert!(bench.told.len() <= 15 + 1 && bench.told.iter().all(|(kind, _)| *kind == Hint::PROBE));
}

proptest! {
    #[test]
    fn every_packet_is_counted_once(
        (sources, targets, blocks) in (0..20_u32, 0..40_u32, 0..3_u32),
        packets in proptest::collection::vec((0..30_u64, 0..4_u64, 0..20_u16, any::<bool>()), 0..600),
    ) {
        let mut bench = Bench::new(sources, targets, 1 << blocks);
        let (mut sourced, mut targeted) = (0, 0);
        for (number, (source, dest, port, is_known)) in packets.iter().enumerate() {
            let key = TargetKey {
                source: addr(*source),
                dest: addr(*dest | 1 << 33),
                service: Service::new(Proto::Udp, *port),
            };
            bench.packet(key, if *is_known { Verdict::Known } else { Verdict::UdpNew });
            if number % 150 == 149 {
                let drained = bench.drain();
                (sourced, targeted) = (sourced + drained.sourced(), targeted + drained.targeted());
            }
        }
        let drained = bench.drain();
        let totals = &bench.totals;
        prop_assert_eq!(sourced + drained.sourced(), packets.len() as u64);
        prop_assert_eq!(targeted + drained.targeted(), packets.len() as u64);
        prop_assert!(totals.targets_lost <= totals.targets_refused);
        prop_assert!(drained.sources.len() <= sources as usize && drained.targets.len() <= targets as usize);
    }
}
