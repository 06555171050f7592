//! The headers between Ethernet and transport: IPv4, IPv6 with its extension headers, and everything else.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::transport::{Transport, checksum, sum};

/// The protocol number that says that nothing follows an IPv6 header.
pub const NO_NEXT_HEADER: u8 = 59;

/// What an Ethernet frame carries.
pub trait Network {
    /// The number that announces it in the Ethernet header.
    fn ethertype(&self) -> u16;

    /// Appends the packet, headers and payload, to `frame`.
    fn write(&self, transport: &Transport, frame: &mut Vec<u8>);
}

/// A network layer that carries transports.
pub trait Ip: Network {
    /// The type of an echo request.
    const ECHO_REQUEST: u8;
    /// The type of the answer to it.
    const ECHO_REPLY: u8;
}

/// An IPv4 header.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    source: Ipv4Addr,
    dest: Ipv4Addr,
    pub(super) options: Vec<u8>,
    pub(super) id: u16,
    /// The flags and the offset, as they lie in the header.
    pub(super) fragment: u16,
    pub(super) ttl: u8,
    pub(super) total_length: Option<u16>,
    pub(super) header_words: Option<u8>,
}

impl Ipv4 {
    pub(super) fn new(source: Ipv4Addr, dest: Ipv4Addr) -> Self {
        Self {
            source,
            dest,
            options: Vec::new(),
            id: 0,
            fragment: 0,
            ttl: 64,
            total_length: None,
            header_words: None,
        }
    }
}

impl Network for Ipv4 {
    fn ethertype(&self) -> u16 {
        0x0800
    }

    fn write(&self, transport: &Transport, frame: &mut Vec<u8>) {
        let addresses = sum(&self.source.octets()) + sum(&self.dest.octets());
        let (protocol, payload) = transport.encode(addresses, false);
        let words = header_words(self.options.len());
        let length = usize::from(words) * 4 + payload.len();

        let start = frame.len();
        frame.push(0x40 | (self.header_words.unwrap_or(words) & 0x0f));
        frame.push(0); // type of service
        frame.extend(self.total_length.unwrap_or_else(|| length_field(length)).to_be_bytes());
        frame.extend(self.id.to_be_bytes());
        frame.extend(self.fragment.to_be_bytes());
        frame.extend([self.ttl, protocol]);
        frame.extend([0, 0]); // the checksum, filled in below
        frame.extend(self.source.octets());
        frame.extend(self.dest.octets());
        frame.extend(&self.options);
        frame.resize(start + usize::from(words) * 4, 0);
        let check = checksum(sum(&frame[start..]));
        frame[start + 10..start + 12].copy_from_slice(&check.to_be_bytes());
        frame.extend(payload);
    }
}

impl Ip for Ipv4 {
    const ECHO_REQUEST: u8 = 8;
    const ECHO_REPLY: u8 = 0;
}

/// An IPv6 header with the extension headers that follow it.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    source: Ipv6Addr,
    dest: Ipv6Addr,
    pub(super) extensions: Vec<Extension>,
    pub(super) hop_limit: u8,
    pub(super) payload_length: Option<u16>,
}

impl Ipv6 {
    pub(super) fn new(source: Ipv6Addr, dest: Ipv6Addr) -> Self {
        Self { source, dest, extensions: Vec::new(), hop_limit: 64, payload_length: None }
    }
}

impl Network for Ipv6 {
    fn ethertype(&self) -> u16 {
        0x86dd
    }

    fn write(&self, transport: &Transport, frame: &mut Vec<u8>) {
        let addresses = sum(&self.source.octets()) + sum(&self.dest.octets());
        let (protocol, payload) = transport.encode(addresses, true);

        // Each header names the one after it, so the chain is written from its end.
        let mut next = protocol;
        let mut headers = Vec::new();
        for extension in self.extensions.iter().rev() {
            headers.push(extension.encode(next));
            next = extension.number();
        }
        let length = headers.iter().map(Vec::len).sum::<usize>() + payload.len();

        frame.extend(0x6000_0000_u32.to_be_bytes());
        frame.extend(self.payload_length.unwrap_or_else(|| length_field(length)).to_be_bytes());
        frame.extend([next, self.hop_limit]);
        frame.extend(self.source.octets());
        frame.extend(self.dest.octets());
        frame.extend(headers.into_iter().rev().flatten());
        frame.extend(payload);
    }
}

impl Ip for Ipv6 {
    const ECHO_REQUEST: u8 = 128;
    const ECHO_REPLY: u8 = 129;
}

/// One IPv6 extension header (RFC 8200, section 4; RFC 4302; RFC 6275).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options, filled up with padding options to a multiple of 8 bytes.
    HopByHop(Vec<u8>),
    /// Destination options, filled up likewise.
    DestinationOptions(Vec<u8>),
    /// A routing header of this type; `data` follows its first 4 bytes.
    Routing {
        /// The routing type: 0 is the deprecated source route, 4 is segment routing.
        kind: u8,
        /// How many stops remain.
        segments_left: u8,
        /// What follows, filled up with zeros.
        data: Vec<u8>,
    },
    /// A fragment header. `offset` 0 without `more` is an atomic fragment.
    Fragment {
        /// Where the fragment's payload belongs, in units of 8 bytes.
        offset: u16,
        /// Whether more fragments follow.
        more: bool,
        /// What the fragments of one packet share.
        id: u32,
    },
    /// An authentication header with this integrity check value, filled up with zeros.
    Authentication(Vec<u8>),
    /// A mobility header of this type; `data` follows its checksum, which stays zero.
    Mobility {
        /// The message type.
        kind: u8,
        /// What follows, filled up with zeros.
        data: Vec<u8>,
    },
    /// Any header that states its length as the option headers do, `data` following its first 2 bytes.
    Other {
        /// The number that announces it.
        number: u8,
        /// What follows, filled up with zeros.
        data: Vec<u8>,
    },
}

impl Extension {
    /// The number that announces this header.
    #[must_use]
    pub fn number(&self) -> u8 {
        match self {
            Self::HopByHop(_) => 0,
            Self::Routing { .. } => 43,
            Self::Fragment { .. } => 44,
            Self::Authentication(_) => 51,
            Self::DestinationOptions(_) => 60,
            Self::Mobility { .. } => 135,
            Self::Other { number, .. } => *number,
        }
    }

    fn encode(&self, next: u8) -> Vec<u8> {
        match self {
            Self::HopByHop(options) | Self::DestinationOptions(options) => {
                let mut options = options.clone();
                let missing = (options.len() + 2).next_multiple_of(8) - (options.len() + 2);
                match u8::try_from(missing).unwrap_or(0) {
                    0 => {}
                    1 => options.push(0), // Pad1
                    pad => {
                        options.extend([1, pad - 2]); // PadN
                        options.resize(options.len() + usize::from(pad) - 2, 0);
                    }
                }
                in_eights(next, &options)
            }
            Self::Routing { kind, segments_left, data } => {
                in_eights(next, &[&[*kind, *segments_left][..], data].concat())
            }
            Self::Fragment { offset, more, id } => {
                let field = offset << 3 | u16::from(*more);
                [&[next, 0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat()
            }
            Self::Authentication(check) => {
                // Two reserved bytes, a parameters index and a sequence number, which mean nothing here.
                let mut header = [&[next, 0][..], &[0; 2], &[0, 0, 1, 0], &[0, 0, 0, 1], check].concat();
                header.resize(header.len().next_multiple_of(8), 0);
                // Alone among its kin it counts in words of 4 bytes, less 2.
                header[1] = one_byte(header.len() / 4 - 2);
                header
            }
            Self::Mobility { kind, data } => in_eights(next, &[&[*kind, 0, 0, 0][..], data].concat()),
            Self::Other { data, .. } => in_eights(next, data),
        }
    }
}

/// A header whose length field counts units of 8 bytes beyond the first.
fn in_eights(next: u8, data: &[u8]) -> Vec<u8> {
    let mut header = [&[next, 0][..], data].concat();
    header.resize(header.len().next_multiple_of(8), 0);
    header[1] = one_byte(header.len() / 8 - 1);
    header
}

/// Something that is not IP.
#[derive(Clone, Debug)]
pub struct Opaque {
    pub(super) ethertype: u16,
    pub(super) payload: Vec<u8>,
}

impl Network for Opaque {
    fn ethertype(&self) -> u16 {
        self.ethertype
    }

    fn write(&self, _transport: &Transport, frame: &mut Vec<u8>) {
        frame.extend(&self.payload);
    }
}

/// The length of an IPv4 or TCP header with this many bytes of options, in words of 4 bytes.
pub(super) fn header_words(options: usize) -> u8 {
    assert!(options <= 40, "{options} bytes of options do not fit into a header, which has room for 40");
    one_byte(5 + options.div_ceil(4))
}

pub(super) fn length_field(length: usize) -> u16 {
    u16::try_from(length).expect("a packet is shorter than 65,536 bytes")
}

fn one_byte(length: usize) -> u8 {
    u8::try_from(length).expect("a header's length fits into its field")
}
