use super::*;
use core::net::Ipv4Addr;
use netwatch_common::{Class, Proto};
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
    let sources = prop::collection::vec(source, 0..20);
    let targets = prop::collection::vec(target, 0..20);
    (0..9u64, 0..9u64, sources, targets).prop_map(|(start, length, sources, targets)| {
        Slot::new(start, start + length, Counted::named(sources, targets))
    })
}

fn merged(mut left: Slot, right: &Slot) -> Slot {
    left.merge(right);
    left
}

fn packets(slot: &Slot) -> (u64, u64, u64, u64) {
    (
        slot.sources().map(|(_, stats)| stats.packets()).sum(),
        slot.sources().map(|(_, stats)| stats.bytes).sum(),
        slot.targets().iter().map(|(_, stats)| stats.packets()).sum(),
        slot.services().iter().map(|(_, stats)| stats.packets()).sum(),
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
        prop_assert_eq!(one.2, one.3);
        let both = merged(a, &b);
        let sum = (one.0 + two.0, one.1 + two.1, one.2 + two.2, one.3 + two.3);
        prop_assert_eq!(packets(&both), sum);
        prop_assert!(both.sources().map(|(addr, _)| addr).is_sorted_by(|left, right| left < right));
        prop_assert!(both.targets().is_sorted_by(|left, right| left.0 < right.0));
        prop_assert!(both.services().is_sorted_by(|left, right| left.0 < right.0));
    }
}
