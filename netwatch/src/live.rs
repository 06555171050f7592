//! What the kernel program tells before a slot ends: hints, and the maps to look into.

use std::io;
use std::time::Duration;

use netwatch_common::{Addr, Hint, ListedCounts, ListedKey, Ports, TargetKey};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::analysis::{InterfaceId, Look, SourceStats, TargetStats};
use crate::clock;
use crate::kernel::{Hints, Reader};

/// How long after hints were read the next ones are looked for. The kernel wakes the reader for the first hint of a
/// tick of its coarse clock (1 to 10 ms) and for those that cannot wait, not for each.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// How long at most, where only a source is to be looked at that came near a threshold and there are no hints.
const LOOK_AT_LAST: Duration = Duration::from_millis(64);

/// Hints read at a time, at most but for one ring: what comes after them waits for the next look.
const AT_ONCE: usize = 16_384;

/// The hints of one interface.
pub struct Live {
    /// The interface's number in the analysis.
    pub id: InterfaceId,
    hints: AsyncFd<Hints>,
    maps: Maps,
    look_again: Option<Instant>,
    /// How long it was until this look.
    pause: Duration,
    /// What was read last.
    read: Vec<Hint>,
}

/// The maps of the slot that is being counted, as the analysis looks into them.
pub struct Maps(pub Reader);

impl Live {
    /// Follows the hints of an interface.
    ///
    /// # Errors
    ///
    /// The runtime cannot wait for them.
    pub fn new(id: InterfaceId, hints: Hints, maps: Reader) -> io::Result<Self> {
        // SAFETY: the descriptor belongs to `hints`, which the registration owns: it is open as long as that is.
        let hints = unsafe { AsyncFd::register_with_interest(hints, Interest::READABLE) }?;
        Ok(Self { id, hints, maps: Maps(maps), look_again: None, pause: LOOK_AGAIN, read: Vec::new() })
    }

    /// Waits until there may be hints.
    pub async fn wait(&mut self) {
        tokio::select! {
            ready = self.hints.readable() => match ready {
                Ok(mut ready) => ready.clear_ready(),
                // The runtime is about to end.
                Err(_) => std::future::pending().await,
            },
            () = clock::at(self.look_again) => {}
        }
    }

    /// Reads the hints that are there.
    pub fn read(&mut self) {
        self.read.clear();
        while !self.hints.get_mut().read(&mut self.read) && self.read.len() < AT_ONCE {}
    }

    /// The hints that were read last, and the maps to look into.
    pub fn hints(&mut self) -> (&[Hint], &mut impl Look) {
        (&self.read, &mut self.maps)
    }

    /// What was counted so far of the listed addresses that these hints tell of, each slot and pair once.
    #[must_use]
    pub fn listed(&self) -> Vec<(u32, ListedKey, ListedCounts)> {
        let of_listed = self.read.iter().filter(|hint| hint.kind == Hint::LISTED);
        let mut pairs: Vec<_> = of_listed
            .map(|hint| (hint.slot, ListedKey { remote: hint.target.source, local: hint.target.dest }))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        let look = |(slot, key)| Some((slot, key, self.maps.0.listed(slot, &key)?));
        pairs.into_iter().filter_map(look).collect()
    }

    /// Sets when to look again: soon where there were hints, later and later where there were none but a source is
    /// near a threshold, and otherwise when the kernel wakes the reader.
    pub fn schedule(&mut self, is_near: bool) {
        self.pause = if self.read.is_empty() { (self.pause * 2).min(LOOK_AT_LAST) } else { LOOK_AGAIN };
        let looks = is_near || !self.read.is_empty();
        self.look_again = looks.then(|| Instant::now() + self.pause);
    }
}

impl Look for Maps {
    fn source(&mut self, slot: u32, source: Addr) -> Option<SourceStats> {
        self.0.source(slot, source).map(SourceStats::from_cpus)
    }

    fn target(&mut self, slot: u32, target: &TargetKey) -> Option<TargetStats> {
        self.0.target(slot, target).map(TargetStats::from_cpus)
    }

    fn ports(&mut self, slot: u32, source: Addr) -> Option<Ports> {
        self.0.ports(slot, source)
    }
}
