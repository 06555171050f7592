//! What the history may take, and how long things may last.

use std::time::Duration;

/// Steps and summaries that may wait for the writer. A full queue costs what comes, which is counted.
pub const QUEUE: usize = 10_000;
/// Most of them that are written in one transaction.
pub const BATCH: usize = 500;
/// How often there is a transaction at most: each waits for the disk.
pub const PAUSE: Duration = Duration::from_millis(50);
/// Incidents that are kept in memory while the file cannot be written, or where there is none.
pub const MEMORY_INCIDENTS: usize = 10_000;
/// Summaries of windows, likewise.
pub const MEMORY_WINDOWS: usize = 720;
/// How often a file that could not be written is tried again.
pub const RETRY: Duration = Duration::from_secs(5);
/// How often it is looked whether the file is still there.
pub const LOOK: Duration = Duration::from_secs(1);
/// How often old incidents and summaries are looked for.
pub const TIDY: Duration = Duration::from_secs(30);
/// Questions that may wait; one more is refused as too many.
pub const QUESTIONS: usize = 64;
/// Threads that answer.
pub const READERS: usize = 2;
/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(5);
/// Incidents of earlier runs that are continued, at most; the newest.
pub const CONTINUED: usize = 10_000;
/// An incident that ended because netwatch was stopped is continued within this time: a restart is no end.
pub const RESTART: Duration = Duration::from_secs(3600);
/// What the log that is written before the file may take of the room, in bytes.
pub const LOG_BYTES: u64 = 4 << 20;
/// Incidents, or summaries, that are removed in one step: twice what one transaction adds, so that room is made faster than
/// it is taken.
pub const REMOVED_AT_ONCE: usize = 1_000;
/// Items after which room is looked for without waiting for [`TIDY`].
pub const TIDY_AFTER: u64 = 1_000;
