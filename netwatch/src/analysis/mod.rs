//! Pure analysis: slots in, incidents out.
//!
//! Nothing here knows that clocks, kernels, files, sockets or JSON exist, nothing waits and nothing can fail.
//! Time is an argument, in monotonic nanoseconds; the wall clock is added where something is printed. Read it
//! in this order: [`slot`] (what came in), [`window`] (the last slots as one), [`rules`] (the table), [`policy`] (what
//! the operator makes of it), [`finding`] (what is too much), [`incident`] (the life of one incident),
//! [`incidents`] (all of them), [`transition`] (what comes out), [`limits`].

pub mod busy;
mod cap;
mod crowd;
mod dest;
pub mod detail;
pub mod early;
mod evaluate;
mod events;
pub mod expected;
pub mod finding;
mod health;
pub mod incident;
mod incidents;
mod learn;
pub mod limits;
mod memory;
mod packed;
pub mod policy;
pub mod ports;
pub mod resume;
pub mod rules;
pub mod slot;
mod source;
pub mod stats;
pub mod transition;
pub mod view;
pub mod window;

use netwatch_common::{Addr, Hint, PortHash};

pub use detail::Detail;
pub use early::{HintRates, Look};
pub use events::Event;
pub use expected::Learned;
pub use incident::InterfaceId;
pub use policy::Policy;
pub use resume::Resumed;
pub use rules::{RuleId, Severity};
pub use slot::{Bounds, Confidence, Counted, Health, Slot};
pub use stats::{Hosts, SourceStats, TargetStats};
pub use transition::{CloseReason, Counters, DestSummary, Digest, Peer, State, Suppression, Transition};

use early::Early;
use evaluate::Evaluation;
use events::Events;
use incident::Moment;
use incidents::{Incidents, Side};
use learn::Usual;
use memory::Memory;
use window::Window;

/// What the analysis is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Slots of a window, at most [`WINDOW_SLOTS_MAX`](limits::WINDOW_SLOTS_MAX).
    pub window_slots: usize,
    /// Length of a slot, in nanoseconds.
    pub slot_ns: u64,
    /// With how many bits of their addresses IPv6 sources are accounted.
    pub ipv6_bits: u8,
    /// Whether all packets are counted on one CPU, and hints then tell everything there is to tell.
    pub one_cpu: bool,
    /// By what the bits of port sets are chosen: that of all programs that count.
    pub port_hash: PortHash,
    /// How the rules are applied at first.
    pub policy: Policy,
}

impl Default for Options {
    /// A minute of 5 s slots, and IPv6 networks of 64 bits.
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            window_slots: limits::WINDOW_SLOTS,
            slot_ns: 5_000_000_000,
            ipv6_bits: 64,
            one_cpu: false,
            port_hash: PortHash::default(),
            policy,
        }
    }
}

/// The analysis of all interfaces.
#[derive(Clone, Debug)]
pub struct Analysis {
    setting: Setting,
    policy: Policy,
    interfaces: Vec<Interface>,
    incidents: Incidents,
    /// Sources that slots had beyond their bounds.
    folded: u64,
}

/// What stays the same as long as netwatch runs.
#[derive(Clone, Copy, Debug)]
struct Setting {
    window_slots: usize,
    slot_ns: u64,
    ipv6_bits: u8,
    one_cpu: bool,
    port_hash: PortHash,
}

#[derive(Clone, Debug)]
struct Interface {
    name: Box<str>,
    window: Window,
    /// How replies were told in the slot that ended last.
    confidence: Confidence,
    known: Knowledge,
    /// Sources that were among the busiest of the window; ascending.
    busy: Vec<Addr>,
}

/// What is known of an interface besides its window.
#[derive(Clone, Debug, Default)]
struct Knowledge {
    memory: Memory,
    usual: Usual,
    learned: Learned,
    early: Early,
    events: Events,
    /// Sources of which so much was seen that a few hints more may break a rule; ascending.
    notable: Vec<Addr>,
    /// Those that were when the slot before ended.
    notable_before: Vec<Addr>,
    /// Whether the rules are applied in another way than when the last slot ended.
    is_policy_new: bool,
}

impl Analysis {
    /// No interfaces and no incidents yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let window_slots = options.window_slots.clamp(1, limits::WINDOW_SLOTS_MAX);
        Self {
            setting: Setting {
                window_slots,
                slot_ns: options.slot_ns,
                ipv6_bits: options.ipv6_bits,
                one_cpu: options.one_cpu,
                port_hash: options.port_hash,
            },
            policy: options.policy.clone(),
            interfaces: Vec::new(),
            incidents: Incidents::default(),
            folded: 0,
        }
    }

    /// Adds an interface with a window of its own; its name appears in transitions.
    pub fn add_interface(&mut self, name: &str) -> InterfaceId {
        self.interfaces.push(Interface {
            name: name.into(),
            window: Window::new(self.slots_kept()).hashing(self.setting.port_hash),
            confidence: Confidence::default(),
            known: Knowledge::default(),
            busy: Vec::new(),
        });
        InterfaceId(self.interfaces.len() - 1)
    }

    /// Slides an interface's window by `slot` and returns what that means: first for destinations, then for
    /// sources, each in their order.
    ///
    /// The end of the slot is the time of the evaluation. A slot in which nothing was counted must be pushed
    /// as well: incidents come to their end by it.
    ///
    /// Maps may be drained more often than once per slot. Parts that together are no longer than a slot (with
    /// a quarter to spare for late timers) make one slot, so that an early look does not shorten the window.
    ///
    /// Of a slot that takes more than [`SLOT_BYTES`](limits::SLOT_BYTES), what tells least is [folded](Health::folded).
    pub fn push(&mut self, id: InterfaceId, mut slot: Slot) -> Vec<Transition> {
        let Some(Interface { name, window, confidence, known, .. }) = self.interfaces.get_mut(id.0) else {
            return Vec::new();
        };
        let slot_ns = self.setting.slot_ns;
        let longest_ns = slot_ns.saturating_add(slot_ns / 4);
        let is_part = |newest: &Slot| slot.end_ns.saturating_sub(newest.start_ns) <= longest_ns;
        let is_part = window.newest().is_some_and(is_part);
        *confidence = slot.confidence;
        let listed = core::mem::take(&mut slot.listed);
        slot.health.events_lost += known.events.take_lost();
        known.early.slot_drained(slot.number);
        let followed = self.incidents.followed(id, Side::Source);
        let is_known =
            |addr: Addr| followed.binary_search(&addr).is_ok() || known.notable.binary_search(&addr).is_ok();
        slot.fold(self.setting.port_hash, is_known);
        if !is_part {
            known.events.begin_slot();
        }
        let drained = if is_part {
            window.extend_newest(&mut slot, is_known);
            Some(&slot)
        } else {
            window.push(slot);
            window.newest()
        };
        let Some(drained) = drained else { return Vec::new() };
        self.folded = self.folded.saturating_add(drained.health.folded);
        let mut evaluation = Evaluation {
            setting: &self.setting,
            policy: &self.policy,
            incidents: &mut self.incidents,
            id,
            name,
            now_ns: drained.end_ns,
            confidence: drained.confidence,
            transitions: Vec::new(),
        };
        evaluation.slot(window, known, drained, listed);
        evaluation.transitions
    }

    /// Takes note of what was seen in the slot that goes on, before it ends, and returns what that means. Of a listed
    /// address it is all that was seen in the slot so far with one host of ours, and the end of the slot tells all of it
    /// once more ([`Slot::listed`]); of a signature it is one flow more.
    pub fn events(
        &mut self,
        id: InterfaceId,
        events: impl IntoIterator<Item = Event>,
        now_ns: u64,
    ) -> Vec<Transition> {
        let Some((mut evaluation, window, known)) = self.early(id, now_ns) else { return Vec::new() };
        evaluation.events(window, known, events);
        evaluation.transitions
    }

    /// Begins with what an earlier run learned of an interface.
    pub fn remember(&mut self, id: InterfaceId, learned: Learned) {
        if let Some(interface) = self.interfaces.get_mut(id.0) {
            interface.known.learned = learned;
        }
    }

    /// Which services of an interface are known, so that a later run can begin with them.
    #[must_use]
    pub fn learned(&self, id: InterfaceId) -> Option<&Learned> {
        self.interfaces.get(id.0).map(|interface| &interface.known.learned)
    }

    /// Whether what is accepted on an interface is learned now, and not told.
    #[must_use]
    pub fn is_learning(&self, id: InterfaceId) -> bool {
        self.learned(id).is_some_and(|learned| learned.goes_on(&self.policy))
    }

    /// Takes note of how replies are told from probes on an interface from now on.
    pub fn tell_confidence(&mut self, id: InterfaceId, confidence: Confidence) {
        if let Some(interface) = self.interfaces.get_mut(id.0) {
            interface.confidence = confidence;
        }
    }

    /// Looks at the sources that hints tell of, before their slot ends, and returns what that means.
    pub fn hints(
        &mut self,
        id: InterfaceId,
        hints: &[Hint],
        now_ns: u64,
        look: &mut impl Look,
    ) -> Vec<Transition> {
        let Some((mut evaluation, window, known)) = self.early(id, now_ns) else { return Vec::new() };
        evaluation.hints(window, known, hints, look);
        evaluation.transitions
    }

    /// An evaluation before a slot ends, of an interface's window and what else is known of it.
    fn early(&mut self, id: InterfaceId, now_ns: u64) -> Option<(Evaluation<'_>, &Window, &mut Knowledge)> {
        let Interface { name, window, confidence, known, .. } = self.interfaces.get_mut(id.0)?;
        let evaluation = Evaluation {
            setting: &self.setting,
            policy: &self.policy,
            incidents: &mut self.incidents,
            id,
            name,
            now_ns,
            confidence: *confidence,
            transitions: Vec::new(),
        };
        Some((evaluation, window, known))
    }

    /// Whether [`hints`](Self::hints) should be called again soon, even if there are none: a source came near a
    /// threshold.
    #[must_use]
    pub fn is_near(&self, id: InterfaceId) -> bool {
        self.interfaces.get(id.0).is_some_and(|interface| interface.known.early.is_any_near())
    }

    /// Applies the rules in another way from the next evaluation on. Counts, incidents and what is remembered go
    /// on; incidents that are not to be any more end then.
    pub fn apply(&mut self, policy: Policy) {
        self.policy = policy;
        let slots = self.slots_kept();
        for interface in &mut self.interfaces {
            interface.window.resize(slots);
            interface.known.is_policy_new = true;
        }
    }

    /// What the cap on notifications held back in the minute that is over at `now_ns`, if one is.
    pub fn digest(&mut self, now_ns: u64) -> Option<Digest> {
        self.incidents.turn(now_ns, self.policy.notifications_per_minute)
    }

    /// Closes every open incident because netwatch stops. Returns, too, what the cap on notifications held back
    /// since the last digest.
    pub fn close_all(&mut self, now_ns: u64) -> (Vec<Transition>, Option<Digest>) {
        let digest = self.incidents.last_digest(now_ns, self.policy.notifications_per_minute);
        let (setting, policy, interfaces) = (self.setting, &self.policy, &self.interfaces);
        let closing = self.incidents.close_all(|id, rule| {
            let interface = interfaces.get(id.0);
            Moment {
                now_ns,
                window_ns: evaluate::reach_ns(rule, policy, &setting),
                covered_ns: 0,
                patience_ns: 0,
                confidence: interface.map_or(Confidence::default(), |interface| interface.confidence),
                degraded: false,
                interface: interface.map_or("", |interface| &interface.name),
                ipv6_bits: setting.ipv6_bits,
            }
        });
        (closing, digest)
    }

    /// What was told and held back so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.incidents.counters()
    }

    /// Looks before the end of a slot that had to wait for it, because there were too many, over all interfaces.
    #[must_use]
    pub fn deferred(&self) -> u64 {
        self.interfaces.iter().map(|interface| interface.known.early.deferred()).sum()
    }

    /// Sources that slots had beyond their bounds, over all interfaces: what they sent was added to what nobody in
    /// particular sent.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }

    /// What the long memory forgot for want of room, over all interfaces.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.interfaces.iter().map(|interface| interface.known.memory.forgotten()).sum()
    }

    /// Whether nothing goes on, on any interface: there is no incident, and no slot of a window holds a packet. Further
    /// slots without packets then change nothing but the time, and [`rest`](Self::rest) stands for any number of them.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let is_silent =
            |interface: &Interface| interface.window.is_silent() && interface.known.events.is_empty();
        self.incidents.is_empty() && self.interfaces.iter().all(is_silent)
    }

    /// Lets so many nanoseconds without packets pass on all interfaces, where the analysis [is at
    /// rest](Self::is_at_rest): what comes next begins new windows.
    pub fn rest(&mut self, length_ns: u64) {
        for Interface { window, known, .. } in &mut self.interfaces {
            window.clear();
            known.usual.learn(&[], length_ns);
            // Of services nothing is learned: recordings of different days may lie side by side.
        }
    }

    /// How many slots the rule that looks back farthest needs.
    fn slots_kept(&self) -> usize {
        let rules = RuleId::ALL.into_iter().map(|rule| evaluate::slots_of(rule, &self.policy, &self.setting));
        rules.max().unwrap_or(self.setting.window_slots)
    }
}

#[cfg(test)]
mod tests;
