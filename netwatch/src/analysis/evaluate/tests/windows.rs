use super::only;
use crate::analysis::Setting;
use crate::analysis::evaluate::groups;
use crate::analysis::incidents::Side;
use crate::analysis::policy::Policy;
use crate::analysis::rules::RuleId;
use crate::analysis::tests::stage::{SECOND, SYN, Stage, UDP, inside, outside, tcp, udp};
use netwatch_common::PortHash;

/// A rule that looks back so far.
fn with_window(rule: RuleId, window_s: u64) -> Policy {
    let mut policy = only(&[rule]);
    policy.rules[rule as usize].window_ns = Some(window_s * SECOND);
    policy
}

/// One unit of the rule, the `number`th.
fn one(stage: &mut Stage, rule: RuleId, number: u64) {
    let last = u32::try_from(number).unwrap();
    match rule {
        RuleId::ScanVertical => stage.send(outside(1), inside(1), tcp(number), SYN, 1),
        RuleId::ScanHorizontal => stage.send(outside(1), inside(last), tcp(80), SYN, 1),
        RuleId::FloodSyn => stage.send(outside(last % 4), inside(1), tcp(80), SYN, 1),
        _ => stage.send(outside(1), inside(1), udp(53), UDP, 1),
    }
}

#[test]
fn a_window_is_as_long_as_the_rules_says_and_no_longer() {
    for rule in [RuleId::ScanVertical, RuleId::ScanHorizontal, RuleId::DosUnsolicited, RuleId::FloodSyn] {
        for (window_s, slots) in
            [(60, 12), (10, 2), (12, 3), (5, 1), (1, 1), (120, 24), (300, 60), (3_600, 60)]
        {
            let policy = with_window(rule, window_s);
            let most = policy.of(rule).threshold;
            let name = format!("{} {window_s} s", rule.name());
            // All but one, and the last one when the others are still in the window, or are not any more.
            for (pause, is_told) in [(slots - 1, true), (slots, false)] {
                let mut stage = Stage::new(policy.clone());
                (1..=most).for_each(|number| one(&mut stage, rule, number));
                assert_eq!(stage.silence(pause), [""; 0], "{name}");
                one(&mut stage, rule, most + 1);
                stage.end_slot();
                assert_eq!(stage.told.len(), usize::from(is_told), "{name} after {pause} slots");
                let told = stage.told.first().map(|t| (t.observed, t.packets, t.window_ns));
                let window_ns = slots * 5 * SECOND;
                assert_eq!(told, is_told.then_some((most + 1, most + 1, window_ns)), "{name}");
            }
        }
    }
}

#[test]
fn rules_with_windows_of_their_own_do_not_disturb_each_other() {
    let mut policy = only(&[RuleId::ScanVertical, RuleId::ScanHorizontal, RuleId::PortHammer]);
    policy.rules[RuleId::ScanVertical as usize].window_ns = Some(10 * SECOND);
    policy.rules[RuleId::ScanHorizontal as usize].window_ns = Some(300 * SECOND);
    let mut stage = Stage::new(policy);
    let mut told = Vec::new();
    for round in 0..3 {
        for number in 1..=11 {
            one(&mut stage, RuleId::ScanVertical, number);
        }
        for last in 1..=10 {
            stage.send(outside(2), inside(10 * round + last), tcp(23), SYN, 2);
        }
        told.extend(stage.end_slot());
    }
    told.extend(stage.silence(200));
    assert_eq!(
        told,
        [
            "5 open scan.vertical 198.18.0.1 11",
            "10 open port.hammer 198.18.0.2:23 40",
            "15 open scan.horizontal 198.18.0.2:23 30",
            // It left the window of 10 s at 25 s, but incidents end no sooner than two windows of 60 s later.
            "145 close scan.vertical 198.18.0.1 0",
            "195 close port.hammer 198.18.0.2:23 0",
            // Here they are of 300 s: quiet from 315 s on.
            "915 close scan.horizontal 198.18.0.2:23 0",
        ]
    );
}

#[test]
fn every_rule_about_sources_is_applied_in_its_turn() {
    let setting = Setting {
        window_slots: 12,
        slot_ns: 5 * SECOND,
        ipv6_bits: 64,
        one_cpu: false,
        port_hash: PortHash::default(),
    };
    let of_sources = RuleId::ALL.into_iter().filter(|rule| Side::Source.is_of(*rule));
    let mut policy = Policy::default();
    let [(12, rules)] = groups(&policy, &setting)[..] else { panic!("one group") };
    assert!(of_sources.eq(RuleId::ALL.into_iter().filter(|rule| rules.contains(*rule))));
    policy.rules[RuleId::ScanVertical as usize].window_ns = Some(10 * SECOND);
    assert_eq!(groups(&policy, &setting).iter().map(|(slots, _)| *slots).collect::<Vec<_>>(), [12, 2, 12]);
}

#[test]
fn a_scan_explains_a_flood_whichever_windows_they_have() {
    for window_s in [10, 60, 300] {
        let mut policy = Policy::default();
        policy.rules[RuleId::ScanVertical as usize].window_ns = Some(window_s * SECOND);
        let mut stage = Stage::new(policy);
        (1..=200).for_each(|number| one(&mut stage, RuleId::ScanVertical, number));
        stage.end_slot();
        assert_eq!(stage.opened(), ["scan.vertical"], "{window_s} s");
    }
}
