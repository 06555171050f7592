//! What counts recorded packets: the kernel's programs or the host, behind one interface.

use netwatch_common::{Addr, Hint, Replayed, TargetKey, Totals};

use super::host::Host;
use crate::analysis::{Counted, HintRates, Look, SourceStats, TargetStats};
use crate::kernel::{Error, Rerun};
use crate::live::Maps;

/// What counts recorded packets.
pub enum Engine {
    /// The same code, on the host.
    Host(Box<Host>),
    /// The programs that watch interfaces, and a look into their maps.
    Kernel(Box<Rerun>, Maps),
}

impl Engine {
    /// The kernel's programs.
    #[must_use]
    pub fn kernel(programs: Rerun) -> Self {
        let maps = Maps(programs.reader());
        Self::Kernel(Box::new(programs), maps)
    }

    /// What it is called in output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Kernel(..) => "kernel",
        }
    }

    /// Counts a frame as received.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn received(&mut self, replayed: Replayed, frame: &[u8]) -> Result<(), Error> {
        match self {
            Self::Host(host) => host.received(replayed, frame),
            Self::Kernel(programs, _) => programs.received(replayed, frame)?,
        }
        Ok(())
    }

    /// Takes note of a frame as sent.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn sent(&mut self, replayed: Replayed, frame: &[u8]) -> Result<(), Error> {
        match self {
            Self::Host(host) => host.sent(replayed, frame),
            Self::Kernel(programs, _) => programs.sent(replayed, frame)?,
        }
        Ok(())
    }

    /// Moves the hints given so far to the end of `into`.
    pub fn hints(&mut self, into: &mut Vec<Hint>) {
        match self {
            Self::Host(host) => host.hints(into),
            Self::Kernel(programs, _) => programs.hints(into),
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
            Self::Kernel(programs, _) => programs.set_hints(rates)?,
        }
        Ok(())
    }

    /// Number of the slot that is being counted.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        match self {
            Self::Host(host) => host.slot(),
            Self::Kernel(programs, _) => programs.slot(),
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
            Self::Kernel(programs, _) => programs.end_slot(),
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
            Self::Kernel(programs, _) => programs.totals(),
        }
    }
}

impl Look for Engine {
    fn source(&mut self, slot: u32, source: Addr) -> Option<SourceStats> {
        match self {
            Self::Host(host) => host.source(slot, source),
            Self::Kernel(_, maps) => maps.source(slot, source),
        }
    }

    fn target(&mut self, slot: u32, target: &TargetKey) -> Option<TargetStats> {
        match self {
            Self::Host(host) => host.target(slot, target),
            Self::Kernel(_, maps) => maps.target(slot, target),
        }
    }
}
