//! What the server counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds of the histogram of how long answers take, in seconds.
const DURATIONS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Why something was refused, or ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There were as many connections as there may be.
    Connections,
    /// There were as many streams as there may be.
    Streams,
    /// What came is no HTTP, or its head is too large.
    NoHttp,
    /// A head, or the next request, did not come in time.
    Slow,
    /// A client took nothing of what was sent.
    Stalled,
    /// A handshake of TLS failed, or took too long.
    Handshake,
    /// There was no token, or another.
    Token,
    /// The request calls this machine by a name that it does not have.
    Host,
    /// There were too many wrong tokens from an address.
    Login,
    /// A page of somebody else's wanted to change something.
    Origin,
    /// An answer was not found in time.
    Late,
    /// A connection could not be accepted.
    Accept,
}

impl Trouble {
    pub const ALL: [Self; 12] = [
        Self::Connections,
        Self::Streams,
        Self::NoHttp,
        Self::Slow,
        Self::Stalled,
        Self::Handshake,
        Self::Token,
        Self::Host,
        Self::Login,
        Self::Origin,
        Self::Late,
        Self::Accept,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Streams => "streams",
            Self::NoHttp => "no_http",
            Self::Slow => "slow",
            Self::Stalled => "stalled",
            Self::Handshake => "handshake",
            Self::Token => "token",
            Self::Host => "host",
            Self::Login => "login",
            Self::Origin => "origin",
            Self::Late => "late",
            Self::Accept => "accept",
        }
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Counts {
    /// Connections now.
    pub connections: AtomicU64,
    /// Streams now.
    pub streams: AtomicU64,
    /// Connections so far.
    pub accepted: AtomicU64,
    /// Answers by the first digit of their status, from 1 on.
    answers: [AtomicU64; 5],
    troubles: [AtomicU64; Trouble::ALL.len()],
    /// Steps that the server has taken.
    pub told_taken: AtomicU64,
    /// Steps that the server had no room to take.
    pub told_dropped: AtomicU64,
    /// Steps that streams missed.
    pub missed: AtomicU64,
    /// How long answers took to be found.
    pub durations: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            connections: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            answers: core::array::from_fn(|_| AtomicU64::new(0)),
            troubles: core::array::from_fn(|_| AtomicU64::new(0)),
            told_taken: AtomicU64::new(0),
            told_dropped: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            durations: Histogram::new(DURATIONS),
        }
    }
}

/// Adds one.
pub(super) fn more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Takes one away.
pub(super) fn less(counter: &AtomicU64) {
    counter.fetch_sub(1, Ordering::Relaxed);
}

/// Reads one.
pub(super) fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counts {
    pub fn trouble(&self, trouble: Trouble) {
        more(&self.troubles[trouble as usize]);
    }

    pub fn troubles(&self, trouble: Trouble) -> u64 {
        value(&self.troubles[trouble as usize])
    }

    pub fn answered(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        more(&self.answers[class - 1]);
        self.durations.observe(duration.as_secs_f64());
    }

    /// Answers by the class of their status, as `2xx`.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(self.answers.iter().map(value))
    }
}
