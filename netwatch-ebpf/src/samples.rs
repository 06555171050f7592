//! Packets for userspace, by way of a ring buffer: see [`Sample`].
//!
//! A packet is copied into memory of this CPU's own first, and from there into the ring: the verifier wants to know the
//! size of what is reserved in a ring beforehand, and that of a packet it cannot know.

#![expect(clippy::cast_possible_truncation, reason = "no packet is that long")]

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::{PerCpuArray, RingBuf},
    helpers::generated::{bpf_ktime_get_ns, bpf_ringbuf_output, bpf_skb_load_bytes, bpf_xdp_load_bytes},
    macros::btf_map,
    programs::{TcContext, XdpContext},
};
use bytemuck::AnyBitPattern;
use netwatch_common::{
    Sample,
    limits::{HEADER_OFFSET, SAMPLE_BYTES},
};

use crate::clock;

/// Packets on their way to userspace, which chooses how large it is.
#[btf_map]
pub static SAMPLES: RingBuf<Sample, 4096> = RingBuf::new();

/// Where this CPU puts a packet together.
#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// Samples within one tick of the coarse clock that wake the reader if it has read all others; see
/// [`hints`](crate::hints).
const WAKES_PER_TICK: u32 = 16;

/// A record of the ring, and whom the last ones have woken.
#[repr(C)]
pub struct Scratch {
    sample: Sample,
    frame: [u8; SAMPLE_BYTES as usize],
    /// The tick of the last sample: coarse monotonic nanoseconds.
    tick_ns: u64,
    /// Samples sent in the tick.
    in_tick: u32,
}

/// What a packet can be copied from.
pub trait Bytes {
    /// Its length, link header included.
    fn len(&self) -> u32;

    /// Copies its first `len` bytes. Returns whether they are there.
    ///
    /// # Safety
    /// There must be room for them.
    unsafe fn copy(&self, to: *mut u8, len: u32) -> bool;
}

impl Bytes for TcContext {
    #[inline(always)]
    fn len(&self) -> u32 {
        Self::len(self)
    }

    #[inline(always)]
    unsafe fn copy(&self, to: *mut u8, len: u32) -> bool {
        // SAFETY: the context is the program's own; for the room the caller answers.
        unsafe { bpf_skb_load_bytes(self.as_ptr().cast_const(), 0, to.cast(), len) == 0 }
    }
}

/// The frame of an XDP program that the kernel may hand several buffers. Linux 5.18.
pub struct Buffers<'a> {
    pub ctx: &'a XdpContext,
    /// Of all buffers together.
    pub len: u32,
}

impl<'a> Buffers<'a> {
    #[inline(always)]
    pub fn of(ctx: &'a XdpContext, frame: &impl netwatch_common::Frame) -> Self {
        Self { ctx, len: frame.len() as u32 }
    }
}

impl Bytes for Buffers<'_> {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.len
    }

    #[inline(always)]
    unsafe fn copy(&self, to: *mut u8, len: u32) -> bool {
        // SAFETY: the context is the program's own; for the room the caller answers.
        unsafe { bpf_xdp_load_bytes(self.ctx.ctx, 0, to.cast(), len) == 0 }
    }
}

/// The first bytes of a packet, copied: what lies in several pieces elsewhere lies in one here.
pub struct Copied {
    start: *const u8,
    captured: usize,
    len: usize,
}

impl netwatch_common::Frame for Copied {
    #[inline(always)]
    fn read<T: AnyBitPattern>(&self, offset: usize) -> Option<T> {
        // What the verifier needs to see is the first bound: the copy has room for more than that.
        if offset > HEADER_OFFSET || offset + size_of::<T>() > self.captured {
            return None;
        }
        // SAFETY: the bytes lie in the copy, as just checked, and `T` takes any bytes.
        Some(unsafe { self.start.add(offset).cast::<T>().read_unaligned() })
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.len
    }
}

/// This CPU's scratch.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: the value belongs to this CPU; neither does an XDP program interrupt itself, nor do the hooks of the stack,
    // which run with bottom halves off.
    SCRATCH.get_ptr_mut(0).map(|scratch| unsafe { &mut *scratch })
}

impl Scratch {
    /// Copies at most so many bytes of a packet, to be parsed and sent; none at all where they cannot be had.
    #[inline(always)]
    pub fn copy(&mut self, bytes: &impl Bytes, most: u32) -> Copied {
        let len = bytes.len();
        let wanted = if len < most { len } else { most };
        let mut captured = 0;
        // The verifier wants to see both bounds where the length is used.
        if wanted > 0
            && wanted <= SAMPLE_BYTES
            // SAFETY: there is room for so many.
            && unsafe { bytes.copy(self.frame.as_mut_ptr(), wanted) }
        {
            captured = wanted;
        }
        Copied { start: self.frame.as_ptr(), captured: captured as usize, len: len as usize }
    }

    /// What is sent with the bytes; its time and lengths are [`send`](Self::send)'s affair.
    #[inline(always)]
    pub const fn sample(&mut self) -> &mut Sample {
        &mut self.sample
    }

    /// Sends what was copied, at most so many bytes of it. Returns whether the ring had room for it.
    #[inline(always)]
    pub fn send(&mut self, copied: &Copied, most: u32) -> bool {
        let captured = if copied.captured < most as usize { copied.captured } else { most as usize };
        // SAFETY: the helper has no preconditions.
        self.sample.at_ns = unsafe { bpf_ktime_get_ns() };
        self.sample.wire_len = copied.len as u32;
        self.sample.captured = captured as u32;
        let flags = self.wake();
        // The verifier wants to see the bound.
        if captured > SAMPLE_BYTES as usize {
            return false;
        }
        let size = size_of::<Sample>() + captured;
        let ring = (&raw const SAMPLES).cast_mut().cast();
        // SAFETY: the ring is one, and header and frame lie side by side.
        unsafe { bpf_ringbuf_output(ring, (&raw mut *self).cast(), size as u64, flags) == 0 }
    }

    /// Whom a sample wakes: see [`hints`](crate::hints).
    #[inline(always)]
    fn wake(&mut self) -> u64 {
        let now = clock::now();
        if self.tick_ns != now {
            self.tick_ns = now;
            self.in_tick = 0;
        }
        self.in_tick += 1;
        match self.in_tick {
            1 => BPF_RB_FORCE_WAKEUP.into(),
            sent if sent <= WAKES_PER_TICK => 0,
            _ => BPF_RB_NO_WAKEUP.into(),
        }
    }
}
