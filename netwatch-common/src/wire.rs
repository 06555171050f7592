//! Keys and values of the BPF maps: fixed layouts, explicit padding, words instead of bytes.
//!
//! Addresses are arrays of words because byte arrays on the BPF stack are spilled one byte at a time, which
//! doubles the cost of a lookup.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytemuck::{Pod, Zeroable};

use crate::hint::Hint;
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

    /// Whether it is that of a group: multicast, or everybody on the link (255.255.255.255). The broadcast addresses
    /// of networks are not told apart.
    #[must_use]
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        let [first, _, third, last] = self.0;
        // Only IPv4 has this word with a first one of 0 in addresses of hosts.
        let is_v4 = (first == 0) & (third == 0xffff_u32.to_be());
        let is_v4_group = (last & 0xf000_0000_u32.to_be() == 0xe000_0000_u32.to_be()) | (last == u32::MAX);
        // Without branches, each of which the verifier would follow.
        (is_v4 & is_v4_group) | (first & 0xff00_0000_u32.to_be() == 0xff00_0000_u32.to_be())
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

/// What is counted of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub verdict: Verdict,
    /// TCP flags.
    pub flags: u8,
    /// Bytes on the wire, link header included, frame check sequence not.
    pub bytes: u64,
    /// When it came: monotonic nanoseconds.
    pub now_ns: u64,
    /// 1 where it completes a handshake ([`Sight::completed`](crate::flow::Sight::completed)), 0 elsewhere.
    pub completed: u32,
    /// The last 64 bits of the source's address; words in network order.
    pub host: [u32; 2],
}

/// One CPU's counts of one source during one slot. A source is an IPv4 address, or an
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
    /// UDP flows that the source began and the other side answered, where both directions count.
    pub answered: u32,
    /// Packets of class [`Class::UdpNew`] that went to groups.
    pub to_groups: u32,
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
        answered: 0,
        to_groups: 0,
    };

    /// Counts one packet. `probes` says whether it is the first by which the source probes its target. Calls `tell`
    /// with the kind and the number of each hint that is due: see [`Hint`].
    #[inline(always)]
    pub fn count(
        &mut self,
        seen: &Seen,
        dest: &Addr,
        probes: bool,
        is_somebody: bool,
        control: &Control,
        mut tell: impl FnMut(u32, u32),
    ) {
        if self.first_ns == 0 {
            self.first_ns = seen.now_ns;
            self.host = seen.host;
        } else if self.host[0] != seen.host[0] || self.host[1] != seen.host[1] {
            self.many_hosts = 1;
        }
        self.last_ns = seen.now_ns;
        self.bytes += seen.bytes;
        let class = seen.verdict.class();
        self.classes[class as usize] += 1;
        self.completed += seen.completed;
        if !class.is_unsolicited() {
            return;
        }
        if matches!(class, Class::UdpNew) {
            self.to_groups += u32::from(dest.is_group());
        }
        self.unsolicited += 1;
        let packets = self.unsolicited;
        let is_due = packets == control.hint_crossing || packets.checked_rem(control.hint_packets) == Some(0);
        if !is_somebody {
            self.probes += u32::from(probes);
            return;
        }
        if packets <= control.hint_crossing.saturating_add(Hint::PACKETS_BEYOND) && is_due {
            tell(Hint::PACKETS, packets);
        }
        if probes {
            self.probes += 1;
            if self.probes <= Hint::MAX_PROBES {
                tell(Hint::PROBE, self.probes);
            }
        }
    }

    /// Packets of all classes.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.classes.iter().map(|count| u64::from(*count)).sum()
    }
}

/// What userspace tells a running program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Control {
    /// Number of the slot that packets are counted in, which grows by one with each swap, and wraps. Slots of even
    /// numbers are counted in the first half of the tables, those of odd numbers in the second.
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
    /// Not 0 where there is a set of listed addresses to look packets up in.
    pub feeds: u32,
    /// Packets of each kind that a CPU may send to be looked into, in each [period](crate::sample::Rate::PERIOD_NS); 0
    /// where payload is not looked into.
    pub samples: u32,
    /// Not 0 where there may be sources of which packets are wanted.
    pub wanted: u32,
}

impl Control {
    /// Replies are told by flags and ports: nobody sees what the host sends.
    pub const REPLIES_BY_FLAGS: u32 = 0;
    /// Replies are told by the flows map, which the egress program fills.
    pub const REPLIES_BY_FLOWS: u32 = 1;
    /// Both directions arrive here (a SPAN port, a tap): every packet makes a reply known.
    pub const REPLIES_MIRRORED: u32 = 2;
}

/// What userspace tells a program that is run on recorded packets, for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Replayed {
    /// When the packet came, in nanoseconds of the clock that the program is to go by.
    pub now_ns: u64,
    /// How long it was on the wire, in bytes: there may be less of it in the record.
    pub wire_bytes: u64,
}

/// One CPU's counts of one interface since the program was loaded; never reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Totals {
    /// Packets that entered the program.
    pub seen: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets counted under nobody's name, because their source got no entry.
    pub sources_refused: u64,
    /// Packets counted without source and port, because their target got no entry: under their destination alone, or not
    /// even that.
    pub targets_refused: u64,
    /// Those of them that are counted without their destination, too, because there are too many.
    pub targets_lost: u64,
    /// Packets with a good IP header, that is those which the maps of sources and of targets should account for.
    pub sourced: u64,
    /// Hints sent.
    pub hints: u64,
    /// Hints that the ring had no room for.
    pub hints_lost: u64,
    /// Hints not sent because this CPU had sent as many as it may for the time being.
    pub hints_withheld: u64,
    /// Flows entered into the table of flows.
    pub flows_new: u64,
    /// Flows that were known still and had to make room for others.
    pub flows_lost: u64,
    /// Those of [`flows_new`](Self::flows_new) that began with a TCP packet from the middle of a connection, after
    /// connections older than the program had their time: flows that had to make room too early.
    pub flows_again: u64,
    /// Packets that the egress program looked at.
    pub sent: u64,
    /// Packets that were sent to be looked into.
    pub samples: u64,
    /// Packets that were not, because this CPU had sent as many as it may for the time being.
    pub samples_withheld: u64,
    /// Packets that were not, because the ring had no room for them.
    pub samples_lost: u64,
    /// Packets from or to a listed address; one of which both ends are listed counts twice.
    pub listed: u64,
    /// Those of them that are counted under no [`ListedKey`](crate::ListedKey), because there was no room.
    pub listed_lost: u64,
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
const _: () = assert!(size_of::<SourceCounts>() == 96);
const _: () = assert!(size_of::<Totals>() == 8 * (18 + Verdict::COUNT));
const _: () = assert!(size_of::<Control>() == 40 && size_of::<Replayed>() == 16);

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
    fn groups_are_multicast_and_everybody_on_the_link() {
        for (text, is_group) in [
            ("223.255.255.255", false),
            ("224.0.0.251", true),
            ("239.255.255.250", true),
            ("240.0.0.1", false),
            ("255.255.255.254", false),
            ("255.255.255.255", true),
            ("192.0.2.255", false),
            ("ff02::fb", true),
            ("fe80::1", false),
            ("::e000:1", false),
        ] {
            assert_eq!(Addr::from(text.parse::<IpAddr>().unwrap()).is_group(), is_group, "{text}");
        }
    }

    #[test]
    fn only_new_udp_to_groups_is_counted_as_such() {
        let dest = Ipv4Addr::new(224, 0, 0, 251).into();
        let mut counts = SourceCounts::ZERO;
        for verdict in [Verdict::UdpNew, Verdict::IcmpProbe, Verdict::UdpNew, Verdict::Known] {
            let seen = Seen { verdict, flags: 0, bytes: 60, now_ns: 5, completed: 0, host: [0; 2] };
            counts.count(&seen, &dest, false, true, &Control::default(), |_, _| {});
        }
        assert_eq!((counts.to_groups, counts.unsolicited, counts.packets()), (2, 3, 4));
    }

    #[test]
    fn a_source_is_told_of_by_number_of_packets_and_of_probes() {
        let control = Control { hint_packets: 3, hint_crossing: 7, ..Control::default() };
        let seen = |verdict, host| Seen { verdict, flags: 0, bytes: 60, now_ns: 5, completed: 0, host };
        let mut counts = SourceCounts::ZERO;
        let (mut packets, mut probes) = ([0; 4], 0);
        for number in 1..=10 {
            counts.count(
                &seen(Verdict::Syn, [0, 1]),
                &Addr([0; 4]),
                number <= 4,
                true,
                &control,
                |kind, told| {
                    if kind == Hint::PROBE {
                        probes += told;
                    } else {
                        packets.rotate_left(1);
                        packets[3] = told;
                    }
                },
            );
        }
        assert_eq!((packets, probes), ([3, 6, 7, 9], 1 + 2 + 3 + 4));
        assert_eq!((counts.packets(), counts.unsolicited, counts.many_hosts), (10, 10, 0));
        counts.count(
            &seen(Verdict::Known, [0, 2]),
            &Addr([0; 4]),
            false,
            true,
            &control,
            |_, _| unreachable!(),
        );
        assert_eq!((counts.bytes, counts.unsolicited, counts.many_hosts, counts.host), (660, 10, 1, [0, 1]));
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
