//! Where alerts go besides stdout.

use std::sync::Arc;
use std::time::Duration;

use crate::config::OutputSettings;
use crate::report::Told;
use crate::report::snapshot::{OutputState, Run};

/// Why an output cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("there are no outputs yet")]
pub struct Error;

/// All outputs.
#[derive(Debug, Default)]
pub struct Outputs;

impl Outputs {
    /// Opens them.
    ///
    /// # Errors
    ///
    /// One cannot be used.
    pub fn start(_settings: &[OutputSettings], _run: Arc<Run>) -> Result<Self, Error> {
        Ok(Self)
    }

    /// Tells all of them.
    pub fn offer(&mut self, _told: &Arc<Told>) {}

    /// Opens files again.
    pub fn reopen(&mut self) {}

    /// What became of what they were given.
    #[must_use]
    pub fn states(&self) -> Vec<OutputState> {
        Vec::new()
    }

    /// Ends them.
    #[must_use]
    pub fn finish(self, _patience: Duration) -> Vec<OutputState> {
        Vec::new()
    }
}
