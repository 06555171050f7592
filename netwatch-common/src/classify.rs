//! One verdict per packet, decided from its headers alone.

use bytemuck::{Pod, Zeroable};

use crate::packet::{Kind, Packet, Transport};
use crate::verdict::Verdict;

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

/// What the classification must know about the host, set once when the program is loaded.
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
}

impl Settings {
    /// Frames start with an Ethernet header.
    pub const LINK_ETHERNET: u32 = 0;
    /// Frames start with an IP header: tunnels and other interfaces without link-layer addresses.
    pub const LINK_IP: u32 = 1;

    /// Linux' defaults on an Ethernet interface.
    pub const DEFAULT: Self =
        Self { ephemeral_first: 32768, ephemeral_last: 60999, link: Self::LINK_ETHERNET };
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
    let Transport { kind, reason, flags, source_port, dest_port } = packet.transport;
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
    use crate::wire::Addr;
    use core::net::Ipv4Addr;

    fn verdict(kind: Kind, flags: u8, (source_port, dest_port): (u16, u16), replies: Replies) -> Verdict {
        let addr = Addr::from(Ipv4Addr::LOCALHOST);
        let transport = Transport { kind, reason: Verdict::IpOther, flags, source_port, dest_port };
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
