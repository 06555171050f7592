//! Draining interfaces, on threads of their own.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use super::Drained;
use crate::watched::Watched;

/// Drains interfaces at the same time; for good where it is the last time. Blocks for a grace period of the kernel.
pub(super) fn drain(watched: Vec<Watched>, slot: Duration, last: bool) -> Drained {
    let slot_ns = u64::try_from(slot.as_nanos()).unwrap_or(u64::MAX);
    let drain = |mut watched: Watched| {
        if last {
            watched.stop();
        }
        let (slot, error) = watched.drain(slot_ns);
        (watched, slot, error)
    };
    thread::scope(|scope| {
        let mut watched = watched.into_iter();
        // The first needs no thread but this one, which would only wait.
        let first = watched.next();
        let drains: Vec<_> = watched.map(|watched| scope.spawn(move || drain(watched))).collect();
        let first = first.map(drain);
        let resume =
            |drain: thread::ScopedJoinHandle<'_, _>| drain.join().unwrap_or_else(|why| resume_unwind(why));
        first.into_iter().chain(drains.into_iter().map(resume)).collect()
    })
}
