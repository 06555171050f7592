//! Floods that are wide, that fill the maps, or that come while somebody is allowed something.

use super::only;
use crate::analysis::Options;
use crate::analysis::policy::{Allow, Policy, Prefix};
use crate::analysis::rules::{RuleId, Severity};
use crate::analysis::tests::stage::{SYN, Stage, UDP, inside, outside, tcp, udp};
use crate::analysis::transition::Suppression;
use netwatch_common::Addr;

#[test]
fn a_flood_of_many_ports_is_told_by_a_few_of_them() {
    let mut stage = Stage::new(Policy::default());
    for port in 1..=40 {
        (1..=300)
            .for_each(|source| stage.send(outside(source * 64 + port), inside(1), tcp(port.into()), SYN, 1));
    }
    stage.end_slot();
    assert_eq!(stage.opened(), ["flood.syn"; 3]);
    assert_eq!(stage.suppressed(Suppression::PartOfFlood), 37);
}

#[test]
fn ports_that_are_looked_at_are_bounded() {
    let mut stage = Stage::new(only(&[RuleId::FloodSyn]));
    for port in 1..=200 {
        (1..=300).for_each(|source| stage.send(outside(source), inside(1), tcp(port), SYN, 1));
    }
    stage.end_slot();
    stage.end_slot();
    assert_eq!((stage.opened().len(), stage.suppressed(Suppression::PartOfFlood)), (3, 61));
}

#[test]
fn a_flood_does_not_hide_by_filling_the_maps() {
    // 60,000 packets in five seconds are no flood, but as many again were counted without a name.
    let told = |nameless| {
        let mut stage = Stage::new(only(&[RuleId::DdosDestination]));
        for dest in [1, 2] {
            (1..=600).for_each(|source| stage.send(outside(source), inside(dest), udp(53), UDP, 100));
        }
        stage.send_by_nobody(7, inside(1), udp(53), UDP, nameless);
        stage.end_slot();
        let told = stage.told.iter().filter(|told| told.rule == RuleId::DdosDestination);
        told.map(|told| (told.dest, told.observed, told.sources, told.degraded)).collect::<Vec<_>>()
    };
    assert_eq!(told(0), []);
    assert_eq!(told(40_000), []);
    // Exactly those that went there are counted there, and nowhere else.
    assert_eq!(told(60_000), [(Some(inside(1).into()), 24_000, 607, true)]);
}

#[test]
fn who_is_recorded_only_explains_no_flood() {
    let told = |notify| {
        let mut policy = Policy::default();
        policy.rules[RuleId::DosUnsolicited as usize].notify = notify;
        let mut stage = Stage::new(policy);
        stage.send(outside(1), inside(1), tcp(80), SYN, 5_000);
        stage.end_slot();
        let told = stage.told.iter().filter(|told| told.weight > Severity::Info);
        told.map(|told| told.rule.name()).collect::<Vec<_>>()
    };
    assert_eq!(told(None), ["dos.unsolicited"]);
    assert_eq!(told(Some(false)), ["flood.syn"]);
}

#[test]
fn a_host_is_allowed_though_its_network_is_counted() {
    let network: Addr = "2001:db8:1:2::".parse::<core::net::Ipv6Addr>().unwrap().into();
    let host: Addr = "2001:db8:1:2::7".parse::<core::net::Ipv6Addr>().unwrap().into();
    let allow = vec![Allow { prefix: Prefix::new(host, 128).unwrap(), rule: None }];
    let told = |hosts: &[u32]| {
        let policy = Policy { allow: allow.clone(), ..Policy::default() };
        let mut stage = Stage::of(&Options { policy, ..Options::default() });
        for port in 1..=20 {
            for host in hosts {
                stage.host = *host;
                stage.send(network, inside(1), tcp(port), SYN, 1);
            }
        }
        stage.end_slot();
        stage.opened()
    };
    assert_eq!(told(&[7]), [""; 0]);
    assert_eq!(told(&[8]), ["scan.vertical"]);
    assert_eq!(told(&[7, 8]), ["scan.vertical"]);
}
