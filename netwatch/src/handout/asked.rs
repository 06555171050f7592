//! What a report is about.

use crate::report::Time;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// From this time on.
    pub since: Time,
    /// Until before this time.
    pub until: Time,
    /// When the report is made.
    pub now: Time,
    /// Its title.
    pub title: String,
    /// On which machine it is made.
    pub host: String,
    /// By which command.
    pub command: String,
    /// Where the history is.
    pub dir: String,
}

impl Asked {
    /// The end of what can be known: the future cannot.
    #[must_use]
    pub fn end(&self) -> Time {
        self.until.min(self.now).max(self.since)
    }

    /// How long it is, in seconds.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.end().micros().saturating_sub(self.since.micros()).div_euclid(1_000_000)
    }
}

/// Microseconds as seconds.
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// A number without what is behind its point.
#[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the largest")]
pub(super) fn whole(value: f64) -> i64 {
    value as i64
}
