//! What the kernel program tells at once, so that a fast attack need not wait for the end of its slot.
//!
//! A hint decides nothing: it says where to look. What is lost of them is counted and costs time, not counts.

use bytemuck::{Pod, Zeroable};

use crate::target::{Service, TargetKey};
use crate::wire::{Addr, Proto};

/// A record of the ring buffer of hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Hint {
    /// Which source did what to which target; of a hint about numbers, the packet that reached the number.
    pub target: TargetKey,
    /// One of the constants of this type.
    pub kind: u32,
    /// The slot that the packet was counted in ([`Control::slot`](crate::Control::slot)).
    pub slot: u32,
    /// [`Self::PROBE`]: how many targets the source has probed on this CPU in this slot, this one included.
    /// [`Self::PACKETS`]: how many packets that nobody asked for it has sent likewise. [`Self::LISTED`]: which way the
    /// packet went.
    pub number: u32,
    /// When: coarse monotonic nanoseconds.
    pub at_ns: u64,
}

impl Hint {
    /// The source probes a target that it has not probed on this CPU in this slot.
    pub const PROBE: u32 = 1;
    /// The source has sent as many packets that nobody asked for as may make a flood.
    pub const PACKETS: u32 = 2;
    /// A packet from or to a listed address is the first of its kind between the two in this slot: see
    /// [`ListedCounts::count`](crate::ListedCounts::count). The listed address is the target's source, whichever way the
    /// packet went; the service is the packet's.
    pub const LISTED: u32 = 3;
    /// Number of a hint about a listed address: the packet came from it.
    pub const FROM_LISTED: u32 = 1;
    /// The packet went to it.
    pub const TO_LISTED: u32 = 2;
    /// Targets of a source about which there are hints, on each CPU in each slot: beyond, the end of the slot is
    /// soon enough.
    pub const MAX_PROBES: u32 = 64;
    /// How far beyond [`Control::hint_crossing`](crate::Control::hint_crossing) hints about packets go on: a thousand
    /// SYNs may still be answered, and what comes after is told when the slot ends.
    pub const PACKETS_BEYOND: u32 = 2_048;

    /// Protocol and port of the target, where it has one.
    #[must_use]
    pub const fn port(&self) -> Option<(Proto, u16)> {
        self.target.service.port()
    }

    /// The source, or the network that it is accounted with.
    #[must_use]
    pub const fn source(&self) -> Addr {
        self.target.source
    }

    /// What of the destination the packet went to.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.target.service
    }
}

/// What one CPU may still tell for the time being of sources' first targets, or of listed addresses: a flood of forged
/// sources makes a hint for every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Allowance {
    /// When the period began: monotonic nanoseconds.
    since_ns: u64,
    /// Hints left in the period.
    left: u32,
    /// Always zero.
    padding: u32,
}

impl Allowance {
    /// Hints in each period.
    const PER_PERIOD: u32 = 256;
    /// The period, in nanoseconds.
    const PERIOD_NS: u64 = 10_000_000;
    /// The first target of a source that needs no allowance: who has probed a few is told of whatever the others do.
    const TELLING: u32 = 3;

    /// Whether a hint of a kind and a number may be sent, which is then taken off where it needs to be. `has_room` says
    /// whether the reader is not so far behind that there should be room for what matters more.
    #[inline(always)]
    pub fn take(&mut self, kind: u32, number: u32, now_ns: u64, has_room: impl FnOnce() -> bool) -> bool {
        let is_telling = kind == Hint::PROBE && number >= Self::TELLING;
        if kind == Hint::PACKETS || is_telling {
            return true;
        }
        if now_ns.wrapping_sub(self.since_ns) >= Self::PERIOD_NS {
            self.since_ns = now_ns;
            self.left = Self::PER_PERIOD;
        }
        if self.left == 0 || !has_room() {
            return false;
        }
        self.left -= 1;
        true
    }
}

const _: () = assert!(size_of::<Hint>() == 56 && align_of::<Hint>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_targets_have_an_allowance_and_later_ones_need_none() {
        let mut allowance = Allowance::default();
        let now = 1 << 40;
        let taken = (0..1000).filter(|_| allowance.take(Hint::PROBE, 1, now, || true)).count();
        assert_eq!(taken, Allowance::PER_PERIOD as usize);
        assert!(
            allowance.take(Hint::PROBE, 3, now, || true) && allowance.take(Hint::PACKETS, 1, now, || true)
        );
        assert!(!allowance.take(Hint::PROBE, 2, now + Allowance::PERIOD_NS - 1, || true));
        assert!(!allowance.take(Hint::LISTED, 7, now, || true), "whatever its number");
        assert!(allowance.take(Hint::PROBE, 2, now + Allowance::PERIOD_NS, || true));
        assert!(
            !allowance.take(Hint::PROBE, 2, now + Allowance::PERIOD_NS, || false),
            "the reader is behind"
        );
    }
}
