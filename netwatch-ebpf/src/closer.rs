//! A closer look at a packet that is counted: whether feeds list its addresses, and whether it is to be looked into.
//!
//! It is a program of its own, to which those that count go on: the verifier follows each by itself, and who wants none of
//! it loads none of it.

use aya_ebpf::{
    EbpfContext,
    btf_maps::{PerCpuArray, ProgramArray},
    macros::btf_map,
};
use netwatch_common::{Control, Kind, Packet, Replies, Sample, Sight, Verdict};

use crate::count::checked;
use crate::maps::{CONTROL, JOB, PACKET, TOTALS};
use crate::samples::Bytes;
use crate::{feeds, inspect};

/// The program that looks closer at what is received. One array for each kind of program: the kernel wants it so.
#[btf_map]
static CLOSER: ProgramArray<1> = ProgramArray::new();

/// The one that looks closer at what is sent.
#[btf_map]
static CLOSER_SENT: ProgramArray<1> = ProgramArray::new();

/// What is known of the packet at hand, beside [`PACKET`] and [`JOB`].
#[btf_map]
static NOTE: PerCpuArray<Note, 1> = PerCpuArray::new();

/// Its sender sent nothing on its flow before.
pub const FIRST: u32 = 1;
/// Its payload is one of the first of its flow, and its sender's side is in the bits from here on: see [`Sample`].
pub const SIDE: u32 = 1;
/// The bits of the side, of which none is set where the payload is not looked into.
pub const PAYLOAD: u32 = 3 << SIDE;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Note {
    pub bytes: u64,
    pub now_ns: u64,
    pub slot: u32,
    /// [`FIRST`] and [`PAYLOAD`], as bits.
    pub about: u32,
}

/// What there is to know of a packet that is received: of connections the first payload is looked into, and over UDP what
/// answers nothing.
#[inline(always)]
pub fn about(packet: &Packet, sight: Sight, control: &Control, is_first: bool) -> u32 {
    let asks = matches!(packet.transport.kind, Kind::Udp)
        && packet.transport.payload_len > 0
        && !matches!(sight.replies, Replies::Known)
        && control.samples != 0;
    // Who asks over UDP began; where flags tell replies, anything may be one.
    let asker = if matches!(sight.replies, Replies::ByFlags) { Sample::EITHER } else { Sample::CLIENT };
    let side = if asks { u32::from(asker) } else { sight.inspect & 3 };
    u32::from(is_first) * FIRST + (side << SIDE)
}

/// Whether a packet of which there is this to know is to be looked at more closely.
#[inline(always)]
pub fn is_wanted(control: &Control, about: u32) -> bool {
    feeds::are_loaded(control) || about & PAYLOAD != 0 || inspect::are_wanted(control)
}

/// Writes down what the next program needs to know.
#[inline(always)]
pub fn note(slot: u32, about: u32, bytes: u64, now_ns: u64) {
    let Some(note) = NOTE.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and neither program interrupts itself or the other.
    let note = unsafe { &mut *note };
    note.bytes = bytes;
    note.now_ns = now_ns;
    note.slot = slot;
    note.about = about;
}

/// Goes on to the program that looks closer at what is received. Where there is none, that is all.
#[inline(always)]
pub fn look<C: EbpfContext>(ctx: &C) {
    // SAFETY: nothing here has anything to drop.
    unsafe { CLOSER.tail_call(ctx, 0) };
}

/// The same for what is sent.
#[inline(always)]
pub fn look_at_sent<C: EbpfContext>(ctx: &C) {
    // SAFETY: as above.
    unsafe { CLOSER_SENT.tail_call(ctx, 0) };
}

/// Looks closer at a packet that was received and counted.
#[inline(always)]
pub fn received(bytes: &impl Bytes) {
    let (Some(totals), Some(packet), Some(job)) = (TOTALS.get_ptr_mut(0), PACKET.get_ptr(0), JOB.get_ptr(0))
    else {
        return;
    };
    let (Some(note), Some(control)) = (NOTE.get_ptr(0), CONTROL.get_ptr(0)) else { return };
    // SAFETY: all but the last belong to this CPU, and no XDP program interrupts another; to the last one userspace may
    // write, a word at a time.
    let (totals, packet, job, note, control) = unsafe { (&mut *totals, &*packet, &*job, &*note, &*control) };
    let verdict = checked(&job.seen.verdict);
    if note.about & PAYLOAD != 0 || inspect::are_wanted(control) {
        inspect::received(bytes, packet, verdict as u8, note.about, totals);
    }
    if feeds::are_loaded(control) {
        feeds::received(totals, packet, &job.seen, note.slot, note.about & FIRST);
    }
}

/// Looks closer at a packet that is sent, and belongs to a flow that the host knows.
#[inline(always)]
pub fn sent(bytes: &impl Bytes) {
    let (Some(totals), Some(packet)) = (TOTALS.get_ptr_mut(0), PACKET.get_ptr(0)) else { return };
    let (Some(note), Some(control)) = (NOTE.get_ptr(0), CONTROL.get_ptr(0)) else { return };
    // SAFETY: as above; the egress hook runs with bottom halves off, so that no XDP program comes between.
    let (totals, packet, note, control) = unsafe { (&mut *totals, &*packet, &*note, &*control) };
    if note.about & PAYLOAD != 0 || inspect::are_wanted(control) {
        inspect::sent(bytes, packet, Verdict::Known as u8, note.about, totals);
    }
    if feeds::are_loaded(control) {
        feeds::sent(totals, packet, note);
    }
}
