//! The entries of one feed, sorted so that an address finds those that hold it; and all of them as the set that the kernel
//! looks packets up in.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lines;

/// An address as a number.
pub trait Width: Copy + Ord {
    /// Its bits.
    const BITS: u8;
    /// Of 128 bits at most.
    fn of(number: u128) -> Self;
    /// As a number.
    fn number(self) -> u128;
    /// As an address.
    fn addr(self) -> IpAddr;

    /// All bits behind the first `bits`.
    fn host_mask(bits: u8) -> u128 {
        let behind = u32::from(Self::BITS.saturating_sub(bits));
        if behind >= 128 { u128::MAX } else { (1 << behind) - 1 }
    }
}

impl Width for u32 {
    const BITS: u8 = 32;

    #[expect(clippy::cast_possible_truncation, reason = "callers give 32 bits")]
    fn of(number: u128) -> Self {
        number as Self
    }

    fn number(self) -> u128 {
        self.into()
    }

    fn addr(self) -> IpAddr {
        Ipv4Addr::from_bits(self).into()
    }
}

impl Width for u128 {
    const BITS: u8 = 128;

    fn of(number: u128) -> Self {
        number
    }

    fn number(self) -> u128 {
        self
    }

    fn addr(self) -> IpAddr {
        Ipv6Addr::from_bits(self).into()
    }
}

/// A prefix of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<W> {
    /// Its first address.
    pub first: W,
    /// How many bits all its addresses share.
    pub bits: u8,
    /// The line that it stands in, or its number in a document, from 1 on.
    pub line: u32,
    /// Number of what the line says about it, from 1 on; 0 is nothing.
    pub comment: u32,
    /// The position of the narrowest other entry that holds this one.
    parent: u32,
}

/// No position.
const NONE: u32 = u32::MAX;

impl<W: Width> Entry<W> {
    /// A prefix; bits of `first` behind the first `bits` must be 0.
    #[must_use]
    pub const fn new(first: W, bits: u8, line: u32, comment: u32) -> Self {
        Self { first, bits, line, comment, parent: NONE }
    }

    /// Its last address.
    #[must_use]
    pub fn last(&self) -> W {
        W::of(self.first.number() | W::host_mask(self.bits))
    }
}

/// Address and length, like `192.0.2.0/24`; an address alone where it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Its first address.
    pub first: IpAddr,
    /// How many bits all its addresses share.
    pub bits: u8,
}

impl Prefix {
    /// Whether an address lies in it. IPv4 must not be written as IPv6.
    #[must_use]
    pub fn holds(&self, addr: IpAddr) -> bool {
        match (self.first, addr) {
            (IpAddr::V4(first), IpAddr::V4(addr)) => {
                (first.to_bits() ^ addr.to_bits()) & !<u32 as Width>::of(u32::host_mask(self.bits)) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(addr)) => {
                (first.to_bits() ^ addr.to_bits()) & !u128::host_mask(self.bits) == 0
            }
            _ => false,
        }
    }
}

impl Display for Prefix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let most = if self.first.is_ipv4() { 32 } else { 128 };
        if self.bits == most { self.first.fmt(f) } else { write!(f, "{}/{}", self.first, self.bits) }
    }
}

/// Entries of one IP version, each prefix once, in the order of their first addresses.
#[derive(Clone, Debug)]
pub struct Sorted<W>(Vec<Entry<W>>);

impl<W> Default for Sorted<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<W: Width> Sorted<W> {
    /// Sorts entries. Of those that are there twice the first stays. Returns how many went.
    #[must_use]
    pub fn new(mut entries: Vec<Entry<W>>) -> (Self, usize) {
        let before = entries.len();
        // Those that hold others come before them. A file that is sorted already costs one pass.
        entries.sort_by_key(|entry| (entry.first, entry.bits));
        entries.dedup_by_key(|entry| (entry.first, entry.bits));
        entries.shrink_to_fit();
        let mut open: Vec<u32> = Vec::new();
        for at in 0..entries.len() {
            let first = entries[at].first;
            while open.last().is_some_and(|parent| entries[*parent as usize].last() < first) {
                open.pop();
            }
            entries[at].parent = open.last().copied().unwrap_or(NONE);
            open.push(u32::try_from(at).unwrap_or(NONE));
        }
        let gone = before - entries.len();
        (Self(entries), gone)
    }

    /// The narrowest entry that holds an address.
    #[must_use]
    pub fn find(&self, addr: W) -> Option<&Entry<W>> {
        // All that hold it begin before it, and of those that do, each holds the last one or has ended.
        let behind = self.0.partition_point(|entry| entry.first <= addr);
        let mut at = behind.checked_sub(1)?;
        loop {
            let entry = self.0.get(at)?;
            if addr <= entry.last() {
                return Some(entry);
            }
            at = entry.parent as usize;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First and last addresses of the entries that no other one holds, in order.
    fn outer(&self) -> impl Iterator<Item = (W, W)> {
        self.0.iter().filter(|entry| entry.parent == NONE).map(|entry| (entry.first, entry.last()))
    }
}

/// Both IP versions.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// IPv4.
    pub v4: Sorted<u32>,
    /// IPv6.
    pub v6: Sorted<u128>,
}

impl Set {
    /// The narrowest entry that holds an address: the prefix, its line and the number of its comment.
    #[must_use]
    pub fn find(&self, addr: IpAddr) -> Option<(Prefix, u32, u32)> {
        fn found<W: Width>(entry: &Entry<W>) -> (Prefix, u32, u32) {
            (Prefix { first: entry.first.addr(), bits: entry.bits }, entry.line, entry.comment)
        }
        match addr.to_canonical() {
            IpAddr::V4(addr) => self.v4.find(addr.to_bits()).map(found),
            IpAddr::V6(addr) => self.v6.find(addr.to_bits()).map(found),
        }
    }

    /// Entries of both versions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The addresses of all sets but for those that are never listed, as the kernel looks them up: see
/// [`netwatch_common::prefixes`].
#[must_use]
pub fn flatten<'a>(
    sets: impl Iterator<Item = &'a Set> + Clone,
    never: &[Prefix],
) -> Vec<netwatch_common::prefixes::Line> {
    let v4 = boundaries(sets.clone().flat_map(|set| set.v4.outer()).collect(), ranges(never));
    let v6 = boundaries(sets.flat_map(|set| set.v6.outer()).collect(), ranges(never));
    lines::build(&v4, &v6)
}

/// Ranges of one IP version.
fn ranges<W: Width>(prefixes: &[Prefix]) -> Vec<(W, W)> {
    let of_version = prefixes.iter().filter(|prefix| prefix.first.is_ipv4() == (W::BITS == 32));
    let range = |prefix: &Prefix| {
        let first = match prefix.first {
            IpAddr::V4(addr) => addr.to_bits().into(),
            IpAddr::V6(addr) => addr.to_bits(),
        };
        let behind = W::host_mask(prefix.bits);
        (W::of(first & !behind), W::of(first | behind))
    };
    of_version.map(range).collect()
}

/// Where membership changes, going through all addresses from the first on.
fn boundaries<W: Width>(listed: Vec<(W, W)>, never: Vec<(W, W)>) -> Vec<W> {
    let (listed, never) = (disjoint(listed), disjoint(never));
    let mut boundaries = Vec::with_capacity(listed.len() * 2);
    let last_of_all = W::host_mask(0);
    let mut never = never.into_iter().peekable();
    for (first, last) in listed {
        let last = last.number();
        let mut next = Some(first.number());
        while never.next_if(|(_, end)| *end < first).is_some() {}
        while let Some(from) = next
            && let Some((begin, end)) = never.peek().map(|(begin, end)| (begin.number(), end.number()))
            && begin <= last
        {
            if from < begin {
                boundaries.extend([W::of(from), W::of(begin)]);
            }
            next = end.checked_add(1).filter(|next| *next <= last);
            // What goes on behind this range may hold some of the next one, too.
            if next.is_some() {
                never.next();
            }
        }
        if let Some(from) = next {
            boundaries.push(W::of(from));
            boundaries.extend((last != last_of_all).then(|| W::of(last + 1)));
        }
    }
    boundaries
}

/// Sorts ranges, and makes one of those that overlap or touch.
fn disjoint<W: Width>(mut ranges: Vec<(W, W)>) -> Vec<(W, W)> {
    ranges.sort_unstable();
    let mut merged: Vec<(W, W)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first.number() <= end.number().saturating_add(1) => *end = (*end).max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
