//! Programs to measure netwatch against, in the same run on the same machine. Never shipped.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
#[path = "context.rs"]
#[allow(dead_code, reason = "shared with the product, which needs all of it")]
mod context;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::{
        bindings::xdp_action::XDP_PASS,
        btf_maps::PerCpuHashMap,
        macros::{btf_map, xdp},
        programs::XdpContext,
    };
    use netwatch_common::{Addr, Settings, classify, parse};

    use crate::context::XdpFrame;

    /// The floor: what it costs to run any program.
    #[xdp(frags)]
    pub fn reference_pass(_ctx: XdpContext) -> u32 {
        XDP_PASS
    }

    /// Parsing and classifying without counting. The result reaches the return value by way of a comparison
    /// that no packet meets, or the compiler would remove the work.
    #[xdp(frags)]
    pub fn reference_parse(ctx: XdpContext) -> u32 {
        let settings = Settings::DEFAULT;
        let verdict = match parse(&XdpFrame::multi_buffer(&ctx), &settings) {
            Ok(packet) => classify(&packet, &settings) as u32 + (packet.source.0[3] & 1),
            Err(reason) => reason as u32,
        };
        if verdict == 200 { 0 } else { XDP_PASS }
    }

    #[btf_map]
    static COUNTS: PerCpuHashMap<Addr, u64, 65536> = PerCpuHashMap::new();

    /// Parsing and the plainest count there is: packets per source in one map.
    #[xdp(frags)]
    pub fn reference_count(ctx: XdpContext) -> u32 {
        static ZERO: u64 = 0;
        if let Ok(packet) = parse(&XdpFrame::multi_buffer(&ctx), &Settings::DEFAULT) {
            if COUNTS.get_ptr_mut(&packet.source).is_none() {
                let _ = COUNTS.insert(&packet.source, &ZERO, 0);
            }
            if let Some(count) = COUNTS.get_ptr_mut(&packet.source) {
                // SAFETY: the value belongs to this CPU.
                unsafe { *count += 1 };
            }
        }
        XDP_PASS
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        unsafe extern "C" {
            fn a_panic_can_be_reached() -> !;
        }
        // SAFETY: never runs: a program that reaches it does not load.
        unsafe { a_panic_can_be_reached() }
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
