use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::frame::Frame;
use super::network::Extension;
use super::scenario::{self, Crossing};
use super::transport::{Icmp, SYN, Tcp, Udp};

const FROM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const TO: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const FROM6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 7);
const TO6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);

/// The Ethernet addresses of a frame that nothing was said about.
const MACS: &str = "00005e005301 00005e005302";

/// Bytes written as hexadecimal digits, with white space wherever it helps.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits.chars().filter(|digit| !digit.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Checks a whole frame behind its Ethernet addresses. The checksums were computed by hand.
fn check(frame: &[u8], want: &str) {
    let want = hex(&format!("{MACS} {want}"));
    assert_eq!(frame, want, "\n got {frame:02x?}\nwant {want:02x?}");
}

#[test]
fn tcp_over_ipv4() {
    // IPv4: the words add up to 0x2eb69, so 0xeb6b, of which 0x1494 is the complement.
    // TCP with its pseudo-header: 0x44d9d, so 0x4da1, so 0xb25e.
    check(
        &Frame::ipv4(FROM, TO).tcp(40000, 22, SYN).build(),
        "0800 4500 0028 0000 0000 4006 1494 cb007107 c6336401
         9c40 0016 00000000 00000000 5002 faf0 b25e 0000",
    );
}

#[test]
fn udp_of_odd_length_over_both() {
    // 0x4467e, so 0x4682, so 0xb97d; over IPv6 0x23bc7, so 0x3bc9, so 0xc436.
    let (hello, udp) = (b"hello", "9c40 0007 000d");
    check(
        &Frame::ipv4(FROM, TO).udp(40000, 7, hello).build(),
        &format!("0800 4500 0021 0000 0000 4011 1490 cb007107 c6336401 {udp} b97d 68656c6c6f"),
    );
    check(
        &Frame::ipv6(FROM6, TO6).udp(40000, 7, hello).build(),
        &format!(
            "86dd 60000000 000d 11 40 20010db8000900000000000000000007 20010db8000100000000000000000001
             {udp} c436 68656c6c6f"
        ),
    );
}

#[test]
fn a_udp_checksum_of_zero_is_written_as_all_ones() {
    let frame = Frame::ipv4(FROM, TO).udp(40000, 7, &hex("fd55")).build();
    assert_eq!(frame[40..42], [0xff, 0xff]);
}

#[test]
fn icmp_has_a_pseudo_header_over_ipv6_only() {
    let echo = |kind| Icmp { kind, code: 0, body: hex("0001 0002") };
    let frame = Frame::ipv4(FROM, TO).carrying(echo(8)).build();
    assert_eq!(frame[34..], hex("08 00 f7fc 0001 0002"));
    assert_eq!(frame[23], 1);
    let frame = Frame::ipv6(FROM6, TO6).carrying(echo(128)).build();
    assert_eq!(frame[54..], hex("80 00 2436 0001 0002"));
    assert_eq!(frame[20], 58);
}

#[test]
fn options_are_padded_and_counted() {
    let frame = Frame::ipv4(FROM, TO).options(&[1, 1, 1]).tcp(1, 2, SYN).build();
    assert_eq!(frame[14..38], hex("4600 002c 0000 0000 4006 118f cb007107 c6336401 010101 00"));
    assert_eq!(frame.len(), 14 + 24 + 20);

    let tcp = Tcp::new(1, 2, SYN).options(&[2, 4, 5, 0xb4, 1]).payload(b"x");
    let frame = Frame::ipv4(FROM, TO).carrying(tcp).build();
    assert_eq!(frame[46], 7 << 4, "header length");
    assert_eq!(frame[54..], hex("020405b4 01000000 78"));
    assert_eq!(frame[16..18], [0, 20 + 28 + 1]);
}

#[test]
#[should_panic(expected = "41 bytes of options")]
fn too_many_options_are_refused() {
    let _ = Frame::ipv4(FROM, TO).options(&[1; 41]).build();
}

#[test]
fn tags_stack_from_the_outside_in() {
    let frame = Frame::ipv4(FROM, TO).vlan(0x88a8, 7).vlan(0x8100, 0xa005).tcp(1, 2, SYN).build();
    assert_eq!(frame[12..22], hex("88a8 0007 8100 a005 0800"));
    let tagged = Frame::ethernet(0x0806, &[1, 2]).vlan(0x8100, 0).macs([2; 6], [4; 6]).build();
    assert_eq!(tagged, hex("040404040404 020202020202 8100 0000 0806 0102"));
    let out = Frame::ethernet(0x0806, &[]).outbound().build();
    assert_eq!(out, hex("00005e005302 00005e005301 0806"));
}

#[test]
fn ipv4_fields_can_be_set_and_can_lie() {
    let frame = Frame::ipv4(FROM, TO).id(0x4d).fragment(3, true).ttl(9).protocol(6, &[7; 24]).build();
    assert_eq!(frame[16..24], hex("002c 004d 2003 09 06"));
    assert_eq!(frame[34..], [7; 24]);
    let lie = Frame::ipv4(FROM, TO).total_length(9).header_words(4).udp(1, 2, &[]).build();
    assert_eq!(lie[14..18], hex("4400 0009"));
    assert_eq!(lie.len(), 14 + 20 + 8);
    let lie = Frame::ipv4(FROM, TO).carrying(Udp::new(1, 2).length(3)).build();
    assert_eq!(lie[34..40], hex("0001 0002 0003"));
}

#[test]
fn extension_headers_name_their_next_and_their_length() {
    let frame = Frame::ipv6(FROM6, TO6)
        .hop_limit(3)
        .extension(Extension::HopByHop(hex("05020000")))
        .extension(Extension::Routing { kind: 4, segments_left: 1, data: vec![9; 5] })
        .extension(Extension::Fragment { offset: 5, more: true, id: 0x0102_0304 })
        .extension(Extension::Authentication(vec![8; 12]))
        .extension(Extension::DestinationOptions(hex("1e0301")))
        .extension(Extension::Mobility { kind: 5, data: vec![] })
        .extension(Extension::Other { number: 139, data: vec![6; 7] })
        .protocol(59, &[])
        .build();
    let want = "2b 00 05020000 0100
                2c 01 04 01 0909090909 00000000000000
                33 00 0029 01020304
                3c 04 0000 00000100 00000001 080808080808080808080808
                87 00 1e0301 010100
                8b 00 0500 0000 0000
                3b 01 06060606060606 00000000000000";
    assert_eq!(frame[54..], hex(want), "got {:02x?}", &frame[54..]);
    assert_eq!(frame[18..22], [0, 88, 0, 3], "payload length, first header, hop limit");

    let lie = Frame::ipv6(FROM6, TO6).payload_length(7).tcp(1, 2, SYN).build();
    assert_eq!(lie[18..21], [0, 7, 6]);
    let pad_one = Frame::ipv6(FROM6, TO6).extension(Extension::HopByHop(hex("0503000000"))).build();
    assert_eq!(pad_one[54..], hex("3b00 0503000000 00"));
    let full = Frame::ipv6(FROM6, TO6).extension(Extension::HopByHop(hex("050400000000"))).build();
    assert_eq!(full[54..], hex("3b00 050400000000"));
    let empty = Frame::ipv6(FROM6, TO6).extension(Extension::DestinationOptions(vec![])).build();
    assert_eq!(empty[54..], hex("3b00 0104 00000000"));
}

#[test]
fn attacks_have_the_size_and_the_ports_asked_for() {
    let ports = |frames: Vec<Vec<u8>>| -> Vec<u16> {
        frames.iter().map(|frame| u16::from_be_bytes([frame[36], frame[37]])).collect()
    };
    let (from, to) = (FROM.into(), TO.into());
    assert_eq!(ports(scenario::syn_scan(from, to, 20..=25).collect()), [20, 21, 22, 23, 24, 25]);
    assert_eq!(ports(scenario::syn_flood(from, to, 443, 70_000).collect()), [443; 70_000]);
    assert_eq!(ports(scenario::udp_flood(from, to, 9, 10_001).collect()), [9; 10_001]);

    let echoes: Vec<_> = scenario::icmp_flood(from, to, 3).collect();
    assert!(echoes.iter().zip(0..).all(|(echo, nth)| echo[34] == 8 && echo[41] == nth));
    let fragments: Vec<_> = scenario::fragment_flood(FROM, TO, 3).collect();
    assert!(fragments.iter().zip(0..).all(|(frame, id)| frame[18..22] == [0, id, 0x20, 64]));
    assert!(
        scenario::random_sources(to, 1).zip(scenario::random_sources(to, 1)).take(9).all(|(a, b)| a == b)
    );

    let draw = |seed| scenario::random_source_syn_flood(to, 80, 1000, seed).collect::<Vec<_>>();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(3));
    let sources: BTreeSet<_> = draw(1).iter().map(|frame| frame[26..30].to_vec()).collect();
    assert!(sources.len() > 980, "{} sources", sources.len());
    assert!(sources.iter().all(|source| source[0] == 198 && (source[1] == 18 || source[1] == 19)));
    let over_ipv6 = scenario::random_source_syn_flood(TO6.into(), 80, 1000, 1);
    assert_eq!(over_ipv6.map(|frame| frame[22..38].to_vec()).collect::<BTreeSet<_>>().len(), 1000);
}

#[test]
fn ordinary_traffic_stays_below_every_threshold() {
    // Over IPv4, where every header has its place.
    let mut syns: BTreeMap<Vec<u8>, (u32, BTreeSet<u16>)> = BTreeMap::new();
    let (mut frames, mut arps) = (0, 0);
    for frame in scenario::inbound(scenario::ordinary(TO.into(), 2000)) {
        frames += 1;
        if frame[12..14] == [0x08, 0x06] {
            arps += 1;
            continue;
        }
        let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        match frame[23] {
            6 if frame[47] == SYN => {
                let source = syns.entry(frame[26..30].to_vec()).or_default();
                source.0 += 1;
                source.1.insert(port(36));
            }
            6 => assert_ne!(frame[47] & 0x14, 0, "neither ACK nor RST"),
            17 => assert!(port(34) < 1024 && (32768..=60999).contains(&port(36)), "not a reply"),
            1 => assert_eq!(frame[34], 0, "not an echo reply"),
            other => panic!("protocol {other}"),
        }
    }
    assert_eq!((arps, syns.len()), (2000, 200));
    assert!(frames > 20 * 2000);
    assert!(syns.values().all(|(count, ports)| *count == 10 && ports.len() == 1));
}

#[test]
fn ordinary_traffic_goes_both_ways_in_both_families() {
    for host in [IpAddr::from(TO), IpAddr::from(TO6)] {
        let crossings: Vec<_> = scenario::ordinary(host, 3).collect();
        let out = crossings.iter().filter(|crossing| matches!(crossing, Crossing::Out(_))).count();
        assert_eq!((crossings.len(), out), (3 * 44, 3 * 12));
    }
}

#[test]
fn bulk_is_five_hundred_conversations_that_all_begin_and_go_on() {
    let mut flows = BTreeMap::<Vec<u8>, u64>::new();
    let mut last_us = 0;
    for (at_us, frame) in super::bulk::Bulk::new(20_000).take(30_000) {
        assert!(at_us >= last_us, "times never go back");
        last_us = at_us;
        // Both addresses and both ports, the lesser end first.
        let mut ends = [[&frame[26..30], &frame[34..36]].concat(), [&frame[30..34], &frame[36..38]].concat()];
        ends.sort();
        *flows.entry(ends.concat()).or_default() += 1;
    }
    assert_eq!((flows.len(), last_us), (500, 1_499_950));
    assert!(flows.values().all(|packets| *packets == 60));
}
