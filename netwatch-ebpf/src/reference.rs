//! Programs to measure netwatch against, in the same run on the same machine, and those that make packets for it.
//! Never shipped.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
#[path = "context.rs"]
#[allow(dead_code, reason = "shared with the product, which needs all of it")]
mod context;
#[cfg(target_arch = "bpf")]
mod entry;
#[cfg(target_arch = "bpf")]
mod generate;
#[cfg(target_arch = "bpf")]
mod object;
#[cfg(target_arch = "bpf")]
#[allow(dead_code, reason = "shared with the benchmarks, which need all of it")]
mod scene;

#[cfg(target_arch = "bpf")]
mod programs {
    #![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over by value")]

    use aya_ebpf::{
        bindings::{
            BPF_NOEXIST,
            xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX},
        },
        btf_maps::{HashMap, PerCpuHashMap},
        macros::{btf_map, xdp},
        programs::XdpContext,
    };
    use bytemuck::{Pod, Zeroable};
    use netwatch_common::{Addr, Frame as _, Replies, Settings, classify, parse};

    use crate::{context::Frame, entry::entry, generate};

    /// The floor: what it costs to run any program.
    #[xdp(frags)]
    pub fn reference_pass(_ctx: XdpContext) -> u32 {
        XDP_PASS
    }

    /// Parsing and classifying without counting. The black box keeps the compiler from removing the work.
    #[xdp(frags)]
    pub fn reference_parse(ctx: XdpContext) -> u32 {
        let settings = Settings::DEFAULT;
        let verdict = match parse(&Frame::multi_buffer(&ctx), &settings) {
            Ok(packet) => classify(&packet, &settings, Replies::ByFlags) as u32 + (packet.source.0[3] & 1),
            Err(reason) => reason as u32,
        };
        core::hint::black_box(verdict);
        XDP_PASS
    }

    /// One source and one destination port of one protocol.
    #[derive(Clone, Copy, Pod, Zeroable)]
    #[repr(C)]
    struct PortKey {
        source: Addr,
        /// Protocol number in bits 16 to 23, port in bits 0 to 15.
        port: u32,
    }

    #[btf_map]
    static SOURCES: PerCpuHashMap<Addr, [u64; 2], 65536> = PerCpuHashMap::new();
    #[btf_map]
    static PORTS: PerCpuHashMap<PortKey, u64, 65536> = PerCpuHashMap::new();

    /// Parsing and the plainest counts there are: packets and bytes per source, packets per source and port,
    /// in two maps that are never swapped.
    #[xdp(frags)]
    pub fn reference_count(ctx: XdpContext) -> u32 {
        static ZERO_SOURCE: [u64; 2] = [0; 2];
        static ZERO_PORT: u64 = 0;
        let frame = Frame::multi_buffer(&ctx);
        let Ok(packet) = parse(&frame, &Settings::DEFAULT) else { return XDP_PASS };
        if let Some(counts) = entry(&SOURCES, &packet.source, &ZERO_SOURCE) {
            // SAFETY: the value belongs to this CPU.
            let counts = unsafe { &mut *counts };
            counts[0] += 1;
            counts[1] += frame.len() as u64;
        }
        if let Some((proto, port)) = packet.service().port() {
            let key = PortKey { source: packet.source, port: (proto as u32) << 16 | u32::from(port) };
            if let Some(count) = entry(&PORTS, &key, &ZERO_PORT) {
                // SAFETY: as above.
                unsafe { *count += 1 };
            }
        }
        XDP_PASS
    }

    #[btf_map]
    static SHARED: HashMap<Addr, [u64; 2], 65536> = HashMap::new();

    /// Parsing, and packets and bytes per source in one map that all CPUs write to: what sharing costs.
    #[xdp(frags)]
    pub fn reference_shared(ctx: XdpContext) -> u32 {
        static ZERO: [u64; 2] = [0; 2];
        let frame = Frame::multi_buffer(&ctx);
        let Ok(packet) = parse(&frame, &Settings::DEFAULT) else { return XDP_PASS };
        let mut counts = SHARED.get_ptr_mut(packet.source);
        if counts.is_none() {
            // Where another CPU was first, its entry will do, and overwriting it would lose what it has counted.
            let _ = SHARED.insert(packet.source, ZERO, BPF_NOEXIST.into());
            counts = SHARED.get_ptr_mut(packet.source);
        }
        if let Some(counts) = counts.map(<*mut [u64; 2]>::cast::<u64>) {
            // SAFETY: both words are of a value of the map, to which nobody writes in another way.
            unsafe {
                atomic_add(counts, 1);
                atomic_add(counts.add(1), frame.len() as u64);
            }
        }
        XDP_PASS
    }

    /// Adds to a word that other CPUs may add to. `core` has no such call for targets that cannot exchange a word if it is
    /// what was expected, of which BPF was one.
    ///
    /// # Safety
    /// The word must be valid for writing, and aligned.
    #[inline(always)]
    unsafe fn atomic_add(word: *mut u64, amount: u64) {
        // SAFETY: as the caller says.
        unsafe {
            core::arch::asm!(
                "lock *(u64 *)({word} + 0) += {amount}",
                word = in(reg) word,
                amount = in(reg) amount,
                options(nostack),
            );
        }
    }

    /// The least that can be done with a packet.
    #[xdp(frags)]
    pub fn reference_drop(_ctx: XdpContext) -> u32 {
        XDP_DROP
    }

    /// Makes a packet and sends it by the interface that the frame is said to have come from.
    #[xdp]
    pub fn reference_generate(ctx: XdpContext) -> u32 {
        if generate::rewrite(&ctx).is_some() { XDP_TX } else { XDP_ABORTED }
    }

    /// Makes a packet and hands it to the program in [`NEXT`](generate::NEXT): what that one does for many packets can
    /// be measured where the kernel repeats a single one.
    #[xdp(frags)]
    pub fn reference_scatter(ctx: XdpContext) -> u32 {
        if generate::rewrite(&ctx).is_some() {
            // SAFETY: nothing here has anything to drop.
            unsafe { generate::NEXT.tail_call(&ctx, 0) };
        }
        XDP_ABORTED
    }

    /// Reads where it may not: what the verifier says of it is what a test reads.
    #[xdp(frags)]
    pub fn reference_refused(ctx: XdpContext) -> u32 {
        // SAFETY: none; the kernel does not let it run.
        core::hint::black_box(unsafe { (ctx.data() as *const u64).read_unaligned() });
        XDP_PASS
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
