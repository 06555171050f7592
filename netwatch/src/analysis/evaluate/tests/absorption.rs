use crate::analysis::policy::Policy;
use crate::analysis::rules::RuleId;
use crate::analysis::tests::stage::{
    ECHO, FIN, FRAGMENT, Kind, SYN, Stage, TALK, UDP, inside, outside, tcp, udp,
};
use crate::analysis::transition::Suppression;
use netwatch_common::Service;

type Play = fn(&mut Stage);

/// Probes of so many ports, with so many packets each.
fn scan(stage: &mut Stage, source: u32, ports: u64, kind: Kind, each: u64) {
    for port in 1..=ports {
        let service = if kind == UDP { udp(port) } else { tcp(port) };
        stage.send(outside(source), inside(1), service, kind, each);
    }
}

fn sweep(stage: &mut Stage, dests: u32, service: Service, kind: Kind, each: u64) {
    for last in 1..=dests {
        stage.send(outside(1), inside(last), service, kind, each);
    }
}

fn flood(stage: &mut Stage, sources: u32, service: Service, kind: Kind, each: u64) {
    for source in 1..=sources {
        stage.send(outside(source), inside(1), service, kind, each);
    }
}

/// What is told of one slot: what explains, and nothing that it explains.
const PLAYS: [(&str, Play, &[&str]); 28] = [
    // A scan and its own packets, which are up to four for each probed target.
    ("a scan with four packets per port", |s| scan(s, 1, 50, SYN, 4), &["scan.vertical"]),
    ("five packets per port", |s| scan(s, 1, 50, SYN, 5), &["scan.vertical", "dos.unsolicited"]),
    ("of UDP", |s| scan(s, 1, 50, UDP, 4), &["scan.vertical"]),
    (
        "of both protocols",
        |s| {
            scan(s, 1, 50, SYN, 4);
            scan(s, 1, 50, UDP, 4);
        },
        &["scan.vertical", "scan.vertical"],
    ),
    ("a sweep with four pings each", |s| sweep(s, 40, Service::PROBE, ECHO, 4), &["scan.sweep_icmp"]),
    ("five pings each", |s| sweep(s, 40, Service::PROBE, ECHO, 5), &["scan.sweep_icmp", "dos.unsolicited"]),
    ("a port of many hosts", |s| sweep(s, 40, tcp(22), SYN, 4), &["scan.horizontal"]),
    ("tried often", |s| sweep(s, 40, tcp(22), SYN, 5), &["scan.horizontal", "dos.unsolicited"]),
    ("a fast scan is no rate", |s| scan(s, 1, 60_000, SYN, 2), &["scan.vertical"]),
    // Scans among themselves.
    ("a stealth scan is one incident", |s| scan(s, 1, 100, FIN, 1), &["scan.stealth"]),
    (
        "a scan of which half hides is one",
        |s| {
            scan(s, 1, 20, SYN, 1);
            scan(s, 1, 10, FIN, 1);
        },
        &["scan.stealth"],
    ),
    (
        "one of which less hides is two",
        |s| {
            scan(s, 1, 21, SYN, 1);
            scan(s, 1, 10, FIN, 1);
        },
        &["scan.stealth", "scan.vertical"],
    ),
    (
        "ports of a network are one scan",
        |s| {
            (1..=20).for_each(|port| sweep(s, 40, tcp(port), SYN, 1));
        },
        &["scan.vertical"],
    ),
    (
        "ten ports of a network are ten",
        |s| {
            (101..=110).for_each(|port| sweep(s, 40, tcp(port), SYN, 1));
        },
        &["scan.horizontal"; 10],
    ),
    // Hammering.
    (
        "logins that are a flood",
        |s| {
            s.send(outside(1), inside(1), tcp(22), SYN, 200);
        },
        &["dos.unsolicited"],
    ),
    ("logins that complete", |s| s.connect(outside(1), inside(1), tcp(22), 200), &["port.hammer"]),
    (
        "logins of which a fifth completes",
        |s| {
            s.send(outside(1), inside(1), tcp(22), SYN, 160);
            s.connect(outside(1), inside(1), tcp(22), 40);
        },
        &["dos.unsolicited", "port.hammer"],
    ),
    (
        "logins of which less completes",
        |s| {
            s.send(outside(1), inside(1), tcp(22), SYN, 161);
            s.connect(outside(1), inside(1), tcp(22), 39);
        },
        &["dos.unsolicited"],
    ),
    (
        "a scan that tries a login four times",
        |s| {
            scan(s, 1, 20, SYN, 1);
            s.send(outside(1), inside(1), tcp(22), SYN, 40);
        },
        &["scan.vertical"],
    ),
    (
        "a scan, and logins",
        |s| {
            scan(s, 1, 20, SYN, 1);
            s.connect(outside(1), inside(1), tcp(22), 90);
        },
        &["scan.vertical", "port.hammer"],
    ),
    // Floods: of one source, which is named, or of a destination.
    ("one source's flood of SYNs", |s| flood(s, 1, tcp(80), SYN, 900), &["dos.unsolicited"]),
    ("two sources'", |s| flood(s, 2, tcp(80), SYN, 900), &["dos.unsolicited"; 2]),
    ("three sources'", |s| flood(s, 3, tcp(80), SYN, 900), &["flood.syn"]),
    ("one source's fragments", |s| flood(s, 1, Service::FRAGMENT, FRAGMENT, 9_000), &["dos.unsolicited"]),
    ("four sources' fragments", |s| flood(s, 4, Service::FRAGMENT, FRAGMENT, 9_000), &["flood.fragment"]),
    ("SYNs of many sources", |s| flood(s, 500, tcp(80), SYN, 300), &["flood.syn"]),
    (
        "all kinds of many sources",
        |s| {
            flood(s, 500, tcp(80), SYN, 100);
            flood(s, 500, udp(80), UDP, 300);
        },
        &["flood.syn", "ddos.destination"],
    ),
    ("UDP of many sources", |s| flood(s, 500, udp(53), UDP, 300), &["ddos.destination"]),
];

#[test]
fn what_explains_is_told_and_what_it_explains_is_not() {
    for (name, play, told) in PLAYS {
        let mut stage = Stage::new(Policy::default());
        play(&mut stage);
        stage.end_slot();
        assert_eq!(stage.opened(), told, "{name}");
        // Nor later, when it is over.
        stage.silence(60);
        assert_eq!(stage.opened(), told, "{name}, and silence");
    }
}

#[test]
fn nothing_is_held_back_without_a_count() {
    let suppressed = |play: Play| {
        let mut stage = Stage::new(Policy::default());
        play(&mut stage);
        stage.end_slot();
        (stage.suppressed(Suppression::PartOfScan), stage.suppressed(Suppression::PartOfFlood))
    };
    // Both floods, and the slow scan.
    assert_eq!(suppressed(|s| scan(s, 1, 200, SYN, 1)), (3, 0));
    // The vertical one as well; stealth is what is told.
    assert_eq!(suppressed(|s| scan(s, 1, 200, FIN, 1)), (4, 0));
    // All that the three sources do: unsolicited, and packets.
    assert_eq!(suppressed(|s| flood(s, 3, tcp(80), SYN, 900)), (0, 6));
    // flood.syn and dos.packets are the source's doing.
    assert_eq!(suppressed(|s| flood(s, 1, tcp(80), SYN, 900)), (0, 1));
}

#[test]
fn a_source_is_part_of_a_flood_if_that_is_what_it_mainly_does() {
    let told = |elsewhere: u64| {
        let mut stage = Stage::new(Policy::default());
        flood(&mut stage, 4, tcp(80), SYN, 200);
        stage.send(outside(1), inside(2), udp(53), UDP, elsewhere);
        stage.end_slot();
        stage.opened()
    };
    assert_eq!(told(200), ["flood.syn"]);
    assert_eq!(told(201), ["flood.syn", "dos.unsolicited"]);
}

#[test]
fn a_stealth_scan_stays_one_incident_however_it_goes_on() {
    let mut stage = Stage::new(Policy::default());
    let mut told = Vec::new();
    for ports in [4, 8, 12, 16, 120, 200] {
        scan(&mut stage, 1, ports, FIN, 1);
        told.extend(stage.end_slot());
    }
    told.extend(stage.silence(60));
    assert_eq!(
        told,
        [
            "5 open scan.stealth 198.18.0.1 4",
            "25 update scan.stealth 198.18.0.1 120",
            "210 close scan.stealth 198.18.0.1 0",
        ]
    );
}

#[test]
fn a_scan_that_hides_later_stays_the_scan_that_it_was() {
    let mut stage = Stage::new(Policy::default());
    scan(&mut stage, 1, 20, SYN, 1);
    let mut told = stage.end_slot();
    scan(&mut stage, 1, 20, FIN, 1);
    told.extend(stage.end_slot());
    told.extend(stage.silence(60));
    assert_eq!(
        told,
        [
            "5 open scan.vertical 198.18.0.1 20",
            // Its severity grew.
            "10 update scan.vertical 198.18.0.1 20",
            "190 close scan.vertical 198.18.0.1 0",
        ]
    );
}

#[test]
fn where_what_explains_is_switched_off_the_rest_is_told() {
    for (off, play, told) in [
        (RuleId::ScanVertical, (|s| scan(s, 1, 200, SYN, 1)) as Play, "scan.slow"),
        (RuleId::ScanStealth, |s| scan(s, 1, 200, FIN, 1), "scan.vertical"),
        (RuleId::DosUnsolicited, |s| flood(s, 1, tcp(80), SYN, 900), "flood.syn"),
        (RuleId::FloodSyn, |s| flood(s, 500, tcp(80), SYN, 300), "ddos.destination"),
    ] {
        let mut policy = Policy::default();
        policy.rules[off as usize].enabled = false;
        let mut stage = Stage::new(policy);
        play(&mut stage);
        stage.end_slot();
        assert_eq!(stage.opened(), [told], "without {}", off.name());
    }
}

#[test]
fn a_rate_of_one_source_is_one_incident() {
    let told = |kind: Kind, bytes: u64| {
        let mut stage = Stage::new(Policy::default());
        stage.bytes = bytes;
        stage.send(outside(1), inside(1), udp(53), kind, 500_000);
        stage.end_slot();
        stage.told.iter().map(|t| format!("{} {} {}", t.rule.name(), t.unit, t.severity.name())).collect()
    };
    let told = |kind, bytes| -> Vec<String> { told(kind, bytes) };
    let unsolicited = "dos.unsolicited unsolicited packets high";
    let packets = "dos.packets packets info";
    assert_eq!(told(UDP, 60), [unsolicited, packets]);
    assert_eq!(told(UDP, 1_500), [unsolicited, packets]);
    // Asked for: only information, and bits as well as packets are one of it.
    assert_eq!(told(TALK, 1_500), ["dos.rate packets/s info", packets]);
}
