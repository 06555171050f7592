use super::*;
use core::net::Ipv4Addr;
use netwatch_common::{Class, PortHash, Proto};
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
    let slot = Slot::new(0, 1, Counted::named(vec![(addr(3), stats(3)), (addr(1), stats(1))], targets));
    assert_eq!(slot.source(addr(3)), Some(stats(3)));
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
    let nameless = (0..3u8, 0..3u16, 0..9u32, 0..9u32).prop_map(|(dest, port, opening, newcomers)| {
        let service = if port == 0 { Service::LUMP } else { Service::new(Proto::Tcp, port) };
        let stats = TargetStats { opening, newcomers, ..TargetStats::default() };
        (ServiceKey { dest: addr(dest), service }, stats)
    });
    let hidden = (0..6u8, prop::collection::vec(any::<u16>(), 1..30)).prop_map(|(last, list)| {
        let mut ports = Ports::ZERO;
        for port in list {
            ports.tcp.insert(PortHash::new(5), port);
        }
        (addr(last), ports)
    });
    let entries = (
        prop::collection::vec(source, 0..20),
        prop::collection::vec(target, 0..20),
        prop::collection::vec(nameless, 0..9),
        prop::collection::vec(hidden, 0..4),
    );
    (0..9u64, 0..9u64, entries, any::<u8>()).prop_map(
        |(start, length, (sources, targets, services, ports), nobody)| {
            let mut unattributed = SourceStats { bytes: nobody.into(), ..SourceStats::default() };
            unattributed.classes[0] = nobody.into();
            let elsewhere = TargetStats { opening: nobody.into(), ..TargetStats::default() };
            let counted = Counted { sources, targets, unattributed, services, ports, elsewhere };
            Slot::new(start, start + length, counted)
        },
    )
}

fn merged(mut left: Slot, right: &Slot) -> Slot {
    left.merge(right);
    left
}

fn packets(slot: &Slot) -> [u64; 6] {
    let nobody = slot.unattributed();
    [
        slot.sources().map(|(_, stats)| stats.packets()).sum(),
        slot.sources().map(|(_, stats)| stats.bytes).sum(),
        slot.targets().iter().map(|(_, stats)| stats.packets()).sum(),
        slot.services().iter().map(|(_, stats)| stats.packets()).sum(),
        slot.services().iter().map(|(_, stats)| u64::from(stats.newcomers)).sum(),
        nobody.packets() + nobody.bytes,
    ]
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
        // Besides the sources' targets there is what nobody in particular sent.
        prop_assert!(one[2] <= one[3]);
        let both = merged(a.clone(), &b);
        prop_assert_eq!(packets(&both), core::array::from_fn(|index| one[index] + two[index]));
        for last in 0..6 {
            let of = |slot: &Slot| slot.ports_of(addr(last)).copied().unwrap_or(Ports::ZERO);
            let mut united = of(&a);
            united.union(&of(&b));
            prop_assert_eq!(of(&both), united);
        }
        prop_assert!(both.sources().map(|(addr, _)| addr).is_sorted_by(|left, right| left < right));
        prop_assert!(both.targets().is_sorted_by(|left, right| left.0 < right.0));
        prop_assert!(both.services().is_sorted_by(|left, right| left.0 < right.0));
    }
}
