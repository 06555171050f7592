//! What counts recorded packets: the kernel's programs or the host, behind one interface.

use netwatch_common::{Addr, Hint, Replayed, TargetKey, Totals};

use super::flows::{Looked, Tracker, Wanted};
use super::host::Host;
use crate::analysis::{Counted, HintRates, Look, SourceStats, TargetStats};
use crate::kernel::{Error, Options, Rerun};
use crate::live::Maps;

/// What counts recorded packets.
pub enum Engine {
    /// The same code, on the host.
    Host(Box<Host>),
    /// The programs that watch interfaces, a look into their maps, and what knows beside them which packets are to be
    /// looked at more closely.
    Kernel(Box<Rerun>, Maps, Box<Tracker>),
}

impl Engine {
    /// The host. `replies` and `start_ns` are as for [`Rerun::load`].
    #[must_use]
    pub fn host(options: &Options, replies: u32, start_ns: u64) -> Self {
        Self::Host(Box::new(Host::new(options, replies, start_ns)))
    }

    /// The kernel's programs, likewise.
    ///
    /// # Errors
    ///
    /// Those of [`Rerun::load`].
    pub fn kernel(options: &Options, replies: u32, start_ns: u64) -> Result<Self, Error> {
        let programs = Rerun::load(options, replies, start_ns)?;
        let maps = Maps(programs.reader());
        let tracker = Tracker::new(options, replies, start_ns);
        Ok(Self::Kernel(Box::new(programs), maps, Box::new(tracker)))
    }

    /// Hands out from now on what is to be looked at more closely.
    pub const fn look_closer(&mut self, wanted: Wanted) {
        match self {
            Self::Host(host) => host.look_closer(wanted),
            Self::Kernel(.., tracker) => tracker.look_closer(wanted),
        }
    }

    /// What it is called in output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Kernel(..) => "kernel",
        }
    }

    /// Counts a frame as received. Returns what is to be looked at more closely.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn received(&mut self, replayed: Replayed, frame: &[u8]) -> Result<Option<Looked>, Error> {
        match self {
            Self::Host(host) => Ok(host.received(replayed, frame)),
            Self::Kernel(programs, _, tracker) => {
                programs.received(replayed, frame)?;
                Ok(tracker.received(replayed.now_ns, frame))
            }
        }
    }

    /// Takes note of a frame as sent. Returns what is to be looked at more closely.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn sent(&mut self, replayed: Replayed, frame: &[u8]) -> Result<Option<Looked>, Error> {
        match self {
            Self::Host(host) => Ok(host.sent(replayed, frame)),
            Self::Kernel(programs, _, tracker) => {
                programs.sent(replayed, frame)?;
                Ok(tracker.sent(replayed.now_ns, frame))
            }
        }
    }

    /// Moves the hints given so far to the end of `into`.
    pub fn hints(&mut self, into: &mut Vec<Hint>) {
        match self {
            Self::Host(host) => host.hints(into),
            Self::Kernel(programs, ..) => programs.hints(into),
        }
    }

    /// Sets of how much there are hints.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn set_hints(&mut self, rates: HintRates) -> Result<(), Error> {
        match self {
            Self::Host(host) => host.set_hints(rates),
            Self::Kernel(programs, ..) => programs.set_hints(rates)?,
        }
        Ok(())
    }

    /// Number of the slot that is being counted.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        match self {
            Self::Host(host) => host.slot(),
            Self::Kernel(programs, ..) => programs.slot(),
        }
    }

    /// Begins the next slot, and returns what was counted in the one that it ends.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn end_slot(&mut self) -> Result<Counted, Error> {
        match self {
            Self::Host(host) => Ok(host.end_slot()),
            Self::Kernel(programs, ..) => programs.end_slot(),
        }
    }

    /// What was counted since the start.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<Totals, Error> {
        match self {
            Self::Host(host) => Ok(host.totals()),
            Self::Kernel(programs, ..) => programs.totals(),
        }
    }
}

impl Look for Engine {
    fn source(&mut self, slot: u32, source: Addr) -> Option<SourceStats> {
        match self {
            Self::Host(host) => host.source(slot, source),
            Self::Kernel(_, maps, _) => maps.source(slot, source),
        }
    }

    fn target(&mut self, slot: u32, target: &TargetKey) -> Option<TargetStats> {
        match self {
            Self::Host(host) => host.target(slot, target),
            Self::Kernel(_, maps, _) => maps.target(slot, target),
        }
    }
}
