//! One packet in, counters out.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;
use netwatch_common::{
    Addr, Class, Control, Frame, Proto, Seen, Service, TargetKey, Verdict, classify, parse, tables,
};

use crate::{
    clock, flows,
    hints::{News, tell},
    maps::{CONTROL, FORGOTTEN, SETTINGS, TOTALS},
    tables::Tables,
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
            let mut tables = Tables::of_slot(control.slot);
            // What is told lies with the totals, so these are lent to one at a time.
            tables::count(&mut tables, totals, &control, &target, &seen, |totals, kind, number| {
                let slot = control.slot;
                tell(totals, &target, &News { kind, slot, number, hint_probes: control.hint_probes, now });
            });
            if answers != 0 {
                // What was asked: this packet's other direction.
                let asked = TargetKey {
                    source: SETTINGS.load().account(packet.dest),
                    dest: packet.source,
                    service: Service::new(Proto::Udp, packet.transport.source_port),
                };
                tables::count_answer(&mut tables, &asked);
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
