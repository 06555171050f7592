//! The programs. Every path out of them lets the packet go on: netwatch only watches.

#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over by value")]

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use netwatch_common::Sample;

use crate::samples::{Buffers, Nothing};
use crate::{context::Frame, count::count, flows, watch};

/// For kernels and drivers that know multi-buffer frames (Linux 5.18).
#[xdp(frags)]
pub fn netwatch_frags(ctx: XdpContext) -> u32 {
    let frame = Frame::multi_buffer(&ctx);
    count(&ctx, &frame, &Buffers::of(&ctx, &frame));
    XDP_PASS
}

/// For all others.
#[xdp]
pub fn netwatch(ctx: XdpContext) -> u32 {
    count(&ctx, &Frame::single_buffer(&ctx), &Nothing);
    XDP_PASS
}

/// Takes note of what the host sends. "Unspecified" means: as if this program were not there.
#[classifier]
pub fn netwatch_egress(ctx: TcContext) -> i32 {
    flows::sent(&Frame::outgoing(&ctx), &ctx);
    TC_ACT_UNSPEC
}

/// Of `netwatch watch`: takes note of what the host sends. It has a name of its own because filters of crashed programs
/// are told by their names.
#[classifier]
pub fn netwatch_view_sent(ctx: TcContext) -> i32 {
    flows::sent(&Frame::outgoing(&ctx), &Nothing);
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
