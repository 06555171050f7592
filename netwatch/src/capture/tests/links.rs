//! Link types other than Ethernet, as the parser sees them.

use std::net::{Ipv4Addr, Ipv6Addr};

use netwatch_common::{Addr, Settings, Verdict, parse};
use xtask::traffic::Frame;

use super::build::*;
use super::*;
use crate::capture::FRAME_MAX;
use crate::capture::link::describe;

/// What a packet of a link type becomes.
fn packet(link_type: u32, data: &[u8]) -> Owned {
    let sample = Sample { at_ns: START, wire_bytes: 1_500, data: data.to_vec() };
    let mut outcome = read_whole(&pcap_of(Order::Little, MICROSECONDS, link_type, &[sample]));
    assert_eq!((outcome.packets.len(), outcome.counts.captured_bytes), (1, data.len() as u64));
    outcome.packets.remove(0)
}

fn ip4() -> Vec<u8> {
    let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 7));
    Frame::ipv4(a, b).tcp(40_000, 443, 2).build().split_off(14)
}

fn ip6() -> Vec<u8> {
    let (a, b) = ("2001:db8::1".parse::<Ipv6Addr>().unwrap(), "2001:db8::2".parse::<Ipv6Addr>().unwrap());
    Frame::ipv6(a, b).udp(53, 40_000, b"answer").build().split_off(14)
}

fn cooked(packet_type: u16, protocol: u16, rest: &[u8]) -> Vec<u8> {
    let [type_high, type_low] = packet_type.to_be_bytes();
    let address = [type_high, type_low, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0xbe, 0xef];
    [&address[..], &protocol.to_be_bytes(), rest].concat()
}

fn cooked2(packet_type: u8, protocol: u16, rest: &[u8]) -> Vec<u8> {
    let behind = [0, 0, 0, 0, 0, 3, 0, 1, packet_type, 6, 2, 0, 0, 0, 0, 1, 0xbe, 0xef];
    [&protocol.to_be_bytes()[..], &behind, rest].concat()
}

#[test]
fn each_link_type_that_carries_ip() {
    let (ip4, ip6) = (&ip4()[..], &ip6()[..]);
    let tagged = [&[0, 9, 0x86, 0xdd][..], ip6].concat();
    let cases: Vec<(u32, Vec<u8>)> = vec![
        (1, [&[0; 12][..], &[8, 0], ip4].concat()),
        (1, [&[0; 12][..], &[0x86, 0xdd], ip6].concat()),
        (113, cooked(0, 0x0800, ip4)),
        (113, cooked(4, 0x86dd, ip6)),
        (113, cooked(0, 0x8100, &tagged)),
        (276, cooked2(0, 0x0800, ip4)),
        (276, cooked2(4, 0x86dd, ip6)),
        (276, cooked2(4, 0x8100, &tagged)),
        (12, ip4.to_vec()),
        (14, ip6.to_vec()),
        (101, ip4.to_vec()),
        (101, ip6.to_vec()),
        (228, ip4.to_vec()),
        (229, ip6.to_vec()),
        (0, [&[2, 0, 0, 0], ip4].concat()),
        (0, [&[0, 0, 0, 2], ip4].concat()),
        (0, [&[30, 0, 0, 0], ip6].concat()),
        (108, [&[0, 0, 0, 2], ip4].concat()),
        (108, [&[0, 0, 0, 10], ip6].concat()),
        (108, [&[0, 0, 0, 24], ip6].concat()),
        (0, [&[0, 0, 0, 28], ip6].concat()),
        (0, [&[23, 0, 0, 0], ip6].concat()),
    ];
    for (link_type, data) in cases {
        let Owned { frame, wire_bytes, .. } = packet(link_type, &data);
        assert_eq!(wire_bytes, 1_500, "the length is that of the record");
        let found = parse(&frame[..], &Settings::DEFAULT).unwrap();
        let ports = (found.transport.source_port, found.transport.dest_port);
        if data.ends_with(ip4) {
            assert_eq!(found.source, Addr::from(Ipv4Addr::new(203, 0, 113, 1)), "{link_type}");
            assert_eq!(ports, (40_000, 443), "{link_type}");
        } else {
            assert_eq!(found.source, Addr::from("2001:db8::1".parse::<Ipv6Addr>().unwrap()), "{link_type}");
            assert_eq!(ports, (53, 40_000), "{link_type}");
        }
    }
}

#[test]
fn what_is_no_ip_is_counted_as_that() {
    for (link_type, data, expect) in [
        (113, cooked(0, 0x0806, &[0; 28]), Verdict::Arp),
        (113, cooked(0, 0x0004, &ip4()), Verdict::NonIp),
        (276, cooked2(0, 0x88cc, &ip4()), Verdict::NonIp),
        (101, vec![0x50; 40], Verdict::NonIp),
        (228, ip6(), Verdict::Ip4Version),
        (229, ip4(), Verdict::Ip6Version),
        (0, [&[7, 0, 0, 0], &ip4()[..]].concat(), Verdict::NonIp),
        (0, [&[2, 2, 2, 2], &ip4()[..]].concat(), Verdict::NonIp),
    ] {
        let frame = packet(link_type, &data).frame;
        assert_eq!(parse(&frame[..], &Settings::DEFAULT), Err(expect), "{link_type}");
    }
}

#[test]
fn what_is_shorter_than_its_link_header_is_a_truncated_frame() {
    for (link_type, whole, header) in [
        (1, vec![8; 14], 14),
        (113, cooked(4, 0x0800, &[]), 16),
        (276, cooked2(4, 0x0800, &[]), 20),
        (0, vec![2, 0, 0, 0], 4),
        (108, vec![0, 0, 0, 2], 4),
        (101, vec![0x45], 1),
        (229, vec![], 0),
    ] {
        for len in 0..=header {
            let Owned { frame, .. } = packet(link_type, &whole[..len]);
            let verdict = parse(&frame[..], &Settings::DEFAULT).unwrap_err();
            if len < header {
                assert_eq!(verdict, Verdict::EthTruncated, "{link_type} {len}");
            } else {
                assert_ne!(verdict, Verdict::EthTruncated, "{link_type} {len}");
            }
        }
    }
}

#[test]
fn cooked_headers_tell_the_direction() {
    let kinds = [1, 2, 3].map(|kind| (kind, Direction::Passed));
    for (kind, expect) in
        kinds.into_iter().chain([(0, Direction::Received), (4, Direction::Sent), (6, Direction::Unknown)])
    {
        assert_eq!(packet(113, &cooked(u16::from(kind), 0x0800, &ip4())).direction, expect);
        assert_eq!(packet(276, &cooked2(kind, 0x0800, &ip4())).direction, expect);
    }
    assert_eq!(packet(101, &ip4()).direction, Direction::Unknown);
    // What the block says is said by whoever knew.
    let data = cooked(4, 0x0800, &ip4());
    let sample = Sample { at_ns: 0, wire_bytes: 60, data };
    let blocks = Blocks::new(Order::Little).interface(113, 0, &[]);
    let file = blocks.enhanced(0, 1, &sample, &[(2, &[1, 0, 0, 0])]).enhanced(0, 1, &sample, &[]).bytes;
    let directions: Vec<_> = read_whole(&file).packets.iter().map(|packet| packet.direction).collect();
    assert_eq!(directions, [Direction::Received, Direction::Sent]);
}

#[test]
fn frames_are_cut() {
    for link_type in [1, 101, 113, 276, 0] {
        assert_eq!(packet(link_type, &[0x45; 60_000]).frame.len(), FRAME_MAX, "{link_type}");
    }
}

#[test]
fn other_link_types_are_skipped_by_name() {
    let file = pcap_of(Order::Little, MICROSECONDS, 127, &samples(3));
    let outcome = read_whole(&file);
    assert_eq!((outcome.packets.len(), outcome.counts.packets, outcome.counts.bytes), (0, 0, 0));
    assert_eq!(outcome.counts.skipped.len(), 1);
    assert_eq!(outcome.counts.skipped[0].reason, "link type 127 (IEEE 802.11 with radiotap header)");
    assert_eq!(outcome.counts.skipped[0].packets, 3);
    assert_eq!(describe(65_000), "link type 65000");
}
