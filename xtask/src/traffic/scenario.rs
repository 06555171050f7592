//! Scenes: what an attacker sends, and what goes on in an ordinary hour.
//!
//! Every scene is an iterator of frames with an end. Where addresses are drawn, they come from ranges that are
//! set aside for documentation and for benchmarks, so they are nobody's.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Frame;
use super::frame::OUTSIDE_MAC;
use super::network::Extension;
use super::transport::{ACK, FIN, Icmp, PSH, SYN, Tcp, Transport, Udp};

/// The maximum segment size that an Ethernet host offers in its SYN.
const MSS: [u8; 4] = [2, 4, 0x05, 0xb4];

/// A SYN to each of `ports`, from one source port, as port scanners send them.
///
/// # Panics
///
/// The scenes panic where source and destination are of different families.
pub fn syn_scan(
    from: IpAddr,
    to: IpAddr,
    ports: impl IntoIterator<Item = u16>,
) -> impl Iterator<Item = Vec<u8>> {
    ports.into_iter().map(move |port| packet(from, to, syn(54_321, port, 0x6e77_0000)))
}

/// `count` SYNs to one port, each from a source port and with a sequence number of its own.
pub fn syn_flood(from: IpAddr, to: IpAddr, port: u16, count: usize) -> impl Iterator<Item = Vec<u8>> {
    (1024..=u16::MAX)
        .cycle()
        .zip(0_u32..)
        .take(count)
        .map(move |(source_port, nth)| packet(from, to, syn(source_port, port, nth)))
}

/// `count` UDP datagrams of 64 bytes to one port, from source ports that no service answers from.
pub fn udp_flood(from: IpAddr, to: IpAddr, port: u16, count: usize) -> impl Iterator<Item = Vec<u8>> {
    (20_000..30_000)
        .cycle()
        .take(count)
        .map(move |source_port| packet(from, to, Udp::new(source_port, port).payload(&[0x6e; 64])))
}

/// `count` echo requests, each with a sequence number of its own.
pub fn icmp_flood(from: IpAddr, to: IpAddr, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let kind = if to.is_ipv4() { 8 } else { 128 };
    (0..=u16::MAX).cycle().take(count).map(move |nth| packet(from, to, Icmp::echo(kind, 0x6e77, nth)))
}

/// `count` fragments over IPv4 of which no first one ever comes, each of another packet.
pub fn fragment_flood(from: Ipv4Addr, to: Ipv4Addr, count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..=u16::MAX)
        .cycle()
        .take(count)
        .map(move |id| Frame::ipv4(from, to).id(id).fragment(64, true).protocol(17, &[0x6e; 64]).build())
}

/// A TCP connection between two ends, address and port: the handshake, what the client sends segment by segment, and an
/// answer to all of it.
pub fn conversation(
    (client, client_port): (IpAddr, u16),
    (server, server_port): (IpAddr, u16),
    segments: &[&[u8]],
) -> Vec<Vec<u8>> {
    let (first, other) = (0x6e77_0000_u32, 0x7761_0000_u32);
    let said = |flags, from, to, payload| {
        let tcp = Tcp::new(client_port, server_port, flags).sequence(from, to).payload(payload);
        packet(client, server, tcp)
    };
    let answered = |flags, from, to, payload| {
        let tcp = Tcp::new(server_port, client_port, flags).sequence(from, to).payload(payload);
        packet(server, client, tcp)
    };
    let mut frames = vec![
        said(SYN, first, 0, &[][..]),
        answered(SYN | ACK, other, first + 1, &[][..]),
        said(ACK, first + 1, other + 1, &[][..]),
    ];
    let mut next = first + 1;
    for segment in segments {
        frames.push(said(PSH | ACK, next, other + 1, segment));
        next = next.wrapping_add(u32::try_from(segment.len()).unwrap_or(0));
    }
    frames.push(answered(
        PSH | ACK,
        other + 1,
        next,
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ));
    frames
}

/// Random sources of the family of `to`; the same ones for the same `seed`.
///
/// They are those of 2001:db8::/32, each in a network of 64 bits of its own, or the 131,072 of 198.18.0.0/15
/// (RFC 2544): the documentation ranges of IPv4 have too few to fill a table.
pub fn random_sources(to: IpAddr, seed: u64) -> impl Iterator<Item = IpAddr> {
    random(seed).map(move |number| source(to, number))
}

/// `count` SYNs to one port, each from one of the [`random_sources`]; the same ones for the same `seed`.
pub fn random_source_syn_flood(
    to: IpAddr,
    port: u16,
    count: usize,
    seed: u64,
) -> impl Iterator<Item = Vec<u8>> {
    random(seed).take(count).map(move |number| {
        let [a, b, .., e, f, g, h] = number.to_be_bytes();
        let source_port = 1024 | u16::from_be_bytes([e, f]);
        packet(source(to, number), to, syn(source_port, port, u32::from_be_bytes([a, b, g, h])))
    })
}

/// The source of the family of `to` that a random number stands for.
pub(super) fn source(to: IpAddr, number: u64) -> IpAddr {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    match to {
        IpAddr::V4(_) => Ipv4Addr::new(198, 18 + (a & 1), b, c).into(),
        IpAddr::V6(_) => Ipv6Addr::from([0x20, 0x01, 0x0d, 0xb8, a, b, c, d, 0, 0, 0, 0, e, f, g, h]).into(),
    }
}

/// What one neighbour of the laboratory's network tells everybody within a minute or so: its name thirty times, its
/// services, and the groups that it joins. It is 198.51.100.`host` and fe80::`host`.
pub fn multicast(host: u8) -> Vec<Vec<u8>> {
    const SEARCH: &[u8] =
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\r\n";
    const NOTIFY: &[u8] = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\r\n";
    // A response of DNS without any record.
    const NAME: [u8; 12] = [0, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
    const LLMNR: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 252);
    const SSDP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
    const IGMP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
    let to4 = |group: Ipv4Addr| {
        let [_, b, c, d] = group.octets();
        let from = Ipv4Addr::new(198, 51, 100, host);
        Frame::ipv4(from, group).macs(OUTSIDE_MAC, [1, 0, 0x5e, b & 0x7f, c, d])
    };
    let to6 = |last| {
        let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into());
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last);
        let [.., c, d] = group.octets();
        Frame::ipv6(from, group).macs(OUTSIDE_MAC, [0x33, 0x33, 0, 0, c, d]).hop_limit(255)
    };
    // IGMP of version 3: one record, that joins one group; its checksum is left out.
    let membership = [&[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0][..], &MDNS.octets()].concat();
    let mut frames = Vec::new();
    for nth in 0..30 {
        frames.push(to4(MDNS).ttl(255).udp(5353, 5353, &NAME).build());
        if nth % 3 == 0 {
            frames.push(to6(0xfb).udp(5353, 5353, &NAME).build());
            frames.push(to4(SSDP).udp(50_000 + nth, 1900, SEARCH).build());
            frames.push(to4(SSDP).udp(1900, 1900, NOTIFY).build());
        }
        if nth % 10 == 0 {
            frames.push(to4(LLMNR).udp(50_100 + nth, 5355, &[0; 20]).build());
            frames.push(to4(IGMP).options(&[0x94, 4, 0, 0]).ttl(1).protocol(2, &membership).build());
            let alert = Extension::HopByHop(vec![5, 2, 0, 0]);
            frames.push(to6(0x16).hop_limit(1).extension(alert).icmp(143, 0, &[0; 24]).build());
            // A router announces itself, a host asks for one.
            frames.push(to6(1).icmp(134, 0, &[0; 12]).build());
            frames.push(to6(2).icmp(133, 0, &[0; 4]).build());
        }
    }
    frames
}

/// One frame of a conversation between the watched host and its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// A frame that the outside sends.
    In(Vec<u8>),
    /// A frame that the watched host sends.
    Out(Vec<u8>),
}

/// What an ordinary host says and hears: `rounds` of connections, downloads, lookups and pings.
///
/// In each round `host` fetches a page, serves one on port 443, looks a name up, receives a QUIC stream, pings
/// and resolves a neighbour; about 40 frames, three quarters of them inbound. Nothing in it deserves an alert:
/// clients take turns, so that each of the 200 opens one connection in 200 rounds, all to the same port.
pub fn ordinary(host: IpAddr, rounds: usize) -> impl Iterator<Item = Crossing> {
    // Each round has four ephemeral ports of the 28,000 that are free.
    let ports = (32_768..60_768_u16).step_by(4).cycle();
    let clients = (1..=200_u8).cycle();
    let servers = (201..=250_u8).cycle();
    ports.zip(clients.zip(servers)).take(rounds).flat_map(move |(port, (client, server))| {
        let (client, server) = (peer(host, client), peer(host, server));
        let talk = Talk { host, peer: server };
        let mut round = vec![talk.resolve_in()];
        round.extend(talk.fetch(port));
        round.extend(Talk { host, peer: client }.serve(port));
        round.extend(talk.lookup(port + 1));
        round.extend(talk.stream(port + 2));
        round.extend(talk.ping(port));
        round
    })
}

/// The frames of a conversation that the outside sends.
///
/// A watcher that follows flows must see the others as well, or it takes replies for strays.
pub fn inbound(crossings: impl IntoIterator<Item = Crossing>) -> impl Iterator<Item = Vec<u8>> {
    crossings.into_iter().filter_map(|crossing| match crossing {
        Crossing::In(frame) => Some(frame),
        Crossing::Out(_) => None,
    })
}

/// A host and whom it talks to.
#[derive(Clone, Copy)]
struct Talk {
    host: IpAddr,
    peer: IpAddr,
}

impl Talk {
    /// The host opens a connection, asks, and gets a page in ten segments.
    fn fetch(self, port: u16) -> Vec<Crossing> {
        let hear = |flags, seq, ack| Tcp::new(443, port, flags).sequence(seq, ack);
        let say = |flags, seq, ack| Tcp::new(port, 443, flags).sequence(seq, ack);
        let mut talk = vec![
            self.say(syn(port, 443, 1000)),
            self.hear(hear(SYN | ACK, 9000, 1001).options(&MSS)),
            self.say(say(ACK, 1001, 9001)),
            self.say(say(PSH | ACK, 1001, 9001).payload(&[b'q'; 200])),
            self.hear(hear(ACK, 9001, 1201)),
        ];
        for nth in 0..10 {
            talk.push(self.hear(hear(PSH | ACK, 9001 + nth * 1200, 1201).payload(&[b'a'; 1200])));
        }
        talk.extend([
            self.say(say(ACK, 1201, 21_001)),
            self.hear(hear(FIN | ACK, 21_001, 1201)),
            self.say(say(FIN | ACK, 1201, 21_002)),
            self.hear(hear(ACK, 21_002, 1202)),
        ]);
        talk
    }

    /// A client opens a connection to the host's web server and asks twice.
    fn serve(self, port: u16) -> Vec<Crossing> {
        let hear = |flags, seq, ack| Tcp::new(port, 443, flags).sequence(seq, ack);
        let say = |flags, seq, ack| Tcp::new(443, port, flags).sequence(seq, ack);
        vec![
            self.hear(syn(port, 443, 5000)),
            self.say(say(SYN | ACK, 7000, 5001).options(&MSS)),
            self.hear(hear(ACK, 5001, 7001)),
            self.hear(hear(PSH | ACK, 5001, 7001).payload(&[b'q'; 200])),
            self.say(say(PSH | ACK, 7001, 5201).payload(&[b'a'; 800])),
            self.hear(hear(ACK, 5201, 7801)),
            self.hear(hear(PSH | ACK, 5201, 7801).payload(&[b'q'; 100])),
            self.say(say(PSH | ACK, 7801, 5301).payload(&[b'a'; 400])),
            self.hear(hear(FIN | ACK, 5301, 8201)),
            self.say(say(FIN | ACK, 8201, 5302)),
            self.hear(hear(ACK, 5302, 8202)),
        ]
    }

    /// The host asks a resolver.
    fn lookup(self, port: u16) -> [Crossing; 2] {
        [
            self.say(Udp::new(port, 53).payload(&[b'q'; 40])),
            self.hear(Udp::new(53, port).payload(&[b'a'; 120])),
        ]
    }

    /// The host opens a QUIC connection and receives eight datagrams.
    fn stream(self, port: u16) -> Vec<Crossing> {
        let mut talk = vec![self.say(Udp::new(port, 443).payload(&[b'q'; 1200]))];
        talk.extend(iter::repeat_with(|| self.hear(Udp::new(443, port).payload(&[b'a'; 1200]))).take(8));
        talk
    }

    /// The host pings and is answered.
    fn ping(self, id: u16) -> [Crossing; 2] {
        let (request, reply) = if self.host.is_ipv4() { (8, 0) } else { (128, 129) };
        [self.say(Icmp::echo(request, id, 1)), self.hear(Icmp::echo(reply, id, 1))]
    }

    /// The peer asks for the host's link-layer address.
    fn resolve_in(self) -> Crossing {
        match (self.peer, self.host) {
            (IpAddr::V4(peer), IpAddr::V4(host)) => {
                // Ethernet, IPv4, lengths 6 and 4, request (RFC 826).
                let mut arp = vec![0, 1, 0x08, 0, 6, 4, 0, 1];
                arp.extend(OUTSIDE_MAC);
                arp.extend(peer.octets());
                arp.extend([0; 6]);
                arp.extend(host.octets());
                Crossing::In(Frame::ethernet(0x0806, &arp).build())
            }
            (_, host) => {
                // A neighbour solicitation (RFC 4861, section 4.3): four reserved bytes and the target.
                let mut body = vec![0; 4];
                if let IpAddr::V6(host) = host {
                    body.extend(host.octets());
                }
                self.hear(Icmp { kind: 135, code: 0, body })
            }
        }
    }

    fn hear(self, transport: impl Into<Transport>) -> Crossing {
        Crossing::In(packet(self.peer, self.host, transport))
    }

    fn say(self, transport: impl Into<Transport>) -> Crossing {
        Crossing::Out(directed(self.host, self.peer, transport, true))
    }
}

/// The peer with this number: a neighbour in 192.0.2.0/24 or 2001:db8:2::/64.
fn peer(host: IpAddr, number: u8) -> IpAddr {
    match host {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, number).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, number.into()).into(),
    }
}

pub(super) fn syn(source_port: u16, dest_port: u16, sequence: u32) -> Tcp {
    Tcp::new(source_port, dest_port, SYN).sequence(sequence, 0).options(&MSS)
}

fn packet(from: IpAddr, to: IpAddr, transport: impl Into<Transport>) -> Vec<u8> {
    directed(from, to, transport, false)
}

pub(super) fn directed(from: IpAddr, to: IpAddr, transport: impl Into<Transport>, outbound: bool) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let frame = Frame::ipv4(from, to).carrying(transport);
            if outbound { frame.outbound().build() } else { frame.build() }
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let frame = Frame::ipv6(from, to).carrying(transport);
            if outbound { frame.outbound().build() } else { frame.build() }
        }
        _ => unreachable!("{from} and {to} are of different families"),
    }
}

/// Numbers without an apparent order (a 64-bit xorshift, Marsaglia 2003), the same for the same seed.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    // Zero is the one state that the generator never leaves.
    iter::successors(Some(seed.wrapping_add(0x9e37_79b9_7f4a_7c15) | 1), |state| {
        let mut next = state ^ (state << 13);
        next ^= next >> 7;
        Some(next ^ (next << 17))
    })
    // The first numbers still look like the seed.
    .skip(16)
}
