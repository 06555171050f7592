//! Which flows this host has sent on: written at egress, asked at ingress.

use aya_ebpf::{
    EbpfContext,
    bindings::bpf_sock_tuple,
    helpers::generated::{bpf_sk_release, bpf_skc_lookup_tcp},
};
use netwatch_common::flow_table::{self, FlowHash, FlowLine};
use netwatch_common::{
    Control, Flow, FlowKey, Kind, Packet, Replies, Sample, Settings, Sight, Totals, classify::is_late_reply,
};

use crate::{
    clock,
    closer::{self, FIRST, SIDE},
    context::Frame,
    count::{READ, read},
    maps::{CONTROL, FLOWS, PACKET, TOTALS},
    tables::{FLOW_FACTORS, FLOW_LINES, factor},
};

/// Takes note of a packet that this host sends. Returns whether there is more to do about it ([`closer`]), which never is
/// so without `MORE`.
#[inline(always)]
pub fn sent<const MORE: bool>(frame: &Frame) -> bool {
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return false };
    // SAFETY: the value belongs to this CPU; the egress hook runs with bottom halves off, so that no XDP program
    // comes between.
    let totals = unsafe { &mut *totals };
    totals.sent += 1;
    if read(frame) != READ {
        return false;
    }
    let (Some(packet), Some(control)) = (PACKET.get_ptr(0), CONTROL.get_ptr(0)) else { return false };
    // SAFETY: the packet belongs to this CPU, and was just written; to the other one userspace may write, a word at a time.
    let (packet, control) = unsafe { (&*packet, &*control) };
    let now = clock::now();
    let about = record::<MORE>(totals, packet, now);
    if !MORE || !closer::is_wanted(control, about) {
        return false;
    }
    // Read once, so that all that is counted of the packet belongs to the same slot.
    // SAFETY: as above.
    let slot = unsafe { (&raw const control.slot).read_volatile() };
    closer::note(slot, about, clock::wire_bytes(frame), now);
    true
}

/// Makes the flow that answers `packet` known. Returns whether it was not before ([`FIRST`]), and whether there is
/// something to look into ([`PAYLOAD`](closer::PAYLOAD)), which never is so without `MORE`. A call of its own for the sake of the stack.
#[inline(never)]
pub fn record<const MORE: bool>(totals: &mut Totals, packet: &Packet, now: u64) -> u32 {
    let Some(key) = packet.answering_flow() else { return 0 };
    let hash = hash(&key);
    if let Some((place, mut flow)) = flow_table::find(&mut Table, hash, now) {
        let before = flow;
        flow.sent(packet, now);
        let side = if MORE && is_inspecting() { flow.inspects_sent(packet) } else { 0 };
        if flow != before {
            flow_table::update(&mut Table, place, hash, &flow);
        }
        return side << SIDE;
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
    let has_payload = matches!(packet.transport.kind, Kind::Udp) && packet.transport.payload_len > 0;
    // Whether it asks or answers is not known: nothing is recorded of what comes in.
    let side = if MORE && has_payload && is_inspecting() { u32::from(Sample::EITHER) } else { 0 };
    FIRST | side << SIDE
}

/// Whether payload is looked into.
#[inline(always)]
fn is_inspecting() -> bool {
    // SAFETY: the pointer is to a live value of the map. Userspace may write to it, a word at a time.
    CONTROL.get_ptr(0).is_some_and(|control| unsafe { (&raw const (*control).samples).read_volatile() } != 0)
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
pub fn look_up<C: EbpfContext, const MORE: bool>(
    ctx: &C,
    packet: &Packet,
    settings: &Settings,
    control: &Control,
    now: u64,
) -> Sight {
    if control.replies == Control::REPLIES_BY_FLAGS {
        return Sight::of(Replies::ByFlags);
    }
    let Some(key) = packet.flow_to_look_up() else {
        return Sight::of(Replies::Unknown);
    };
    let hash = hash(&key);
    if let Some((place, mut flow)) = flow_table::find(&mut Table, hash, now) {
        let before = flow;
        if let Some(mut sight) = flow.received(packet, now) {
            if MORE && control.samples != 0 {
                sight.inspect = flow.inspects_received(packet);
            }
            if flow != before {
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
fn is_older<C: EbpfContext>(ctx: &C, packet: &Packet, key: &FlowKey, settings: &Settings) -> bool {
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
fn has_socket<C: EbpfContext>(ctx: &C, key: &FlowKey, remote_port: u16, local_port: u16) -> bool {
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
        let socket = bpf_skc_lookup_tcp(ctx.as_ptr(), tuple, size, CURRENT_NETNS, 0);
        if socket.is_null() {
            return false;
        }
        let state = (*socket).state;
        bpf_sk_release(socket.cast());
        state != LISTEN
    }
}
