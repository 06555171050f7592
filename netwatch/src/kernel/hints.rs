//! What the kernel program tells at once: see [`Hint`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use netwatch_common::Hint;

/// Records read at a time: about as many as the ring holds.
const AT_ONCE: usize = 4096;

/// The reading end of the ring of hints. Its descriptor becomes readable when there are hints that should not
/// wait; poll it edge-triggered.
pub struct Hints(RingBuf<MapData>);

impl Hints {
    pub(super) const fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }

    /// Moves what is in the ring to the end of `into`. Returns false where it stopped because that was as much as
    /// the ring holds: then there may be more, and the descriptor need not become readable for it.
    pub fn read(&mut self, into: &mut Vec<Hint>) -> bool {
        for _ in 0..AT_ONCE {
            let Some(record) = self.0.next() else { return true };
            into.extend(bytemuck::try_pod_read_unaligned::<Hint>(&record));
        }
        false
    }
}

impl AsFd for Hints {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Hints {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
