//! From the first byte of a frame to its addresses, ports and flags.
//!
//! The contract:
//! - Input is a [`Frame`]; nothing outside its bounds is read, and nothing is written.
//! - Link headers: Ethernet with up to [`VLAN_TAGS`] tags (0x8100, 0x88a8, 0x9100), or none.
//! - IPv4 with options; IPv6 with up to [`EXTENSION_HEADERS`] extension headers, fragment headers included.
//! - Ports are in host byte order. They are never read from a fragment other than the first.
//! - A transport header must lie within the IP packet, not merely within the frame: Ethernet padding after a
//!   short packet is not a header. A length of zero in the IP header (segmentation offload) means "to the end
//!   of the frame".
//! - Whatever cannot be parsed has a [`Verdict`] that says why; where the IP header was good the packet still
//!   counts for its source.

use network_types::eth::EtherType;
use network_types::ip::IpProto;

use crate::classify::Settings;
use crate::frame::Frame;
use crate::limits::{EXTENSION_HEADERS, HEADER_OFFSET, VLAN_TAGS};
use crate::packet::{Kind, Packet, Transport};
use crate::verdict::Verdict;
use crate::wire::Addr;

/// Parses a frame.
///
/// # Errors
///
/// The verdict of a frame that has no source to count it for: it is not IP, or its IP header is unusable.
#[inline(always)]
pub fn parse<F: Frame + ?Sized>(frame: &F, settings: &Settings) -> Result<Packet, Verdict> {
    if settings.link == Settings::LINK_IP {
        return match frame.read::<u16>(0).map(|word| u16::from_be(word) >> 12) {
            Some(4) => ip4(frame, 0),
            Some(6) => ip6(frame, 0),
            Some(_) => Err(Verdict::NonIp),
            None => Err(Verdict::Ip4Truncated),
        };
    }
    let (ether_type, offset) = ethernet(frame)?;
    match ether_type {
        IP4 => ip4(frame, offset),
        IP6 => ip6(frame, offset),
        ARP => Err(Verdict::Arp),
        VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN => Err(Verdict::VlanTooMany),
        _ => Err(Verdict::NonIp),
    }
}

/// EtherTypes, in host byte order; network-types keeps them as they lie in a packet.
const IP4: u16 = u16::from_be(EtherType::Ipv4 as u16);
const IP6: u16 = u16::from_be(EtherType::Ipv6 as u16);
const ARP: u16 = u16::from_be(EtherType::Arp as u16);
/// 802.1Q.
const VLAN: u16 = u16::from_be(EtherType::Ieee8021q as u16);
/// 802.1ad.
const SERVICE_VLAN: u16 = u16::from_be(EtherType::Ieee8021ad as u16);
/// The service tag of equipment older than 802.1ad.
const OLD_SERVICE_VLAN: u16 = u16::from_be(EtherType::Ieee8021QinQ1 as u16);

const ETH_LEN: usize = 14;
const VLAN_LEN: usize = 4;
const IP4_LEN: usize = 20;
const IP6_LEN: usize = 40;
const TCP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const ICMP_LEN: usize = 4;
/// The shortest extension header, and the unit of its length.
const EXTENSION_LEN: usize = 8;

/// The EtherType behind all VLAN tags, and the offset of what follows it.
#[inline(always)]
fn ethernet<F: Frame + ?Sized>(frame: &F) -> Result<(u16, usize), Verdict> {
    let mut offset = ETH_LEN;
    let Some(ether_type) = frame.read::<u16>(offset - 2) else {
        return Err(Verdict::EthTruncated);
    };
    let mut ether_type = u16::from_be(ether_type);
    for _ in 0..VLAN_TAGS {
        if !matches!(ether_type, VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN) {
            break;
        }
        // Tag control information, then the EtherType of what the tag wraps.
        let Some(inner) = frame.read::<u16>(offset + 2) else {
            return Err(missing(frame, offset, VLAN_LEN, Verdict::VlanTruncated));
        };
        ether_type = u16::from_be(inner);
        offset += VLAN_LEN;
    }
    Ok((ether_type, offset))
}

#[inline(always)]
fn ip4<F: Frame + ?Sized>(frame: &F, start: usize) -> Result<Packet, Verdict> {
    let Some(words) = frame.read::<[u32; 5]>(start) else {
        return Err(missing(frame, start, IP4_LEN, Verdict::Ip4Truncated));
    };
    let first = u32::from_be(words[0]);
    let header_len = ((first >> 24) & 0xf) as usize * 4;
    let total_len = (first & 0xffff) as usize;
    if first >> 28 != 4 {
        return Err(Verdict::Ip4Version);
    }
    if header_len < IP4_LEN {
        return Err(Verdict::Ip4HeaderLength);
    }
    if total_len != 0 && total_len < header_len {
        return Err(Verdict::Ip4TotalLength);
    }
    if start + header_len > frame.len() {
        return Err(Verdict::Ip4Truncated);
    }
    let fragment = u32::from_be(words[1]) & 0xffff;
    let (more_fragments, fragment_offset) = (fragment & 0x2000 != 0, fragment & 0x1fff);
    let protocol = ((u32::from_be(words[2]) >> 16) & 0xff) as u8;

    let transport = if fragment_offset != 0 {
        Transport::without_ports(Kind::Fragment)
    } else {
        let end = if total_len == 0 { frame.len() } else { frame.len().min(start + total_len) };
        transport(frame, Reach { offset: start + header_len, end, fragmented: more_fragments }, protocol, 4)
    };
    Ok(Packet { source: Addr::from_v4_word(words[3]), dest: Addr::from_v4_word(words[4]), transport })
}

#[inline(always)]
fn ip6<F: Frame + ?Sized>(frame: &F, start: usize) -> Result<Packet, Verdict> {
    let Some(words) = frame.read::<[u32; 10]>(start) else {
        return Err(missing(frame, start, IP6_LEN, Verdict::Ip6Truncated));
    };
    if u32::from_be(words[0]) >> 28 != 6 {
        return Err(Verdict::Ip6Version);
    }
    // Such a source must not be seen on a wire (RFC 4291, 2.5.5.2), and would pass for the IPv4 host it names.
    if words[2] == 0 && words[3] == 0 && words[4] == 0xffff_u32.to_be() {
        return Err(Verdict::Ip6MappedSource);
    }
    let second = u32::from_be(words[1]);
    let payload_len = (second >> 16) as usize;
    let next_header = ((second >> 8) & 0xff) as u8;
    let offset = start + IP6_LEN;
    let end = if payload_len == 0 { frame.len() } else { frame.len().min(offset + payload_len) };
    Ok(Packet {
        source: Addr([words[2], words[3], words[4], words[5]]),
        dest: Addr([words[6], words[7], words[8], words[9]]),
        transport: extensions(frame, Reach { offset, end, fragmented: false }, next_header),
    })
}

/// Where a header is looked for.
#[derive(Clone, Copy)]
struct Reach {
    /// Its first byte.
    offset: usize,
    /// End of the IP packet within the frame.
    end: usize,
    /// Whether this is the first of several fragments.
    fragmented: bool,
}

impl Reach {
    /// Where what follows a header of so many bytes begins, and how long it is.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "no frame is that long")]
    const fn behind(self, header_len: usize) -> (u32, u32) {
        let start = self.offset + header_len;
        (start as u32, self.end.saturating_sub(start) as u32)
    }
}

/// Walks the IPv6 extension headers up to the transport header.
#[inline(always)]
fn extensions<F: Frame + ?Sized>(frame: &F, mut at: Reach, mut next_header: u8) -> Transport {
    const HOP_BY_HOP: u8 = IpProto::HopOpt as u8;
    const ROUTING: u8 = IpProto::Ipv6Route as u8;
    const FRAGMENT: u8 = IpProto::Ipv6Frag as u8;
    const AUTHENTICATION: u8 = IpProto::Ah as u8;
    const DEST_OPTIONS: u8 = IpProto::Ipv6Opts as u8;
    const MOBILITY: u8 = IpProto::MobilityHeader as u8;
    const HOST_IDENTITY: u8 = IpProto::Hip as u8;
    const SHIM6: u8 = IpProto::Shim6 as u8;

    // One turn more than there may be headers: the last turn only sees what follows the last header.
    for turn in 0..=EXTENSION_HEADERS {
        if !matches!(
            next_header,
            HOP_BY_HOP
                | ROUTING
                | FRAGMENT
                | AUTHENTICATION
                | DEST_OPTIONS
                | MOBILITY
                | HOST_IDENTITY
                | SHIM6
        ) {
            return transport(frame, at, next_header, 6);
        }
        if turn == EXTENSION_HEADERS {
            break;
        }
        if at.offset > HEADER_OFFSET {
            return Transport::malformed(Verdict::HeadersTooDeep);
        }
        if at.offset + EXTENSION_LEN > at.end {
            return Transport::malformed(Verdict::ExtensionTruncated);
        }
        let Some(words) = frame.read::<[u32; 2]>(at.offset) else {
            return Transport::malformed(missing(
                frame,
                at.offset,
                EXTENSION_LEN,
                Verdict::ExtensionTruncated,
            ));
        };
        let first = u32::from_be(words[0]);
        let length = ((first >> 16) & 0xff) as usize;
        at.offset += match next_header {
            FRAGMENT => {
                let (fragment_offset, more_fragments) = (first & 0xfff8, first & 1 != 0);
                if fragment_offset != 0 {
                    return Transport::without_ports(Kind::Fragment);
                }
                // An atomic fragment (offset 0, nothing to follow) is a whole packet.
                at.fragmented |= more_fragments;
                EXTENSION_LEN
            }
            // Counted in words, less two; all others in units of eight bytes, less one.
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        next_header = (first >> 24) as u8;
    }
    Transport::malformed(Verdict::ExtensionsTooMany)
}

/// Reads the transport header of `protocol`, inside IP `version`.
#[inline(always)]
fn transport<F: Frame + ?Sized>(frame: &F, at: Reach, protocol: u8, version: u8) -> Transport {
    const TCP: u8 = IpProto::Tcp as u8;
    const UDP: u8 = IpProto::Udp as u8;
    const ICMP: u8 = IpProto::Icmp as u8;
    const ICMP6: u8 = IpProto::Ipv6Icmp as u8;

    let (size, truncated) = match (protocol, version) {
        (TCP, _) => (TCP_LEN, Verdict::TcpTruncated),
        (UDP, _) => (UDP_LEN, Verdict::UdpTruncated),
        (ICMP, 4) | (ICMP6, 6) => (ICMP_LEN, Verdict::IcmpTruncated),
        _ => return Transport::without_ports(Kind::Other),
    };
    let truncated = if at.fragmented { Verdict::FirstFragmentTruncated } else { truncated };
    if at.offset > HEADER_OFFSET {
        return Transport::malformed(Verdict::HeadersTooDeep);
    }
    if at.offset + size > at.end {
        return if at.fragmented {
            tiny_fragment(frame, at, protocol)
        } else {
            Transport::malformed(truncated)
        };
    }
    match protocol {
        TCP => {
            let Some(words) = frame.read::<[u32; 5]>(at.offset) else {
                return Transport::malformed(missing(frame, at.offset, TCP_LEN, truncated));
            };
            let ports = u32::from_be(words[0]);
            // The header's length in words. One that is too small is nobody's business here: the payload then begins
            // behind the fixed part.
            let header_len = ((u32::from_be(words[3]) >> 28) as usize * 4).max(TCP_LEN);
            let (payload_offset, payload_len) = at.behind(header_len);
            Transport {
                payload_offset,
                payload_len,
                flags: ((u32::from_be(words[3]) >> 16) & 0xff) as u8,
                source_port: (ports >> 16) as u16,
                dest_port: (ports & 0xffff) as u16,
                sequence: u32::from_be(words[1]),
                acknowledgement: u32::from_be(words[2]),
                ..Transport::without_ports(Kind::Tcp)
            }
        }
        UDP => {
            let Some(words) = frame.read::<[u32; 2]>(at.offset) else {
                return Transport::malformed(missing(frame, at.offset, UDP_LEN, truncated));
            };
            let ports = u32::from_be(words[0]);
            let (payload_offset, payload_len) = at.behind(UDP_LEN);
            Transport {
                payload_offset,
                payload_len,
                source_port: (ports >> 16) as u16,
                dest_port: (ports & 0xffff) as u16,
                ..Transport::without_ports(Kind::Udp)
            }
        }
        _ => {
            let Some(word) = frame.read::<u16>(at.offset) else {
                return Transport::malformed(missing(frame, at.offset, ICMP_LEN, truncated));
            };
            Transport::without_ports(icmp_kind((u16::from_be(word) >> 8) as u8, version))
        }
    }
}

/// A first fragment that ends inside its transport header. The ports are read where they are there: a scan in
/// tiny fragments shows them and nothing else.
#[inline(always)]
fn tiny_fragment<F: Frame + ?Sized>(frame: &F, at: Reach, protocol: u8) -> Transport {
    const PORTS_LEN: usize = 4;
    let kind = match protocol {
        p if p == IpProto::Tcp as u8 => Kind::TinyTcp,
        p if p == IpProto::Udp as u8 => Kind::TinyUdp,
        _ => return Transport::malformed(Verdict::FirstFragmentTruncated),
    };
    if at.offset + PORTS_LEN > at.end {
        return Transport::malformed(Verdict::FirstFragmentTruncated);
    }
    let Some(word) = frame.read::<u32>(at.offset) else {
        return Transport::malformed(missing(frame, at.offset, PORTS_LEN, Verdict::FirstFragmentTruncated));
    };
    let ports = u32::from_be(word);
    Transport {
        source_port: (ports >> 16) as u16,
        dest_port: (ports & 0xffff) as u16,
        reason: Verdict::FirstFragmentTruncated,
        ..Transport::without_ports(kind)
    }
}

#[inline(always)]
const fn icmp_kind(message: u8, version: u8) -> Kind {
    const ECHO: u8 = 8;
    const TIMESTAMP: u8 = 13;
    const MASK: u8 = 17;
    const ECHO6: u8 = 128;
    match (version, message) {
        (4, ECHO | TIMESTAMP | MASK) | (6, ECHO6) => Kind::IcmpProbe,
        _ => Kind::IcmpOther,
    }
}

/// Why a header of `size` bytes could not be read: it is not there, or it is there but out of reach.
#[inline(always)]
fn missing<F: Frame + ?Sized>(frame: &F, offset: usize, size: usize, truncated: Verdict) -> Verdict {
    if offset + size <= frame.len() { Verdict::HeadersNotLinear } else { truncated }
}

#[cfg(test)]
mod tests;
