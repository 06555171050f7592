use super::*;
use crate::analysis::policy::{Counting, Prefix};
use crate::analysis::slot::Confidence;
use netwatch_common::Addr;
use proptest::prelude::*;

fn dest(last: u8) -> Addr {
    core::net::Ipv4Addr::new(192, 0, 2, last).into()
}

/// A source that has sent this, and what `newest` says in the slot that ended last.
fn view(targets: &[(Service, u8, TargetStats)], confidence: Confidence) -> SourceView {
    let mut view = SourceView::new(dest(200));
    let mut targets: Vec<_> = targets
        .iter()
        .map(|(service, last, stats)| (ServiceKey { dest: dest(*last), service: *service }, *stats))
        .collect();
    targets.sort_by_key(|(key, _)| *key);
    targets.dedup_by_key(|(key, _)| *key);
    for (key, stats) in targets {
        for (sum, count) in view.stats.classes.iter_mut().zip(stats.classes(key.service)) {
            *sum += count;
        }
        view.stats.bytes += stats.bytes;
        view.stats.completed += u64::from(stats.completed);
        view.add(key, stats);
    }
    view.conclude(Counting::Evidence, confidence);
    view
}

fn case(view: &SourceView, early: bool) -> Case<'_> {
    let rules = RuleSet::of(&RuleId::ALL);
    let (newest, newest_ns, slow) = (view.stats, 5_000_000_000, SlowScan::default());
    Case { view, newest, newest_ns, slow, baseline: None, rules, early }
}

fn opened(port: u16, last: u8, opening: u32) -> (Service, u8, TargetStats) {
    (Service::new(Proto::Tcp, port), last, TargetStats { opening, ..TargetStats::default() })
}

#[test]
fn checks_come_in_the_order_in_which_they_explain() {
    let mut targets: Vec<_> = (1..=21).map(|last| opened(22, last, 2)).collect();
    targets.extend((1..=31).map(|last| opened(445, last, 1)));
    let view = view(&targets, Confidence::Flows);
    let (ssh, smb) = (Service::new(Proto::Tcp, 22), Service::new(Proto::Tcp, 445));
    let port = |rule, service| Check::port(rule, service);
    let checks = case(&view, false).checks(&Policy::default(), &[]);
    let expect = [
        &SCANS[..],
        &[port(RuleId::ScanHorizontal, ssh), port(RuleId::ScanHorizontal, smb)],
        &OTHERS,
        &[port(RuleId::PortHammer, ssh), port(RuleId::PortHammer, smb)],
    ];
    assert_eq!(checks, expect.concat());

    // What goes on is checked, whatever there is of it; each once.
    let gone = port(RuleId::PortHammer, Service::new(Proto::Tcp, 3389));
    let mut followed = [gone, port(RuleId::PortHammer, ssh), SCANS[0]];
    followed.sort_unstable();
    let checks = case(&view, false).checks(&Policy::default(), &followed);
    assert_eq!(checks.len(), expect.concat().len() + 1);
    assert!(checks.contains(&gone));

    let only = Case { rules: EARLY, ..case(&view, true) };
    assert!(only.checks(&Policy::default(), &followed).iter().all(|check| EARLY.contains(check.rule)));
}

#[test]
fn who_did_half_of_what_is_too_much_is_notable() {
    let udp =
        |noise: u32| vec![(Service::new(Proto::Udp, 53), 1, TargetStats { noise, ..TargetStats::default() })];
    let echo = TargetStats { noise: 1, ..TargetStats::default() };
    for (name, targets, is_notable) in [
        ("5 ports", (1..=5).map(|port| opened(port, 1, 1)).collect::<Vec<_>>(), false),
        ("6 ports", (1..=6).map(|port| opened(port, 1, 1)).collect(), true),
        ("10 destinations", (1..=10).map(|last| opened(80, last, 1)).collect(), false),
        ("11 destinations", (1..=11).map(|last| opened(80, last, 1)).collect(), true),
        ("5 pings", (1..=5).map(|last| (Service::PROBE, last, echo)).collect(), false),
        ("6 pings", (1..=6).map(|last| (Service::PROBE, last, echo)).collect(), true),
        ("50 packets", udp(50), false),
        ("51 packets", udp(51), true),
    ] {
        assert_eq!(
            case(&view(&targets, Confidence::Flows), false).is_notable(&Policy::default(), &[]),
            is_notable,
            "{name}"
        );
    }
    let (busy, policy) = (view(&udp(51), Confidence::Flows), Policy::default());
    let told = [Check::whole(RuleId::DosUnsolicited)];
    assert!(!case(&busy, false).is_notable(&policy, &told), "what has an incident can wait");
}

#[test]
fn rates_are_of_a_second() {
    for (count, length_ns, rate) in [
        (100_000, 5_000_000_000, 20_000),
        (100_004, 5_000_000_000, 20_000),
        (100_005, 5_000_000_000, 20_001),
        (u64::MAX, 1, u64::MAX),
        (7, 0, 7_000_000_000),
        (0, 0, 0),
    ] {
        assert_eq!(per_second(count, length_ns), rate, "{count} in {length_ns}");
    }
}

fn target() -> impl Strategy<Value = (Service, u8, TargetStats)> {
    let service = prop_oneof![
        4 => (1..40u16).prop_map(|port| Service::new(Proto::Tcp, port)),
        2 => (1..40u16).prop_map(|port| Service::new(Proto::Udp, port)),
        1 => Just(Service::PROBE),
        1 => Just(Service::FRAGMENT),
        1 => Just(Service::REST),
    ];
    let number = || prop_oneof![3 => Just(0u32), 3 => 1..4u32, 1 => 20..200u32, 1 => 50_000..200_000u32];
    let numbers = (number(), number(), number(), number(), number(), 0..3u32);
    (service, 1..40u8, numbers).prop_map(
        |(service, last, (opening, stealth, out_of_state, noise, rest, completed))| {
            let bytes = 60 * u64::from(opening + stealth + out_of_state + noise + rest);
            (
                service,
                last,
                TargetStats {
                    bytes,
                    opening,
                    stealth,
                    out_of_state,
                    noise,
                    rest,
                    completed,
                    ..TargetStats::default()
                },
            )
        },
    )
}

proptest! {
    /// Most sources are not looked at more closely than this, so it must never be wrong about one that matters.
    #[test]
    fn a_source_that_breaks_a_rule_may_fire(
        targets in prop::collection::vec(target(), 0..60),
        is_local in any::<bool>(),
        early in any::<bool>(),
        knows_ours in any::<bool>(),
        flows in any::<bool>(),
        disabled in prop::sample::select(RuleId::ALL.to_vec()),
    ) {
        let mut policy = Policy::default();
        policy.rules[disabled as usize].enabled = false;
        if knows_ours {
            policy.connected = vec![Prefix::new(dest(0), 96 + 28).unwrap()];
        }
        let view = view(&targets, if flows { Confidence::Flows } else { Confidence::Flags });
        let case = case(&view, early);
        let permits = policy.permits(view.addr);
        for check in case.checks(&policy, &[]) {
            let permit = permits[check.rule as usize];
            let finding = case.find(check, &policy, (is_local, permit), &Activity::default());
            prop_assert!(!finding.fires() || case.may_fire(&policy), "{finding:?}");
            prop_assert_eq!(finding.threshold, check.threshold(&policy, is_local));
            // Nothing that a check finds is more than it can find at most.
            let targets = len(view.service(match check.aspect {
                Aspect::Port(service) => service,
                _ => Service::PROBE,
            }));
            // SYNs in flight decide whether it is a flood, not how large it is.
            let packets = if check.rule == RuleId::DosUnsolicited { view.unsolicited() } else { 0 };
            prop_assert!(finding.observed <= case.most(check).max(targets).max(packets), "{finding:?}");
        }
    }
}
