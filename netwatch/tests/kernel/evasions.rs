//! Ways to disguise a probe, as bytes: each is seen for what it is, and at the port where it becomes a scan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

use netwatch_common::classify::{ACK, FIN, PSH, RST, SYN, URG};
use xtask::traffic::network::{Extension, Ipv4, Ipv6};
use xtask::traffic::transport::Tcp;
use xtask::traffic::{Frame, scenario};

use crate::incident::{expect, told};
use crate::lab;
use crate::process::Netwatch;
use crate::wire::{TARGET, TARGET6, host, send};

/// The frames by which one source probes one port of the watched side.
type Probe<N> = Box<dyn Fn(Frame<N>, u16) -> Vec<Vec<u8>>>;

/// A disguise: its name, the probe, and what must be told.
struct Disguise<N> {
    name: &'static str,
    probe: Probe<N>,
    rule: &'static str,
    technique: &'static str,
}

/// A disguise of one frame for each port.
fn one<N>(
    name: &'static str,
    rule: &'static str,
    technique: &'static str,
    probe: impl Fn(Frame<N>, u16) -> Vec<u8> + 'static,
) -> Disguise<N> {
    Disguise { name, rule, technique, probe: Box::new(move |frame, port| vec![probe(frame, port)]) }
}

const VERTICAL: &str = "scan.vertical";
const STEALTH: &str = "scan.stealth";

/// A question for the address of example.net (RFC 1035).
const DNS: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03net\x00\x00\x01\x00\x01";
/// The description of a system, asked for by SNMP version 1 as "public".
const SNMP: &[u8] =
    b"\x30\x29\x02\x01\x00\x04\x06public\xa0\x1c\x02\x04\x6e\x77\x00\x01\x02\x01\x00\x02\x01\x00\
    \x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00";
/// The first byte of a question for the time: NTP version 4, from a client (RFC 5905).
const NTP: u8 = 0x23;

fn link_and_header() -> Vec<Disguise<Ipv4>> {
    let mut all = vec![
        one("nothing", VERTICAL, "syn", |frame, port| frame.tcp(40_000, port, SYN).build()),
        one("VLAN", VERTICAL, "syn", |frame, port| frame.vlan(0x8100, 5).tcp(40_000, port, SYN).build()),
        one("priority tag", VERTICAL, "syn", |frame, port| {
            frame.vlan(0x8100, 0xe000).tcp(40_000, port, SYN).build()
        }),
    ];
    for (name, outer) in [("QinQ", 0x88a8), ("QinQ of old", 0x9100), ("two VLANs", 0x8100)] {
        all.push(one(name, VERTICAL, "syn", move |frame, port| {
            frame.vlan(outer, 5).vlan(0x8100, 6).tcp(40_000, port, SYN).build()
        }));
    }
    // Every header length that there is: 5 words are the case above.
    for words in 1..=10 {
        all.push(one("options", VERTICAL, "syn", move |frame, port| {
            frame.options(&vec![1; words * 4]).tcp(40_000, port, SYN).build()
        }));
    }
    all
}

fn fragments() -> Vec<Disguise<Ipv4>> {
    let first = |frame: Frame<Ipv4>, port| frame.id(port).fragment(0, true).tcp(40_000, port, SYN);
    let later = |frame: Frame<Ipv4>, id, offset, more, bytes: &[u8]| {
        frame.id(id).fragment(offset, more).protocol(6, bytes).build()
    };
    vec![
        one("first fragment", VERTICAL, "syn", move |frame, port| first(frame, port).build()),
        one("tiny first fragment", STEALTH, "tiny_fragments", move |frame, port| {
            let mut tiny = frame.id(port).fragment(0, true).total_length(28).tcp(40_000, port, SYN).build();
            tiny.truncate(14 + 20 + 8);
            tiny
        }),
        Disguise {
            name: "a SYN in three pieces",
            rule: STEALTH,
            technique: "tiny_fragments",
            probe: Box::new(move |frame, port| {
                let whole = frame.clone().tcp(40_000, port, SYN).build();
                let [a, b, c] = [&whole[34..42], &whole[42..50], &whole[50..]];
                vec![
                    later(frame.clone(), port, 0, true, a),
                    later(frame.clone(), port, 1, true, b),
                    later(frame, port, 2, false, c),
                ]
            }),
        },
        Disguise {
            name: "a middle that overwrites the flags",
            rule: VERTICAL,
            technique: "syn",
            probe: Box::new(move |frame, port| {
                let rewritten = frame.clone().tcp(40_000, port, RST).build();
                vec![first(frame.clone(), port).build(), later(frame, port, 1, false, &rewritten[42..])]
            }),
        },
        Disguise {
            name: "the end before the beginning",
            rule: VERTICAL,
            technique: "syn",
            probe: Box::new(move |frame, port| {
                vec![later(frame.clone(), port, 3, false, &[7; 16]), first(frame, port).build()]
            }),
        },
    ]
}

fn flags() -> Vec<Disguise<Ipv4>> {
    const ECN: u8 = 0xc0;
    let table = [
        ("SYN with ECN", VERTICAL, "syn", SYN | ECN),
        ("SYN and PSH", VERTICAL, "syn", SYN | PSH),
        ("FIN", STEALTH, "fin", FIN),
        ("NULL", STEALTH, "null", 0),
        ("XMAS", STEALTH, "xmas", FIN | PSH | URG),
        ("SYN and FIN", STEALTH, "syn_fin", SYN | FIN),
        ("SYN and RST", STEALTH, "syn_fin", SYN | RST),
        ("SYN, FIN and ACK", STEALTH, "syn_fin", SYN | FIN | ACK),
        ("PSH", STEALTH, "odd_flags", PSH),
        ("URG", STEALTH, "odd_flags", URG),
        ("FIN and URG", STEALTH, "odd_flags", FIN | URG),
        ("ACK", VERTICAL, "ack", ACK),
        ("ACK and PSH", VERTICAL, "ack", ACK | PSH),
        ("Maimon", VERTICAL, "maimon", FIN | ACK),
    ];
    let by_flags = table.map(|(name, rule, technique, flags)| {
        one(name, rule, technique, move |frame: Frame<Ipv4>, port| frame.tcp(40_000, port, flags).build())
    });
    let mut all = Vec::from(by_flags);
    all.push(one("SYN with data", VERTICAL, "syn", |frame, port| {
        frame.carrying(Tcp::new(40_000, port, SYN).payload(b"GET / HTTP/1.0\r\n\r\n")).build()
    }));
    for (name, from) in [("from FTP's data port", 20), ("from DNS", 53), ("from HTTPS", 443)] {
        all.push(one(name, VERTICAL, "syn", move |frame, port| frame.tcp(from, port, SYN).build()));
    }
    all.push(one("another port for each", VERTICAL, "syn", |frame, port| {
        frame.tcp(50_000 + port, port, SYN).build()
    }));
    all
}

fn datagrams() -> Vec<Disguise<Ipv4>> {
    let time = [&[NTP][..], &[0; 47]].concat();
    let table = [
        ("no payload", 40_000, vec![]),
        ("a question for a name", 40_000, DNS.to_vec()),
        ("a question for the time", 40_000, time),
        ("a question for a system", 40_000, SNMP.to_vec()),
        // A reply goes to a port that a question came from, and no question comes from a system port.
        ("from DNS", 53, DNS.to_vec()),
        ("from HTTPS", 443, vec![7; 1200]),
    ];
    let all = table.map(|(name, from, payload)| {
        one(name, VERTICAL, "udp", move |frame: Frame<Ipv4>, port| frame.udp(from, port, &payload).build())
    });
    all.into()
}

fn extensions() -> Vec<Disguise<Ipv6>> {
    let routing = |kind| Extension::Routing { kind, segments_left: 0, data: vec![0; 4] };
    let fragment = |more| Extension::Fragment { offset: 0, more, id: 7 };
    let options = || Extension::DestinationOptions(vec![]);
    let chains = [
        ("nothing", vec![]),
        ("hop by hop", vec![Extension::HopByHop(vec![])]),
        ("destination options", vec![options()]),
        (
            "long options",
            vec![Extension::DestinationOptions(vec![1, 250].into_iter().chain([0; 250]).collect())],
        ),
        ("source route", vec![routing(0)]),
        ("mobile route", vec![routing(2)]),
        ("compressed route", vec![routing(3)]),
        ("segment route", vec![routing(4)]),
        ("atomic fragment", vec![fragment(false)]),
        ("first fragment", vec![fragment(true)]),
        ("authentication", vec![Extension::Authentication(vec![0; 12])]),
        ("mobility", vec![Extension::Mobility { kind: 5, data: vec![] }]),
        ("host identity", vec![Extension::Other { number: 139, data: vec![0; 6] }]),
        ("shim", vec![Extension::Other { number: 140, data: vec![0; 6] }]),
        (
            "eight of them",
            vec![
                Extension::HopByHop(vec![5, 2, 0, 0]),
                options(),
                routing(0),
                fragment(false),
                Extension::Authentication(vec![0; 12]),
                options(),
                Extension::Mobility { kind: 5, data: vec![] },
                options(),
            ],
        ),
    ];
    chains
        .into_iter()
        .map(|(name, chain)| {
            one(name, VERTICAL, "syn", move |frame, port| {
                let wrapped = chain.iter().cloned().fold(frame, Frame::extension);
                wrapped.tcp(40_000, port, SYN).build()
            })
        })
        .chain([
            one("VLAN", VERTICAL, "syn", |frame: Frame<Ipv6>, port| {
                frame.vlan(0x8100, 5).tcp(40_000, port, SYN).build()
            }),
            one("FIN", STEALTH, "fin", |frame, port| frame.tcp(40_000, port, FIN).build()),
            one("ACK", VERTICAL, "ack", |frame, port| frame.tcp(40_000, port, ACK).build()),
            one("UDP", VERTICAL, "udp", |frame, port| frame.udp(40_000, port, DNS).build()),
        ])
        .collect()
}

/// Each disguise is tried by two sources: one stops at the threshold, the other goes one port further.
#[track_caller]
fn each_is_seen<N>(disguises: Vec<Disguise<N>>, from: fn(u8) -> (IpAddr, Frame<N>)) {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let (mut frames, mut expected) = (Vec::new(), Vec::new());
    for (number, disguise) in (1..).zip(disguises) {
        let tolerated = if disguise.rule == STEALTH { 3 } else { 10 };
        for (source, ports) in [(number, tolerated), (number + 100, tolerated + 1)] {
            frames.extend((1..=ports).flat_map(|port| (disguise.probe)(from(source).1, port)));
        }
        let loud = from(number + 100).0;
        println!("{loud}: {}", disguise.name);
        let what = format!("{} {loud}", disguise.rule);
        expected.push(told(what, &[disguise.technique], u64::from(tolerated) + 1));
    }
    send(&lab, &frames);
    expect(&netwatch.alerts(), expected);
}

fn from4(last: u8) -> (IpAddr, Frame<Ipv4>) {
    (host(last).into(), Frame::ipv4(host(last), TARGET))
}

/// Every source is in a network of its own.
fn from6(number: u8) -> (IpAddr, Frame<Ipv6>) {
    let source = Ipv6Addr::new(0x2001, 0xdb8, 2, number.into(), 0, 0, 0, 1);
    (source.into(), Frame::ipv6(source, TARGET6))
}

#[test]
fn no_tag_and_no_header_length_hides_a_scan() {
    each_is_seen(link_and_header(), from4);
}

#[test]
fn fragments_do_not_hide_a_scan() {
    each_is_seen(fragments(), from4);
}

#[test]
fn flags_and_source_ports_do_not_hide_a_scan() {
    each_is_seen(flags(), from4);
}

#[test]
fn payloads_do_not_hide_a_scan() {
    each_is_seen(datagrams(), from4);
}

#[test]
fn extension_headers_do_not_hide_a_scan() {
    each_is_seen(extensions(), from6);
}

#[test]
fn ports_of_later_fragments_are_never_counted() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let frames: Vec<_> = (0..60_u16)
        .map(|port| Frame::ipv4(host(1), TARGET).fragment(64, port % 2 == 0).tcp(40_000, port, SYN).build())
        .chain((0..30_u16).map(|port| {
            let later = Extension::Fragment { offset: 64, more: false, id: port.into() };
            from6(1).1.extension(later).tcp(40_000, port, SYN).build()
        }))
        .collect();
    send(&lab, &frames);
    expect(&netwatch.alerts(), vec![]);
}

#[test]
fn the_end_of_a_slot_divides_no_scan() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let ten = |source: Ipv4Addr, first| {
        scenario::syn_scan(source.into(), TARGET.into(), first..first + 10).collect::<Vec<_>>()
    };
    send(&lab, &ten(host(1), 1));
    // At least one end of a slot lies between the two halves, and no end of the window.
    thread::sleep(Duration::from_millis(1500));
    send(&lab, &ten(host(1), 101));
    expect(&netwatch.alerts(), vec![told("scan.vertical 203.0.113.1", &["syn"], 20)]);
}
