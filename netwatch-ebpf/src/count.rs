//! One packet in, counters out.

use aya_ebpf::{helpers::generated::bpf_ktime_get_coarse_ns, programs::XdpContext};
use aya_log_ebpf::{debug, warn};
use netwatch_common::{
    Addr, Class, Control, Frame, PortCounts, PortKey, SourceCounts, Totals, Verdict, classify, parse,
};

use crate::{
    entry::entry,
    flows,
    maps::{CONTROL, PORTS, SETTINGS, SOURCES, TOTALS},
};

/// Counts one packet. Does nothing else: the caller passes the packet on whatever happens here.
#[inline(always)]
pub fn count<F: Frame>(ctx: &XdpContext, frame: &F) {
    // The only entry of a per-CPU array always exists; the verifier wants to see the check.
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    let totals = unsafe { &mut *totals };
    let bytes = frame.len() as u64;
    totals.seen += 1;
    totals.bytes += bytes;

    let settings = SETTINGS.load();
    let verdict = match parse(frame, &settings) {
        Err(reason) => reason,
        Ok(packet) => {
            let Some(control) = CONTROL.get_ptr(0) else { return };
            // Read once, so that both counts of a packet belong to the same slot.
            // SAFETY: the pointer is to a live value of the map.
            let control = unsafe { control.read_volatile() };
            let in_use = control.in_use;
            // SAFETY: the helper has no preconditions.
            let now = unsafe { bpf_ktime_get_coarse_ns() };
            let sight = flows::look_up(ctx, &packet, &settings, &control, now);
            if control.replies == Control::REPLIES_MIRRORED {
                flows::record(totals, &packet, now);
            }
            let verdict = classify(&packet, &settings, sight.replies);
            totals.sourced += 1;
            let seen = Seen { verdict, bytes, now, completed: sight.completed };
            count_source(ctx, totals, in_use, packet.source, &seen);
            if let Some((proto, port)) = packet.service() {
                totals.ported += 1;
                count_port(ctx, totals, in_use, PortKey::new(packet.source, proto, port), verdict);
            }
            verdict
        }
    };
    totals.verdicts[verdict as usize] += 1;
    if verdict.class() as u8 == Class::Malformed as u8 {
        log_malformed(ctx, verdict as u32, bytes);
    }
}

/// A function of its own, because logging takes the address of what it logs: in the caller, the verdict would
/// then live in memory, where the verifier no longer knows that it is a valid index.
#[inline(never)]
fn log_malformed(ctx: &XdpContext, verdict: u32, bytes: u64) {
    debug!(ctx, "malformed packet: verdict {} of {} bytes", verdict, bytes);
}

/// What a source's entry is told of a packet.
struct Seen {
    verdict: Verdict,
    bytes: u64,
    /// Coarse monotonic nanoseconds.
    now: u64,
    completed: u32,
}

#[inline(always)]
fn count_source(ctx: &XdpContext, totals: &mut Totals, in_use: u32, source: Addr, seen: &Seen) {
    static ZERO: SourceCounts = SourceCounts::ZERO;

    let Some(entry) = SOURCES.get(in_use).and_then(|map| entry(map, &source, &ZERO)) else {
        totals.sources_lost += 1;
        if is_worth_a_word(totals.sources_lost) {
            warn!(
                ctx,
                "the sources map takes no more entries; {} packets so far on this CPU", totals.sources_lost
            );
        }
        return;
    };
    // SAFETY: the value belongs to this CPU, and the map is not drained while a program may hold it.
    let counts = unsafe { &mut *entry };
    if counts.first_ns == 0 {
        counts.first_ns = seen.now;
    }
    counts.last_ns = seen.now;
    counts.bytes += seen.bytes;
    counts.classes[seen.verdict.class() as usize] += 1;
    counts.completed += seen.completed;
}

#[inline(always)]
fn count_port(ctx: &XdpContext, totals: &mut Totals, in_use: u32, key: PortKey, verdict: Verdict) {
    static ZERO: PortCounts = PortCounts::ZERO;

    let Some(entry) = PORTS.get(in_use).and_then(|map| entry(map, &key, &ZERO)) else {
        totals.ports_lost += 1;
        if is_worth_a_word(totals.ports_lost) {
            warn!(
                ctx,
                "the ports map takes no more entries; {} packets so far on this CPU", totals.ports_lost
            );
        }
        return;
    };
    // SAFETY: as for sources.
    let counts = unsafe { &mut *entry };
    counts.packets += 1;
    counts.evidence += u32::from(verdict.is_scan_evidence());
    counts.out_of_state += u32::from(verdict as u8 == Verdict::OutOfState as u8);
    counts.known += u32::from(verdict as u8 == Verdict::Known as u8);
}

/// Of losses that come with every packet of a flood, only the first, second, fourth, eighth … are logged.
#[inline(always)]
const fn is_worth_a_word(count: u64) -> bool {
    count & (count - 1) == 0
}
