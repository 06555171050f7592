//! Every bound on what is kept as evidence, by name.

use core::time::Duration;

/// Files that packets are added to at once: as many as there can be sources of which packets are wanted on one interface.
pub const FILES_OPEN: usize = netwatch_common::sample::WANTED_MAX as usize;

/// For how long after its incident began a file takes packets, in nanoseconds of their clock.
pub const FILE_NS: u64 = 60_000_000_000;

/// Packets that may wait to be written. Each has 2 KiB at most, as long as nobody samples more of it.
pub const QUEUE: usize = 2_048;

/// How long whoever asks for a file waits for the disk at most.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// How long the last packets may take to be written when netwatch stops.
pub const LAST_PACKETS: Duration = Duration::from_secs(3);

/// How often the directory is looked through, for files that are too old or too many.
pub const SWEEP: Duration = Duration::from_secs(60);

/// Entries of the directory that are looked at in one sweep; the next one sees what is left then.
pub const ENTRIES: usize = 1_000_000;

/// How often netwatch says at most that something cannot be kept for the same reason.
pub const COMPLAINTS: Duration = Duration::from_secs(60);
