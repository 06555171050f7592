use super::{home, only, told_of};
use crate::analysis::policy::{Allow, Counting, Policy, Prefix};
use crate::analysis::rules::{RuleId, Severity};
use crate::analysis::slot::Confidence;
use crate::analysis::tests::stage::{
    ACK, ECHO, FIN, FRAGMENT, Kind, LATE_REPLY, RESET, SYN, Stage, TALK, UDP, inside, outside, tcp, udp,
};
use crate::analysis::transition::Suppression;
use netwatch_common::{Service, Verdict};

const FLOOD: u64 = 1_000;

type Play = fn(&mut Stage);

fn ports(stage: &mut Stage, ports: core::ops::RangeInclusive<u64>, service: fn(u64) -> Service, kind: Kind) {
    for port in ports {
        stage.send(outside(1), inside(1), service(port), kind, 1);
    }
}

fn dests(stage: &mut Stage, count: u32, service: Service, kind: Kind) {
    for last in 1..=count {
        stage.send(outside(1), inside(last), service, kind, 1);
    }
}

#[test]
fn what_looks_like_an_attack_and_is_none() {
    let plays: [(&str, Play, &[&str]); 20] = [
        ("talk on many ports", |s| ports(s, 1..=100, tcp, TALK), &[]),
        (
            "connections to many ports",
            |s| (1..=10).for_each(|p| s.connect(outside(1), inside(1), tcp(p), 9)),
            &[],
        ),
        ("a busy client", |s| s.connect(outside(1), inside(1), tcp(443), FLOOD), &[]),
        (
            "a client of which 100 connections fail",
            |s| {
                s.connect(outside(1), inside(1), tcp(443), FLOOD);
                s.send(outside(1), inside(1), tcp(443), SYN, 100);
            },
            &[],
        ),
        ("late packets of ten old connections", |s| ports(s, 1..=10, tcp, ACK), &[]),
        ("late packets of eleven", |s| ports(s, 1..=11, tcp, ACK), &["scan.vertical"]),
        (
            "late packets of 15 of which 3 go on",
            |s| {
                ports(s, 1..=15, tcp, ACK);
                ports(s, 1..=3, tcp, TALK);
            },
            &["scan.vertical"],
        ),
        (
            "late packets of 14 of which 3 go on",
            |s| {
                ports(s, 1..=14, tcp, ACK);
                ports(s, 1..=3, tcp, TALK);
            },
            &[],
        ),
        ("late replies to many ports", |s| ports(s, 40_001..=40_100, udp, LATE_REPLY), &[]),
        ("a flood of late replies", |s| ports(s, 40_001..=40_101, udp, LATE_REPLY), &["dos.unsolicited"]),
        ("what somebody's forgery comes back as", |s| ports(s, 1..=100, tcp, RESET), &[]),
        ("a flood of that", |s| ports(s, 1..=101, tcp, RESET), &["dos.unsolicited"]),
        ("fragments have no ports", |s| s.send(outside(1), inside(1), Service::FRAGMENT, FRAGMENT, 100), &[]),
        (
            "ports of both protocols add up in the long run only",
            |s| {
                ports(s, 1..=10, tcp, SYN);
                ports(s, 1..=10, udp, UDP);
            },
            &["scan.slow"],
        ),
        ("three odd packets", |s| ports(s, 1..=3, tcp, FIN), &[]),
        ("pings of ten hosts", |s| dests(s, 10, Service::PROBE, ECHO), &[]),
        ("a hundred pings of one host", |s| s.send(outside(1), inside(1), Service::PROBE, ECHO, 100), &[]),
        (
            "other protocols",
            |s| {
                s.send(outside(1), inside(1), Service::REST, Kind(Verdict::IpOther, 0, 0), FLOOD);
            },
            &[],
        ),
        (
            "malformed packets",
            |s| {
                s.send(outside(1), inside(1), Service::REST, Kind(Verdict::TcpTruncated, 0, 0), 101);
            },
            &["dos.unsolicited"],
        ),
        ("a download at full speed", |s| s.send(outside(1), inside(1), tcp(50_000), TALK, 500_000), &[]),
    ];
    for (name, play, told) in plays {
        assert_eq!(told_of(&Policy::default(), play), told, "{name}");
    }
}

#[test]
fn a_flood_on_a_download_is_still_one() {
    let rate = |asked: u64, unasked: u64| {
        let mut stage = Stage::new(only(&[RuleId::DosRate]));
        stage.send(outside(1), inside(1), tcp(50_000), TALK, asked);
        stage.send(outside(1), inside(1), tcp(50_000), ACK, unasked);
        stage.end_slot();
        stage.told.iter().map(|t| t.severity).collect::<Vec<_>>()
    };
    assert_eq!(rate(180_000, 20_000), [Severity::Info]);
    assert_eq!(rate(179_999, 20_001), [Severity::High]);
}

#[test]
fn destinations_count_that_are_ours() {
    let theirs = |number: u32| outside(1_000 + number);
    let scan = |stage: &mut Stage, ours: u32, others: u32| {
        dests(stage, ours, tcp(81), SYN);
        dests(stage, ours, Service::PROBE, ECHO);
        for last in 1..=others {
            stage.send(outside(1), theirs(last), tcp(81), SYN, 1);
            stage.send(outside(1), theirs(last), Service::PROBE, ECHO, 1);
        }
    };
    let both = ["scan.sweep_icmp", "scan.horizontal"];
    let connected = Policy { connected: home(), ..Policy::default() };
    let local = Policy { local: home(), ..Policy::default() };
    for (name, policy) in [("connected", &connected), ("local", &local)] {
        assert_eq!(told_of(policy, |stage| scan(stage, 21, 0)), both, "{name}");
        assert_eq!(told_of(policy, |stage| scan(stage, 10, 40)), [""; 0], "{name}");
        assert_eq!(told_of(policy, |stage| scan(stage, 11, 40)), both[..1], "{name}");
    }
    // Where nobody knows which ones are ours, all are that do not answer.
    assert_eq!(told_of(&Policy::default(), |stage| scan(stage, 10, 11)), both);
    let answered = |stage: &mut Stage| {
        scan(stage, 21, 0);
        stage.send(outside(1), inside(1), tcp(81), TALK, 1);
    };
    assert_eq!(told_of(&Policy::default(), answered), both[..1]);
    // A host that is ours was probed whether it answered or not.
    assert_eq!(told_of(&connected, answered), both);

    let flood = |to: u32, of: fn(u32) -> netwatch_common::Addr| {
        move |stage: &mut Stage| {
            (1..=200).for_each(|source| stage.send(outside(source), of(to), udp(53), UDP, 600));
        }
    };
    let ddos = only(&[RuleId::DdosDestination]);
    let connected = Policy { connected: home(), ..ddos.clone() };
    assert_eq!(told_of(&ddos, flood(9, outside)), ["ddos.destination"]);
    assert_eq!(told_of(&connected, flood(9, outside)), [""; 0]);
    assert_eq!(told_of(&connected, flood(9, inside)), ["ddos.destination"]);
}

#[test]
fn a_port_that_serves_many_is_not_flooded() {
    let policy = only(&[RuleId::FloodSyn]);
    let serve = |served: u64, abandoned: u64, confidence: Confidence, answers: Kind| {
        let mut stage = Stage::new(policy.clone());
        stage.confidence = confidence;
        for source in 1..=10 {
            stage.send(outside(source), inside(1), tcp(80), SYN, (served + abandoned) / 10);
            stage.send(outside(source), inside(1), tcp(80), answers, served / 10);
        }
        stage.end_slot();
        stage.told.iter().map(|t| t.observed).collect::<Vec<_>>()
    };
    let completed = Kind(Verdict::Known, 0x10, 1);
    assert_eq!(serve(100, 400, Confidence::Flows, completed), [0; 0]);
    assert_eq!(serve(90, 400, Confidence::Flows, completed), [400]);
    // Talk that completes no handshake belongs to older connections.
    assert_eq!(serve(100, 400, Confidence::Flows, TALK), [500]);
    // Where handshakes are not counted, talk is all there is.
    assert_eq!(serve(100, 400, Confidence::Flags, TALK), [0; 0]);
    assert_eq!(serve(90, 400, Confidence::Flags, TALK), [400]);
}

#[test]
fn where_handshakes_are_not_counted_connections_are_told_by_their_packets() {
    let client = |connections: u64, abandoned: u64| {
        let mut stage = Stage::new(Policy::default());
        stage.confidence = Confidence::Flags;
        stage.send(outside(1), inside(1), tcp(443), SYN, connections + abandoned);
        stage.send(outside(1), inside(1), tcp(443), TALK, connections);
        stage.end_slot();
        stage.told.iter().map(|t| (t.rule, t.observed, t.confidence, t.spoofable)).collect::<Vec<_>>()
    };
    let dos = |observed| (RuleId::DosUnsolicited, observed, Confidence::Flags, false);
    let packets = |observed| (RuleId::DosPackets, observed, Confidence::Flags, false);
    assert_eq!(client(200, 0), [packets(400)]);
    assert_eq!(client(200, 100), [packets(500)]);
    assert_eq!(client(200, 101), [dos(101), packets(501)]);
}

#[test]
fn fragments_are_a_flood_where_they_are_many_of_a_hosts_packets() {
    let share = |others: u64| {
        told_of(&only(&[RuleId::FloodFragment]), |stage: &mut Stage| {
            for source in 1..=10 {
                stage.send(outside(source), inside(1), Service::FRAGMENT, FRAGMENT, 1_000);
                stage.send(outside(source), inside(1), tcp(443), TALK, others);
            }
        })
    };
    assert_eq!(share(4_000), [""; 0]);
    assert_eq!(share(3_999), ["flood.fragment"]);
}

#[test]
fn many_sources_are_needed() {
    let ddos = |sources: u32| {
        told_of(&only(&[RuleId::DdosDestination]), |stage: &mut Stage| {
            (1..=sources).for_each(|source| stage.send(outside(source), inside(1), udp(53), UDP, 2_000));
        })
    };
    assert_eq!(ddos(100), [""; 0]);
    assert_eq!(ddos(101), ["ddos.destination"]);
}

#[test]
fn the_allow_list_names_sources_and_destinations() {
    let flood = |stage: &mut Stage| {
        (1..=4).for_each(|source| stage.send(outside(source), inside(1), tcp(80), SYN, 90));
    };
    let allow = |addr, rule| {
        let allow = vec![Allow { prefix: Prefix::new(addr, 128).unwrap(), rule }];
        Policy { allow, ..Policy::default() }
    };
    for (name, policy, held_back) in [
        ("nobody", Policy::default(), 0),
        ("the destination, of all", allow(inside(1), None), 1),
        ("the destination, of this rule", allow(inside(1), Some(RuleId::FloodSyn)), 1),
        ("the destination, of another rule", allow(inside(1), Some(RuleId::DdosDestination)), 0),
        ("another destination", allow(inside(2), None), 0),
        ("a source", allow(outside(1), None), 0),
    ] {
        let mut stage = Stage::new(policy);
        flood(&mut stage);
        stage.end_slot();
        let told: &[&str] = if held_back == 0 { &["flood.syn"] } else { &[] };
        assert_eq!(stage.opened(), told, "{name}");
        assert_eq!(stage.suppressed(Suppression::Allowed), held_back, "{name}");
    }
    // What a source may do, a destination that has its address may not have done to it.
    let mut stage = Stage::new(allow(inside(1), None));
    (1..=11).for_each(|port| stage.send(outside(1), inside(1), tcp(port), SYN, 1));
    assert_eq!(stage.end_slot().len(), 1);
}

#[test]
fn counted_literally_every_packet_is_evidence() {
    let plays: [(&str, Play, &[&str]); 5] = [
        ("talk on eleven ports", |s| ports(s, 1..=11, tcp, TALK), &["scan.vertical"]),
        ("talk on ten ports", |s| ports(s, 1..=10, tcp, TALK), &[]),
        ("late replies", |s| ports(s, 1..=11, udp, LATE_REPLY), &["scan.vertical"]),
        ("odd packets are not told apart", |s| ports(s, 1..=11, tcp, FIN), &["scan.vertical"]),
        ("eleven packets to one port", |s| s.send(outside(1), inside(1), tcp(80), TALK, 11), &[]),
    ];
    let policy = Policy { counting: Counting::Everything, ..Policy::default() };
    for (name, play, told) in plays {
        assert_eq!(told_of(&policy, play), told, "{name}");
    }
}
