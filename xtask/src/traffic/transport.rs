//! TCP, UDP and ICMP, with checksums.

use super::network::{NO_NEXT_HEADER, header_words, length_field};

/// TCP FIN.
pub const FIN: u8 = 0x01;
/// TCP SYN.
pub const SYN: u8 = 0x02;
/// TCP RST.
pub const RST: u8 = 0x04;
/// TCP PSH.
pub const PSH: u8 = 0x08;
/// TCP ACK.
pub const ACK: u8 = 0x10;
/// TCP URG.
pub const URG: u8 = 0x20;

/// What an IP packet carries.
#[derive(Clone, Debug)]
pub enum Transport {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram.
    Udp(Udp),
    /// An ICMP message, or an ICMPv6 message over IPv6.
    Icmp(Icmp),
    /// Bytes of any protocol, as they are.
    Opaque {
        /// The IP protocol number.
        protocol: u8,
        /// What follows the last IP header.
        bytes: Vec<u8>,
    },
}

impl Transport {
    /// The protocol number and the bytes, their checksum taken over a pseudo-header with this sum of addresses.
    pub(super) fn encode(&self, addresses: u32, over_ipv6: bool) -> (u8, Vec<u8>) {
        let pseudo = |protocol: u8, bytes: &[u8]| {
            addresses + u32::from(protocol) + u32::from(length_field(bytes.len())) + sum(bytes)
        };
        match self {
            Self::Tcp(tcp) => {
                let mut bytes = tcp.encode();
                let check = checksum(pseudo(6, &bytes));
                bytes[16..18].copy_from_slice(&check.to_be_bytes());
                (6, bytes)
            }
            Self::Udp(udp) => {
                let mut bytes = udp.encode();
                // Zero would mean that there is no checksum (RFC 768).
                let check = match checksum(pseudo(17, &bytes)) {
                    0 => 0xffff,
                    check => check,
                };
                bytes[6..8].copy_from_slice(&check.to_be_bytes());
                (17, bytes)
            }
            Self::Icmp(icmp) => {
                let mut bytes = icmp.encode();
                let (protocol, total) = if over_ipv6 { (58, pseudo(58, &bytes)) } else { (1, sum(&bytes)) };
                bytes[2..4].copy_from_slice(&checksum(total).to_be_bytes());
                (protocol, bytes)
            }
            Self::Opaque { protocol, bytes } => (*protocol, bytes.clone()),
        }
    }
}

impl Default for Transport {
    fn default() -> Self {
        Self::Opaque { protocol: NO_NEXT_HEADER, bytes: Vec::new() }
    }
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub struct Tcp {
    source_port: u16,
    dest_port: u16,
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    options: Vec<u8>,
    payload: Vec<u8>,
}

impl Tcp {
    /// A segment with these flags and nothing else. With ACK it acknowledges a SYN, as the first one of a connection.
    #[must_use]
    pub fn new(source_port: u16, dest_port: u16, flags: u8) -> Self {
        const ACK: u8 = 0x10;
        Self {
            source_port,
            dest_port,
            flags,
            sequence: 0,
            acknowledgement: u32::from(flags & ACK != 0),
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Sets both sequence numbers: of the first byte sent here, and of the next one expected.
    #[must_use]
    pub fn sequence(mut self, sequence: u32, acknowledgement: u32) -> Self {
        self.sequence = sequence;
        self.acknowledgement = acknowledgement;
        self
    }

    /// Sets the options, at most 40 bytes, padded with zeros to whole words.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// Sets the payload.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    fn encode(&self) -> Vec<u8> {
        let words = header_words(self.options.len());
        let mut bytes = Vec::with_capacity(usize::from(words) * 4 + self.payload.len());
        bytes.extend(self.source_port.to_be_bytes());
        bytes.extend(self.dest_port.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([words << 4, self.flags]);
        bytes.extend(64_240_u16.to_be_bytes()); // window: Linux' first
        bytes.extend([0; 4]); // checksum, urgent pointer
        bytes.extend(&self.options);
        bytes.resize(usize::from(words) * 4, 0);
        bytes.extend(&self.payload);
        bytes
    }
}

impl From<Tcp> for Transport {
    fn from(tcp: Tcp) -> Self {
        Self::Tcp(tcp)
    }
}

/// A UDP datagram.
#[derive(Clone, Debug)]
pub struct Udp {
    source_port: u16,
    dest_port: u16,
    length: Option<u16>,
    payload: Vec<u8>,
}

impl Udp {
    /// A datagram without payload.
    #[must_use]
    pub fn new(source_port: u16, dest_port: u16) -> Self {
        Self { source_port, dest_port, length: None, payload: Vec::new() }
    }

    /// Writes this length, in bytes, whatever the truth is.
    #[must_use]
    pub fn length(mut self, bytes: u16) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Sets the payload.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    fn encode(&self) -> Vec<u8> {
        let length = self.length.unwrap_or_else(|| length_field(8 + self.payload.len()));
        let mut bytes = Vec::with_capacity(8 + self.payload.len());
        bytes.extend(self.source_port.to_be_bytes());
        bytes.extend(self.dest_port.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend([0; 2]); // checksum
        bytes.extend(&self.payload);
        bytes
    }
}

impl From<Udp> for Transport {
    fn from(udp: Udp) -> Self {
        Self::Udp(udp)
    }
}

/// An ICMP or ICMPv6 message.
#[derive(Clone, Debug)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// What follows the checksum.
    pub body: Vec<u8>,
}

impl Icmp {
    /// An echo message of this type with 32 bytes of data.
    #[must_use]
    pub fn echo(kind: u8, id: u16, sequence: u16) -> Self {
        let body = [&id.to_be_bytes()[..], &sequence.to_be_bytes(), &[0x6e; 32]].concat();
        Self { kind, code: 0, body }
    }

    fn encode(&self) -> Vec<u8> {
        [&[self.kind, self.code, 0, 0][..], &self.body].concat()
    }
}

impl From<Icmp> for Transport {
    fn from(icmp: Icmp) -> Self {
        Self::Icmp(icmp)
    }
}

/// The sum of `bytes` as 16-bit words, carries not yet folded in.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let whole: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    whole + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

/// The internet checksum (RFC 1071) of words that add up to `total`.
pub(super) fn checksum(total: u32) -> u16 {
    let mut total = total;
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    !u16::try_from(total).unwrap_or(u16::MAX)
}
