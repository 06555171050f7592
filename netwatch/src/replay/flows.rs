//! Flows of recorded packets: what the kernel programs know of a packet's flow before they count it, known here.
//!
//! This is their `flows.rs` over a table of the host's, and what their `closer.rs` notes of packets to be looked at more
//! closely. The host engine asks it about each packet that it counts. The kernel's programs in a replay look at nothing
//! closely, so beside them a [`Tracker`] does it for them.

use std::cmp::Ordering;

use netwatch_common::tables::Places;
use netwatch_common::{
    Control, Flow, FlowKey, Frame, Kind, Packet, Replies, Sample, Settings, Sight, Verdict, classify,
    classify::is_late_reply, parse,
};

use super::tables::Recent;
use crate::kernel::Options;

/// Flows of a generation: an entry is several times as large as the kernel's, and a replay holds no more than it meets
/// within two minutes.
const MOST_FLOWS: u32 = 1 << 17;

/// What packets are looked at more closely for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Their addresses: feeds list some.
    pub addresses: bool,
    /// The payload that flows begin with.
    pub payload: bool,
}

/// A packet that is to be looked at more closely, with what its headers do not say.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    /// Its headers.
    pub packet: Packet,
    /// The host sent it.
    pub is_sent: bool,
    /// What it was counted as.
    pub verdict: Verdict,
    /// 1 where it completes a handshake that its sender began, 0 elsewhere.
    pub completed: u32,
    /// Its sender sent nothing on its flow before.
    pub is_first: bool,
    /// Whose bytes its payload is, where that is to be looked into: [`Sample::CLIENT`] or [`Sample::SERVER`]. 0 elsewhere.
    pub side: u8,
}

/// The flows that were seen lately.
pub(super) struct Flows {
    table: Recent<FlowKey, Pair>,
    replies: u32,
    grace_ends_ns: u64,
    wanted: Wanted,
    /// Flows that were entered.
    pub(super) new: u64,
    /// Those of them that were older than that.
    pub(super) again: u64,
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
pub(super) struct Known {
    pub(super) sight: Sight,
    /// Its sender has sent nothing on its flow before, as far as that is recorded.
    pub(super) is_first: bool,
    /// Where its flow is.
    pub(super) at: Option<At>,
    /// Where the packets of this direction are counted, and in which slot that is so.
    pub(super) kept: Option<(u32, Places)>,
}

/// Where a flow is, and which of its directions is meant, as long as no other flow is asked for.
#[derive(Clone, Copy)]
pub(super) struct At {
    place: u32,
    side: usize,
}

impl Wanted {
    /// What is to be looked at of a packet that is received, if anything: of connections the first payload, over UDP what
    /// answers nothing, and all packets where feeds list addresses.
    pub(super) fn of_received(
        self,
        packet: &Packet,
        Sight { replies, completed, inspect }: Sight,
        is_first: bool,
        verdict: Verdict,
    ) -> Option<Looked> {
        let asks = self.payload
            && matches!(packet.transport.kind, Kind::Udp)
            && packet.transport.payload_len > 0
            && !matches!(replies, Replies::Known);
        // Who asks over UDP began.
        let side = if asks { Sample::CLIENT } else { inspected(inspect) };
        let looked = || Looked { packet: *packet, is_sent: false, verdict, completed, is_first, side };
        (self.addresses || side != 0).then(looked)
    }

    /// The same of a packet that the host sends. It belongs to a flow that the host knows.
    pub(super) fn of_sent(self, packet: &Packet, (is_first, side): (bool, u8)) -> Option<Looked> {
        let verdict = Verdict::Known;
        let looked = || Looked { packet: *packet, is_sent: true, verdict, completed: 0, is_first, side };
        (self.addresses || side != 0).then(looked)
    }
}

impl Flows {
    /// None yet. `replies` and `start_ns` are as for [`Rerun::load`](crate::kernel::Rerun::load).
    pub(super) fn new(options: &Options, replies: u32, start_ns: u64) -> Self {
        Self {
            table: Recent::new(options.capacity.flows.min(MOST_FLOWS)),
            replies,
            grace_ends_ns: start_ns.saturating_add(Flow::KNOWN_NS),
            wanted: Wanted::default(),
            new: 0,
            again: 0,
        }
    }

    /// Says from now on, too, which payload is wanted.
    pub(super) const fn look_closer(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// What packets are looked at for.
    pub(super) const fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// What is known of the flow of a received packet. Takes note of the packet as one that makes its answer known, where
    /// both directions count.
    pub(super) fn received(&mut self, packet: &Packet, settings: &Settings, now_ns: u64) -> Known {
        let not_kept = |sight| Known { sight, is_first: false, at: None, kept: None };
        if self.replies == Control::REPLIES_BY_FLAGS {
            return not_kept(Sight::of(Replies::ByFlags));
        }
        let is_mirror = self.replies == Control::REPLIES_MIRRORED;
        let records = is_mirror && packet.answering_flow().is_some();
        let Some((key, side, back)) = ends(packet) else { return not_kept(Sight::of(Replies::Unknown)) };
        let place = match records {
            true => self.table.place(key, Pair::default()),
            false => self.table.find(key),
        };
        let Some((place, pair)) = place.and_then(|place| Some((place, self.table.at(place)?))) else {
            return not_kept(self.sight_of_unknown(packet, settings, now_ns));
        };
        let asked =
            packet.flow_to_look_up().and(Some(&mut pair.flows[side])).filter(|flow| is_there(flow, now_ns));
        let known = asked.and_then(|flow| {
            let sight = flow.received(packet, now_ns)?;
            let inspect = if self.wanted.payload { flow.inspects_received(packet) } else { 0 };
            Some(Sight { inspect, ..sight })
        });
        let kept = pair.places[side];
        let answers = &mut pair.flows[back];
        let is_first = records && !is_there(answers, now_ns);
        if is_first {
            *answers = Flow::begun(packet, now_ns);
            self.entered(packet, now_ns);
        } else if records {
            answers.sent(packet, now_ns);
        }
        let sight = known.unwrap_or_else(|| self.sight_of_unknown(packet, settings, now_ns));
        Known { sight, is_first, at: Some(At { place, side }), kept }
    }

    /// Takes note of a packet that the host sends. Returns whether it is the first on its flow, and whose bytes its payload
    /// is, where that is to be looked into.
    pub(super) fn sent(&mut self, packet: &Packet, now_ns: u64) -> (bool, u8) {
        let nothing = (false, 0);
        let Some((key, _, back)) = ends(packet).filter(|_| packet.answering_flow().is_some()) else {
            return nothing;
        };
        let place = self.table.place(key, Pair::default());
        let Some(pair) = place.and_then(|place| self.table.at(place)) else { return nothing };
        let flow = &mut pair.flows[back];
        if is_there(flow, now_ns) {
            flow.sent(packet, now_ns);
            let side = if self.wanted.payload { flow.inspects_sent(packet) } else { 0 };
            return (false, inspected(side));
        }
        *flow = Flow::begun(packet, now_ns);
        self.entered(packet, now_ns);
        let asks = matches!(packet.transport.kind, Kind::Udp) && packet.transport.payload_len > 0;
        (true, if asks && self.wanted.payload { Sample::CLIENT } else { 0 })
    }

    /// Keeps with a flow where the packets of a direction are counted in a slot.
    pub(super) fn keep(&mut self, at: At, slot: u32, places: Places) {
        if let Some(pair) = self.table.at(at.place) {
            pair.places[at.side] = Some((slot, places));
        }
    }

    fn entered(&mut self, packet: &Packet, now_ns: u64) {
        self.new += 1;
        self.again += u64::from(packet.is_amid_connection() && now_ns > self.grace_ends_ns);
    }

    fn sight_of_unknown(&self, packet: &Packet, settings: &Settings, now_ns: u64) -> Sight {
        let (from, to) = (packet.transport.source_port, packet.transport.dest_port);
        let may_be_older = self.replies == Control::REPLIES_BY_FLOWS
            && now_ns < self.grace_ends_ns
            && matches!(packet.transport.kind, Kind::Udp);
        let is_older = may_be_older && is_late_reply(from, to, settings);
        Sight::of(if is_older { Replies::Known } else { Replies::Unknown })
    }
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

/// A side as a sample says it.
const fn inspected(side: u32) -> u8 {
    match side {
        1 => Sample::CLIENT,
        2 => Sample::SERVER,
        _ => 0,
    }
}

/// Knows of packets that somebody else counts what the host engine would know of them.
pub struct Tracker {
    settings: Settings,
    flows: Flows,
}

impl Tracker {
    /// Wants nothing yet. `replies` and `start_ns` are as for [`Rerun::load`](crate::kernel::Rerun::load).
    #[must_use]
    pub fn new(options: &Options, replies: u32, start_ns: u64) -> Self {
        Self { settings: options.settings, flows: Flows::new(options, replies, start_ns) }
    }

    /// Hands out from now on what is to be looked at more closely.
    pub const fn look_closer(&mut self, wanted: Wanted) {
        self.flows.look_closer(wanted);
    }

    /// Looks at a frame that is received.
    pub fn received(&mut self, now_ns: u64, frame: &(impl Frame + ?Sized)) -> Option<Looked> {
        let packet = self.packet(frame)?;
        let Known { sight, is_first, .. } = self.flows.received(&packet, &self.settings, now_ns);
        let verdict = classify(&packet, &self.settings, sight.replies);
        self.flows.wanted().of_received(&packet, sight, is_first, verdict)
    }

    /// Looks at a frame that is sent.
    pub fn sent(&mut self, now_ns: u64, frame: &(impl Frame + ?Sized)) -> Option<Looked> {
        let packet = self.packet(frame)?;
        let about = self.flows.sent(&packet, now_ns);
        self.flows.wanted().of_sent(&packet, about)
    }

    /// The headers of a frame, where anybody wants to know.
    fn packet(&self, frame: &(impl Frame + ?Sized)) -> Option<Packet> {
        (self.flows.wanted() != Wanted::default()).then(|| parse(frame, &self.settings).ok())?
    }
}
