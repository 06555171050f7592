//! A busy network as one endless stream with times: clients who are served, lookups, scans and floods.
//!
//! Two thousand clients are at it at any time, and others take their places little by little, so that tables of
//! sources are really used however long the stream is looked at. A fifth of everything goes over IPv6. Ours are
//! private addresses; clients and attackers have addresses that are set aside for documentation and for benchmarks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scenario::{directed, source, syn};
use super::transport::{ACK, FIN, PSH, RST, SYN, Tcp, Transport, Udp};

/// Clients that talk at the same time of the stream.
pub const CLIENTS: u64 = 2_000;

/// Packets until the client that came first has gone and another one has come.
const STAY: u64 = 500;

/// Conversations under way.
const TALKS: usize = 256;

/// Seconds until there is a scan and a flood again.
const CYCLE_SECONDS: u64 = 30;

/// The shortest frame that an Ethernet has, its checksum left out.
const FRAME_MIN: usize = 60;

/// What segments and datagrams carry, or the beginning of it; a segment of this length fills a frame.
const PAYLOAD: [u8; 1_446] = [0x6e; 1_446];

const SERVICES: [u16; 6] = [443, 80, 22, 25, 993, 8_080];

/// The stream: each item is a frame and its time, in microseconds since the stream began. Times never go back, and
/// the same seed and pace give the same stream.
#[derive(Clone, Debug)]
pub struct Mixture {
    pace: u64,
    nth: u64,
    random: Random,
    talks: Vec<Talk>,
}

impl Mixture {
    /// The stream at this many packets a second: at least one, and at most a million.
    #[must_use]
    pub fn new(seed: u64, pace: u32) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let talks = (0..TALKS).map(|_| Talk::new(&mut random, 0)).collect();
        Self { pace: u64::from(pace).clamp(1, 1_000_000), nth: 0, random, talks }
    }

    fn packet(&mut self) -> Vec<u8> {
        let (cycle, second) = (self.nth / self.pace / CYCLE_SECONDS, self.nth / self.pace % CYCLE_SECONDS);
        match second {
            // Every tenth packet is of a scan: probe and refusal in turns.
            5..8 if self.nth.is_multiple_of(10) => scan(cycle, self.nth / 10),
            // Every other packet is of a flood, whose victim does not answer any more.
            15..20 if self.nth.is_multiple_of(2) => {
                let to = ours(self.random.below(5) == 0, 10);
                let number = self.random.next();
                packet(source(to, number), to, syn(1024 | low(number), 443, 1), false)
            }
            _ => {
                let nth = self.random.index(TALKS);
                let frame = self.talks[nth].next(&mut self.random);
                if self.talks[nth].is_over() {
                    self.talks[nth] = Talk::new(&mut self.random, self.nth / STAY);
                }
                frame
            }
        }
    }
}

impl Iterator for Mixture {
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let whole = self.nth / self.pace * 1_000_000 + self.nth % self.pace * 1_000_000 / self.pace;
        let at = whole + self.random.below(1_000_000 / self.pace);
        let frame = self.packet();
        self.nth += 1;
        Some((at, frame))
    }
}

/// What a client and one of our hosts have to say to each other.
#[derive(Clone, Debug)]
struct Talk {
    client: IpAddr,
    host: IpAddr,
    /// The port of who asks.
    port: u16,
    service: u16,
    /// Questions that the client still has in a connection; a lookup has none.
    questions: u8,
    step: Step,
    /// What the client and the host have sent so far.
    sent: [u32; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    // A connection.
    Syn,
    SynAck,
    Open,
    Question,
    Received,
    Answer,
    Understood,
    Fin,
    FinAck,
    LastAck,
    // A lookup.
    Lookup,
    Found,
    Over,
}

impl Talk {
    /// Two of three are lookups: they are short, and so they are a fifth of the packets.
    fn new(random: &mut Random, first_client: u64) -> Self {
        let client = first_client + random.below(CLIENTS);
        let over_ipv6 = client.is_multiple_of(5);
        let lookup = random.below(3) > 0;
        let service = SERVICES[random.index(SERVICES.len())];
        Self {
            client: outside(over_ipv6, client),
            host: ours(over_ipv6, 10 + random.below(16)),
            port: 32_768 + low(random.below(28_000)),
            service,
            questions: if lookup { 0 } else { 1 + u8::try_from(random.below(4)).unwrap_or(0) },
            step: if lookup { Step::Lookup } else { Step::Syn },
            sent: [1_000, 9_000],
        }
    }

    fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    fn next(&mut self, random: &mut Random) -> Vec<u8> {
        let (frame, next) = match self.step {
            Step::Syn => {
                let frame = packet(self.client, self.host, syn(self.port, self.service, self.sent[0]), false);
                self.sent[0] += 1;
                (frame, Step::SynAck)
            }
            Step::SynAck => (self.host_says(SYN | ACK, 0), Step::Open),
            Step::Open => (self.client_says(ACK, 0), Step::Question),
            Step::Question => {
                self.questions = self.questions.saturating_sub(1);
                (self.client_says(PSH | ACK, 20 + random.below(200)), Step::Received)
            }
            Step::Received => (self.host_says(ACK, 0), Step::Answer),
            Step::Answer => {
                let is_long = random.below(4) == 0;
                let bytes = if is_long { 1_446 } else { 30 + random.below(250) };
                (self.host_says(PSH | ACK, bytes), Step::Understood)
            }
            Step::Understood => {
                (self.client_says(ACK, 0), if self.questions > 0 { Step::Question } else { Step::Fin })
            }
            Step::Fin => (self.client_says(FIN | ACK, 0), Step::FinAck),
            Step::FinAck => (self.host_says(FIN | ACK, 0), Step::LastAck),
            Step::LastAck => (self.client_says(ACK, 0), Step::Over),
            Step::Lookup => {
                let question = Udp::new(self.port, 53).payload(payload(24 + random.below(30)));
                (packet(self.host, self.client, question, true), Step::Found)
            }
            Step::Found | Step::Over => {
                let answer = Udp::new(53, self.port).payload(payload(60 + random.below(120)));
                (packet(self.client, self.host, answer, false), Step::Over)
            }
        };
        self.step = next;
        frame
    }

    fn client_says(&mut self, flags: u8, bytes: u64) -> Vec<u8> {
        let [client, host] = self.sent;
        let segment = Tcp::new(self.port, self.service, flags).sequence(client, host).payload(payload(bytes));
        self.sent[0] = advanced(client, flags, bytes);
        packet(self.client, self.host, segment, false)
    }

    fn host_says(&mut self, flags: u8, bytes: u64) -> Vec<u8> {
        let [client, host] = self.sent;
        let segment = Tcp::new(self.service, self.port, flags).sequence(host, client).payload(payload(bytes));
        self.sent[1] = advanced(host, flags, bytes);
        packet(self.host, self.client, segment, true)
    }
}

/// A packet of the scan of this cycle: one scanner, one target, one port after another.
fn scan(cycle: u64, nth: u64) -> Vec<u8> {
    let over_ipv6 = cycle % 5 == 4;
    // Far from the numbers of clients.
    let (scanner, target) = (outside(over_ipv6, 100_000 + cycle), ours(over_ipv6, 20));
    let port = 1 + low(nth / 2 % 10_000);
    if nth.is_multiple_of(2) {
        packet(scanner, target, syn(54_321, port, 7), false)
    } else {
        packet(target, scanner, Tcp::new(port, 54_321, RST | ACK).sequence(0, 8), true)
    }
}

fn packet(from: IpAddr, to: IpAddr, transport: impl Into<Transport>, outbound: bool) -> Vec<u8> {
    let mut frame = directed(from, to, transport, outbound);
    frame.resize(frame.len().max(FRAME_MIN), 0);
    frame
}

/// One of our hosts: 192.168.0.`number` or fd00:db8::`number`.
fn ours(over_ipv6: bool, number: u64) -> IpAddr {
    let [.., last] = number.to_be_bytes();
    if over_ipv6 {
        Ipv6Addr::new(0xfd00, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()
    } else {
        Ipv4Addr::new(192, 168, 0, last).into()
    }
}

/// The client with this number; odd multiples spread the numbers over the range and meet no two at one place.
fn outside(over_ipv6: bool, number: u64) -> IpAddr {
    let [.., a, b, c, d] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
    if over_ipv6 {
        Ipv6Addr::from([0x20, 0x01, 0x0d, 0xb8, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 1]).into()
    } else {
        Ipv4Addr::new(198, 18 + (b & 1), c, d).into()
    }
}

/// The next sequence number: SYN and FIN count as a byte.
fn advanced(sequence: u32, flags: u8, bytes: u64) -> u32 {
    let bytes = u32::try_from(bytes).unwrap_or(0) + u32::from(flags & (SYN | FIN) != 0);
    sequence.wrapping_add(bytes)
}

fn payload(bytes: u64) -> &'static [u8] {
    &PAYLOAD[..usize::try_from(bytes).unwrap_or(0).min(PAYLOAD.len())]
}

fn low(number: u64) -> u16 {
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// A 64-bit xorshift: never zero.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        // The upper bits are the better ones.
        (self.next() >> 11) % end.max(1)
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % length.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{FRAME_MIN, Mixture};
    use std::collections::BTreeSet;

    const PACE: u32 = 2_000;

    fn is_ipv6(frame: &[u8]) -> bool {
        frame[12..14] == [0x86, 0xdd]
    }

    /// Two cycles of the stream.
    fn stream() -> Vec<(u64, Vec<u8>)> {
        Mixture::new(1, PACE).take(120_000).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_stream() {
        let draw = |seed| Mixture::new(seed, PACE).take(1_000).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn times_never_go_back_and_keep_the_pace() {
        for pace in [0, 1, 3, PACE, 1_000_000, u32::MAX] {
            let times: Vec<_> = Mixture::new(1, pace).take(5_000).map(|(at, _)| at).collect();
            assert!(times.is_sorted(), "{pace} a second");
            let end = 5_000 * 1_000_000 / u64::from(pace.clamp(1, 1_000_000));
            assert!(times.iter().all(|at| *at < end + 1), "{pace} a second");
            assert!(times.last().unwrap() + end / 1_000 + 1 >= end / 5_000 * 4_999, "{pace} a second");
        }
    }

    #[test]
    fn sizes_and_families_are_those_of_a_busy_network() {
        let frames = stream();
        assert!(frames.iter().all(|(_, frame)| (FRAME_MIN..=1_520).contains(&frame.len())));
        let bytes: usize = frames.iter().map(|(_, frame)| frame.len()).sum();
        let mean = bytes / frames.len();
        assert!((140..=160).contains(&mean), "{mean} bytes on average");
        let over_ipv6 = frames.iter().filter(|(_, frame)| is_ipv6(frame)).count();
        let percent = over_ipv6 * 100 / frames.len();
        assert!((18..=22).contains(&percent), "{percent} % of IPv6");
    }

    #[test]
    fn sources_change_and_attacks_are_in_it() {
        let frames = stream();
        let ipv4 = || frames.iter().map(|(_, frame)| frame.as_slice()).filter(|frame| !is_ipv6(frame));
        let sources: BTreeSet<_> = ipv4().map(|frame| &frame[26..30]).collect();
        // The flood makes up a twelfth of the stream.
        assert!(sources.len() > 9_000, "{} sources", sources.len());
        let scanned: BTreeSet<_> = ipv4()
            .filter(|frame| frame[23] == 6 && frame[30..34] == [192, 168, 0, 20])
            .map(|frame| &frame[36..38])
            .collect();
        assert!(scanned.len() > 250, "{} ports", scanned.len());
    }
}
