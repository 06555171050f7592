//! One verdict per packet, decided from its headers alone.

use bytemuck::{Pod, Zeroable};

use crate::parse::{Kind, Packet, Transport};
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

/// Decides what `packet` is.
///
/// Without a table of flows, replies are told by their flags (TCP) or by coming from a service's port to the
/// local ephemeral range (UDP). Both can be forged; alerts say so in their `confidence`.
#[must_use]
#[inline(always)]
pub fn classify(packet: &Packet, settings: &Settings) -> Verdict {
    let Transport { kind, reason, flags, source_port, dest_port } = packet.transport;
    match kind {
        Kind::Tcp => tcp(flags),
        Kind::Udp if is_late_reply(source_port, dest_port, settings) => Verdict::Known,
        Kind::Udp => Verdict::UdpNew,
        Kind::IcmpProbe => Verdict::IcmpProbe,
        Kind::IcmpOther => Verdict::IcmpOther,
        Kind::Fragment => Verdict::Fragment,
        Kind::Other => Verdict::IpOther,
        Kind::Malformed | Kind::TinyTcp | Kind::TinyUdp => reason,
    }
}

#[inline(always)]
fn tcp(flags: u8) -> Verdict {
    let opens = flags & SYN != 0;
    let closes = flags & (FIN | RST) != 0;
    let answers = flags & (ACK | RST) != 0;
    match (opens, closes, answers) {
        (true, true, _) => Verdict::Stealth,
        (true, false, false) => Verdict::Syn,
        (false, _, false) => Verdict::Stealth,
        _ => Verdict::Known,
    }
}

/// Whether a UDP packet looks like the answer to a question this host asked.
#[inline(always)]
fn is_late_reply(source_port: u16, dest_port: u16, settings: &Settings) -> bool {
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

    fn verdict(kind: Kind, flags: u8, source_port: u16, dest_port: u16) -> Verdict {
        let addr = Addr::from(Ipv4Addr::LOCALHOST);
        let transport = Transport { kind, reason: Verdict::IpOther, flags, source_port, dest_port };
        classify(&Packet { source: addr, dest: addr, transport }, &Settings::DEFAULT)
    }

    #[test]
    fn every_combination_of_tcp_flags_has_its_class() {
        for flags in 0..=u8::MAX {
            let got = verdict(Kind::Tcp, flags, 1, 2);
            let (syn, ack) = (flags & SYN != 0, flags & ACK != 0);
            let (fin, rst) = (flags & FIN != 0, flags & RST != 0);
            // The contract's words, clause by clause.
            let want = if syn && !ack && !rst && !fin {
                Verdict::Syn
            } else if (!ack && !rst) || (syn && fin) || (syn && rst) {
                Verdict::Stealth
            } else {
                Verdict::Known
            };
            assert_eq!(got, want, "flags {flags:#04x}");
        }
    }

    #[test]
    fn udp_replies_are_told_from_probes_by_their_ports() {
        let udp = |source_port, dest_port| verdict(Kind::Udp, 0, source_port, dest_port);
        assert_eq!(udp(53, 40000), Verdict::Known);
        assert_eq!(udp(443, 32768), Verdict::Known);
        assert_eq!(udp(443, 32767), Verdict::UdpNew);
        assert_eq!(udp(443, 61000), Verdict::UdpNew);
        assert_eq!(udp(40000, 40000), Verdict::UdpNew);
        assert_eq!(udp(0, 40000), Verdict::UdpNew);
        assert_eq!(udp(53, 53), Verdict::UdpNew);
    }
}
