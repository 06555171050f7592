//! Finding an entry by its key: an index of cache lines, each a list of positions in a slab of entries.
//!
//! Entries are appended to their slab in the order in which they come, so that what was counted is drained in one walk;
//! the index says where the entry of a key lies. A look-up costs one line of the index and the entry. A line is stamped
//! with the slot that it was used in, so nothing has to be cleared when a slot ends.

use bytemuck::{Pod, Zeroable};

use crate::clear::clear;
use crate::target::Service;
use crate::wire::Addr;

/// One cache line of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Line {
    /// The slot that the entries belong to.
    slot: u32,
    /// Part of the key's hash in the upper bits, and the position in the slab in the lower ones; 0 is none. Those
    /// that are none come last.
    entries: [u32; Line::WAYS],
}

impl Line {
    /// Entries of a line. With a third as many on average as there are when the slab is full, one in 60,000 does not fit
    /// (Poisson).
    pub const WAYS: usize = 15;
    /// Most entries of a slab, the first of which, at position 0, has no key.
    pub const POSITIONS: u32 = 1 << Self::POSITION_BITS;

    const POSITION_BITS: u32 = 20;

    /// Looks from a way on for a position that is entered with the hash's tag. Another key may have the same: where it turns
    /// out so, look on from the way that is returned.
    #[inline(always)]
    pub fn find(&self, slot: u32, hash: Hash, from: u32) -> Option<(u32, u32)> {
        if self.slot != slot {
            return None;
        }
        let mut way = from;
        while let Some(entry) = self.entries.get(way as usize)
            && *entry != 0
        {
            if *entry & !(Self::POSITIONS - 1) == hash.tag() {
                return Some((*entry & (Self::POSITIONS - 1), way + 1));
            }
            way += 1;
        }
        None
    }

    /// All positions that are entered with the hash's tag.
    pub fn positions(&self, slot: u32, hash: Hash) -> impl Iterator<Item = u32> {
        let mut from = 0;
        core::iter::from_fn(move || {
            let (position, next) = self.find(slot, hash, from)?;
            from = next;
            Some(position)
        })
    }

    /// Enters a position. Returns whether there was room, which there is for none beyond [`Self::POSITIONS`].
    #[inline(always)]
    pub fn enter(&mut self, slot: u32, hash: Hash, position: u32) -> bool {
        if self.slot != slot {
            clear(self);
            self.slot = slot;
        }
        if position >= Self::POSITIONS {
            return false;
        }
        let Some(free) = self.entries.iter_mut().find(|entry| **entry == 0) else { return false };
        *free = hash.tag() | position;
        true
    }
}

/// The hash of a key: of 64 bits, the upper ones are the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(u64);

impl Hash {
    /// Which of a number of lines that is a power of two, given as that number less one.
    #[must_use]
    #[inline(always)]
    pub const fn line(self, mask: u32) -> u32 {
        (self.0 >> 32) as u32 & mask
    }

    /// Bits for other uses, which tell nothing of the line.
    #[must_use]
    #[inline(always)]
    pub const fn mixed(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    }

    /// The bits that are kept with a position.
    #[inline(always)]
    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32 & !(Line::POSITIONS - 1)
    }
}

/// Secret factors of the hash of a source. Two keys have the same sum with a chance of one in 2³³ at most, whatever keys they
/// are, as long as nobody knows the factors: multilinear hashing is universal (Lemire and Kaser, "Strongly universal
/// string hashing is fast", 2014).
pub type SourceFactors = [u64; 5];
/// Those of the hash of a target.
pub type TargetFactors = [u64; 7];

/// Spreads what is next to each other: keys are often numbered one after the other, and a sum of products keeps them at
/// equal distances. What was different stays so.
#[inline(always)]
pub(crate) const fn mix(sum: u64) -> u64 {
    (sum ^ (sum >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

impl Hash {
    /// The hash of a source. `factor` gives each of the [`SourceFactors`].
    #[must_use]
    #[inline(always)]
    pub fn of_source(factor: impl Fn(usize) -> u64, Addr([a, b, c, d]): &Addr) -> Self {
        // Nothing is kept for later but the sum: in the kernel program, registers are few.
        let mut sum = factor(0);
        sum = sum.wrapping_add(factor(1).wrapping_mul((*a).into()));
        sum = sum.wrapping_add(factor(2).wrapping_mul((*b).into()));
        sum = sum.wrapping_add(factor(3).wrapping_mul((*c).into()));
        sum = sum.wrapping_add(factor(4).wrapping_mul((*d).into()));
        Self(mix(sum))
    }

    /// The hash of what a source at a position sends to. `factor` gives each of the [`TargetFactors`].
    #[must_use]
    #[inline(always)]
    pub fn of_target(
        factor: impl Fn(usize) -> u64,
        source: u32,
        Addr([a, b, c, d]): &Addr,
        service: Service,
    ) -> Self {
        let mut sum = factor(0);
        sum = sum.wrapping_add(factor(1).wrapping_mul((*a).into()));
        sum = sum.wrapping_add(factor(2).wrapping_mul((*b).into()));
        sum = sum.wrapping_add(factor(3).wrapping_mul((*c).into()));
        sum = sum.wrapping_add(factor(4).wrapping_mul((*d).into()));
        sum = sum.wrapping_add(factor(5).wrapping_mul(source.into()));
        sum = sum.wrapping_add(factor(6).wrapping_mul(service.number().into()));
        Self(mix(sum))
    }
}

const _: () = assert!(size_of::<Line>() == 64);
