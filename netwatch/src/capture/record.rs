//! What both formats make of a record, and how they read numbers.

use super::Direction;
use super::link::Link;

/// One packet as it lies at the front of the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Nanoseconds since the epoch, where the record says so.
    pub at_ns: Option<i64>,
    /// Length on the wire, in bytes.
    pub wire_bytes: u32,
    /// Length of what was captured, in bytes.
    pub captured_bytes: u32,
    /// Where in the record that starts.
    pub data: usize,
    /// Length of the whole record, in bytes.
    pub len: usize,
    /// How its link header is read, or why the packet cannot be replayed.
    pub link: Result<Link, Unfit>,
    /// As the record itself says.
    pub direction: Direction,
}

/// Why a packet cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// netwatch makes no Ethernet frame of this link type.
    LinkType(u16),
    /// The file does not say what its interface is.
    UnknownInterface,
    /// The file has more interfaces than are followed.
    TooManyInterfaces,
    /// Any other reason, when there are too many.
    Other,
}

/// In which order the bytes of a number lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    pub fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    #[inline]
    pub fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    #[inline]
    pub fn i64(self, bytes: &[u8], at: usize) -> Option<i64> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        })
    }
}
