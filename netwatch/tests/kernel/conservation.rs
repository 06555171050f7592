//! No packet is lost or counted twice: drained sums = kernel totals = packets sent.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use netwatch::kernel::{Capacity, Mode, ModeWish, Options, Watch};
use netwatch_common::classify::{ACK, SYN};
use netwatch_common::{Class, Service, SourceCounts, TargetCounts, Totals, Verdict};
use xtask::lab::{Lab, Side};
use xtask::traffic::{Frame, frame::OUTSIDE_MAC, scenario};

use crate::drained::swap_and_drain;
use crate::process::PATIENCE;
use crate::{lab, options};

/// Link-layer address of nobody: the frames are counted and the stack does not answer them.
const NOBODY: [u8; 6] = [0, 0, 0x5e, 0, 0x53, 0xff];
const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

fn watch(side: &Side, options: &Options, wish: ModeWish) -> (Watch, Mode) {
    side.run(|| {
        let mut watch = Watch::load(options).expect("the program loads");
        let index = nix::net::if_::if_nametoindex(side.interface()).expect("the interface");
        let (mode, _) = watch.attach(side.interface(), index, wish).expect("it attaches");
        (watch, mode)
    })
    .expect("a thread in the namespace")
}

/// Sums of what was drained.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    packets: u64,
    bytes: u64,
    targeted: u64,
    target_bytes: u64,
    swaps: u64,
}

impl Sums {
    fn slot(&mut self, watch: &mut Watch) {
        let drained = swap_and_drain(watch);
        let (bytes, target_bytes) = drained.bytes();
        self.packets += drained.sourced();
        self.bytes += bytes;
        self.targeted += drained.targeted();
        self.target_bytes += target_bytes;
        self.swaps += 1;
    }
}

/// Sends `frames` over and over from two threads, `total` in all, while slots are swapped as fast as they can.
fn watch_a_storm(lab: &Lab, watch: &mut Watch, frames: &[Vec<u8>], total: usize) -> Sums {
    let mut sums = Sums::default();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let storm: Vec<_> = [0, 1]
            .map(|half| {
                scope.spawn(move || {
                    let sender = lab.outside().sender().expect("a sender");
                    let mine = frames.iter().cycle().skip(half * 7).take(total / 2);
                    sender.send_all(mine, None).expect("frames are sent").accepted
                })
            })
            .into();
        let done = &done;
        scope.spawn(move || {
            let accepted: u64 = storm.into_iter().map(|half| half.join().expect("a sender")).sum();
            assert_eq!(accepted, total as u64);
            lab.watched().received(accepted, PATIENCE).expect("all arrive");
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            sums.slot(watch);
        }
    });
    // The last packets lie in the maps that are in use.
    sums.slot(watch);
    sums
}

#[test]
fn a_million_packets_over_many_swaps() {
    const TOTAL: usize = 1_200_000;
    for wish in [ModeWish::Native, ModeWish::Generic] {
        let lab = lab();
        let (mut watch, mode) = watch(lab.watched(), &options(), wish);
        assert_eq!(mode == Mode::Native, wish == ModeWish::Native);
        // Many sources, some known traffic, some that has no source.
        let mut frames: Vec<_> = scenario::random_source_syn_flood(TARGET.into(), 80, 2000, 1)
            .map(|mut frame| {
                frame[..6].copy_from_slice(&NOBODY);
                frame
            })
            .collect();
        for port in 0..500_u16 {
            let known = Frame::ipv4(Ipv4Addr::new(203, 0, 113, 9), TARGET).macs(OUTSIDE_MAC, NOBODY);
            frames.push(known.clone().tcp(443, 40_000 + port, ACK).build());
            frames.push(known.vlan(0x8100, 3).udp(53, 40_000 + port, b"reply").build());
        }
        frames.push(Frame::ethernet(0x88cc, &[0; 50]).macs(OUTSIDE_MAC, NOBODY).build());

        let sums = watch_a_storm(&lab, &mut watch, &frames, TOTAL);
        let totals = watch.totals().unwrap();
        println!("{mode}: {TOTAL} packets over {} swaps: {sums:?}", sums.swaps);
        assert_eq!(totals.seen, TOTAL as u64);
        assert_eq!(Verdict::ALL.map(|verdict| totals.verdict(verdict)).iter().sum::<u64>(), totals.seen);
        assert_eq!((totals.sources_refused, totals.targets_lost), (0, 0));
        assert_eq!((sums.packets, sums.targeted), (totals.sourced, totals.sourced));
        assert_eq!(sums.bytes, sums.target_bytes);
        assert_eq!(totals.seen - totals.sourced, totals.verdict(Verdict::NonIp));
        // How many there are in this time is the kernel's affair; most often it is thirty.
        assert!(sums.swaps >= 5, "only {} swaps", sums.swaps);
        assert!(sums.packets > 0 && sums.packets < totals.seen);
    }
}

#[test]
fn what_finds_no_room_is_counted_under_nobody_and_under_its_destination() {
    let lab = lab();
    let small =
        Options { capacity: Capacity { sources: 100, targets: 160, blocks: 256, flows: 4096 }, ..options() };
    let (mut watch, _) = watch(lab.watched(), &small, ModeWish::Native);
    let source = |number: u16| Ipv4Addr::from(0xcb00_7100 + u32::from(number) / 4);
    let frame = |number: u16| Frame::ipv4(source(number), TARGET).tcp(40_000, number % 4, SYN).build();
    let frames: Vec<_> = (0..1000).map(frame).collect();
    let cpus = netwatch::kernel::host::possible_cpus();
    let mut refused = 0;
    for round in 1..=3_u64 {
        lab.outside().sender().unwrap().send_all(&frames, None).unwrap();
        lab.watched().received(1000 * round, PATIENCE).unwrap();
        let drained = swap_and_drain(&mut watch);
        let totals = watch.totals().unwrap();
        assert_eq!((totals.seen, totals.sourced), (1000 * round, 1000 * round));
        assert_eq!((drained.sourced(), drained.targeted(), totals.targets_lost), (1000, 1000, 0));

        let of_nobody: u64 = drained.nobody.iter().map(SourceCounts::packets).sum();
        assert_eq!(of_nobody, totals.sources_refused - refused);
        refused = totals.sources_refused;
        // Of 250 sources, 75 get in at once, and 25 of the others when they show again.
        assert!((75..=100 * cpus).contains(&drained.sources.len()), "{}", drained.sources.len());
        assert!(of_nobody >= 1000 - 4 * drained.sources.len() as u64);

        let lump = &drained.services[&(TARGET.into(), Service::LUMP)];
        assert!(lump.iter().map(TargetCounts::packets).sum::<u64>() > 0);
        let newcomers: u32 = drained.services.values().flatten().map(|counts| counts.newcomers).sum();
        // Those who stay nobody's, 150, are new to whichever CPU sees them first, and known to it later.
        assert!(newcomers < 250 && (round > 1 || newcomers >= 150), "{newcomers} in slot {round}");
        // Whatever found room where, a source of four ports is known to have probed four.
        for addr in drained.sources.keys() {
            let exact = drained.targets.keys().filter(|target| target.source == *addr).count();
            let in_sets = drained.ports.get(addr).map_or(0, |ports| ports.distinct() as usize);
            assert!(exact + in_sets <= 4 && (exact + in_sets == 4 || of_nobody > 0), "{exact} and {in_sets}");
        }
        assert!(
            !drained.ports.is_empty(),
            "100 sources of four ports have more targets than there is room for"
        );
    }
}

#[test]
fn jumbo_frames_are_counted_whole() {
    let lab = Lab::with(xtask::lab::LabOptions { mtu: 9000, ..Default::default() }).unwrap();
    let (mut watch, mode) = watch(lab.watched(), &options(), ModeWish::Native);
    assert_eq!(mode, Mode::Native, "multi-buffer programs attach at any MTU");
    let source = Ipv4Addr::new(203, 0, 113, 1);
    let frame = Frame::ipv4(source, TARGET).udp(5000, 6000, &[7; 8000]).build();
    lab.outside().sender().unwrap().send(&frame).unwrap();
    lab.watched().received(1, PATIENCE).unwrap();
    let mut sums = Sums::default();
    sums.slot(&mut watch);
    assert_eq!((sums.packets, sums.targeted, sums.bytes), (1, 1, frame.len() as u64));
    assert_eq!(watch.totals().unwrap().bytes, frame.len() as u64);
}

#[test]
fn a_detached_program_counts_no_more() {
    let lab = lab();
    let (mut watch, _) = watch(lab.watched(), &options(), ModeWish::Native);
    let send = |count: u64| {
        let frames = vec![Frame::ipv4(Ipv4Addr::new(203, 0, 113, 1), TARGET).tcp(1, 2, SYN).build(); 5];
        lab.outside().sender().unwrap().send_all(&frames, None).unwrap();
        lab.watched().received(count, PATIENCE).unwrap();
        // Generic or no XDP counts a packet before the program would run.
        thread::sleep(Duration::from_millis(50));
    };
    send(5);
    watch.detach();
    send(10);
    let Totals { seen, .. } = watch.totals().unwrap();
    assert_eq!(seen, 5);
    assert_eq!(watch.totals().unwrap().class(Class::Syn), 5);
}
