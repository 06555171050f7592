//! Packets that leave the kernel: see [`Sample`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use bytemuck::AnyBitPattern;
use netwatch_common::{Frame, Sample};

/// Name of the ring in the object.
pub(super) const RING: &str = "SAMPLES";

/// The reading end of the ring of samples. Its descriptor becomes readable when there are some, but the kernel does not
/// wake a reader for each: one that has read some looks again soon, until it finds none.
pub struct Samples(RingBuf<MapData>);

impl Samples {
    pub(super) const fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }

    /// Hands over what is in the ring, at most so many packets of it. Returns how many.
    pub fn read(&mut self, most: usize, mut each: impl FnMut(&Sample, &[u8])) -> usize {
        for read in 0..most {
            let Some(record) = self.0.next() else { return read };
            if let Some((sample, frame)) = Sample::read(&record) {
                each(&sample, frame);
            }
        }
        most
    }
}

impl AsFd for Samples {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Samples {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The bytes at hand of a packet that may be longer, for the parser.
pub struct Captured<'a> {
    bytes: &'a [u8],
    wire_len: usize,
}

impl<'a> Captured<'a> {
    /// What came with a sample.
    #[must_use]
    pub const fn new(sample: &Sample, bytes: &'a [u8]) -> Self {
        Self { bytes, wire_len: sample.wire_len as usize }
    }
}

impl Frame for Captured<'_> {
    fn read<T: AnyBitPattern>(&self, offset: usize) -> Option<T> {
        self.bytes.read(offset)
    }

    fn len(&self) -> usize {
        self.wire_len
    }
}
