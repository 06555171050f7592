//! What there is to say about a packet, read from its sample. The headers are read by the one parser; what that has no
//! interest in, such as the kind of an ICMP message, is read here.

use core::net::{IpAddr, Ipv4Addr};

use netwatch_common::{Kind, Packet, Sample, Settings, Verdict, parse};

use crate::kernel::samples::Captured;

const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;
/// Tags in the frame itself; one more may lie beside it.
const TAGS: usize = 3;
/// IPv6 extension headers that are followed.
const EXTENSIONS: usize = 8;

/// A packet, as far as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// What precedes it in the ring.
    pub sample: &'a Sample,
    /// What was captured of it.
    pub frame: &'a [u8],
    /// Where it comes from and where it goes, where it is IP.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// Source and destination port, where it has ports.
    pub ports: Option<(u16, u16)>,
    /// What it carries.
    pub what: What,
    /// VLANs, the outermost first.
    tags: [Option<u16>; TAGS],
    /// What was captured of the payload; of packets other than TCP and UDP, all behind the link header.
    pub payload: &'a [u8],
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// TCP with these flags; none where a fragment hides them.
    Tcp(Option<u8>),
    /// UDP.
    Udp,
    /// ICMP or ICMPv6, with type and code.
    Icmp {
        /// Whether it is ICMPv6.
        is_v6: bool,
        /// Type and code.
        message: Option<(u8, u8)>,
    },
    /// ARP.
    Arp(Option<Arp>),
    /// Another protocol over IP, or a fragment of any.
    Ip {
        /// Its number.
        protocol: Option<u8>,
        /// Whether it is a fragment other than the first.
        is_fragment: bool,
    },
    /// No IP; the EtherType.
    Frame(Option<u16>),
}

/// A question or an answer of ARP about IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Who speaks.
    pub sender: Ipv4Addr,
    /// Its link-layer address.
    pub sender_mac: [u8; 6],
    /// Who is asked for, or answered.
    pub target: Ipv4Addr,
}

impl<'a> Told<'a> {
    /// Reads a sample of an interface that has these settings.
    #[must_use]
    pub fn of(sample: &'a Sample, frame: &'a [u8], settings: &Settings) -> Self {
        let (tags, network, ether_type) = link(sample, frame, settings);
        let captured = Captured::new(sample, frame);
        let all = frame.get(network..).unwrap_or_default();
        let told = Self {
            sample,
            frame,
            ends: None,
            ports: None,
            what: What::Frame(ether_type),
            tags,
            payload: all,
        };
        match parse(&captured, settings) {
            Ok(packet) => told.with(&packet, all),
            Err(Verdict::Arp) => Self { what: What::Arp(Arp::read(all)), ..told },
            Err(_) => told,
        }
    }

    fn with(self, packet: &Packet, all: &'a [u8]) -> Self {
        let Packet { source, dest, transport } = packet;
        let upper = upper(all);
        let what = match transport.kind {
            Kind::Tcp => What::Tcp(Some(transport.flags)),
            Kind::TinyTcp => What::Tcp(None),
            Kind::Udp | Kind::TinyUdp => What::Udp,
            Kind::IcmpProbe | Kind::IcmpOther => What::Icmp {
                is_v6: all.first().is_some_and(|first| first >> 4 == 6),
                message: upper.and_then(|(_, at)| Some((*all.get(at)?, *all.get(at + 1)?))),
            },
            kind => What::Ip {
                protocol: upper.map(|(protocol, _)| protocol),
                is_fragment: kind == Kind::Fragment,
            },
        };
        let has_ports = matches!(transport.kind, Kind::Tcp | Kind::TinyTcp | Kind::Udp | Kind::TinyUdp);
        let (start, len) = (transport.payload_offset as usize, transport.payload_len as usize);
        let payload = if start == 0 { all } else { self.frame.get(start..).unwrap_or_default() };
        Self {
            ends: Some(((*source).into(), (*dest).into())),
            ports: has_ports.then_some((transport.source_port, transport.dest_port)),
            what,
            // Behind it there may be padding.
            payload: if start == 0 { payload } else { &payload[..payload.len().min(len)] },
            ..self
        }
    }

    /// Numbers of the VLANs, the outermost first.
    pub fn vlans(&self) -> impl Iterator<Item = u16> {
        self.tags.into_iter().flatten()
    }

    /// Its length on the wire, in bytes, with the tag that the kernel has taken out.
    #[must_use]
    pub const fn wire_bytes(&self) -> u32 {
        let tag = if self.sample.vlan == 0 { 0 } else { 4 };
        self.sample.wire_len.saturating_add(tag)
    }

    /// The frame as it was on the wire, in parts: the tag that the kernel has taken out is put back.
    #[must_use]
    pub fn parts(&self, tag: &'a mut [u8; VLAN_TAG]) -> [&'a [u8]; 3] {
        match (self.sample.tag(), self.frame.split_at_checked(ETHERNET_HEADER - 2)) {
            (Some((protocol, control)), Some((addresses, rest))) => {
                tag[..2].copy_from_slice(&protocol.to_be_bytes());
                tag[2..].copy_from_slice(&control.to_be_bytes());
                [addresses, tag, rest]
            }
            _ => [self.frame, &[], &[]],
        }
    }
}

/// VLANs, where the network header begins, and the EtherType.
fn link(sample: &Sample, frame: &[u8], settings: &Settings) -> ([Option<u16>; TAGS], usize, Option<u16>) {
    let mut tags = [None; TAGS];
    if settings.link == Settings::LINK_IP {
        return (tags, 0, None);
    }
    let number = |control: u16| control & 0x0fff;
    let mut next = 0;
    if let Some((_, control)) = sample.tag() {
        tags[0] = Some(number(control));
        next = 1;
    }
    let word = |at: usize| frame.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let mut offset = ETHERNET_HEADER;
    let mut ether_type = word(offset - 2);
    while let Some(0x8100 | 0x88a8 | 0x9100) = ether_type
        && next < TAGS
    {
        tags[next] = word(offset).map(number);
        ether_type = word(offset + 2);
        offset += VLAN_TAG;
        next += 1;
    }
    (tags, offset, ether_type)
}

/// The protocol that an IP packet carries, and where it begins.
fn upper(packet: &[u8]) -> Option<(u8, usize)> {
    match packet.first()? >> 4 {
        4 => Some((*packet.get(9)?, usize::from(packet[0] & 0x0f) * 4)),
        6 => {
            let (mut protocol, mut at) = (*packet.get(6)?, 40);
            for _ in 0..EXTENSIONS {
                let length = match protocol {
                    // Hop-by-hop, routing, destination options, mobility, host identity and shim6.
                    0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*packet.get(at + 1)?) + 1) * 8,
                    44 => 8,
                    51 => (usize::from(*packet.get(at + 1)?) + 2) * 4,
                    _ => return Some((protocol, at)),
                };
                protocol = *packet.get(at)?;
                at += length;
            }
            Some((protocol, at))
        }
        _ => None,
    }
}

impl Arp {
    fn read(packet: &[u8]) -> Option<Self> {
        let (head, rest) = packet.split_at_checked(8)?;
        // Ethernet and IPv4, with addresses of their lengths.
        if head[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let address = |at: usize| rest.get(at..at + 4)?.first_chunk().map(|bytes: &[u8; 4]| (*bytes).into());
        Some(Self {
            operation: u16::from_be_bytes([head[6], head[7]]),
            sender_mac: *rest.first_chunk()?,
            sender: address(6)?,
            target: address(16)?,
        })
    }
}
