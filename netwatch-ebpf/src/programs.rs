//! The programs. Every path out of them is `XDP_PASS`: netwatch only watches.

#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over by value")]

use aya_ebpf::{bindings::xdp_action::XDP_PASS, macros::xdp, programs::XdpContext};

use crate::{context::XdpFrame, count::count};

/// For kernels and drivers that know multi-buffer frames (Linux 5.18).
#[xdp(frags)]
pub fn netwatch_frags(ctx: XdpContext) -> u32 {
    count(&ctx, &XdpFrame::multi_buffer(&ctx));
    XDP_PASS
}

/// For all others.
#[xdp]
pub fn netwatch(ctx: XdpContext) -> u32 {
    count(&ctx, &XdpFrame::single_buffer(&ctx));
    XDP_PASS
}
