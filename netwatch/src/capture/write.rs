//! pcapng files, block by block: what Wireshark, tcpdump and netwatch itself read.
//!
//! Each function adds whole blocks to the end of a buffer, so a file is well-formed wherever it ends between two calls.
//! Times are in nanoseconds; numbers are in little-endian order, as the section's header says.

use super::Direction;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

// Options, each of the kinds of blocks that they belong to.
const COMMENT: u16 = 1;
const HARDWARE: u16 = 2;
const OPERATING_SYSTEM: u16 = 3;
const APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
const FILTER: u16 = 11;
const FLAGS: u16 = 2;
const DROPPED_BEFORE: u16 = 4;
const START_TIME: u16 = 2;
const END_TIME: u16 = 3;
const RECEIVED: u16 = 4;
const DROPPED: u16 = 5;
const ACCEPTED: u16 = 6;
const DROPPED_BY_SYSTEM: u16 = 7;
const DELIVERED: u16 = 8;

/// Bytes of an option at most: its length has 16 bits, and is padded.
const OPTION_MAX: usize = 65_532;
/// What kind of filter an interface has: an expression.
const EXPRESSION: u8 = 0;

/// What frames of an interface start with, by its number in the registry of link types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum LinkType {
    /// An Ethernet header.
    Ethernet = 1,
    /// An IP header.
    Ip = 101,
}

/// What is said of an interface before its packets come.
#[derive(Clone, Copy, Debug)]
pub struct Interface<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its frames start with.
    pub link: LinkType,
    /// Bytes that are captured of a packet at most.
    pub snap_bytes: u32,
    /// The filter that packets have passed, in tcpdump's language.
    pub filter: Option<&'a str>,
}

/// What is said of a packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet<'a> {
    /// Number of its interface: the first one that was described is 0.
    pub interface: u32,
    /// When it was captured, in nanoseconds since the epoch.
    pub at_ns: u64,
    /// Its length on the wire, in bytes.
    pub wire_bytes: u32,
    /// Which way it went.
    pub direction: Direction,
    /// Packets that were lost between the one before and this one.
    pub dropped_before: u64,
    /// A word about it for whoever reads the file; none where it is empty.
    pub comment: &'a str,
}

/// What is said of an interface when all is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// When the capture began, in nanoseconds since the epoch.
    pub start_ns: u64,
    /// When it ended, likewise.
    pub end_ns: u64,
    /// Packets that the interface has received, or sent.
    pub received: u64,
    /// Packets that a filter let through.
    pub accepted: u64,
    /// Those that found no room in the kernel, or were left out there.
    pub dropped_by_system: u64,
    /// Those that were lost later.
    pub dropped: u64,
    /// Those that are in the file.
    pub delivered: u64,
}

/// Begins a section: what wrote it, and where.
pub fn section(into: &mut Vec<u8>, hardware: &str, system: &str) {
    section_about(into, hardware, system, "");
}

/// The same, with a word about it for whoever reads the file; none where it is empty.
pub fn section_about(into: &mut Vec<u8>, hardware: &str, system: &str, comment: &str) {
    block(into, SECTION_HEADER, |into| {
        into.extend(BYTE_ORDER.to_le_bytes());
        into.extend(1_u16.to_le_bytes());
        into.extend(0_u16.to_le_bytes());
        // How long the section is, is not known before it ends.
        into.extend(u64::MAX.to_le_bytes());
        if !comment.is_empty() {
            option(into, COMMENT, comment.as_bytes());
        }
        option(into, HARDWARE, hardware.as_bytes());
        option(into, OPERATING_SYSTEM, system.as_bytes());
        option(into, APPLICATION, concat!("netwatch ", env!("CARGO_PKG_VERSION")).as_bytes());
        end_of_options(into);
    });
}

/// Describes the next interface.
pub fn interface(into: &mut Vec<u8>, interface: &Interface<'_>) {
    block(into, INTERFACE, |into| {
        into.extend((interface.link as u16).to_le_bytes());
        into.extend(0_u16.to_le_bytes());
        into.extend(interface.snap_bytes.to_le_bytes());
        option(into, INTERFACE_NAME, interface.name.as_bytes());
        option(into, TIME_RESOLUTION, &[9]);
        if let Some(filter) = interface.filter {
            option(into, FILTER, &[&[EXPRESSION], filter.as_bytes()].concat());
        }
        end_of_options(into);
    });
}

/// Adds a packet: what was captured of it, in as many parts as it lies in.
pub fn packet(into: &mut Vec<u8>, packet: &Packet<'_>, parts: &[&[u8]]) {
    block(into, ENHANCED_PACKET, |into| {
        into.extend(packet.interface.to_le_bytes());
        into.extend(time(packet.at_ns));
        let captured: usize = parts.iter().map(|part| part.len()).sum();
        into.extend(u32::try_from(captured).unwrap_or(u32::MAX).to_le_bytes());
        into.extend(packet.wire_bytes.to_le_bytes());
        parts.iter().for_each(|part| into.extend(*part));
        pad(into, captured);
        let flags: u32 = match packet.direction {
            Direction::Unknown => 0,
            // Nothing is said of whether it was for this host alone, or for others, too.
            Direction::Received => 1,
            Direction::Passed => 1 | 4 << 2,
            Direction::Sent => 2,
        };
        if !packet.comment.is_empty() {
            option(into, COMMENT, packet.comment.as_bytes());
        }
        option(into, FLAGS, &flags.to_le_bytes());
        if packet.dropped_before > 0 {
            option(into, DROPPED_BEFORE, &packet.dropped_before.to_le_bytes());
        }
        end_of_options(into);
    });
}

/// Adds what was counted of an interface, by its number.
pub fn statistics(into: &mut Vec<u8>, interface: u32, counts: &Statistics) {
    block(into, STATISTICS, |into| {
        into.extend(interface.to_le_bytes());
        into.extend(time(counts.end_ns));
        option(into, START_TIME, &time(counts.start_ns));
        option(into, END_TIME, &time(counts.end_ns));
        for (code, count) in [
            (RECEIVED, counts.received),
            (DROPPED, counts.dropped),
            (ACCEPTED, counts.accepted),
            (DROPPED_BY_SYSTEM, counts.dropped_by_system),
            (DELIVERED, counts.delivered),
        ] {
            option(into, code, &count.to_le_bytes());
        }
        end_of_options(into);
    });
}

/// A block, whose length is known when its body is written.
fn block(into: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = into.len();
    into.extend(kind.to_le_bytes());
    into.extend([0; 4]);
    body(into);
    let len = u32::try_from(into.len() - start + 4).unwrap_or(u32::MAX).to_le_bytes();
    into[start + 4..start + 8].copy_from_slice(&len);
    into.extend(len);
}

fn option(into: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(OPTION_MAX)];
    into.extend(code.to_le_bytes());
    into.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    into.extend(value);
    pad(into, value.len());
}

fn end_of_options(into: &mut Vec<u8>) {
    into.extend([0; 4]);
}

fn pad(into: &mut Vec<u8>, len: usize) {
    into.resize(into.len() + len.next_multiple_of(4) - len, 0);
}

/// A time as blocks hold it: the upper half first, whatever the byte order.
fn time(at_ns: u64) -> [u8; 8] {
    (at_ns.rotate_left(32)).to_le_bytes()
}
