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
/// Incidents of earlier runs that are continued, at most: those that were told of last.
pub const CONTINUED: usize = 10_000;
/// An incident is continued within this time, whether it ended because netwatch was stopped or was left open by a crash: a
/// restart is no end. One that goes on is told of far more often.
pub const RESTART: Duration = Duration::from_secs(3600);
/// How far its last step may lie in the future: clocks are not the same before and after a restart.
pub const AHEAD: Duration = Duration::from_secs(60);
/// What the log that is written before the file may take of the room, in bytes.
pub const LOG_BYTES: u64 = 8 << 20;
/// Incidents, or summaries, that are removed in one step: more than what one transaction adds, so that room is made faster than
/// it is taken.
pub const REMOVED_AT_ONCE: usize = 600;
/// Items after which room is looked for without waiting for [`TIDY`].
pub const TIDY_AFTER: u64 = BATCH as u64;
/// How often all of the file is examined for damage. What nobody reads would else be found only when it is wanted.
pub const EXAMINE: Duration = Duration::from_secs(6 * 3600);
/// How long an answer waits for what was offered before the question to be written.
pub const CATCH_UP: Duration = Duration::from_millis(500);
/// How often it is looked whether it is.
pub const CATCH_UP_LOOK: Duration = Duration::from_millis(2);
