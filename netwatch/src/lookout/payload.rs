//! Sampled packets through the signatures: what matches becomes events.

use std::sync::Arc;

use netwatch_common::{Kind, Proto, Sample, Settings, parse};

use super::Numbers;
use crate::analysis::detail::{Hosts, Matched, Signature};
use crate::analysis::{Detail, Event};
use crate::kernel::InspectedPorts;
use crate::kernel::samples::Captured;
use crate::signatures::Signatures;
use crate::signatures::matcher::{self, Match, Matcher};
use crate::signatures::signature::Sender;

/// The signatures in use, with what is known of each interface's flows.
#[derive(Debug)]
pub struct Inspection {
    signatures: Arc<Signatures>,
    /// As alerts name them, by their numbers in the set.
    named: Vec<Arc<Signature>>,
    matchers: Vec<Matcher>,
    numbers: Numbers,
}

impl Inspection {
    /// No flow was seen yet.
    #[must_use]
    pub fn new(signatures: Arc<Signatures>, interfaces: usize) -> Self {
        let matchers = (0..interfaces).map(|_| Matcher::new(Arc::clone(&signatures))).collect();
        Self { named: named(&signatures), signatures, matchers, numbers: Numbers::default() }
    }

    /// Looks for other signatures from now on.
    pub fn replace(&mut self, signatures: &Arc<Signatures>) {
        self.named = named(signatures);
        self.signatures = Arc::clone(signatures);
        self.matchers.iter_mut().for_each(|matcher| matcher.replace(Arc::clone(signatures)));
    }

    /// Ports of which payload is of interest.
    #[must_use]
    pub fn ports(&self) -> InspectedPorts {
        let mut ports = InspectedPorts::none();
        for proto in [Proto::Tcp, Proto::Udp] {
            for sender in [Sender::Client, Sender::Server] {
                let wanted = self.signatures.ports_of_interest(proto, sender);
                let all = wanted.ranges().iter().flat_map(|(first, last)| *first..=*last);
                all.for_each(|port| ports.insert(proto, port));
            }
        }
        ports
    }

    /// The number of a signature in use, by its identifier.
    pub fn number_of(&mut self, id: &str) -> Option<u16> {
        self.named.iter().any(|signature| &*signature.id == id).then(|| self.numbers.of(id))?
    }

    /// What became of all samples so far.
    #[must_use]
    pub fn counters(&self) -> matcher::Counters {
        let mut sum = matcher::Counters::default();
        self.matchers.iter().for_each(|matcher| sum.add(&matcher.counters()));
        sum
    }

    /// What a sampled packet of an interface completes. `settings` are those that its program parses packets by.
    pub fn events(
        &mut self,
        interface: usize,
        sample: &Sample,
        frame: &[u8],
        settings: &Settings,
    ) -> Vec<Event> {
        let Some(matcher) = self.matchers.get_mut(interface) else { return Vec::new() };
        let Ok(packet) = parse(&Captured::new(sample, frame), settings) else { return Vec::new() };
        let transport = packet.transport;
        let proto = match transport.kind {
            Kind::Tcp => Proto::Tcp,
            Kind::Udp => Proto::Udp,
            _ => return Vec::new(),
        };
        let bytes = frame.get(transport.payload_offset as usize..).unwrap_or_default();
        // What follows the IP packet, to fill the frame, is none of its payload.
        let bytes = bytes.get(..transport.payload_len as usize).unwrap_or(bytes);
        let matches = matcher.sample(&matcher::Sample {
            source: packet.source,
            source_port: transport.source_port,
            dest: packet.dest,
            dest_port: transport.dest_port,
            proto,
            client_is_source: match sample.side {
                Sample::CLIENT => Some(true),
                Sample::SERVER => Some(false),
                _ => None,
            },
            sequence: transport.sequence,
            payload_len: transport.payload_len,
            bytes,
            at_ns: sample.at_ns,
            outgoing: sample.direction == Sample::OUT,
        });
        matches.into_iter().filter_map(|found| self.event(found)).collect()
    }

    fn event(&mut self, found: Match) -> Option<Event> {
        let signature = self.signatures.get(found.signature)?;
        let dest = found.dest.into();
        let matched = Matched {
            signature: Arc::clone(self.named.get(found.signature)?),
            proto: found.proto,
            source_port: found.source_port,
            dest,
            dest_port: found.dest_port,
            outgoing: found.outgoing,
            excerpt: found.excerpt.bytes.into(),
            dests: Hosts::one(dest),
            flows: 1,
            first_ns: found.at_ns,
            last_ns: found.at_ns,
        };
        Some(Event {
            addr: found.source,
            item: self.numbers.of(&signature.id)?,
            slot: 0,
            severity: signature.severity,
            detail: Detail::Matched(matched),
        })
    }
}

fn named(signatures: &Signatures) -> Vec<Arc<Signature>> {
    let name = |signature: &crate::signatures::signature::Signature| {
        Arc::new(Signature {
            id: signature.id.as_str().into(),
            name: signature.name.as_str().into(),
            reference: signature.reference.as_str().into(),
            attack_id: signature.attack_id.as_deref().unwrap_or_default().into(),
        })
    };
    signatures.all().iter().map(name).collect()
}
