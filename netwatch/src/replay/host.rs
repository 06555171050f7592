//! The host engine: what the kernel programs do with a packet, done here.
//!
//! Parser, flows, classification and counters are those of `netwatch-common`, which the programs are made of, too;
//! this is their `count.rs`, `flows.rs` and `hints.rs` over tables of the host's. A test replays every capture of the
//! corpus through both.

use std::cmp::Ordering;

use netwatch_common::{
    Addr, Allowance, Control, Flow, FlowKey, Frame, Hint, Kind, Packet, Ports, Proto, Replayed, Replies,
    Seen, Service, Settings, Sight, TargetKey, Totals, classify,
    classify::is_late_reply,
    parse,
    tables::{self, Places},
};

use super::region::Region;
use super::tables::Recent;
use crate::analysis::{Counted, HintRates, Look, SourceStats, TargetStats};
use crate::kernel::Options;

/// Counts recorded packets without the kernel.
pub struct Host {
    settings: Settings,
    control: Control,
    flows: Recent<FlowKey, Pair>,
    region: Region,
    totals: Totals,
    telling: Telling,
}

/// Both directions of a flow. There are many, so it is small.
#[derive(Clone, Copy, Default)]
struct Pair {
    /// What the side that the packets of a direction go to has sent; all zero where that is nothing.
    flows: [Flow; 2],
    /// Where the packets of a direction are counted, and in which slot that is so.
    places: [Option<(u32, Places)>; 2],
}

/// What is known of a packet before it is counted.
struct Known {
    sight: Sight,
    /// Its sender has sent nothing on its flow before, as far as that is recorded.
    is_first: bool,
    /// Where the flow is, and which of its directions this is, as long as no other flow is asked for.
    flow: Option<(u32, usize)>,
    /// Where the packets of this direction are counted.
    kept: Option<Places>,
}

/// Flows of a generation: an entry is several times as large as the kernel's, and a replay holds no more than it meets
/// within two minutes.
const MOST_FLOWS: u32 = 1 << 17;

/// Hints that were given, and how many more may be.
#[derive(Default)]
struct Telling {
    allowance: Allowance,
    hints: Vec<Hint>,
    given: u64,
    withheld: u64,
}

impl Host {
    /// Empty tables of the sizes that the options say. `replies` and `start_ns` are as for [`Rerun::load`](crate::kernel::Rerun::load).
    #[must_use]
    pub fn new(options: &Options, replies: u32, start_ns: u64) -> Self {
        let grace_ends_ns = start_ns.saturating_add(Flow::KNOWN_NS);
        Self {
            settings: options.settings,
            control: Control { replies, grace_ends_ns, ..Control::default() },
            flows: Recent::new(options.capacity.flows.min(MOST_FLOWS)),
            region: Region::new(options.capacity, options.secrets),
            totals: Totals::default(),
            telling: Telling::default(),
        }
    }

    /// Counts a frame as received.
    pub fn received(&mut self, replayed: Replayed, frame: &(impl Frame + ?Sized)) {
        let Replayed { now_ns, wire_bytes } = replayed;
        self.totals.seen += 1;
        self.totals.bytes += wire_bytes;
        let packet = match parse(frame, &self.settings) {
            Ok(packet) => packet,
            Err(verdict) => {
                self.totals.verdicts[verdict as usize] += 1;
                return;
            }
        };
        let Known { sight, is_first, flow, kept } = self.sight(&packet, now_ns);
        let verdict = classify(&packet, &self.settings, sight.replies);
        self.totals.verdicts[verdict as usize] += 1;
        let source = self.settings.account(packet.source);
        let target = TargetKey { source, dest: packet.dest, service: packet.service() };
        let Addr([.., host_high, host_low]) = packet.source;
        let seen = Seen {
            verdict,
            flags: packet.transport.flags,
            bytes: wire_bytes,
            now_ns,
            completed: sight.completed,
            host: [host_high, host_low],
        };
        let places = kept.unwrap_or_else(|| self.places(&target, flow));
        let Self { region, totals, control, telling, .. } = self;
        tables::count(region, totals, control, &target, &seen, places, |_, kind, number| {
            telling.tell(Hint { target, kind, slot: control.slot, number, at_ns: now_ns });
        });
        if packet.answers_udp(is_first, sight) {
            self.count_answer(&packet);
        }
    }

    /// Counts for whoever asked that there is an answer. What was not asked in this slot needs none.
    fn count_answer(&mut self, packet: &Packet) {
        let source = self.settings.account(packet.dest);
        let service = Service::new(Proto::Udp, packet.transport.source_port);
        tables::count_answer(&mut self.region, &TargetKey { source, dest: packet.source, service });
    }

    /// Takes note of a frame as sent.
    pub fn sent(&mut self, replayed: Replayed, frame: &(impl Frame + ?Sized)) {
        self.totals.sent += 1;
        if let Ok(packet) = parse(frame, &self.settings) {
            let Some((key, _, back)) = ends(&packet).filter(|_| packet.answering_flow().is_some()) else {
                return;
            };
            let place = self.flows.place(key, Pair::default());
            let Some(pair) = place.and_then(|place| self.flows.at(place)) else { return };
            record(&mut pair.flows[back], &mut self.totals, &self.control, &packet, replayed.now_ns);
        }
    }

    /// Moves the hints given so far to the end of `into`.
    pub fn hints(&mut self, into: &mut Vec<Hint>) {
        into.append(&mut self.telling.hints);
    }

    /// Sets of how much there are hints.
    pub const fn set_hints(&mut self, rates: HintRates) {
        self.control.hint_packets = rates.packets;
        self.control.hint_crossing = rates.crossing;
        self.control.hint_probes = rates.probes;
    }

    /// Number of the slot that is being counted.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.control.slot
    }

    /// Begins the next slot, and returns what was counted in the one that it ends.
    pub fn end_slot(&mut self) -> Counted {
        self.control.slot = self.control.slot.wrapping_add(1);
        let mut counted = Counted::default();
        self.region.drain(|entry| counted.add(entry));
        counted
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        Totals { hints: self.telling.given, hints_withheld: self.telling.withheld, ..self.totals }
    }

    /// What is known of a packet's flow. Takes note of the packet as one that makes its answer known, where both
    /// directions count.
    fn sight(&mut self, packet: &Packet, now_ns: u64) -> Known {
        let not_kept = |sight| Known { sight, is_first: false, flow: None, kept: None };
        if self.control.replies == Control::REPLIES_BY_FLAGS {
            return not_kept(Sight::of(Replies::ByFlags));
        }
        let is_mirror = self.control.replies == Control::REPLIES_MIRRORED;
        let records = is_mirror && packet.answering_flow().is_some();
        let Some((key, side, back)) = ends(packet) else { return not_kept(Sight::of(Replies::Unknown)) };
        let place = match records {
            true => self.flows.place(key, Pair::default()),
            false => self.flows.find(key),
        };
        let Some((place, pair)) = place.and_then(|place| Some((place, self.flows.at(place)?))) else {
            return not_kept(self.sight_of_unknown(packet, now_ns));
        };
        let asked =
            packet.flow_to_look_up().and(Some(&mut pair.flows[side])).filter(|flow| is_there(flow, now_ns));
        let known = asked.and_then(|flow| flow.received(packet, now_ns));
        let answers = &mut pair.flows[back];
        let is_first = records && record(answers, &mut self.totals, &self.control, packet, now_ns);
        let kept = pair.places[side].filter(|(slot, _)| *slot == self.control.slot).map(|(_, places)| places);
        let sight = known.unwrap_or_else(|| self.sight_of_unknown(packet, now_ns));
        Known { sight, is_first, flow: Some((place, side)), kept }
    }

    fn sight_of_unknown(&self, packet: &Packet, now_ns: u64) -> Sight {
        let (from, to) = (packet.transport.source_port, packet.transport.dest_port);
        let may_be_older = self.control.replies == Control::REPLIES_BY_FLOWS
            && now_ns < self.control.grace_ends_ns
            && matches!(packet.transport.kind, Kind::Udp);
        let is_older = may_be_older && is_late_reply(from, to, &self.settings);
        Sight::of(if is_older { Replies::Known } else { Replies::Unknown })
    }

    /// Where a packet is counted, which is kept with its flow.
    fn places(&mut self, target: &TargetKey, flow: Option<(u32, usize)>) -> Places {
        let places = tables::place(&mut self.region, &mut self.totals, target);
        if places.are_own()
            && let Some((place, side)) = flow
            && let Some(pair) = self.flows.at(place)
        {
            pair.places[side] = Some((self.control.slot, places));
        }
        places
    }
}

/// Takes note of a packet that was sent on the flow that its answers belong to. Returns whether it is the first.
fn record(flow: &mut Flow, totals: &mut Totals, control: &Control, packet: &Packet, now_ns: u64) -> bool {
    if is_there(flow, now_ns) {
        flow.sent(packet, now_ns);
        return false;
    }
    *flow = Flow::begun(packet, now_ns);
    totals.flows_new += 1;
    totals.flows_again += u64::from(packet.is_amid_connection() && now_ns > control.grace_ends_ns);
    true
}

/// Whether anything was sent on a flow lately: no time of a replay is 0.
const fn is_there(flow: &Flow, now_ns: u64) -> bool {
    flow.sent_ns != 0 && flow.is_known(now_ns)
}

/// The flow of a packet with its ends in an order that does not depend on the direction, which of both directions this
/// is, and which is that of the answers: the same one, where a packet goes from a port to itself.
fn ends(packet: &Packet) -> Option<(FlowKey, usize, usize)> {
    let key = packet.flow()?;
    let reversed = key.reversed();
    Some(match key.cmp(&reversed) {
        Ordering::Less => (key, 0, 1),
        Ordering::Equal => (key, 0, 0),
        Ordering::Greater => (reversed, 1, 0),
    })
}

impl Telling {
    fn tell(&mut self, hint: Hint) {
        // They are read after each packet, so there always is room.
        if self.allowance.take(hint.kind, hint.number, hint.at_ns, || true) {
            self.given += 1;
            self.hints.push(hint);
        } else {
            self.withheld += 1;
        }
    }
}

impl Look for Host {
    fn source(&mut self, slot: u32, source: Addr) -> Option<SourceStats> {
        let counts = self.region.counts_of_source(source).filter(|_| slot == self.control.slot)?;
        Some(SourceStats::from_cpus([counts]))
    }

    fn target(&mut self, slot: u32, target: &TargetKey) -> Option<TargetStats> {
        let counts = self.region.counts_of_target(target).filter(|_| slot == self.control.slot)?;
        Some(TargetStats::from_cpus([counts]))
    }

    fn ports(&mut self, slot: u32, source: Addr) -> Option<Ports> {
        self.region.ports_of_source(source).filter(|_| slot == self.control.slot).copied()
    }
}
