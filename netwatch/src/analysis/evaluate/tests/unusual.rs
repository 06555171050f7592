use super::{home, told_of};
use crate::analysis::Learned;
use crate::analysis::expected::{Expected, ServiceRange};
use crate::analysis::policy::{Allow, Policy, Prefix};
use crate::analysis::rules::{RuleId, Severity};
use crate::analysis::slot::Confidence;
use crate::analysis::tests::stage::{
    COMPLETED, Kind, SECOND, SYN, Stage, TALK, UDP, inside, outside, tcp, udp,
};
use crate::analysis::transition::Suppression;
use netwatch_common::{Proto, Verdict};

/// A question over UDP that was answered.
const ANSWERED: Kind = Kind(Verdict::UdpNew, 0, 1);

/// SSH is declared, and nothing is learned.
fn declared() -> Policy {
    expecting(&[(Proto::Tcp, 22, 22)], 0)
}

fn expecting(services: &[(Proto, u16, u16)], learn_s: u64) -> Policy {
    let range =
        |(proto, first, last): &(Proto, u16, u16)| ServiceRange { proto: *proto, first: *first, last: *last };
    let expected = Expected { services: services.iter().map(range).collect(), learn_ns: learn_s * SECOND };
    Policy { connected: home(), expected, ..Policy::default() }
}

type Play = fn(&mut Stage);

#[test]
fn the_first_connection_that_is_accepted_is_told() {
    let plays: [(&str, Play, &[&str]); 13] = [
        ("accepted", |s| s.connect(outside(1), inside(1), tcp(4_444), 1), &["port.unusual"]),
        (
            "accepted on a dynamic port",
            |s| s.connect(outside(1), inside(1), tcp(44_444), 1),
            &["port.unusual"],
        ),
        ("declared", |s| s.connect(outside(1), inside(1), tcp(22), 9), &[]),
        ("refused, or not answered", |s| s.send(outside(1), inside(1), tcp(4_444), SYN, 9), &[]),
        ("an older connection", |s| s.send(outside(1), inside(1), tcp(4_444), TALK, 9), &[]),
        ("not ours", |s| s.connect(inside(1), outside(1), tcp(4_444), 9), &[]),
        ("a neighbour", |s| s.connect(inside(2), inside(1), tcp(4_444), 1), &["port.unusual"]),
        (
            "a question that was answered",
            |s| s.send(outside(1), inside(1), udp(69), ANSWERED, 1),
            &["port.unusual"],
        ),
        ("one that was not", |s| s.send(outside(1), inside(1), udp(69), UDP, 9), &[]),
        ("a call between peers", |s| s.send(outside(1), inside(1), udp(50_000), ANSWERED, 9), &[]),
        (
            "two ports",
            |s| [4_444, 5_555].into_iter().for_each(|port| s.connect(outside(1), inside(1), tcp(port), 1)),
            &["port.unusual", "port.unusual"],
        ),
        (
            "active FTP",
            |s| {
                s.send(outside(1), inside(1), tcp(40_001), TALK, 5);
                s.connect(outside(1), inside(1), tcp(40_002), 1);
            },
            &[],
        ),
        (
            "who is talked to, on a port that no client has",
            |s| {
                s.send(outside(1), inside(1), tcp(40_001), TALK, 5);
                s.connect(outside(1), inside(1), tcp(4_444), 1);
            },
            &["port.unusual"],
        ),
    ];
    for (name, play, told) in plays {
        assert_eq!(told_of(&declared(), play), told, "{name}");
        // Without anything declared, all of it is learned.
        assert_eq!(told_of(&Policy { connected: home(), ..Policy::default() }, play), [""; 0], "{name}");
        assert_eq!(told_of(&expecting(&[], 0), play), [""; 0], "{name}");
        assert_eq!(told_of(&Policy { connected: Vec::new(), ..declared() }, play), [""; 0], "{name}");
    }
}

#[test]
fn an_alert_shows_what_was_accepted_where() {
    let mut stage = Stage::new(declared());
    stage.connect(outside(1), inside(1), tcp(4_444), 2);
    stage.connect(outside(1), inside(2), tcp(4_444), 1);
    stage.connect(outside(1), inside(3), tcp(22), 1);
    stage.send(outside(1), inside(4), tcp(4_444), SYN, 1);
    assert_eq!(stage.end_slot(), ["5 open port.unusual 198.18.0.1:4444 3"]);
    let told = stage.first(RuleId::PortUnusual).unwrap();
    assert_eq!((told.severity, told.threshold, told.spoofable), (Severity::Low, 0, false));
    assert_eq!((told.proto, told.port), (Some(Proto::Tcp), Some(4_444)));
    let dests: Vec<String> = told.dests.first().map(|dest| dest.to_string()).collect();
    assert_eq!(dests, ["192.0.2.1", "192.0.2.2"]);
    // The connection goes on; that it was accepted leaves the window.
    stage.send(outside(1), inside(1), tcp(4_444), TALK, 1);
    assert_eq!(stage.silence(60), ["185 close port.unusual 198.18.0.1:4444 0"]);
}

#[test]
fn what_is_accepted_while_netwatch_learns_is_known_from_then_on() {
    let mut stage = Stage::new(expecting(&[], 10));
    stage.connect(outside(1), inside(1), tcp(80), 1);
    assert_eq!(stage.end_slot(), [""; 0]);
    // The slot in which learning ends is learned to its end.
    stage.connect(outside(1), inside(1), tcp(443), 1);
    assert_eq!(stage.end_slot(), [""; 0]);
    stage.connect(outside(2), inside(1), tcp(80), 1);
    stage.connect(outside(2), inside(1), tcp(443), 1);
    assert_eq!(stage.end_slot(), [""; 0]);
    stage.connect(outside(2), inside(2), tcp(80), 1);
    assert_eq!(stage.end_slot(), ["20 open port.unusual 198.18.0.2:80 1"], "of another destination");
    let learned = stage.analysis.learned(stage.eth0).unwrap();
    assert_eq!((learned.services().len(), learned.spent_ns), (2, 10 * SECOND));
    assert!(!stage.analysis.is_learning(stage.eth0));
}

#[test]
fn a_later_run_begins_with_what_was_learned() {
    let mut learned = Learned::after(5 * SECOND);
    learned.add(crate::analysis::slot::ServiceKey { dest: inside(1), service: tcp(80) });
    let mut stage = Stage::new(expecting(&[], 10));
    stage.analysis.remember(stage.eth0, learned);
    stage.connect(outside(1), inside(1), tcp(443), 1);
    assert_eq!(stage.end_slot(), [""; 0], "learning goes on where it was");
    for port in [80, 443, 4_444] {
        stage.connect(outside(1), inside(1), tcp(port), 1);
    }
    assert_eq!(stage.end_slot(), ["10 open port.unusual 198.18.0.1:4444 1"]);
}

#[test]
fn where_nobody_sees_what_is_accepted_nothing_is_learned_by_waiting() {
    let mut stage = Stage::new(expecting(&[], 10));
    stage.confidence = Confidence::Flags;
    stage.silence(10);
    assert!(stage.analysis.is_learning(stage.eth0));
    stage.confidence = Confidence::Flows;
    stage.silence(2);
    assert!(!stage.analysis.is_learning(stage.eth0));
}

#[test]
fn a_scan_explains_what_it_finds_open() {
    let scan = |ports: u64| {
        move |stage: &mut Stage| {
            (1..=ports).for_each(|port| stage.send(outside(1), inside(1), tcp(port), SYN, 1));
            stage.connect(outside(1), inside(1), tcp(4_444), 1);
            stage.connect(outside(2), inside(1), tcp(4_444), 1);
        }
    };
    assert_eq!(told_of(&declared(), scan(2)), ["port.unusual", "port.unusual"]);
    assert_eq!(told_of(&declared(), scan(20)), ["scan.vertical", "port.unusual"], "of another source");

    let mut stage = Stage::new(declared());
    (1..=20).for_each(|port| stage.send(outside(1), inside(1), tcp(port), SYN, 1));
    stage.end_slot();
    let before = stage.suppressed(Suppression::PartOfScan);
    stage.connect(outside(1), inside(1), tcp(4_444), 1);
    assert_eq!(stage.end_slot(), [""; 0], "while the scan goes on");
    assert_eq!(stage.suppressed(Suppression::PartOfScan), before + 1);
    stage.silence(60);
    stage.connect(outside(1), inside(1), tcp(4_444), 1);
    assert_eq!(stage.end_slot().len(), 1, "and no longer");
}

#[test]
fn the_allow_list_and_a_reload_are_heeded() {
    let mut policy = declared();
    policy.allow =
        vec![Allow { prefix: Prefix::new(outside(1), 128).unwrap(), rule: Some(RuleId::PortUnusual) }];
    let mut stage = Stage::new(policy);
    stage.connect(outside(1), inside(1), tcp(4_444), 1);
    stage.connect(outside(2), inside(1), tcp(5_555), 1);
    assert_eq!(stage.end_slot(), ["5 open port.unusual 198.18.0.2:5555 1"]);
    assert_eq!(stage.suppressed(Suppression::Allowed), 1);

    // What is declared afterwards is quiet from then on; what is not any more is told within the window.
    stage.connect(outside(3), inside(1), tcp(22), 1);
    stage.end_slot();
    stage.analysis.apply(expecting(&[(Proto::Tcp, 4_000, 6_000)], 0));
    assert_eq!(stage.end_slot(), ["15 open port.unusual 198.18.0.3:22 1"]);
    assert_eq!(
        stage.silence(25),
        ["135 close port.unusual 198.18.0.2:5555 0", "140 close port.unusual 198.18.0.3:22 0"][..1]
    );
}

#[test]
fn learning_that_begins_later_begins_with_the_window() {
    let mut stage = Stage::new(expecting(&[], 0));
    stage.connect(outside(1), inside(1), tcp(80), 1);
    stage.end_slot();
    stage.analysis.apply(expecting(&[], 5));
    assert_eq!(stage.silence(1), [""; 0]);
    stage.send(outside(1), inside(1), tcp(80), TALK, 1);
    assert_eq!(stage.end_slot(), [""; 0]);
    stage.send(outside(1), inside(1), tcp(80), COMPLETED, 1);
    assert_eq!(stage.end_slot(), [""; 0]);
}
