//! The edge to the clocks. The kernel program stamps packets with the monotonic clock, people read the other.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Monotonic nanoseconds: the clock of `bpf_ktime_get_coarse_ns`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    u64::try_from(read(ClockId::CLOCK_MONOTONIC)).unwrap_or(0)
}

/// What to add to monotonic nanoseconds to get nanoseconds since the epoch. It changes when the clock is set.
#[must_use]
pub fn wall_offset_ns() -> i64 {
    i64::try_from(read(ClockId::CLOCK_REALTIME) - read(ClockId::CLOCK_MONOTONIC)).unwrap_or(0)
}

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Waits for an instant; for ever where there is none.
pub async fn at(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn read(clock: ClockId) -> i128 {
    // Neither clock can fail on Linux.
    clock_gettime(clock)
        .map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}
