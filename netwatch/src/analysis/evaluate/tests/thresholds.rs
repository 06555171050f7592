use super::{only, told_of};
use crate::analysis::policy::{LOCAL_FACTOR, LoginPorts, Policy, Prefix};
use crate::analysis::rules::{RuleId, Severity};
use crate::analysis::tests::stage::{
    ACK, COMPLETED, ECHO, FIN, FRAGMENT, Kind, SYN, Stage, TALK, UDP, inside, outside, tcp, udp,
};
use netwatch_common::{Addr, Service};

const SLOT_S: u64 = 5;

/// How to show a rule exactly so many of its units.
type Show = fn(&mut Stage, u64);

fn one_port_each(stage: &mut Stage, kind: Kind, service: fn(u64) -> Service, count: u64) {
    for port in 1..=count {
        stage.send(outside(1), inside(1), service(port), kind, 1);
    }
}

fn one_dest_each(stage: &mut Stage, kind: Kind, service: Service, count: u64) {
    for last in 1..=u32::try_from(count).unwrap() {
        stage.send(outside(1), inside(last), service, kind, 1);
    }
}

/// Packets from so many sources to one service, all alike but for what remains.
fn from_many(stage: &mut Stage, sources: u32, service: Service, kind: Kind, count: u64) {
    let share = count / u64::from(sources);
    for source in 1..sources {
        stage.send(outside(source), inside(1), service, kind, share);
    }
    stage.send(outside(sources), inside(1), service, kind, count - share * u64::from(sources - 1));
}

fn slowly(stage: &mut Stage, count: u64) {
    for port in 1..=count {
        stage.send(outside(1), inside(1), tcp(port), SYN, 1);
        if port < count {
            stage.silence(7);
        }
    }
}

fn shared_by_21(stage: &mut Stage, count: u64) {
    for port in 1..=count {
        stage.send(outside(u32::try_from(port % 21).unwrap()), inside(1), tcp(port), SYN, 1);
    }
}

/// Every rule, with what it tolerates, how severe the next one more is, and how to show it that.
const RULES: [(RuleId, u64, Severity, Show); 19] = [
    (RuleId::ScanVertical, 10, Severity::Medium, |stage, n| one_port_each(stage, SYN, tcp, n)),
    (RuleId::ScanVertical, 10, Severity::Medium, |stage, n| one_port_each(stage, UDP, udp, n)),
    (RuleId::ScanVertical, 10, Severity::Medium, |stage, n| one_port_each(stage, ACK, tcp, n)),
    (RuleId::ScanVertical, 10, Severity::High, |stage, n| one_port_each(stage, FIN, tcp, n)),
    (RuleId::ScanStealth, 3, Severity::High, |stage, n| one_port_each(stage, FIN, tcp, n)),
    (RuleId::ScanHorizontal, 20, Severity::Medium, |stage, n| one_dest_each(stage, SYN, tcp(22), n)),
    (RuleId::ScanHorizontal, 20, Severity::Medium, |stage, n| one_dest_each(stage, UDP, udp(53), n)),
    (RuleId::ScanSweepIcmp, 10, Severity::Low, |stage, n| one_dest_each(stage, ECHO, Service::PROBE, n)),
    (RuleId::ScanSlow, 10, Severity::Low, slowly),
    (RuleId::ScanDistributed, 60, Severity::Medium, shared_by_21),
    (RuleId::DosUnsolicited, 100, Severity::Low, |stage, n| {
        stage.send(outside(1), inside(1), udp(53), UDP, n);
    }),
    (RuleId::DosUnsolicited, 100, Severity::Low, |stage, n| {
        stage.send(outside(1), inside(1), tcp(80), SYN, n);
    }),
    (RuleId::DosPackets, 100, Severity::Info, |stage, n| {
        stage.send(outside(1), inside(1), tcp(80), TALK, n);
    }),
    (RuleId::DosRate, 20_000, Severity::High, |stage, n| {
        stage.send(outside(1), inside(1), udp(53), UDP, n * SLOT_S);
    }),
    (RuleId::DosRate, 1_000_000_000, Severity::High, |stage, n| {
        // One packet a second: 8 bits make a byte, so a few bits more are one byte more.
        stage.bytes = n.div_ceil(8);
        stage.send(outside(1), inside(1), udp(53), UDP, SLOT_S);
    }),
    (RuleId::DdosDestination, 20_000, Severity::Critical, |stage, n| {
        from_many(stage, 101, udp(53), UDP, n * SLOT_S);
    }),
    (RuleId::FloodSyn, 256, Severity::High, |stage, n| from_many(stage, 4, tcp(80), SYN, n)),
    (RuleId::FloodFragment, 1_000, Severity::Medium, |stage, n| {
        from_many(stage, 50, Service::FRAGMENT, FRAGMENT, n * SLOT_S);
    }),
    (RuleId::PortHammer, 30, Severity::Low, |stage, n| stage.connect(outside(1), inside(1), tcp(22), n)),
];

#[test]
fn what_is_tolerated_is_not_told_and_one_more_is() {
    for (index, (rule, most, severity, show)) in RULES.into_iter().enumerate() {
        let name = format!("{index}: {}", rule.name());
        for tolerated in [0, 1, most] {
            let mut stage = Stage::new(only(&[rule]));
            show(&mut stage, tolerated);
            stage.end_slot();
            assert_eq!(stage.told, [], "{name}");
        }
        let mut stage = Stage::new(only(&[rule]));
        show(&mut stage, most + 1);
        stage.end_slot();
        let [open] = &stage.told[..] else { panic!("{name}: {:?}", stage.told) };
        assert_eq!((open.rule, open.state.name(), open.severity), (rule, "open", severity), "{name}");
        assert_eq!(open.threshold, most, "{name}");
        // Bits come in bytes.
        assert!((most + 1..most + 9).contains(&open.observed) && open.peak == open.observed, "{name}");
    }
}

#[test]
fn thresholds_follow_the_policy() {
    for (rule, most, _, show) in RULES {
        let mut policy = only(&[rule]);
        policy.rules[rule as usize].enabled = false;
        assert_eq!(told_of(&policy, |stage| show(stage, most + 1)), [""; 0], "{}", rule.name());
        policy.rules[rule as usize].enabled = true;
        policy.rules[rule as usize].notify = Some(true);
        policy.rules[rule as usize].threshold = most + 1;
        policy.rules[rule as usize].params[0] += u64::from(rule == RuleId::DosRate) * 8;
        assert_eq!(told_of(&policy, |stage| show(stage, most + 1)), [""; 0], "{}", rule.name());
        assert_eq!(told_of(&policy, |stage| show(stage, most + 17)), [rule.name()], "{}", rule.name());
    }
}

#[test]
fn every_rule_is_shown_but_those_that_tolerate_nothing() {
    let shown = RULES.map(|(rule, ..)| rule);
    let missing = RuleId::ALL.into_iter().filter(|rule| !shown.contains(rule));
    // These have tests of their own.
    assert!(missing.eq(RuleId::ALL.into_iter().filter(|rule| rule.rule().threshold == 0)));
}

#[test]
fn severity_grows_with_what_is_observed() {
    for (rule, observed, severity) in [
        (RuleId::ScanVertical, 100, Severity::Medium),
        (RuleId::ScanVertical, 101, Severity::High),
        (RuleId::DosUnsolicited, 1_000, Severity::Low),
        (RuleId::DosUnsolicited, 1_001, Severity::Medium),
        (RuleId::DosUnsolicited, 10_000, Severity::Medium),
        (RuleId::DosUnsolicited, 10_001, Severity::High),
        (RuleId::FloodSyn, 1_000_000, Severity::High),
        (RuleId::FloodSyn, 1_000_001, Severity::Critical),
        (RuleId::FloodFragment, 20_000, Severity::Medium),
        (RuleId::FloodFragment, 20_001, Severity::High),
        (RuleId::DosPackets, 1_000_000, Severity::Info),
    ] {
        let (.., show) = RULES.into_iter().find(|(one, ..)| *one == rule).unwrap();
        let mut stage = Stage::new(only(&[rule]));
        show(&mut stage, observed);
        stage.end_slot();
        let told: Vec<_> = stage.told.iter().map(|t| (t.observed, t.severity)).collect();
        assert_eq!(told, [(observed, severity)], "{}", rule.name());
    }
}

#[test]
fn the_operator_says_how_severe_it_is() {
    let mut policy = only(&[RuleId::ScanVertical, RuleId::DosRate]);
    for rule in [RuleId::ScanVertical, RuleId::DosRate] {
        policy.rules[rule as usize].severity = Some(Severity::Low);
    }
    let mut stage = Stage::new(policy);
    // A scan that hides would be high, a download of its own accord only information.
    one_port_each(&mut stage, FIN, tcp, 101);
    stage.send(outside(2), inside(1), tcp(443), TALK, 200_000);
    stage.end_slot();
    let told: Vec<_> = stage.told.iter().map(|t| (t.rule, t.severity)).collect();
    assert_eq!(told, [(RuleId::ScanVertical, Severity::Low), (RuleId::DosRate, Severity::Low)]);
}

#[test]
fn what_netwatch_loses_is_told_at_once() {
    let degraded = |change: fn(&mut Stage)| told_of(&only(&[RuleId::Degraded]), change);
    for (name, change, is_told) in [
        ("nothing", (|_| ()) as fn(&mut Stage), false),
        ("a source's name", |stage| stage.health.sources_refused = 1, true),
        ("a target's", |stage| stage.health.targets_refused = 1, true),
        ("a count", |stage| stage.health.targets_refused = 1, true),
        ("a hint", |stage| stage.health.hints_lost = 1, true),
        ("a slot that came late", |stage| stage.health.late = 1, true),
        ("few malformed", |stage| (stage.health.malformed, stage.health.seen) = (100, 100), false),
        ("one in a hundred", |stage| (stage.health.malformed, stage.health.seen) = (101, 10_100), false),
        ("more than that", |stage| (stage.health.malformed, stage.health.seen) = (101, 10_099), true),
    ] {
        assert_eq!(degraded(change) == ["netwatch.degraded"], is_told, "{name}");
    }
}

#[test]
fn local_sources_may_try_ten_times_as_much() {
    let local = |addr: Addr| vec![Prefix::new(addr, 128).unwrap()];
    for (index, (rule, most, _, show)) in RULES.into_iter().enumerate() {
        let is_scan = matches!(
            rule,
            RuleId::ScanVertical
                | RuleId::ScanStealth
                | RuleId::ScanHorizontal
                | RuleId::ScanSweepIcmp
                | RuleId::ScanSlow
        );
        // The hosts that are scanned are local, too.
        let mut policy = only(&[rule]);
        policy.rules[rule as usize].notify = Some(true);
        policy.local = local(outside(1));
        policy.connected = super::home();
        let more = if is_scan { most * LOCAL_FACTOR } else { most };
        assert_eq!(told_of(&policy, |stage| show(stage, more)), [""; 0], "{index}: {}", rule.name());
        let told = told_of(&policy, |stage| show(stage, more + 1));
        assert_eq!(told, [rule.name()], "{index}: {}", rule.name());
    }
}

#[test]
fn any_port_may_be_one_that_asks_for_a_password() {
    let at = |port| move |stage: &mut Stage| stage.connect(outside(1), inside(1), tcp(port), 31);
    let mut policy = Policy::default();
    assert_eq!(told_of(&policy, at(443)), [""; 0]);
    assert_eq!(told_of(&policy, at(2222)), ["port.hammer"]);
    policy.login_ports = LoginPorts::Any;
    assert_eq!(told_of(&policy, at(443)), ["port.hammer"]);
    policy.login_ports = LoginPorts::These(vec![443]);
    assert_eq!(told_of(&policy, at(443)), ["port.hammer"]);
    assert_eq!(told_of(&policy, at(2222)), [""; 0]);
    // Attempts at several hosts add up, and only those of one source do.
    let spread = |stage: &mut Stage| {
        stage.connect(outside(1), inside(1), tcp(443), 15);
        stage.connect(outside(1), inside(2), tcp(443), 16);
    };
    assert_eq!(told_of(&policy, spread), ["port.hammer"]);
    let shared = |stage: &mut Stage| {
        stage.connect(outside(1), inside(1), tcp(443), 30);
        stage.connect(outside(2), inside(1), tcp(443), 30);
        stage.send(outside(1), inside(1), tcp(443), COMPLETED, 50);
    };
    assert_eq!(told_of(&policy, shared), [""; 0]);
}
