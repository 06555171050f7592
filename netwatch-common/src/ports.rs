//! Which ports a source probed, where its targets found no room: sets that never count a port that was not.

use bytemuck::{Pod, Zeroable};

use crate::target::Techniques;
use crate::wire::Proto;

/// Which bit of a [`PortSet`] a port has.
///
/// The seed is secret and chosen anew at each load, so that nobody outside can choose ports that share a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct PortHash(u64);

impl PortHash {
    /// The hash of a seed, which should be random.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The bit of a port: a number below [`PortSet::BITS`].
    #[must_use]
    #[inline(always)]
    pub const fn bit(self, port: u16) -> u32 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        // The top bits of a product with a secret factor would do for one port; the second round hides how the
        // bits of neighbouring ports differ.
        let mixed = (port as u64 ^ self.0 >> 48).wrapping_mul(self.0 | 1);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(ODD);
        (mixed >> (u64::BITS - Self::WIDTH)) as u32
    }

    /// Bits of a bit's number.
    const WIDTH: u32 = 10;
}

/// Words of a set's bits.
const WORDS: usize = 16;

/// A set of ports in little room: exact about no port but the first ones, and never larger than what went in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PortSet {
    /// A bit for each port that went in; some ports share one.
    pub bits: [u64; WORDS],
    /// Ports that went in, each with a bit that was not set before: the first [`kept`](Self::kept) of these.
    first: [u16; PortSet::FIRST],
    /// How many ports are kept as they are.
    kept: u32,
    /// How the ports were probed; whoever inserts them adds to it.
    pub techniques: Techniques,
}

impl PortSet {
    /// How many bits there are.
    pub const BITS: u32 = 1 << PortHash::WIDTH;
    /// How many ports are kept as they are.
    pub const FIRST: usize = 16;

    /// A set of no ports.
    pub const ZERO: Self =
        Self { bits: [0; WORDS], first: [0; Self::FIRST], kept: 0, techniques: Techniques::NONE };

    /// Adds a port. Returns whether it is new for certain; one that shares its bit with another seems not to be.
    #[inline(always)]
    pub fn insert(&mut self, hash: PortHash, port: u16) -> bool {
        let bit = hash.bit(port);
        let word = &mut self.bits[(bit >> 6) as usize & (WORDS - 1)];
        let mask = 1 << (bit & 63);
        if *word & mask != 0 {
            return false;
        }
        *word |= mask;
        if (self.kept as usize) < Self::FIRST {
            self.first[self.kept as usize & (Self::FIRST - 1)] = port;
            self.kept += 1;
        }
        true
    }

    /// Whether the bit of a port is set: the port may be in it, and one without is not.
    #[must_use]
    pub const fn may_hold(&self, hash: PortHash, port: u16) -> bool {
        let bit = hash.bit(port);
        self.bits[(bit >> 6) as usize & (WORDS - 1)] & 1 << (bit & 63) != 0
    }

    /// How many ports went in at least.
    #[must_use]
    pub fn distinct(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether no port went in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// Some of the ports that went in, as they are: all of them, or [`FIRST`](Self::FIRST). Where several sets were
    /// united, the lowest that those had.
    #[must_use]
    pub fn first_ports(&self) -> &[u16] {
        self.first.get(..self.kept as usize).unwrap_or(&self.first)
    }

    /// Adds the ports of a set of the same hash. In which order several are united does not matter.
    pub fn union(&mut self, other: &Self) {
        for (mine, theirs) in self.bits.iter_mut().zip(other.bits) {
            *mine |= theirs;
        }
        self.techniques = self.techniques.union(other.techniques);
        let mut all = [0; 2 * Self::FIRST];
        let mut len = 0;
        for port in self.first_ports().iter().chain(other.first_ports()) {
            if let Some(free) = all.get_mut(len) {
                *free = *port;
                len += 1;
            }
        }
        let all = all.get_mut(..len).unwrap_or_default();
        all.sort_unstable();
        (self.first, self.kept) = ([0; Self::FIRST], 0);
        let mut last = None;
        for port in all {
            if last == Some(*port) {
                continue;
            }
            last = Some(*port);
            if let Some(free) = self.first.get_mut(self.kept as usize) {
                *free = *port;
                self.kept += 1;
            }
        }
    }
}

/// The ports that one source probed, by protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Ports {
    /// Of TCP.
    pub tcp: PortSet,
    /// Of UDP.
    pub udp: PortSet,
}

impl Ports {
    /// No ports.
    pub const ZERO: Self = Self { tcp: PortSet::ZERO, udp: PortSet::ZERO };

    /// Those of one protocol.
    #[must_use]
    pub const fn of(&self, proto: Proto) -> &PortSet {
        match proto {
            Proto::Tcp => &self.tcp,
            Proto::Udp => &self.udp,
        }
    }

    /// Those of one protocol, to be added to.
    #[inline(always)]
    pub const fn of_mut(&mut self, proto: Proto) -> &mut PortSet {
        match proto {
            Proto::Tcp => &mut self.tcp,
            Proto::Udp => &mut self.udp,
        }
    }

    /// Adds the ports of sets of the same hash.
    pub fn union(&mut self, other: &Self) {
        self.tcp.union(&other.tcp);
        self.udp.union(&other.udp);
    }

    /// How many ports went in at least.
    #[must_use]
    pub fn distinct(&self) -> u32 {
        self.tcp.distinct() + self.udp.distinct()
    }

    /// Whether no port went in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty()
    }
}

const _: () = assert!(size_of::<PortSet>() == 168 && align_of::<PortSet>() == 8);
const _: () = assert!(size_of::<Ports>() == 336);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that look random, always the same.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }
    }

    fn set(hash: PortHash, ports: impl IntoIterator<Item = u16>) -> PortSet {
        let mut set = PortSet::ZERO;
        for port in ports {
            set.insert(hash, port);
        }
        set
    }

    /// How many of a hundred thousand scans of `count` ports seem to be of ten or fewer.
    fn missed(count: u16, port: fn(&mut Numbers, u16) -> u16) -> u32 {
        let mut numbers = Numbers(7);
        let mut missed = 0;
        for _ in 0..100_000 {
            let (hash, start) = (PortHash::new(numbers.next()), numbers.next());
            let mut from = Numbers(start);
            let ports = set(hash, (0..count).map(|index| port(&mut from, index)));
            missed += u32::from(ports.distinct() <= 10);
        }
        missed
    }

    #[test]
    fn scans_are_missed_as_rarely_as_the_model_says() {
        // 5.2 %, 0.17 % and less than 0.01 %: of neighbours, and of ports a step apart, as scanners choose them.
        let choices: [fn(&mut Numbers, u16) -> u16; 3] =
            [|_, index| index + 1, |_, index| index * 1_000 + 22, |_, index| 1 << index | 1 << 15];
        for choose in choices {
            let missed = [11, 12, 13].map(|count| missed(count, choose));
            assert!((4_700..=5_800).contains(&missed[0]), "{missed:?}");
            assert!((100..=250).contains(&missed[1]) && missed[2] < 25, "{missed:?}");
        }
    }

    #[test]
    fn every_bit_has_its_share_of_ports() {
        for seed in [1, 0x0123_4567_89ab_cdef, u64::MAX, 0xfeed_0000_0000_0001] {
            let mut ports = [0_u32; PortSet::BITS as usize];
            for port in 0..=u16::MAX {
                ports[PortHash::new(seed).bit(port) as usize] += 1;
            }
            let (least, most) = (ports.iter().min().unwrap(), ports.iter().max().unwrap());
            assert!(*least >= 20 && *most <= 130, "{seed:#x}: {least} to {most} of 64");
        }
    }

    #[test]
    fn the_first_ports_are_kept_as_they_are() {
        let hash = PortHash::new(99);
        let mut ports = PortSet::ZERO;
        assert!(ports.is_empty() && ports.insert(hash, 0) && !ports.insert(hash, 0));
        assert_eq!((ports.first_ports(), ports.distinct(), ports.is_empty()), (&[0][..], 1, false));
        let ports = set(hash, (0..=u16::MAX).rev());
        assert_eq!((ports.distinct(), ports.first_ports().len()), (PortSet::BITS, PortSet::FIRST));
        assert_eq!(ports.first_ports()[0], u16::MAX);
        assert!(ports.may_hold(hash, 7) && !PortSet::ZERO.may_hold(hash, 7));

        let mut ports = Ports::ZERO;
        ports.of_mut(Proto::Udp).insert(hash, 53);
        assert_eq!((ports.distinct(), ports.of(Proto::Tcp).is_empty()), (1, true));
        assert!(!ports.is_empty());
    }

    proptest! {
        #[test]
        fn no_port_is_counted_that_did_not_go_in(
            seed in any::<u64>(),
            ports in prop::collection::vec(any::<u16>(), 0..400),
        ) {
            let hash = PortHash::new(seed);
            let set = set(hash, ports.iter().copied());
            let mut distinct = ports.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let bits = set.distinct() as usize;
            prop_assert!(bits <= distinct.len() && (bits > 0 || distinct.is_empty()));
            prop_assert_eq!(set.first_ports().len(), bits.min(PortSet::FIRST));
            prop_assert!(set.first_ports().iter().all(|port| ports.contains(port)));
            prop_assert!(ports.iter().all(|port| set.may_hold(hash, *port)));
        }

        #[test]
        fn sets_unite_in_any_order(
            seed in any::<u64>(),
            lists in prop::collection::vec(prop::collection::vec(0..60_u16, 0..24), 3),
        ) {
            let hash = PortHash::new(seed);
            let [a, b, c] = [0, 1, 2].map(|index| set(hash, lists[index].iter().copied()));
            let united = |mut left: PortSet, right: &PortSet| {
                left.union(right);
                left
            };
            let all = united(united(a, &b), &c);
            prop_assert_eq!(all, united(a, &united(b, &c)));
            prop_assert_eq!(all, united(united(c, &b), &a));
            prop_assert_eq!(all, united(all, &b));
            prop_assert_eq!(all.bits, set(hash, lists.concat()).bits);
            prop_assert!(all.first_ports().len() >= (all.distinct() as usize).min(PortSet::FIRST));
            prop_assert!(all.first_ports().iter().all(|port| lists.concat().contains(port)));
        }
    }
}
