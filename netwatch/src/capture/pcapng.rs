//! pcapng files: sections of blocks, of which some describe interfaces and some hold packets.

use super::Direction;
use super::buffer::Buffer;
use super::limits::{INTERFACES, RECORD_MAX, TIME_MAX_NS};
use super::link::Link;
use super::record::{Order, Record, Unfit};

/// The type of a section's header, the same in either byte order.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// The major version that there is.
const VERSION: u16 = 1;
/// Length of a section's header without options, in bytes.
pub(super) const HEADER: usize = 28;
/// Type and length before a block's body, and the length once more behind it.
const BEFORE: usize = 8;
const BEHIND: usize = 4;

/// Options of an interface.
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;
/// The option of a packet that has its direction.
const FLAGS: u16 = 2;

/// Whether a file that starts like this is a pcapng file, or would be if it were longer.
pub(super) fn is_magic(header: &[u8]) -> bool {
    // The same in both orders, unlike all else.
    Order::Little.u32(header, 0) == Some(SECTION_HEADER)
}

/// What is known of the section that is read.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    interfaces_lost: bool,
}

/// One interface of a section.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Result<Link, Unfit>,
    snap_len: u32,
    unit: Unit,
    offset_seconds: i64,
}

/// What one tick of an interface's clock is.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// So many nanoseconds.
    Nanoseconds(u32),
    /// The so-many-th part of a nanosecond.
    Part(i128),
    /// 2 to the minus so many seconds.
    Binary(u8),
}

impl Pcapng {
    /// The file that starts with these bytes, if it is a pcapng file of a known version with a whole header.
    pub fn from_header(header: &[u8]) -> Option<Self> {
        if !is_magic(header) {
            return None;
        }
        let order = order(header)?;
        let is_known = order.u16(header, BEFORE + 4)? == VERSION && header.len() >= HEADER;
        is_known.then_some(Self { order, interfaces: Vec::new(), interfaces_lost: false })
    }

    /// The next block that holds a packet, moved to the front of the buffer; none at the end of the file.
    ///
    /// # Errors
    /// What is wrong with the block at the front of the buffer.
    pub fn next(&mut self, buffer: &mut Buffer) -> Result<Option<Record>, String> {
        loop {
            // As long as the shortest block, and as a section's header up to its byte order.
            let start = buffer.at_least(BEFORE + BEHIND);
            if start.is_empty() {
                return Ok(None);
            }
            if is_magic(start) {
                if start.len() < BEFORE + BEHIND {
                    return Err(buffer.cut_short("the header of a section"));
                }
                self.order = order(start).ok_or("a section does not say its byte order")?;
                self.interfaces.clear();
                self.interfaces_lost = false;
            }
            let Some((kind, len)) = self.order.u32(start, 0).zip(self.order.u32(start, 4)) else {
                return Err(buffer.cut_short("the header of a block"));
            };
            let len = len as usize;
            if !(BEFORE + BEHIND..=RECORD_MAX).contains(&len) || !len.is_multiple_of(4) {
                return Err(format!("a block cannot have {len} bytes"));
            }
            if buffer.at_least(len).len() < len {
                return Err(buffer.cut_short("a block"));
            }
            let block = &buffer.data()[..len];
            let body = &block[BEFORE..len - BEHIND];
            if self.order.u32(block, len - BEHIND).map(|again| again as usize) != Some(len) {
                return Err("the two lengths of a block differ".into());
            }
            let found = match kind {
                SECTION_HEADER if self.order.u16(body, 4).is_some_and(|major| major != VERSION) => {
                    return Err(format!("a section of another version than {VERSION}"));
                }
                SECTION_HEADER => body.get(HEADER - BEFORE - BEHIND..).map(|_| None),
                INTERFACE => self.interface(body).map(|()| None),
                ENHANCED_PACKET => self.enhanced(body).map(Some),
                OBSOLETE_PACKET => self.obsolete(body).map(Some),
                SIMPLE_PACKET => self.simple(body).map(Some),
                _ => Some(None), // holds no packet
            };
            match found {
                Some(Some(record)) => return Ok(Some(Record { len, ..record })),
                Some(None) => buffer.consume(len),
                None => return Err(format!("a block of type {kind} does not hold what it should")),
            }
        }
    }

    fn interface(&mut self, body: &[u8]) -> Option<()> {
        let link_type = self.order.u16(body, 0)?;
        let mut interface = Interface {
            link: Link::of(link_type).ok_or(Unfit::LinkType(link_type)),
            snap_len: self.order.u32(body, 4)?,
            unit: Unit::Nanoseconds(1_000),
            offset_seconds: 0,
        };
        let mut options = Options { bytes: &body[8..], order: self.order };
        while let Some((code, value)) = options.next()? {
            match (code, value) {
                (TIME_RESOLUTION, [resolution, ..]) => interface.unit = Unit::of(*resolution),
                (TIME_OFFSET, _) => interface.offset_seconds = self.order.i64(value, 0)?,
                _ => {}
            }
        }
        if self.interfaces.len() < INTERFACES {
            self.interfaces.push(interface);
        } else {
            self.interfaces_lost = true;
        }
        Some(())
    }

    fn enhanced(&self, body: &[u8]) -> Option<Record> {
        self.packet(body, self.order.u32(body, 0)?)
    }

    /// The obsolete packet block, which counts drops where the newer one has half of the interface's number.
    fn obsolete(&self, body: &[u8]) -> Option<Record> {
        self.packet(body, u32::from(self.order.u16(body, 0)?))
    }

    fn packet(&self, body: &[u8], interface: u32) -> Option<Record> {
        const HEADER: usize = 20;
        let word = |at| self.order.u32(body, at);
        let (high, low) = (word(4)?, word(8)?);
        let (captured_bytes, wire_bytes) = (word(12)?, word(16)?);
        let behind = body.get(HEADER..)?.get(captured_bytes as usize..)?;
        let interface = self.known(interface);
        Some(Record {
            at_ns: interface.and_then(|interface| interface.time(u64::from(high) << 32 | u64::from(low))),
            wire_bytes,
            captured_bytes,
            data: BEFORE + HEADER,
            len: 0,
            link: self.link(interface),
            direction: self.direction(behind, captured_bytes),
        })
    }

    /// A packet of the first interface, without a time.
    fn simple(&self, body: &[u8]) -> Option<Record> {
        const HEADER: usize = 4;
        let wire_bytes = self.order.u32(body, 0)?;
        let interface = self.known(0);
        // The block does not say how much was captured: what the interface may capture, and what lies in the block.
        let snap_len = interface.map(|interface| interface.snap_len).filter(|snap_len| *snap_len > 0);
        let room = u32::try_from(body.len() - HEADER).ok()?;
        Some(Record {
            at_ns: None,
            wire_bytes,
            captured_bytes: wire_bytes.min(room).min(snap_len.unwrap_or(u32::MAX)),
            data: BEFORE + HEADER,
            len: 0,
            link: self.link(interface),
            direction: Direction::Unknown,
        })
    }

    fn known(&self, interface: u32) -> Option<&Interface> {
        self.interfaces.get(interface as usize)
    }

    fn link(&self, interface: Option<&Interface>) -> Result<Link, Unfit> {
        match interface {
            Some(interface) => interface.link,
            None if self.interfaces_lost => Err(Unfit::TooManyInterfaces),
            None => Err(Unfit::UnknownInterface),
        }
    }

    /// What the options of a packet say, as far as they can be read: nothing else depends on them.
    fn direction(&self, behind: &[u8], captured_bytes: u32) -> Direction {
        let padding = (4 - captured_bytes as usize % 4) % 4;
        let mut options = Options { bytes: behind.get(padding..).unwrap_or_default(), order: self.order };
        while let Some(Some((code, value))) = options.next() {
            if code == FLAGS {
                // The direction, and for what comes in whether it is for this host: 0 says nothing, and 1 that it is.
                return match self.order.u32(value, 0).map(|flags| (flags & 0b11, flags >> 2 & 0b111)) {
                    Some((1, 0 | 1)) => Direction::Received,
                    Some((1, _)) => Direction::Passed,
                    Some((2, _)) => Direction::Sent,
                    _ => Direction::Unknown,
                };
            }
        }
        Direction::Unknown
    }
}

/// The byte order of the section that starts here.
fn order(header: &[u8]) -> Option<Order> {
    let says = |order: &Order| order.u32(header, BEFORE) == Some(BYTE_ORDER);
    [Order::Little, Order::Big].into_iter().find(says)
}

impl Interface {
    /// Nanoseconds since the epoch, where netwatch can count that far.
    fn time(&self, ticks: u64) -> Option<i64> {
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let nanos = i64::try_from(self.unit.nanoseconds(ticks) + offset).ok()?;
        (-TIME_MAX_NS..=TIME_MAX_NS).contains(&nanos).then_some(nanos)
    }
}

impl Unit {
    fn of(resolution: u8) -> Self {
        let exponent = resolution & 0x7f;
        match (resolution & 0x80 != 0, exponent) {
            (true, _) => Self::Binary(exponent),
            (false, 0..=9) => Self::Nanoseconds(10_u32.pow(u32::from(9 - exponent))),
            // Where that is beyond all numbers, no count of ticks is as long as a nanosecond.
            (false, _) => Self::Part(10_i128.checked_pow(u32::from(exponent - 9)).unwrap_or(i128::MAX)),
        }
    }

    fn nanoseconds(self, ticks: u64) -> i128 {
        let ticks = i128::from(ticks);
        match self {
            Self::Nanoseconds(count) => ticks * i128::from(count),
            Self::Part(count) => ticks / count,
            Self::Binary(exponent) => (ticks * 1_000_000_000) >> exponent,
        }
    }
}

/// Reads options one after the other.
struct Options<'a> {
    bytes: &'a [u8],
    order: Order,
}

impl<'a> Options<'a> {
    /// The next option, `Some(None)` behind the last, none where it does not fit into its block.
    #[allow(clippy::type_complexity)]
    fn next(&mut self) -> Option<Option<(u16, &'a [u8])>> {
        // The mark of the end may be missing.
        if self.bytes.is_empty() {
            return Some(None);
        }
        let (code, len) = self.order.u16(self.bytes, 0).zip(self.order.u16(self.bytes, 2))?;
        if code == 0 {
            return Some(None);
        }
        let (len, rest) = (usize::from(len), &self.bytes[4..]);
        let value = rest.get(..len)?;
        self.bytes = rest.get(len.next_multiple_of(4)..)?;
        Some(Some((code, value)))
    }
}
