//! Every way to write the same packets down, and what pcapng says besides.

use std::io::{self, Read};

use super::build::*;
use super::*;
use crate::capture::limits::{BUFFER, INTERFACES, TIME_MAX_NS};
use crate::capture::{FRAME_MAX, Skipped};

fn expected(samples: &[Sample]) -> Vec<Owned> {
    let of = |sample: &Sample| Owned {
        at_ns: sample.at_ns,
        wire_bytes: sample.wire_bytes,
        frame: sample.data.clone(),
        direction: Direction::Unknown,
    };
    samples.iter().map(of).collect()
}

#[test]
fn every_variant_reads_to_the_same_packets() {
    let samples = samples(10);
    let mut variants = Vec::new();
    for order in ORDERS {
        for magic in [MICROSECONDS, NANOSECONDS, MODIFIED] {
            variants.push(pcap(order, magic, &samples));
        }
        variants.push(pcapng(order, &samples));
    }
    let bytes: u64 = samples.iter().map(|sample| u64::from(sample.wire_bytes)).sum();
    let counts = Counts { packets: 10, bytes, captured_bytes: bytes - 3, cut: 3, ..Counts::default() };
    for plain in variants {
        let (first, second) = plain.split_at(plain.len() / 2);
        let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        for file in [
            plain.clone(),
            gzip(&plain),
            zstd(&plain),
            [gzip(first), gzip(&[]), gzip(second)].concat(),
            [zstd(first), skippable.to_vec(), zstd(second)].concat(),
            [skippable.to_vec(), zstd(&plain), skippable.to_vec()].concat(),
        ] {
            let outcome = read_whole(&file);
            assert_eq!(outcome.packets, expected(&samples));
            assert_eq!(outcome.counts, counts);
        }
    }
}

/// Gives one byte at a time, and an interruption before each.
struct Drip(Cursor<Vec<u8>>, bool);

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(&mut into[..1]) }
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let samples = samples(5);
    for plain in [pcap(Order::Little, MICROSECONDS, &samples), pcapng(Order::Big, &samples)] {
        for file in [plain.clone(), gzip(&plain), zstd(&plain)] {
            let captures = Captures::from_reader("drip", Drip(Cursor::new(file), false)).unwrap();
            assert_eq!(Outcome::of(captures).packets, expected(&samples));
        }
    }
}

#[test]
fn files_are_longer_than_the_buffer_and_records_may_be_too() {
    let mut samples = samples(30);
    for (sample, len) in samples.iter_mut().zip([BUFFER / 3, 70_000, 200_000, 262_144, 1, 0].iter().cycle()) {
        sample.data.resize(*len, 7);
        sample.wire_bytes = u32::try_from(*len).unwrap();
    }
    let mut large = pcap(Order::Big, NANOSECONDS, &samples);
    let block = Blocks::new(Order::Big).interface(1, 0, &[]).block(0xbad, &vec![1; 3 * BUFFER + 4]);
    let add = |blocks: Blocks, sample: &Sample| {
        blocks.enhanced(0, u64::try_from(sample.at_ns / 1_000).unwrap(), sample, &[])
    };
    let blocks = samples.iter().fold(block, add).bytes;
    for file in [&large, &blocks] {
        let outcome = read_whole(file);
        assert_eq!(outcome.packets.len(), 30);
        for (packet, sample) in outcome.packets.iter().zip(&samples) {
            assert_eq!(packet.at_ns, sample.at_ns);
            assert_eq!(packet.frame, sample.data[..sample.data.len().min(FRAME_MAX)]);
        }
        let bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
        assert_eq!((outcome.counts.captured_bytes, outcome.counts.cut), (bytes as u64, 0));
    }
    // Where the snap length says so, there may be yet larger ones.
    large[16..20].copy_from_slice(&Order::Big.four(1 << 20));
    let record = Sample { at_ns: START, wire_bytes: 1 << 20, data: vec![9; 1 << 20] };
    large.extend(&pcap(Order::Big, NANOSECONDS, &[record])[24..]);
    assert_eq!(read_whole(&large).packets.len(), 31);
}

#[test]
fn the_upper_bits_of_a_link_type_are_of_no_account() {
    let file = pcap_of(Order::Little, MICROSECONDS, 0x2400_0001, &samples(2));
    assert_eq!(read_whole(&file).packets.len(), 2);
}

/// When a packet is that one interface saw at so many ticks.
fn time(order: Order, ticks: u64, options: Options<'_>) -> Option<i64> {
    let sample = &samples(1)[0];
    let outcome =
        read_whole(&Blocks::new(order).interface(1, 0, options).enhanced(0, ticks, sample, &[]).bytes);
    (outcome.counts.without_time == 0).then(|| outcome.packets[0].at_ns)
}

#[test]
fn clocks_of_interfaces() {
    const HALF: i64 = 500_000_000;
    for order in ORDERS {
        for (resolution, ticks, expect) in [
            (0, 1_700_000_000, Some(START)),
            (3, 1_700_000_000_500, Some(START + HALF)),
            (6, 1_700_000_000_500_000, Some(START + HALF)),
            (9, 1_700_000_000_500_000_001, Some(START + HALF + 1)),
            (10, 17_000_000_005_000_000_019, Some(START + HALF + 1)),
            (12, 2_000_000_001_999, Some(2_000_000_001)),
            (19, 50_000_000_009, Some(5)),
            (28, u64::MAX, Some(1)),
            (29, u64::MAX, Some(0)),
            (127, u64::MAX, Some(0)),
            (0x80, 1_700_000_000, Some(START)),
            (0x80 | 1, 3_400_000_001, Some(START + HALF)),
            (0x80 | 32, (1_700_000_000 << 32) | (1 << 31), Some(START + HALF)),
            (0x80 | 63, 1 << 62, Some(HALF)),
            (0x80 | 127, u64::MAX, Some(0)),
            (9, TIME_MAX_NS.unsigned_abs(), Some(TIME_MAX_NS)),
            (9, TIME_MAX_NS.unsigned_abs() + 1, None),
            (0, u64::MAX, None),
        ] {
            assert_eq!(
                time(order, ticks, &[(9, &[resolution])]),
                expect,
                "{order:?} {resolution:#x} {ticks}"
            );
        }
        let default = time(order, 1_700_000_000_500_000, &[]);
        assert_eq!(default, Some(START + HALF), "microseconds, unless said otherwise");
        let hour = order.eight(3_600);
        assert_eq!(time(order, 0, &[(14, &hour)]), Some(3_600_000_000_000));
        let (name, before) = (&b"eth0!"[..], order.eight(-1));
        assert_eq!(time(order, HALF.unsigned_abs(), &[(2, name), (9, &[9]), (14, &before)]), Some(-HALF));
        assert_eq!(time(order, u64::MAX, &[(9, &[0]), (14, &order.eight(i64::MAX))]), None);
        assert_eq!(time(order, 0, &[(14, &order.eight(i64::MIN))]), None);
    }
}

#[test]
fn sections_and_interfaces() {
    let [one, two, three, four] = samples(4).try_into().unwrap();
    let micros = |sample: &Sample| u64::try_from(sample.at_ns / 1_000).unwrap();
    let nanos = |sample: &Sample| u64::try_from(sample.at_ns).unwrap();
    for (first, second) in [(Order::Little, Order::Big), (Order::Big, Order::Little)] {
        let raw = Sample { data: two.data[14..].to_vec(), ..two.clone() };
        let file = Blocks::new(first)
            .interface(1, 0, &[])
            .block(4, b"name resolution!")
            .interface(101, 0, &[(9, &[9])])
            .enhanced(1, nanos(&two), &raw, &[])
            .enhanced(0, micros(&one), &one, &[])
            .enhanced(2, micros(&one), &one, &[])
            .section(second)
            .enhanced(0, micros(&three), &three, &[])
            .interface(105, 0, &[])
            .interface(1, 0, &[(9, &[9])])
            .block(5, &[0; 12])
            .enhanced(0, micros(&three), &three, &[])
            .enhanced(1, nanos(&three), &three, &[])
            .obsolete(1, nanos(&four), &four, &[])
            .block(0x8000_0001, b"nobody knows")
            .bytes;
        let outcome = read_whole(&file);
        assert_eq!(outcome.times(), [two.at_ns, one.at_ns, three.at_ns, four.at_ns]);
        assert_eq!(outcome.packets[0].frame[14..], raw.data);
        assert_eq!(outcome.packets[3].frame, four.data);
        let skipped = |reason: &str, packets| Skipped { reason: reason.into(), packets };
        assert_eq!(
            outcome.counts.skipped,
            [
                skipped("interface that the capture does not describe", 2),
                skipped("link type 105 (IEEE 802.11)", 1)
            ]
        );
        assert_eq!((outcome.counts.backwards, outcome.counts.without_time), (1, 0));
    }
}

#[test]
fn interfaces_beyond_the_bound_are_skipped_and_counted() {
    let sample = &samples(1)[0];
    let mut blocks = Blocks::new(Order::Little);
    for _ in 0..=INTERFACES {
        blocks = blocks.interface(1, 0, &[]);
    }
    let (last, beyond) = (u32::try_from(INTERFACES).unwrap() - 1, u32::try_from(INTERFACES).unwrap());
    let outcome = read_whole(&blocks.enhanced(last, 1, sample, &[]).enhanced(beyond, 2, sample, &[]).bytes);
    assert_eq!((outcome.counts.packets, outcome.counts.skipped[0].packets), (1, 1));
    assert_eq!(outcome.counts.skipped[0].reason, "interface beyond the first 4096");
}

#[test]
fn packets_without_a_time_have_that_of_the_packet_before() {
    let [mut one, two, three, four] = samples(4).try_into().unwrap();
    one.data.truncate(51);
    for order in ORDERS {
        let file = Blocks::new(order)
            .interface(1, 50, &[])
            .simple(&one)
            .enhanced(0, 7, &two, &[])
            .simple(&three)
            .simple(&four)
            .bytes;
        let outcome = read_whole(&file);
        assert_eq!(outcome.times(), [0, 7_000, 7_000, 7_000]);
        assert_eq!((outcome.counts.without_time, outcome.counts.backwards), (3, 0));
        assert_eq!(outcome.packets[0].frame, one.data[..50], "the snap length is the only one that is told");
        assert_eq!(outcome.packets[0].wire_bytes, one.wire_bytes);
        let whole = Blocks::new(order).interface(1, 0, &[]).simple(&two).bytes;
        assert_eq!(read_whole(&whole).packets[0].frame, two.data, "padding is no part of a packet");
    }
}

#[test]
fn directions_are_in_the_flags() {
    let sample = &samples(3)[2];
    for order in ORDERS {
        for (flags, expect) in [
            (0, Direction::Unknown),
            (1, Direction::Received),
            (1 | 1 << 2, Direction::Received),
            (1 | 3 << 2, Direction::Passed),
            (2, Direction::Sent),
            (3, Direction::Unknown),
            (0xffff_0006, Direction::Sent),
        ] {
            let (flags, comment) = (order.four(flags), &b"comment"[..]);
            let options: Options<'_> = &[(1, comment), (2, &flags), (2, &[0; 4])];
            let blocks = Blocks::new(order).interface(1, 0, &[]);
            let file = blocks.enhanced(0, 1, sample, options).obsolete(0, 1, sample, options).bytes;
            for packet in read_whole(&file).packets {
                assert_eq!((packet.direction, &packet.frame), (expect, &sample.data));
            }
        }
    }
}
