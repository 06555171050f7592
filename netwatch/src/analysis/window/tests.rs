use super::*;
use crate::analysis::slot::Counted;
use core::net::Ipv4Addr;
use netwatch_common::{Class, Proto, Service};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn addr(last: u8) -> Addr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn target(source: u8, dest: u8, proto: Proto, port: u16) -> TargetKey {
    TargetKey { source: addr(source), dest: addr(dest), service: Service::new(proto, port) }
}

fn probe(source: u8, proto: Proto, port: u16) -> (TargetKey, TargetStats) {
    (target(source, 100, proto, port), TargetStats { opening: 1, ..TargetStats::default() })
}

fn views(window: &Window, counting: Counting) -> Vec<SourceView> {
    let mut views = Vec::new();
    window.for_each_source(12, counting, |_| true, |view| views.push(view.clone()));
    views
}

#[test]
fn sources_that_sent_nothing_new_are_left_out_unless_wanted() {
    let mut window = Window::new(3);
    let mut push = |index: u64, sources: &[u8]| {
        let counts = sources.iter().map(|last| (addr(*last), SourceStats::default())).collect();
        let probes = sources.iter().map(|last| probe(*last, Proto::Tcp, 80)).collect();
        window.push(Slot::new(index, index + 1, Counted::named(counts, probes)));
    };
    push(0, &[1, 2, 3, 5]);
    push(1, &[2, 4, 6]);
    push(2, &[3, 4]);
    let seen = |wanted: &[u8]| {
        let wanted: Vec<Addr> = wanted.iter().map(|last| addr(*last)).collect();
        let mut seen = Vec::new();
        window.for_each_source(
            3,
            Counting::Evidence,
            |addr| wanted.contains(&addr),
            |view| {
                let packets: u64 =
                    view.services().flat_map(|(_, targets)| targets).map(|(_, stats)| stats.packets()).sum();
                seen.push((view.addr, packets));
            },
        );
        seen
    };
    assert_eq!(seen(&[]), [(addr(3), 2), (addr(4), 2)]);
    assert_eq!(seen(&[2, 6, 9]), [(addr(2), 2), (addr(3), 2), (addr(4), 2), (addr(6), 1)]);
}

#[test]
fn a_window_keeps_the_last_slots() {
    let mut window = Window::new(2);
    assert_eq!(window.span(2), None);
    for (index, last) in (0..3).zip([1, 2, 3]) {
        window.push(Slot::new(
            index,
            index + 1,
            Counted::named(vec![(addr(last), SourceStats::default())], Vec::new()),
        ));
    }
    assert_eq!(window.span(2), Some(Span { start_ns: 1, end_ns: 3 }));
    assert_eq!(window.span(1), Some(Span { start_ns: 2, end_ns: 3 }));
    let sources: Vec<_> = views(&window, Counting::Evidence).iter().map(|view| view.addr).collect();
    assert_eq!(sources, [addr(2), addr(3)]);
    assert_eq!(window.newest().map(|slot| slot.end_ns), Some(3));
    window.resize(1);
    assert_eq!(window.span(2), Some(Span { start_ns: 2, end_ns: 3 }));
}

#[test]
fn a_scan_across_the_edge_of_two_slots_is_one_scan() {
    let mut window = Window::new(12);
    let ports = |range: core::ops::Range<u16>| range.map(|port| probe(1, Proto::Tcp, port)).collect();
    window.push(Slot::new(0, 5, Counted::named(Vec::new(), ports(1..11))));
    window.push(Slot::new(5, 10, Counted::named(Vec::new(), ports(10..20))));
    let [view] = &views(&window, Counting::Evidence)[..] else { panic!("one source") };
    assert_eq!((view.tcp.distinct, view.tcp.evidence, view.udp.distinct), (19, 20, 0));
    assert_eq!(view.tcp.first_ports(), (1..=16).collect::<Vec<u16>>());
    assert_eq!(view.scanned_targets(), 19);
}

#[test]
fn the_same_port_of_two_destinations_is_one_port_and_two_targets() {
    let mut window = Window::new(12);
    let one = TargetStats { opening: 1, ..TargetStats::default() };
    let targets = (1..=3).flat_map(|dest| [22, 80].map(|port| (target(1, dest, Proto::Tcp, port), one)));
    window.push(Slot::new(0, 5, Counted::named(Vec::new(), targets.collect())));
    let [view] = &views(&window, Counting::Evidence)[..] else { panic!("one source") };
    assert_eq!((view.tcp.distinct, view.scanned_targets()), (2, 6));
    let port = Service::new(Proto::Tcp, 80);
    let dests: Vec<_> = view.service(port).iter().map(|(key, _)| key.dest).collect();
    assert_eq!(dests, [addr(1), addr(2), addr(3)]);
}

#[test]
fn ports_without_evidence_are_not_listed() {
    let quiet = (target(1, 100, Proto::Udp, 40000), TargetStats { rest: 9, ..TargetStats::default() });
    let mut window = Window::new(1);
    window.push(Slot::new(0, 5, Counted::named(Vec::new(), vec![quiet, probe(1, Proto::Udp, 53)])));
    let [view] = &views(&window, Counting::Evidence)[..] else { panic!("one source") };
    assert_eq!((view.udp.distinct, view.udp.evidence), (1, 1));
    assert_eq!(view.udp.first_ports(), [53]);
    assert_eq!(view.tcp.first_ports(), [0; 0]);
    let [view] = &views(&window, Counting::Everything)[..] else { panic!("one source") };
    assert_eq!((view.udp.distinct, view.udp.evidence, view.udp.first_ports()), (2, 10, &[53, 40000][..]));
}

#[test]
fn a_destination_sums_over_its_sources() {
    let mut window = Window::new(12);
    let syn = |source, opening| {
        (target(source, 100, Proto::Tcp, 80), TargetStats { opening, ..TargetStats::default() })
    };
    window.push(Slot::new(0, 5, Counted::named(Vec::new(), vec![syn(1, 5), syn(2, 7)])));
    window.push(Slot::new(5, 10, Counted::named(Vec::new(), vec![syn(2, 1), syn(3, 1)])));
    let mut seen = Vec::new();
    window.for_each_dest(12, |dest| {
        let sum = dest.service(Service::new(Proto::Tcp, 80));
        seen.push((dest.addr, sum.opening, dest.unsolicited(), dest.fragments()));
    });
    assert_eq!(seen, [(addr(100), 14, 2, 0)]);
    let senders = window.senders(12, |_, stats| stats.opening.into());
    let senders: Vec<_> = senders.into_iter().map(|((_, source), count)| (source, count)).collect();
    assert_eq!(senders, [(addr(1), 5), (addr(2), 8), (addr(3), 1)]);
}

type Probe = (u8, u8, bool, u16, u32, bool);

/// Merges in maps what the window merges in a stream.
fn reference(slots: &[(Vec<u8>, Vec<Probe>)]) -> Vec<SourceView> {
    let mut merged: BTreeMap<Addr, (SourceStats, BTreeMap<TargetKey, TargetStats>)> = BTreeMap::new();
    for slot in slots.iter().map(slot) {
        for (addr, stats) in slot.sources() {
            merged.entry(addr).or_default().0.merge(&stats);
        }
        for (key, stats) in slot.targets() {
            merged.entry(key.source).or_default().1.entry(*key).or_default().merge(stats);
        }
    }
    merged
        .into_iter()
        .map(|(addr, (stats, targets))| {
            let mut view = SourceView::new(addr);
            view.stats = stats;
            for (key, stats) in targets {
                view.add(ServiceKey { dest: key.dest, service: key.service }, stats);
            }
            view.conclude(Counting::Evidence, Confidence::Flags);
            view
        })
        .collect()
}

fn slot((sources, probes): &(Vec<u8>, Vec<Probe>)) -> Slot {
    let sources = sources
        .iter()
        .map(|last| (addr(*last), SourceStats { classes: [1; Class::COUNT], ..SourceStats::default() }))
        .collect();
    let targets = probes
        .iter()
        .map(|(source, dest, udp, port, packets, evidence)| {
            let proto = if *udp { Proto::Udp } else { Proto::Tcp };
            let (opening, rest) = if *evidence { (*packets, 0) } else { (0, *packets) };
            (target(*source, *dest, proto, *port), TargetStats { opening, rest, ..TargetStats::default() })
        })
        .collect();
    Slot::new(0, 1, Counted::named(sources, targets))
}

fn probes() -> impl Strategy<Value = (Vec<u8>, Vec<Probe>)> {
    let probe = (0..8u8, 0..3u8, any::<bool>(), 0..40u16, 0..3u32, any::<bool>());
    (prop::collection::vec(0..8u8, 0..8), prop::collection::vec(probe, 0..60))
}

proptest! {
    #[test]
    fn a_stream_merges_like_a_map(slots in prop::collection::vec(probes(), 0..6)) {
        let mut window = Window::new(6);
        slots.iter().map(slot).for_each(|slot| window.push(slot));
        prop_assert_eq!(views(&window, Counting::Evidence), reference(&slots));
    }

    #[test]
    fn destinations_and_sources_add_up_to_the_same(slots in prop::collection::vec(probes(), 1..6)) {
        let mut window = Window::new(6);
        slots.iter().map(slot).for_each(|slot| window.push(slot));
        let (mut by_source, mut by_dest) = (0, 0);
        window.for_each_source(6, Counting::Evidence, |_| true, |view| {
            by_source += view.services().flat_map(|(_, targets)| targets).map(|(_, stats)| stats.packets()).sum::<u64>();
        });
        window.for_each_dest(6, |view| by_dest += view.window.iter().map(|(_, stats)| stats.packets()).sum::<u64>());
        prop_assert_eq!(by_source, by_dest);
    }
}
