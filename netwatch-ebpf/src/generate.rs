//! Packets that differ from each other, from a frame that does not: addresses and ports are written anew by a
//! [`Scene`]. The frame is Ethernet with IPv4 without options, or IPv6 without extensions, and TCP or UDP.
//!
//! Everything that is written is written whole: the kernel hands the program frames that it has rewritten before.

use aya_ebpf::{
    btf_maps::{Array, PerCpuArray, ProgramArray},
    macros::btf_map,
    programs::XdpContext,
};

use crate::scene::{Progress, Scene, Vary};

/// What packets look like: first over IPv4, then over IPv6.
#[btf_map]
static SCENES: Array<Scene, 2> = Array::new();

/// How far each of the two is on each CPU.
#[btf_map]
static PROGRESS: PerCpuArray<Progress, 2> = PerCpuArray::new();

/// Whom a rewritten packet is handed to.
#[btf_map]
pub static NEXT: ProgramArray<1> = ProgramArray::new();

/// Ports and all before them, in bytes, for both versions.
const IPV4_PORTS: usize = 14 + 20;
const IPV6_PORTS: usize = 14 + 40;

/// Writes the next packet's addresses and ports. `None` where the frame is none that this can be done with.
#[inline(always)]
pub fn rewrite(ctx: &XdpContext) -> Option<()> {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + IPV4_PORTS + 4 > end {
        return None;
    }
    // SAFETY: the bytes lie before the packet's end, as just checked.
    let ethertype = u16::from_be(unsafe { ((start + 12) as *const u16).read_unaligned() });
    let index = u32::from(ethertype == 0x86dd);
    let (scene, progress) = (SCENES.get_ptr(index)?, PROGRESS.get_ptr_mut(index)?);
    // SAFETY: userspace writes scenes before it runs the program; progress belongs to this CPU.
    let (scene, progress) = unsafe { (&*scene, &mut *progress) };
    if progress.visits == 0 {
        progress.visits = scene.visits;
        progress.source = next(&scene.source, 0, progress);
    }
    progress.visits = progress.visits.wrapping_sub(1);
    let dest = next(&scene.dest, 1, progress);
    let source_port = next(&scene.source_port, 2, progress) + u64::from(scene.first_source_port);
    let mut dest_port = next(&scene.dest_port, 3, progress) + u64::from(scene.first_dest_port);
    let source = progress.source;
    #[expect(clippy::cast_possible_truncation, reason = "IPv4 has the lowest 32 bits")]
    if index == 0 {
        let mut source = u32::from_be(scene.first_source[0]).wrapping_add(source as u32);
        if source >= 0xe000_0000 {
            source &= 0x7fff_ffff;
        }
        if scene.scanner_every > 0 {
            progress.since_scanner += 1;
            if progress.since_scanner >= scene.scanner_every {
                progress.since_scanner = 0;
                source = u32::from_be(scene.scanner);
                dest_port = progress.scanned;
                progress.scanned += 1;
            }
        }
        let dest = u32::from_be(scene.first_dest[0]).wrapping_add(dest as u32);
        let checksum = checksum(u64::from(scene.header_sum) + halves(source) + halves(dest));
        // SAFETY: all of it lies before the ports, which lie before the packet's end.
        unsafe {
            ((start + 14 + 10) as *mut u16).write_unaligned(checksum.to_be());
            ((start + 14 + 12) as *mut u32).write_unaligned(source.to_be());
            ((start + 14 + 16) as *mut u32).write_unaligned(dest.to_be());
            write_ports(start + IPV4_PORTS, source_port, dest_port);
        }
    } else {
        if start + IPV6_PORTS + 4 > end {
            return None;
        }
        let [network_high, network_low, ..] = scene.first_source.map(u32::from_be);
        let network = (u64::from(network_high) << 32 | u64::from(network_low)).wrapping_add(source);
        let network = (network & 0x1fff_ffff_ffff_ffff) | 0x2000_0000_0000_0000;
        let [.., host_high, host_low] = scene.first_dest.map(u32::from_be);
        let host = (u64::from(host_high) << 32 | u64::from(host_low)).wrapping_add(dest);
        // SAFETY: as just checked.
        unsafe {
            ((start + 14 + 8) as *mut u64).write_unaligned(network.to_be());
            ((start + 14 + 32) as *mut u64).write_unaligned(host.to_be());
            write_ports(start + IPV6_PORTS, source_port, dest_port);
        }
    }
    Some(())
}

/// The next number of a kind.
#[inline(always)]
fn next(vary: &Vary, kind: usize, progress: &mut Progress) -> u64 {
    let index = match vary.order {
        Vary::FIXED => 0,
        Vary::NEXT => {
            let index = progress.next[kind];
            let after = index + 1;
            progress.next[kind] = if after == u64::from(vary.count) { 0 } else { after };
            index
        }
        _ => {
            // A 64-bit xorshift.
            let mut random = progress.random;
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            progress.random = random;
            if vary.count == 0 { random } else { ((random >> 32) * u64::from(vary.count)) >> 32 }
        }
    };
    index.wrapping_mul(vary.step)
}

/// Both ports.
///
/// # Safety
/// Four bytes from there on must be the packet's.
#[inline(always)]
unsafe fn write_ports(at: usize, source: u64, dest: u64) {
    #[expect(clippy::cast_possible_truncation, reason = "of a port the lowest 16 bits count")]
    let ports = ((source as u32) << 16 | dest as u32 & 0xffff).to_be();
    // SAFETY: as the caller says.
    unsafe { (at as *mut u32).write_unaligned(ports) };
}

/// Both halves of an address, added.
#[inline(always)]
const fn halves(address: u32) -> u64 {
    (address >> 16) as u64 + (address & 0xffff) as u64
}

/// The checksum of the Internet from a sum of at most 32 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "folded into 16 bits")]
const fn checksum(sum: u64) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}
