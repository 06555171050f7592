//! Both engines, packet by packet.

use std::net::Ipv6Addr;

use netwatch::analysis::policy::Prefix;
use netwatch::analysis::{Counted, HintRates, Look as _, Policy};
use netwatch::capture::{Direction, Packet};
use netwatch::kernel::{Capacity, Options};
use netwatch::replay::engine::Engine;
use netwatch::replay::timeline::{BEGINNING_NS, Timeline};
use netwatch_common::{Control, Hint, Replayed, Settings, TargetKey, Totals, parse};

use super::frames::FIRST_NS;

/// Room for all sources and targets of one case, and for the flows of all cases: the kernel's table of flows makes room
/// in an order of its own.
pub const CAPACITY: Capacity = Capacity { sources: 40_000, targets: 40_000, blocks: 256, flows: 400_000 };

/// For how long connections may be older than the captures, in nanoseconds: a day of many.
const YOUNG_NS: u64 = 86_400_000_000_000;

/// Packets after which a slot ends within a case.
const IN_SLOT: u64 = 700;

/// Networks of which packets were sent, in mode `host`.
pub fn ours() -> Vec<Prefix> {
    [("::ffff:10.0.0.0", 104), ("::ffff:172.16.0.0", 108), ("::ffff:192.168.0.0", 112), ("fc00::", 7)]
        .map(|(addr, bits)| Prefix::new(addr.parse::<Ipv6Addr>().unwrap().into(), bits).unwrap())
        .to_vec()
}

/// Both engines, the host's first.
pub struct Both {
    engines: [Engine; 2],
    settings: Settings,
    timeline: Timeline,
    sends: Vec<Prefix>,
    /// Packets of the case.
    nth: u64,
    /// Packets of all cases, those of them that were sent, and hints.
    pub agree: [u64; 3],
}

impl Both {
    /// Both, telling replies in one of the ways of [`Control`].
    pub fn new(replies: u32, capacity: Capacity) -> Self {
        let options = Options { capacity, settings: Settings::DEFAULT, ..Options::of_this_host(1 << 20) };
        let start_ns = BEGINNING_NS + YOUNG_NS;
        let kernel = Engine::kernel(&options, replies, start_ns).unwrap();
        let mut engines = [Engine::host(&options, replies, start_ns), kernel];
        for engine in &mut engines {
            engine.set_hints(HintRates::of(&Policy::default(), 1)).unwrap();
        }
        Self {
            engines,
            settings: options.settings,
            timeline: Timeline::new(FIRST_NS, u64::MAX),
            sends: if replies == Control::REPLIES_BY_FLOWS { ours() } else { Vec::new() },
            nth: 0,
            agree: [0; 3],
        }
    }

    /// Gives a packet to both, and compares what they have of its source and target, and what they hint at.
    pub fn packet(&mut self, case: &str, packet: &Packet<'_>) {
        let now_ns = self.timeline.at(packet.at_ns);
        self.timeline.go_to(now_ns);
        let replayed = Replayed { now_ns, wire_bytes: packet.wire_bytes.into() };
        let parsed = parse(packet.frame, &self.settings).ok();
        let is_sent = !self.sends.is_empty()
            && match packet.direction {
                Direction::Sent => true,
                Direction::Received | Direction::Passed => false,
                Direction::Unknown => parsed
                    .is_some_and(|parsed| self.sends.iter().any(|prefix| prefix.contains(parsed.source))),
            };
        let hints = self.engines.each_mut().map(|engine| {
            if is_sent {
                engine.sent(replayed, packet.frame).unwrap();
            } else {
                engine.received(replayed, packet.frame).unwrap();
            }
            let mut hints: Vec<Hint> = Vec::new();
            engine.hints(&mut hints);
            hints
        });
        self.agree[0] += 1;
        self.agree[1] += u64::from(is_sent);
        self.agree[2] += hints[0].len() as u64;
        self.same(case, "hints", packet, hints);
        if let Some(parsed) = parsed {
            let source = self.settings.account(parsed.source);
            let target = TargetKey { source, dest: parsed.dest, service: parsed.service() };
            let sources = self.engines.each_mut().map(|engine| engine.source(engine.slot(), source));
            let targets = self.engines.each_mut().map(|engine| engine.target(engine.slot(), &target));
            let dest = self.settings.account(parsed.dest);
            let dests = self.engines.each_mut().map(|engine| engine.source(engine.slot(), dest));
            self.same(case, "its source", packet, sources);
            self.same(case, "its destination as a source", packet, dests);
            self.same(case, "its target", packet, targets);
        }
        self.nth += 1;
        if self.nth.is_multiple_of(IN_SLOT) {
            self.end_slot(case);
        }
    }

    /// Ends a case, and its last slot.
    pub fn end(&mut self, case: &str) {
        self.end_slot(case);
        self.nth = 0;
    }

    /// Ends a slot and compares all that was counted in it, and the totals.
    fn end_slot(&mut self, case: &str) {
        let numbers = self.engines.each_ref().map(Engine::slot);
        assert_eq!(numbers[0], numbers[1], "{case}: numbers of slots");
        let [(host, host_targets), (kernel, kernel_targets)] = self.engines.each_mut().map(|engine| {
            let Counted { mut sources, mut targets, .. } = engine.end_slot().unwrap();
            sources.sort_unstable_by_key(|(key, _)| *key);
            targets.sort_unstable_by_key(|(key, _)| *key);
            (sources, targets)
        });
        let up_to = format!("{case}, up to packet {}", self.nth);
        assert_eq!(host.len(), kernel.len(), "{up_to}: sources, host and kernel");
        assert_eq!(host_targets.len(), kernel_targets.len(), "{up_to}: targets, host and kernel");
        for (host, kernel) in host.iter().zip(&kernel) {
            assert_eq!(host, kernel, "{up_to}: a source, host and kernel");
        }
        for (host, kernel) in host_targets.iter().zip(&kernel_targets) {
            assert_eq!(host, kernel, "{up_to}: a target, host and kernel");
        }
        let [host, kernel] = self.engines.each_ref().map(|engine| engine.totals().unwrap());
        assert_eq!(host, kernel, "{up_to}: totals, host and kernel");
    }

    /// What both have counted by the end of the last slot.
    pub fn totals(&self) -> Totals {
        let totals = self.engines[0].totals().unwrap();
        assert_eq!((totals.flows_lost, totals.hints_lost), (0, 0));
        assert!(totals.flows_new < u64::from(CAPACITY.flows), "{} flows", totals.flows_new);
        totals
    }

    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        case: &str,
        what: &str,
        packet: &Packet<'_>,
        values: [T; 2],
    ) {
        let [host, kernel] = values;
        assert_eq!(
            host, kernel,
            "{what}, host and kernel, after packet {} of {}, {packet:02x?}",
            self.nth, case
        );
    }
}
