//! What the parser finds: addresses, ports, flags, and the flow that a packet is a part of.

use crate::classify::RST;
use crate::flow::FlowKey;
use crate::verdict::Verdict;
use crate::wire::{Addr, Proto};

/// An IP packet whose IP header is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it says it comes from.
    pub source: Addr,
    /// Where it goes.
    pub dest: Addr,
    /// What it carries.
    pub transport: Transport,
}

/// What an IP packet carries, as far as netwatch cares.
///
/// Flat, with every field set on every path: of an enum with payloads the compiler leaves a register unset
/// where the payload is not used, and the verifier refuses the arithmetic on whatever it finds there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Which header there is.
    pub kind: Kind,
    /// Why it could not be read, where it is [`Kind::Malformed`] or tiny; [`Verdict::IpOther`] elsewhere.
    pub reason: Verdict,
    /// The eight TCP flags from CWR (0x80) to FIN (0x01); 0 for all but TCP.
    pub flags: u8,
    /// Source port; 0 where there is none.
    pub source_port: u16,
    /// Destination port; 0 where there is none.
    pub dest_port: u16,
    /// TCP sequence number; 0 for all but TCP.
    pub sequence: u32,
    /// TCP acknowledgement number, likewise.
    pub acknowledgement: u32,
    /// Where in the frame the payload of TCP or UDP begins, in bytes; 0 where there is no whole header.
    pub payload_offset: u32,
    /// Bytes of payload that the packet says it has, within the frame; there may be none.
    pub payload_len: u32,
}

/// Which transport header a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP with a whole header.
    Tcp,
    /// UDP with a whole header.
    Udp,
    /// ICMP in IPv4 or ICMPv6 in IPv6 that asks for an answer: echo, timestamp or mask request.
    IcmpProbe,
    /// Any other ICMP.
    IcmpOther,
    /// None: this is a fragment other than the first.
    Fragment,
    /// TCP, in a first fragment that ends inside the header but behind the ports: a way to hide the flags.
    TinyTcp,
    /// UDP, likewise.
    TinyUdp,
    /// That of another protocol.
    Other,
    /// The IP header is good, something after it is not.
    Malformed,
}

impl Packet {
    /// The flow that the packet is a part of when it comes from the other side.
    #[must_use]
    #[inline(always)]
    pub const fn flow(&self) -> Option<FlowKey> {
        let Transport { kind, source_port, dest_port, .. } = self.transport;
        match kind {
            Kind::Tcp => Some(FlowKey::new(self.source, source_port, self.dest, dest_port, Proto::Tcp)),
            Kind::Udp => Some(FlowKey::new(self.source, source_port, self.dest, dest_port, Proto::Udp)),
            _ => None,
        }
    }

    /// The flow of which packets are known from now on because this host sent this one; none for a TCP RST,
    /// which says that there is no such flow.
    #[must_use]
    #[inline(always)]
    pub const fn answering_flow(&self) -> Option<FlowKey> {
        let Transport { kind, source_port, dest_port, flags, .. } = self.transport;
        match kind {
            Kind::Tcp if flags & RST == 0 => {
                Some(FlowKey::new(self.dest, dest_port, self.source, source_port, Proto::Tcp))
            }
            Kind::Udp => Some(FlowKey::new(self.dest, dest_port, self.source, source_port, Proto::Udp)),
            _ => None,
        }
    }
}

impl Transport {
    /// A header without ports.
    #[inline(always)]
    pub(crate) const fn without_ports(kind: Kind) -> Self {
        Self {
            kind,
            reason: Verdict::IpOther,
            flags: 0,
            source_port: 0,
            dest_port: 0,
            sequence: 0,
            acknowledgement: 0,
            payload_offset: 0,
            payload_len: 0,
        }
    }

    #[inline(always)]
    pub(crate) const fn malformed(reason: Verdict) -> Self {
        Self { reason, ..Self::without_ports(Kind::Malformed) }
    }
}
