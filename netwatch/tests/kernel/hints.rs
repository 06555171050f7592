//! What the kernel program tells before a slot ends, and looking at what it counts meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::time::Instant;

use aya::programs::{TestRun as _, TestRunOptions};
use netwatch::analysis::HintRates;
use netwatch::kernel::{Capacity, Hints, Options, Reader, Watch};
use netwatch_common::classify::{ACK, SYN};
use netwatch_common::{Addr, Hint, Proto, Service, SourceCounts, TargetCounts, TargetKey};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::time::{ClockId, clock_gettime};
use xtask::traffic::Frame;

use crate::classification::stay;
use crate::drained::{Drained, drain, swap_and_drain};
use crate::options;
use crate::process::PATIENCE;

const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

fn source(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xcb00_7100 + number)
}

fn syn(from: Ipv4Addr, port: u16) -> Vec<u8> {
    Frame::ipv4(from, TARGET).tcp(40_000, port, SYN).build()
}

fn target(from: Ipv4Addr, port: u16) -> TargetKey {
    TargetKey { source: from.into(), dest: TARGET.into(), service: Service::new(Proto::Tcp, port) }
}

/// A program that frames are given to one by one, all on the same CPU.
struct Bench {
    watch: Watch,
    hints: Hints,
}

impl Bench {
    fn new(packets: u32, probes: u32) -> Self {
        stay();
        let capacity = Capacity { sources: 30_000, targets: 60_000, blocks: 256, flows: 4096 };
        let mut watch = Watch::load(&Options { capacity, ..options() }).unwrap();
        watch.set_hints(HintRates { packets, crossing: packets.saturating_mul(2), probes }).unwrap();
        let hints = watch.take_hints().unwrap();
        assert!(watch.take_hints().is_none(), "there is one reader");
        Self { watch, hints }
    }

    fn give(&mut self, frame: &[u8], times: u32) {
        let run = TestRunOptions { data_in: Some(frame), repeat: times, ..TestRunOptions::new() };
        self.watch.program().unwrap().test_run(run).unwrap();
    }

    fn hints(&mut self) -> Vec<Hint> {
        let mut hints = Vec::new();
        while !self.hints.read(&mut hints) {}
        hints
    }

    /// Kind, number and target.
    fn told(&mut self) -> Vec<(u32, u32, TargetKey)> {
        self.hints().into_iter().map(|hint| (hint.kind, hint.number, hint.target)).collect()
    }

    /// Waits until the coarse clock has gone on, by which the program measures time.
    fn tick(&self) {
        let now = || clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
        let before = now();
        while now() == before {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn each_target_is_told_once_in_each_slot() {
    let mut bench = Bench::new(0, 11);
    let scanner = source(7);
    for slot in [0, 1, 2] {
        assert_eq!(bench.watch.slot(), slot);
        for port in 1..=11 {
            bench.give(&syn(scanner, port), 3);
        }
        let hints = bench.hints();
        assert_eq!(hints.len(), 11);
        for (hint, port) in hints.iter().zip(1..) {
            assert_eq!((hint.kind, hint.number, hint.slot), (Hint::PROBE, port.into(), slot));
            assert_eq!(hint.target, target(scanner, port));
            assert!(hint.at_ns > 0);
        }
        swap_and_drain(&mut bench.watch);
    }
    let totals = bench.watch.totals().unwrap();
    assert_eq!((totals.hints, totals.hints_lost, totals.hints_withheld), (33, 0, 0));
}

#[test]
fn many_packets_are_told_at_each_multiple() {
    let mut bench = Bench::new(40, 11);
    let flooder = source(8);
    bench.give(&syn(flooder, 80), 100);
    let key = target(flooder, 80);
    let told = [(Hint::PROBE, 1, key), (Hint::PACKETS, 40, key), (Hint::PACKETS, 80, key)];
    assert_eq!(bench.told(), told);
    // Packets that somebody asked for do not count.
    bench.give(&Frame::ipv4(source(9), TARGET).tcp(443, 40_000, ACK).build(), 1000);
    assert_eq!(bench.told(), []);
    // The packet that crosses the threshold if all come to this CPU is told, too; and not for ever that a flood goes on.
    let step = Hint::PACKETS_BEYOND / 2;
    bench.watch.set_hints(HintRates { packets: step, crossing: 101, probes: 11 }).unwrap();
    bench.give(&syn(source(10), 80), Hint::PACKETS_BEYOND * 4);
    let numbers: Vec<_> = bench.told().iter().skip(1).map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, [101, step, 2 * step]);
}

#[test]
fn one_source_is_told_of_up_to_its_bound() {
    let mut bench = Bench::new(0, 11);
    for port in 1..=200 {
        bench.give(&syn(source(7), port), 1);
    }
    let numbers: Vec<_> = bench.hints().iter().map(|hint| hint.number).collect();
    assert_eq!(numbers, (1..=Hint::MAX_PROBES).collect::<Vec<_>>());
}

#[test]
fn a_flood_of_sources_keeps_to_its_allowance_and_hides_no_scan() {
    const SOURCES: u32 = 20_000;
    let mut bench = Bench::new(0, 11);
    let scanner = Ipv4Addr::new(192, 0, 2, 1);
    let mut frame = syn(source(0), 80);
    let mut hints = Vec::new();
    let start = Instant::now();
    for number in 0..SOURCES {
        frame[26..30].copy_from_slice(&source(number).octets());
        bench.give(&frame, 1);
        if number % 1000 == 0 {
            bench.give(&syn(scanner, 1000 + (number / 1000) as u16), 1);
            hints.extend(bench.hints());
        }
    }
    hints.extend(bench.hints());
    let periods = start.elapsed().as_millis() as u64 / 10 + 2;
    let totals = bench.watch.totals().unwrap();
    let fresh = u64::from(SOURCES) + 20;
    assert_eq!((totals.hints + totals.hints_withheld, totals.hints_lost), (fresh, 0));
    assert!(totals.hints <= periods * 256 + 20, "{} hints in {periods} periods", totals.hints);
    assert_eq!((totals.sources_refused, totals.targets_lost), (0, 0));
    assert_eq!(hints.len() as u64, totals.hints);
    println!("{} told, {} withheld in {periods} periods", totals.hints, totals.hints_withheld);
    // Every target of the scanner is told, but for its first ones perhaps.
    let scanned: HashSet<_> =
        hints.iter().filter(|hint| hint.source() == scanner.into()).map(|hint| hint.number).collect();
    assert!((3..=20).all(|number| scanned.contains(&number)), "{scanned:?}");
}

#[test]
fn a_full_ring_is_counted() {
    let mut bench = Bench::new(1, 0);
    bench.watch.set_hints(HintRates { packets: 1, crossing: 20_000, probes: 0 }).unwrap();
    bench.give(&syn(source(1), 80), 10_000);
    let totals = bench.watch.totals().unwrap();
    assert_eq!(totals.hints + totals.hints_lost, 10_001);
    assert!(totals.hints > 4000 && totals.hints_lost > 5000, "{totals:?}");
    assert_eq!(bench.hints().len() as u64, totals.hints);
}

#[test]
fn the_reader_is_woken_whatever_it_has_left_unread() {
    let mut bench = Bench::new(0, 11);
    let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
    epoll.add(bench.hints.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
    let woken = |patience: u16| {
        let mut events = [EpollEvent::empty()];
        epoll.wait(&mut events, EpollTimeout::from(patience)).unwrap() == 1
    };
    assert!(!woken(0));
    let mut port = 0;
    for round in 0..20 {
        bench.tick();
        // Few and many of them: a scan, and what a scan among many others sees.
        for _ in 0..=round * 5 {
            port += 1;
            bench.give(&syn(source(port.into()), port), 1);
        }
        assert!(woken(60_000), "round {round}");
        // Odd rounds leave all as it is, without having looked.
        if round % 2 == 0 {
            assert!(!bench.hints().is_empty());
        }
    }
}

/// Counts of all CPUs.
fn sums(sources: &[SourceCounts], targets: &[TargetCounts]) -> (u64, u64, u64) {
    (
        sources.iter().map(SourceCounts::packets).sum(),
        targets.iter().map(TargetCounts::packets).sum(),
        sources.iter().map(|counts| counts.bytes).sum(),
    )
}

#[test]
fn what_is_read_meanwhile_is_what_is_drained_then() {
    let mut bench = Bench::new(0, 11);
    let mut reader = bench.watch.reader();
    for slot in 0..4 {
        for number in 0..50 {
            bench.give(&syn(source(number), 80), number + 1);
        }
        let mut read = |number| {
            let sources = reader.source(slot, source(number).into()).map(<[_]>::to_vec)?;
            let targets = reader.target(slot, &target(source(number), 80)).map(<[_]>::to_vec)?;
            Some(sums(&sources, &targets))
        };
        let live: BTreeMap<_, _> = (0..51).filter_map(|number| Some((number, read(number)?))).collect();
        assert_eq!(live.len(), 50, "of a source that sent nothing there is nothing");
        assert_eq!(live[&49].0, 50);
        bench.watch.swap().unwrap();
        let Drained { sources, targets, .. } = drain(&mut bench.watch);
        assert_eq!((sources.len(), targets.len()), (50, 50));
        for (number, live) in live {
            let sources = &sources[&source(number).into()];
            assert_eq!(sums(sources, &targets[&target(source(number), 80)]), live);
        }
        assert!(reader.source(slot, source(1).into()).is_none(), "drained");
        assert!(reader.source(slot + 1, source(1).into()).is_none(), "another slot");
    }
}

#[test]
fn a_reader_works_from_another_thread_while_maps_are_drained() {
    let mut bench = Bench::new(0, 11);
    let mut reader: Reader = bench.watch.reader();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let looking = std::thread::spawn(move || {
        let mut found = 0_u64;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            for slot in [0, 1] {
                found += u64::from(reader.source(slot, source(1).into()).is_some());
            }
        }
        found
    });
    let start = Instant::now();
    let mut drained = 0;
    for _ in 0..20 {
        bench.give(&syn(source(1), 80), 10_000);
        drained += swap_and_drain(&mut bench.watch).sourced();
        assert!(start.elapsed() < PATIENCE);
    }
    drop(stop);
    let found = looking.join().unwrap();
    println!("found {found} times");
    assert_eq!(drained, 200_000);
}

#[test]
fn ipv6_hosts_of_one_network_are_one_source() {
    let mut bench = Bench::new(0, 11);
    let host = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, last);
    let dest = Ipv6Addr::new(0x2001, 0xdb8, 1, 1, 0, 0, 0, 1);
    let frame = |from: Ipv6Addr, port| Frame::ipv6(from, dest).tcp(40_000, port, SYN).build();
    for last in 1..=20 {
        bench.give(&frame(host(last), last), 1);
    }
    let other = Ipv6Addr::new(0x2001, 0xdb8, 1, 3, 0, 0, 0, 1);
    bench.give(&frame(other, 80), 5);
    let network = |text: &str| Addr::from(text.parse::<IpAddr>().unwrap());
    let hints = bench.hints();
    assert_eq!(hints.iter().filter(|hint| hint.source() == network("2001:db8:1:2::")).count(), 20);

    let Drained { sources, .. } = swap_and_drain(&mut bench.watch);
    let of = |text: &str| sources[&network(text)].iter().copied().find(|cpu| cpu.packets() > 0).unwrap();
    let (many, one) = (of("2001:db8:1:2::"), of("2001:db8:1:3::"));
    assert_eq!((sources.len(), many.packets(), many.many_hosts), (2, 20, 1));
    assert_eq!((many.probes, many.unsolicited), (20, 20));
    assert_eq!((one.packets(), one.many_hosts, one.host), (5, 0, [0, 1_u32.to_be()]));
}
