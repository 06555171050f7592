//! The programs. Every path out of them lets the packet go on: netwatch only watches.

#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over by value")]

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use netwatch_common::Sample;

use crate::samples::Buffers;
use crate::{closer, context::Frame, count::count, flows, watch};

/// For kernels and drivers that know multi-buffer frames (Linux 5.18).
#[xdp(frags)]
pub fn netwatch_frags(ctx: XdpContext) -> u32 {
    count::<_, false>(&ctx, &Frame::multi_buffer(&ctx));
    XDP_PASS
}

/// The same, where packets may be looked at more closely.
#[xdp(frags)]
pub fn netwatch_more(ctx: XdpContext) -> u32 {
    if count::<_, true>(&ctx, &Frame::multi_buffer(&ctx)) {
        closer::look(&ctx);
    }
    XDP_PASS
}

/// Looks closer at a packet that was counted.
#[xdp(frags)]
pub fn netwatch_closer(ctx: XdpContext) -> u32 {
    closer::received(&Buffers::of(&ctx, &Frame::multi_buffer(&ctx)));
    XDP_PASS
}

/// For all others.
#[xdp]
pub fn netwatch(ctx: XdpContext) -> u32 {
    count::<_, false>(&ctx, &Frame::single_buffer(&ctx));
    XDP_PASS
}

/// Takes note of what the host sends. "Unspecified" means: as if this program were not there.
#[classifier]
pub fn netwatch_egress(ctx: TcContext) -> i32 {
    flows::sent::<false>(&Frame::outgoing(&ctx));
    TC_ACT_UNSPEC
}

/// The same, where packets may be looked at more closely.
#[classifier]
pub fn netwatch_egress_more(ctx: TcContext) -> i32 {
    if flows::sent::<true>(&Frame::outgoing(&ctx)) {
        closer::look_at_sent(&ctx);
    }
    TC_ACT_UNSPEC
}

/// Looks closer at a packet that is sent.
#[classifier]
pub fn netwatch_closer_sent(ctx: TcContext) -> i32 {
    closer::sent(&ctx);
    TC_ACT_UNSPEC
}

/// Of `netwatch watch`: takes note of what the host sends. It has a name of its own because filters of crashed programs
/// are told by their names.
#[classifier]
pub fn netwatch_view_sent(ctx: TcContext) -> i32 {
    flows::sent::<false>(&Frame::outgoing(&ctx));
    TC_ACT_UNSPEC
}

/// Of `netwatch watch`: counts what comes in, and hands it to the filter or to the program that shows it.
#[classifier]
pub fn netwatch_view_in(ctx: TcContext) -> i32 {
    watch::enter(&ctx, Sample::IN);
    TC_ACT_UNSPEC
}

/// The same for what goes out.
#[classifier]
pub fn netwatch_view_out(ctx: TcContext) -> i32 {
    watch::enter(&ctx, Sample::OUT);
    TC_ACT_UNSPEC
}

/// Shows what came in and passed the filter.
#[classifier]
pub fn netwatch_show_in(ctx: TcContext) -> i32 {
    watch::show(&ctx, Sample::IN);
    TC_ACT_UNSPEC
}

/// Shows what goes out and passed the filter.
#[classifier]
pub fn netwatch_show_out(ctx: TcContext) -> i32 {
    watch::show(&ctx, Sample::OUT);
    TC_ACT_UNSPEC
}
