//! Packets that are made here, so that engines are compared where no captures are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netwatch::capture::{Direction, FRAME_MAX, Packet};
use netwatch_common::classify::{ACK, FIN, PSH, RST, SYN, URG};
use xtask::traffic::Frame;
use xtask::traffic::mixture::Mixture;
use xtask::traffic::network::Extension;
use xtask::traffic::scenario::{self, Crossing};
use xtask::traffic::transport::Tcp;

/// When everything made here begins, in nanoseconds since the epoch.
pub const FIRST_NS: i64 = 1_700_000_000_000_000_000;

const SECOND: i64 = 1_000_000_000;
const A: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const B: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 10);
const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 3, 4, 5, 6, 7);
const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xdb8, 0, 0, 0, 0, 0, 10);

/// A packet that owns its frame.
#[derive(Clone, Debug)]
pub struct Owned {
    at_ns: i64,
    wire_bytes: u32,
    frame: Vec<u8>,
    direction: Direction,
}

impl Owned {
    /// A whole frame, so many nanoseconds after the first.
    pub fn new(since_ns: i64, frame: Vec<u8>) -> Self {
        let wire_bytes = u32::try_from(frame.len()).unwrap();
        Self { at_ns: FIRST_NS + since_ns, wire_bytes, frame, direction: Direction::Unknown }
    }

    pub fn borrowed(&self) -> Packet<'_> {
        let Self { at_ns, wire_bytes, ref frame, direction } = *self;
        Packet { at_ns, wire_bytes, frame, direction }
    }
}

/// Everything that is made here, by what it is.
pub fn cases() -> Vec<(&'static str, Vec<Owned>)> {
    vec![
        ("a busy network", busy(20_000)),
        ("scans and floods", attacks()),
        ("an ordinary host", ordinary()),
        ("frames of all lengths", lengths()),
        ("frames that are odd", odd()),
        ("ends that are the same", reflexive()),
        ("handshakes", handshakes()),
        ("flows that grow old", old_flows()),
    ]
}

/// A busy network: its scan begins with the fifth second, its flood with the fifteenth.
pub fn busy(packets: usize) -> Vec<Owned> {
    let mixture = Mixture::new(7, 1_000).take(packets);
    mixture.map(|(at_us, frame)| Owned::new(i64::try_from(at_us).unwrap() * 1_000, frame)).collect()
}

/// Scans and floods of several hosts, one after the other.
pub fn attacks() -> Vec<Owned> {
    let host = |last| IpAddr::from(Ipv4Addr::new(203, 0, 113, last));
    let (to, to6) = (IpAddr::from(B), IpAddr::from(B6));
    let frames = scenario::syn_scan(host(1), to, 1..=200)
        .chain(scenario::syn_scan(A6.into(), to6, 1..=200))
        .chain(scenario::syn_flood(host(2), to, 443, 500))
        .chain(scenario::udp_flood(host(3), to, 9, 500))
        .chain(scenario::icmp_flood(host(4), to, 300))
        .chain(scenario::fragment_flood(A, B, 300))
        .chain(scenario::random_source_syn_flood(to, 80, 1_500, 1))
        .chain(scenario::random_source_syn_flood(to6, 80, 500, 2))
        .chain(scenario::multicast(9));
    frames.zip(0..).map(|(frame, nth)| Owned::new(nth * SECOND / 200, frame)).collect()
}

/// What an ordinary host says and hears; the capture says which is which.
fn ordinary() -> Vec<Owned> {
    let of = |host: IpAddr| scenario::ordinary(host, 40);
    let packets = of(B.into()).chain(of(B6.into())).zip(0..).map(|(crossing, nth)| {
        let (frame, direction) = match crossing {
            Crossing::In(frame) => (frame, Direction::Received),
            Crossing::Out(frame) => (frame, Direction::Sent),
        };
        Owned { direction, ..Owned::new(nth * SECOND / 100, frame) }
    });
    packets.collect()
}

/// From no byte at all to as many as are handed out: frames cut short everywhere, and such as were longer on the wire.
fn lengths() -> Vec<Owned> {
    let wholes = [
        Frame::ipv4(A, B).vlan(0x88a8, 5).vlan(0x8100, 6).options(&[1; 8]).tcp(40_000, 22, SYN).build(),
        Frame::ipv4(A, B).udp(40_000, 53, &[0; 40]).build(),
        Frame::ipv6(A6, B6).extension(Extension::HopByHop(vec![1, 4, 0, 0, 0, 0])).tcp(1, 2, SYN).build(),
        Frame::ipv6(A6, B6).icmp(128, 0, &[0; 40]).build(),
        Frame::ethernet(0x0806, &[0; 46]).build(),
    ];
    let mut packets = Vec::new();
    for whole in &wholes {
        for length in 0..=whole.len() {
            for direction in [Direction::Received, Direction::Sent] {
                let wire_bytes = u32::try_from(whole.len()).unwrap();
                packets.push(Owned { wire_bytes, direction, ..Owned::new(0, whole[..length].to_vec()) });
            }
        }
    }
    let payload = vec![0x6e; FRAME_MAX];
    for length in FRAME_MAX - 3..=FRAME_MAX {
        for whole in [
            Frame::ipv4(A, B).udp(40_000, 53, &payload).build(),
            Frame::ipv6(A6, B6).carrying(Tcp::new(40_000, 22, PSH | ACK).payload(&payload)).build(),
        ] {
            let cut = whole[..length].to_vec();
            packets.push(Owned { wire_bytes: u32::MAX, ..Owned::new(1, cut.clone()) });
            packets.push(Owned { wire_bytes: 0, direction: Direction::Sent, ..Owned::new(1, cut) });
        }
    }
    packets
}

/// Every combination of TCP flags, fragments, protocols and lengths that lie, in both directions.
fn odd() -> Vec<Owned> {
    let mut frames = Vec::new();
    for flags in 0..=u8::MAX {
        frames.push(Frame::ipv4(A, B).tcp(40_000, 22, flags).build());
        frames.push(Frame::ipv4(B, A).tcp(22, 40_000, flags.rotate_left(3)).build());
        frames.push(Frame::ipv6(A6, B6).tcp(40_000, 22, flags).build());
        frames.push(Frame::ipv4(A, B).protocol(flags, &[flags; 24]).build());
        frames.push(Frame::ipv4(A, B).icmp(flags, 0, &[0; 8]).build());
        frames.push(Frame::ipv6(A6, B6).icmp(flags, 0, &[0; 8]).build());
        frames.push(Frame::ipv4(A, B).fragment(flags.into(), true).tcp(1, 2, flags).build());
    }
    for lie in 0..64 {
        frames.push(Frame::ipv4(A, B).total_length(lie).tcp(1, 2, SYN).build());
        frames.push(Frame::ipv4(A, B).header_words((lie % 16) as u8).tcp(1, 2, FIN | PSH | URG).build());
        frames.push(Frame::ipv6(A6, B6).payload_length(lie).udp(1, 2, &[0; 9]).build());
        frames.push(Frame::ethernet(lie * 997, &[lie as u8; 50]).build());
    }
    frames.into_iter().zip(0..).map(|(frame, nth)| Owned::new(nth * SECOND / 1_000, frame)).collect()
}

/// Packets whose both ends are one: of such a flow each direction is the other one, too.
fn reflexive() -> Vec<Owned> {
    let outside = |port, flags| Frame::ipv4(A, A).tcp(port, port, flags).build();
    let frames = [
        outside(80, SYN),
        outside(80, ACK),
        outside(80, SYN | ACK),
        outside(80, ACK),
        outside(80, RST),
        outside(81, ACK),
        outside(81, ACK),
        outside(82, RST),
        outside(82, ACK),
        Frame::ipv4(A, A).udp(53, 53, b"").build(),
        Frame::ipv4(A, A).udp(53, 53, b"").build(),
        Frame::ipv4(A, A).udp(9, 10, b"").build(),
        Frame::ipv4(A, A).udp(10, 9, b"").build(),
        Frame::ipv4(B, B).udp(9, 9, b"").build(),
        Frame::ipv4(B, B).udp(9, 9, b"").build(),
    ];
    frames.into_iter().zip(0..).map(|(frame, nth)| Owned::new(nth, frame)).collect()
}

/// Handshakes that are completed, guessed at and begun again, from either side.
fn handshakes() -> Vec<Owned> {
    let mut packets = Vec::new();
    for (from, to, nth) in [(A, B, 0), (B, A, 1)] {
        for port in 1_000..1_040_u16 {
            let hear = |flags, sequence, ack| {
                Frame::ipv4(from, to).carrying(Tcp::new(port, 443, flags).sequence(sequence, ack)).build()
            };
            let say = |flags, sequence, ack| {
                Frame::ipv4(to, from).carrying(Tcp::new(443, port, flags).sequence(sequence, ack)).build()
            };
            let answer = u32::MAX - u32::from(port % 3);
            let guess = answer.wrapping_add(u32::from(port % 5) * 0x8000);
            let frames = [
                hear(SYN, 7, 0),
                say(SYN | ACK, answer, 8),
                hear(ACK, 8, guess),
                hear(ACK, 8, answer.wrapping_add(1)),
                hear(PSH | ACK, 8, answer.wrapping_add(1)),
                if port % 2 == 0 { hear(SYN, 900, 0) } else { say(RST, 1, 8) },
                say(SYN | ACK, 77, 901),
                hear(ACK, 901, 78),
                say(FIN | ACK, 78, 901),
            ];
            let at = i64::from(port) * SECOND / 50 + nth * 60 * SECOND;
            packets.extend(frames.map(|frame| Owned::new(at, frame)));
        }
    }
    packets
}

/// Answers just before a flow is forgotten, and just after.
fn old_flows() -> Vec<Owned> {
    let mut packets = Vec::new();
    for (nth, wait) in [1, 119, 120, 121, 300].into_iter().enumerate() {
        let port = 2_000 + nth as u16;
        let ask = Frame::ipv4(B, A).udp(port, 7_000, b"?").build();
        let answer = Frame::ipv4(A, B).udp(7_000, port, b"!").build();
        let at = nth as i64 * 600 * SECOND;
        let frames = [(0, &ask), (wait * SECOND, &answer), (wait * SECOND + 1, &answer)];
        packets.extend(frames.map(|(since, frame)| Owned::new(at + since, frame.clone())));
    }
    packets
}
