use super::*;

fn finding(rule: RuleId, observed: u64, threshold: u64, permit: Permit) -> Finding {
    Finding::new(Check::whole(rule), observed, threshold, &Policy::default(), permit)
}

#[test]
fn a_finding_fires_above_its_threshold_and_is_quiet_below_half_of_it() {
    for (observed, threshold, fires, is_quiet) in [
        (11, 10, true, false),
        (10, 10, false, false),
        (5, 10, false, false),
        (4, 10, false, true),
        (6, 11, false, false),
        (5, 11, false, true),
        (1, 0, true, false),
        (0, 0, false, true),
        (0, 1, false, true),
        (1, 1, false, false),
        (u64::MAX, u64::MAX - 1, true, false),
    ] {
        let one = finding(RuleId::ScanVertical, observed, threshold, Permit::Raise);
        assert_eq!((one.fires(), one.is_quiet()), (fires, is_quiet), "{observed} of {threshold}");
        // Who is allowed to is followed all the same, and a rule that is switched off finds nothing.
        let allowed = finding(RuleId::ScanVertical, observed, threshold, Permit::Allowed);
        let disabled = finding(RuleId::ScanVertical, observed, threshold, Permit::Disabled);
        assert_eq!((allowed.fires(), disabled.fires()), (fires, false));
    }
}

#[test]
fn severity_is_bounded_unless_the_operator_says_it() {
    let policy = Policy::default();
    let mut told = Policy::default();
    told.rules[RuleId::ScanVertical as usize].severity = Some(Severity::Low);
    told.rules[RuleId::ScanVertical as usize].notify = Some(false);
    let of = |policy: &Policy, observed| {
        let one = Finding::new(Check::whole(RuleId::ScanVertical), observed, 10, policy, Permit::Raise);
        [one, one.at_least(Severity::High, policy), one.at_most(Severity::Info, policy)]
            .map(|finding| (finding.severity, finding.weight))
    };
    let both = |severity| (severity, severity);
    assert_eq!(of(&policy, 11), [both(Severity::Medium), both(Severity::High), both(Severity::Info)]);
    assert_eq!(of(&policy, 101), [both(Severity::High), both(Severity::High), both(Severity::Info)]);
    assert_eq!(of(&told, 101), [(Severity::Low, Severity::Info); 3]);
}

#[test]
fn a_check_knows_its_protocol_port_and_unit() {
    let ssh = Service::new(Proto::Tcp, 22);
    let of = |rule, aspect| {
        let check = Check { rule, aspect };
        (check.proto(), check.dest_port(), check.unit(), check.threshold(&Policy::default(), true))
    };
    assert_eq!(of(RuleId::DosRate, Aspect::Whole), (None, None, "packets/s", 20_000));
    assert_eq!(of(RuleId::DosRate, Aspect::Bits), (None, None, "bits/s", 1_000_000_000));
    let vertical = of(RuleId::ScanVertical, Aspect::Proto(Proto::Udp));
    assert_eq!(vertical, (Some(Proto::Udp), None, "distinct ports", 100));
    let hammer = of(RuleId::PortHammer, Aspect::Port(ssh));
    assert_eq!(hammer, (Some(Proto::Tcp), Some(22), "connection attempts", 30));
    assert_eq!(of(RuleId::PortHammer, Aspect::Port(Service::PROBE)), (None, None, "connection attempts", 30));
}

#[test]
fn sets_hold_what_was_put_into_them() {
    let mut set = RuleSet::of(&[RuleId::ScanVertical, RuleId::Degraded]);
    set.insert(RuleId::DosRate);
    let held: Vec<_> = RuleId::ALL.into_iter().filter(|rule| set.contains(*rule)).collect();
    assert_eq!(held, [RuleId::ScanVertical, RuleId::DosRate, RuleId::Degraded]);
    assert_eq!(set.only(RuleSet::SCANS), RuleSet::of(&[RuleId::ScanVertical]));
    assert_eq!(set.without(RuleSet::SCANS), RuleSet::of(&[RuleId::DosRate, RuleId::Degraded]));
    assert!(set.intersects(RuleSet::SCANS) && !set.intersects(RuleSet::FLOODS));
}
