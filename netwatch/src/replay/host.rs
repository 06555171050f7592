//! The host engine: what the kernel programs do with a packet, done here.
//!
//! Parser, flows, classification and counters are those of `netwatch-common`, which the programs are made of, too;
//! this is their `count.rs` and `hints.rs` over tables of the host's, and [`flows`](super::flows) is their `flows.rs`. A
//! test replays every capture of the corpus through both.

use netwatch_common::{
    Addr, Allowance, Control, Frame, Hint, Packet, Ports, Proto, Replayed, Seen, Service, Settings,
    TargetKey, Totals, classify, parse,
    tables::{self, Places},
};

use super::flows::{At, Flows, Known, Looked, Wanted};
use super::region::Region;
use crate::analysis::{Counted, HintRates, Look, SourceStats, TargetStats};
use crate::kernel::Options;

/// Counts recorded packets without the kernel.
pub struct Host {
    settings: Settings,
    control: Control,
    flows: Flows,
    region: Region,
    totals: Totals,
    telling: Telling,
}

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
        Self {
            settings: options.settings,
            control: Control { replies, ..Control::default() },
            flows: Flows::new(options, replies, start_ns),
            region: Region::new(options.capacity, options.secrets),
            totals: Totals::default(),
            telling: Telling::default(),
        }
    }

    /// Hands out from now on what is to be looked at more closely.
    pub const fn look_closer(&mut self, wanted: Wanted) {
        self.flows.look_closer(wanted);
    }

    /// Counts a frame as received. Returns what is to be looked at more closely.
    pub fn received(&mut self, replayed: Replayed, frame: &(impl Frame + ?Sized)) -> Option<Looked> {
        let Replayed { now_ns, wire_bytes } = replayed;
        self.totals.seen += 1;
        self.totals.bytes += wire_bytes;
        let packet = match parse(frame, &self.settings) {
            Ok(packet) => packet,
            Err(verdict) => {
                self.totals.verdicts[verdict as usize] += 1;
                return None;
            }
        };
        let Known { sight, is_first, at, kept } = self.flows.received(&packet, &self.settings, now_ns);
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
        let kept = kept.filter(|(slot, _)| *slot == self.control.slot).map(|(_, places)| places);
        let places = kept.unwrap_or_else(|| self.places(&target, at));
        let Self { region, totals, control, telling, .. } = self;
        tables::count(region, totals, control, &target, &seen, places, |_, kind, number| {
            telling.tell(Hint { target, kind, slot: control.slot, number, at_ns: now_ns });
        });
        if packet.answers_udp(is_first, sight) {
            self.count_answer(&packet);
        }
        self.flows.wanted().of_received(&packet, sight, is_first, verdict)
    }

    /// Counts for whoever asked that there is an answer. What was not asked in this slot needs none.
    fn count_answer(&mut self, packet: &Packet) {
        let source = self.settings.account(packet.dest);
        let service = Service::new(Proto::Udp, packet.transport.source_port);
        tables::count_answer(&mut self.region, &TargetKey { source, dest: packet.source, service });
    }

    /// Takes note of a frame as sent. Returns what is to be looked at more closely.
    pub fn sent(&mut self, replayed: Replayed, frame: &(impl Frame + ?Sized)) -> Option<Looked> {
        self.totals.sent += 1;
        let packet = parse(frame, &self.settings).ok()?;
        let about = self.flows.sent(&packet, replayed.now_ns);
        self.flows.wanted().of_sent(&packet, about)
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
        Totals {
            hints: self.telling.given,
            hints_withheld: self.telling.withheld,
            flows_new: self.flows.new,
            flows_again: self.flows.again,
            ..self.totals
        }
    }

    /// Where a packet is counted, which is kept with its flow.
    fn places(&mut self, target: &TargetKey, flow: Option<At>) -> Places {
        let places = tables::place(&mut self.region, &mut self.totals, target);
        if places.are_own()
            && let Some(flow) = flow
        {
            self.flows.keep(flow, self.control.slot, places);
        }
        places
    }
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
