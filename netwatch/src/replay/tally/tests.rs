use core::net::Ipv4Addr;

use netwatch_common::{Class, Proto, TargetKey};
use proptest::prelude::*;

use super::*;
use crate::analysis::Counted;

fn addr(number: u32) -> Addr {
    Ipv4Addr::from_bits(number).into()
}

/// A slot of SYNs: from, to, port and how many.
fn slot(sent: impl IntoIterator<Item = (u32, u32, u16, u32)>) -> Slot {
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    for (source, dest, port, count) in sent {
        let mut classes = [0; Class::COUNT];
        classes[Class::Syn as usize] = u64::from(count);
        let bytes = 60 * u64::from(count);
        let stats = SourceStats { bytes, first_ns: 1, last_ns: 2, classes, ..SourceStats::default() };
        sources.push((addr(source), stats));
        let key =
            TargetKey { source: addr(source), dest: addr(dest), service: Service::new(Proto::Tcp, port) };
        targets.push((key, TargetStats { bytes, opening: count, ..TargetStats::default() }));
    }
    Slot::new(0, 5, Counted::named(sources, targets))
}

fn leaders(tally: &Tally, count: usize) -> Vec<(Addr, u64)> {
    let ranked = tally.sources().ranked(count, |addr| addr);
    ranked.into_iter().map(|one| (*one.key, one.value.stats.packets())).collect()
}

#[test]
fn the_heavy_lead_among_two_hundred_thousand() {
    let mut tally = Tally::new(Severity::Info);
    for turn in 0..10_u32 {
        // Each forged source is seen once, and four true ones every time.
        let forged = (0..20_000).map(|number| (1_000_000 + turn * 20_000 + number, 1, 443, 1));
        let true_ones = (1..=4).map(|number| (number, 1, 22, number * 10));
        tally.slot(&slot(forged.chain(true_ones)));
    }
    let expect = [4, 3, 2, 1].map(|number| (addr(number), u64::from(number) * 100));
    assert_eq!(leaders(&tally, 4), expect);
    let kept = tally.sources().values().count();
    assert!(kept <= ENDS + ENDS / 2 + 1 && tally.sources().distinct() > ENDS, "{kept}");
    // At most all packets divided by the sources that are kept.
    assert!((1..=201_000 / 65_537).contains(&tally.sources().uncertainty()));
    assert!(tally.tried_by_more() && tally.room >= PORTS - kept);
    // Services and destinations are few, and so all there.
    assert_eq!((tally.dests().distinct(), tally.dests().uncertainty()), (1, 0));
    let services = tally.services().ranked(2, |service| service);
    assert_eq!(services.iter().map(|one| one.value.packets).collect::<Vec<_>>(), [200_000, 1_000]);
}

#[test]
fn every_port_there_is_has_a_place() {
    let mut tally = Tally::new(Severity::Info);
    for first in (0..=u16::MAX).step_by(8_192) {
        tally.slot(&slot((first..=first | 8_191).map(|port| (7, 1, port, 1))));
    }
    assert_eq!((tally.services().distinct(), tally.services().uncertainty()), (65_536, 0));
    let ranked = tally.sources().ranked(1, |addr| addr);
    assert_eq!((ranked[0].value.ports.len(), ranked[0].value.more_ports), (65_536, false));
}

#[test]
fn a_port_is_tried_once_however_often() {
    let mut tally = Tally::new(Severity::Info);
    tally.slot(&slot([(1, 1, 22, 3), (1, 2, 22, 1), (1, 1, 80, 1), (2, 1, 22, 1)]));
    tally.slot(&slot([(1, 1, 22, 3), (1, 3, 443, 1)]));
    let tried = tally.tried_by();
    let by = |port| tried.get(&Service::new(Proto::Tcp, port)).copied();
    assert_eq!((by(22), by(80), by(443), by(1)), (Some(2), Some(1), Some(1), None));
    assert_eq!((tally.room, tally.tried_by_more()), (PORTS - 4, false));
}

#[test]
fn ports_have_room_in_all() {
    let mut tally = Tally::bounded(4, 10, Severity::Info);
    tally.slot(&slot((0..8).map(|port| (1, 1, port, 100))));
    tally.slot(&slot((0..8).map(|port| (2, 1, port, 1))));
    let ports = |tally: &Tally| -> Vec<_> {
        let ranked = tally.sources().ranked(2, |addr| addr);
        ranked.iter().map(|one| (one.value.ports.len(), one.value.more_ports)).collect()
    };
    assert_eq!((ports(&tally), tally.room), (vec![(8, false), (2, true)], 0));
    // Heavier ones push out the second, and its two ports make room: for one of the last source, and one of the first.
    tally.slot(&slot((10..16).map(|source| (source, 1, 443, 50))));
    tally.slot(&slot([(1, 1, 9, 1)]));
    assert_eq!((ports(&tally), tally.room), (vec![(9, false), (1, false)], 0));
}

proptest! {
    #[test]
    fn nothing_is_counted_twice_or_left_out(
        slots in prop::collection::vec(prop::collection::vec((0..9_u32, 0..4_u32, 0..9_u16, 1..50_u32), 0..30), 0..6),
    ) {
        let mut tally = Tally::new(Severity::Info);
        slots.iter().for_each(|sent| tally.slot(&slot(sent.iter().copied())));
        let packets: u64 = slots.iter().flatten().map(|sent| u64::from(sent.3)).sum();
        let sent = tally.sources().values().fold((0, 0, 0), |(packets, bytes, unsolicited), sender| {
            let stats = &sender.stats;
            (packets + stats.packets(), bytes + stats.bytes, unsolicited + stats.unsolicited())
        });
        let sum = |top: (u64, u64, u64), one: &Received| {
            (top.0 + one.packets, top.1 + one.bytes, top.2 + one.unsolicited)
        };
        let all = (packets, packets * 60, packets);
        prop_assert_eq!(sent, all);
        prop_assert_eq!(tally.dests().values().fold((0, 0, 0), sum), all);
        prop_assert_eq!(tally.services().values().fold((0, 0, 0), sum), all);
        let ports: usize = tally.sources().values().map(|sender| sender.ports.len()).sum();
        prop_assert_eq!(tally.room, PORTS - ports);
        for sender in tally.sources().values() {
            prop_assert!(sender.ports.is_sorted_by(|left, right| left < right));
        }
    }

    #[test]
    fn memory_is_bounded_whatever_comes(
        slots in prop::collection::vec(prop::collection::vec((0..40_u32, 0..4_u32, 0..9_u16, 1..50_u32), 0..30), 0..9),
    ) {
        let mut tally = Tally::bounded(5, 12, Severity::Info);
        for sent in &slots {
            tally.slot(&slot(sent.iter().copied()));
            let ports: usize = tally.sources().values().map(|sender| sender.ports.len()).sum();
            prop_assert!(tally.sources().values().count() <= 8 && ports <= 12);
            prop_assert_eq!(tally.room, 12 - ports);
        }
    }
}
