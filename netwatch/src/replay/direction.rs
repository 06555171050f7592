//! Which side of a capture is ours: a guess from its first packets, for where nobody says it.
//!
//! A wrong guess costs more than none: local sources may try ten times as many ports. So only what a capture says
//! itself is believed, and conversations between private addresses and the rest of the world.

use std::collections::{BTreeMap, BTreeSet};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use netwatch_common::classify::{ACK, RST, SYN};
use netwatch_common::{Addr, Kind, Packet};

use crate::analysis::policy::Prefix;
use crate::capture::Direction;

/// Packets that are looked at. What is remembered is bounded by it.
const PACKETS: u64 = 8_192;

/// Most hosts that are ours by what the capture says: where there are more, it forwards for others.
const HOSTS: usize = 64;

/// TCP flows that are looked at for their other direction.
const FLOWS: usize = 4_096;

/// How much more a packet acknowledges than the one before, less than which is what somebody sent meanwhile.
const WINDOW: u32 = 1 << 24;

/// Hosts that the reason names.
const NAMED: usize = 3;

/// Which side is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Networks that are ours; none where nothing tells, and then all destinations count as local.
    pub local: Vec<Prefix>,
    /// How they are written, in the same order: `192.168.0.0/16`, `192.0.2.5`.
    pub names: Vec<String>,
    /// What it is guessed from, or that nothing tells: one sentence without its full stop.
    pub why: String,
    /// Whether only one direction of nearly all TCP connections was recorded, so that replies can be told by flags
    /// alone.
    pub one_sided: bool,
}

/// Looks at the first packets of a capture.
#[derive(Clone, Debug, Default)]
pub struct Looker {
    packets: u64,
    /// Where received packets went and sent ones came from.
    ours: BTreeSet<Addr>,
    /// Where received packets came from and sent ones went.
    theirs: BTreeSet<Addr>,
    /// Which ways packets went between a private and a global address, in this order.
    pairs: BTreeMap<(Addr, Addr), Ways>,
    /// Which ways packets went between two global addresses, from the lesser one and to it.
    foreign: BTreeMap<(Addr, Addr), Ways>,
    /// Which ways the packets of a TCP flow went, from its lesser end and to it.
    flows: BTreeMap<[End; 2], TcpFlow>,
}

type End = (Addr, u16);

#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    forth: bool,
    back: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct TcpFlow {
    ways: Ways,
    /// Packets with ACK, and their last acknowledgement.
    acks: u32,
    acknowledged: u32,
    /// How often a packet acknowledged a little more than the one before, and how often anything else that is new.
    steps: u32,
    leaps: u32,
}

impl Looker {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether further packets change nothing.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.packets >= PACKETS
    }

    /// Looks at a packet.
    pub fn packet(&mut self, packet: &Packet, sight: Direction) {
        if self.is_done() {
            return;
        }
        self.packets += 1;
        let (source, dest) = (Place::of(packet.source), Place::of(packet.dest));
        let (ours, theirs) = match sight {
            Direction::Sent => (Some((packet.source, source)), Some((packet.dest, dest))),
            Direction::Received => (Some((packet.dest, dest)), Some((packet.source, source))),
            Direction::Passed | Direction::Unknown => (None, None),
        };
        let is_host = |(_, place): &(Addr, Place)| *place != Place::Nowhere;
        self.ours.extend(ours.filter(is_host).map(|(addr, _)| addr));
        self.theirs.extend(theirs.filter(is_host).map(|(addr, _)| addr));
        let transport = packet.transport;
        // A SYN can be forged, and refused; only who gets the answer goes on.
        if transport.kind != Kind::Tcp || transport.flags & (ACK | SYN | RST) == ACK {
            match (source, dest) {
                (Place::Private(_), Place::Global) => {
                    self.pairs.entry((packet.source, packet.dest)).or_default().forth = true;
                }
                (Place::Global, Place::Private(_)) => {
                    self.pairs.entry((packet.dest, packet.source)).or_default().back = true;
                }
                (Place::Global, Place::Global) => {
                    let is_forth = packet.source < packet.dest;
                    let ends =
                        if is_forth { (packet.source, packet.dest) } else { (packet.dest, packet.source) };
                    let ways = self.foreign.entry(ends).or_default();
                    ways.forth |= is_forth;
                    ways.back |= !is_forth;
                }
                _ => {}
            }
        }
        self.flow(packet);
    }

    /// Which side is ours.
    #[must_use]
    pub fn guess(self) -> Guess {
        let one_sided = self.one_sided();
        let (networks, why) = self.hosts().or_else(|| self.blocks()).unwrap_or_else(|| {
            let why =
                "nothing tells which side is ours, so every destination counts as local; --local says which";
            (Vec::new(), why.to_owned())
        });
        let (local, names) = networks.into_iter().unzip();
        Guess { local, names, why, one_sided }
    }

    fn flow(&mut self, packet: &Packet) {
        let transport = packet.transport;
        if transport.kind != Kind::Tcp {
            return;
        }
        let from = (packet.source, transport.source_port);
        let to = (packet.dest, transport.dest_port);
        let key = if from < to { [from, to] } else { [to, from] };
        if self.flows.len() >= FLOWS && !self.flows.contains_key(&key) {
            return;
        }
        let flow = self.flows.entry(key).or_default();
        flow.ways.forth |= from < to;
        flow.ways.back |= from >= to;
        if transport.flags & ACK != 0 {
            let more = transport.acknowledgement.wrapping_sub(flow.acknowledged);
            flow.steps += u32::from(flow.acks > 0 && (1..WINDOW).contains(&more));
            flow.leaps += u32::from(flow.acks > 0 && more >= WINDOW);
            flow.acks += 1;
            flow.acknowledged = transport.acknowledgement;
        }
    }

    /// Whether fewer than one of ten flows has both directions, and enough of the others acknowledge more and more of
    /// what is not there: somebody sends it. A flood and a scan with ACK acknowledge nothing, or anything; flows
    /// without ACK were not answered by anybody, or are no connections.
    fn one_sided(&self) -> bool {
        let (mut all, mut both, mut hear) = (0, 0, 0);
        for flow in self.flows.values().filter(|flow| flow.acks > 0) {
            let has_both = flow.ways.forth && flow.ways.back;
            all += 1;
            both += usize::from(has_both);
            hear += usize::from(!has_both && flow.steps > 0 && flow.leaps == 0);
        }
        both * 10 < all && hear * 10 >= all
    }

    /// The hosts that the capture says are ours.
    fn hosts(&self) -> Option<(Vec<(Prefix, String)>, String)> {
        // What is forwarded is received and sent again: neither end of it is ours.
        let hosts: Vec<_> = self.ours.difference(&self.theirs).copied().collect();
        if hosts.is_empty() || hosts.len() > HOSTS {
            return None;
        }
        let mut hosts: Vec<IpAddr> = hosts.into_iter().map(IpAddr::from).collect();
        hosts.sort_unstable();
        let networks =
            hosts.iter().filter_map(|host| Some((Prefix::new((*host).into(), 128)?, host.to_string())));
        let networks: Vec<_> = networks.collect();
        let named: Vec<_> = networks.iter().take(NAMED).map(|(_, name)| name.as_str()).collect();
        let named = match networks.len().saturating_sub(NAMED) {
            0 => listed(&named),
            rest => format!("{} and {rest} more", named.join(", ")),
        };
        let are = if networks.len() == 1 { "is" } else { "are" };
        let why = format!(
            "the capture says which packets were received and which were sent: {named} {are} ours; --local says otherwise"
        );
        Some((networks, why))
    }

    /// The private networks whose hosts talk with the rest of the world.
    fn blocks(&self) -> Option<(Vec<(Prefix, String)>, String)> {
        // One direction alone may be a question that nobody hears, or a forged source.
        let talks = self.pairs.iter().filter(|(_, ways)| ways.forth && ways.back);
        // Where most who talk are global, private addresses are a few among others, or forged.
        let foreign = self.foreign.values().filter(|ways| ways.forth && ways.back).count();
        if talks.clone().count() < foreign {
            return None;
        }
        let used: BTreeSet<usize> = talks
            .filter_map(|((private, _), _)| match Place::of(*private) {
                Place::Private(index) => Some(index),
                Place::Global | Place::Nowhere => None,
            })
            .collect();
        let networks = used.into_iter().filter_map(|index| {
            let Block { addr, bits, name } = BLOCKS.get(index)?;
            Some((Prefix::new((*addr).into(), *bits)?, (*name).to_owned()))
        });
        let networks: Vec<_> = networks.collect();
        let names: Vec<_> = networks.iter().map(|(_, name)| name.as_str()).collect();
        let are = match names.len() {
            0 => return None,
            1 => "is",
            _ => "are",
        };
        let why = format!(
            "guessed from private and public addresses that talk with each other: {} {are} ours; --local says otherwise",
            listed(&names)
        );
        Some((networks, why))
    }
}

/// A block of addresses that are private.
struct Block {
    addr: IpAddr,
    /// Bits of its prefix, in which IPv4 begins at bit 96.
    bits: u8,
    name: &'static str,
}

/// RFC 1918, RFC 6598 and RFC 4193.
const BLOCKS: [Block; 5] = [
    Block { addr: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), bits: 96 + 8, name: "10.0.0.0/8" },
    Block { addr: IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), bits: 96 + 12, name: "172.16.0.0/12" },
    Block { addr: IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), bits: 96 + 16, name: "192.168.0.0/16" },
    Block { addr: IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), bits: 96 + 10, name: "100.64.0.0/10" },
    Block { addr: IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), bits: 7, name: "fc00::/7" },
];

/// Where in the world an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In one of the private blocks.
    Private(usize),
    /// Anywhere else that one host has it, documentation included: examples are written as the real world is.
    Global,
    /// On one link or host, or on many hosts: it tells nothing.
    Nowhere,
}

impl Place {
    fn of(addr: Addr) -> Self {
        let block = BLOCKS.iter().position(|block| {
            Prefix::new(block.addr.into(), block.bits).is_some_and(|prefix| prefix.contains(addr))
        });
        let is_global = match IpAddr::from(addr) {
            IpAddr::V4(v4) => {
                let first = v4.octets()[0];
                // The last block is reserved, and has the broadcast address.
                !(first == 0 || first >= 240 || v4.is_loopback() || v4.is_link_local() || v4.is_multicast())
            }
            // What is assigned, and the prefix of translators.
            IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000 || v6.segments()[..2] == [0x64, 0xff9b],
        };
        match block {
            Some(index) => Self::Private(index),
            None if is_global => Self::Global,
            None => Self::Nowhere,
        }
    }
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., before, last] => {
            let first: String = first.iter().map(|name| format!("{name}, ")).collect();
            format!("{first}{before} and {last}")
        }
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests;
