//! Telling at once what cannot wait for the end of its slot, at a bounded cost: see [`Hint`].

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::bpf_ringbuf_query;
use netwatch_common::{Allowance, Hint, TargetKey, Totals};

use crate::clock;
use crate::maps::{HINTS, RING_BYTES, TELLING};

/// Hints within one tick of the coarse clock that wake the reader if it has read all others: more than a scan
/// needs to be told, few enough to be no burden. An interrupt costs as much as hundreds of packets.
const WAKES_PER_TICK: u32 = 16;

/// What one CPU may still tell for the time being, and whom that wakes.
#[repr(C)]
pub struct Telling {
    allowance: Allowance,
    /// Of hints about listed addresses: those of sources that probe are told whatever these do.
    listed: Allowance,
    /// The tick of the last hint: coarse monotonic nanoseconds.
    tick_ns: u64,
    /// Hints sent in the tick.
    in_tick: u32,
}

/// A hint, but for the target.
pub struct News {
    pub kind: u32,
    pub slot: u32,
    pub number: u32,
    /// The number of the hint about probes that wakes the reader.
    pub hint_probes: u32,
    pub now: u64,
}

/// Whether the reader is so far behind that there should be room for what matters more.
#[inline(always)]
fn is_half_full() -> bool {
    // SAFETY: the map is a ring buffer; asking changes nothing.
    let unread = unsafe { bpf_ringbuf_query((&raw const HINTS).cast_mut().cast(), BPF_RB_AVAIL_DATA.into()) };
    unread > RING_BYTES as u64 / 2
}

/// Sends a hint, where the allowance lets it.
#[inline(never)]
pub fn tell(totals: &mut Totals, target: &TargetKey, news: &News) {
    let Some(telling) = TELLING.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    let telling = unsafe { &mut *telling };
    let allowance = if news.kind == Hint::LISTED { &mut telling.listed } else { &mut telling.allowance };
    if !allowance.take(news.kind, news.number, news.now, || !is_half_full()) {
        totals.hints_withheld += 1;
        return;
    }
    let Some(mut record) = HINTS.reserve(0) else {
        totals.hints_lost += 1;
        return;
    };
    if telling.tick_ns != news.now {
        telling.tick_ns = news.now;
        telling.in_tick = 0;
    }
    record.write(Hint {
        target: *target,
        kind: news.kind,
        slot: news.slot,
        number: news.number,
        at_ns: news.now,
    });
    let urgent = news.kind == Hint::PACKETS || news.number == news.hint_probes;
    // Without flags the kernel wakes the reader only where this is the first hint that it has not read. So a hint
    // that wakes nobody silences all that follow until the reader looks by itself, and one in each tick must wake
    // it whatever lies unread.
    let flags = match telling.in_tick {
        // Whoever replays looks after each packet.
        _ if clock::is_replay() => BPF_RB_NO_WAKEUP.into(),
        0 => BPF_RB_FORCE_WAKEUP.into(),
        sent if sent < WAKES_PER_TICK || urgent => 0,
        _ => BPF_RB_NO_WAKEUP.into(),
    };
    telling.in_tick += 1;
    totals.hints += 1;
    record.submit(flags);
}
