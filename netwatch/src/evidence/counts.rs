//! What became of what should have been kept.

use core::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::limits::COMPLAINTS;

/// Why a file or a packet was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Of incidents: [`FILES_OPEN`](super::limits::FILES_OPEN) others have files that are not complete. Of packets: all files
    /// of the source have as many as they take, or as late ones as they take.
    TooMany,
    /// The disk did not take what came before.
    Slow,
    /// The directory has as much as it may have, and none of that is complete.
    Full,
    /// The disk refused it.
    Failed,
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::TooMany, Self::Slow, Self::Full, Self::Failed];

    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::Slow => "disk_slow",
            Self::Full => "directory_full",
            Self::Failed => "disk_failed",
        }
    }
}

/// What was counted since the start; never reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files that were begun.
    pub files: u64,
    /// Packets in them. One that belongs to two incidents is in two files, and counts twice.
    pub packets: u64,
    /// Files that made room for others or were too old, of earlier runs too.
    pub removed: u64,
    files_not: [u64; Reason::COUNT],
    packets_not: [u64; Reason::COUNT],
}

impl Counts {
    /// Incidents that should have had a file, and have none for this reason.
    #[must_use]
    pub const fn files_not_begun(&self, reason: Reason) -> u64 {
        self.files_not[reason as usize]
    }

    /// Packets that are in no file, or not in one that they belong to, for this reason.
    #[must_use]
    pub const fn packets_not_kept(&self, reason: Reason) -> u64 {
        self.packets_not[reason as usize]
    }
}

/// The counters while both sides add to them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub files: AtomicU64,
    pub packets: AtomicU64,
    pub removed: AtomicU64,
    /// Messages that the writer is done with.
    pub handled: AtomicU64,
    files_not: [AtomicU64; Reason::COUNT],
    packets_not: [AtomicU64; Reason::COUNT],
}

impl Counters {
    pub fn no_file(&self, reason: Reason) {
        add(&self.files_not[reason as usize]);
    }

    pub fn no_packet(&self, reason: Reason) {
        add(&self.packets_not[reason as usize]);
    }

    /// What they say now.
    pub fn read(&self) -> Counts {
        Counts {
            files: read(&self.files),
            packets: read(&self.packets),
            removed: read(&self.removed),
            files_not: array::from_fn(|reason| read(&self.files_not[reason])),
            packets_not: array::from_fn(|reason| read(&self.packets_not[reason])),
        }
    }
}

/// Adds one.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a counter says now.
pub(super) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// When it was said last that something is not kept, by reason.
#[derive(Debug, Default)]
pub(super) struct Complaints([Option<Instant>; Reason::COUNT]);

impl Complaints {
    /// Whether it is time to say it; takes note that it was said then.
    pub fn is_due(&mut self, reason: Reason) -> bool {
        let (now, said) = (Instant::now(), &mut self.0[reason as usize]);
        let is_due = said.is_none_or(|said| now.duration_since(said) >= COMPLAINTS);
        if is_due {
            *said = Some(now);
        }
        is_due
    }
}
