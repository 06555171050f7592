//! Packets in, news out: the engine counts, the clock of the packets ends slots, the analysis judges.

use jiff::Timestamp;
use netwatch_common::{Hint, Replayed, Totals};

use super::engine::Engine;
use super::flows::Looked;
use super::looks::Looks;
use super::timeline::Timeline;
use crate::analysis::policy::Prefix;
use crate::analysis::{
    Analysis, Confidence, Digest, Health, HintRates, InterfaceId, Policy, Slot, Transition,
};
use crate::capture::{Direction, Packet};
use crate::drained::Drained;
use crate::kernel::Error;

/// How long hints wait for others, in nanoseconds of the packets' clock: 1 ms, as where an interface is watched.
const LOOK_AFTER_NS: u64 = 1_000_000;

/// What a player is told once.
pub struct Setup {
    /// What counts.
    pub engine: Engine,
    /// What looks more closely, if anything does.
    pub looks: Option<Box<Looks>>,
    /// How the analysis is set up.
    pub analysis: crate::analysis::Options,
    /// What stands for the interface in alerts.
    pub name: String,
    /// How replies are told.
    pub confidence: Confidence,
    /// What the packets of these networks are to a host: sent. None where both directions count.
    pub sends: Vec<Prefix>,
    /// When the first packet came, in nanoseconds since the epoch.
    pub first_at_ns: i64,
    /// How the rules are applied at a time: entries of the allow-list come to their end.
    pub policy_at: Box<dyn Fn(Timestamp) -> Policy + Send>,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Steps in the lives of incidents.
    Transitions(Vec<Transition>),
    /// What the cap on notifications held back.
    Digest(Digest),
}

/// Sees what passes through a player.
pub trait Observe {
    /// A slot ended.
    fn slot(&mut self, slot: &Slot);
    /// Something happened to incidents.
    fn transitions(&mut self, transitions: &[Transition]);
}

impl Observe for () {
    fn slot(&mut self, _: &Slot) {}
    fn transitions(&mut self, _: &[Transition]) {}
}

impl<O: Observe> Observe for Option<O> {
    fn slot(&mut self, slot: &Slot) {
        self.iter_mut().for_each(|observer| observer.slot(slot));
    }

    fn transitions(&mut self, transitions: &[Transition]) {
        self.iter_mut().for_each(|observer| observer.transitions(transitions));
    }
}

/// A replay that goes on.
pub struct Player<O> {
    engine: Engine,
    looks: Option<Box<Looks>>,
    analysis: Analysis,
    id: InterfaceId,
    name: String,
    confidence: Confidence,
    sends: Vec<Prefix>,
    timeline: Timeline,
    policy: Policy,
    policy_at: Box<dyn Fn(Timestamp) -> Policy + Send>,
    /// Packets of the slot that goes on.
    packets: u64,
    /// Packets that came a slot or more after their time.
    late: u64,
    hints: Vec<Hint>,
    drained: Drained,
    totals: Totals,
    observer: O,
    news: Vec<News>,
}

impl<O: Observe> Player<O> {
    /// Begins a replay.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn new(setup: Setup, observer: O) -> Result<Self, Error> {
        let Setup { mut engine, looks, analysis: options, name, confidence, sends, first_at_ns, policy_at } =
            setup;
        let timeline = Timeline::new(first_at_ns, options.slot_ns);
        let mut analysis = Analysis::new(&options);
        let id = analysis.add_interface(&name);
        analysis.tell_confidence(id, confidence);
        // Every packet is counted on one CPU.
        engine.set_hints(HintRates::of(&options.policy, 1))?;
        if let Some(looks) = &looks {
            engine.look_closer(looks.wanted());
        }
        let mut player = Self {
            engine,
            looks,
            analysis,
            id,
            name,
            confidence,
            sends,
            timeline,
            policy: options.policy,
            policy_at,
            packets: 0,
            late: 0,
            hints: Vec::new(),
            drained: Drained::default(),
            totals: Totals::default(),
            observer,
            news: Vec::new(),
        };
        // What applied when the first packet came, not what applies today.
        player.keep_policy(timeline.now_ns())?;
        Ok(player)
    }

    /// Counts a packet, after the slots that ended before it came.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        let now_ns = self.timeline.at(packet.at_ns);
        self.late += u64::from(self.timeline.is_late(packet.at_ns));
        self.look_when_due(now_ns);
        while now_ns >= self.timeline.slot_end_ns() {
            self.end_slot()?;
            if self.analysis.is_at_rest() {
                let skipped_ns = self.timeline.skip_to(now_ns);
                self.analysis.rest(skipped_ns);
                self.keep_policy(self.timeline.slot_start_ns())?;
            }
        }
        self.timeline.go_to(now_ns);
        self.packets += 1;
        let replayed = Replayed { now_ns, wire_bytes: packet.wire_bytes.into() };
        let looked = if self.is_sent(packet) {
            self.engine.sent(replayed, packet.frame)?
        } else {
            let looked = self.engine.received(replayed, packet.frame)?;
            self.engine.hints(&mut self.hints);
            looked
        };
        if let Some(looked) = looked {
            self.look_closer(&looked, replayed, packet.frame);
        }
        Ok(())
    }

    /// Ends the last slot, at its time, and closes what is open.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.end_slot()?;
        let (closing, digest) = self.analysis.close_all(self.timeline.slot_start_ns());
        self.news.extend(digest.map(News::Digest));
        self.tell(closing);
        Ok(())
    }

    /// What there is to tell since the last call, in its order.
    pub fn take_news(&mut self) -> impl Iterator<Item = News> {
        self.news.drain(..)
    }

    /// What counts, by name.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        self.engine.name()
    }

    /// How many packets came a slot or more after their time, and were counted when they came.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// What was counted, as of the last slot that ended.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What was drained of it.
    #[must_use]
    pub const fn drained(&self) -> &Drained {
        &self.drained
    }

    /// What was found.
    #[must_use]
    pub const fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// What stands for the interface in alerts.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What saw all of it.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The clock.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn is_sent(&self, packet: &Packet<'_>) -> bool {
        if self.sends.is_empty() {
            return false;
        }
        match packet.direction {
            Direction::Sent => true,
            Direction::Received | Direction::Passed => false,
            Direction::Unknown => netwatch_common::parse(packet.frame, &netwatch_common::Settings::DEFAULT)
                .is_ok_and(|parsed| self.sends.iter().any(|prefix| prefix.contains(parsed.source))),
        }
    }

    /// Looks at what the hints tell of, if that is due before `now_ns`, and when it is. Hints that are left when a slot
    /// ends are looked at then.
    fn look_when_due(&mut self, now_ns: u64) {
        let Some(first) = self.hints.first() else { return };
        let due_ns = first.at_ns.saturating_add(LOOK_AFTER_NS);
        if due_ns <= now_ns && due_ns < self.timeline.slot_end_ns() {
            self.timeline.go_to(due_ns);
            self.look();
        }
    }

    /// Looks at what the hints tell of, at the time that the clock shows.
    fn look(&mut self) {
        if self.hints.is_empty() {
            return;
        }
        let now_ns = self.timeline.now_ns();
        let transitions = self.analysis.hints(self.id, &self.hints, now_ns, &mut self.engine);
        self.hints.clear();
        self.tell(transitions);
    }

    /// Looks more closely at a packet that was counted.
    fn look_closer(&mut self, looked: &Looked, replayed: Replayed, frame: &[u8]) {
        let Some(looks) = &mut self.looks else { return };
        let events = looks.packet(looked, replayed, frame);
        if !events.is_empty() {
            let transitions = self.analysis.events(self.id, events, replayed.now_ns);
            self.tell(transitions);
        }
    }

    fn end_slot(&mut self) -> Result<(), Error> {
        self.look();
        let (start_ns, end_ns) = self.timeline.end_slot();
        let mut slot = Slot::empty(start_ns, end_ns);
        // The engine goes on counting in the same slot where there is nothing in it.
        slot.number = self.engine.slot().wrapping_sub(1);
        if self.packets > 0 {
            slot = self.drain(start_ns, end_ns)?;
        }
        slot.confidence = self.confidence;
        self.packets = 0;
        self.observer.slot(&slot);
        let transitions = self.analysis.push(self.id, slot);
        self.tell(transitions);
        let digest = self.analysis.digest(end_ns);
        self.news.extend(digest.map(News::Digest));
        self.keep_policy(end_ns)
    }

    fn drain(&mut self, start_ns: u64, end_ns: u64) -> Result<Slot, Error> {
        let number = self.engine.slot();
        let counted = self.engine.end_slot()?;
        let mut totals = self.engine.totals()?;
        self.drained.count(&counted);
        let mut slot = Slot::new(start_ns, end_ns, counted);
        slot.number = number;
        if let Some(looks) = &mut self.looks {
            slot.listed = looks.end_slot();
            looks.add_to(&mut totals);
        }
        let before = std::mem::replace(&mut self.totals, totals);
        slot.health = Health::between(&before, &self.totals, 0);
        Ok(slot)
    }

    fn keep_policy(&mut self, now_ns: u64) -> Result<(), Error> {
        let policy = (self.policy_at)(self.timeline.wall().at(now_ns));
        if policy != self.policy {
            self.engine.set_hints(HintRates::of(&policy, 1))?;
            self.analysis.apply(policy.clone());
            self.policy = policy;
        }
        Ok(())
    }

    fn tell(&mut self, transitions: Vec<Transition>) {
        if transitions.is_empty() {
            return;
        }
        self.observer.transitions(&transitions);
        self.news.push(News::Transitions(transitions));
    }
}
