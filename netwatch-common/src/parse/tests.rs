//! Frames as bytes in, headers out.
extern crate std;

use std::{format, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::classify::{ACK, FIN, Replies, SYN, classify};
use crate::wire::Proto;

const SRC4: [u8; 4] = [192, 0, 2, 1];
const DST4: [u8; 4] = [198, 51, 100, 7];
const SRC6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const DST6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn eth(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ether_type.to_be_bytes(), payload].concat()
}

fn tag(frame: &[u8], tpid: u16) -> Vec<u8> {
    [&frame[..12], &tpid.to_be_bytes(), &[0x00, 0x05], &frame[12..]].concat()
}

/// IPv4 with `options` (whole words), the given flags-and-offset word, protocol and payload.
fn ip4(options: &[u8], fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let total = u16::try_from(header_len + payload.len()).unwrap();
    let mut packet = vec![0x40 | u8::try_from(header_len / 4).unwrap(), 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(SRC4);
    packet.extend(DST4);
    packet.extend(options);
    packet.extend(payload);
    packet
}

/// IPv6 with extension headers given as (type, body from its third byte on) and the final payload.
fn ip6(extensions: &[(u8, &[u8])], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (i, (kind, content)) in extensions.iter().enumerate() {
        let next = extensions.get(i + 1).map_or(protocol, |(kind, _)| *kind);
        let len = 2 + content.len();
        let field = match *kind {
            44 => 0,
            51 => len / 4 - 2,
            _ => len / 8 - 1,
        };
        body.extend([next, u8::try_from(field).unwrap()]);
        body.extend(*content);
    }
    body.extend(payload);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend([extensions.first().map_or(protocol, |(kind, _)| *kind), 64]);
    packet.extend(SRC6);
    packet.extend(DST6);
    packet.extend(body);
    packet
}

fn tcp(flags: u8) -> Vec<u8> {
    let mut header = vec![0; 20];
    header[..4].copy_from_slice(&[0x9c, 0x40, 0, 80]);
    header[12] = 0x50;
    header[13] = flags;
    header
}

fn udp() -> Vec<u8> {
    vec![0x9c, 0x40, 0, 80, 0, 8, 0, 0]
}

fn parsed(frame: &[u8]) -> Result<Packet, Verdict> {
    parse(frame, &Settings::DEFAULT)
}

fn verdict(frame: &[u8]) -> Verdict {
    match parsed(frame) {
        Ok(packet) => classify(&packet, &Settings::DEFAULT, Replies::ByFlags),
        Err(reason) => reason,
    }
}

#[track_caller]
fn check(frame: &[u8], want: Verdict) {
    assert_eq!(verdict(frame), want, "{frame:02x?}");
}

#[test]
fn a_plain_syn_has_addresses_ports_and_flags() {
    let packet = parsed(&eth(0x0800, &ip4(&[], 0, 6, &tcp(SYN)))).unwrap();
    assert_eq!(packet.source, Addr::from(core::net::Ipv4Addr::from(SRC4)));
    assert_eq!(packet.dest, Addr::from(core::net::Ipv4Addr::from(DST4)));
    let Transport { kind, flags, source_port, dest_port, .. } = packet.transport;
    assert_eq!((kind, flags, source_port, dest_port), (Kind::Tcp, SYN, 40000, 80));

    let packet = parsed(&eth(0x86dd, &ip6(&[], 17, &udp()))).unwrap();
    assert_eq!(packet.source, Addr::from(core::net::Ipv6Addr::from(SRC6)));
    assert_eq!(packet.service().port(), Some((Proto::Udp, 80)));
}

#[test]
fn the_payload_lies_behind_the_transport_header_and_within_the_ip_packet() {
    let check = |frame: &[u8], want: &[u8]| {
        let Transport { payload_offset, payload_len, .. } = parsed(frame).unwrap().transport;
        let start = usize::try_from(payload_offset).unwrap();
        assert_eq!(&frame[start..start + usize::try_from(payload_len).unwrap()], want);
    };
    // 5 words of header, 8 with options, and a length that is too small.
    for (offset, options) in [(0x50, 0), (0x80, 12), (0x20, 0)] {
        let mut segment = tcp(ACK);
        segment[12] = offset;
        segment.extend(vec![1; options]);
        let empty = eth(0x0800, &ip4(&[], 0, 6, &segment));
        check(&[&empty[..], &[0; 6]].concat(), b"");
        segment.extend(b"GET /");
        check(&eth(0x0800, &ip4(&[1; 8], 0, 6, &segment)), b"GET /");
        check(&tag(&eth(0x86dd, &ip6(&[(60, &[0; 6])], 6, &segment)), 0x8100), b"GET /");
    }
    // Options that the header claims and the packet has not.
    let mut segment = tcp(ACK);
    segment[12] = 0xf0;
    assert_eq!(parsed(&eth(0x0800, &ip4(&[], 0, 6, &segment))).unwrap().transport.payload_len, 0);
    check(&eth(0x0800, &ip4(&[], 0, 17, &[&udp()[..], b"\x12\x34"].concat())), b"\x12\x34");
    let icmp = parsed(&eth(0x0800, &ip4(&[], 0, 1, &[8; 16]))).unwrap().transport;
    assert_eq!((icmp.payload_offset, icmp.payload_len), (0, 0));
}

#[test]
fn vlan_tags_are_seen_through_up_to_two() {
    for inner in [eth(0x0800, &ip4(&[], 0, 6, &tcp(SYN))), eth(0x86dd, &ip6(&[], 6, &tcp(SYN)))] {
        for tpid in [0x8100, 0x88a8, 0x9100] {
            check(&tag(&inner, tpid), Verdict::Syn);
            check(&tag(&tag(&inner, 0x8100), tpid), Verdict::Syn);
            check(&tag(&tag(&tag(&inner, 0x8100), 0x8100), tpid), Verdict::VlanTooMany);
        }
    }
    check(&tag(&eth(0x0806, &[0; 28]), 0x8100), Verdict::Arp);
}

#[test]
fn ipv4_options_move_the_ports() {
    for words in 1..=10 {
        let options = vec![1; words * 4];
        check(&eth(0x0800, &ip4(&options, 0, 6, &tcp(SYN))), Verdict::Syn);
        // Options cut short by the capture.
        check(
            &eth(0x0800, &ip4(&options, 0, 6, &tcp(SYN)))[..14 + 20 + words * 4 - 1],
            Verdict::Ip4Truncated,
        );
    }
}

#[test]
fn ports_come_from_first_fragments_only() {
    let more = 0x2000;
    check(&eth(0x0800, &ip4(&[], more, 6, &tcp(SYN))), Verdict::Syn);
    check(&eth(0x0800, &ip4(&[], more, 6, &tcp(SYN)[..8])), Verdict::FirstFragmentTruncated);
    for fragment in [1, more | 1, 0x1fff, 0x0fff] {
        let frame = eth(0x0800, &ip4(&[], fragment, 6, &tcp(SYN)));
        check(&frame, Verdict::Fragment);
        assert_eq!(parsed(&frame).unwrap().service().port(), None);
    }
    // Of a tiny first fragment, the ports are read where they are there; ICMP has none.
    for (bytes, service) in [(3, None), (4, Some((Proto::Tcp, 80))), (8, Some((Proto::Tcp, 80)))] {
        let frame = eth(0x0800, &ip4(&[], more, 6, &tcp(SYN)[..bytes]));
        check(&frame, Verdict::FirstFragmentTruncated);
        assert_eq!(parsed(&frame).unwrap().service().port(), service);
    }
    check(&eth(0x0800, &ip4(&[], more, 1, &[8, 0])), Verdict::FirstFragmentTruncated);
    // "Don't fragment" is no fragment.
    check(&eth(0x0800, &ip4(&[], 0x4000, 6, &tcp(SYN))), Verdict::Syn);

    let fragment = |offset: u16, more: u16| {
        let field = (offset << 3 | more).to_be_bytes();
        eth(0x86dd, &ip6(&[(44, &[field[0], field[1], 0, 0, 0, 1])], 6, &tcp(SYN)))
    };
    check(&fragment(0, 0), Verdict::Syn);
    check(&fragment(0, 1), Verdict::Syn);
    check(&fragment(1, 0), Verdict::Fragment);
    check(&fragment(0x1fff, 1), Verdict::Fragment);
    check(
        &eth(0x86dd, &ip6(&[(44, &[0, 1, 0, 0, 0, 1])], 6, &tcp(SYN)[..19])),
        Verdict::FirstFragmentTruncated,
    );
}

#[test]
fn every_ipv6_extension_header_is_walked() {
    for kind in [0, 43, 60, 135, 139, 140] {
        for units in [1, 2, 32] {
            let content = vec![0; units * 8 - 2];
            check(&eth(0x86dd, &ip6(&[(kind, &content)], 6, &tcp(SYN))), Verdict::Syn);
        }
    }
    let authentication = vec![0; 22];
    check(&eth(0x86dd, &ip6(&[(51, &authentication)], 6, &tcp(SYN))), Verdict::Syn);
    let options = [0; 6];
    let chain: Vec<(u8, &[u8])> =
        vec![(0, &options), (60, &options), (43, &options), (44, &[0; 6]), (51, &authentication)];
    check(&eth(0x86dd, &ip6(&chain, 17, &udp())), Verdict::UdpNew);
}

#[test]
fn the_walk_of_extension_headers_is_bounded() {
    let options = [0; 6];
    for (headers, want) in
        [(8, Verdict::Syn), (9, Verdict::ExtensionsTooMany), (20, Verdict::ExtensionsTooMany)]
    {
        let chain = vec![(60, &options[..]); headers];
        check(&eth(0x86dd, &ip6(&chain, 6, &tcp(SYN))), want);
    }
    // Five headers of 2,048 bytes end beyond the last offset at which a header is looked for.
    let long = [0; 2046];
    check(&eth(0x86dd, &ip6(&[(60, &long[..]); 5], 6, &tcp(SYN))), Verdict::HeadersTooDeep);
    check(&eth(0x86dd, &ip6(&[(60, &long[..]); 3], 6, &tcp(SYN))), Verdict::Syn);
}

#[test]
fn no_next_header_and_other_protocols_are_other() {
    check(&eth(0x86dd, &ip6(&[], 59, &[])), Verdict::IpOther);
    check(&eth(0x86dd, &ip6(&[(0, &[0; 6])], 59, &tcp(SYN))), Verdict::IpOther);
    for protocol in [2, 47, 50, 132] {
        check(&eth(0x0800, &ip4(&[], 0, protocol, &[0; 20])), Verdict::IpOther);
        check(&eth(0x86dd, &ip6(&[], protocol, &[0; 20])), Verdict::IpOther);
    }
    // ICMP of the other version is not ICMP.
    check(&eth(0x0800, &ip4(&[], 0, 58, &[128, 0, 0, 0])), Verdict::IpOther);
    check(&eth(0x86dd, &ip6(&[], 1, &[8, 0, 0, 0])), Verdict::IpOther);
}

#[test]
fn icmp_that_asks_is_a_probe() {
    for message in 0..=u8::MAX {
        let four = if matches!(message, 8 | 13 | 17) { Verdict::IcmpProbe } else { Verdict::IcmpOther };
        let six = if message == 128 { Verdict::IcmpProbe } else { Verdict::IcmpOther };
        check(&eth(0x0800, &ip4(&[], 0, 1, &[message, 0, 0, 0])), four);
        check(&eth(0x86dd, &ip6(&[], 58, &[message, 0, 0, 0])), six);
    }
}

#[test]
fn frames_that_are_not_ip_are_named() {
    check(&eth(0x0806, &[0; 28]), Verdict::Arp);
    for ether_type in [0x0026, 0x05dc, 0x8847, 0x8863, 0x88cc, 0x88e5, 0x9200] {
        check(&eth(ether_type, &[0; 40]), Verdict::NonIp);
    }
}

#[test]
fn every_truncation_has_its_reason() {
    let v4 = eth(0x0800, &ip4(&[1, 1, 1, 1], 0, 6, &tcp(SYN)));
    for (frame, cuts) in [
        (
            v4.clone(),
            vec![(14, Verdict::EthTruncated), (38, Verdict::Ip4Truncated), (58, Verdict::TcpTruncated)],
        ),
        (
            tag(&tag(&v4, 0x8100), 0x88a8),
            vec![(14, Verdict::EthTruncated), (22, Verdict::VlanTruncated), (46, Verdict::Ip4Truncated)],
        ),
        (
            eth(0x0800, &ip4(&[], 0, 17, &udp())),
            vec![(14, Verdict::EthTruncated), (34, Verdict::Ip4Truncated), (42, Verdict::UdpTruncated)],
        ),
        (
            eth(0x0800, &ip4(&[], 0, 1, &[8, 0, 0, 0])),
            vec![(14, Verdict::EthTruncated), (34, Verdict::Ip4Truncated), (38, Verdict::IcmpTruncated)],
        ),
        (
            eth(0x86dd, &ip6(&[(0, &[0; 6])], 6, &tcp(SYN))),
            vec![
                (14, Verdict::EthTruncated),
                (54, Verdict::Ip6Truncated),
                (62, Verdict::ExtensionTruncated),
                (82, Verdict::TcpTruncated),
            ],
        ),
    ] {
        for cut in 0..frame.len() {
            let want = cuts.iter().find(|(end, _)| cut < *end).map(|(_, verdict)| *verdict);
            if let Some(want) = want {
                assert_eq!(verdict(&frame[..cut]), want, "{cut} of {} bytes", frame.len());
            }
        }
    }
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let good = eth(0x0800, &ip4(&[], 0, 6, &tcp(SYN)));
    let broken = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    check(&broken(14, 0x55), Verdict::Ip4Version);
    for ihl in 0..5 {
        check(&broken(14, 0x40 | ihl), Verdict::Ip4HeaderLength);
    }
    check(&broken(17, 19), Verdict::Ip4TotalLength);
    check(&broken(17, 39), Verdict::TcpTruncated);
    // Segmentation offload leaves the length zero: to the end of the frame.
    check(&broken(17, 0), Verdict::Syn);
    let mut six = eth(0x86dd, &ip6(&[], 6, &tcp(SYN)));
    six[14] = 0x45;
    check(&six, Verdict::Ip6Version);
    six[14] = 0x60;
    six[19] = 0;
    check(&six, Verdict::Syn);
    // An IPv6 packet must not be counted for the IPv4 host that its source names.
    six[22..38].copy_from_slice(&core::net::Ipv4Addr::from(SRC4).to_ipv6_mapped().octets());
    check(&six, Verdict::Ip6MappedSource);
}

#[test]
fn padding_of_a_short_frame_is_no_header() {
    let mut frame = eth(0x0800, &ip4(&[], 0, 6, &[]));
    frame.resize(60, 0xff);
    check(&frame, Verdict::TcpTruncated);
    let mut frame = eth(0x86dd, &ip6(&[(60, &[0; 6])], 17, &[]));
    frame.resize(100, 0xff);
    check(&frame, Verdict::UdpTruncated);
}

#[test]
fn interfaces_without_a_link_header_start_with_ip() {
    let settings = Settings { link: Settings::LINK_IP, ..Settings::DEFAULT };
    let four = ip4(&[], 0, 6, &tcp(SYN));
    let six = ip6(&[], 6, &tcp(SYN));
    assert!(
        parse(&four[..], &settings).is_ok_and(|packet| packet.service().port() == Some((Proto::Tcp, 80)))
    );
    assert!(parse(&six[..], &settings).is_ok_and(|packet| packet.service().port() == Some((Proto::Tcp, 80))));
    assert_eq!(parse(&[0_u8; 40][..], &settings), Err(Verdict::NonIp));
    assert_eq!(parse(&[0x45_u8][..], &settings), Err(Verdict::Ip4Truncated));
}

/// A frame of which only the first bytes can be read, as a multi-buffer frame in the kernel.
struct Linear<'a> {
    reachable: &'a [u8],
    len: usize,
}

impl Frame for Linear<'_> {
    fn read<T: bytemuck::AnyBitPattern>(&self, offset: usize) -> Option<T> {
        self.reachable.read(offset)
    }
    fn len(&self) -> usize {
        self.len
    }
}

#[test]
fn headers_beyond_the_first_buffer_are_told_from_truncation() {
    let frame = eth(0x0800, &ip4(&[], 0, 6, &tcp(ACK | FIN)));
    for cut in 14..frame.len() {
        let linear = Linear { reachable: &frame[..cut], len: frame.len() };
        let got = match parse(&linear, &Settings::DEFAULT) {
            Ok(packet) => classify(&packet, &Settings::DEFAULT, Replies::ByFlags),
            Err(reason) => reason,
        };
        assert_eq!(got, Verdict::HeadersNotLinear, "cut at {cut}");
    }
}

/// Bytes that look enough like packets to get past the first checks.
fn plausible_frame() -> impl Strategy<Value = Vec<u8>> {
    let ether_type = prop_oneof![
        4 => Just(0x0800_u16), 4 => Just(0x86dd), 1 => Just(0x8100), 1 => Just(0x88a8), 1 => any::<u16>()
    ];
    let first = prop_oneof![3 => 0x45_u8..=0x4f, 3 => Just(0x60_u8), 1 => any::<u8>()];
    (ether_type, first, prop::collection::vec(any::<u8>(), 0..200)).prop_map(
        |(ether_type, first, mut rest)| {
            if let Some(byte) = rest.first_mut() {
                *byte = first;
            }
            eth(ether_type, &rest)
        },
    )
}

proptest! {
    #[test]
    fn nothing_panics_and_every_frame_has_one_verdict(frame in plausible_frame()) {
        prop_assert!(Verdict::ALL.contains(&verdict(&frame)));
        let settings = Settings { link: Settings::LINK_IP, ..Settings::DEFAULT };
        let _ = parse(&frame[14..], &settings);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        let _ = verdict(&bytes);
    }

    #[test]
    fn a_vlan_tag_changes_nothing_but_where_the_payload_begins(frame in plausible_frame(), tpid in prop::sample::select(vec![0x8100_u16, 0x88a8, 0x9100])) {
        let tagged = parsed(&tag(&frame, tpid));
        if tagged != Err(Verdict::VlanTooMany) && parsed(&frame) != Err(Verdict::VlanTruncated) {
            let moved = parsed(&frame).map(|mut packet| {
                packet.transport.payload_offset += if packet.transport.payload_offset > 0 { 4 } else { 0 };
                packet
            });
            prop_assert_eq!(tagged, moved);
        }
    }

    #[test]
    fn bytes_after_the_ip_packet_change_nothing(
        payload in prop::collection::vec(any::<u8>(), 0..60),
        padding in prop::collection::vec(any::<u8>(), 0..60),
        protocol in prop::sample::select(vec![1_u8, 6, 17, 47]),
    ) {
        let frame = eth(0x0800, &ip4(&[], 0, protocol, &payload));
        let padded = [frame.clone(), padding].concat();
        prop_assert_eq!(parsed(&frame), parsed(&padded), "{}", format!("{frame:02x?}"));
    }

    #[test]
    fn a_longer_prefix_never_loses_the_source(frame in plausible_frame()) {
        let mut known = false;
        for end in 14..=frame.len() {
            let now = parsed(&frame[..end]).is_ok();
            prop_assert!(now || !known);
            known = now;
        }
    }
}
