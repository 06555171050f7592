//! Pure analysis: slots in, incidents out.
//!
//! Nothing here knows that clocks, kernels, files, sockets or JSON exist, nothing waits and nothing can fail.
//! Time is an argument, in monotonic nanoseconds; the wall clock is added where something is printed. Read it
//! in this order: [`slot`] (what came in), [`window`] (the last slots as one), [`rules`] (the table), [`policy`] (what
//! the operator makes of it), [`finding`] (what is too much), [`incident`] (the life of one incident),
//! [`incidents`] (all of them), [`transition`] (what comes out), [`limits`].

pub mod finding;
pub mod incident;
pub mod incidents;
pub mod limits;
pub mod policy;
pub mod ports;
pub mod rules;
pub mod slot;
pub mod transition;
pub mod window;

pub use incident::InterfaceId;
pub use policy::Policy;
pub use rules::{RuleId, Severity};
pub use slot::{Confidence, PortStats, Slot, SourceStats};
pub use transition::{CloseReason, Counters, State, Suppression, Transition};

use incidents::Incidents;
use window::Window;

/// What the analysis is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Slots of a window, at most [`WINDOW_SLOTS_MAX`](limits::WINDOW_SLOTS_MAX).
    pub window_slots: usize,
    /// Length of a slot, in nanoseconds.
    pub slot_ns: u64,
    /// How the rules are applied at first.
    pub policy: Policy,
}

impl Default for Options {
    /// A minute of 5 s slots.
    fn default() -> Self {
        Self { window_slots: limits::WINDOW_SLOTS, slot_ns: 5_000_000_000, policy: Policy::default() }
    }
}

/// The analysis of all interfaces.
#[derive(Clone, Debug)]
pub struct Analysis {
    window_slots: usize,
    slot_ns: u64,
    interfaces: Vec<Interface>,
    incidents: Incidents,
}

#[derive(Clone, Debug)]
struct Interface {
    name: Box<str>,
    window: Window,
}

impl Analysis {
    /// No interfaces and no incidents yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let window_slots = options.window_slots.clamp(1, limits::WINDOW_SLOTS_MAX);
        let slots = u64::try_from(window_slots).unwrap_or(u64::MAX);
        let window_ns = options.slot_ns.saturating_mul(slots);
        Self {
            window_slots,
            slot_ns: options.slot_ns,
            interfaces: Vec::new(),
            incidents: Incidents::new(options.policy.clone(), window_ns),
        }
    }

    /// Adds an interface with a window of its own; its name appears in transitions.
    pub fn add_interface(&mut self, name: &str) -> InterfaceId {
        self.interfaces.push(Interface { name: name.into(), window: Window::new(self.window_slots) });
        InterfaceId(self.interfaces.len() - 1)
    }

    /// Slides an interface's window by `slot` and returns what that means, in the order of sources.
    ///
    /// The end of the slot is the time of the evaluation. A slot in which nothing was counted must be pushed
    /// as well: incidents come to their end by it.
    ///
    /// Maps may be drained more often than once per slot. Parts that together are no longer than a slot (with
    /// a quarter to spare for late timers) make one slot, so that an early look does not shorten the window.
    pub fn push(&mut self, interface: InterfaceId, slot: Slot) -> Vec<Transition> {
        let Some(Interface { name, window }) = self.interfaces.get_mut(interface.0) else {
            return Vec::new();
        };
        let longest_ns = self.slot_ns.saturating_add(self.slot_ns / 4);
        let is_part = |newest: &Slot| slot.end_ns.saturating_sub(newest.start_ns) <= longest_ns;
        let drained = if window.newest().is_some_and(is_part) {
            window.extend_newest(&slot);
            Some(&slot)
        } else {
            window.push(slot);
            window.newest()
        };
        let Some(drained) = drained else {
            return Vec::new();
        };
        let covered_ns = window.span().map_or(0, |span| span.end_ns.saturating_sub(span.start_ns));
        let mut step = self.incidents.step(interface, name, drained, covered_ns);
        window.for_each_source(step.counting(), |view| step.source(view));
        step.finish()
    }

    /// Applies the rules in another way from the next evaluation on. Counts and incidents go on; those that are
    /// not to be any more end then.
    pub fn apply(&mut self, policy: Policy) {
        self.incidents.apply(policy);
    }

    /// Closes every open incident because netwatch stops.
    pub fn close_all(&mut self, now_ns: u64) -> Vec<Transition> {
        let interfaces = &self.interfaces;
        self.incidents.close_all(now_ns, |id| interfaces.get(id.0).map_or("", |found| &found.name))
    }

    /// What was told and held back so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.incidents.counters()
    }
}

#[cfg(test)]
mod tests;
