//! Ethernet frames, described part by part and written out with the right lengths and checksums.
//!
//! ```
//! use std::net::Ipv4Addr;
//! use xtask::traffic::Frame;
//! use xtask::traffic::transport::SYN;
//!
//! let scanner = Ipv4Addr::new(203, 0, 113, 7);
//! let target = Ipv4Addr::new(198, 51, 100, 1);
//! let frame = Frame::ipv4(scanner, target).vlan(0x8100, 5).tcp(40000, 22, SYN).build();
//! assert_eq!(frame.len(), 14 + 4 + 20 + 20);
//! ```
//!
//! What a parser must survive is said on purpose: overrides exist for the fields that lie about lengths, and
//! a frame is cut short with [`Vec::truncate`].

use std::net::{Ipv4Addr, Ipv6Addr};

use super::network::{Extension, Ip, Ipv4, Ipv6, Network, Opaque};
use super::transport::{Icmp, Tcp, Transport, Udp};

/// A link-layer address.
pub type Mac = [u8; 6];

/// The laboratory's watched interface, from the range set aside for documentation (RFC 9542, section 2.1.2).
pub const WATCHED_MAC: Mac = [0x00, 0x00, 0x5e, 0x00, 0x53, 0x01];

/// The laboratory's outside interface.
pub const OUTSIDE_MAC: Mac = [0x00, 0x00, 0x5e, 0x00, 0x53, 0x02];

/// A frame in the making, from the outside of the laboratory to its watched side unless told otherwise.
#[derive(Clone, Debug)]
pub struct Frame<N> {
    to: Mac,
    from: Mac,
    tags: Vec<(u16, u16)>,
    network: N,
    transport: Transport,
}

impl Frame<Ipv4> {
    /// A frame that carries an IPv4 packet, at first without a transport header.
    #[must_use]
    pub fn ipv4(source: Ipv4Addr, dest: Ipv4Addr) -> Self {
        Self::new(Ipv4::new(source, dest))
    }

    /// Puts these bytes into the header's options, padded with zeros to whole words.
    ///
    /// # Panics
    ///
    /// [`build`](Self::build) panics where they exceed the 40 bytes that a header has room for.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.network.options = options.to_vec();
        self
    }

    /// Sets the identification.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.network.id = id;
        self
    }

    /// Makes this a fragment: `offset` in units of 8 bytes, and whether more of them follow.
    ///
    /// The payload stays as it is; for a later fragment give its bytes with [`protocol`](Self::protocol).
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.network.fragment = (offset & 0x1fff) | u16::from(more) << 13;
        self
    }

    /// Sets the time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.network.ttl = ttl;
        self
    }

    /// Writes this total length, in bytes, whatever the truth is.
    #[must_use]
    pub fn total_length(mut self, bytes: u16) -> Self {
        self.network.total_length = Some(bytes);
        self
    }

    /// Writes this header length, in words of 4 bytes, whatever the truth is.
    #[must_use]
    pub fn header_words(mut self, words: u8) -> Self {
        self.network.header_words = Some(words);
        self
    }
}

impl Frame<Ipv6> {
    /// A frame that carries an IPv6 packet, at first without a transport header.
    #[must_use]
    pub fn ipv6(source: Ipv6Addr, dest: Ipv6Addr) -> Self {
        Self::new(Ipv6::new(source, dest))
    }

    /// Adds an extension header after those that are there.
    #[must_use]
    pub fn extension(mut self, header: Extension) -> Self {
        self.network.extensions.push(header);
        self
    }

    /// Sets the hop limit.
    #[must_use]
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.network.hop_limit = hops;
        self
    }

    /// Writes this payload length, in bytes, whatever the truth is.
    #[must_use]
    pub fn payload_length(mut self, bytes: u16) -> Self {
        self.network.payload_length = Some(bytes);
        self
    }
}

impl Frame<Opaque> {
    /// A frame that carries something else than IP, such as ARP.
    #[must_use]
    pub fn ethernet(ethertype: u16, payload: &[u8]) -> Self {
        Self::new(Opaque { ethertype, payload: payload.to_vec() })
    }
}

impl<N: Ip> Frame<N> {
    /// Carries a TCP segment without options or payload.
    #[must_use]
    pub fn tcp(self, source_port: u16, dest_port: u16, flags: u8) -> Self {
        self.carrying(Tcp::new(source_port, dest_port, flags))
    }

    /// Carries a UDP datagram.
    #[must_use]
    pub fn udp(self, source_port: u16, dest_port: u16, payload: &[u8]) -> Self {
        self.carrying(Udp::new(source_port, dest_port).payload(payload))
    }

    /// Carries an ICMP message over IPv4, an ICMPv6 message over IPv6.
    #[must_use]
    pub fn icmp(self, kind: u8, code: u8, body: &[u8]) -> Self {
        self.carrying(Icmp { kind, code, body: body.to_vec() })
    }

    /// Carries an echo request of the network's own kind.
    #[must_use]
    pub fn echo_request(self, id: u16, sequence: u16) -> Self {
        self.carrying(Icmp::echo(N::ECHO_REQUEST, id, sequence))
    }

    /// Carries an echo reply of the network's own kind.
    #[must_use]
    pub fn echo_reply(self, id: u16, sequence: u16) -> Self {
        self.carrying(Icmp::echo(N::ECHO_REPLY, id, sequence))
    }

    /// Carries these bytes as IP protocol `number`, as they are.
    #[must_use]
    pub fn protocol(self, number: u8, bytes: &[u8]) -> Self {
        self.carrying(Transport::Opaque { protocol: number, bytes: bytes.to_vec() })
    }

    /// Carries what no shorthand above describes, such as a TCP segment with options.
    #[must_use]
    pub fn carrying(mut self, transport: impl Into<Transport>) -> Self {
        self.transport = transport.into();
        self
    }
}

impl<N: Network> Frame<N> {
    fn new(network: N) -> Self {
        Self {
            to: WATCHED_MAC,
            from: OUTSIDE_MAC,
            tags: Vec::new(),
            network,
            transport: Transport::default(),
        }
    }

    /// Sets both link-layer addresses.
    #[must_use]
    pub fn macs(mut self, from: Mac, to: Mac) -> Self {
        self.from = from;
        self.to = to;
        self
    }

    /// Turns the frame round: from the watched side of the laboratory to its outside.
    #[must_use]
    pub fn outbound(self) -> Self {
        self.macs(WATCHED_MAC, OUTSIDE_MAC)
    }

    /// Adds a VLAN tag inside those that are there: its protocol (0x8100, 0x88a8, …) and its control field.
    #[must_use]
    pub fn vlan(mut self, protocol: u16, control: u16) -> Self {
        self.tags.push((protocol, control));
        self
    }

    /// Writes the frame out.
    ///
    /// It is not padded to Ethernet's minimum of 60 bytes, which virtual interfaces do not ask for.
    ///
    /// # Panics
    ///
    /// Where a header's length field has no room for what was asked for: more than 40 bytes of options, or a
    /// packet of more than 65,535 bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(128);
        frame.extend(self.to);
        frame.extend(self.from);
        for (protocol, control) in &self.tags {
            frame.extend(protocol.to_be_bytes());
            frame.extend(control.to_be_bytes());
        }
        frame.extend(self.network.ethertype().to_be_bytes());
        self.network.write(&self.transport, &mut frame);
        frame
    }
}
