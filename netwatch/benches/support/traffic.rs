//! What the generator is to send: a frame, and in what way packets differ from it.

use std::net::{Ipv4Addr, Ipv6Addr};

use netwatch_common::Addr;
use xtask::traffic::Frame;
use xtask::traffic::frame::{Mac, OUTSIDE_MAC};
use xtask::traffic::transport::{ACK, SYN};

use super::scene::{Scene, Vary};

/// The link-layer address of nobody: what goes there is counted, and no stack answers it.
pub const NOBODY: Mac = [0, 0, 0x5e, 0, 0x53, 0xff];
/// Whom packets go to, the watched side of the laboratory.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Likewise.
pub const TARGET_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
/// Where sources begin, and the one that all packets come from where nothing else is said.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(16, 0, 0, 1);
/// Likewise.
pub const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 1);
/// Scatters indices over all numbers of 64 bits, and of 32 bits: odd, and near to the golden ratio in both.
pub const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;

/// What kind of packets there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP, opening.
    Syn,
    /// TCP, amid a connection.
    Ack,
    /// UDP.
    Udp,
}

/// A frame, and how packets differ from it.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The frame; its source, destination and ports are written anew for every packet.
    pub frame: Vec<u8>,
    /// Where they go.
    pub scene: Scene,
}

impl Traffic {
    /// Packets over IPv4 that are all the same.
    #[must_use]
    pub fn ipv4(kind: Kind) -> Self {
        let frame = Frame::ipv4(SOURCE, TARGET).macs(OUTSIDE_MAC, NOBODY);
        let frame = match kind {
            Kind::Syn => frame.tcp(PORTS.0, PORTS.1, SYN),
            Kind::Ack => frame.tcp(PORTS.0, PORTS.1, ACK),
            Kind::Udp => frame.udp(PORTS.0, PORTS.1, &[]),
        };
        Self::new(frame.build(), mapped_last(SOURCE), mapped_last(TARGET))
    }

    /// The same over IPv6.
    #[must_use]
    pub fn ipv6(kind: Kind) -> Self {
        let frame = Frame::ipv6(SOURCE_V6, TARGET_V6).macs(OUTSIDE_MAC, NOBODY);
        let frame = match kind {
            Kind::Syn => frame.tcp(PORTS.0, PORTS.1, SYN),
            Kind::Ack => frame.tcp(PORTS.0, PORTS.1, ACK),
            Kind::Udp => frame.udp(PORTS.0, PORTS.1, &[]),
        };
        let words = |address: Ipv6Addr| Addr::from(address).0;
        Self::new(frame.build(), words(SOURCE_V6), words(TARGET_V6))
    }

    /// From so many sources, each as often as the others but in no order; 0 is any.
    #[must_use]
    pub fn random_sources(mut self, count: u32) -> Self {
        self.scene.source = Vary { step: SCATTER, count, order: Vary::RANDOM };
        self
    }

    /// From a new source with every packet, or one of so many in turn.
    #[must_use]
    pub fn new_sources(mut self, count: u32) -> Self {
        self.scene.source = Vary { step: SCATTER, count, order: Vary::NEXT };
        self
    }

    /// To one port after the other.
    #[must_use]
    pub fn new_ports(mut self) -> Self {
        self.scene.first_dest_port = 0;
        self.scene.dest_port = Vary { step: 1, count: 0x1_0000, order: Vary::NEXT };
        self
    }

    fn new(frame: Vec<u8>, first_source: [u32; 4], first_dest: [u32; 4]) -> Self {
        let fixed = Vary { step: 1, count: 0, order: Vary::FIXED };
        let scene = Scene {
            source: fixed,
            dest: fixed,
            source_port: fixed,
            dest_port: fixed,
            first_source,
            first_dest,
            first_source_port: PORTS.0.into(),
            first_dest_port: PORTS.1.into(),
            visits: 1,
            scanner_every: 0,
            scanner: 0,
            header_sum: header_sum(&frame),
        };
        Self { frame, scene }
    }
}

/// Source and destination port.
const PORTS: (u16, u16) = (40_000, 80);

/// An IPv4 address as a word, first of four.
fn mapped_last(address: Ipv4Addr) -> [u32; 4] {
    [u32::from_ne_bytes(address.octets()), 0, 0, 0]
}

/// The sum of what the header's checksum is about, but for the addresses.
fn header_sum(frame: &[u8]) -> u32 {
    let header = frame.get(14..24).unwrap_or_default();
    header.chunks_exact(2).map(|half| u32::from(u16::from_be_bytes([half[0], half[1]]))).sum()
}
