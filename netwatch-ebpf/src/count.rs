//! One packet in, counters out.

use aya_ebpf::{helpers::generated::bpf_ktime_get_coarse_ns, programs::XdpContext};
use aya_log_ebpf::{debug, warn};
use netwatch_common::{
    Addr, Class, Frame, PortCounts, PortKey, SourceCounts, Totals, Verdict, classify, parse,
};

use crate::{
    entry::entry,
    maps::{IN_USE, PORTS, SETTINGS, SOURCES, TOTALS},
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
            // Read once, so that both counts of a packet belong to the same slot.
            // SAFETY: the pointer is to a live value of the map.
            let in_use = IN_USE.get_ptr(0).map_or(0, |in_use| unsafe { in_use.read_volatile() });
            let verdict = classify(&packet, &settings);
            totals.sourced += 1;
            count_source(ctx, totals, in_use, packet.source, verdict, bytes);
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

#[inline(always)]
fn count_source(
    ctx: &XdpContext,
    totals: &mut Totals,
    in_use: u32,
    source: Addr,
    verdict: Verdict,
    bytes: u64,
) {
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
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    if counts.first_ns == 0 {
        counts.first_ns = now;
    }
    counts.last_ns = now;
    counts.bytes += bytes;
    counts.classes[verdict.class() as usize] += 1;
}

#[inline(always)]
fn count_port(ctx: &XdpContext, totals: &mut Totals, in_use: u32, key: PortKey, verdict: Verdict) {
    static ZERO: PortCounts = PortCounts { packets: 0, evidence: 0 };

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
}

/// Of losses that come with every packet of a flood, only the first, second, fourth, eighth … are logged.
#[inline(always)]
const fn is_worth_a_word(count: u64) -> bool {
    count & (count - 1) == 0
}
