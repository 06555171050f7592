use super::only;
use crate::analysis::limits::{EARLY_EVALUATIONS, EARLY_FLOODS, EARLY_NEAR, EARLY_SOURCES, EARLY_TARGETS};
use crate::analysis::policy::Policy;
use crate::analysis::rules::RuleId;
use crate::analysis::tests::stage::{
    ECHO, FIN, Maps, SECOND, SYN, Stage, TALK, UDP, inside, outside, tcp, udp,
};
use crate::analysis::transition::Suppression;
use netwatch_common::{Class, Hint, Service, TargetKey};

fn scan(stage: &mut Stage, source: u32, ports: core::ops::RangeInclusive<u64>) {
    ports.for_each(|port| stage.send(outside(source), inside(1), tcp(port), SYN, 1));
}

fn number(limit: usize) -> u32 {
    u32::try_from(limit).unwrap()
}

#[test]
fn the_eleventh_port_is_told_at_once() {
    let mut stage = Stage::new(Policy::default());
    scan(&mut stage, 1, 1..=10);
    assert_eq!(stage.look(), [""; 0]);
    scan(&mut stage, 1, 11..=11);
    assert_eq!(stage.look(), ["0 open scan.vertical 198.18.0.1 11"]);
    scan(&mut stage, 1, 12..=40);
    assert_eq!(stage.look(), [""; 0]);
    assert_eq!(stage.end_slot(), [""; 0]);
    assert_eq!(stage.silence(60), ["185 close scan.vertical 198.18.0.1 0"]);
}

#[test]
fn each_rule_that_needs_no_rate_is_told_at_once() {
    type Play = fn(&mut Stage);
    let plays: [(&str, Play, &[&str]); 9] = [
        ("ports", |s| scan(s, 1, 1..=11), &["scan.vertical"]),
        (
            "odd packets",
            |s| (1..=4).for_each(|p| s.send(outside(1), inside(1), tcp(p), FIN, 1)),
            &["scan.stealth"],
        ),
        (
            "pings",
            |s| {
                (1..=11).for_each(|last| s.send(outside(1), inside(last), Service::PROBE, ECHO, 1));
            },
            &["scan.sweep_icmp"],
        ),
        (
            "a port of many",
            |s| (1..=21).for_each(|last| s.send(outside(1), inside(last), tcp(80), SYN, 1)),
            &["scan.horizontal"],
        ),
        ("UDP", |s| s.send(outside(1), inside(1), udp(53), UDP, 101), &["dos.unsolicited"]),
        ("talk", |s| s.send(outside(1), inside(1), udp(53), TALK, 500), &[]),
        (
            "packets of a scan",
            |s| (1..=40).for_each(|p| s.send(outside(1), inside(1), udp(p), UDP, 4)),
            &["scan.vertical"],
        ),
        ("logins", |s| s.connect(outside(1), inside(1), tcp(22), 90), &[]),
        ("a flood of many", |s| (1..=9).for_each(|n| s.send(outside(n), inside(1), tcp(80), SYN, 500)), &[]),
    ];
    for (name, play, told) in plays {
        let mut stage = Stage::new(Policy::default());
        play(&mut stage);
        stage.look();
        assert_eq!(stage.opened(), told, "{name}");
    }
}

#[test]
fn what_the_window_holds_counts() {
    let told = |before: u64, now: u64, pause: u64| {
        let mut stage = Stage::new(Policy::default());
        scan(&mut stage, 1, 1..=before);
        stage.silence(pause);
        scan(&mut stage, 1, 101..=100 + now);
        stage.look().len()
    };
    assert_eq!(
        [told(10, 1, 1), told(9, 1, 1), told(9, 2, 1), told(5, 6, 1), told(1, 10, 1)],
        [1, 0, 1, 1, 1]
    );
    // With the slot that goes on, eleven ended ones make the window.
    assert_eq!([told(10, 1, 11), told(10, 1, 12)], [1, 0]);
    // The same port is not another one.
    let mut stage = Stage::new(Policy::default());
    scan(&mut stage, 1, 1..=10);
    stage.end_slot();
    scan(&mut stage, 1, 1..=10);
    assert_eq!(stage.look(), [""; 0]);
}

#[test]
fn two_targets_of_a_stranger_are_not_looked_at() {
    let mut stage = Stage::new(Policy::default());
    (1..=500).for_each(|source| scan(&mut stage, source, 1..=2));
    stage.look();
    assert_eq!(stage.maps.looks, 0);
    scan(&mut stage, 1, 3..=3);
    stage.look();
    assert_eq!(stage.maps.looks, 4);
}

#[test]
fn hints_of_slots_that_are_over_are_ignored() {
    for first in [0, 7, u32::MAX - 1, u32::MAX, 1 << 31] {
        let mut stage = Stage::new(Policy::default());
        // It takes its time to come so far.
        for number in [1 << 30, 1 << 31, 3 << 30, first] {
            if number <= first {
                stage.end_slot();
                stage.maps.number = number;
            }
        }
        let start_s = stage.start_ns / SECOND;
        scan(&mut stage, 1, 1..=11);
        let late = core::mem::take(&mut stage.hints);
        // The scan is known by the end of the slot, and not by hints of it.
        assert_eq!(stage.end_slot().len(), 1, "{first}");
        assert_eq!(stage.maps.number, first.wrapping_add(1));
        scan(&mut stage, 2, 1..=5);
        stage.look();
        let looks = stage.maps.looks;
        assert_eq!(stage.look_at(&late), [""; 0], "{first}");
        assert_eq!(stage.maps.looks, looks, "{first}");
        // Those of the slot that goes on are not.
        scan(&mut stage, 2, 6..=11);
        let at_s = start_s + 5;
        assert_eq!(stage.look(), [format!("{at_s} open scan.vertical 198.18.0.2 11")], "{first}");
        // A slot later it all begins anew.
        stage.silence(3);
        scan(&mut stage, 3, 1..=11);
        assert_eq!(stage.look().len(), 1, "{first}");
    }
}

#[test]
fn hints_may_come_before_the_slot_before_theirs_was_drained() {
    let mut stage = Stage::new(Policy::default());
    scan(&mut stage, 1, 1..=6);
    let old = stage.maps.clone();
    stage.look();
    stage.maps = Maps { number: 1, ..Default::default() };
    scan(&mut stage, 1, 7..=16);
    // What lies in between is not seen now; nothing is counted twice.
    assert_eq!(stage.look(), [""; 0]);
    let new = core::mem::replace(&mut stage.maps, old);
    assert_eq!(stage.end_slot(), [""; 0]);
    stage.maps = new;
    scan(&mut stage, 1, 17..=17);
    assert_eq!(stage.look(), ["5 open scan.vertical 198.18.0.1 17"]);
    stage.end_slot();
    stage.silence(60);
    let [open, close] = &stage.told[..] else { panic!("{:?}", stage.told) };
    assert_eq!((open.packets, close.packets, close.peak), (17, 17, 17));
}

#[test]
fn totals_are_exact_however_often_it_is_looked() {
    let mut stage = Stage::new(only(&[RuleId::ScanVertical]));
    stage.bytes = 100;
    scan(&mut stage, 1, 1..=8);
    assert_eq!(stage.end_slot(), [""; 0]);
    scan(&mut stage, 1, 1..=3);
    let mut sent = 11;
    for port in 9..60 {
        scan(&mut stage, 1, port..=port);
        stage.send(outside(1), inside(1), tcp(80), TALK, 2);
        sent += 3;
        stage.now_ns += 1;
        stage.look();
        let last = stage.told.last().map(|t| (t.state.name(), t.observed, t.packets, t.bytes));
        let opened = (port >= 11).then_some(("open", 11, 20, 2_000));
        assert_eq!(last, opened, "{port}");
        // Now and then the slot ends, in parts as well.
        match port {
            20 => drop(stage.end_slot()),
            30 | 35 => drop(stage.end_slot_after(2 * SECOND)),
            _ => {}
        }
    }
    stage.silence(60);
    let [open, close] = &stage.told[..] else { panic!("{:?}", stage.told) };
    assert_eq!((close.packets, close.bytes, close.peak), (sent, sent * 100, 59));
    assert_eq!(close.by_class().collect::<Vec<_>>(), [(Class::Syn, 62), (Class::Known, 102)]);
    assert_eq!((open.first_ns, close.first_ns), (1, 1));
}

#[test]
fn totals_are_exact_where_the_end_comes_between_looks() {
    let mut stage = Stage::new(only(&[RuleId::ScanVertical]));
    scan(&mut stage, 1, 1..=20);
    stage.look();
    scan(&mut stage, 1, 1..=20);
    let close = stage.analysis.close_all(SECOND).0;
    // What came after the last look is not known.
    assert_eq!(close.iter().map(|t| (t.packets, t.peak)).collect::<Vec<_>>(), [(20, 20)]);
}

#[test]
fn an_early_look_ends_nothing_and_mutes_nothing() {
    let mut stage = Stage::new(Policy::default());
    scan(&mut stage, 1, 1..=11);
    stage.look();
    let hints = |stage: &Stage| {
        let key = TargetKey { source: outside(1), dest: inside(1), service: tcp(1) };
        vec![Hint { target: key, kind: Hint::PACKETS, slot: stage.maps.number, number: 1, at_ns: 0 }]
    };
    let mut told = Vec::new();
    for _ in 0..60 {
        let hints = hints(&stage);
        told.extend(stage.look_at(&hints));
        told.extend(stage.end_slot());
    }
    assert_eq!(told, ["185 close scan.vertical 198.18.0.1 0"]);
}

#[test]
fn syns_that_may_still_be_answered_are_no_flood_yet() {
    let told = |kind, count: u64, other: u64| {
        let mut stage = Stage::new(Policy::default());
        stage.send(outside(1), inside(1), tcp(80), kind, count);
        stage.send(outside(1), inside(1), udp(53), UDP, other);
        stage.look();
        let early = stage.opened().len();
        stage.end_slot();
        (early, stage.opened().len())
    };
    assert_eq!(told(SYN, 100, 0), (0, 0));
    assert_eq!(told(SYN, 1_100, 0), (0, 1));
    assert_eq!(told(SYN, 1_101, 0), (1, 1));
    assert_eq!(told(SYN, 1_000, 100), (0, 1));
    assert_eq!(told(SYN, 1_000, 101), (1, 1));
    assert_eq!(told(SYN, 0, 101), (1, 1));
    // Those of the slots before have had their time.
    let mut stage = Stage::new(Policy::default());
    stage.send(outside(1), inside(1), tcp(80), SYN, 100);
    stage.end_slot();
    stage.send(outside(1), inside(1), tcp(80), SYN, 1_000);
    stage.look();
    assert_eq!(stage.opened(), [""; 0]);
    stage.send(outside(1), inside(1), tcp(80), SYN, 12);
    stage.look();
    assert_eq!(stage.opened(), ["dos.unsolicited"]);
}

#[test]
fn many_floods_at_once_wait_for_the_end_of_the_slot() {
    let flood = |stage: &mut Stage, sources: u32| {
        (1..=sources).for_each(|source| stage.send(outside(source), inside(1), udp(53), UDP, 101));
    };
    let most = number(EARLY_FLOODS);
    let mut stage = Stage::new(Policy::default());
    flood(&mut stage, most);
    assert_eq!(stage.look().len(), EARLY_FLOODS);
    let mut stage = Stage::new(Policy::default());
    flood(&mut stage, most + 4);
    assert_eq!(stage.look().len(), EARLY_FLOODS);
    assert!(!stage.analysis.is_near(stage.eth0));
    // A scan is told all the same, and in the next slot the next floods are.
    scan(&mut stage, 9_000, 1..=11);
    assert_eq!(stage.look(), ["0 open scan.vertical 198.18.35.40 11"]);
    assert_eq!(stage.end_slot().len(), 4);
    (101..=104).for_each(|source| stage.send(outside(source), inside(1), udp(53), UDP, 101));
    assert_eq!(stage.look().len(), 4);
}

#[test]
fn what_may_be_a_scan_waits_for_the_end_of_the_slot() {
    // Nine ports of three hosts, four packets each: a scan would explain it, but there is none.
    let mut stage = Stage::new(Policy::default());
    for dest in 1..=3 {
        (1..=9).for_each(|port| stage.send(outside(1), inside(dest), udp(port), UDP, 4));
    }
    assert_eq!(stage.look(), [""; 0]);
    assert_eq!(stage.end_slot(), ["5 open dos.unsolicited 198.18.0.1 108"]);
    assert_eq!((stage.suppressed(Suppression::PartOfScan), stage.told[0].suppressed), (0, 0));
}

#[test]
fn who_comes_near_is_looked_at_again_without_hints() {
    let mut stage = Stage::new(Policy::default());
    // One of two CPUs has seen half of the threshold; the other's packets make no hint.
    stage.send(outside(1), inside(1), udp(53), UDP, 51);
    let key = TargetKey { source: outside(1), dest: inside(1), service: udp(53) };
    stage.hints = vec![Hint { target: key, kind: Hint::PACKETS, slot: 0, number: 51, at_ns: 0 }];
    assert!(!stage.analysis.is_near(stage.eth0));
    assert_eq!(stage.look(), [""; 0]);
    assert!(stage.analysis.is_near(stage.eth0));
    stage.send(outside(1), inside(1), udp(53), UDP, 49);
    stage.hints.clear();
    assert_eq!(stage.look(), [""; 0]);
    stage.send(outside(1), inside(1), udp(53), UDP, 1);
    stage.hints.clear();
    assert_eq!(stage.look(), ["0 open dos.unsolicited 198.18.0.1 101"]);
    // Once told it is near no more, nor is anybody when the slot is over.
    assert!(!stage.analysis.is_near(stage.eth0));
    stage.hints = vec![Hint {
        target: TargetKey { source: outside(2), ..key },
        kind: Hint::PACKETS,
        slot: 0,
        number: 51,
        at_ns: 0,
    }];
    stage.look();
    assert!(stage.analysis.is_near(stage.eth0));
    stage.end_slot();
    assert!(!stage.analysis.is_near(stage.eth0));
}

#[test]
fn early_looks_are_bounded() {
    let hint = |kind, source: u32, port: u64| Hint {
        target: TargetKey { source: outside(source), dest: inside(1), service: udp(port) },
        kind,
        slot: 0,
        number: 1,
        at_ns: 0,
    };
    // Targets of a source, and looks at it: one for each target, and one for itself.
    let mut stage = Stage::new(Policy::default());
    let many: Vec<_> = (1..=200).map(|port| hint(Hint::PROBE, 1, port)).collect();
    stage.look_at(&many);
    assert_eq!(stage.maps.looks, EARLY_TARGETS + 1);

    // Sources that are near, at each look.
    let mut stage = Stage::new(Policy::default());
    let many: Vec<_> = (0..number(EARLY_NEAR) + 9).map(|source| hint(Hint::PACKETS, source, 1)).collect();
    stage.look_at(&many);
    assert_eq!(stage.maps.looks, EARLY_NEAR + 9);
    stage.look_at(&[]);
    assert_eq!(stage.maps.looks, 2 * EARLY_NEAR + 9);

    // Evaluations within a slot.
    for _ in 0..60 {
        stage.look_at(&[]);
    }
    assert_eq!(stage.maps.looks, EARLY_EVALUATIONS);
    assert!(!stage.analysis.is_near(stage.eth0));
    scan(&mut stage, 7, 1..=11);
    assert_eq!(stage.look(), [""; 0]);
    assert_eq!(stage.end_slot(), ["5 open scan.vertical 198.18.0.7 11"]);
    scan(&mut stage, 8, 1..=11);
    assert_eq!(stage.look().len(), 1);

    // Sources of which anything is known.
    let mut stage = Stage::new(Policy::default());
    let strangers: Vec<_> = (0..number(EARLY_SOURCES)).map(|source| hint(Hint::PROBE, source, 1)).collect();
    stage.look_at(&strangers);
    assert_eq!(stage.maps.looks, 0);
    scan(&mut stage, 200_000, 1..=11);
    assert_eq!(stage.look(), [""; 0]);
    assert_eq!(stage.end_slot().len(), 1);
}
