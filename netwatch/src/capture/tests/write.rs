//! What is written is read as it was.

use super::build::samples;
use super::*;
use crate::capture::write::{self, Interface, LinkType, Packet, Statistics};

/// A file of samples of which the numbers say the direction.
fn written(link: LinkType) -> Vec<u8> {
    let mut file = Vec::new();
    write::section(&mut file, "x86_64", "Linux 6.18");
    let interface = Interface { name: "eth0", link, snap_bytes: 256, filter: Some("tcp port 80") };
    write::interface(&mut file, &interface);
    for (number, sample) in samples(10).iter().enumerate() {
        let packet = Packet {
            at_ns: u64::try_from(sample.at_ns).unwrap() + 7,
            wire_bytes: sample.wire_bytes,
            direction: [Direction::Received, Direction::Sent, Direction::Unknown][number % 3],
            dropped_before: number as u64 % 2,
            comment: if number == 4 { "a word" } else { "" },
            ..Packet::default()
        };
        // In parts, as a frame with a tag put back in comes.
        let (first, second) = sample.data.split_at(number);
        write::packet(&mut file, &packet, &[first, second]);
    }
    write::statistics(&mut file, 0, &Statistics { received: 12, delivered: 10, ..Statistics::default() });
    file
}

#[test]
fn packets_are_read_as_they_were_written() {
    let outcome = read_whole(&written(LinkType::Ethernet));
    for (number, (packet, sample)) in outcome.packets.iter().zip(samples(10)).enumerate() {
        assert_eq!((packet.at_ns, packet.wire_bytes), (sample.at_ns + 7, sample.wire_bytes));
        assert_eq!(packet.frame, sample.data, "packet {number}");
        let direction = [Direction::Received, Direction::Sent, Direction::Unknown][number % 3];
        assert_eq!(packet.direction, direction);
    }
    assert_eq!(outcome.counts.packets, 10);
}

#[test]
fn another_reader_understands_every_block() {
    use pcap_parser::traits::PcapNGPacketBlock as _;
    use pcap_parser::{Block, parse_block_le};

    fn values<'a>(options: &'a [pcap_parser::PcapNGOption<'_>]) -> Vec<&'a [u8]> {
        options.iter().map(|option| &option.value[..usize::from(option.len)]).collect()
    }
    let file = written(LinkType::Ip);
    let (mut rest, mut kinds) = (&file[..], Vec::new());
    while !rest.is_empty() {
        let (next, block) = parse_block_le(rest).unwrap();
        rest = next;
        match &block {
            Block::SectionHeader(header) => {
                let values = values(&header.options);
                assert_eq!(values[..2], [&b"x86_64"[..], b"Linux 6.18"]);
                assert!(values[2].starts_with(b"netwatch "));
            }
            Block::InterfaceDescription(interface) => {
                assert_eq!((interface.linktype.0, interface.snaplen, interface.if_tsresol), (101, 256, 9));
                let values = values(&interface.options);
                assert_eq!(values[..3], [&b"eth0"[..], &[9], b"\0tcp port 80"]);
            }
            Block::EnhancedPacket(packet) => {
                let sample = &samples(10)[kinds.len() - 2];
                assert_eq!(packet.packet_data(), sample.data);
                assert_eq!(packet.origlen, sample.wire_bytes);
            }
            Block::InterfaceStatistics(counts) => {
                let counts: Vec<_> =
                    values(&counts.options).iter().filter_map(|value| value.first().copied()).collect();
                assert_eq!(counts[2..7], [12, 0, 0, 0, 10]);
            }
            other => panic!("{other:?}"),
        }
        kinds.push(());
    }
    assert_eq!(kinds.len(), 1 + 1 + 10 + 1);
}

#[test]
fn a_section_can_say_what_it_is_about() {
    use pcap_parser::{Block, parse_block_le};

    let (mut about, mut plain) = (Vec::new(), Vec::new());
    write::section_about(&mut about, "x86_64", "Linux 6.18", "a word");
    write::section_about(&mut plain, "x86_64", "Linux 6.18", "");
    let Ok((_, Block::SectionHeader(header))) = parse_block_le(&about) else { panic!("no section") };
    let comment = &header.options[0];
    assert_eq!((comment.code.0, &comment.value[..usize::from(comment.len)]), (1, &b"a word"[..]));
    assert_eq!(about.len(), plain.len() + 4 + 8);
}

#[test]
fn a_text_that_is_too_long_is_cut() {
    let mut file = Vec::new();
    write::section(&mut file, &"x".repeat(100_000), "");
    assert!(read_whole(&file).packets.is_empty());
}
