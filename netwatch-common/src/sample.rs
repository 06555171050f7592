//! Packets that leave the kernel, and what is counted of those that do not.
//!
//! A record of the ring buffer of samples is a [`Sample`] and then bytes of the frame, from its link header on.

use bytemuck::{Pod, Zeroable};

use crate::verdict::Verdict;

/// What precedes the bytes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Sample {
    /// When: monotonic nanoseconds.
    pub at_ns: u64,
    /// Bytes of the packet, link header included, frame check sequence not. Of what the stack has put together from
    /// several packets, or will take apart, the whole.
    pub wire_len: u32,
    /// Bytes of it that follow.
    pub captured: u32,
    /// Where the payload of TCP or UDP begins, in bytes; 0 where there is no whole header.
    pub payload_at: u32,
    /// The VLAN tag that the kernel has taken out of the frame: its protocol in bits 16 to 31, its control field in bits
    /// 0 to 15. 0 where there was none.
    pub vlan: u32,
    /// What the packet is: a [`Verdict`].
    pub verdict: u8,
    /// [`Self::IN`] or [`Self::OUT`].
    pub direction: u8,
    /// Who wants it: of the constants of this type.
    pub purpose: u8,
    /// Which side of its flow has sent it: [`Self::CLIENT`], [`Self::SERVER`], [`Self::EITHER`]; 0 where nobody asks.
    pub side: u8,
    /// Always zero.
    pub padding: [u8; 4],
}

impl Sample {
    /// The host has received it.
    pub const IN: u8 = 0;
    /// The host sends it.
    pub const OUT: u8 = 1;
    /// The side that began the flow.
    pub const CLIENT: u8 = 1;
    /// The other one.
    pub const SERVER: u8 = 2;
    /// One of both: nobody knows which.
    pub const EITHER: u8 = 3;
    /// `netwatch watch` shows it.
    pub const WATCH: u8 = 0;
    /// Its payload is looked into. It may be evidence, too: both bits are set then.
    pub const PAYLOAD: u8 = 1;
    /// It is kept as evidence of an incident.
    pub const EVIDENCE: u8 = 2;

    /// A record of the ring, taken apart. `None` where it is none.
    #[must_use]
    pub fn read(record: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = record.split_at_checked(size_of::<Self>())?;
        let sample: Self = bytemuck::pod_read_unaligned(head);
        // The kernel rounds no record's length up, but nothing depends on that.
        rest.get(..sample.captured as usize).map(|frame| (sample, frame))
    }

    /// What the packet is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        bytemuck::checked::try_cast(self.verdict).unwrap_or(Verdict::IpOther)
    }

    /// Protocol and control field of the VLAN tag that the kernel has taken out of the frame.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
    pub const fn tag(&self) -> Option<(u16, u16)> {
        if self.vlan == 0 { None } else { Some(((self.vlan >> 16) as u16, self.vlan as u16)) }
    }
}

/// One CPU's counts of what a live view has come by; never reset. What was seen did not match, or is in exactly one of
/// the counts behind [`matched`](Self::matched).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct WatchTotals {
    /// Packets that passed.
    pub seen: u64,
    /// Those that the filter let through: all, where there is none.
    pub matched: u64,
    /// Those that are not one of so many.
    pub sampled_out: u64,
    /// Those beyond the packets in a time that may be shown.
    pub rate_limited: u64,
    /// Those that the ring had no room for.
    pub ring_full: u64,
    /// Those handed to userspace.
    pub shown: u64,
}

impl WatchTotals {
    /// Adds another CPU's counts.
    pub fn add(&mut self, other: &Self) {
        let words = bytemuck::cast_slice_mut::<Self, u64>(core::slice::from_mut(self));
        for (mine, theirs) in
            words.iter_mut().zip(bytemuck::cast_slice::<Self, u64>(core::slice::from_ref(other)))
        {
            *mine += theirs;
        }
    }

    /// Packets that the filter did not let through. Right once no program runs any more.
    #[must_use]
    pub const fn filtered_out(&self) -> u64 {
        self.seen.saturating_sub(self.matched)
    }
}

/// Words of the map that says whose payload is looked into: a bit for each port, of TCP and then of UDP.
pub const INSPECTED_WORDS: u32 = 2 * 65_536 / 64;

/// Sources of which packets are wanted at once.
pub const WANTED_MAX: u32 = 256;

/// How many packets of a source are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Wanted {
    /// How many more.
    pub left: u32,
    /// Always zero.
    pub padding: u32,
}

/// So many packets in each period of time, for all CPUs together: a word that they share holds the number of the period,
/// and in its last bits how many packets it has had.
pub struct Rate;

impl Rate {
    /// Bits of the word that count packets.
    const BITS: u32 = 24;
    /// The period of what a program sends of its own accord, in nanoseconds: 100 ms.
    pub const PERIOD_NS: u64 = 100_000_000;
    /// Most packets in a period.
    pub const MOST: u32 = (1 << Self::BITS) - 1;

    /// What the word is to be after one more packet in a period, where that may have so many; `None` where it has had
    /// them.
    #[must_use]
    #[inline(always)]
    pub const fn take(word: u64, period: u64, packets: u32) -> Option<u64> {
        let begun = period << Self::BITS;
        if word >> Self::BITS != begun >> Self::BITS {
            return if packets == 0 { None } else { Some(begun | 1) };
        }
        if word & Self::MOST as u64 >= packets as u64 { None } else { Some(word + 1) }
    }
}

const _: () = assert!(size_of::<Sample>() == 32 && align_of::<Sample>() == 8);
const _: () = assert!(size_of::<WatchTotals>() == 48);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_header_and_as_many_bytes_as_it_says() {
        let sample = Sample { captured: 3, verdict: Verdict::Arp as u8, ..Sample::default() };
        let mut record = [0; 40];
        record[..32].copy_from_slice(bytemuck::bytes_of(&sample));
        record[32..35].copy_from_slice(b"abc");
        assert_eq!(Sample::read(&record), Some((sample, &b"abc"[..])));
        assert_eq!(Sample::read(&record[..34]), None);
        assert_eq!(Sample::read(&record[..31]), None);
        assert_eq!(sample.verdict(), Verdict::Arp);
        assert_eq!(Sample { verdict: 255, ..sample }.verdict(), Verdict::IpOther);
    }

    #[test]
    fn a_tag_has_a_protocol_and_a_control_field() {
        let tagged = Sample { vlan: 0x8100_2005, ..Sample::default() };
        assert_eq!(tagged.tag(), Some((0x8100, 0x2005)));
        assert_eq!(Sample { vlan: 0x88a8_0000, ..tagged }.tag(), Some((0x88a8, 0)));
        assert_eq!(Sample::default().tag(), None);
    }

    #[test]
    fn every_period_has_as_many_packets_as_it_may_have() {
        let mut word = 0;
        for period in [0, 1, 2, 7, 1 << 39, (1 << 40) + 3] {
            let mut taken = 0;
            while let Some(next) = Rate::take(word, period, 5) {
                word = next;
                taken += 1;
            }
            assert_eq!(taken, 5, "period {period}");
        }
        assert_eq!(Rate::take(0, 9, 0), None);
        assert_eq!(Rate::take(Rate::MOST.into(), 0, Rate::MOST), None);
    }

    #[test]
    fn totals_add_up() {
        let mut sum = WatchTotals { seen: 5, matched: 2, ..WatchTotals::default() };
        sum.add(&WatchTotals { seen: 1, matched: 1, shown: 1, ..WatchTotals::default() });
        assert_eq!((sum.seen, sum.matched, sum.shown, sum.filtered_out()), (6, 3, 1, 3));
    }
}
