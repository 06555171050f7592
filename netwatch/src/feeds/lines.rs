//! Lays out the boundaries of ranges as [`netwatch_common::prefixes`] reads them.

use bytemuck::Zeroable as _;
use netwatch_common::prefixes::{
    FILTER_BITS_MAX, HEAD4, HEAD6, HEADS, Head, KEYS4, KEYS6, LEVELS_MAX, LINE_BITS, Line, NO_KEY, SIGN,
    filter_bit, filtered4,
};

/// Bits of a filter for each that will be set, at least: one address in so many that are not listed passes it, until it has as
/// many as it may have.
const SPARSE: u64 = 16;

/// The lines of a set: boundaries of IPv4 and of IPv6, each in order.
pub(super) fn build(v4: &[u32], v6: &[u128]) -> Vec<Line> {
    let mut lines = vec![Line::zeroed(); HEADS as usize];
    let head = tree(&mut lines, v4, 1, KEYS4 as usize);
    // Of /24s, which are 256 apart.
    let known = ranges(v4, u32::MAX).map(|(first, last)| (filtered4(first) >> 8, filtered4(last) >> 8));
    lines[HEAD4 as usize] = with_filter(&mut lines, head, known.collect(), 8);
    let keys6: Vec<u32> = v6.iter().flat_map(|key| words(*key)).collect();
    let head = tree(&mut lines, &keys6, 4, KEYS6 as usize);
    let known = ranges(v6, u128::MAX).map(|(first, last)| (words(first)[0], words(last)[0]));
    lines[HEAD6 as usize] = with_filter(&mut lines, head, known.collect(), 0);
    lines
}

/// Appends a tree over keys of so many words, the root first, and says where its levels lie.
fn tree(lines: &mut Vec<Line>, keys: &[u32], words: usize, keys_per_line: usize) -> Head {
    if keys.is_empty() {
        return Head::zeroed();
    }
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut head = Head { sign: SIGN, ..Head::zeroed() };
    let mut levels = vec![level(keys, 1, words)];
    while levels.last().is_some_and(|above| above.len() > 1) {
        // What a line begins with is the key of the line above it: one of so many keys of the leaves.
        let step = keys_per_line.pow(u32::try_from(levels.len()).unwrap_or(u32::MAX));
        levels.push(level(keys, step, words));
    }
    debug_assert!(levels.len() <= LEVELS_MAX);
    head.levels = narrow(levels.len());
    for (start, level) in head.starts.iter_mut().zip(levels.iter().rev()) {
        *start = narrow(lines.len());
        lines.extend_from_slice(level);
    }
    head
}

/// Each `step`th key, in lines.
fn level(keys: &[u32], step: usize, words: usize) -> Vec<Line> {
    let chosen = keys.chunks_exact(words).step_by(step).flatten().copied();
    let count = keys.len() / words;
    let mut lines = vec![Line([NO_KEY; 16]); (count.div_ceil(step) * words).div_ceil(16)];
    for (place, word) in lines.iter_mut().flat_map(|line| &mut line.0).zip(chosen) {
        *place = word;
    }
    lines
}

/// Appends a filter where a tree has more than its root. It is told the first and the last of what it is to know, without
/// the `shift` bits behind them.
fn with_filter(lines: &mut Vec<Line>, mut head: Head, mut known: Vec<(u32, u32)>, shift: u32) -> Line {
    if head.levels > 1 {
        // What is the last of one range and the first of the next is there once.
        known.dedup();
        let count: u64 = known.iter().map(|(first, last)| u64::from(last - first) + 1).sum();
        let bits = count.saturating_mul(SPARSE).max(LINE_BITS.into()).next_power_of_two().ilog2();
        let bits = bits.min(FILTER_BITS_MAX);
        let start = lines.len();
        head.filter = u32::try_from(start).unwrap_or(u32::MAX);
        head.filter_shift = 32 - bits;
        lines.resize(start + (1 << bits) / LINE_BITS as usize, Line::zeroed());
        let filter: &mut [u32] = bytemuck::cast_slice_mut(&mut lines[start..]);
        if count > 1 << FILTER_BITS_MAX {
            filter.fill(u32::MAX);
        } else {
            for known in known.into_iter().flat_map(|(first, last)| first..=last) {
                let bit = filter_bit(known << shift, head.filter_shift);
                filter[(bit >> 5) as usize] |= 1 << (bit & 31);
            }
        }
    }
    bytemuck::cast(head)
}

/// First and last of the ranges between boundaries; the last one ends where all does, if no boundary ends it.
fn ranges<W: Copy + std::ops::Sub<Output = W> + From<u8>>(
    boundaries: &[W],
    end: W,
) -> impl Iterator<Item = (W, W)> {
    boundaries.chunks(2).map(move |pair| (pair[0], pair.get(1).map_or(end, |behind| *behind - W::from(1))))
}

/// The words of an address, the most significant first.
#[expect(clippy::cast_possible_truncation, reason = "it is cut into words")]
const fn words(addr: u128) -> [u32; 4] {
    [(addr >> 96) as u32, (addr >> 64) as u32, (addr >> 32) as u32, addr as u32]
}
