//! One packet in, counters out.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::{debug, warn};
use netwatch_common::{
    Addr, Class, Control, Frame, Proto, Seen, Service, SourceCounts, TargetCounts, TargetKey, Totals,
    Verdict, classify, parse,
};

use crate::{
    clock,
    entry::entry,
    flows,
    hints::{News, tell},
    maps::{CONTROL, FORGOTTEN, SETTINGS, SOURCES, TARGETS, TOTALS},
};

/// Counts one packet. Does nothing else: the caller passes the packet on whatever happens here.
#[inline(always)]
pub fn count<F: Frame>(ctx: &XdpContext, frame: &F) {
    // The only entry of a per-CPU array always exists; the verifier wants to see the check.
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    let totals = unsafe { &mut *totals };
    let bytes = clock::wire_bytes(frame);
    totals.seen += 1;
    totals.bytes += bytes;

    let settings = SETTINGS.load();
    let verdict = match parse(frame, &settings) {
        Err(reason) => forget_verdict(reason),
        Ok(packet) => {
            let Some(control) = CONTROL.get_ptr(0) else { return };
            // Read once, so that both counts of a packet belong to the same slot.
            // SAFETY: the pointer is to a live value of the map.
            let control = unsafe { control.read_volatile() };
            let now = clock::now();
            let sight = flows::look_up(ctx, &packet, &settings, &control, now);
            let is_mirror = control.replies == Control::REPLIES_MIRRORED;
            let is_first = is_mirror && flows::record(totals, &packet, now);
            let answers = if is_mirror { forget(packet.answers_udp(is_first, sight).into()) } else { 0 };
            let verdict = forget_verdict(classify(&packet, &settings, sight.replies));
            let target = TargetKey {
                // Loaded once more: kept since the first time, the mask would lie on the stack.
                source: SETTINGS.load().account(packet.source),
                dest: packet.dest,
                service: packet.service(),
            };
            let Addr([.., host_high, host_low]) = packet.source;
            let seen = Seen {
                verdict,
                flags: packet.transport.flags,
                bytes,
                now_ns: now,
                completed: sight.completed,
                dest: target.dest,
                host: [host_high, host_low],
            };
            totals.sourced += 1;
            let probes = count_target(ctx, totals, &control, &target, &seen);
            count_source(ctx, totals, &control, &target, &seen, probes);
            if answers != 0 {
                // What was asked: this packet's other direction.
                let asked = TargetKey {
                    source: SETTINGS.load().account(packet.dest),
                    dest: packet.source,
                    service: Service::new(Proto::Udp, packet.transport.source_port),
                };
                count_answer(&control, &asked);
            }
            verdict
        }
    };
    totals.verdicts[verdict as usize] += 1;
    if verdict.class() as u8 == Class::Malformed as u8 {
        log_malformed(ctx, verdict as u32, bytes);
    }
}

/// Makes the verifier forget which verdict it is. It would otherwise follow each verdict on its own through all that is
/// counted, and through what is logged once more. Written out, because by way of [`forget`] the compiler takes the check
/// of its bound where the verifier does not see that it is one.
#[inline(always)]
fn forget_verdict(verdict: Verdict) -> Verdict {
    let Some(forgotten) = FORGOTTEN.get_ptr_mut(0) else { return Verdict::IpOther };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    let number = unsafe {
        forgotten.write_volatile(verdict as u8);
        forgotten.read_volatile()
    };
    bytemuck::checked::try_cast(number).unwrap_or(Verdict::IpOther)
}

/// Makes the verifier forget which number it is, by way of memory of which it does not know the contents.
#[inline(always)]
fn forget(number: u8) -> u8 {
    let Some(forgotten) = FORGOTTEN.get_ptr_mut(0) else { return 0 };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    unsafe {
        forgotten.write_volatile(number);
        forgotten.read_volatile()
    }
}

/// A function of its own, because logging takes the address of what it logs: in the caller, the verdict would
/// then live in memory, where the verifier no longer knows that it is a valid index.
#[inline(never)]
fn log_malformed(ctx: &XdpContext, verdict: u32, bytes: u64) {
    debug!(ctx, "malformed packet: verdict {} of {} bytes", verdict, bytes);
}

/// Returns whether this is the first packet by which the source probes the target, on this CPU in this slot.
#[inline(always)]
fn count_target(
    ctx: &XdpContext,
    totals: &mut Totals,
    control: &Control,
    target: &TargetKey,
    seen: &Seen,
) -> bool {
    static ZERO: TargetCounts = TargetCounts::ZERO;

    let Some(entry) = TARGETS.get(control.slot & 1).and_then(|map| entry(map, target, &ZERO)) else {
        totals.targets_lost += 1;
        if is_worth_a_word(totals.targets_lost) {
            log_targets_full(ctx, totals.targets_lost);
        }
        return false;
    };
    // SAFETY: the value belongs to this CPU, and the map is not drained while a program may hold it.
    let counts = unsafe { &mut *entry };
    counts.count(target.service, seen.verdict, seen.flags, seen.bytes, seen.completed)
}

#[inline(always)]
fn count_source(
    ctx: &XdpContext,
    totals: &mut Totals,
    control: &Control,
    target: &TargetKey,
    seen: &Seen,
    probes: bool,
) {
    static ZERO: SourceCounts = SourceCounts::ZERO;

    let Some(entry) = SOURCES.get(control.slot & 1).and_then(|map| entry(map, &target.source, &ZERO)) else {
        totals.sources_refused += 1;
        if is_worth_a_word(totals.sources_refused) {
            log_sources_full(ctx, totals.sources_refused);
        }
        return;
    };
    // SAFETY: as for targets.
    let counts = unsafe { &mut *entry };
    counts.count(seen, probes, control, |kind, number| {
        let news =
            News { kind, slot: control.slot, number, hint_probes: control.hint_probes, now: seen.now_ns };
        tell(totals, target, &news);
    });
}

/// Counts for whoever asked that there is an answer. What was not asked in this slot needs none.
#[inline(always)]
fn count_answer(control: &Control, asked: &TargetKey) {
    let target = TARGETS.get(control.slot & 1).and_then(|map| map.get_ptr_mut(asked));
    let source = SOURCES.get(control.slot & 1).and_then(|map| map.get_ptr_mut(asked.source));
    // SAFETY: as for what is counted of the packet itself.
    unsafe {
        if let Some(counts) = target {
            (*counts).completed += 1;
        }
        if let Some(counts) = source {
            (*counts).answered += 1;
        }
    }
}

#[inline(never)]
fn log_targets_full(ctx: &XdpContext, lost: u64) {
    warn!(ctx, "the targets map takes no more entries; {} packets so far on this CPU", lost);
}

#[inline(never)]
fn log_sources_full(ctx: &XdpContext, lost: u64) {
    warn!(ctx, "the sources map takes no more entries; {} packets so far on this CPU", lost);
}

/// Of losses that come with every packet of a flood, only the first, second, fourth, eighth … are logged.
#[inline(always)]
const fn is_worth_a_word(count: u64) -> bool {
    count & (count - 1) == 0
}
