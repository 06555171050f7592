//! The programs. Every path out of them lets the packet go on: netwatch only watches.

#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over by value")]

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use crate::{context::Frame, count::count, flows};

/// For kernels and drivers that know multi-buffer frames (Linux 5.18).
#[xdp(frags)]
pub fn netwatch_frags(ctx: XdpContext) -> u32 {
    count(&ctx, &Frame::multi_buffer(&ctx));
    XDP_PASS
}

/// For all others.
#[xdp]
pub fn netwatch(ctx: XdpContext) -> u32 {
    count(&ctx, &Frame::single_buffer(&ctx));
    XDP_PASS
}

/// Takes note of what the host sends. "Unspecified" means: as if this program were not there.
#[classifier]
pub fn netwatch_egress(ctx: TcContext) -> i32 {
    flows::sent(&Frame::outgoing(&ctx));
    TC_ACT_UNSPEC
}
