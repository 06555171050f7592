//! pcap files: one header, then records of one link type.

use super::Direction;
use super::buffer::Buffer;
use super::limits::{CAPTURED_MAX, RECORD_MAX};
use super::link::Link;
use super::record::{Order, Record, Unfit};

/// Length of the file's header, in bytes.
pub(super) const HEADER: usize = 24;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's variant: its records say a little more.
const MODIFIED: u32 = 0xa1b2_cd34;

/// Whether a file that starts like this is a pcap file, or would be if it were longer.
pub(super) fn is_magic(header: &[u8]) -> bool {
    [Order::Little, Order::Big].into_iter().any(|order| magic(order, header).is_some())
}

fn magic(order: Order, header: &[u8]) -> Option<u32> {
    order.u32(header, 0).filter(|magic| matches!(*magic, MICROSECONDS | NANOSECONDS | MODIFIED))
}

/// How the records of a file are read.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    nanos: i64,
    record_header: usize,
    captured_max: u32,
    link: Result<Link, Unfit>,
}

impl Pcap {
    /// The file that starts with these bytes, if it is a pcap file with a whole header.
    pub fn from_header(header: &[u8]) -> Option<Self> {
        let (order, magic) =
            [Order::Little, Order::Big].into_iter().find_map(|order| Some((order, magic(order, header)?)))?;
        let snap_len = order.u32(header, 16)?;
        // The upper half says how long the frame check sequence is.
        let link_type = (order.u32(header, 20)? & 0xffff) as u16;
        let record_header = if magic == MODIFIED { 24 } else { 16 };
        let most = u32::try_from(RECORD_MAX - record_header).unwrap_or(u32::MAX);
        Some(Self {
            order,
            nanos: if magic == NANOSECONDS { 1 } else { 1_000 },
            record_header,
            captured_max: snap_len.clamp(CAPTURED_MAX, most),
            link: Link::of(link_type).ok_or(Unfit::LinkType(link_type)),
        })
    }

    /// The record at the front of the buffer, or none at the end of the file.
    ///
    /// # Errors
    /// What is wrong with the record.
    #[inline]
    pub fn next(&self, buffer: &mut Buffer) -> Result<Option<Record>, String> {
        let header = buffer.at_least(self.record_header);
        if header.is_empty() {
            return Ok(None);
        }
        let Some((seconds, fraction, captured_bytes, wire_bytes)) = self.header(header) else {
            return Err(buffer.cut_short("the header of a record"));
        };
        if captured_bytes > self.captured_max {
            return Err(format!(
                "a record of {captured_bytes} bytes, where {} are the most",
                self.captured_max
            ));
        }
        let len = self.record_header + captured_bytes as usize;
        if buffer.at_least(len).len() < len {
            return Err(buffer.cut_short("a record"));
        }
        Ok(Some(Record {
            at_ns: Some(i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.nanos),
            wire_bytes,
            captured_bytes,
            data: self.record_header,
            len,
            link: self.link,
            direction: Direction::Unknown,
        }))
    }

    #[inline]
    fn header(&self, bytes: &[u8]) -> Option<(u32, u32, u32, u32)> {
        let bytes = bytes.get(..self.record_header)?;
        let word = |at| self.order.u32(bytes, at);
        Some((word(0)?, word(4)?, word(8)?, word(12)?))
    }
}
