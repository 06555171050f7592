//! Which flows this host has sent on: written at egress, asked at ingress.

use aya_ebpf::{
    bindings::{BPF_ANY, bpf_sock_tuple},
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_sk_release, bpf_skc_lookup_tcp},
    programs::XdpContext,
};
use netwatch_common::{
    Control, Flow, FlowKey, Kind, Packet, Replies, Settings, Totals,
    classify::{ACK, RST, SYN, is_late_reply, is_syn},
    parse,
};

use crate::{
    context::Frame,
    maps::{CONTROL, FLOWS, SETTINGS, TOTALS},
};

/// How stale the time of a flow may get before it is written again: a write for every packet would make CPUs
/// fight for the line.
const REFRESH_NS: u64 = 1_000_000_000;

/// What is known of a packet's flow.
pub struct Sight {
    /// For the classification.
    pub replies: Replies,
    /// 1 where the packet completes a handshake that the other side began, 0 elsewhere.
    pub completed: u32,
}

/// Takes note of a packet that this host sends.
#[inline(always)]
pub fn sent(frame: &Frame) {
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU; the egress hook runs with bottom halves off, so that no XDP program
    // comes between.
    let totals = unsafe { &mut *totals };
    totals.sent += 1;
    if let Ok(packet) = parse(frame, &SETTINGS.load()) {
        // SAFETY: the helper has no preconditions.
        let now = unsafe { bpf_ktime_get_coarse_ns() };
        record(totals, &packet, now);
    }
}

/// Makes the flow that answers `packet` known.
#[inline(always)]
pub fn record(totals: &mut Totals, packet: &Packet, now: u64) {
    let Some(key) = packet.answering_flow() else { return };
    let flags = packet.transport.flags;
    let handshake =
        if flags & (SYN | ACK) == SYN | ACK { Flow::HANDSHAKE_ANSWERED } else { Flow::HANDSHAKE_NONE };
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: the map is preallocated, so the memory stays a flow. Another CPU may write to it at the same
        // time, or, where the map is full, give the entry to another flow, which is then known a little longer
        // than it should be: words are written whole, and nothing worse can come of it.
        let flow = unsafe { &mut *flow };
        if now.wrapping_sub(flow.sent_ns) > REFRESH_NS {
            flow.sent_ns = now;
        }
        if flags & SYN != 0 {
            flow.sent_ns = now;
            flow.handshake = handshake;
            flow.answer = packet.transport.sequence;
        }
        return;
    }
    let flow = Flow { sent_ns: now, handshake, answer: packet.transport.sequence };
    if FLOWS.insert(key, flow, BPF_ANY.into()).is_ok() {
        totals.flows_new += 1;
        let is_begun = matches!(packet.transport.kind, Kind::Tcp) && flags & SYN == 0;
        if is_begun
            && CONTROL.get_ptr(0).is_some_and(|control| {
                // SAFETY: the pointer is to a live value of the map.
                now > unsafe { (*control).grace_ends_ns }
            })
        {
            totals.flows_again += 1;
        }
    } else {
        totals.flows_lost += 1;
    }
}

/// What is known of the flow of an incoming packet.
#[inline(always)]
pub fn look_up(ctx: &XdpContext, packet: &Packet, settings: &Settings, control: &Control, now: u64) -> Sight {
    let nothing = |replies| Sight { replies, completed: 0 };
    if control.replies == Control::REPLIES_BY_FLAGS {
        return nothing(Replies::ByFlags);
    }
    let flags = packet.transport.flags;
    // A SYN is a SYN, whatever is known: asking would cost a flood's every packet a miss.
    let is_tcp = matches!(packet.transport.kind, Kind::Tcp);
    let Some(key) = packet.flow().filter(|_| !(is_tcp && is_syn(flags))) else {
        return nothing(Replies::Unknown);
    };
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: as above.
        let flow = unsafe { &mut *flow };
        if now.wrapping_sub(flow.sent_ns) <= Flow::KNOWN_NS {
            let is_answer = is_tcp && flags & (ACK | SYN | RST) == ACK;
            if !is_answer || flow.handshake != Flow::HANDSHAKE_ANSWERED {
                return nothing(Replies::Known);
            }
            if flow.is_acknowledged_by(packet.transport.acknowledgement) {
                flow.handshake = Flow::HANDSHAKE_COMPLETED;
                return Sight { replies: Replies::Known, completed: 1 };
            }
            // Somebody guesses: the flow is not known to whoever sent this.
            return nothing(Replies::Unknown);
        }
    }
    if now < control.grace_ends_ns && is_older(ctx, packet, &key, settings) {
        return nothing(Replies::Known);
    }
    nothing(Replies::Unknown)
}

/// Whether a packet of no known flow may belong to one that is older than the program. For TCP the kernel is
/// asked; for UDP the ports have to do.
#[inline(always)]
fn is_older(ctx: &XdpContext, packet: &Packet, key: &FlowKey, settings: &Settings) -> bool {
    match packet.transport.kind {
        Kind::Tcp => has_socket(ctx, key, packet.transport.source_port, packet.transport.dest_port),
        _ => is_late_reply(packet.transport.source_port, packet.transport.dest_port, settings),
    }
}

/// Whether this host has a TCP connection with these ends. Linux 5.2.
#[inline(never)]
fn has_socket(ctx: &XdpContext, key: &FlowKey, remote_port: u16, local_port: u16) -> bool {
    const LISTEN: u32 = 10;
    // BPF_F_CURRENT_NETNS, -1.
    const CURRENT_NETNS: u64 = u64::MAX;
    let ports = (u32::from(remote_port) << 16 | u32::from(local_port)).to_be();
    let (remote, local) = (key.remote.0, key.local.0);
    let mapped = remote[0] == 0 && remote[1] == 0 && remote[2] == 0xffff_u32.to_be();
    // The tuple of IPv6; that of IPv4 is its first three words.
    let mut tuple =
        [remote[0], remote[1], remote[2], remote[3], local[0], local[1], local[2], local[3], ports];
    let mut size = 36;
    if mapped {
        tuple[0] = remote[3];
        tuple[1] = local[3];
        tuple[2] = ports;
        size = 12;
    }
    let tuple: *mut bpf_sock_tuple = (&raw mut tuple).cast();
    // SAFETY: the tuple is on this stack and of the size given; the socket is released on every path.
    unsafe {
        let socket = bpf_skc_lookup_tcp(ctx.ctx.cast(), tuple, size, CURRENT_NETNS, 0);
        if socket.is_null() {
            return false;
        }
        let state = (*socket).state;
        bpf_sk_release(socket.cast());
        state != LISTEN
    }
}
