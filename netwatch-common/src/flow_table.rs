//! The table of flows: lines of four, of which a flow may lie in two.
//!
//! A flow is found by a hash of 62 bits with secret factors instead of its key, so an entry takes 16 bytes, and a look-up
//! one cache line, or two where it is not there. Where both lines are full of flows that are known, the one that was sent
//! on least lately makes room, and is counted. All CPUs share the table: there is no lock, words are written whole, and
//! the worst that comes of two CPUs that enter flows into the same place at once is that one of them is not known.

use bytemuck::{Pod, Zeroable};

use crate::flow::{Flow, FlowKey};
use crate::index::mix;

/// Secret factors of the hash of a flow; see [`index`](crate::index).
pub type FlowFactors = [u64; 11];

/// The hash of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHash(u64);

impl FlowHash {
    /// Of a key. `factor` gives each of the [`FlowFactors`].
    #[must_use]
    #[inline(always)]
    pub fn of(factor: impl Fn(usize) -> u64, key: &FlowKey) -> Self {
        let mut sum = factor(0);
        let mut next = 1;
        // Words of a key by themselves, not as a list: it would lie on the stack.
        let mut add = |word: u32| {
            sum = sum.wrapping_add(factor(next).wrapping_mul(word.into()));
            next += 1;
        };
        let (remote, local) = (&key.remote.0, &key.local.0);
        add(remote[0]);
        add(remote[1]);
        add(remote[2]);
        add(remote[3]);
        add(local[0]);
        add(local[1]);
        add(local[2]);
        add(local[3]);
        add(key.ports());
        add(key.proto());
        Self(mix(sum))
    }

    /// The two lines of a table of so many and one more, which are a power of two.
    #[inline(always)]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits")]
    pub const fn lines(self, mask: u32) -> [u32; 2] {
        let other = (self.0 ^ (self.0 >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [(self.0 >> 32) as u32 & mask, (other >> 32) as u32 & mask]
    }

    const fn tag(self) -> u64 {
        self.0 & !Entry::STATE
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct FlowLine {
    entries: [Entry; 4],
}

/// A flow, or none where all is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    /// The hash; in the last two bits how far the handshake has come, and one more.
    tag: u64,
    /// When this host sent last, in ticks of [`Flow::TICK_BITS`], which wrap after three days.
    sent: u32,
    answer: u32,
}

impl Entry {
    const STATE: u64 = 3;

    #[inline(always)]
    const fn is_known(&self, now_ns: u64) -> bool {
        self.tag != 0 && self.age(now_ns) <= KNOWN_TICKS
    }

    #[allow(clippy::cast_possible_truncation, reason = "it wraps, and the state has two bits")]
    const fn age(&self, now_ns: u64) -> u32 {
        ((now_ns >> Flow::TICK_BITS) as u32).wrapping_sub(self.sent)
    }
}

/// How long a flow is known, in ticks.
#[allow(clippy::cast_possible_truncation, reason = "two minutes are two million")]
const KNOWN_TICKS: u32 = (Flow::KNOWN_NS >> Flow::TICK_BITS) as u32;
/// More than any age of a flow that is known.
const FREE: u32 = KNOWN_TICKS + 1;

/// The table, or what of it there is.
pub trait Flows {
    /// Its lines, less one.
    fn lines(&self) -> u32;
    /// A line.
    fn line(&mut self, line: u32) -> Option<&mut FlowLine>;
}

/// Where a flow lies: its line and its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowPlace {
    line: u32,
    way: u32,
}

impl FlowLine {
    /// Flows in a line.
    pub const WAYS: u32 = 4;

    #[inline(always)]
    fn find(&self, hash: FlowHash, now_ns: u64) -> Option<u32> {
        let mut way = 0;
        while way < Self::WAYS {
            let entry = &self.entries[(way & 3) as usize];
            if entry.tag & !Entry::STATE == hash.tag() && entry.is_known(now_ns) {
                return Some(way);
            }
            way += 1;
        }
        None
    }

    /// The way to enter another flow into, and how good a place that is: where flows are not known any more, the more of
    /// them the better; where all are, the age of the oldest in ticks.
    #[inline(always)]
    fn stalest(&self, now_ns: u64) -> (u32, u32) {
        let (mut stalest, mut most, mut free) = (0, 0, 0);
        let mut way = 0;
        while way < Self::WAYS {
            let entry = &self.entries[(way & 3) as usize];
            let is_free = !entry.is_known(now_ns);
            free += u32::from(is_free);
            let age = if is_free { FREE } else { entry.age(now_ns) };
            if age > most {
                (stalest, most) = (way, age);
            }
            way += 1;
        }
        (stalest, most + free)
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "the state has two bits")]
    fn flow(&self, way: u32, now_ns: u64) -> Flow {
        let entry = &self.entries[way as usize & 3];
        let sent_tick = (now_ns >> Flow::TICK_BITS).wrapping_sub(entry.age(now_ns).into());
        Flow {
            sent_ns: sent_tick << Flow::TICK_BITS,
            handshake: ((entry.tag & Entry::STATE) as u32).wrapping_sub(1),
            answer: entry.answer,
        }
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "it wraps")]
    fn set(&mut self, way: u32, hash: FlowHash, flow: &Flow) {
        let entry = &mut self.entries[way as usize & 3];
        entry.sent = (flow.sent_ns >> Flow::TICK_BITS) as u32;
        entry.answer = flow.answer;
        entry.tag = hash.tag() | u64::from(flow.handshake + 1) & Entry::STATE;
    }
}

/// Finds a flow, as long as it is [known](Flow::is_known).
#[inline(always)]
pub fn find<F: Flows>(flows: &mut F, hash: FlowHash, now_ns: u64) -> Option<(FlowPlace, Flow)> {
    let [first, second] = hash.lines(flows.lines());
    if let Some(found) = find_in(flows, first, hash, now_ns) {
        return Some(found);
    }
    find_in(flows, second, hash, now_ns)
}

#[inline(always)]
fn find_in<F: Flows>(flows: &mut F, line: u32, hash: FlowHash, now_ns: u64) -> Option<(FlowPlace, Flow)> {
    let entries = flows.line(line)?;
    let way = entries.find(hash, now_ns)?;
    Some((FlowPlace { line, way }, entries.flow(way, now_ns)))
}

/// Writes what has become of a flow that was found.
#[inline(always)]
pub fn update<F: Flows>(flows: &mut F, place: FlowPlace, hash: FlowHash, flow: &Flow) {
    if let Some(line) = flows.line(place.line) {
        line.set(place.way, hash, flow);
    }
}

/// Enters a flow that was not found. Returns whether one that is known still had to make room for it.
#[inline(always)]
pub fn enter<F: Flows>(flows: &mut F, hash: FlowHash, flow: &Flow, now_ns: u64) -> bool {
    let [first, second] = hash.lines(flows.lines());
    let in_first = flows.line(first).map(|line| line.stalest(now_ns));
    let in_second = flows.line(second).map(|line| line.stalest(now_ns));
    let (Some((way, age)), Some((other_way, other_age))) = (in_first, in_second) else { return true };
    let (line, way, age) = if other_age > age { (second, other_way, other_age) } else { (first, way, age) };
    update(flows, FlowPlace { line, way }, hash, flow);
    age < FREE
}

const _: () = assert!(size_of::<FlowLine>() == 64);

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::wire::{Addr, Proto};

    const SECOND: u64 = 1_000_000_000;

    impl Flows for Vec<FlowLine> {
        fn lines(&self) -> u32 {
            u32::try_from(self.len() - 1).unwrap()
        }
        fn line(&mut self, line: u32) -> Option<&mut FlowLine> {
            self.get_mut(line as usize)
        }
    }

    fn key(number: u32) -> FlowKey {
        let port = u16::try_from(number & 0xffff).unwrap();
        FlowKey::new(Addr::from_v4_word(number >> 16), 443, Addr::from_v4_word(1), port, Proto::Tcp)
    }

    fn hash(number: u32) -> FlowHash {
        let factor = |index: usize| {
            let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
        };
        FlowHash::of(factor, &key(number))
    }

    fn flow(sent_ns: u64, handshake: u32) -> Flow {
        Flow { sent_ns: Flow::tick(sent_ns), handshake, answer: 7 }
    }

    #[test]
    fn what_was_entered_is_found_as_it_was() {
        let mut table = vec![FlowLine::zeroed(); 1 << 15];
        for number in 0..60_000 {
            assert_eq!(find(&mut table, hash(number), SECOND), None);
            assert!(
                !enter(&mut table, hash(number), &flow(SECOND, number % 3), SECOND),
                "{number}: half full"
            );
        }
        let later = 100 * SECOND;
        for number in 0..60_000 {
            let (place, found) = find(&mut table, hash(number), later).unwrap();
            assert_eq!(found, flow(SECOND, number % 3));
            update(&mut table, place, hash(number), &flow(later, 2));
        }
        assert!((0..60_000).all(|number| find(&mut table, hash(number), later).unwrap().1 == flow(later, 2)));
        assert_eq!(find(&mut table, hash(60_001), later), None);
    }

    #[test]
    fn a_full_table_forgets_what_was_sent_on_least_lately_and_counts_what_was_known() {
        let mut table = vec![FlowLine::zeroed(); 64];
        let evicted = (0..512).filter(|number| {
            let now_ns = u64::from(*number) * SECOND / 10;
            enter(&mut table, hash(*number), &flow(now_ns, 0), now_ns)
        });
        let evicted = evicted.count();
        let left: Vec<_> =
            (0..512).filter(|number| find(&mut table, hash(*number), 52 * SECOND).is_some()).collect();
        assert_eq!(left.len() + evicted, 512);
        assert!((250..=256).contains(&left.len()), "{} of 256 places in use", left.len());
        assert!(left.iter().filter(|number| **number >= 312).count() >= 190, "the youngest stay");
        // Those that are not known any more make room without a word.
        let now_ns = 400 * SECOND;
        assert!(!(1000..1100).any(|number| enter(&mut table, hash(number), &flow(now_ns, 0), now_ns)));
    }
}
