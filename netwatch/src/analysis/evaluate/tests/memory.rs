use super::{home, only};
use crate::analysis::policy::Policy;
use crate::analysis::rules::RuleId;
use crate::analysis::tests::stage::{FIN, SYN, Stage, TALK, UDP, inside, outside, tcp, udp};

/// A port every so many slots, from the `first` on.
fn slowly(stage: &mut Stage, source: u32, first: u64, count: u64, slots: u64) -> Vec<String> {
    let mut told = Vec::new();
    for port in first..first + count {
        stage.send(outside(source), inside(1), tcp(port), SYN, 1);
        told.extend(stage.silence(slots));
    }
    told
}

#[test]
fn a_slow_scan_is_one_incident() {
    let mut stage = Stage::new(Policy::default());
    // Every three minutes; the eleventh comes in the slot that ends at 1805 s.
    let mut told = slowly(&mut stage, 1, 1, 20, 36);
    told.extend(stage.silence(3_000));
    assert_eq!(
        told,
        [
            "1805 open scan.slow 198.18.0.1 11",
            "2705 update scan.slow 198.18.0.1 16",
            "3605 update scan.slow 198.18.0.1 19",
            "4505 update scan.slow 198.18.0.1 14",
            "5405 update scan.slow 198.18.0.1 9",
            // Four ports and fewer from 6305 s on, for two hours.
            "13505 close scan.slow 198.18.0.1 0",
        ]
    );
}

#[test]
fn slowness_has_an_end() {
    // Six minutes each: never more than ten within an hour.
    let mut stage = Stage::new(Policy::default());
    assert_eq!(slowly(&mut stage, 1, 1, 30, 72), [""; 0]);
    // A memory of two hours is enough.
    let mut policy = Policy::default();
    policy.rules[RuleId::ScanSlow as usize].window_ns = Some(7_200_000_000_000);
    let mut stage = Stage::new(policy);
    assert_eq!(slowly(&mut stage, 1, 1, 11, 72), ["3605 open scan.slow 198.18.0.1 11"]);
}

#[test]
fn who_is_answered_is_no_slow_scan() {
    let told = |answered: u64| {
        let mut stage = Stage::new(Policy::default());
        for port in 1..=15 {
            stage.send(outside(1), inside(1), tcp(port), SYN, 1);
            // Of whom nothing was refused, nothing is remembered: the first port is closed.
            if (2..2 + answered).contains(&port) {
                stage.send(outside(1), inside(1), tcp(port), TALK, 1);
            }
            stage.silence(13);
        }
        stage.send(outside(1), inside(1), tcp(16), SYN, 1);
        stage.end_slot();
        stage.opened().len()
    };
    assert_eq!(told(0), 1);
    // 13 of 16 did not answer, that is 81 percent.
    assert_eq!(told(3), 1);
    // 12 of 16, that is 75 percent.
    assert_eq!(told(4), 0);
}

#[test]
fn one_completed_handshake_and_it_is_a_client() {
    let mut stage = Stage::new(Policy::default());
    assert_eq!(slowly(&mut stage, 1, 1, 10, 13), [""; 0]);
    stage.connect(outside(1), inside(1), tcp(443), 1);
    assert_eq!(stage.end_slot(), [""; 0]);
    assert_eq!(slowly(&mut stage, 1, 11, 20, 13), [""; 0]);
    // An hour later that is forgotten.
    stage.silence(720);
    assert_eq!(slowly(&mut stage, 1, 1, 11, 13).len(), 1);
}

#[test]
fn a_scan_that_was_told_is_no_slow_one() {
    let mut stage = Stage::new(Policy::default());
    // Eight ports are remembered when the scan of another eight makes 16 in one window.
    let mut told = slowly(&mut stage, 1, 1, 8, 1);
    told.extend(slowly(&mut stage, 1, 101, 8, 1));
    // While it goes on nothing is remembered, so a few more afterwards are few.
    told.extend(stage.silence(40));
    told.extend(slowly(&mut stage, 1, 201, 10, 13));
    assert_eq!(told, ["55 open scan.vertical 198.18.0.1 11", "240 close scan.vertical 198.18.0.1 0",]);
    assert_eq!(slowly(&mut stage, 1, 301, 1, 13), ["935 open scan.slow 198.18.0.1 11"]);
}

/// So many sources, each with some ports of its own.
fn shared(stage: &mut Stage, dest: u32, sources: u32, each: u64) {
    for source in 1..=sources {
        for port in 1..=each {
            let port = u64::from(source) * 100 + port;
            stage.send(outside(source), inside(dest), tcp(port), SYN, 1);
        }
    }
}

#[test]
fn what_many_do_together_is_one_incident() {
    let mut stage = Stage::new(Policy::default());
    let mut told = Vec::new();
    for _ in 0..3 {
        shared(&mut stage, 1, 25, 3);
        told.extend(stage.silence(24));
    }
    told.extend(stage.silence(480));
    assert_eq!(
        told,
        [
            "5 open scan.distributed 192.0.2.1 75",
            // The last came at 245 s; ten minutes later nothing is left of it, and twice that it is over.
            "2045 close scan.distributed 192.0.2.1 0",
        ]
    );
    let open = stage.first(RuleId::ScanDistributed).unwrap();
    assert_eq!((open.sources, open.ports.distinct, open.ports.first_ports()[0]), (25, 75, 101));
    assert_eq!((open.source, open.port, open.window_ns), (None, None, 600_000_000_000));
}

#[test]
fn only_what_nobody_answers_and_nobody_explains_is_shared() {
    type Play = fn(&mut Stage);
    let plays: [(&str, Play, bool); 8] = [
        ("21 sources, 63 ports", |s| shared(s, 1, 21, 3), true),
        ("20 sources, 80 ports", |s| shared(s, 1, 20, 4), false),
        ("30 sources, 60 ports", |s| shared(s, 1, 30, 2), false),
        (
            "half of them on another host",
            |s| {
                shared(s, 1, 20, 2);
                shared(s, 2, 40, 1);
            },
            false,
        ),
        ("not our host", |s| shared(s, 0x1_0000, 40, 3), false),
        ("sources that scan by themselves", |s| shared(s, 1, 30, 20), false),
        (
            "all answered",
            |s| {
                shared(s, 1, 30, 3);
                let targets: Vec<_> = s.maps.targets.keys().copied().collect();
                targets.iter().for_each(|key| s.send(key.source, key.dest, key.service, TALK, 1));
            },
            false,
        ),
        (
            "odd packets are tries, too",
            |s| {
                (1..=70).for_each(|n| s.send(outside(n), inside(1), tcp(n.into()), FIN, 1));
            },
            true,
        ),
    ];
    for (name, play, is_told) in plays {
        let mut stage = Stage::new(Policy { connected: home(), ..Policy::default() });
        play(&mut stage);
        stage.end_slot();
        let told = stage.told.iter().filter(|t| t.rule == RuleId::ScanDistributed).count();
        assert_eq!(told, usize::from(is_told), "{name}");
    }
}

#[test]
fn what_is_usual_is_learned_in_an_hour() {
    let told = |usual: u64, slots: u32, flood: u64| {
        let mut stage = Stage::new(only(&[RuleId::DdosDestination]));
        for (per_second, slots, sources) in [(usual, slots, 5), (flood, 1, 125)] {
            let count = per_second * 5;
            for _ in 0..slots {
                for source in 1..=sources {
                    let rest = u64::from(u64::from(source) <= count % u64::from(sources));
                    let share = count / u64::from(sources) + rest;
                    stage.send(outside(source), inside(1), udp(53), UDP, share);
                }
                stage.end_slot();
            }
        }
        stage.told.iter().map(|t| (t.observed, t.threshold)).collect::<Vec<_>>()
    };
    // Below a thousand nothing is a flood, however unusual.
    assert_eq!(told(100, 720, 600), []);
    assert_eq!(told(100, 720, 1_000), []);
    assert_eq!(told(100, 720, 1_001), [(1_001, 1_000)]);
    // 500 is learned as 512, of which five times is too much.
    assert_eq!(told(500, 720, 2_560), []);
    assert_eq!(told(500, 720, 2_561), [(2_561, 2_560)]);
    // Never more than the threshold, and nothing is learned sooner.
    assert_eq!(told(10_000, 720, 20_001), [(20_001, 20_000)]);
    assert_eq!(told(100, 719, 20_000), []);
}
