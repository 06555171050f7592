//! Keys and values of the BPF maps: fixed layouts, explicit padding, words instead of bytes.
//!
//! Addresses are arrays of words because byte arrays on the BPF stack are spilled one byte at a time, which
//! doubles the cost of a lookup.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytemuck::{Pod, Zeroable};

use crate::verdict::{Class, Verdict};

/// An IP address; IPv4 is mapped into IPv6 (`::ffff:a.b.c.d`).
///
/// The words hold the address' bytes in network order, whatever the machine's byte order. The ordering is that
/// of the words in memory: total and stable on one machine, but not numerical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Addr(pub [u32; 4]);

impl Addr {
    /// An IPv4 address from its word as it lies in a packet.
    #[must_use]
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        Self([0, 0, 0xffff_u32.to_be(), word])
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        let octets = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Self(bytemuck::cast(octets))
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(ip: Ipv4Addr) -> Self {
        IpAddr::V4(ip).into()
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(ip: Ipv6Addr) -> Self {
        IpAddr::V6(ip).into()
    }
}

impl From<Addr> for IpAddr {
    fn from(addr: Addr) -> Self {
        Self::V6(Ipv6Addr::from(bytemuck::cast::<_, [u8; 16]>(addr.0))).to_canonical()
    }
}

/// A transport protocol with ports. The value is the IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Proto {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
}

impl Proto {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Value of the sources map: one CPU's counts of one source during one slot. A source is an IPv4 address, or an
/// IPv6 network ([`Settings::account`](crate::Settings::account)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SourceCounts {
    /// Bytes on the wire, link header included, frame check sequence not.
    pub bytes: u64,
    /// When the first packet came: monotonic nanoseconds, of coarse resolution (4 ms at 250 HZ).
    pub first_ns: u64,
    /// When the last packet came, likewise.
    pub last_ns: u64,
    /// Packets by [`Class`].
    pub classes: [u32; Class::COUNT],
    /// Handshakes completed: first packets with ACK on flows on which this host sent a SYN-ACK.
    pub completed: u32,
    /// Of the host that sent the first packet, the last 64 bits of its address; words in network order.
    pub host: [u32; 2],
    /// 1 once a packet came from a host of which these bits are others, 0 until then.
    pub many_hosts: u32,
    /// Packets that nobody asked for ([`Class::is_unsolicited`]).
    pub unsolicited: u32,
    /// Targets that the source has probed ([`TargetCounts::count`](crate::TargetCounts::count)).
    pub probes: u32,
}

impl SourceCounts {
    /// A new entry: nothing counted yet.
    pub const ZERO: Self = Self {
        bytes: 0,
        first_ns: 0,
        last_ns: 0,
        classes: [0; Class::COUNT],
        completed: 0,
        host: [0; 2],
        many_hosts: 0,
        unsolicited: 0,
        probes: 0,
    };

    /// Packets of all classes.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.classes.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Key of the flows map, as a packet from the other side shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct FlowKey {
    /// The other side.
    pub remote: Addr,
    /// This host, or whoever it forwards for.
    pub local: Addr,
    /// Remote port in bits 16 to 31, local port in bits 0 to 15.
    ports: u32,
    /// IP protocol number.
    proto: u32,
}

impl FlowKey {
    /// The flow of which a packet from `remote` is a part.
    #[must_use]
    #[inline(always)]
    pub const fn new(remote: Addr, remote_port: u16, local: Addr, local_port: u16, proto: Proto) -> Self {
        Self { remote, local, ports: (remote_port as u32) << 16 | local_port as u32, proto: proto as u32 }
    }
}

/// Value of the flows map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Flow {
    /// When this host last sent on the flow: coarse monotonic nanoseconds.
    pub sent_ns: u64,
    /// How far the handshake has come that the other side began: one of the constants of this type.
    pub handshake: u32,
    /// The sequence number of the SYN-ACK with which this host answered, in host byte order.
    pub answer: u32,
}

impl Flow {
    /// How long after this host has last sent a flow is known, in nanoseconds: 120 s.
    pub const KNOWN_NS: u64 = 120_000_000_000;
    /// The other side began no handshake, as far as was seen.
    pub const HANDSHAKE_NONE: u32 = 0;
    /// This host answered a SYN.
    pub const HANDSHAKE_ANSWERED: u32 = 1;
    /// The other side acknowledged the answer.
    pub const HANDSHAKE_COMPLETED: u32 = 2;

    /// How far beyond the answer an acknowledgement may lie that completes a handshake: a server that knows its client
    /// may send a little before that (TCP Fast Open).
    const AHEAD: u32 = 1 << 16;

    /// Whether a TCP packet with ACK on this flow acknowledges the answer to its SYN. Who forged the SYN's source has
    /// not seen the answer, and does not know the number.
    #[must_use]
    #[inline(always)]
    pub const fn is_acknowledged_by(&self, acknowledgement: u32) -> bool {
        acknowledgement.wrapping_sub(self.answer.wrapping_add(1)) < Self::AHEAD
    }
}

/// What userspace tells a running program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Control {
    /// Number of the slot that packets are counted in, which grows by one with each swap, and wraps. Slots of even
    /// numbers are counted in the first pair of maps, those of odd numbers in the second.
    pub slot: u32,
    /// How replies are told: one of the constants of this type.
    pub replies: u32,
    /// Until when connections that the flows map does not know may be older than the program: monotonic
    /// nanoseconds.
    pub grace_ends_ns: u64,
    /// A [`Hint::PACKETS`](crate::Hint::PACKETS) is sent each time the packets of a source that nobody asked for
    /// reach a multiple of this on one CPU within a slot, until they are well beyond
    /// [`hint_crossing`](Self::hint_crossing); 0 is never.
    pub hint_packets: u32,
    /// One is sent, too, when they reach this: where all come to one CPU, the threshold is crossed then.
    pub hint_crossing: u32,
    /// The [`Hint::PROBE`](crate::Hint::PROBE) that has this number wakes the reader; 0 is none.
    pub hint_probes: u32,
    /// Always zero.
    pub padding: u32,
}

impl Control {
    /// Replies are told by flags and ports: nobody sees what the host sends.
    pub const REPLIES_BY_FLAGS: u32 = 0;
    /// Replies are told by the flows map, which the egress program fills.
    pub const REPLIES_BY_FLOWS: u32 = 1;
    /// Both directions arrive here (a SPAN port, a tap): every packet makes a reply known.
    pub const REPLIES_MIRRORED: u32 = 2;
}

/// One CPU's counts of one interface since the program was loaded; never reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Totals {
    /// Packets that entered the program.
    pub seen: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that could not be counted under their source because the sources map took no new entry.
    pub sources_lost: u64,
    /// Packets that could not be counted under their target, likewise.
    pub targets_lost: u64,
    /// Packets with a good IP header, that is those which the maps of sources and of targets should account for.
    pub sourced: u64,
    /// Hints sent.
    pub hints: u64,
    /// Hints that the ring had no room for.
    pub hints_lost: u64,
    /// Hints not sent because this CPU had sent as many as it may for the time being.
    pub hints_withheld: u64,
    /// Flows entered into the flows map. Where more come within [`Flow::KNOWN_NS`] than it holds, the oldest
    /// make room.
    pub flows_new: u64,
    /// Flows that the map took no entry for.
    pub flows_lost: u64,
    /// Those of [`flows_new`](Self::flows_new) that began with a TCP packet from the middle of a connection, after
    /// connections older than the program had their time: flows that had to make room too early.
    pub flows_again: u64,
    /// Packets that the egress program looked at.
    pub sent: u64,
    /// Packets by [`Verdict`].
    pub verdicts: [u64; Verdict::COUNT],
}

impl Default for Totals {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl Totals {
    /// Packets with this verdict.
    #[must_use]
    pub const fn verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }

    /// Packets of this class.
    #[must_use]
    pub fn class(&self, class: Class) -> u64 {
        Verdict::ALL.into_iter().filter(|v| v.class() == class).map(|v| self.verdict(v)).sum()
    }

    /// Adds another CPU's counts.
    pub fn add(&mut self, other: &Self) {
        let words = bytemuck::cast_slice_mut::<Self, u64>(core::slice::from_mut(self));
        for (mine, theirs) in
            words.iter_mut().zip(bytemuck::cast_slice::<Self, u64>(core::slice::from_ref(other)))
        {
            *mine += theirs;
        }
    }
}

const _: () = assert!(size_of::<Addr>() == 16 && align_of::<Addr>() == 4);
const _: () = assert!(size_of::<SourceCounts>() == 88);
const _: () = assert!(size_of::<Totals>() == 8 * (12 + Verdict::COUNT));
const _: () = assert!(size_of::<FlowKey>() == 40 && align_of::<FlowKey>() == 4);
const _: () = assert!(size_of::<Flow>() == 16 && size_of::<Control>() == 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::ff"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Addr::from(ip)), ip);
        }
        let word = u32::from_ne_bytes([192, 0, 2, 1]);
        assert_eq!(Addr::from_v4_word(word), Addr::from(Ipv4Addr::new(192, 0, 2, 1)));
    }

    #[test]
    fn totals_add_field_by_field() {
        let mut sum = Totals { seen: 1, ..Totals::default() };
        let mut other = Totals { seen: 2, bytes: 3, ..Totals::default() };
        other.verdicts[Verdict::Arp as usize] = 4;
        sum.add(&other);
        assert_eq!((sum.seen, sum.bytes, sum.class(Class::Other)), (3, 3, 4));
    }
}
