//! Floods in which some of what is counted has no name: no source, or no target.

use super::only;
use crate::analysis::policy::Policy;
use crate::analysis::rules::{RuleId, Severity};
use crate::analysis::slot::Health;
use crate::analysis::tests::stage::{COMPLETED, ECHO, FIN, SYN, Stage, TALK, UDP, inside, outside, tcp, udp};
use crate::analysis::transition::Suppression;
use netwatch_common::{Proto, Service, Techniques};

/// Ten ports of a scan in a slot, for which there is no room.
fn two_ports_a_second(stage: &mut Stage, slot: u64) {
    (1..=10).for_each(|port| {
        stage.send_without_room(outside(7), inside(1), tcp(1_000 + slot * 10 + port), SYN, 1);
    });
}

#[test]
fn a_slow_scanner_in_a_flood_is_named() {
    let mut stage = Stage::new(Policy::default());
    for slot in 0..12 {
        stage.send_by_nobody(300_000, inside(1), tcp(443), SYN, 300_000);
        two_ports_a_second(&mut stage, slot);
        stage.end_slot();
    }
    assert_eq!(stage.opened(), ["flood.syn", "netwatch.degraded", "scan.vertical"]);
    let scan = stage.first(RuleId::ScanVertical).unwrap();
    assert_eq!(scan.source.map(|peer| peer.addr), Some(outside(7).into()));
    // It takes two slots, and a port that shares its bit is not counted.
    assert_eq!((scan.at_ns / 5_000_000_000, scan.proto), (2, Some(Proto::Tcp)));
    assert!((11..=20).contains(&scan.observed) && scan.degraded, "{scan:?}");
    assert_eq!(scan.ports.first_ports(), (1_001..=1_016).collect::<Vec<u16>>());
    assert_eq!(scan.packets, 20);
    stage.silence(60);
    let scan = stage.told.iter().rfind(|told| told.rule == RuleId::ScanVertical).unwrap();
    assert!((100..=120).contains(&scan.peak) && scan.packets == 120, "{scan:?}");
}

#[test]
fn ports_without_room_are_seen_before_the_slot_ends() {
    let mut stage = Stage::new(only(&[RuleId::ScanVertical]));
    // Each port by itself, so that none shares its bit with another of them.
    let mut port = 1;
    while stage.maps.ports.get(&outside(7)).map_or(0, |ports| ports.tcp.distinct()) < 11 {
        assert_eq!(stage.look(), [""; 0]);
        stage.send_without_room(outside(7), inside(1), tcp(port), SYN, 1);
        port += 1;
    }
    assert_eq!(stage.look(), ["0 open scan.vertical 198.18.0.7 11"]);
    assert_eq!(stage.end_slot(), [""; 0]);
}

#[test]
fn no_port_is_counted_twice() {
    let told = |exact: u64, hidden: core::ops::RangeInclusive<u64>| {
        let mut stage = Stage::new(only(&[RuleId::ScanVertical]));
        (1..=exact).for_each(|port| stage.send(outside(7), inside(1), tcp(port), SYN, 1));
        hidden.for_each(|port| stage.send_without_room(outside(7), inside(1), tcp(port), SYN, 3));
        stage.end_slot();
        stage.first(RuleId::ScanVertical).map(|told| told.observed)
    };
    assert_eq!(told(10, 1..=10), None);
    assert_eq!(told(0, 1..=10), None);
    assert_eq!(told(11, 1..=11), Some(11));
    for (exact, hidden) in [(5, 1..=40), (30, 21..=60), (10, 11..=2_000), (2_000, 1..=4_000)] {
        let most = (*hidden.end()).max(exact);
        let observed = told(exact, hidden.clone()).unwrap();
        assert!(
            observed <= most && observed >= exact.max(most.min(900) * 9 / 10),
            "{exact} {hidden:?}: {observed}"
        );
    }
}

#[test]
fn the_technique_of_ports_without_room_is_known_if_counted() {
    let told = |techniques: Techniques| {
        let mut stage = Stage::new(Policy::default());
        (1..=20).for_each(|port| stage.send_without_room(outside(7), inside(1), tcp(port), FIN, 1));
        stage.maps.ports.get_mut(&outside(7)).unwrap().tcp.techniques = techniques;
        stage.end_slot();
        stage.opened()
    };
    assert_eq!(told(Techniques::FIN), ["scan.stealth", "netwatch.degraded"]);
    assert_eq!(told(Techniques::SYN), ["scan.vertical", "netwatch.degraded"]);
    assert_eq!(told(Techniques::NONE), ["scan.vertical", "netwatch.degraded"]);
}

#[test]
fn a_scan_without_room_explains_its_packets() {
    let mut stage = Stage::new(Policy::default());
    (1..=900).for_each(|port| stage.send_without_room(outside(7), inside(1), udp(port), UDP, 2));
    stage.end_slot();
    assert_eq!(stage.opened(), ["scan.vertical", "netwatch.degraded"]);
    assert!(stage.suppressed(Suppression::PartOfScan) > 0);
}

#[test]
fn a_flood_without_names_is_told_with_an_estimate_of_sources() {
    for (rule, service, kind) in [(RuleId::FloodSyn, tcp(443), SYN), (RuleId::DdosDestination, udp(53), UDP)]
    {
        let mut stage = Stage::new(Policy::default());
        for _ in 0..3 {
            stage.send_by_nobody(300_000, inside(1), service, kind, 600_000);
            // Some have names.
            (1..=50).for_each(|source| stage.send(outside(source), inside(1), service, kind, 2));
            stage.end_slot();
        }
        assert_eq!(stage.opened(), [rule.name(), "netwatch.degraded"]);
        let told = stage.first(rule).unwrap();
        assert_eq!((told.dest, told.sources), (Some(inside(1).into()), 300_050));
        assert!(told.degraded && told.spoofable && told.at_ns == 5_000_000_000, "{told:?}");
        let expect = if rule == RuleId::FloodSyn { 600_100 } else { 120_020 };
        assert_eq!((told.observed, told.packets), (expect, 600_100));
        // In later slots nothing is known of which of them are the same.
        stage.silence(60);
        let last = stage.told.iter().rfind(|told| told.rule == rule).unwrap();
        assert_eq!((last.sources, last.packets), (300_050, 1_800_300));
    }
}

#[test]
fn few_sources_without_names_are_not_many() {
    let told = |newcomers| {
        let mut stage = Stage::new(only(&[RuleId::DdosDestination]));
        stage.send_by_nobody(newcomers, inside(1), udp(53), UDP, 600_000);
        stage.end_slot();
        stage.opened()
    };
    assert_eq!(told(100), [""; 0]);
    assert_eq!(told(101), ["ddos.destination"]);
}

#[test]
fn a_flood_goes_on_though_nobody_in_it_is_new() {
    let mut stage = Stage::new(only(&[RuleId::DdosDestination]));
    stage.send_by_nobody(5_000, inside(1), udp(53), UDP, 600_000);
    stage.end_slot();
    for _ in 0..8 {
        stage.send_by_nobody(0, inside(1), udp(53), UDP, 600_000);
        stage.end_slot();
    }
    assert_eq!((stage.told.len(), stage.analysis.counters().open()), (1, 1));
}

#[test]
fn a_busy_server_without_room_for_its_clients_is_no_flood() {
    let mut stage = Stage::new(Policy::default());
    for _ in 0..6 {
        stage.send_by_nobody(40_000, inside(1), tcp(443), SYN, 40_000);
        stage.send_by_nobody(0, inside(1), tcp(443), COMPLETED, 40_000);
        stage.send_by_nobody(0, inside(1), tcp(443), TALK, 2_000_000);
        stage.end_slot();
    }
    assert_eq!(stage.opened(), ["netwatch.degraded"]);
}

#[test]
fn what_went_to_any_port_counts_for_its_destination_only() {
    let mut stage = Stage::new(Policy::default());
    for kind in [SYN, UDP, FIN, ECHO] {
        stage.send_by_nobody(1_000, inside(1), Service::LUMP, kind, 50_000);
    }
    stage.end_slot();
    assert_eq!(stage.opened(), ["ddos.destination", "netwatch.degraded"]);
    let flood = stage.first(RuleId::DdosDestination).unwrap();
    assert_eq!((flood.observed, flood.sources, flood.port), (40_000, 4_000, None));
    assert_eq!(flood.evidence.iter().sum::<u64>(), 200_000);
}

#[test]
fn forged_sources_beyond_all_bounds_leave_a_scanner_its_name() {
    let mut stage = Stage::new(Policy::default());
    let forged = 24_000;
    for slot in 0..2 {
        (0..forged).for_each(|source| {
            stage.send(outside(1_000 + slot * forged + source), inside(1), tcp(443), SYN, 1);
        });
        (1..=10).for_each(|port| {
            stage.send(outside(7), inside(1), tcp(u64::from(slot) * 10 + port), SYN, 1);
        });
        stage.end_slot();
    }
    assert_eq!(stage.opened(), ["flood.syn", "netwatch.degraded", "scan.vertical"]);
    let scan = stage.first(RuleId::ScanVertical).unwrap();
    assert_eq!((scan.observed, scan.source.map(|peer| peer.addr)), (20, Some(outside(7).into())));
    // All of them took part, whether they have kept their names or not.
    let flood = stage.first(RuleId::FloodSyn).unwrap();
    assert_eq!((flood.observed, flood.sources), (forged.into(), forged.into()));
    assert!((2 * 3_000..2 * 12_000).contains(&stage.analysis.folded()), "{}", stage.analysis.folded());
    assert!(scan.degraded && flood.degraded);
}

#[test]
fn a_scan_of_all_ports_is_one_incident_and_no_trouble() {
    let mut stage = Stage::new(Policy::default());
    (1..=65_000).for_each(|port| stage.send(outside(7), inside(1), tcp(port), SYN, 2));
    stage.end_slot();
    assert_eq!(stage.opened(), ["scan.vertical"]);
    let scan = stage.first(RuleId::ScanVertical).unwrap();
    // As many as are known by name: the alert says that there may be more.
    assert!((15_000..=65_000).contains(&scan.observed) && scan.degraded, "{}", scan.observed);
    assert_eq!((scan.packets, stage.analysis.folded()), (130_000, 0));
}

#[test]
fn an_alert_says_exactly_then_that_counting_was_lossy() {
    let told = |health: Health| {
        let mut stage = Stage::new(Policy::default());
        (1..=11).for_each(|port| stage.send(outside(7), inside(1), tcp(port), SYN, 1));
        stage.health = health;
        stage.end_slot();
        let scan = stage.first(RuleId::ScanVertical).map(|told| told.degraded);
        let itself = stage.first(RuleId::Degraded).map(|told| (told.observed, told.severity));
        (scan, itself)
    };
    let nothing = Health::default();
    assert_eq!(told(nothing), (Some(false), None));
    for (health, is_trouble) in [
        (Health { sources_refused: 3, ..nothing }, true),
        (Health { targets_refused: 3, ..nothing }, true),
        (Health { folded: 3, ..nothing }, true),
        (Health { cut: 3, ..nothing }, false),
    ] {
        assert_eq!(told(health), (Some(true), is_trouble.then_some((3, Severity::Medium))), "{health:?}");
    }
    assert_eq!(told(Health { hints_lost: 3, ..nothing }), (Some(false), Some((3, Severity::Medium))));
}
