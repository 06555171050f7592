//! The parser's view of a packet, as XDP and as the egress hook show it.

use aya_ebpf::{
    helpers::bpf_xdp_get_buff_len,
    programs::{TcContext, XdpContext},
};
use bytemuck::AnyBitPattern;
use netwatch_common::limits::HEADER_OFFSET;

/// The packet of one program run.
pub struct Frame {
    start: usize,
    end: usize,
    len: usize,
}

impl Frame {
    /// The frame of a program that the kernel may hand several buffers. Linux 5.18.
    #[inline(always)]
    pub fn multi_buffer(ctx: &XdpContext) -> Self {
        // SAFETY: the context pointer is the one the kernel gave this program.
        let len = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
        #[expect(clippy::cast_possible_truncation, reason = "words of the BPF machine have 64 bits")]
        let len = len as usize;
        Self { start: ctx.data(), end: ctx.data_end(), len }
    }

    /// The frame of a program that the kernel hands one buffer only.
    #[inline(always)]
    pub fn single_buffer(ctx: &XdpContext) -> Self {
        let (start, end) = (ctx.data(), ctx.data_end());
        Self { start, end, len: end - start }
    }

    /// The packet that the host is about to send; headers are in its first buffer.
    #[inline(always)]
    pub fn outgoing(ctx: &TcContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end(), len: ctx.len() as usize }
    }
}

impl netwatch_common::Frame for Frame {
    #[inline(always)]
    fn read<T: AnyBitPattern>(&self, offset: usize) -> Option<T> {
        // The verifier accepts a variable offset only below a bound it can see.
        if offset > HEADER_OFFSET {
            return None;
        }
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the bytes lie between the packet's start and end, as just checked, and `T` takes any bytes.
        Some(unsafe { (at as *const T).read_unaligned() })
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.len
    }
}
