//! Which flows this host has sent on: written at egress, asked at ingress.

use aya_ebpf::{
    bindings::bpf_sock_tuple,
    helpers::generated::{bpf_sk_release, bpf_skc_lookup_tcp},
    programs::XdpContext,
};
use netwatch_common::flow_table::{self, FlowHash, FlowLine};
use netwatch_common::{
    Control, Flow, FlowKey, Kind, Packet, Replies, Settings, Sight, Totals, classify::is_late_reply, parse,
};

use crate::{
    clock,
    context::Frame,
    feeds,
    maps::{CONTROL, FLOWS, TOTALS, settings},
    tables::{FLOW_FACTORS, FLOW_LINES, factor},
};

/// Takes note of a packet that this host sends.
#[inline(always)]
pub fn sent(frame: &Frame) {
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return };
    // SAFETY: the value belongs to this CPU; the egress hook runs with bottom halves off, so that no XDP program
    // comes between.
    let totals = unsafe { &mut *totals };
    totals.sent += 1;
    let Ok(packet) = parse(frame, &settings()) else { return };
    let now = clock::now();
    let is_first = record(totals, &packet, now);
    let Some(control) = CONTROL.get_ptr(0) else { return };
    // SAFETY: the pointer is to a live value of the map. Userspace may write to it, a word at a time.
    if feeds::are_loaded(unsafe { &*control }) {
        feeds::sent(totals, &packet, clock::wire_bytes(frame), now, is_first.into());
    }
}

/// Makes the flow that answers `packet` known. Returns whether it was not before. A call of its own for the sake of the
/// stack.
#[inline(never)]
pub fn record(totals: &mut Totals, packet: &Packet, now: u64) -> bool {
    let Some(key) = packet.answering_flow() else { return false };
    let hash = hash(&key);
    if let Some((place, mut flow)) = flow_table::find(&mut Table, hash, now) {
        let before = flow;
        flow.sent(packet, now);
        if flow != before {
            flow_table::update(&mut Table, place, hash, &flow);
        }
        return false;
    }
    totals.flows_new += 1;
    totals.flows_lost += u64::from(flow_table::enter(&mut Table, hash, &Flow::begun(packet, now), now));
    if packet.is_amid_connection()
        && CONTROL.get_ptr(0).is_some_and(|control| {
            // SAFETY: the pointer is to a live value of the map.
            now > unsafe { (*control).grace_ends_ns }
        })
    {
        totals.flows_again += 1;
    }
    true
}

/// The table of flows.
struct Table;

impl flow_table::Flows for Table {
    #[inline(always)]
    fn lines(&self) -> u32 {
        FLOW_LINES.load()
    }

    #[inline(always)]
    fn line(&mut self, line: u32) -> Option<&mut FlowLine> {
        // SAFETY: the map lives as long as the program. Another CPU may write to the line at the same time; words are
        // written whole, and what can come of it is said at the head of the table's module.
        FLOWS.get_ptr_mut(line).map(|line| unsafe { &mut *line })
    }
}

#[inline(always)]
fn hash(key: &FlowKey) -> FlowHash {
    FlowHash::of(|index| factor(&FLOW_FACTORS, index), key)
}

/// What is known of the flow of an incoming packet.
#[inline(always)]
pub fn look_up(ctx: &XdpContext, packet: &Packet, settings: &Settings, control: &Control, now: u64) -> Sight {
    if control.replies == Control::REPLIES_BY_FLAGS {
        return Sight::of(Replies::ByFlags);
    }
    let Some(key) = packet.flow_to_look_up() else {
        return Sight::of(Replies::Unknown);
    };
    let hash = hash(&key);
    if let Some((place, mut flow)) = flow_table::find(&mut Table, hash, now) {
        let before = flow.handshake;
        if let Some(sight) = flow.received(packet, now) {
            if flow.handshake != before {
                flow_table::update(&mut Table, place, hash, &flow);
            }
            return sight;
        }
    }
    // What a mirror shows are not this host's connections, and a packet from their other side comes soon.
    let is_own = control.replies == Control::REPLIES_BY_FLOWS;
    if is_own && now < control.grace_ends_ns && is_older(ctx, packet, &key, settings) {
        return Sight::of(Replies::Known);
    }
    Sight::of(Replies::Unknown)
}

/// Whether a packet of no known flow may belong to one that is older than the program. For TCP the kernel is
/// asked; for UDP the ports have to do.
#[inline(always)]
fn is_older(ctx: &XdpContext, packet: &Packet, key: &FlowKey, settings: &Settings) -> bool {
    match packet.transport.kind {
        // The sockets of this host have nothing to do with recorded packets.
        Kind::Tcp if clock::is_replay() => false,
        Kind::Tcp => has_socket(ctx, key, packet.transport.source_port, packet.transport.dest_port),
        _ => is_late_reply(packet.transport.source_port, packet.transport.dest_port, settings),
    }
}

/// What a socket is looked for by. On the stack, the verifier takes no double words that are not aligned.
#[repr(C, align(8))]
struct Tuple([u32; 9]);

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
        Tuple([remote[0], remote[1], remote[2], remote[3], local[0], local[1], local[2], local[3], ports]);
    let mut size = 36;
    if mapped {
        tuple.0[0] = remote[3];
        tuple.0[1] = local[3];
        tuple.0[2] = ports;
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
