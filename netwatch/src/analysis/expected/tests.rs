use super::*;
use crate::analysis::policy::Prefix;
use core::net::Ipv4Addr;

fn dest(number: u32) -> Addr {
    Ipv4Addr::from_bits(0xc000_0200 + number).into()
}

fn key(number: u32, proto: Proto, port: u16) -> ServiceKey {
    ServiceKey { dest: dest(number), service: Service::new(proto, port) }
}

fn policy(expected: Expected) -> Policy {
    let local = vec![Prefix::new(dest(0), 96 + 24).unwrap()];
    Policy { local, expected, ..Policy::default() }
}

#[test]
fn ranges_declare_what_lies_in_them_of_their_protocol() {
    let range = |proto, first, last| ServiceRange { proto, first, last };
    let services =
        vec![range(Proto::Tcp, 22, 22), range(Proto::Tcp, 8_000, 8_010), range(Proto::Udp, 53, 53)];
    let expected = Expected { services, learn_ns: 0 };
    for (proto, port, is_declared) in [
        (Proto::Tcp, 22, true),
        (Proto::Udp, 22, false),
        (Proto::Tcp, 7_999, false),
        (Proto::Tcp, 8_000, true),
        (Proto::Tcp, 8_010, true),
        (Proto::Tcp, 8_011, false),
        (Proto::Udp, 53, true),
    ] {
        assert_eq!(expected.declares(Service::new(proto, port)), is_declared, "{proto:?} {port}");
    }
    assert!(!expected.declares(Service::PROBE));
    let shown: Vec<String> = expected.services.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["tcp/22", "tcp/8000-8010", "udp/53"]);
}

#[test]
fn what_has_no_room_is_known_of_all_destinations() {
    let mut learned = Learned::default();
    let most = u32::try_from(LEARNED_SERVICES).unwrap();
    for number in 0..most {
        learned.add(key(number, Proto::Tcp, if number % 4 == 0 { 22 } else { 80 }));
    }
    assert_eq!((learned.services().len(), learned.everywhere().len()), (LEARNED_SERVICES, 0));
    assert!(!learned.knows(&key(most, Proto::Tcp, 22)));

    learned.add(key(most, Proto::Tcp, 22));
    assert!(learned.everywhere().eq([Service::new(Proto::Tcp, 22)]));
    // What that says of each needs no room any more.
    assert_eq!(learned.services().len(), LEARNED_SERVICES * 3 / 4);
    for (asked, is_known) in [
        (key(0, Proto::Tcp, 22), true),
        (key(most + 7, Proto::Tcp, 22), true),
        (key(1, Proto::Tcp, 80), true),
        (key(0, Proto::Tcp, 80), false),
        (key(0, Proto::Udp, 22), false),
    ] {
        assert_eq!(learned.knows(&asked), is_known, "{asked:?}");
    }
    for number in 0..LEARNED_SERVICES {
        let port = u16::try_from(number).unwrap();
        learned.add(key(7, Proto::Udp, port));
    }
    assert_eq!(learned.services().len(), LEARNED_SERVICES);
    assert!(learned.knows(&key(7, Proto::Udp, 16_383)), "the last ones are known of all");
}

#[test]
fn connections_to_our_services_are_accepted() {
    let policy = policy(Expected::default());
    let completed = TargetStats { completed: 1, ..TargetStats::default() };
    let opened = TargetStats { opening: 9, rest: 9, ..TargetStats::default() };
    let elsewhere = ServiceKey { dest: Ipv4Addr::new(198, 18, 0, 1).into(), ..key(1, Proto::Tcp, 22) };
    let probe = ServiceKey { dest: dest(1), service: Service::PROBE };
    for (key, stats, is) in [
        (key(1, Proto::Tcp, 22), completed, true),
        (key(1, Proto::Tcp, 50_000), completed, true),
        (key(1, Proto::Tcp, 22), opened, false),
        (key(1, Proto::Udp, 53), completed, true),
        (key(1, Proto::Udp, 32_767), completed, true),
        (key(1, Proto::Udp, 32_768), completed, false),
        (elsewhere, completed, false),
        (probe, completed, false),
    ] {
        assert_eq!(is_accepted(&key, &stats, &policy), is, "{key:?} {stats:?}");
    }
}

#[test]
fn who_learns_does_not_judge() {
    const HOUR: u64 = 3_600_000_000_000;
    let declared = vec![ServiceRange { proto: Proto::Tcp, first: 22, last: 22 }];
    let of = |services: &[ServiceRange], learn_ns, spent_ns| {
        let policy = policy(Expected { services: services.to_vec(), learn_ns });
        let learned = Learned::after(spent_ns);
        (learned.goes_on(&policy), learned.baseline(&policy).is_some())
    };
    for (name, services, learn_ns, spent_ns, goes_on, judges) in [
        ("at first", &[][..], HOUR, 0, true, false),
        ("at the end", &[], HOUR, HOUR - 1, true, false),
        ("after it", &[], HOUR, HOUR, false, true),
        ("nothing to go by", &[], 0, 0, false, false),
        ("nothing to go by any more", &[], 0, HOUR, false, false),
        ("declared", &declared, 0, 0, false, true),
        ("both, at first", &declared, HOUR, 0, true, false),
        ("both, after it", &declared, HOUR, HOUR, false, true),
    ] {
        assert_eq!(of(services, learn_ns, spent_ns), (goes_on, judges), "{name}");
    }
    // Where learning is off, what was learned is not asked.
    let mut learned = Learned::after(HOUR);
    learned.add(key(1, Proto::Tcp, 80));
    let off = policy(Expected { services: declared, learn_ns: 0 });
    assert!(!learned.baseline(&off).unwrap().knows(&key(1, Proto::Tcp, 80)));
    // Where nobody knows what is ours, and where the rule is off, nothing is learned or told.
    let nobody = Policy { local: Vec::new(), ..policy(Expected::default()) };
    let mut disabled = policy(Expected::default());
    disabled.rules[RuleId::PortUnusual as usize].enabled = false;
    for policy in [nobody, disabled] {
        assert!(!Learned::default().goes_on(&policy));
        assert_eq!(Learned::after(u64::MAX).baseline(&policy), None);
    }
}
