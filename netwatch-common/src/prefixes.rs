//! Whether an address lies in a set of prefixes: a set that is made at once, looked up in often, and never changed.
//!
//! Userspace makes disjoint ranges of all prefixes. What is kept of them are their boundaries: the first address of each
//! range, and the one behind its last. An address is in the set where the number of boundaries that are not greater is odd,
//! so what a look-up needs is that number: a static B+ tree of cache lines, of which each level holds the first keys of the
//! lines below. In front of a large tree lies a filter, so that most addresses that are not in the set cost one line.
//!
//! All of it is one array of lines, which refers to itself by index. The kernel has it in a map, userspace in a vector.
//! Line 0 is the [`Head`] of IPv4, line 1 that of IPv6.

use bytemuck::{Pod, Zeroable};

use crate::wire::Addr;

/// A cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Line(pub [u32; 16]);

/// What says where the parts of one IP version lie; it fills a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Head {
    /// The filter's first line; 0 where there is none.
    pub filter: u32,
    /// How many bits of a hash do not count in the filter: 32 less the logarithm of its bits.
    pub filter_shift: u32,
    /// Levels of the tree, 0 where there is none.
    pub levels: u32,
    /// Always [`SIGN`]: read from here and not known to the compiler, which would make branches of what is a difference's
    /// sign, and the verifier would follow each.
    pub sign: u32,
    /// The first line of each level, from the root down.
    pub starts: [u32; LEVELS_MAX],
}

/// The bit of a word of 64 that says whether a difference is less than nothing.
pub const SIGN: u32 = 63;
/// The line of the [`Head`] of IPv4.
pub const HEAD4: u32 = 0;
/// That of IPv6.
pub const HEAD6: u32 = 1;
/// Lines before everything else.
pub const HEADS: u32 = 2;
/// Keys of IPv4 in a line, each a word in the machine's order.
pub const KEYS4: u32 = 16;
/// Keys of IPv6 in a line, each of four words in the machine's order, the most significant first.
pub const KEYS6: u32 = 4;
/// Levels of a tree, at most: those of 16 million keys of IPv6.
pub const LEVELS_MAX: usize = 12;
/// Behind the last key of a line that is not full: no address that is looked up is as great.
pub const NO_KEY: u32 = u32::MAX;
/// Bits of a line.
pub const LINE_BITS: u32 = 512;
/// The logarithm of the most bits that a filter has: of IPv4 there is one for each /24 then.
pub const FILTER_BITS_MAX: u32 = 24;

/// What holds a set.
pub trait Lines {
    /// One of its lines; none beyond the last.
    fn line(&self, index: u32) -> Option<&Line>;
}

impl Lines for [Line] {
    fn line(&self, index: u32) -> Option<&Line> {
        self.get(index as usize)
    }
}

/// Whether an address is in a set. That of which all bits are 1 never is.
#[must_use]
#[inline(always)]
pub fn contains<L: Lines + ?Sized>(lines: &L, addr: &Addr) -> bool {
    let [first, second, third, last] = addr.0;
    let rank = if first == 0 && second == 0 && third == 0xffff_u32.to_be() {
        rank4(lines, u32::from_be(last))
    } else {
        let words = [u32::from_be(first), u32::from_be(second), u32::from_be(third), u32::from_be(last)];
        rank6(lines, words)
    };
    rank & 1 != 0
}

/// What the filter knows of an address of IPv4: its /24.
#[must_use]
#[inline(always)]
pub const fn filtered4(addr: u32) -> u32 {
    addr & 0xffff_ff00
}

/// The bit of a filter that stands for what it knows of an address: its /24, or its first 32 bits over IPv6. An odd factor
/// takes no two /24 to the same bit of 24.
#[must_use]
#[inline(always)]
pub const fn filter_bit(known: u32, shift: u32) -> u32 {
    known.wrapping_mul(0x9e37_79b1).wrapping_shr(shift)
}

/// How many boundaries are not greater than an address; 0, too, where the filter says that it is in no range.
#[inline(always)]
fn rank4<L: Lines + ?Sized>(lines: &L, addr: u32) -> u32 {
    let Some(head) = lines.line(HEAD4) else { return 0 };
    if !may_hold(lines, head, filtered4(addr)) {
        return 0;
    }
    descend(lines, head, KEYS4, |line, sign| line.not_above4(addr, sign))
}

#[inline(always)]
fn rank6<L: Lines + ?Sized>(lines: &L, addr: [u32; 4]) -> u32 {
    let Some(head) = lines.line(HEAD6) else { return 0 };
    if !may_hold(lines, head, addr[0]) {
        return 0;
    }
    descend(lines, head, KEYS6, |line, sign| line.not_above6(addr, sign))
}

/// Whether the bit of the filter is set that stands for an address, or there is no filter.
#[inline(always)]
fn may_hold<L: Lines + ?Sized>(lines: &L, head: &Line, known: u32) -> bool {
    let first = head.0[0];
    if first == 0 {
        return true;
    }
    let bit = filter_bit(known, head.0[1]);
    lines.line(first + (bit >> 9)).is_some_and(|line| line.0[(bit >> 5 & 15) as usize] >> (bit & 31) & 1 != 0)
}

/// From the root to a leaf; `count` says how many keys of a line are not greater than what is looked for.
#[inline(always)]
fn descend<L: Lines + ?Sized>(lines: &L, head: &Line, keys: u32, count: impl Fn(&Line, u32) -> u32) -> u32 {
    let (levels, sign) = (head.0[2], head.0[3]);
    let (mut rank, mut level) = (0, 0);
    while level < LEVELS_MAX && level < levels as usize {
        // Where it goes on is the last line of the level of which the first key is not greater.
        let above = if level == 0 { 0 } else { rank - 1 };
        let Some(line) = lines.line(head.0[(4 + level) & 15] + above) else { return 0 };
        let found = count(line, sign);
        if found == 0 {
            return 0;
        }
        rank = above * keys + found;
        level += 1;
    }
    rank
}

impl Line {
    /// Keys that are not greater than an address. Without branches: the sign of a difference counts.
    #[inline(always)]
    fn not_above4(&self, addr: u32, sign: u32) -> u32 {
        let behind = u64::from(addr) + 1;
        let (mut count, mut index) = (0, 0);
        while index < KEYS4 as usize {
            count += u64::from(self.0[index]).wrapping_sub(behind).wrapping_shr(sign);
            index += 1;
        }
        narrow(count)
    }

    /// Likewise: the borrow of a subtraction, word by word from the least significant one.
    #[inline(always)]
    fn not_above6(&self, addr: [u32; 4], sign: u32) -> u32 {
        let (mut count, mut index) = (0, 0);
        while index < KEYS6 as usize {
            let key = index * 4;
            let mut borrow = 1;
            let mut word = 4;
            while word > 0 {
                word -= 1;
                let difference = u64::from(self.0[key + word]).wrapping_sub(u64::from(addr[word]));
                borrow = difference.wrapping_sub(borrow).wrapping_shr(sign);
            }
            count += borrow;
            index += 1;
        }
        narrow(count)
    }
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "a line has 16 keys at most")]
const fn narrow(count: u64) -> u32 {
    count as u32
}

const _: () = assert!(size_of::<Line>() == 64 && size_of::<Head>() == 64);
const _: () = assert!(core::mem::offset_of!(Head, levels) == 8 && core::mem::offset_of!(Head, starts) == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_greater_are_counted() {
        let mut line = Line([NO_KEY; 16]);
        line.0[..3].copy_from_slice(&[0, 7, 0x8000_0000]);
        for (addr, count) in
            [(0, 1), (6, 1), (7, 2), (0x7fff_ffff, 2), (0x8000_0000, 3), (NO_KEY - 1, 3), (NO_KEY, 16)]
        {
            assert_eq!(line.not_above4(addr, SIGN), count, "{addr:#x}");
        }
        let mut line = Line([NO_KEY; 16]);
        line.0[..8].copy_from_slice(&[0, 0, 0, 1, 7, 0, NO_KEY, 0]);
        for (addr, count) in [
            ([0; 4], 0),
            ([0, 0, 0, 1], 1),
            ([6, NO_KEY, NO_KEY, NO_KEY], 1),
            ([7, 0, NO_KEY - 1, NO_KEY], 1),
            ([7, 0, NO_KEY, 0], 2),
            ([NO_KEY, NO_KEY, NO_KEY, NO_KEY - 1], 2),
        ] {
            assert_eq!(line.not_above6(addr, SIGN), count, "{addr:x?}");
        }
    }

    #[test]
    fn nothing_is_in_a_set_without_lines() {
        let addr = Addr::from(core::net::Ipv4Addr::new(192, 0, 2, 1));
        assert!(!contains(&[][..], &addr));
        assert!(!contains(&[Line::zeroed(); 2][..], &addr));
    }
}
