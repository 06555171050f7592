//! Scans and floods on the wire, and the alerts they raise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Stdio;

use netwatch_common::classify::{ACK, SYN};
use xtask::lab::Lab;
use xtask::traffic::network::{Extension, Ipv4, Ipv6};
use xtask::traffic::{Frame, scenario};

use crate::process::{Netwatch, PATIENCE, opened};
use crate::{lab, skip};

/// Sends frames from outside and waits until they have been counted.
#[track_caller]
fn send(lab: &Lab, frames: &[Vec<u8>]) {
    let before = lab.watched().counters().unwrap().rx_packets;
    let sent = lab.outside().sender().unwrap().send_all(frames, Some(50_000)).unwrap();
    assert_eq!(sent.accepted, frames.len() as u64);
    lab.watched().received(before + sent.accepted, PATIENCE).unwrap();
}

/// What netwatch says of some frames.
#[track_caller]
fn alerts_of(options: &str, frames: &[Vec<u8>]) -> Vec<serde_json::Value> {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), options);
    send(&lab, frames);
    netwatch.alerts()
}

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const TARGET6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);

#[test]
fn the_eleventh_port_is_a_scan_and_the_tenth_is_not() {
    let scan = |last, ports| scenario::syn_scan(host(last).into(), TARGET.into(), 1..=ports);
    let frames: Vec<_> = scan(10, 10).chain(scan(11, 11)).collect();
    let alerts = alerts_of("", &frames);
    assert_eq!(opened(&alerts), ["scan.vertical 203.0.113.11 11"]);
    assert_eq!(alerts.len(), 2, "one open, one close: {alerts:#?}");

    let (alert, context) = (&alerts[0], &alerts[0]["alert"]["context"]);
    assert_eq!(alert["event_type"], "alert");
    assert_eq!(alert["in_iface"], "nw0");
    assert_eq!(alert["proto"], "TCP");
    assert_eq!(alert["alert"]["action"], "allowed");
    assert_eq!(context["threshold"], 10);
    assert_eq!(context["window_s"], 60.0);
    assert_eq!(context["severity"], "medium");
    assert_eq!(context["first_ports"], serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(context["evidence"], serde_json::json!({ "syn": 11 }));
    assert_eq!(context["incident"], alerts[1]["alert"]["context"]["incident"]);
    assert_eq!(alerts[1]["alert"]["context"]["state"], "close");
}

#[test]
fn the_hundred_and_first_packet_is_too_many_and_the_hundredth_is_not() {
    let flood = |last, count| scenario::syn_flood(host(last).into(), TARGET.into(), 443, count);
    // An answer to a question that this host asked, as far as flags tell.
    let known = |last, count| {
        std::iter::repeat_n(Frame::ipv4(host(last), TARGET).tcp(443, 50_000, ACK).build(), count)
    };
    let frames: Vec<_> =
        flood(100, 100).chain(flood(101, 101)).chain(known(200, 100)).chain(known(201, 101)).collect();
    assert_eq!(opened(&alerts_of("--replies flags", &frames)), ["dos.unsolicited 203.0.113.101 101"]);
    assert_eq!(
        opened(&alerts_of("", &frames)),
        ["dos.unsolicited 203.0.113.101 101", "dos.unsolicited 203.0.113.201 101"],
        "this host has asked nothing"
    );
    assert_eq!(
        opened(&alerts_of("--replies flags --min-severity info", &frames)),
        [
            "dos.packets 203.0.113.101 101",
            "dos.packets 203.0.113.201 101",
            "dos.unsolicited 203.0.113.101 101"
        ]
    );
}

#[test]
fn no_encapsulation_hides_a_scan() {
    /// Makes the SYN of one source to one port.
    type Wrap = fn(IpAddr, u16) -> Vec<u8>;
    fn v4(source: IpAddr) -> Frame<Ipv4> {
        let IpAddr::V4(source) = source else { unreachable!("asked for IPv4") };
        Frame::ipv4(source, TARGET)
    }
    fn v6(source: IpAddr) -> Frame<Ipv6> {
        let IpAddr::V6(source) = source else { unreachable!("asked for IPv6") };
        Frame::ipv6(source, TARGET6)
    }
    const WRAPS4: [Wrap; 6] = [
        |source, port| v4(source).tcp(40_000, port, SYN).build(),
        |source, port| v4(source).vlan(0x8100, 5).tcp(40_000, port, SYN).build(),
        |source, port| v4(source).vlan(0x8100, 0xe000).tcp(40_000, port, SYN).build(),
        |source, port| v4(source).vlan(0x88a8, 5).vlan(0x8100, 6).tcp(40_000, port, SYN).build(),
        |source, port| v4(source).vlan(0x9100, 5).vlan(0x8100, 6).tcp(40_000, port, SYN).build(),
        |source, port| v4(source).options(&[1; 40]).tcp(40_000, port, SYN).build(),
    ];
    const WRAPS6: [Wrap; 5] = [
        |source, port| v6(source).tcp(40_000, port, SYN).build(),
        |source, port| v6(source).vlan(0x8100, 5).tcp(40_000, port, SYN).build(),
        |source, port| {
            v6(source).extension(Extension::DestinationOptions(vec![])).tcp(40_000, port, SYN).build()
        },
        |source, port| {
            let atomic = Extension::Fragment { offset: 0, more: false, id: 7 };
            v6(source).extension(atomic).tcp(40_000, port, SYN).build()
        },
        |source, port| {
            let chain = v6(source).extension(Extension::HopByHop(vec![]));
            chain.extension(Extension::DestinationOptions(vec![])).tcp(40_000, port, SYN).build()
        },
    ];
    let source4 = |last: u8| IpAddr::V4(host(last));
    let source6 = |last: u8| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, last.into()));
    let mut frames = Vec::new();
    let mut expected = Vec::new();
    let wraps4 = (1_u8..).zip(WRAPS4).map(|(number, wrap)| (wrap, source4(number), source4(number + 100)));
    let wraps6 = (1_u8..).zip(WRAPS6).map(|(number, wrap)| (wrap, source6(number), source6(number + 100)));
    for (wrap, quiet, loud) in wraps4.chain(wraps6) {
        frames.extend((1..=10).map(|port| wrap(quiet, port)));
        frames.extend((1..=11).map(|port| wrap(loud, port)));
        expected.push(format!("scan.vertical {loud} 11"));
    }
    expected.sort();
    assert_eq!(opened(&alerts_of("", &frames)), expected);
}

#[test]
fn ports_of_later_fragments_are_never_counted() {
    let frames: Vec<_> = (0..60_u16)
        .map(|port| Frame::ipv4(host(1), TARGET).fragment(64, port % 2 == 0).tcp(40_000, port, SYN).build())
        .chain((0..30_u16).map(|port| {
            Frame::ipv6("2001:db8:2::1".parse().unwrap(), TARGET6)
                .extension(Extension::Fragment { offset: 64, more: false, id: port.into() })
                .tcp(40_000, port, SYN)
                .build()
        }))
        .collect();
    assert_eq!(opened(&alerts_of("", &frames)), [""; 0]);
}

#[test]
fn tiny_fragments_do_not_hide_a_scan() {
    let tiny = |last: u8, port: u16| {
        let mut frame = Frame::ipv4(host(last), TARGET).fragment(0, true).tcp(40_000, port, SYN).build();
        // Eight bytes of TCP: the ports, and none of the flags.
        frame.truncate(14 + 20 + 8);
        frame
    };
    let frames: Vec<_> =
        (1..=10).map(|port| tiny(10, port)).chain((1..=11).map(|port| tiny(11, port))).collect();
    assert_eq!(opened(&alerts_of("", &frames)), ["scan.vertical 203.0.113.11 11"]);
}

#[test]
fn ordinary_traffic_raises_nothing() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let frames: Vec<_> = scenario::inbound(scenario::ordinary(TARGET.into(), 40)).collect();
    assert!(frames.len() > 500);
    send(&lab, &frames);
    assert_eq!(netwatch.alerts(), [serde_json::Value::Null; 0]);
}

#[test]
fn nmap_raises_exactly_one_incident() {
    for (nmap_options, source, target) in [
        ("-sS", "198.51.100.2", "198.51.100.1"),
        ("-sS -f", "198.51.100.2", "198.51.100.1"),
        ("-6 -sS", "2001:db8:1::2", "2001:db8:1::1"),
    ] {
        let lab = lab();
        let netwatch = Netwatch::start(lab.watched(), "");
        let mut nmap = lab.outside().command("nmap");
        nmap.args(nmap_options.split(' ')).args(["-n", "-Pn", "-p", "1-1000", target]);
        match nmap.stdin(Stdio::null()).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return skip("nmap is not installed (`apt install nmap`)");
            }
            output => {
                let output = output.unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        let opened = opened(&netwatch.alerts());
        let [only] = &opened[..] else { panic!("{nmap_options}: {opened:?}") };
        let observed = only.strip_prefix(&format!("scan.vertical {source} ")).expect(only);
        // A slot may end in the middle of the scan: the close tells the whole.
        assert!((11..=1000).contains(&observed.parse::<u32>().unwrap()), "{only}");
    }
}
