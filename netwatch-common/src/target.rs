//! What a source sends to: what names it, and what is counted of it.

use bytemuck::{Pod, Zeroable};

use crate::classify::{ACK, FIN, PSH, RST, SYN, URG};
use crate::packet::{Kind, Packet};
use crate::verdict::{Class, Verdict};
use crate::wire::{Addr, Proto};

/// What of a destination a packet goes to: a port, or where it has none, what stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Service(u32);

impl Service {
    /// ICMP and ICMPv6 that ask for an answer.
    pub const PROBE: Self = Self(1 << 16);
    /// Fragments other than the first; their ports are never read.
    pub const FRAGMENT: Self = Self(44 << 16);
    /// Everything else with a good IP header.
    pub const REST: Self = Self(0);
    /// Any of these, and any port: what found no room of its own. No protocol has this number.
    pub const LUMP: Self = Self(255 << 16);

    /// A port of a protocol.
    #[must_use]
    #[inline(always)]
    pub const fn new(proto: Proto, port: u16) -> Self {
        Self((proto as u32) << 16 | port as u32)
    }

    /// Whether it is [`Self::LUMP`].
    #[must_use]
    #[inline(always)]
    pub const fn is_lump(self) -> bool {
        self.0 == Self::LUMP.0
    }

    /// As a number: others are other numbers.
    #[must_use]
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Of which [`Self::number`] is the number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Protocol and port, where it is one.
    #[must_use]
    pub const fn port(self) -> Option<(Proto, u16)> {
        let port = (self.0 & 0xffff) as u16;
        match self.0 >> 16 {
            6 => Some((Proto::Tcp, port)),
            17 => Some((Proto::Udp, port)),
            _ => None,
        }
    }
}

impl Packet {
    /// What of its destination it goes to.
    #[must_use]
    #[inline(always)]
    pub const fn service(&self) -> Service {
        let proto = match self.transport.kind {
            Kind::Tcp | Kind::TinyTcp => Proto::Tcp,
            Kind::Udp | Kind::TinyUdp => Proto::Udp,
            Kind::IcmpProbe => return Service::PROBE,
            Kind::Fragment => return Service::FRAGMENT,
            Kind::IcmpOther | Kind::Other | Kind::Malformed => return Service::REST,
        };
        Service::new(proto, self.transport.dest_port)
    }
}

/// One source and one service of one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct TargetKey {
    /// The source, or the network that it is accounted with.
    pub source: Addr,
    /// The destination.
    pub dest: Addr,
    /// What of it.
    pub service: Service,
}

/// One CPU's counts of one [`TargetKey`] during one slot. Each packet adds one to
/// exactly one of the five numbers of packets.
///
/// A `u32` cannot wrap: 4 billion packets in a slot of at most 60 s would be 71 million packets/s on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TargetCounts {
    /// Bytes on the wire of all packets.
    pub bytes: u64,
    /// Packets that open something and are evidence of a scan: TCP SYN, UDP that answers nothing.
    pub opening: u32,
    /// Packets of flags that no connection uses, and first fragments that hide them: evidence, too.
    pub stealth: u32,
    /// Packets of class [`Class::OutOfState`].
    pub out_of_state: u32,
    /// All other packets that nobody asked for ([`Class::is_unsolicited`]).
    pub noise: u32,
    /// Packets that somebody asked for, or that are neither ([`Class::Known`], [`Class::Other`]).
    pub rest: u32,
    /// Handshakes completed: see [`SourceCounts::completed`](crate::SourceCounts::completed); of UDP, flows that were
    /// answered: see [`SourceCounts::answered`](crate::SourceCounts::answered).
    pub completed: u32,
    /// How the packets that are evidence probed.
    pub techniques: Techniques,
    /// Of what nobody in particular sent: sources that were not seen lately, an estimate. Zero elsewhere.
    pub newcomers: u32,
}

impl TargetCounts {
    /// A new entry: nothing counted yet.
    pub const ZERO: Self = Self {
        bytes: 0,
        opening: 0,
        stealth: 0,
        out_of_state: 0,
        noise: 0,
        rest: 0,
        completed: 0,
        techniques: Techniques::NONE,
        newcomers: 0,
    };

    /// Counts one packet. Returns whether it is the first one here by which the source probes the target.
    #[inline(always)]
    pub fn count(
        &mut self,
        service: Service,
        verdict: Verdict,
        flags: u8,
        bytes: u64,
        completed: u32,
    ) -> bool {
        let probes = self.opening + self.stealth + self.out_of_state;
        let number = match verdict {
            Verdict::Syn | Verdict::UdpNew => &mut self.opening,
            Verdict::Stealth | Verdict::FirstFragmentTruncated => &mut self.stealth,
            Verdict::OutOfState => &mut self.out_of_state,
            _ if (verdict.class() as u8) < Class::Known as u8 => &mut self.noise,
            _ => &mut self.rest,
        };
        *number += 1;
        let first_echo = service.0 == Service::PROBE.0 && self.noise == 1;
        self.bytes += bytes;
        self.completed += completed;
        self.techniques.0 |= Techniques::of(verdict, flags).0;
        first_echo || (probes == 0 && self.opening + self.stealth + self.out_of_state != 0)
    }

    /// All packets.
    #[must_use]
    pub fn packets(&self) -> u64 {
        [self.opening, self.stealth, self.out_of_state, self.noise, self.rest]
            .into_iter()
            .map(u64::from)
            .sum()
    }
}

/// A set of ways to probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Techniques(u32);

impl Techniques {
    /// None.
    pub const NONE: Self = Self(0);
    /// TCP SYN.
    pub const SYN: Self = Self(1);
    /// UDP.
    pub const UDP: Self = Self(1 << 1);
    /// TCP without any flag.
    pub const NULL: Self = Self(1 << 2);
    /// TCP FIN alone.
    pub const FIN: Self = Self(1 << 3);
    /// TCP FIN, PSH and URG.
    pub const XMAS: Self = Self(1 << 4);
    /// TCP SYN together with FIN or RST.
    pub const SYN_FIN: Self = Self(1 << 5);
    /// TCP with another combination of flags that no connection uses.
    pub const ODD_FLAGS: Self = Self(1 << 6);
    /// TCP ACK of no connection: ACK and Window scans, which send the same.
    pub const ACK: Self = Self(1 << 7);
    /// TCP FIN and ACK of no connection.
    pub const MAIMON: Self = Self(1 << 8);
    /// First fragments too small to show their flags.
    pub const TINY_FRAGMENTS: Self = Self(1 << 9);
    /// ICMP that asks for an answer.
    pub const ECHO: Self = Self(1 << 10);

    /// All techniques with the names used in output, in the order of output.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::SYN, "syn"),
        (Self::UDP, "udp"),
        (Self::NULL, "null"),
        (Self::FIN, "fin"),
        (Self::XMAS, "xmas"),
        (Self::SYN_FIN, "syn_fin"),
        (Self::ODD_FLAGS, "odd_flags"),
        (Self::ACK, "ack"),
        (Self::MAIMON, "maimon"),
        (Self::TINY_FRAGMENTS, "tiny_fragments"),
        (Self::ECHO, "echo"),
    ];

    /// How a packet with this verdict and these TCP flags probes.
    #[must_use]
    #[inline(always)]
    pub const fn of(verdict: Verdict, flags: u8) -> Self {
        match verdict {
            Verdict::Syn => Self::SYN,
            Verdict::UdpNew => Self::UDP,
            Verdict::IcmpProbe => Self::ECHO,
            Verdict::FirstFragmentTruncated => Self::TINY_FRAGMENTS,
            Verdict::OutOfState if flags & FIN != 0 => Self::MAIMON,
            Verdict::OutOfState => Self::ACK,
            Verdict::Stealth if flags & SYN != 0 => Self::SYN_FIN,
            Verdict::Stealth => match flags & (FIN | SYN | RST | PSH | ACK | URG) {
                0 => Self::NULL,
                FIN => Self::FIN,
                XMAS_FLAGS => Self::XMAS,
                _ => Self::ODD_FLAGS,
            },
            _ => Self::NONE,
        }
    }

    /// Those of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order of output.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(one, _)| self.0 & one.0 != 0).map(|(_, name)| name)
    }
}

const XMAS_FLAGS: u8 = FIN | PSH | URG;

const _: () = assert!(size_of::<TargetKey>() == 36 && align_of::<TargetKey>() == 4);
const _: () = assert!(size_of::<TargetCounts>() == 40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_know_their_ports() {
        for (proto, port) in [(Proto::Tcp, 0), (Proto::Tcp, 65535), (Proto::Udp, 53)] {
            assert_eq!(Service::new(proto, port).port(), Some((proto, port)));
        }
        for other in [Service::PROBE, Service::FRAGMENT, Service::REST, Service::LUMP] {
            assert_eq!(other.port(), None);
        }
    }

    #[test]
    fn techniques_follow_the_flags() {
        for (verdict, flags, name) in [
            (Verdict::Syn, SYN, "syn"),
            (Verdict::UdpNew, 0, "udp"),
            (Verdict::Stealth, 0, "null"),
            (Verdict::Stealth, FIN, "fin"),
            (Verdict::Stealth, FIN | PSH | URG, "xmas"),
            (Verdict::Stealth, SYN | FIN, "syn_fin"),
            (Verdict::Stealth, SYN | RST | ACK, "syn_fin"),
            (Verdict::Stealth, PSH, "odd_flags"),
            (Verdict::OutOfState, ACK, "ack"),
            (Verdict::OutOfState, ACK | FIN, "maimon"),
            (Verdict::FirstFragmentTruncated, 0, "tiny_fragments"),
            (Verdict::IcmpProbe, 0, "echo"),
        ] {
            assert!(Techniques::of(verdict, flags).names().eq([name]), "{verdict:?} {flags:#x}");
        }
        assert!(Techniques::of(Verdict::Known, ACK).is_empty());
    }

    #[test]
    fn each_packet_is_counted_once_and_the_first_probe_is_told() {
        let port = Service::new(Proto::Tcp, 80);
        let mut counts = TargetCounts::ZERO;
        let fresh = Verdict::ALL.map(|verdict| counts.count(port, verdict, 0, 60, 0));
        assert_eq!(counts.packets(), Verdict::COUNT as u64);
        assert_eq!(counts.bytes, 60 * Verdict::COUNT as u64);
        assert!(fresh[0] && !fresh[1..].contains(&true));

        let mut counts = TargetCounts::ZERO;
        assert!(!counts.count(port, Verdict::Known, ACK, 60, 1));
        assert!(counts.count(port, Verdict::OutOfState, ACK, 60, 0));
        let mut counts = TargetCounts::ZERO;
        assert!(counts.count(Service::PROBE, Verdict::IcmpProbe, 0, 60, 0));
        assert!(!counts.count(Service::PROBE, Verdict::IcmpProbe, 0, 60, 0));
        let mut counts = TargetCounts::ZERO;
        assert!(!counts.count(Service::FRAGMENT, Verdict::Fragment, 0, 60, 0));
    }
}
