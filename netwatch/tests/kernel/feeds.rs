//! Listed addresses: found in the kernel as on the host, counted exactly, and never missed while sets are replaced.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use aya::programs::{TestRun as _, TestRunOptions};
use netwatch::feeds::{Contents, Prefix, set};
use netwatch::kernel::{ModeWish, Options, Rerun, Watch};
use netwatch_common::classify::{ACK, SYN};
use netwatch_common::prefixes::{Line, contains};
use netwatch_common::{Addr, Control, Hint, ListedCounts, ListedKey, Proto, Replayed, Service};
use xtask::traffic::Frame;
use xtask::traffic::frame::OUTSIDE_MAC;
use xtask::traffic::transport::Tcp;

use crate::classification::stay;
use crate::process::PATIENCE;
use crate::{lab, options};

const HERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Link-layer address of nobody: the frames are counted and the stack does not answer them.
const NOBODY: [u8; 6] = [0, 0, 0x5e, 0, 0x53, 0xff];
const BAD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const GOOD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);

/// Programs that look closer.
fn closer() -> Options {
    Options { closer: true, ..options() }
}

/// The set of a feed with these lines.
fn lines(text: &str, never: &[Prefix]) -> Vec<Line> {
    let contents = Contents::read(text.as_bytes(), true, jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(contents.bad, []);
    set::flatten(std::iter::once(&contents.set), never)
}

fn give(watch: &mut Watch, frame: &[u8], times: u32) {
    let run = TestRunOptions { data_in: Some(frame), repeat: times, ..TestRunOptions::new() };
    assert_eq!(watch.program().unwrap().test_run(run).unwrap().return_value, 2, "XDP_PASS");
}

fn syn(from: Ipv4Addr) -> Vec<u8> {
    Frame::ipv4(from, HERE).tcp(40_000, 22, SYN).build()
}

/// Ends the slot, and adds what was counted in it.
fn drain(watch: &mut Watch, into: &mut BTreeMap<ListedKey, ListedCounts>) {
    watch.swap().unwrap();
    watch.drain(|_| ());
    watch
        .drain_listed(|key, counts| {
            into.entry(key).and_modify(|sum| sum.merge(&counts)).or_insert(counts);
        })
        .unwrap();
}

/// Numbers without end, the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
}

#[test]
fn the_kernel_finds_what_the_host_finds() {
    // A small set, and one with a filter before its tree.
    for (entries, seed) in [(40, 1), (30_000, 2)] {
        let mut random = Random(seed);
        let mut text = String::new();
        let mut addrs: Vec<IpAddr> = Vec::new();
        for _ in 0..entries {
            let v4 = Ipv4Addr::from(random.next() as u32);
            let v6 =
                u128::from(random.next()) << 80 | u128::from(random.next()) << 40 | u128::from(random.next());
            let v6 = Ipv6Addr::from(v6 | 0x2 << 124);
            let (bits4, bits6) = (20 + random.next() % 13, 30 + random.next() % 99);
            text.push_str(&format!("{v4}/{bits4}\n{v6}/{bits6}\n"));
            if addrs.len() < 1500 {
                let near = |shift: u64| Ipv4Addr::from(u32::from(v4).wrapping_add(1 << (shift % 14)));
                let near6 = |shift: u64| Ipv6Addr::from(u128::from(v6).wrapping_add(1 << (shift % 100)));
                addrs.extend([
                    IpAddr::V4(v4),
                    near(random.next()).into(),
                    v6.into(),
                    near6(random.next()).into(),
                ]);
            }
        }
        let lines = lines(&text, &netwatch::feeds::NEVER);
        let mut watch = Watch::load(&closer()).unwrap();
        watch.set_feeds(&lines).unwrap();
        let mut found = 0;
        for addr in &addrs {
            let frame = match addr {
                IpAddr::V4(v4) => syn(*v4),
                IpAddr::V6(v6) => {
                    Frame::ipv6(*v6, "2001:db8::1".parse().unwrap()).tcp(40_000, 22, SYN).build()
                }
            };
            let is_listed = contains(&lines[..], &Addr::from(*addr));
            give(&mut watch, &frame, 1);
            found += u64::from(is_listed);
            assert_eq!(watch.totals().unwrap().listed, found, "{addr}, of {entries}");
        }
        assert!(
            found as usize > addrs.len() / 3 && (found as usize) < addrs.len(),
            "{found} of {}",
            addrs.len()
        );
    }
}

#[test]
fn without_feeds_nothing_is_looked_up_and_they_can_go_again() {
    let mut watch = Watch::load(&closer()).unwrap();
    give(&mut watch, &syn(BAD), 3);
    watch.set_feeds(&lines("203.0.113.7", &[])).unwrap();
    give(&mut watch, &syn(BAD), 5);
    give(&mut watch, &syn(GOOD), 7);
    watch.set_feeds(&lines("", &[])).unwrap();
    give(&mut watch, &syn(BAD), 11);
    let own = Prefix { first: BAD.into(), bits: 32 };
    watch.set_feeds(&lines("203.0.113.0/29", &[own])).unwrap();
    give(&mut watch, &syn(BAD), 13);
    assert_eq!(watch.totals().unwrap().listed, 5);
}

#[test]
fn what_goes_on_with_a_listed_address_is_counted_each_way() {
    const START_NS: u64 = 1 << 40;
    stay();
    let mut rerun = Rerun::load(&closer(), Control::REPLIES_BY_FLOWS, START_NS).unwrap();
    rerun.set_feeds(&lines("203.0.113.7", &[])).unwrap();
    let at = |now_ns: u64| Replayed { now_ns: START_NS + now_ns, wire_bytes: 100 };
    let from = || Frame::ipv4(BAD, HERE);
    let to = || Frame::ipv4(HERE, BAD).outbound();
    let segment = |source, dest, flags, sequence, acknowledgement| {
        Tcp::new(source, dest, flags).sequence(sequence, acknowledgement)
    };
    // It opens a connection to us, and completes it.
    rerun.received(at(1_000), &from().carrying(segment(40_000, 22, SYN, 5, 0)).build()).unwrap();
    rerun.sent(at(2_000), &to().carrying(segment(22, 40_000, SYN | ACK, 77, 6)).build()).unwrap();
    rerun.received(at(3_000), &from().carrying(segment(40_000, 22, ACK, 6, 78)).build()).unwrap();
    // We open one to it, which it answers.
    rerun.sent(at(4_000), &to().carrying(segment(50_000, 443, SYN, 9, 0)).build()).unwrap();
    rerun.received(at(5_000), &from().carrying(segment(443, 50_000, SYN | ACK, 1, 10)).build()).unwrap();
    // A SYN-ACK that answers nothing.
    rerun.received(at(5_500), &from().carrying(segment(443, 50_001, SYN | ACK, 1, 10)).build()).unwrap();
    // We ask it twice over UDP, and it answers; and we ping it.
    for now_ns in [6_000, 7_000] {
        rerun.sent(at(now_ns), &to().udp(50_000, 53, b"name?").build()).unwrap();
    }
    rerun.received(at(8_000), &from().udp(53, 50_000, b"name.").build()).unwrap();
    rerun.sent(at(9_000), &to().echo_request(1, 1).build()).unwrap();
    // Others do not matter.
    rerun.received(at(9_500), &Frame::ipv4(GOOD, HERE).tcp(1, 2, SYN).build()).unwrap();
    rerun.sent(at(9_600), &Frame::ipv4(HERE, GOOD).outbound().tcp(2, 1, SYN).build()).unwrap();

    let key = ListedKey { remote: BAD.into(), local: HERE.into() };
    let read = rerun.reader().listed(rerun.slot(), &key).unwrap();
    assert!(rerun.reader().listed(rerun.slot() + 1, &key).is_none());
    let mut hints = Vec::new();
    rerun.hints(&mut hints);
    let told: Vec<_> = hints
        .iter()
        .filter(|hint| hint.kind == Hint::LISTED)
        .map(|hint| (hint.number, hint.at_ns - START_NS, hint.target.service))
        .collect();
    let tcp = |port| Service::new(Proto::Tcp, port);
    assert_eq!(
        told,
        [
            (Hint::FROM_LISTED, 1_000, tcp(22)),
            (Hint::FROM_LISTED, 3_000, tcp(22)),
            (Hint::TO_LISTED, 4_000, tcp(443)),
            (Hint::FROM_LISTED, 5_000, tcp(50_000)),
            (Hint::TO_LISTED, 6_000, Service::new(Proto::Udp, 53)),
            (Hint::TO_LISTED, 9_000, Service::PROBE),
        ]
    );
    assert!(
        hints
            .iter()
            .filter(|hint| hint.kind == Hint::LISTED)
            .all(|hint| { (hint.target.source, hint.target.dest) == (key.remote, key.local) })
    );

    rerun.end_slot().unwrap();
    let mut drained = Vec::new();
    rerun.drain_listed(|key, counts| drained.push((key, counts))).unwrap();
    assert_eq!(drained, [(key, read)]);
    assert_eq!((read.packets_in, read.bytes_in, read.packets_out, read.bytes_out), (5, 500, 5, 500));
    assert_eq!((read.completed, read.answered, read.opened), (1, 1, 1));
    assert_eq!((read.udp_in, read.udp_begun, read.probes_out), (1, 1, 1));
    assert_eq!((read.first_ns, read.last_ns), (START_NS + 1_000, START_NS + 9_000));
    assert_eq!((read.service_in(), read.service_out()), (Some(tcp(22)), Some(tcp(40_000))));
    rerun.end_slot().unwrap();
    rerun.drain_listed(|key, _| panic!("{key:?} was drained")).unwrap();
}

#[test]
fn on_a_mirror_both_ends_are_looked_up() {
    let mut watch = Watch::load(&closer()).unwrap();
    watch.set_feeds(&lines("203.0.113.7", &[])).unwrap();
    let out = Frame::ipv4(HERE, BAD).tcp(40_000, 443, SYN).build();
    give(&mut watch, &out, 3);
    assert_eq!(watch.totals().unwrap().listed, 0, "here only what is received counts");
    watch.watch_mirror(0).unwrap();
    give(&mut watch, &out, 5);
    give(&mut watch, &syn(BAD), 7);
    give(&mut watch, &Frame::ipv4(BAD, BAD).udp(1, 2, b"").build(), 1);
    let mut counted = BTreeMap::new();
    drain(&mut watch, &mut counted);
    let sum = counted[&ListedKey { remote: BAD.into(), local: HERE.into() }];
    assert_eq!((sum.packets_in, sum.packets_out, sum.opened), (7, 5, 5));
    let own = counted[&ListedKey { remote: BAD.into(), local: BAD.into() }];
    assert_eq!((own.packets_in, own.packets_out, own.udp_begun), (1, 1, 1));
    assert_eq!(watch.totals().unwrap().listed, 14);
}

#[test]
fn what_finds_no_room_is_counted_as_lost() {
    const ROOM: u64 = 64;
    let mut watch = Watch::load(&Options { listed: ROOM as u32, ..closer() }).unwrap();
    watch.set_feeds(&lines("203.0.113.0/24", &[])).unwrap();
    let mut counted = BTreeMap::new();
    for slot in 1..=3 {
        for last in 0..=255 {
            give(&mut watch, &syn(Ipv4Addr::new(203, 0, 113, last)), 2);
        }
        let mut this = BTreeMap::new();
        drain(&mut watch, &mut this);
        // The kernel keeps a few entries in reserve for each CPU.
        assert!((ROOM..ROOM + 64).contains(&(this.len() as u64)), "{}", this.len());
        counted.extend(this.into_iter().map(|(key, counts)| ((slot, key), counts)));
        let totals = watch.totals().unwrap();
        let sum: u64 = counted.values().map(ListedCounts::packets).sum();
        assert_eq!(totals.listed, slot * 512);
        assert_eq!(sum + totals.listed_lost, totals.listed, "slot {slot}");
    }
}

#[test]
fn a_flood_of_listed_sources_keeps_to_its_allowance() {
    let mut watch = Watch::load(&Options { listed: 20_000, ..closer() }).unwrap();
    watch.set_feeds(&lines("203.0.0.0/16", &[])).unwrap();
    let mut hints = watch.take_hints().unwrap();
    let start = Instant::now();
    for number in 0..10_000_u32 {
        give(
            &mut watch,
            &Frame::ipv4(Ipv4Addr::from(0xcb00_0000 + number), HERE).udp(53, 40_000, b"").build(),
            1,
        );
    }
    let periods = start.elapsed().as_millis() as u64 / 10 + 2;
    let totals = watch.totals().unwrap();
    let mut told = Vec::new();
    while !hints.read(&mut told) {}
    let listed = told.iter().filter(|hint| hint.kind == Hint::LISTED).count() as u64;
    assert_eq!((totals.listed, totals.listed_lost), (10_000, 0));
    assert!(listed > 0 && listed <= periods * 256, "{listed} in {periods} periods");
    // There are more than one system call takes out.
    let mut drained = BTreeMap::new();
    drain(&mut watch, &mut drained);
    assert_eq!(drained.len(), 10_000);
    assert!(drained.values().all(|counts| counts.packets_in == 1));
    // They look like answers, which give no hints but these.
    assert_eq!((listed, totals.hints + totals.hints_withheld, totals.hints_lost), (totals.hints, 10_000, 0));
}

/// Packets from a listed source and from another while slots are swapped and sets replaced as fast as they can: each of the
/// first is listed, and counted once.
#[test]
fn no_packet_goes_by_unjudged_while_sets_are_replaced() {
    const PACKETS: usize = 300_000;
    let lab = lab();
    let mut watch = lab
        .watched()
        .run(|| {
            let mut watch = Watch::load(&closer()).unwrap();
            let index = nix::net::if_::if_nametoindex("nw0").unwrap();
            watch.attach("nw0", index, ModeWish::Native).unwrap();
            watch
        })
        .unwrap();
    // One small set, and one large one with a filter, which both hold the source.
    let large: String =
        (0..20_000_u32).map(|n| format!("{}\n", Ipv4Addr::from(0x0100_0000 + n * 512))).collect();
    let sets = [lines("203.0.113.7", &[]), lines(&format!("{large}203.0.113.0/29"), &[])];
    watch.set_feeds(&sets[0]).unwrap();
    let frames = [BAD, Ipv4Addr::new(203, 0, 113, 99)]
        .map(|from| Frame::ipv4(from, HERE).macs(OUTSIDE_MAC, NOBODY).tcp(1, 2, ACK).build());
    let done = AtomicBool::new(false);
    let mut counted = BTreeMap::new();
    let mut replaced = 0;
    thread::scope(|scope| {
        let (done, lab) = (&done, &lab);
        scope.spawn(move || {
            let sender = lab.outside().sender().unwrap();
            let sent = sender.send_all(frames.iter().cycle().take(PACKETS), None).unwrap().accepted;
            assert_eq!(sent, PACKETS as u64);
            lab.watched().received(sent, PATIENCE).unwrap();
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            replaced += 1;
            watch.set_feeds(&sets[replaced % 2]).unwrap();
            drain(&mut watch, &mut counted);
        }
    });
    drain(&mut watch, &mut counted);
    let totals = watch.totals().unwrap();
    println!("{} packets listed, {replaced} sets", totals.listed);
    assert_eq!((totals.listed, totals.listed_lost), (PACKETS as u64 / 2, 0));
    let key = ListedKey { remote: BAD.into(), local: HERE.into() };
    assert_eq!(counted.keys().collect::<Vec<_>>(), [&key]);
    assert_eq!(counted[&key].packets_in, PACKETS as u64 / 2);
    assert!(replaced > 3, "{replaced}");
}
