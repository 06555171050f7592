//! The verdicts a packet can get, and the classes they belong to.
//!
//! Every packet gets exactly one [`Verdict`], decided once. A verdict is a class, or a class and the reason
//! why a packet fell into it; each has a counter, and the counters add up to the packets seen.

use bytemuck::CheckedBitPattern;

/// What a packet means to detection.
///
/// Order matters: everything before [`Class::Known`] counts as unsolicited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// TCP SYN without ACK, RST or FIN: somebody opens a connection. Evidence of a scan.
    Syn,
    /// TCP with a combination of flags that no connection uses (NULL, FIN, XMAS, SYN+FIN, ...). Evidence.
    Stealth,
    /// TCP with ACK of a connection that nobody knows. Evidence only where it goes to many closed ports.
    OutOfState,
    /// SYN-ACK or RST of a connection that nobody knows: mostly the answer to somebody who forged our address.
    Backscatter,
    /// UDP that answers nothing we sent. Evidence, unless it looks like a reply that comes late.
    UdpNew,
    /// ICMP echo, timestamp or mask request, ICMPv6 echo request.
    IcmpProbe,
    /// A fragment other than the first; its ports are never read.
    Fragment,
    /// A header is cut short, or what leads to the next one cannot be right. What a header says beyond that is
    /// not checked: a TCP data offset that is too small, a checksum.
    Malformed,
    /// Belongs to a flow on which this host has sent within the last two minutes; or, where nobody sees what
    /// the host sends, to one as far as flags and ports tell.
    Known,
    /// Other IP protocols, other ICMP, and frames that are not IP.
    Other,
}

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All classes, in the order of their counters.
    pub const ALL: [Self; 10] = [
        Self::Syn,
        Self::Stealth,
        Self::OutOfState,
        Self::Backscatter,
        Self::UdpNew,
        Self::IcmpProbe,
        Self::Fragment,
        Self::Malformed,
        Self::Known,
        Self::Other,
    ];

    /// The name used in output, configuration and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Stealth => "stealth",
            Self::OutOfState => "out_of_state",
            Self::Backscatter => "backscatter",
            Self::UdpNew => "udp_new",
            Self::IcmpProbe => "icmp_probe",
            Self::Fragment => "fragment",
            Self::Malformed => "malformed",
            Self::Known => "known",
            Self::Other => "other",
        }
    }

    /// Whether a packet of this class came without being asked for.
    #[must_use]
    pub const fn is_unsolicited(self) -> bool {
        (self as u8) < Self::Known as u8
    }
}

/// Writes the enum, the list and the names from one table, so that they cannot drift apart.
macro_rules! verdicts {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, )+) => {
        /// The finest thing that is counted about a packet.
        ///
        /// Grouped so that [`Verdict::class`] is a few comparisons: the kernel runs it for every packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, CheckedBitPattern)]
        #[repr(u8)]
        pub enum Verdict {
            $( $(#[$doc])* $variant, )+
        }

        impl Verdict {
            /// All verdicts, in the order of their counters.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name used in output and documentation.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

verdicts! {
    /// [`Class::Syn`].
    Syn = "syn",
    /// [`Class::Stealth`].
    Stealth = "stealth",
    /// [`Class::UdpNew`].
    UdpNew = "udp_new",
    /// [`Class::OutOfState`].
    OutOfState = "out_of_state",
    /// [`Class::Backscatter`].
    Backscatter = "backscatter",
    /// UDP from a service's port to the local ephemeral range, of no known flow: [`Class::UdpNew`], no evidence.
    LateReply = "late_reply",
    /// [`Class::IcmpProbe`].
    IcmpProbe = "icmp_probe",
    /// [`Class::Fragment`].
    Fragment = "fragment",
    /// [`Class::Known`].
    Known = "known",

    /// ICMP or ICMPv6 other than a probe: replies, errors, neighbour discovery.
    IcmpOther = "icmp_other",
    /// An IP protocol other than TCP, UDP and ICMP, "no next header" included.
    IpOther = "ip_other",
    /// ARP.
    Arp = "arp",
    /// Any other frame that is not IP: LLC, LLDP, MPLS, PPPoE, ...
    NonIp = "non_ip",

    /// Fewer than 20 bytes of TCP header.
    TcpTruncated = "tcp_truncated",
    /// Fewer than 8 bytes of UDP header.
    UdpTruncated = "udp_truncated",
    /// Fewer than 4 bytes of ICMP or ICMPv6 header.
    IcmpTruncated = "icmp_truncated",
    /// A first fragment that ends inside its transport header.
    FirstFragmentTruncated = "first_fragment_truncated",
    /// An IPv6 extension header is cut short.
    ExtensionTruncated = "extension_truncated",
    /// More than [`EXTENSION_HEADERS`](crate::limits::EXTENSION_HEADERS) IPv6 extension headers.
    ExtensionsTooMany = "extensions_too_many",
    /// A header lies beyond [`HEADER_OFFSET`](crate::limits::HEADER_OFFSET).
    HeadersTooDeep = "headers_too_deep",
    /// A header lies in a later buffer of a multi-buffer frame, where an XDP program cannot look directly.
    HeadersNotLinear = "headers_not_linear",
    /// Fewer than 14 bytes of Ethernet header.
    EthTruncated = "eth_truncated",
    /// A VLAN tag is cut short.
    VlanTruncated = "vlan_truncated",
    /// More than [`VLAN_TAGS`](crate::limits::VLAN_TAGS) VLAN tags.
    VlanTooMany = "vlan_too_many",
    /// The IPv4 header is cut short.
    Ip4Truncated = "ip4_truncated",
    /// The version nibble of an IPv4 header is not 4.
    Ip4Version = "ip4_version",
    /// The IPv4 header length is below five words.
    Ip4HeaderLength = "ip4_header_length",
    /// The IPv4 total length is smaller than the header.
    Ip4TotalLength = "ip4_total_length",
    /// The IPv6 header is cut short.
    Ip6Truncated = "ip6_truncated",
    /// The version nibble of an IPv6 header is not 6.
    Ip6Version = "ip6_version",
    /// An IPv6 source that names an IPv4 host (`::ffff:a.b.c.d`), which no wire may carry.
    Ip6MappedSource = "ip6_mapped_source",
}

impl Verdict {
    /// How many verdicts there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The class this verdict belongs to.
    #[must_use]
    #[inline(always)]
    pub const fn class(self) -> Class {
        match self {
            Self::Syn => Class::Syn,
            Self::Stealth => Class::Stealth,
            Self::UdpNew | Self::LateReply => Class::UdpNew,
            Self::OutOfState => Class::OutOfState,
            Self::Backscatter => Class::Backscatter,
            Self::IcmpProbe => Class::IcmpProbe,
            Self::Fragment => Class::Fragment,
            Self::Known => Class::Known,
            other if (other as u8) <= Self::NonIp as u8 => Class::Other,
            _ => Class::Malformed,
        }
    }

    /// Whether the destination port of a packet with this verdict is evidence of a port scan. A first fragment
    /// that hides the flags counts: nobody sends such fragments but to hide something.
    #[must_use]
    #[inline(always)]
    pub const fn is_scan_evidence(self) -> bool {
        (self as u8) <= Self::UdpNew as u8 || self as u8 == Self::FirstFragmentTruncated as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_counter_order() {
        assert!(Class::ALL.iter().enumerate().all(|(i, class)| *class as usize == i));
        assert!(Verdict::ALL.iter().enumerate().all(|(i, verdict)| *verdict as usize == i));
    }

    #[test]
    fn names_are_unique_and_a_class_named_verdict_is_that_class() {
        for (i, verdict) in Verdict::ALL.iter().enumerate() {
            assert!(Verdict::ALL[..i].iter().all(|earlier| earlier.name() != verdict.name()));
            if let Some(class) = Class::ALL.iter().find(|class| class.name() == verdict.name()) {
                assert_eq!(verdict.class(), *class);
            }
        }
    }

    #[test]
    fn unsolicited_and_evidence_follow_the_contract() {
        fn named<T: Copy>(all: &[T], keep: fn(T) -> bool, name: fn(T) -> &'static str) -> [&'static str; 9] {
            let mut names = [""; 9];
            for (slot, kept) in names.iter_mut().zip(all.iter().copied().filter(|one| keep(*one))) {
                *slot = name(kept);
            }
            names
        }
        assert_eq!(
            named(&Class::ALL, Class::is_unsolicited, Class::name),
            [
                "syn",
                "stealth",
                "out_of_state",
                "backscatter",
                "udp_new",
                "icmp_probe",
                "fragment",
                "malformed",
                ""
            ]
        );
        assert_eq!(
            named(&Verdict::ALL, Verdict::is_scan_evidence, Verdict::name),
            ["syn", "stealth", "udp_new", "first_fragment_truncated", "", "", "", "", ""]
        );
    }
}
