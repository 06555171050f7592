use std::collections::BTreeMap;

use core::net::Ipv4Addr;
use netwatch_common::{Class, Proto, Techniques};
use proptest::prelude::*;

use super::*;
use crate::analysis::limits::{SLOT_BYTES, WINDOW_SLOTS};
use crate::analysis::slot::Counted;

const HASH: PortHash = PortHash::new(0x1234_5678_9abc_def1);

fn addr(number: u32) -> Addr {
    Ipv4Addr::from_bits(number).into()
}

fn number(addr: Addr) -> u32 {
    let std::net::IpAddr::V4(v4) = addr.into() else { panic!("{addr:?}") };
    v4.to_bits()
}

fn tcp(port: u16) -> Service {
    Service::new(Proto::Tcp, port)
}

/// SYNs: from, to, port, how many, and how many packets of connections with them.
fn slot(sent: impl IntoIterator<Item = (u32, u32, u16, u32, u32)>) -> Slot {
    let mut counted = Counted::default();
    for (source, dest, port, opening, rest) in sent {
        let bytes = 60 * u64::from(opening + rest);
        let mut stats = SourceStats { bytes, first_ns: 1, last_ns: 2, ..SourceStats::default() };
        stats.classes[Class::Syn as usize] = opening.into();
        stats.classes[Class::Known as usize] = rest.into();
        stats.probes = opening.min(1).into();
        counted.sources.push((addr(source), stats));
        let techniques = if opening > 0 { Techniques::SYN } else { Techniques::NONE };
        let stats = TargetStats { bytes, opening, rest, techniques, ..TargetStats::default() };
        let key = TargetKey { source: addr(source), dest: addr(dest), service: tcp(port) };
        counted.targets.push((key, stats));
    }
    Slot::new(0, 5, counted)
}

/// What of a slot must not change: packets and bytes of sources, of services, and of each destination.
fn sums(slot: &Slot) -> ([u64; 4], BTreeMap<Addr, u64>) {
    let nobody = slot.unattributed();
    let mut dests = BTreeMap::new();
    for (key, stats) in slot.services() {
        *dests.entry(key.dest).or_insert(0) += stats.packets();
    }
    let elsewhere = slot.elsewhere();
    let sums = [
        slot.sources().map(|(_, stats)| stats.packets()).sum::<u64>() + nobody.packets(),
        slot.sources().map(|(_, stats)| stats.bytes).sum::<u64>() + nobody.bytes,
        slot.services().iter().map(|(_, stats)| stats.packets()).sum::<u64>() + elsewhere.packets(),
        slot.services().iter().map(|(_, stats)| stats.bytes).sum::<u64>() + elsewhere.bytes,
    ];
    (sums, dests)
}

#[test]
fn a_full_slot_takes_what_its_bounds_say() {
    assert_eq!(WINDOW_SLOTS * SLOT_BYTES, 48 << 20);
    // Every bound is reached: many sources, many targets, and many destinations.
    let forged = (0..40_000).map(|source| (source, source, 80, 1, 0));
    let scanners = (50_000..50_900).flat_map(|source| (1..60).map(move |port| (source, 1, port, 1, 0)));
    let mut slot = slot(forged.chain(scanners));
    let before = sums(&slot);
    slot.fold(HASH, |_| false);
    assert_eq!(sums(&slot).0, before.0);
    assert!(slot.bytes() <= SLOT_BYTES, "{} bytes", slot.bytes());
    assert_eq!(slot.bytes(), {
        let Slot { sources, targets, services, ports, .. } = &slot;
        size_of::<Slot>()
            + size_of_val(&sources[..])
            + size_of_val(&targets[..])
            + size_of_val(&services[..])
            + size_of_val(&ports[..])
    });
    assert!(slot.bytes() * 10 > SLOT_BYTES * 5, "{} bytes", slot.bytes());
}

#[test]
fn what_is_within_bounds_stays_as_it_is() {
    let bounds = Bounds { sources: 6, targets: 12, services: 12, ports: 2 };
    let full = slot((1..=6).flat_map(|source| [22, 80].map(|port| (source, source, port, 1, 0))));
    let mut folded = full.clone();
    folded.fold_to(bounds, HASH, |_| false);
    assert_eq!(folded, full);
}

#[test]
fn forged_sources_lose_their_names_first() {
    // Each sends one SYN to one port; one scans, one floods, one downloads, and one has a connection.
    let forged = (1_000..51_000).map(|source| (source, 1, 80, 1, 0));
    let scanner = (1..=10).map(|port| (7, 1, port, 1, 0));
    let others = [(8, 1, 53, 900, 0), (9, 1, 443, 0, 100_000), (10, 1, 443, 0, 20)];
    let mut slot = slot(forged.chain(scanner).chain(others));
    let before = sums(&slot);
    slot.fold(HASH, |_| false);
    assert_eq!(sums(&slot), before);
    assert!((20_000..30_000).contains(&slot.sources().len()), "{}", slot.sources().len());
    assert_eq!((slot.targets_of(addr(7)).len(), slot.targets_of(addr(8)).len()), (10, 1));
    assert!(slot.source(addr(9)).is_some(), "who sends much keeps its name, whatever it sends");
    let folded = 50_004 - slot.sources().len() as u64;
    assert_eq!((slot.health.folded, slot.health.cut), (folded, 0));
    let nobody = slot.unattributed();
    assert!(nobody.packets() >= folded && nobody.class(Class::Syn) >= folded - 1);
    // Those without a name were new to what they went to.
    let newcomers: Vec<_> =
        slot.services().iter().map(|(key, stats)| (key.service, stats.newcomers)).collect();
    let to_web =
        newcomers.iter().find(|(service, _)| *service == tcp(80)).map(|(_, count)| u64::from(*count));
    assert!(to_web >= Some(folded - 1) && to_web <= Some(folded), "{newcomers:?}");
}

#[test]
fn who_is_known_already_keeps_its_name() {
    let mut slot = slot((0..100).map(|source| (source, 1, 80, 1 + source / 50, 0)));
    let known = [addr(7), addr(8)];
    slot.fold_to(Bounds { sources: 10, ..Bounds::LEAST }, HASH, |addr| known.contains(&addr));
    assert_eq!(slot.sources().len(), 10);
    assert!(known.iter().all(|addr| slot.source(*addr).is_some()));
}

#[test]
fn one_source_cannot_take_all_targets() {
    let wide = (0..60_000_u16).map(|port| (1, 1, port, 1, 0));
    let scanners = (2..200).flat_map(|source| (1..=20).map(move |port| (source, 2, port, 1, 0)));
    let mut slot = slot(wide.chain(scanners));
    let before = sums(&slot);
    slot.fold(HASH, |_| false);
    assert_eq!(sums(&slot), before);
    let own = slot.targets_of(addr(1)).len();
    let others: usize = (2..200).map(|source| slot.targets_of(addr(source)).len()).sum();
    assert!(others == 198 * 20 && own > 30_000 && slot.bytes() <= SLOT_BYTES, "{others} {own}");
    assert_eq!((slot.health.folded, slot.unattributed().packets()), (0, 0));
    assert!(slot.health.cut >= 60_000 - own as u64);
    let ports = slot.ports_of(addr(1)).unwrap();
    assert_eq!((ports.tcp.distinct(), ports.tcp.techniques), (1_024, Techniques::SYN));
    assert!(slot.ports_of(addr(2)).is_none());
}

#[test]
fn a_scanner_with_a_few_targets_is_not_pushed_out_by_those_with_many() {
    let bounds = Bounds { sources: 100, targets: 160, services: 1_000, ports: 100 };
    // Twenty sources that each sent to a hundred ports once, and one that tries eleven.
    let busy = (1..=20).flat_map(|source| (0..100).map(move |port| (source, 1, port, 1, 0)));
    let mut slot = slot(busy.chain((1..=11).map(|port| (21, 2, port, 1, 0))));
    slot.fold_to(bounds, HASH, |_| false);
    assert!(slot.targets().len() <= bounds.targets);
    assert_eq!((slot.sources().len(), slot.health.folded), (21, 0));
    // All have as much room, and ports that have none are known all the same.
    for (source, tried) in [(1, 100), (20, 100), (21, 11)] {
        let known = slot.targets_of(addr(source)).len();
        let hidden = slot.ports_of(addr(source)).map_or(0, |ports| ports.tcp.distinct() as usize);
        assert!(
            known == 7 && known + hidden <= tried && (known + hidden) * 10 >= tried * 9,
            "{source}: {hidden}"
        );
    }
}

#[test]
fn a_wide_scan_is_not_pushed_out_by_forged_sources() {
    // Forged sources with two targets each, and one that tries one port of many hosts.
    let forged = (1_000..13_000).flat_map(|source| [80, 443].map(|port| (source, 1, port, 1, 0)));
    let wide = (0..30).map(|dest| (7, dest, 23, 1, 0));
    let mut slot = slot(forged.chain(wide));
    slot.fold_to(Bounds::LEAST, HASH, |_| false);
    assert_eq!((slot.targets_of(addr(7)).len(), slot.health.cut), (30, 0));
    assert!(slot.health.folded > 1_000 && slot.targets().len() <= SLOT_TARGETS);
}

#[test]
fn destinations_that_are_too_many_are_summed_up() {
    let bounds = Bounds { sources: 1, targets: 1, services: 8, ports: 1 };
    let mut slot = slot((0..40).map(|dest| (dest, dest, 80, dest + 1, 0)));
    let before = sums(&slot).0;
    slot.fold_to(bounds, HASH, |_| false);
    assert_eq!((sums(&slot).0, slot.services().len()), (before, 8));
    assert!(slot.elsewhere().packets() > 0);
    // Those that get most are known by port, then some by themselves.
    let known: Vec<_> = slot.services().iter().map(|(key, _)| (number(key.dest), key.service)).collect();
    for dest in 36..40 {
        assert!(known.contains(&(dest, tcp(80))), "{known:?}");
    }
    assert!(known.contains(&(35, Service::LUMP)), "{known:?}");
}

#[test]
fn ports_of_those_who_tried_most_are_kept() {
    let mut counted = Counted::default();
    for source in 1..=9_u32 {
        let mut ports = Ports::ZERO;
        for port in 0..u16::try_from(source).unwrap() * 3 {
            ports.udp.insert(HASH, port);
        }
        counted.sources.push((addr(source), SourceStats::default()));
        counted.ports.push((addr(source), ports));
    }
    let mut slot = Slot::new(0, 5, counted);
    slot.fold_to(Bounds { sources: 10, targets: 10, services: 10, ports: 4 }, HASH, |_| false);
    let kept: Vec<_> = (1..=9).filter(|source| slot.ports_of(addr(*source)).is_some()).collect();
    assert_eq!((kept, slot.health.cut), (vec![6, 7, 8, 9], 5));
}

proptest! {
    #[test]
    fn all_the_room_is_used_and_no_more(
        sources in 0..1_000_000_usize,
        targets in 0..1_000_000_usize,
        services in 0..1_000_000_usize,
        ports in 0..100_000_usize,
    ) {
        let has = Bounds { sources, targets, services, ports };
        let bounds = has.fitting();
        prop_assert!(bounds.bytes() <= SLOT_BYTES, "{bounds:?}");
        let least = Bounds::LEAST;
        prop_assert!(bounds.sources >= sources.min(least.sources) && bounds.targets >= targets.min(least.targets));
        let is_all = bounds.sources >= sources && bounds.targets >= targets;
        prop_assert!(is_all || SLOT_BYTES - bounds.bytes() < 200, "{bounds:?}");
        // What fits once fits for good.
        let now = Bounds {
            sources: sources.min(bounds.sources),
            targets: targets.min(bounds.targets),
            services: services.min(bounds.services),
            ports: ports.min(bounds.ports),
        };
        let again = now.fitting();
        prop_assert!(again.sources >= now.sources && again.targets >= now.targets, "{again:?}");
    }

    #[test]
    fn folding_invents_nothing_and_loses_only_names(
        sent in prop::collection::vec((0..40_u32, 0..9_u32, 0..30_u16, 0..4_u32, 0..9_u32), 0..300),
        bounds in (1..30_usize, 1..60_usize, 4..30_usize, 1..9_usize),
    ) {
        let full = slot(sent);
        let bounds = Bounds { sources: bounds.0, targets: bounds.1, services: bounds.2, ports: bounds.3 };
        let mut folded = full.clone();
        folded.fold_to(bounds, HASH, |_| false);
        prop_assert_eq!(sums(&folded).0, sums(&full).0);
        prop_assert!(folded.sources().len() <= bounds.sources && folded.targets().len() <= bounds.targets);
        prop_assert!(folded.services().len() <= bounds.services && folded.ports.len() <= bounds.ports);
        let is_within = full.sources().len() <= bounds.sources && full.targets().len() <= bounds.targets;
        let lost = full.sources().filter(|(addr, stats)| stats.unsolicited() > 0 && folded.source(*addr).is_none());
        prop_assert_eq!(folded.health.folded, lost.count() as u64);
        prop_assert!(!is_within || folded.health.folded == 0);
        // What has a name still is what it was, and who has one is known by it.
        for (addr, stats) in folded.sources() {
            prop_assert_eq!(full.source(addr), Some(stats));
        }
        for (key, stats) in folded.targets() {
            prop_assert!(full.targets_of(key.source).contains(&(*key, *stats)));
        }
        for (addr, ports) in &folded.ports {
            let mut tried: Vec<_> = full.targets_of(*addr).iter().filter(|(_, stats)| stats.evidence() > 0).collect();
            tried.dedup_by_key(|(key, _)| key.service);
            prop_assert!(folded.source(*addr).is_some() && ports.distinct() as usize <= tried.len());
        }
        let newcomers: u64 = folded.services().iter().map(|(_, stats)| u64::from(stats.newcomers)).sum();
        prop_assert!(newcomers + u64::from(folded.elsewhere().newcomers) <= folded.health.folded);
        // It is done once and for all.
        let again = { let mut again = folded.clone(); again.fold_to(bounds, HASH, |_| false); again };
        prop_assert_eq!(again, folded);
    }
}
