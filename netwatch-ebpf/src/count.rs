//! One packet in, counters out.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;
use netwatch_common::{
    Addr, Class, Control, Frame, Packet, Proto, Seen, Service, Sight, TargetKey, Verdict, classify, parse,
    tables,
};

use crate::{
    clock, closer, flows,
    hints::{News, tell},
    maps::{CONTROL, FORGOTTEN, JOB, PACKET, TOTALS, settings},
    tables::Tables,
};

/// Counts one packet. Does nothing else: the caller passes the packet on whatever happens here. Returns whether there is
/// more to do about it ([`closer`]), which never is so without `MORE`.
#[inline(always)]
pub fn count<F: Frame, const MORE: bool>(ctx: &XdpContext, frame: &F) -> bool {
    let mut more = false;
    // The only entry of a per-CPU array always exists; the verifier wants to see the check.
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return false };
    // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
    let totals = unsafe { &mut *totals };
    let bytes = clock::wire_bytes(frame);
    totals.seen += 1;
    totals.bytes += bytes;

    let verdict = match read(frame) {
        UNREADABLE.. => forgotten_verdict(),
        READ => {
            let Some(packet) = PACKET.get_ptr(0) else { return false };
            // SAFETY: the value belongs to this CPU, and was just written.
            let packet = unsafe { &*packet };
            let Some(control) = CONTROL.get_ptr(0) else { return false };
            // SAFETY: the pointer is to a live value of the map. Userspace may write to it, a word at a time.
            let control = unsafe { &*control };
            // Read once, so that both counts of a packet belong to the same slot.
            // SAFETY: as above.
            let slot = unsafe { (&raw const control.slot).read_volatile() };
            let now = clock::now();
            let sight = flows::look_up::<_, MORE>(ctx, packet, &settings(), control, now);
            let is_mirror = control.replies == Control::REPLIES_MIRRORED;
            let is_first = is_mirror && flows::record::<false>(totals, packet, now) & closer::FIRST != 0;
            let answers = if is_mirror { forget(packet.answers_udp(is_first, sight).into()) } else { 0 };
            let Some(job) = JOB.get_ptr_mut(0) else { return false };
            // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
            unsafe { &mut *job }.write(packet, sight, bytes, now);
            if MORE {
                let about = closer::about(packet, sight, control, is_first);
                more = closer::is_wanted(control, about);
                closer::note(slot, about, bytes, now);
            }
            // Looked up again, because what the compiler knows to be in memory it does not read from there.
            let Some(job) = JOB.get_ptr(0) else { return false };
            // SAFETY: as above.
            let job = unsafe { &*job };
            let Job { target, seen } = job;
            let mut tables = Tables::of_slot(slot);
            // What is told lies with the totals, so these are lent to one at a time.
            let places = tables::place(&mut tables, totals, target);
            tables::count(&mut tables, totals, control, target, seen, places, |totals, kind, number| {
                tell(totals, target, &News { kind, slot, number, hint_probes: control.hint_probes, now });
            });
            if answers != 0 {
                count_answer(&mut tables, packet);
            }
            checked(&seen.verdict)
        }
    };
    totals.verdicts[verdict as usize] += 1;
    if verdict.class() as u8 == Class::Malformed as u8 {
        log_malformed(ctx, verdict as u32, bytes);
    }
    more
}

/// Counts for whoever asked what a packet answers that there is an answer. A call of its own for the sake of the stack.
#[inline(never)]
fn count_answer(tables: &mut Tables, packet: &Packet) {
    // What was asked: this packet's other direction.
    let asked = TargetKey {
        source: settings().account(packet.dest),
        dest: packet.source,
        service: Service::new(Proto::Udp, packet.transport.source_port),
    };
    tables::count_answer(tables, &asked);
}

/// What is to be counted of a packet. It lies in a map and not on the stack, of which there are 512 bytes; and what is
/// read from there the verifier does not know, so it follows all verdicts at once and not each on its own.
pub struct Job {
    pub target: TargetKey,
    pub seen: Seen,
}

impl Job {
    /// Written a word at a time: a whole value would be made on the stack and copied.
    #[inline(always)]
    fn write(&mut self, packet: &Packet, sight: Sight, bytes: u64, now_ns: u64) {
        let Addr([a, b, c, d]) = settings().account(packet.source);
        let (source, dest) = (&mut self.target.source.0, &mut self.target.dest.0);
        (source[0], source[1], source[2], source[3]) = (a, b, c, d);
        let Addr([a, b, c, d]) = packet.dest;
        (dest[0], dest[1], dest[2], dest[3]) = (a, b, c, d);
        self.target.service = packet.service();
        let seen = &mut self.seen;
        seen.verdict = classify(packet, &settings(), sight.replies);
        seen.flags = packet.transport.flags;
        seen.bytes = bytes;
        seen.now_ns = now_ns;
        seen.completed = sight.completed;
        let Addr([.., high, low]) = packet.source;
        (seen.host[0], seen.host[1]) = (high, low);
    }
}

/// [`read`] has read a packet.
pub const READ: u32 = 0;
/// It has read why there is none.
const UNREADABLE: u32 = 1;

/// Reads a packet into [`PACKET`], or why there is none into [`FORGOTTEN`]. Read from there, the verifier does not know
/// which way through the headers led to it, and follows what comes after once and not for each of them. A call of its own
/// for the sake of the stack.
#[inline(never)]
pub fn read<F: Frame>(frame: &F) -> u32 {
    match parse(frame, &settings()) {
        Ok(packet) => {
            if let Some(written) = PACKET.get_ptr_mut(0) {
                // SAFETY: the value belongs to this CPU, and an XDP program does not interrupt itself.
                unsafe { written.write(packet) };
            }
            READ
        }
        Err(reason) => {
            if let Some(forgotten) = FORGOTTEN.get_ptr_mut(0) {
                // SAFETY: as above.
                unsafe { forgotten.write_volatile(reason as u8) };
            }
            UNREADABLE
        }
    }
}

/// The verdict that was written last.
#[inline(always)]
pub fn forgotten_verdict() -> Verdict {
    let Some(forgotten) = FORGOTTEN.get_ptr(0) else { return Verdict::IpOther };
    // SAFETY: the value belongs to this CPU, and is a verdict that was just written.
    unsafe { checked(&*forgotten.cast::<Verdict>()) }
}

/// A verdict that lies in a map, behind a check of its bound: the compiler knows that it needs none, but the verifier
/// does not.
#[inline(always)]
pub fn checked(verdict: &Verdict) -> Verdict {
    // SAFETY: a verdict is a byte, and may be read as one.
    let number = unsafe { core::ptr::from_ref(verdict).cast::<u8>().read_volatile() };
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
