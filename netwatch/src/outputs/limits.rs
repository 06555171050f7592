//! What bounds outputs, besides their queues, whose length is configured.

use std::time::Duration;

/// Most alerts that are given to a receiver at once.
pub const BATCH: usize = 100;
/// How long connecting, writing and waiting for an answer may take, each.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited after the first failure; after each further one, twice as long.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest that is waited of one's own accord.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The longest that is waited because a receiver said so.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Open incidents that an Alertmanager is reminded of; more than these are told once, and expire there.
pub const REMINDED: usize = 10_000;
/// How often an Alertmanager is reminded.
pub const REMINDER: Duration = Duration::from_secs(60);
/// How long it may wait to be reminded while there is something else to deliver.
pub const TICK_LATE: Duration = Duration::from_secs(60);
/// Ends of incidents that found no room in a queue and are remembered; where there are more, all that is open is forgotten,
/// and expires.
pub const ENDINGS: usize = 1_000;
/// When an alert expires that an Alertmanager is no longer reminded of.
pub const EXPIRY: Duration = Duration::from_secs(300);
/// How long a file grows on before the next one is tried to be begun again, where that failed; or until it is larger by a
/// tenth of what it may be.
pub const ROTATION: Duration = Duration::from_secs(300);
/// Longest answer that is read, in bytes.
pub const ANSWER: u64 = 64 << 10;
/// Largest secret, or file of certificates, in bytes.
pub const SECRET: u64 = 1 << 20;
