//! The one way in: a packet's payload, and out come the signatures that it completed.

use core::ops::Range;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use netwatch_common::classify::SYN;
use netwatch_common::{Addr, Kind, Packet, Proto};

use super::excerpt::Excerpt;
use super::limits::{DIRECTIONS, IDLE_NS, SETTLED_NS};
use super::set::{FlowBytes, Hit, Signatures};
use super::signature::{Sender, Signature};
use super::stream::{Added, Stream};

/// The payload of one packet, or its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Who sent it.
    pub source: Addr,
    /// From which port.
    pub source_port: u16,
    /// Who gets it.
    pub dest: Addr,
    /// On which port.
    pub dest_port: u16,
    /// The protocol.
    pub proto: Proto,
    /// Whether who sent it began the flow, where that is known.
    pub client_is_source: Option<bool>,
    /// TCP sequence number of the first byte, which is one more than that of a packet with SYN; anything for UDP.
    pub sequence: u32,
    /// Bytes of payload that the packet had.
    pub payload_len: u32,
    /// Those that were captured.
    pub bytes: &'a [u8],
    /// When it was sent: nanoseconds, on any clock.
    pub at_ns: u64,
    /// Whether this host sent it.
    pub outgoing: bool,
}

/// A signature that was found in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its number in [`Signatures`].
    pub signature: usize,
    /// Who sent the bytes.
    pub source: Addr,
    /// From which port.
    pub source_port: u16,
    /// Who got them.
    pub dest: Addr,
    /// On which port.
    pub dest_port: u16,
    /// The protocol.
    pub proto: Proto,
    /// Which side of the flow sent them.
    pub sender: Sender,
    /// When the packet was sent that completed it, as in [`Sample::at_ns`].
    pub at_ns: u64,
    /// Whether this host sent that packet.
    pub outgoing: bool,
    /// The bytes.
    pub excerpt: Excerpt,
}

/// What became of samples. Nothing is ever reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Samples that came.
    pub samples: u64,
    /// Bytes of payload in them.
    pub bytes: u64,
    /// Samples that did not hold all of their packet's payload.
    pub cut: u64,
    /// Samples without a byte of payload.
    pub empty: u64,
    /// Samples whose bytes had come before.
    pub repeated: u64,
    /// Samples behind the bytes that are looked at.
    pub beyond: u64,
    /// Samples that were left out because a flow came in too many pieces.
    pub scattered: u64,
    /// Flows that began anew: another connection between the same ports.
    pub restarted: u64,
    /// Directions of flows that were forgotten while their first bytes may still have been coming.
    pub forgotten: u64,
    /// Signatures found.
    pub matches: u64,
}

impl Counters {
    /// Adds those of another interface.
    pub fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.bytes += other.bytes;
        self.cut += other.cut;
        self.empty += other.empty;
        self.repeated += other.repeated;
        self.beyond += other.beyond;
        self.scattered += other.scattered;
        self.restarted += other.restarted;
        self.forgotten += other.forgotten;
        self.matches += other.matches;
    }
}

/// Finds signatures in samples.
#[derive(Debug)]
pub struct Matcher {
    signatures: Arc<Signatures>,
    directions: HashMap<Key, Direction>,
    /// Their keys, oldest first.
    ages: VecDeque<Key>,
    counters: Counters,
}

/// A direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: Addr,
    dest: Addr,
    ports: (u16, u16),
    proto: Proto,
}

/// What is kept of it.
#[derive(Debug, Default)]
struct Direction {
    /// Nothing for UDP, where each packet stands by itself.
    stream: Stream,
    /// Signatures that were found.
    fired: Vec<usize>,
    last_ns: u64,
    client_is_source: Option<bool>,
}

impl Matcher {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(signatures: Arc<Signatures>) -> Self {
        Self { signatures, directions: HashMap::new(), ages: VecDeque::new(), counters: Counters::default() }
    }

    /// The signatures that are looked for.
    #[must_use]
    pub const fn signatures(&self) -> &Arc<Signatures> {
        &self.signatures
    }

    /// Looks for others from now on. What was found stays found.
    pub fn replace(&mut self, signatures: Arc<Signatures>) {
        let number = |old: &usize| signatures.number(&self.signatures.get(*old)?.id);
        for direction in self.directions.values_mut() {
            direction.fired = direction.fired.iter().filter_map(number).collect();
        }
        self.signatures = signatures;
    }

    /// What became of all samples so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Directions of flows of which anything is kept.
    #[must_use]
    pub fn directions(&self) -> usize {
        self.directions.len()
    }

    /// The signatures that a packet completes: each is found once in each direction of a flow.
    pub fn sample(&mut self, sample: &Sample<'_>) -> Vec<Match> {
        self.counters.samples += 1;
        self.counters.bytes += sample.bytes.len() as u64;
        self.counters.cut += u64::from((sample.bytes.len() as u64) < u64::from(sample.payload_len));
        if sample.bytes.is_empty() {
            self.counters.empty += 1;
            return Vec::new();
        }
        let matches = match sample.proto {
            Proto::Tcp => self.segment(sample),
            Proto::Udp => self.datagram(sample),
        };
        self.counters.matches += matches.len() as u64;
        matches
    }

    fn segment(&mut self, sample: &Sample<'_>) -> Vec<Match> {
        let key = Key::of(sample);
        self.make_known(key, sample);
        let Self { directions, signatures, counters, .. } = self;
        let Some(direction) = directions.get_mut(&key) else { return Vec::new() };
        if !direction.stream.is_near(sample.sequence) || direction.is_idle_at(sample.at_ns) {
            direction.begin(sample);
            counters.restarted += 1;
        }
        direction.last_ns = direction.last_ns.max(sample.at_ns);
        direction.client_is_source = direction.client_is_source.or(sample.client_is_source);
        let known = match direction.stream.add(sample.sequence, sample.bytes) {
            Added::To(known) => known,
            Added::Known => {
                counters.repeated += 1;
                return Vec::new();
            }
            Added::Beyond => {
                counters.beyond += 1;
                return Vec::new();
            }
            Added::Scattered => {
                counters.scattered += 1;
                return Vec::new();
            }
        };
        let Direction { stream, fired, client_is_source, .. } = direction;
        let bytes = stream.bytes().get(..known.end).unwrap_or_default();
        let flow = FlowBytes { client_is_source: *client_is_source, ..sample.flow(bytes, known.start) };
        let hits = signatures.hits(&flow, |signature| fired.contains(&signature));
        fired.extend(hits.iter().map(|hit| hit.signature));
        hits.iter().map(|hit| sample.matched(bytes, &known, hit)).collect()
    }

    fn datagram(&mut self, sample: &Sample<'_>) -> Vec<Match> {
        let key = Key::of(sample);
        let direction = self.directions.get(&key).filter(|direction| !direction.is_idle_at(sample.at_ns));
        let fired = direction.map_or(&[][..], |direction| &direction.fired);
        let kept = sample.bytes.len().min(super::limits::BYTES_KEPT);
        let bytes = sample.bytes.get(..kept).unwrap_or_default();
        let hits = self.signatures.hits(&sample.flow(bytes, 0), |signature| fired.contains(&signature));
        if hits.is_empty() {
            return Vec::new();
        }
        // Only what was found has to be remembered.
        self.make_known(key, sample);
        if let Some(direction) = self.directions.get_mut(&key) {
            if direction.is_idle_at(sample.at_ns) {
                direction.begin(sample);
            }
            direction.last_ns = direction.last_ns.max(sample.at_ns);
            direction.fired.extend(hits.iter().map(|hit| hit.signature));
        }
        hits.iter().map(|hit| sample.matched(bytes, &(0..kept), hit)).collect()
    }

    /// Makes sure that a direction is in the table; the oldest makes room for it.
    fn make_known(&mut self, key: Key, sample: &Sample<'_>) {
        if self.directions.contains_key(&key) {
            return;
        }
        let mut direction = Direction::default();
        if self.ages.len() >= DIRECTIONS
            && let Some(oldest) = self.ages.pop_front()
            && let Some(old) = self.directions.remove(&oldest)
        {
            let quiet_ns = sample.at_ns.saturating_sub(old.last_ns);
            self.counters.forgotten += u64::from(quiet_ns < SETTLED_NS);
            // Its memory is used again.
            direction = old;
        }
        direction.begin(sample);
        self.directions.insert(key, direction);
        self.ages.push_back(key);
    }
}

impl Direction {
    /// Forgets everything: this is the first packet.
    fn begin(&mut self, sample: &Sample<'_>) {
        self.stream.restart(sample.sequence);
        self.fired.clear();
        self.last_ns = sample.at_ns;
        self.client_is_source = sample.client_is_source;
    }

    const fn is_idle_at(&self, at_ns: u64) -> bool {
        at_ns.saturating_sub(self.last_ns) > IDLE_NS
    }
}

impl Key {
    const fn of(sample: &Sample<'_>) -> Self {
        let Sample { source, source_port, dest, dest_port, proto, .. } = *sample;
        Self { source, dest, ports: (source_port, dest_port), proto }
    }
}

impl<'s> Sample<'s> {
    /// The payload of a parsed frame, of which `frame` was captured and `wire_len` bytes were on the wire. None where it
    /// is neither TCP nor UDP with a whole header. When it was sent, by whom, and who began the flow is the caller's to
    /// say.
    #[must_use]
    pub fn of(packet: &Packet, frame: &'s [u8], wire_len: u32) -> Option<Self> {
        let transport = packet.transport;
        let proto = match transport.kind {
            Kind::Tcp => Proto::Tcp,
            Kind::Udp => Proto::Udp,
            _ => return None,
        };
        let begin = transport.payload_offset as usize;
        let end = frame.len().min(begin + transport.payload_len as usize);
        let not_captured = wire_len.saturating_sub(u32::try_from(frame.len()).unwrap_or(u32::MAX));
        // A SYN takes a number of its own, so what it carries begins behind it.
        let syn = u32::from(transport.flags & SYN != 0);
        Some(Self {
            source: packet.source,
            source_port: transport.source_port,
            dest: packet.dest,
            dest_port: transport.dest_port,
            proto,
            client_is_source: None,
            sequence: transport.sequence.wrapping_add(syn),
            payload_len: transport.payload_len.saturating_add(not_captured),
            bytes: frame.get(begin..end).unwrap_or_default(),
            at_ns: 0,
            outgoing: false,
        })
    }

    const fn flow<'a>(&self, bytes: &'a [u8], start: usize) -> FlowBytes<'a> {
        let Self { proto, source_port, dest_port, client_is_source, .. } = *self;
        FlowBytes { proto, source_port, dest_port, client_is_source, bytes, start }
    }

    fn matched(&self, bytes: &[u8], known: &Range<usize>, hit: &Hit) -> Match {
        Match {
            signature: hit.signature,
            source: self.source,
            source_port: self.source_port,
            dest: self.dest,
            dest_port: self.dest_port,
            proto: self.proto,
            sender: hit.sender,
            at_ns: self.at_ns,
            outgoing: self.outgoing,
            excerpt: Excerpt::of(bytes, &hit.range, known),
        }
    }
}

impl Match {
    /// The signature that was found, in those that it was found with.
    #[must_use]
    pub fn signature<'a>(&self, signatures: &'a Signatures) -> Option<&'a Signature> {
        signatures.get(self.signature)
    }
}
