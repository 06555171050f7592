//! What an output is to the thread that feeds it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits;
use crate::report::Told;

/// Why something was not delivered.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may be taken later; not before the time is over, where one is given.
    Again(String, Option<Duration>),
    /// It will never be taken.
    Refused(String),
}

impl Trouble {
    pub(super) fn again(why: impl Into<String>) -> Self {
        Self::Again(why.into(), None)
    }

    /// `connect to tcp://192.0.2.1:601: connection refused`.
    pub(super) fn io(what: &str, error: &io::Error) -> Self {
        Self::again(format!("{what}: {error}"))
    }

    pub(super) fn why(&self) -> &str {
        match self {
            Self::Again(why, _) | Self::Refused(why) => why,
        }
    }
}

/// A way to somewhere. It may block, but for no more than some multiples of [`limits::PATIENCE`].
pub(super) trait Transport: Send {
    /// Delivers all of a batch, in its order. `done` says how many from its beginning on were, whatever comes back; where
    /// the rest is tried again, it is the same rest.
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble>;

    /// Opens files anew, and reads secrets again.
    fn reopen(&mut self) -> Result<(), Trouble>;

    /// An incident is over, and what would have said so was dropped: nobody is to be reminded of it.
    fn is_over(&mut self, _incident: &str) {}

    /// So many of them are over that nobody knows which: nobody is to be reminded of any.
    fn all_may_be_over(&mut self) {}

    /// When there will be something to do without anything to deliver.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Does it.
    fn tick(&mut self) -> Result<(), Trouble> {
        Ok(())
    }

    /// Most that is wanted at once.
    fn batch(&self) -> usize {
        limits::BATCH
    }
}
