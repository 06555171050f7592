//! The live view: shows packets as they pass, no more of them than it may.
//!
//! It hangs on the hooks of the stack (tcx, clsact), so that it works beside a program that has the XDP hook. A packet is
//! counted, goes through the filter, which userspace makes of what the user typed and puts into [`NEXT`], and then it is
//! shown, unless it is not one of so many, or there were too many.

use aya_ebpf::{
    EbpfContext as _, Global,
    bindings::__sk_buff,
    btf_maps::{Array, PerCpuArray, ProgramArray},
    macros::btf_map,
    programs::TcContext,
};
use netwatch_common::sample::Rate;
use netwatch_common::{Packet, Replies, Sample, Verdict, WatchTotals, classify};

use crate::count::{READ, forgotten_verdict, read};
use crate::maps::{CONTROL, PACKET, settings};
use crate::samples::{Copied, scratch};
use crate::{clock, flows};

/// What follows, by direction: the filter, or the program that shows where there is none; and behind both, the programs
/// that show, for the filters.
#[btf_map]
static NEXT: ProgramArray<4> = ProgramArray::new();

/// Counts of everything since the programs were loaded.
#[btf_map]
static WATCHED: PerCpuArray<WatchTotals, 1> = PerCpuArray::new();

/// Packets that this CPU leaves out before it shows the next one.
#[btf_map]
static SKIP: PerCpuArray<u32, 1> = PerCpuArray::new();

/// How many packets were shown lately: the word of [`Rate`].
#[btf_map]
static SHOWN: Array<u64, 1> = Array::new();

/// Most bytes of a packet that are shown. Frozen before the programs are verified, as are those that follow.
#[unsafe(no_mangle)]
static SHOW_BYTES: Global<u32> = Global::new(256);
/// Of how many packets one is shown.
#[unsafe(no_mangle)]
static SHOW_ONE_OF: Global<u32> = Global::new(1);
/// Packets that may be shown in each period; there is no bound where the period is 0.
#[unsafe(no_mangle)]
static SHOW_PACKETS: Global<u32> = Global::new(0);
/// The period, in nanoseconds.
#[unsafe(no_mangle)]
static SHOW_PERIOD_NS: Global<u64> = Global::new(0);

/// Bytes of a packet that are copied at least, for its headers: they are parsed in the copy.
const HEADERS: u32 = 512;
/// How often a packet may find that another CPU was faster, before it is one too many: there is room for few of them then.
const TRIES: u32 = 4;

/// Counts a packet and hands it on. A failing call of the next program leaves it at that.
#[inline(always)]
pub fn enter(ctx: &TcContext, direction: u8) {
    let Some(totals) = totals() else { return };
    totals.seen += 1;
    // SAFETY: nothing here has anything to drop.
    unsafe { NEXT.tail_call(ctx, direction.into()) };
}

/// Shows a packet that has passed the filter, or counts why not.
#[inline(always)]
pub fn show(ctx: &TcContext, direction: u8) {
    let Some(totals) = totals() else { return };
    totals.matched += 1;
    if SHOW_ONE_OF.load() > 1 && !is_its_turn() {
        totals.sampled_out += 1;
        return;
    }
    if !is_within_rate() {
        totals.rate_limited += 1;
        return;
    }
    let Some(scratch) = scratch() else { return };
    let most = SHOW_BYTES.load();
    let copied = scratch.copy(ctx, if most < HEADERS { HEADERS } else { most });
    let (verdict, payload_at) = judge(ctx, &copied, direction);
    let sample = scratch.sample();
    sample.payload_at = payload_at;
    sample.vlan = tag(ctx);
    sample.verdict = verdict as u8;
    sample.direction = direction;
    sample.purpose = Sample::WATCH;
    sample.side = 0;
    if scratch.send(&copied, most) {
        totals.shown += 1;
    } else {
        totals.ring_full += 1;
    }
}

/// What the packet is, and where its payload begins. What the host sends belongs to a flow that it knows.
#[inline(always)]
fn judge(ctx: &TcContext, copied: &Copied, direction: u8) -> (Verdict, u32) {
    if read(copied) != READ {
        return (forgotten_verdict(), 0);
    }
    let Some(packet) = PACKET.get_ptr(0) else { return (Verdict::IpOther, 0) };
    // SAFETY: the value belongs to this CPU, and was just written.
    let packet = unsafe { &*packet };
    let replies = if direction == Sample::OUT { Replies::Known } else { replies(ctx, packet) };
    (classify(packet, &settings(), replies), packet.transport.payload_offset)
}

/// What is known of the flow of an incoming packet. A call of its own for the sake of the stack.
#[inline(never)]
fn replies(ctx: &TcContext, packet: &Packet) -> Replies {
    let Some(control) = CONTROL.get_ptr(0) else { return Replies::Unknown };
    // SAFETY: the pointer is to a live value of the map, which userspace has written before there were packets.
    flows::look_up::<_, false>(ctx, packet, &settings(), unsafe { &*control }, clock::now()).replies
}

/// Whether this packet is the one of so many, on this CPU.
#[inline(always)]
fn is_its_turn() -> bool {
    let Some(skip) = SKIP.get_ptr_mut(0) else { return false };
    // SAFETY: as in `totals`.
    let skip = unsafe { &mut *skip };
    if *skip > 0 {
        *skip -= 1;
        return false;
    }
    *skip = SHOW_ONE_OF.load() - 1;
    true
}

/// Whether one more packet may be shown now. Where there is no more room the shared word is only read, so that CPUs under a
/// flood do not fight for it. Linux 5.12.
#[inline(always)]
fn is_within_rate() -> bool {
    let period_ns = SHOW_PERIOD_NS.load();
    if period_ns == 0 {
        return true;
    }
    let period = clock::now() / period_ns;
    let Some(word) = SHOWN.get_ptr_mut(0) else { return false };
    for _ in 0..TRIES {
        // SAFETY: the pointer is to a live value of the map, to which nobody writes in another way than below.
        let before = unsafe { word.read_volatile() };
        let Some(after) = Rate::take(before, period, SHOW_PACKETS.load()) else { return false };
        // SAFETY: as above.
        if unsafe { replace(word, before, after) } {
            return true;
        }
    }
    false
}

/// Writes a word where it still is what it was. `core` has no such call for a target that had no such instruction once.
///
/// # Safety
/// The word must be valid for reading and writing, and aligned.
#[inline(always)]
unsafe fn replace(word: *mut u64, before: u64, after: u64) -> bool {
    let mut found = before;
    // SAFETY: as the caller says.
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({word} + 0, r0, {after})",
            word = in(reg) word,
            after = in(reg) after,
            inout("r0") found,
            options(nostack),
        );
    }
    found == before
}

/// The VLAN tag that lies beside the frame and not in it.
#[inline(always)]
fn tag(ctx: &TcContext) -> u32 {
    let skb = ctx.as_ptr().cast::<__sk_buff>();
    // SAFETY: the context is the program's own.
    unsafe {
        if (*skb).vlan_present == 0 {
            return 0;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it has 16 bits, as it lies on the wire")]
        let protocol = u16::from_be((*skb).vlan_proto as u16);
        u32::from(protocol) << 16 | (*skb).vlan_tci & 0xffff
    }
}

#[inline(always)]
fn totals() -> Option<&'static mut WatchTotals> {
    // SAFETY: the value belongs to this CPU, and the hooks run with bottom halves off.
    WATCHED.get_ptr_mut(0).map(|totals| unsafe { &mut *totals })
}
