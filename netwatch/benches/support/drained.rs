//! What is left of a slot when it has ended. Whoever changes how slots are drained changes this for all benchmarks.

use std::time::{Duration, Instant};

use netwatch::kernel::Watch;
use netwatch_common::entries::Entry;
use nix::time::{ClockId, clock_gettime};

/// What was drained, and how long that took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drained {
    /// Entries of sources.
    pub sources: u64,
    /// Entries of targets.
    pub targets: u64,
    /// Packets counted under a source.
    pub sourced: u64,
    /// Until no program used the tables any more.
    pub swap: Took,
    /// Until they were empty.
    pub drain: Took,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// On the clock.
    pub wall: Duration,
    /// On the processor, of this thread.
    pub cpu: Duration,
}

/// Does something and says how long it took.
///
/// # Errors
/// Its own.
pub fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Took)> {
    let cpu = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let (start, cpu_start) = (Instant::now(), cpu()?);
    let result = work()?;
    Ok((result, Took { wall: start.elapsed(), cpu: cpu()?.saturating_sub(cpu_start) }))
}

/// Ends the slot of a netwatch in this process, and empties what was counted in it.
///
/// # Errors
/// The kernel's.
pub fn end_slot(watch: &mut Watch) -> anyhow::Result<Drained> {
    let mut drained = Drained::default();
    let ((), swap) = timed(|| Ok(watch.swap()?))?;
    let ((), drain) = timed(|| {
        watch.drain(|entry| match entry {
            Entry::Source(_, counts, _) => {
                drained.sources += 1;
                drained.sourced += counts.packets();
            }
            Entry::Nobody(counts) => drained.sourced += counts.packets(),
            Entry::Target(..) | Entry::Service(..) => drained.targets += 1,
            Entry::Elsewhere(_) => {}
        });
        Ok(())
    })?;
    Ok(Drained { swap, drain, ..drained })
}
