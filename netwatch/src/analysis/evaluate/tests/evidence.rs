use super::{home, only};
use crate::analysis::Options;
use crate::analysis::policy::Policy;
use crate::analysis::rules::RuleId;
use crate::analysis::stats::Hosts;
use crate::analysis::tests::stage::{
    ACK, COMPLETED, ECHO, FIN, FRAGMENT, SECOND, SYN, Stage, TALK, UDP, inside, outside, tcp, udp,
};
use crate::analysis::transition::Transition;
use core::net::{IpAddr, Ipv6Addr};
use netwatch_common::{Addr, Class, Proto, Service, Techniques};

/// What is told of a rule at the end of a slot.
fn told(policy: Policy, rule: RuleId, play: impl FnOnce(&mut Stage)) -> Transition {
    let mut stage = Stage::new(policy);
    play(&mut stage);
    stage.end_slot();
    stage.first(rule).unwrap_or_else(|| panic!("{}: {:?}", rule.name(), stage.told)).clone()
}

fn names(techniques: Techniques) -> Vec<&'static str> {
    techniques.names().collect()
}

fn ip(addr: Addr) -> IpAddr {
    addr.into()
}

#[test]
fn a_scan_shows_its_ports_techniques_and_packets() {
    let alert = told(Policy::default(), RuleId::ScanVertical, |stage| {
        for port in (100..120).rev() {
            stage.send(outside(1), inside(1), tcp(port), SYN, 2);
        }
        stage.send(outside(1), inside(1), tcp(200), FIN, 1);
        stage.send(outside(1), inside(1), udp(53), UDP, 3);
        stage.send(outside(1), inside(2), tcp(80), TALK, 5);
    });
    assert_eq!((alert.observed, alert.threshold, alert.proto, alert.port), (21, 10, Some(Proto::Tcp), None));
    assert_eq!(alert.ports.first_ports(), (100..116).collect::<Vec<_>>());
    assert_eq!((alert.ports.distinct, alert.ports.stealth, alert.ports.evidence), (21, 1, 41));
    assert_eq!(names(alert.techniques), ["syn", "fin"]);
    let classes: Vec<_> = alert.by_class().collect();
    assert_eq!(classes, [(Class::Syn, 40), (Class::Stealth, 1), (Class::UdpNew, 3), (Class::Known, 5)]);
    assert_eq!((alert.packets, alert.bytes, alert.spoofable), (49, 49 * 60, true));
    assert_eq!((alert.first_ns, alert.last_ns, alert.opened_ns), (1, 1, 5 * SECOND));
    let source = alert.source.unwrap();
    assert_eq!((source.addr, source.bits, source.host, alert.dest), (ip(outside(1)), 32, None, None));
    assert_eq!((alert.window_ns, alert.incident, &*alert.interface), (60 * SECOND, 1, "eth0"));
}

#[test]
fn each_way_to_scan_has_its_name() {
    for (kind, rule, name) in [
        (SYN, RuleId::ScanVertical, "syn"),
        (ACK, RuleId::ScanVertical, "ack"),
        (FIN, RuleId::ScanStealth, "fin"),
    ] {
        let alert = told(Policy::default(), rule, |stage| {
            (1..=20).for_each(|port| stage.send(outside(1), inside(1), tcp(port), kind, 1));
        });
        assert_eq!((names(alert.techniques), alert.ports.first_ports().len()), (vec![name], 16));
    }
    let alert = told(Policy::default(), RuleId::ScanVertical, |stage| {
        (1..=20).for_each(|port| stage.send(outside(1), inside(1), udp(port), UDP, 1));
    });
    assert_eq!((names(alert.techniques), alert.proto), (vec!["udp"], Some(Proto::Udp)));
}

#[test]
fn what_goes_to_many_shows_its_destinations() {
    let sweep = told(Policy::default(), RuleId::ScanSweepIcmp, |stage| {
        (1..=11).for_each(|last| stage.send(outside(1), inside(last), Service::PROBE, ECHO, 1));
    });
    assert_eq!((sweep.dests.distinct, sweep.dests.first().count(), sweep.port), (11, 8, None));
    assert_eq!((names(sweep.techniques), sweep.ports.distinct), (vec!["echo"], 0));

    let horizontal = told(Policy::default(), RuleId::ScanHorizontal, |stage| {
        (1..=21).for_each(|last| stage.send(outside(1), inside(last), tcp(23), SYN, 1));
        stage.send(outside(1), inside(99), tcp(80), SYN, 1);
    });
    assert_eq!(
        (horizontal.dests.distinct, horizontal.port, horizontal.proto),
        (21, Some(23), Some(Proto::Tcp))
    );
    assert!(horizontal.dests.first().eq((1..=8).map(|last| ip(inside(last)))));
    assert_eq!((horizontal.ports.first_ports(), names(horizontal.techniques)), (&[23][..], vec!["syn"]));
}

#[test]
fn a_source_that_completed_a_handshake_is_not_forged() {
    let spoofable = |play: fn(&mut Stage)| {
        let flood = |stage: &mut Stage| {
            stage.send(outside(1), inside(1), udp(53), UDP, 101);
            play(stage);
        };
        told(Policy::default(), RuleId::DosUnsolicited, flood).spoofable
    };
    assert!(spoofable(|_| ()));
    assert!(spoofable(|stage| stage.send(outside(1), inside(1), tcp(80), TALK, 9)));
    assert!(spoofable(|stage| stage.connect(outside(2), inside(1), tcp(80), 9)));
    assert!(!spoofable(|stage| stage.connect(outside(1), inside(1), tcp(80), 1)));
}

#[test]
fn what_was_lost_within_the_window_is_said() {
    let degraded = |pause: u64, lost: u64, hints_lost: u64| {
        told(Policy::default(), RuleId::ScanVertical, |stage| {
            (stage.health.targets_refused, stage.health.hints_lost) = (lost, hints_lost);
            stage.silence(pause);
            (1..=11).for_each(|port| stage.send(outside(1), inside(1), tcp(port), SYN, 1));
        })
        .degraded
    };
    assert!(degraded(0, 1, 0) && degraded(11, 1, 0));
    assert!(!degraded(12, 1, 0) && !degraded(1, 0, 1) && !degraded(1, 0, 0));
}

#[test]
fn a_network_is_told_with_its_only_host() {
    let network: Ipv6Addr = "2001:db8:1:2::".parse().unwrap();
    let link_local: Ipv6Addr = "fe80::9".parse().unwrap();
    let peer = |source: Ipv6Addr, bits: u8, hosts: &[u32]| {
        let mut stage = Stage::of(&Options { ipv6_bits: bits, ..Options::default() });
        for host in hosts {
            stage.host = *host;
            (1..=11).for_each(|port| stage.send(source.into(), inside(1), tcp(port), SYN, 1));
            // Also where they are seen in slots of their own.
            stage.end_slot();
        }
        let peer = stage.told.last().unwrap().source.unwrap();
        (peer.addr.to_string(), peer.bits, peer.host.map(|host| host.to_string()))
    };
    let net = |host: Option<&str>| ("2001:db8:1:2::".to_owned(), 64, host.map(ToOwned::to_owned));
    assert_eq!(peer(network, 64, &[7]), net(Some("2001:db8:1:2::7")));
    assert_eq!(peer(link_local, 64, &[9]), ("fe80::9".to_owned(), 128, None));
    assert_eq!(peer(network, 128, &[7]).2, None);
    assert_eq!(Hosts::One([0, 7]).union(Hosts::One([0, 8])), Hosts::Many);
    // The second host is told with the close.
    let mut stage = Stage::new(Policy::default());
    for host in [7, 8] {
        stage.host = host;
        (1..=11).for_each(|port| stage.send(network.into(), inside(1), tcp(port), SYN, 1));
        stage.end_slot();
    }
    stage.silence(60);
    let hosts: Vec<_> = stage.told.iter().map(|t| t.source.unwrap().host.is_some()).collect();
    assert_eq!(hosts, [true, false]);
}

#[test]
fn floods_show_who_takes_part() {
    let flood = told(Policy::default(), RuleId::FloodSyn, |stage| {
        (1..=50).for_each(|source| stage.send(outside(source), inside(1), tcp(80), SYN, 10));
        stage.send(outside(1), inside(1), tcp(80), COMPLETED, 4);
        (51..=60).for_each(|source| stage.send(outside(source), inside(1), tcp(443), SYN, 10));
        (61..=70).for_each(|source| stage.connect(outside(source), inside(1), tcp(80), 5));
    });
    assert_eq!((flood.observed, flood.sources, flood.port), (496, 50, Some(80)));
    assert_eq!((flood.dest, flood.source), (Some(ip(inside(1))), None));
    assert_eq!(flood.by_class().collect::<Vec<_>>(), [(Class::Syn, 550), (Class::Known, 54)]);
    assert_eq!((flood.packets, flood.ports.first_ports(), flood.spoofable), (604, &[80][..], true));
    assert_eq!((flood.first_ns, flood.last_ns, names(flood.techniques)), (1, 5 * SECOND, vec!["syn"]));

    let fragments = told(Policy::default(), RuleId::FloodFragment, |stage| {
        (1..=10).for_each(|source| stage.send(outside(source), inside(1), Service::FRAGMENT, FRAGMENT, 600));
        stage.send(outside(11), inside(1), udp(53), UDP, 50);
    });
    assert_eq!((fragments.observed, fragments.sources, fragments.packets), (1_200, 10, 6_000));
    assert_eq!((fragments.window_ns, fragments.spoofable), (5 * SECOND, true));

    let ddos = told(only(&[RuleId::DdosDestination]), RuleId::DdosDestination, |stage| {
        (1..=200).for_each(|source| stage.send(outside(source), inside(1), udp(53), UDP, 600));
        stage.send(outside(201), inside(1), tcp(443), TALK, 1_000);
    });
    assert_eq!((ddos.observed, ddos.sources, ddos.packets), (24_000, 200, 121_000));
    assert_eq!((ddos.window_ns, ddos.unit), (5 * SECOND, "unsolicited packets/s"));
}

#[test]
fn hammering_shows_its_port_and_hosts() {
    let policy = Policy { connected: home(), ..Policy::default() };
    let hammer = told(policy, RuleId::PortHammer, |stage| {
        stage.connect(outside(1), inside(1), tcp(22), 20);
        stage.connect(outside(1), inside(2), tcp(22), 20);
    });
    assert_eq!((hammer.observed, hammer.port, hammer.dests.distinct), (40, Some(22), 2));
    assert_eq!((hammer.ports.first_ports(), hammer.spoofable, hammer.packets), (&[22][..], false, 80));
}

#[test]
fn a_late_slot_has_no_higher_rate() {
    let rate = |length_ns: u64| {
        let mut stage = Stage::new(only(&[RuleId::DosRate, RuleId::DdosDestination]));
        (1..=200).for_each(|source| stage.send(outside(source), inside(1), udp(53), UDP, 1_000));
        stage.send(outside(1), inside(2), udp(53), UDP, 199_000);
        stage.end_slot_after(length_ns);
        stage.told.iter().map(|t| (t.rule, t.observed)).collect::<Vec<_>>()
    };
    let both = |rate| vec![(RuleId::DdosDestination, rate), (RuleId::DosRate, rate)];
    assert_eq!(rate(5 * SECOND), both(40_000));
    // A part of a slot counts as a whole one, a slot that is too long as what it is.
    assert_eq!(rate(SECOND), both(40_000));
    assert_eq!(rate(8 * SECOND), both(25_000));
    assert_eq!(rate(10 * SECOND), []);
}

#[test]
fn a_rate_is_of_those_who_take_part_now() {
    let mut stage = Stage::new(only(&[RuleId::FloodFragment, RuleId::DdosDestination]));
    for first in [0, 60, 120] {
        for source in first..first + 60 {
            stage.send(outside(source), inside(1), udp(53), UDP, 2_000);
            stage.send(outside(source), inside(1), Service::FRAGMENT, FRAGMENT, 600);
        }
        stage.end_slot();
    }
    // Three times sixty sources, but never more than a hundred at a time.
    let told: Vec<_> = stage.told.iter().map(|t| (t.rule, t.sources)).collect();
    assert_eq!(told, [(RuleId::FloodFragment, 60)]);
}
