//! One verdict per packet, decided from its headers alone.

use bytemuck::{Pod, Zeroable};

use crate::packet::{Kind, Packet, Transport};
use crate::verdict::Verdict;
use crate::wire::Addr;

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

/// What parser, classification and counting must know about the host, set once when the program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Settings {
    /// First port of the range from which this host's own connections start
    /// (`net.ipv4.ip_local_port_range`).
    pub ephemeral_first: u16,
    /// Last port of that range, inclusive.
    pub ephemeral_last: u16,
    /// What a frame starts with: [`LINK_ETHERNET`](Self::LINK_ETHERNET) or [`LINK_IP`](Self::LINK_IP).
    pub link: u32,
    /// Which bits of an IPv6 source it is accounted by; words in network order, as in [`Addr`].
    pub source6_mask: [u32; 4],
}

impl Settings {
    /// Frames start with an Ethernet header.
    pub const LINK_ETHERNET: u32 = 0;
    /// Frames start with an IP header: tunnels and other interfaces without link-layer addresses.
    pub const LINK_IP: u32 = 1;

    /// Linux' defaults on an Ethernet interface; IPv6 sources are accounted by /64, the least that a site gives
    /// to one link.
    pub const DEFAULT: Self = Self {
        ephemeral_first: 32768,
        ephemeral_last: 60999,
        link: Self::LINK_ETHERNET,
        source6_mask: Self::source6_prefix(64),
    };

    /// The mask of a prefix of `bits` bits, of 128 at most.
    #[must_use]
    pub const fn source6_prefix(bits: u8) -> [u32; 4] {
        const fn word(bits: u8, before: u8) -> u32 {
            let bits = bits.saturating_sub(before);
            if bits >= 32 { u32::MAX } else { !(u32::MAX >> bits) }.to_be()
        }
        [word(bits, 0), word(bits, 32), word(bits, 64), word(bits, 96)]
    }

    /// What packets of `source` are accounted under: an IPv6 host with its network, because one attacker owns all
    /// addresses of it; an IPv4 host by itself, and so is one with a link-local address, because that network is
    /// everybody's.
    #[must_use]
    #[inline(always)]
    pub const fn account(&self, source: Addr) -> Addr {
        let Addr([a, b, c, d]) = source;
        let is_v4 = a == 0 && b == 0 && c == 0xffff_u32.to_be();
        let is_link_local = a & 0xffc0_0000_u32.to_be() == 0xfe80_0000_u32.to_be();
        if is_v4 || is_link_local {
            return source;
        }
        let mask = &self.source6_mask;
        Addr([a & mask[0], b & mask[1], c & mask[2], d & mask[3]])
    }
}

/// What is known of the flow that a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// Nobody sees what this host sends: replies are told by their flags (TCP), or by coming from a service's
    /// port to the local ephemeral range (UDP). Both can be forged; alerts say so in their `confidence`.
    ByFlags,
    /// This host has sent on the flow lately.
    Known,
    /// It has not.
    Unknown,
}

/// Decides what `packet` is.
#[must_use]
#[inline(always)]
pub fn classify(packet: &Packet, settings: &Settings, replies: Replies) -> Verdict {
    let Transport { kind, reason, flags, source_port, dest_port, .. } = packet.transport;
    match kind {
        Kind::Tcp => tcp(flags, replies),
        Kind::Udp => match replies {
            Replies::Known => Verdict::Known,
            Replies::ByFlags if is_late_reply(source_port, dest_port, settings) => Verdict::Known,
            Replies::Unknown if is_late_reply(source_port, dest_port, settings) => Verdict::LateReply,
            _ => Verdict::UdpNew,
        },
        Kind::IcmpProbe => Verdict::IcmpProbe,
        Kind::IcmpOther => Verdict::IcmpOther,
        Kind::Fragment => Verdict::Fragment,
        Kind::Other => Verdict::IpOther,
        Kind::Malformed | Kind::TinyTcp | Kind::TinyUdp => reason,
    }
}

/// Whether a TCP packet with these flags asks for a connection and nothing else ([`Class::Syn`]).
///
/// [`Class::Syn`]: crate::verdict::Class::Syn
#[must_use]
#[inline(always)]
pub const fn is_syn(flags: u8) -> bool {
    flags & (SYN | ACK | RST | FIN) == SYN
}

#[inline(always)]
fn tcp(flags: u8, replies: Replies) -> Verdict {
    if is_syn(flags) {
        return Verdict::Syn;
    }
    if matches!(replies, Replies::Known) {
        return Verdict::Known;
    }
    let opens = flags & SYN != 0;
    let odd = if opens { flags & (FIN | RST) != 0 } else { flags & (ACK | RST) == 0 };
    match replies {
        _ if odd => Verdict::Stealth,
        Replies::ByFlags => Verdict::Known,
        _ if opens || flags & RST != 0 => Verdict::Backscatter,
        _ => Verdict::OutOfState,
    }
}

/// Whether a UDP packet looks like the answer to a question this host asked.
#[must_use]
#[inline(always)]
pub fn is_late_reply(source_port: u16, dest_port: u16, settings: &Settings) -> bool {
    is_service(source_port) && dest_port >= settings.ephemeral_first && dest_port <= settings.ephemeral_last
}

/// Whether a UDP source port belongs to a service that hosts ask: every system port but 0, and those above
/// that are answered from daily (WireGuard and VPNs, STUN, mDNS, NAT traversal).
#[inline(always)]
const fn is_service(port: u16) -> bool {
    (port != 0 && port < 1024) || matches!(port, 1194 | 3478 | 4500 | 5353 | 51820)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn verdict(kind: Kind, flags: u8, (source_port, dest_port): (u16, u16), replies: Replies) -> Verdict {
        let addr = Addr::from(Ipv4Addr::LOCALHOST);
        let ports = Transport { source_port, dest_port, ..Transport::without_ports(kind) };
        let transport = Transport { flags, ..ports };
        classify(&Packet { source: addr, dest: addr, transport }, &Settings::DEFAULT, replies)
    }

    #[test]
    fn every_combination_of_tcp_flags_has_its_class() {
        for flags in 0..=u8::MAX {
            let got = |replies| verdict(Kind::Tcp, flags, (1, 2), replies);
            let (syn, ack) = (flags & SYN != 0, flags & ACK != 0);
            let (fin, rst) = (flags & FIN != 0, flags & RST != 0);
            // The contract's words, clause by clause.
            let asks = syn && !ack && !rst && !fin;
            let stealth = !asks && ((!ack && !rst) || (syn && fin) || (syn && rst));
            let want = |otherwise| match (asks, stealth) {
                (true, _) => Verdict::Syn,
                (_, true) => Verdict::Stealth,
                _ => otherwise,
            };
            assert_eq!(got(Replies::ByFlags), want(Verdict::Known), "flags {flags:#04x}");
            let stray = if syn || rst { Verdict::Backscatter } else { Verdict::OutOfState };
            assert_eq!(got(Replies::Unknown), want(stray), "flags {flags:#04x}");
            let known = if asks { Verdict::Syn } else { Verdict::Known };
            assert_eq!(got(Replies::Known), known, "flags {flags:#04x}");
        }
    }

    #[test]
    fn ipv6_sources_are_accounted_by_network() {
        for (bits, address, account) in [
            (64, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            (64, "::1", "::"),
            (56, "2001:db8:1:2ff::1", "2001:db8:1:200::"),
            (32, "2001:db8:1:2:3:4:5:6", "2001:db8::"),
            (127, "2001:db8::f", "2001:db8::e"),
            (128, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
            (0, "2001:db8::1", "::"),
            (64, "192.0.2.1", "192.0.2.1"),
            (32, "255.255.255.255", "255.255.255.255"),
        ] {
            let settings = Settings { source6_mask: Settings::source6_prefix(bits), ..Settings::DEFAULT };
            let of = |text: &str| Addr::from(text.parse::<core::net::IpAddr>().unwrap());
            assert_eq!(settings.account(of(address)), of(account), "{address}/{bits}");
        }
    }

    #[test]
    fn udp_replies_are_told_from_probes() {
        for (ports, late) in [
            ((53, 40000), true),
            ((443, 32768), true),
            ((443, 32767), false),
            ((443, 61000), false),
            ((40000, 40000), false),
            ((0, 40000), false),
            ((53, 53), false),
        ] {
            let udp = |replies| verdict(Kind::Udp, 0, ports, replies);
            let either = |one, other| if late { one } else { other };
            assert_eq!(udp(Replies::ByFlags), either(Verdict::Known, Verdict::UdpNew), "{ports:?}");
            assert_eq!(udp(Replies::Unknown), either(Verdict::LateReply, Verdict::UdpNew), "{ports:?}");
            assert_eq!(udp(Replies::Known), Verdict::Known);
        }
    }
}
