//! Link types, and how their packets become Ethernet frames.

use super::Direction;
use super::limits::FRAME_MAX;

const ETHERNET_HEADER: usize = 14;
const IP4: u16 = 0x0800;
const IP6: u16 = 0x86dd;
/// Reserved, and so the type of nothing that the parser reads.
const NOTHING: u16 = 0xffff;

/// A link header that netwatch can replace by that of Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing to replace.
    Ethernet,
    /// Linux' "any" interface, first version.
    Cooked,
    /// Linux' "any" interface, second version.
    Cooked2,
    /// None: an IP packet, whose version says which.
    Ip,
    /// None: an IPv4 packet.
    Ip4,
    /// None: an IPv6 packet.
    Ip6,
    /// BSD's loopback and tunnels: the address family.
    Family,
}

impl Link {
    /// By its number in the registry of link types, where netwatch knows it.
    pub fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Ethernet,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            12 | 14 | 101 => Self::Ip,
            228 => Self::Ip4,
            229 => Self::Ip6,
            0 | 108 => Self::Family,
            _ => return None,
        })
    }

    /// The packet as an Ethernet frame, at most [`FRAME_MAX`] bytes of it, and its direction where the link header
    /// says so. `made` holds the frame where it has to be made up.
    ///
    /// What is too short for its link header becomes a frame that is too short for Ethernet's, so that the parser
    /// counts it as the truncated packet that it is.
    #[inline]
    pub fn frame<'a>(self, data: &'a [u8], made: &'a mut Vec<u8>) -> (&'a [u8], Direction) {
        if self == Self::Ethernet {
            return (&data[..data.len().min(FRAME_MAX)], Direction::Unknown);
        }
        match self.header(data) {
            None => (&data[..data.len().min(ETHERNET_HEADER - 1)], Direction::Unknown),
            Some((ether_type, len, direction)) => {
                let rest = data.get(len..).unwrap_or_default();
                made.clear();
                made.extend([0; ETHERNET_HEADER - 2]);
                made.extend(ether_type.to_be_bytes());
                made.extend(&rest[..rest.len().min(FRAME_MAX - ETHERNET_HEADER)]);
                (made, direction)
            }
        }
    }

    /// The EtherType of what is in the packet, the length of its link header, and its direction.
    fn header(self, data: &[u8]) -> Option<(u16, usize, Direction)> {
        let word = |at: usize| Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?));
        let byte = |at: usize| data.get(at).copied();
        Some(match self {
            Self::Ethernet => (word(12)?, ETHERNET_HEADER, Direction::Unknown),
            Self::Cooked => (word(14)?, 16, direction(word(0)?)),
            Self::Cooked2 => {
                data.get(..20)?;
                (word(0)?, 20, direction(u16::from(byte(10)?)))
            }
            Self::Ip => match byte(0)? >> 4 {
                4 => (IP4, 0, Direction::Unknown),
                6 => (IP6, 0, Direction::Unknown),
                _ => (NOTHING, 0, Direction::Unknown),
            },
            Self::Ip4 => (IP4, 0, Direction::Unknown),
            Self::Ip6 => (IP6, 0, Direction::Unknown),
            Self::Family => (of_family(*data.first_chunk()?), 4, Direction::Unknown),
        })
    }
}

/// The packet type of a cooked header: to us, broadcast, multicast or to others; 4 is by us.
fn direction(packet_type: u16) -> Direction {
    match packet_type {
        0 => Direction::Received,
        1..=3 => Direction::Passed,
        4 => Direction::Sent,
        _ => Direction::Unknown,
    }
}

/// The EtherType of an address family, which lies in the byte order of the machine that captured: of the two numbers
/// that it can be, the small one.
fn of_family(bytes: [u8; 4]) -> u16 {
    match u32::from_le_bytes(bytes).min(u32::from_be_bytes(bytes)) {
        2 => IP4,
        // Linux; Windows; NetBSD and OpenBSD; FreeBSD; macOS.
        10 | 23 | 24 | 28 | 30 => IP6,
        _ => NOTHING,
    }
}

/// A link type as people call it.
pub(super) fn describe(number: u16) -> String {
    let name = match number {
        6 => "Token Ring",
        9 => "PPP",
        10 => "FDDI",
        50 => "PPP in HDLC framing",
        51 => "PPPoE",
        104 => "Cisco HDLC",
        105 => "IEEE 802.11",
        107 => "Frame Relay",
        117 => "OpenBSD pflog",
        119 => "IEEE 802.11 with Prism header",
        122 => "IP over Fibre Channel",
        123 => "SunATM",
        127 => "IEEE 802.11 with radiotap header",
        129 => "ARCNET",
        138 => "IP over IEEE 1394",
        143 => "DOCSIS",
        147..=162 => "private use",
        163 => "IEEE 802.11 with AVS header",
        166 => "PPP of pppd",
        187 | 201 => "Bluetooth HCI",
        189 | 220 => "USB of Linux",
        192 => "Per-Packet Information",
        195 | 215 | 230 => "IEEE 802.15.4",
        202 => "AX.25",
        204 => "PPP with direction",
        227 => "CAN bus",
        239 => "Linux netfilter log",
        240 => "Hilscher netANALYZER",
        249 => "USB of Windows",
        251 | 256 => "Bluetooth Low Energy",
        252 => "exported PDUs",
        253 => "Linux netlink",
        254 => "Bluetooth monitor of Linux",
        266 => "USB of macOS",
        271 => "virtio vsock",
        _ => return format!("link type {number}"),
    };
    format!("link type {number} ({name})")
}
