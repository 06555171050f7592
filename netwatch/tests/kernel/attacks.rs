//! Scans by real tools and by many sources: whatever the technique, one incident, named and counted right.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use netwatch_common::classify::SYN;
use xtask::traffic::{Frame, scenario};

use crate::incident::{expect, incidents, named, told};
use crate::lab;
use crate::process::Netwatch;
use crate::reload::File;
use crate::talk;
use crate::wire::{TARGET, host, nmap, outside_runs, send};

/// How nmap scans, and what must be told of it: rule, technique, ports.
const SCANS: [(&str, &str, &str, u64); 16] = [
    ("-sS -p 1-1000", "scan.vertical", "syn", 1000),
    ("-sS -p 1-200 -g 53 --data-length 24", "scan.vertical", "syn", 200),
    ("-sS -p 1-200 --ttl 7 --ip-options R", "scan.vertical", "syn", 200),
    ("-sS -p 1-200 --badsum --max-retries 0 --min-rate 500", "scan.vertical", "syn", 200),
    ("-sA -p 1-1000", "scan.vertical", "ack", 1000),
    ("-sW -p 1-200", "scan.vertical", "ack", 200),
    ("-sM -p 1-200", "scan.vertical", "maimon", 200),
    ("-sU -p 1-200 --max-retries 0 --min-rate 500", "scan.vertical", "udp", 200),
    ("-sU -p 1-200 --max-retries 0 --min-rate 500 -g 53", "scan.vertical", "udp", 200),
    ("-sF -p 1-1000", "scan.stealth", "fin", 1000),
    ("-sN -p 1-200", "scan.stealth", "null", 200),
    ("-sX -p 1-200", "scan.stealth", "xmas", 200),
    ("-sS -p 1-1000 -f", "scan.stealth", "tiny_fragments", 1000),
    ("-sS -p 1-200 --mtu 16", "scan.stealth", "tiny_fragments", 200),
    ("-sS -p 1-200 --scanflags SYNFIN", "scan.stealth", "syn_fin", 200),
    ("-sS -p 1-200 --scanflags PSH --max-retries 0 --min-rate 500", "scan.stealth", "odd_flags", 200),
];

#[test]
fn nmap_finds_no_technique_that_hides_it() {
    let lab = lab();
    // One watcher sees all of them, each from a source of its own.
    let netwatch = Netwatch::start(lab.watched(), "--map-memory 32M");
    let mut expected = Vec::new();
    for (number, (options, rule, technique, ports)) in (40..).zip(SCANS) {
        let source = Ipv4Addr::new(198, 51, 100, number);
        lab.outside().add_address(source.into(), 24).unwrap();
        let Some(()) = nmap(&lab, &format!("{options} -Pn -e nw1 -S {source} {TARGET}")) else { return };
        expected.push(told(format!("{rule} {source}"), &[technique], ports));
    }
    let alerts = netwatch.alerts();
    expect(&alerts, expected);
    for incident in incidents(&alerts) {
        let want = match incident.context("rule").as_str() {
            Some("scan.stealth") => "high",
            _ if incident.peak() > 100 => "high",
            _ => "medium",
        };
        assert_eq!(incident.severity(), want, "{}", incident.what());
    }
}

#[test]
fn nmap_is_seen_where_the_kernel_connects_for_it() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let Some(()) = nmap(&lab, "-sT -Pn -p 1-1000 198.51.100.1") else { return };
    expect(&netwatch.alerts(), vec![told("scan.vertical 198.51.100.2", &["syn"], 1000)]);
}

#[test]
fn nmap_over_ipv6_is_one_network() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let Some(()) = nmap(&lab, "-6 -sS -Pn -p 1-1000 2001:db8:1::1") else { return };
    let alerts = netwatch.alerts();
    expect(&alerts, vec![told("scan.vertical 2001:db8:1::2", &["syn"], 1000)]);
    assert_eq!(incidents(&alerts)[0].context("source"), "2001:db8:1::/64");
}

#[test]
fn hosts_of_one_network_scan_as_one() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let target = "2001:db8:1::1".parse().unwrap();
    let probe = |network: u16, host: u16| {
        let source = format!("2001:db8:{network:x}::{host:x}").parse().unwrap();
        Frame::ipv6(source, target).tcp(40_000, host, SYN).build()
    };
    // Of one network ten ports, of another eleven: each port from a host of its own.
    let frames: Vec<_> =
        (1..=10).map(|host| probe(0x10, host)).chain((1..=11).map(|host| probe(0x11, host))).collect();
    send(&lab, &frames);
    let alerts = netwatch.alerts();
    expect(&alerts, vec![told("scan.vertical 2001:db8:11::", &["syn"], 11)]);
    assert_eq!(incidents(&alerts)[0].context("source"), "2001:db8:11::/64");
}

#[test]
fn decoys_are_told_like_the_scanner_that_hides_among_them() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let decoys = "198.51.100.10,198.51.100.11,198.51.100.12,ME";
    let Some(()) = nmap(&lab, &format!("-sS -Pn -p 1-500 -D {decoys} 198.51.100.1")) else { return };
    let sources = ["198.51.100.2", "198.51.100.10", "198.51.100.11", "198.51.100.12"];
    let expected = sources.map(|source| told(format!("scan.vertical {source}"), &["syn"], 500));
    expect(&netwatch.alerts(), expected.into());
}

/// What is told of a tool that goes through the 256 addresses of a network behind the watched side.
fn sweep(line: &str) -> Option<Vec<serde_json::Value>> {
    let lab = lab();
    lab.add_network(Ipv4Addr::new(10, 9, 0, 0), 24).unwrap();
    let file = File::new("sweep", "local = [\"10.9.0.0/24\"]\n");
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    let output = outside_runs(&lab, line)?;
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Some(netwatch.alerts())
}

#[test]
fn pings_to_a_whole_network_are_a_sweep() {
    // By itself nmap asks on ports 80 and 443, too.
    for line in ["nmap -n -sn -PE 10.9.0.0/24", "nmap -n -sn 10.9.0.0/24"] {
        let Some(alerts) = sweep(line) else { return };
        expect(&alerts, vec![told("scan.sweep_icmp 198.51.100.2", &["echo"], 256)]);
    }
}

#[test]
fn one_port_of_a_whole_network_is_a_horizontal_scan() {
    let Some(alerts) = sweep("nmap -n -sS -Pn -p 445 10.9.0.0/24") else { return };
    expect(&alerts, vec![told("scan.horizontal 198.51.100.2", &["syn"], 256)]);
}

#[test]
fn each_address_of_a_network_counts_once() {
    let lab = lab();
    lab.add_network(Ipv4Addr::new(10, 9, 0, 0), 24).unwrap();
    let file = File::new("addresses", "local = [\"10.9.0.0/24\"]\n");
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    let dest = |last| Ipv4Addr::new(10, 9, 0, last);
    let echo = |source, last| Frame::ipv4(host(source), dest(last)).echo_request(1, last.into()).build();
    // No login port: everything twice would be many attempts.
    let syn = |source, last| Frame::ipv4(host(source), dest(last)).tcp(40_000, 8443, SYN).build();
    let frames: Vec<_> = (0..=1)
        // Everything twice: who is asked again is not another.
        .flat_map(|_| {
            let pings = (1..=10).map(|last| echo(10, last)).chain((1..=11).map(|last| echo(11, last)));
            pings.chain((1..=20).map(|last| syn(20, last))).chain((1..=21).map(|last| syn(21, last)))
        })
        .collect();
    send(&lab, &frames);
    expect(
        &netwatch.alerts(),
        vec![
            told("scan.sweep_icmp 203.0.113.11", &["echo"], 11),
            told("scan.horizontal 203.0.113.21", &["syn"], 21),
        ],
    );
}

#[test]
fn many_sources_with_few_ports_each_are_one_scan() {
    let lab = lab();
    lab.add_network(Ipv4Addr::new(10, 9, 0, 0), 16).unwrap();
    let file = File::new("distributed", "local = [\"10.9.0.0/16\"]\n");
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    let few = |network: [u8; 3], sources: u8, dest: u8, each: u16| {
        (1..=sources).flat_map(move |source| {
            let [a, b, c] = network;
            let (from, to) = (Ipv4Addr::new(a, b, c, source), Ipv4Addr::new(10, 9, dest, 1));
            let first = u16::from(source) * each;
            scenario::syn_scan(from.into(), to.into(), first..first + each)
        })
    };
    let frames: Vec<_> = few([203, 0, 113], 30, 1, 3)
        // Enough ports and one source too few; enough sources and one port too few.
        .chain(few([192, 0, 2], 20, 2, 5))
        .chain(few([198, 18, 0], 30, 3, 2))
        .collect();
    send(&lab, &frames);
    let alerts = netwatch.alerts();
    assert_eq!(named(&alerts), ["scan.distributed -> 10.9.1.1"]);
    assert_eq!(incidents(&alerts)[0].peak(), 90);
}

#[test]
fn connections_to_a_login_port_are_hammering_from_the_thirty_first_on() {
    let lab = lab();
    let client = |last| Ipv4Addr::new(198, 51, 100, last);
    for last in [30, 31, 80] {
        lab.outside().add_address(client(last).into(), 24).unwrap();
    }
    let netwatch = Netwatch::start(lab.watched(), "");
    for port in [22, 8080] {
        talk::serve(lab.watched().run(|| TcpListener::bind((TARGET, port)).unwrap()).unwrap(), 100);
    }
    lab.outside()
        .run(|| {
            for (last, count, port) in [(30, 30, 22), (31, 31, 22), (80, 60, 8080)] {
                for _ in 0..count {
                    let from = SocketAddrV4::new(client(last), 0);
                    talk::fetch(talk::connect(from, SocketAddrV4::new(TARGET, port)), 100);
                }
            }
        })
        .unwrap();
    let alerts = netwatch.alerts();
    assert_eq!(named(&alerts), ["port.hammer 198.51.100.31"]);
    let incident = &incidents(&alerts)[0];
    assert_eq!(incident.peak(), 31);
    assert_eq!(incident.context("spoofable"), false, "who completes a handshake is there");
}
