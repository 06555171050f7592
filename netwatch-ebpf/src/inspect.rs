//! Packets that userspace is to look into: the first payload of new flows, and what the source of an incident sends on.
//!
//! Both are copies, of a bounded number in a time, so that neither a flood nor an attacker can make them cost much.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, PerCpuArray},
    macros::btf_map,
};
use netwatch_common::limits::INSPECTED_BYTES;
use netwatch_common::sample::{INSPECTED_WORDS, Rate, WANTED_MAX, Wanted};
use netwatch_common::{Addr, Control, Kind, Packet, Sample, Totals};

use crate::clock;
use crate::closer::{PAYLOAD, SIDE};
use crate::maps::CONTROL;
use crate::samples::{Bytes, scratch};

/// Ports whose payload is looked into, a bit for each: those of TCP, then those of UDP.
#[btf_map]
pub static INSPECTED: Array<u64, { INSPECTED_WORDS as usize }, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Sources of which packets are wanted, with how many.
#[btf_map]
pub static WANTED: HashMap<Addr, Wanted, { WANTED_MAX as usize }> = HashMap::new();

/// How many sources there are of which packets are wanted. Userspace writes to it by mapping it, so that most packets need
/// not be looked for there.
#[btf_map]
pub static WANTING: Array<u64, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// How many samples this CPU had lately of each kind: of connections that were seen to begin, and of what anybody can send.
#[btf_map]
static HAD: PerCpuArray<Had, 1> = PerCpuArray::new();

#[repr(C)]
struct Had {
    connections: u64,
    others: u64,
    evidence: u64,
}

/// Packets that this CPU may send as evidence in each period.
const EVIDENCE: u32 = 1_000;

/// Sends what is wanted of a packet that is received. A call of its own for the sake of the stack.
#[inline(never)]
pub fn received<B: Bytes>(bytes: &B, packet: &Packet, verdict: u8, about: u32, totals: &mut Totals) {
    inspect(bytes, packet, (verdict, Sample::IN), about, totals);
}

/// The same of a packet that is sent.
#[inline(never)]
pub fn sent<B: Bytes>(bytes: &B, packet: &Packet, verdict: u8, about: u32, totals: &mut Totals) {
    inspect(bytes, packet, (verdict, Sample::OUT), about, totals);
}

#[inline(always)]
fn inspect<B: Bytes>(
    bytes: &B,
    packet: &Packet,
    (verdict, direction): (u8, u8),
    about: u32,
    totals: &mut Totals,
) {
    let Some(control) = CONTROL.get_ptr(0) else { return };
    // SAFETY: the pointer is to a live value of the map. Userspace may write to it, a word at a time.
    let control = unsafe { &*control };
    let Some(had) = HAD.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    let had = unsafe { &mut *had };
    let is_payload = about & PAYLOAD != 0 && is_inspected(packet);
    let is_evidence = are_wanted(control) && is_wanted(packet, direction);
    if !is_payload && !is_evidence {
        return;
    }
    let purpose =
        if is_payload { Sample::PAYLOAD } else { 0 } | if is_evidence { Sample::EVIDENCE } else { 0 };
    let word = match packet.transport.kind {
        _ if is_evidence => &mut had.evidence,
        Kind::Tcp => &mut had.connections,
        _ => &mut had.others,
    };
    let most = if is_evidence { EVIDENCE } else { control.samples };
    let Some(next) = Rate::take(*word, clock::now() / Rate::PERIOD_NS, most) else {
        totals.samples_withheld += 1;
        return;
    };
    *word = next;
    let Some(scratch) = scratch() else { return };
    let copied = scratch.copy(bytes, INSPECTED_BYTES);
    let sample = scratch.sample();
    sample.payload_at = packet.transport.payload_offset;
    sample.vlan = 0;
    sample.verdict = verdict;
    sample.direction = direction;
    sample.purpose = purpose;
    sample.side = (about >> SIDE & 3) as u8;
    if scratch.send(&copied, INSPECTED_BYTES) {
        totals.samples += 1;
    } else {
        totals.samples_lost += 1;
    }
}

/// Whether there are sources of which packets are wanted.
#[inline(always)]
pub fn are_wanted(control: &Control) -> bool {
    // SAFETY: the pointer is to a live value of the map, which userspace writes at once.
    control.wanted != 0 && WANTING.get_ptr(0).is_some_and(|number| unsafe { number.read_volatile() } != 0)
}

/// Whether either of its ports is one that is looked into.
#[inline(always)]
fn is_inspected(packet: &Packet) -> bool {
    let base = match packet.transport.kind {
        Kind::Tcp => 0,
        Kind::Udp => INSPECTED_WORDS / 2,
        _ => return false,
    };
    let has = |port: u16| {
        // SAFETY: the pointer is to a live value of the map.
        INSPECTED
            .get_ptr(base + u32::from(port >> 6))
            .is_some_and(|word| unsafe { word.read_volatile() } >> (port & 63) & 1 != 0)
    };
    has(packet.transport.dest_port) || has(packet.transport.source_port)
}

/// Whether packets of its source, or to its destination where the host sends it, are kept as evidence; one less is
/// wanted then.
#[inline(always)]
fn is_wanted(packet: &Packet, direction: u8) -> bool {
    let settings = crate::maps::settings();
    let who = settings.account(if direction == Sample::OUT { packet.dest } else { packet.source });
    let Some(wanted) = WANTED.get_ptr_mut(who) else { return false };
    // SAFETY: the pointer is to a live value of the map, or to one that was just taken out of it. Where two CPUs count
    // down at once, one packet more is kept.
    unsafe {
        let left = (*wanted).left;
        if left == 0 {
            return false;
        }
        (*wanted).left = left - 1;
    }
    true
}
