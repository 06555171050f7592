//! Packets as they are told.

use std::net::{Ipv4Addr, Ipv6Addr};

use netwatch_common::{Sample, Settings, Verdict};
use xtask::traffic::Frame;
use xtask::traffic::network::Extension;
use xtask::traffic::transport::{ACK, PSH, RST, SYN, Tcp};

use super::json::Event;
use super::line::{Line, Style};
use super::packet::Told;
use crate::sinks::Wall;

const NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const NEAR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
const FAR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 7);
/// 14 November 2023, 22:13:20.
const WALL: Wall = Wall::new(1_700_000_000_000_000_000);

fn sample(frame: &[u8], verdict: Verdict) -> Sample {
    let len = u32::try_from(frame.len()).unwrap();
    Sample { at_ns: 123_456_789, wire_len: len, captured: len, verdict: verdict as u8, ..Sample::default() }
}

fn line_of(sample: &Sample, frame: &[u8], payload: bool) -> String {
    let told = Told::of(sample, frame, &Settings::DEFAULT);
    Line { told: &told, wall: WALL, style: Style { colour: false, payload } }.to_string()
}

/// The line behind its time, which is always the same.
#[track_caller]
fn line(frame: &[u8], verdict: Verdict) -> String {
    let line = line_of(&sample(frame, verdict), frame, false);
    let rest = line.strip_prefix("22:13:20.123456 in  ").expect("the time");
    rest.strip_suffix('\n').expect("one line").to_owned()
}

#[test]
fn every_kind_of_packet_has_its_line() {
    let v4 = || Frame::ipv4(FAR, NEAR);
    let v6 = || Frame::ipv6(FAR6, NEAR6);
    let arp = |operation: u8| {
        let head = [0, 1, 8, 0, 6, 4, 0, operation, 0, 0, 0x5e, 0, 0x53, 2, 192, 0, 2, 7];
        Frame::ethernet(0x0806, &[&head[..], &[0; 6], &[198, 51, 100, 1]].concat()).build()
    };
    for (frame, verdict, wanted) in [
        (
            v4().tcp(40_000, 22, SYN).build(),
            Verdict::Syn,
            "tcp   192.0.2.7:40000 > 198.51.100.1:22  S  54 bytes  syn",
        ),
        (
            v6().tcp(40_000, 22, RST | ACK).build(),
            Verdict::Backscatter,
            "tcp   [2001:db8:9::7]:40000 > [2001:db8:1::1]:22  RA  74 bytes  backscatter",
        ),
        (
            v4().tcp(1, 2, 0).build(),
            Verdict::Stealth,
            "tcp   192.0.2.7:1 > 198.51.100.1:2  -  54 bytes  stealth",
        ),
        (
            v4().tcp(1, 2, 0xff).build(),
            Verdict::Stealth,
            "tcp   192.0.2.7:1 > 198.51.100.1:2  SFRPAUEC  54 bytes  stealth",
        ),
        (
            v4().udp(53, 4000, b"abc").build(),
            Verdict::LateReply,
            "udp   192.0.2.7:53 > 198.51.100.1:4000  45 bytes  udp_new",
        ),
        (
            v4().echo_request(1, 1).build(),
            Verdict::IcmpProbe,
            "icmp  192.0.2.7 > 198.51.100.1  echo request  74 bytes  icmp_probe",
        ),
        (
            v4().icmp(3, 3, &[0; 4]).build(),
            Verdict::IcmpOther,
            "icmp  192.0.2.7 > 198.51.100.1  unreachable code 3  42 bytes  other",
        ),
        (
            v6().extension(Extension::HopByHop(Vec::new())).icmp(135, 0, &[0; 20]).build(),
            Verdict::IcmpOther,
            "icmp6 2001:db8:9::7 > 2001:db8:1::1  neighbour solicitation  86 bytes  other",
        ),
        (
            v4().fragment(185, false).protocol(17, &[1; 8]).build(),
            Verdict::Fragment,
            "udp   192.0.2.7 > 198.51.100.1  fragment  42 bytes  fragment",
        ),
        (
            v4().protocol(47, &[0; 8]).build(),
            Verdict::IpOther,
            "gre   192.0.2.7 > 198.51.100.1  42 bytes  other",
        ),
        (
            v4().protocol(99, &[0; 8]).build(),
            Verdict::IpOther,
            "ip 99 192.0.2.7 > 198.51.100.1  42 bytes  other",
        ),
        (arp(1), Verdict::Arp, "arp   192.0.2.7 asks who has 198.51.100.1  42 bytes  other"),
        (
            arp(2),
            Verdict::Arp,
            "arp   192.0.2.7 tells 198.51.100.1 that it is at 00:00:5e:00:53:02  42 bytes  other",
        ),
        (
            Frame::ethernet(0x88cc, &[7; 20]).build(),
            Verdict::NonIp,
            "eth   00:00:5e:00:53:02 > 00:00:5e:00:53:01  type 0x88cc  34 bytes  other",
        ),
        (
            v4().vlan(0x88a8, 0x2009).vlan(0x8100, 5).tcp(1, 2, ACK).build(),
            Verdict::Known,
            "tcp   vlan 9 vlan 5 192.0.2.7:1 > 198.51.100.1:2  A  62 bytes  known",
        ),
        (vec![1; 9], Verdict::EthTruncated, "eth   -  9 bytes  malformed (eth_truncated)"),
        (
            v4().tcp(1, 2, ACK).build()[..40].to_vec(),
            Verdict::TcpTruncated,
            "tcp   192.0.2.7 > 198.51.100.1  40 bytes  malformed (tcp_truncated)",
        ),
    ] {
        assert_eq!(line(&frame, verdict), wanted);
    }
}

#[test]
fn a_tag_beside_the_frame_is_told_counted_and_put_back() {
    let tagged = Frame::ipv4(FAR, NEAR).vlan(0x8100, 0xa005).udp(1, 2, b"x").build();
    let mut frame = tagged.clone();
    frame.drain(12..16);
    let sample = Sample { vlan: 0x8100_a005, direction: Sample::OUT, ..sample(&frame, Verdict::Known) };
    let told = Told::of(&sample, &frame, &Settings::DEFAULT);
    assert_eq!(told.parts(&mut [0; 4]).concat(), tagged);
    assert_eq!(told.wire_bytes() as usize, tagged.len());
    let text = line_of(&sample, &frame, false);
    assert!(text.contains(" out udp   vlan 5 192.0.2.7:1 > 198.51.100.1:2  47 bytes  known"), "{text}");
}

#[test]
fn of_a_payload_nothing_is_printed_that_a_terminal_would_obey() {
    let payload: Vec<u8> = (0..=255).chain(*b"\x1b]0;title\x07\x1b[2J").collect();
    let frame = Frame::ipv4(FAR, NEAR).udp(1, 2, &payload).build();
    let text = line_of(&sample(&frame, Verdict::UdpNew), &frame, true);
    assert!(text.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 17);
    assert_eq!(lines[1], "    0000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................");
    assert_eq!(lines[5], "    0040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO");
    assert_eq!(lines[17], "    0100  1b 5d 30 3b 74 69 74 6c 65 07 1b 5b 32 4a        .]0;title..[2J");
}

#[test]
fn the_payload_ends_with_the_packet_and_not_with_its_padding() {
    let mut frame = Frame::ipv4(FAR, NEAR).carrying(Tcp::new(1, 2, PSH | ACK).payload(b"hi")).build();
    frame.resize(60, 0xff);
    let sample = sample(&frame, Verdict::Known);
    assert_eq!(Told::of(&sample, &frame, &Settings::DEFAULT).payload, b"hi");
    // What was not captured is not there, either.
    let cut = Sample { captured: 55, ..sample };
    assert_eq!(Told::of(&cut, &frame[..55], &Settings::DEFAULT).payload, b"h");
}

#[test]
fn packets_without_an_ethernet_header_are_told_too() {
    let frame = Frame::ipv4(FAR, NEAR).tcp(1, 2, SYN).build().split_off(14);
    let sample = sample(&frame, Verdict::Syn);
    let settings = Settings { link: Settings::LINK_IP, ..Settings::DEFAULT };
    let told = Told::of(&sample, &frame, &settings);
    assert_eq!(told.ports, Some((1, 2)));
    assert_eq!(told.parts(&mut [0; 4]).concat(), frame);
}

#[test]
fn an_object_has_the_names_that_others_use() {
    let frame = Frame::ipv4(FAR, NEAR).vlan(0x8100, 5);
    let frame = frame.carrying(Tcp::new(40_000, 22, SYN).payload(b"\x1bA")).build();
    let sample = sample(&frame, Verdict::Syn);
    let told = Told::of(&sample, &frame, &Settings::DEFAULT);
    let event = serde_json::to_value(Event::of(&told, WALL, "eth0", true)).unwrap();
    assert_eq!(
        event,
        serde_json::json!({
            "timestamp": "2023-11-14T22:13:20.123456Z",
            "event_type": "packet",
            "in_iface": "eth0",
            "direction": "in",
            "src_ip": "192.0.2.7",
            "src_port": 40000,
            "dest_ip": "198.51.100.1",
            "dest_port": 22,
            "proto": "TCP",
            "tcp_flags": "S",
            "vlan": [5],
            "length": 60,
            "class": "syn",
            "verdict": "syn",
            "payload": "1b41",
        })
    );
    let arp = Frame::ethernet(0x88cc, &[0; 4]).build();
    let sample = Sample { direction: Sample::OUT, ..super::tests::sample(&arp, Verdict::NonIp) };
    let event = Event::of(&Told::of(&sample, &arp, &Settings::DEFAULT), WALL, "eth0", false);
    let text = serde_json::to_string(&event).unwrap();
    assert!(text.contains(r#""direction":"out","ether_type":35020,"length":18,"class":"other""#), "{text}");
}
