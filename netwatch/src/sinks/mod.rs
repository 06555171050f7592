//! Where alerts go: transitions of incidents become lines, and lines are written.
//!
//! Names in output are decided here and nowhere else: renaming a field of [`analysis`](crate::analysis) cannot
//! change a line. Read it in this order: [`text`] (for people), `words` (its
//! numbers and names), [`eve`] (for machines), [`writer`]. What goes elsewhere than to stdout is made of what was
//! [told](crate::report::Told) already: [`line`](mod@line), `ecs`, [`syslog`], [`journal`], [`webhook`], [`alertmanager`].

pub mod alertmanager;
mod detail;
mod ecs;
pub mod eve;
pub mod journal;
pub mod line;
pub mod report;
pub mod syslog;
pub mod text;
pub mod webhook;
pub(crate) mod words;
pub mod writer;

use std::io;

use jiff::Timestamp;

use crate::analysis::{Digest, Transition};

pub use writer::{Output, OutputError};

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One sentence for people.
    #[default]
    Text,
    /// One JSON object in the schema of Suricata's EVE alerts.
    Json,
}

/// Turns transitions into lines.
#[derive(Clone, Debug)]
pub struct Renderer {
    /// What a line looks like.
    pub format: Format,
    /// What time it is.
    pub wall: Wall,
    /// What sets the incidents of this run apart from those of others; incident 1 of run `7f3a` is `7f3a-1`.
    pub run: Box<str>,
    /// Whether text is coloured.
    pub colour: bool,
}

impl Renderer {
    /// Writes one line, its end included.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn render(&self, transition: &Transition, mut out: impl io::Write) -> io::Result<()> {
        match self.format {
            Format::Text => write!(out, "{}", text::Line { transition, renderer: self })?,
            Format::Json => serde_json::to_writer(&mut out, &eve::event(transition, self))?,
        }
        out.write_all(b"\n")
    }

    /// Writes one line about what the cap on notifications held back, its end included.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn render_digest(&self, digest: &Digest, mut out: impl io::Write) -> io::Result<()> {
        match self.format {
            Format::Text => write!(out, "{}", text::DigestLine { digest, renderer: self })?,
            Format::Json => serde_json::to_writer(&mut out, &eve::digest(digest, self))?,
        }
        out.write_all(b"\n")
    }

    /// The line for people about a transition, whatever the format, without colours and without its end.
    #[must_use]
    pub fn line(&self, transition: &Transition) -> String {
        let renderer = &Self { format: Format::Text, colour: false, ..self.clone() };
        text::Line { transition, renderer }.to_string()
    }

    /// The name of a transition's incident.
    #[must_use]
    pub fn incident(&self, transition: &Transition) -> String {
        match &transition.name {
            Some(name) => name.to_string(),
            None => format!("{}-{}", self.run, transition.incident),
        }
    }
}

/// Adds the wall clock to monotonic times. Always in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wall {
    realtime_minus_monotonic_ns: i64,
}

impl Wall {
    /// A wall clock that is so many nanoseconds ahead of the monotonic clock.
    #[must_use]
    pub const fn new(realtime_minus_monotonic_ns: i64) -> Self {
        Self { realtime_minus_monotonic_ns }
    }

    /// The wall time at a monotonic time in nanoseconds.
    #[must_use]
    pub fn at(self, monotonic_ns: u64) -> Timestamp {
        let ns = i128::from(monotonic_ns) + i128::from(self.realtime_minus_monotonic_ns);
        // A timestamp reaches to the year 9999; what the arguments can express ends in 2846.
        Timestamp::from_nanosecond(ns).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
pub(crate) mod tests;
