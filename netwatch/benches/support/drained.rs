//! What is left of a slot when it has ended. Whoever changes how slots are drained changes this for all benchmarks.

use std::time::{Duration, Instant};

use netwatch::kernel::Watch;

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
    pub swap: Duration,
    /// Until they were empty.
    pub drain: Duration,
}

/// Ends the slot of a netwatch in this process, and empties what was counted in it.
///
/// # Errors
/// The kernel's.
pub fn end_slot(watch: &mut Watch) -> anyhow::Result<Drained> {
    let mut drained = Drained::default();
    let start = Instant::now();
    watch.swap()?;
    drained.swap = start.elapsed();
    let start = Instant::now();
    watch.drain(
        |_, cpus| {
            drained.sources += 1;
            drained.sourced += cpus.iter().map(netwatch_common::SourceCounts::packets).sum::<u64>();
        },
        |_, _| drained.targets += 1,
    )?;
    drained.drain = start.elapsed();
    Ok(drained)
}
