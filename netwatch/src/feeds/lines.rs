//! Lays out the boundaries of ranges as [`netwatch_common::prefixes`] reads them.

use bytemuck::Zeroable as _;
use netwatch_common::prefixes::{
    FILTER4_LINES, FILTER6_LINES, HEAD4, HEAD6, HEADS, Head, KEYS4, KEYS6, LEVELS_MAX, Line, NO_KEY, SIGN,
    filter4_bit, filter6_bit,
};

/// Trees of so many levels have a filter in front of them: smaller ones lie in the fastest cache, and are not much slower
/// than it.
const FILTER_LEVELS: usize = 4;
/// What is set of a filter at most for one range: of a wider one, everything is.
const WIDEST: u128 = 1 << 24;

/// The lines of a set: boundaries of IPv4 and of IPv6, each in order.
pub(super) fn build(v4: &[u32], v6: &[u128]) -> Vec<Line> {
    let mut lines = vec![Line::zeroed(); HEADS as usize];
    let head = tree(&mut lines, v4, 1, KEYS4 as usize);
    lines[HEAD4 as usize] = with_filter(&mut lines, head, FILTER4_LINES, |set| {
        for (first, last) in ranges(v4, u32::MAX) {
            (filter4_bit(first)..=filter4_bit(last)).for_each(&mut *set);
        }
    });
    let keys6: Vec<u32> = v6.iter().flat_map(|key| words(*key)).collect();
    let head = tree(&mut lines, &keys6, 4, KEYS6 as usize);
    lines[HEAD6 as usize] = with_filter(&mut lines, head, FILTER6_LINES, |set| {
        for (first, last) in ranges(v6, u128::MAX) {
            let (first, last) = (words(first)[0], words(last)[0]);
            if u128::from(last - first) >= WIDEST {
                (0..FILTER6_LINES * 512).for_each(&mut *set);
            } else {
                (first..=last).map(filter6_bit).for_each(&mut *set);
            }
        }
    });
    lines
}

/// Appends a tree over keys of so many words, the root first, and says where its levels lie.
fn tree(lines: &mut Vec<Line>, keys: &[u32], words: usize, keys_per_line: usize) -> Head {
    if keys.is_empty() {
        return Head::zeroed();
    }
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut head = Head { keys: narrow(keys.len() / words), sign: SIGN, ..Head::zeroed() };
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

/// Appends a filter where the tree is large; `fill` sets its bits.
fn with_filter(
    lines: &mut Vec<Line>,
    mut head: Head,
    filter_lines: u32,
    fill: impl FnOnce(&mut dyn FnMut(u32)),
) -> Line {
    if head.levels as usize >= FILTER_LEVELS {
        let start = lines.len();
        head.filter = u32::try_from(start).unwrap_or(u32::MAX);
        lines.resize(start + filter_lines as usize, Line::zeroed());
        let filter: &mut [u32] = bytemuck::cast_slice_mut(&mut lines[start..]);
        fill(&mut |bit| filter[(bit >> 5) as usize] |= 1 << (bit & 31));
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
