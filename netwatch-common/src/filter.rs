//! Who was seen lately: a Bloom filter in blocks of one cache line, which forgets as it fills.

use bytemuck::{Pod, Zeroable};

use crate::clear::clear;

/// One block: what it is asked costs one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Block {
    /// Bits, but for the last word: when the block was written last ([`Guard::epoch`]).
    words: [u64; 8],
}

impl Block {
    const EPOCH: usize = 7;

    /// Takes note of what has these random bits, and returns whether that had been done in this epoch: it always says so
    /// where it was, and rarely where it was not (some in a thousand when the epoch ends).
    #[inline(always)]
    pub fn show(&mut self, epoch: u32, bits: u64) -> bool {
        if self.words[Self::EPOCH] != u64::from(epoch) {
            clear(self);
            self.words[Self::EPOCH] = u64::from(epoch);
        }
        let mask = 1 << (bits & 63) | 1 << (bits >> 6 & 63) | 1 << (bits >> 12 & 63) | 1 << (bits >> 18 & 63);
        // Nearly a seventh of them each.
        let any = bits >> 24 & 7;
        let word = if any == 7 { bits >> 27 & 3 } else { any };
        let word = &mut self.words[(word & 7) as usize];
        let is_known = *word & mask == mask;
        *word |= mask;
        is_known
    }
}

/// The age of one CPU's filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Guard {
    /// Which filling it is; what was noted in earlier ones is forgotten. Blocks that were never written say 0.
    epoch: u32,
    /// Sources that were noted since it began.
    noted: u32,
}

impl Guard {
    /// Sources noted per block in an epoch: each sets up to eight bits of 448, so that at its end a sixth to a quarter
    /// of them is set.
    const PER_BLOCK: u32 = 16;

    /// Takes note that a source is looked for in a filter of so many blocks and one more, and returns the epoch.
    #[inline(always)]
    pub const fn ask(&mut self, blocks: u32) -> u32 {
        self.noted = self.noted.wrapping_add(1);
        if self.epoch == 0 || self.noted > blocks.saturating_mul(Self::PER_BLOCK) {
            self.epoch = self.epoch.wrapping_add(1);
            self.noted = 0;
        }
        self.epoch
    }
}

/// Sources that userspace wants to have an entry in any case: a Bloom filter of two bits for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Suspects {
    words: [u64; 8],
}

impl Suspects {
    /// Parts that it comes in: with a thousand sources, one other in 60,000 is taken for one of them.
    pub const PARTS: u32 = 1024;

    /// Which part tells of a source with these random bits.
    #[must_use]
    #[inline(always)]
    pub const fn part(bits: u64) -> u32 {
        (bits >> 54) as u32 & (Self::PARTS - 1)
    }

    /// Whether a source with these random bits is one of them.
    #[must_use]
    #[inline(always)]
    pub const fn has(&self, bits: u64) -> bool {
        let mask = Self::mask(bits);
        self.words[(bits >> 45 & 7) as usize] & mask == mask
    }

    /// Adds a source.
    pub const fn add(&mut self, bits: u64) {
        self.words[(bits >> 45 & 7) as usize] |= Self::mask(bits);
    }

    const fn mask(bits: u64) -> u64 {
        1 << (bits >> 33 & 63) | 1 << (bits >> 39 & 63)
    }
}

const _: () = assert!(size_of::<Block>() == 64);
