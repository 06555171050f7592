//! One thing that is told, ready to be written by anybody, on whichever thread.

use std::sync::Arc;

use super::{Incident, Time};
use crate::analysis::Severity;

/// One step in the life of an incident, or a digest of what was held back.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its number in this run: 1, 2, 3 and so on.
    pub number: u64,
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub step: Step,
    /// How much it weighs where it is decided who is told.
    pub weight: Severity,
    /// The incident from now on; none of a digest.
    pub incident: Option<Arc<Incident>>,
    /// The line for people, without its end.
    pub text: Box<str>,
    /// The line of EVE, without its end.
    pub eve: Box<str>,
}

impl Told {
    /// What happened, for people, without when, how severe and of which rule: whoever shows that by itself.
    #[must_use]
    pub fn sentence(&self) -> &str {
        self.incident.as_deref().map_or(&*self.text, |incident| &incident.text)
    }
}

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It began.
    Open,
    /// It goes on.
    Update,
    /// It ended.
    Close,
    /// What the cap on notifications held back within a minute; of no incident.
    Digest,
}

impl Step {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Close => "close",
            Self::Digest => "digest",
        }
    }
}
