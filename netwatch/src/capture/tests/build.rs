//! Captures, byte by byte.

use std::io::{Cursor, Write as _};
use std::net::Ipv4Addr;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use xtask::traffic::Frame;

pub(super) use crate::capture::record::Order;

pub(super) const ORDERS: [Order; 2] = [Order::Little, Order::Big];
pub(super) const MICROSECONDS: u32 = 0xa1b2_c3d4;
pub(super) const NANOSECONDS: u32 = 0xa1b2_3c4d;
pub(super) const MODIFIED: u32 = 0xa1b2_cd34;

/// 14 November 2023, 22:13:20.
pub(super) const START: i64 = 1_700_000_000_000_000_000;

/// A packet to be recorded.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub at_ns: i64,
    pub wire_bytes: u32,
    pub data: Vec<u8>,
}

/// TCP SYNs to growing ports, a millisecond and a microsecond apart; each third one is cut.
pub(super) fn samples(count: u16) -> Vec<Sample> {
    (0..count)
        .map(|number| {
            let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 7));
            let mut data = Frame::ipv4(a, b).tcp(40_000, 1_000 + number, 2).build();
            let wire_bytes = u32::try_from(data.len()).unwrap();
            if number % 3 == 2 {
                data.pop();
            }
            Sample { at_ns: START + i64::from(number) * 1_001_000, wire_bytes, data }
        })
        .collect()
}

impl Order {
    pub fn two(self, value: u16) -> [u8; 2] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    pub fn four(self, value: u32) -> [u8; 4] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    pub fn eight(self, value: i64) -> [u8; 8] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }
}

fn len(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap()
}

/// A pcap file of Ethernet frames.
pub(super) fn pcap(order: Order, magic: u32, samples: &[Sample]) -> Vec<u8> {
    pcap_of(order, magic, 1, samples)
}

/// A pcap file of any link type.
pub(super) fn pcap_of(order: Order, magic: u32, link_type: u32, samples: &[Sample]) -> Vec<u8> {
    let mut file = pcap_header(order, magic, 262_144, link_type);
    for Sample { at_ns, wire_bytes, data } in samples {
        let fraction = at_ns % 1_000_000_000 / if magic == NANOSECONDS { 1 } else { 1_000 };
        for word in [at_ns / 1_000_000_000, fraction, i64::from(len(data)), i64::from(*wire_bytes)] {
            file.extend(order.four(u32::try_from(word).unwrap()));
        }
        if magic == MODIFIED {
            file.extend([0xaa; 8]);
        }
        file.extend(data);
    }
    file
}

pub(super) fn pcap_header(order: Order, magic: u32, snap_len: u32, link_type: u32) -> Vec<u8> {
    let mut header = order.four(magic).to_vec();
    header.extend([order.two(2), order.two(4)].as_flattened());
    header.extend([order.four(0), order.four(0), order.four(snap_len), order.four(link_type)].as_flattened());
    header
}

/// A pcapng file, block by block.
pub(super) struct Blocks {
    order: Order,
    pub bytes: Vec<u8>,
}

/// Options as code and value.
pub(super) type Options<'a> = &'a [(u16, &'a [u8])];

impl Blocks {
    /// Starts with a section.
    pub fn new(order: Order) -> Self {
        Self { order, bytes: Vec::new() }.section(order)
    }

    pub fn section(mut self, order: Order) -> Self {
        self.order = order;
        let magic = order.four(0x1a2b_3c4d);
        self.block(0x0a0d_0d0a, &[&magic[..], &order.two(1), &order.two(0), &order.eight(-1)].concat())
    }

    pub fn interface(self, link_type: u16, snap_len: u32, options: Options<'_>) -> Self {
        let order = self.order;
        let body = [&order.two(link_type)[..], &[0, 0], &order.four(snap_len), &self.options(options)];
        self.block(1, &body.concat())
    }

    pub fn enhanced(self, interface: u32, ticks: u64, sample: &Sample, options: Options<'_>) -> Self {
        let first = self.order.four(interface);
        self.packet(6, first, ticks, sample, options)
    }

    pub fn obsolete(self, interface: u16, ticks: u64, sample: &Sample, options: Options<'_>) -> Self {
        let first = [self.order.two(interface), self.order.two(0xffff)].as_flattened().try_into().unwrap();
        self.packet(2, first, ticks, sample, options)
    }

    pub fn simple(self, sample: &Sample) -> Self {
        let body = [&self.order.four(sample.wire_bytes)[..], &padded(&sample.data)].concat();
        self.block(3, &body)
    }

    pub fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let len = self.order.four(len(body) + 12);
        self.bytes.extend([&self.order.four(kind)[..], &len, body, &len].concat());
        self
    }

    fn packet(self, kind: u32, first: [u8; 4], ticks: u64, sample: &Sample, options: Options<'_>) -> Self {
        let order = self.order;
        let words = [
            first,
            order.four(u32::try_from(ticks >> 32).unwrap()),
            order.four(u32::try_from(ticks & 0xffff_ffff).unwrap()),
            order.four(len(&sample.data)),
            order.four(sample.wire_bytes),
        ];
        let options = self.options(options);
        self.block(kind, &[words.as_flattened(), &padded(&sample.data), &options].concat())
    }

    fn options(&self, options: Options<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(self.order.two(*code));
            bytes.extend(self.order.two(u16::try_from(value.len()).unwrap()));
            bytes.extend(padded(value));
        }
        if !options.is_empty() {
            bytes.extend([0; 4]);
        }
        bytes
    }
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.resize(data.len().next_multiple_of(4), 0xee);
    padded
}

/// A pcapng file of one Ethernet interface that counts microseconds.
pub(super) fn pcapng(order: Order, samples: &[Sample]) -> Vec<u8> {
    let start = Blocks::new(order).interface(1, 0, &[]);
    let add = |blocks: Blocks, sample: &Sample| {
        blocks.enhanced(0, u64::try_from(sample.at_ns / 1_000).unwrap(), sample, &[])
    };
    samples.iter().fold(start, add).bytes
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(Cursor::new(bytes), CompressionLevel::Fastest)
}
