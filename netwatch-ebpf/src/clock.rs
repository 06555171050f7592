//! What time it is, and how long a packet was: on the wire, or as recorded.
//!
//! [`REPLAY`] is frozen before the programs are verified, so the verifier drops the branch that is not taken: watching
//! costs nothing more for it.

use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use netwatch_common::Frame;

use crate::maps::{REPLAY, REPLAYED};

/// Whether the program is run on recorded packets.
#[inline(always)]
pub fn is_replay() -> bool {
    REPLAY.load() != 0
}

/// Coarse monotonic nanoseconds, or when the packet was recorded.
#[inline(always)]
pub fn now() -> u64 {
    if is_replay() {
        // SAFETY: the pointer is to a live value of the map.
        return REPLAYED.get_ptr(0).map_or(0, |replayed| unsafe { (*replayed).now_ns });
    }
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The same, not coarse: 25 ns instead of 5.
#[inline(always)]
pub fn exact() -> u64 {
    if is_replay() {
        return now();
    }
    // SAFETY: as above.
    unsafe { bpf_ktime_get_ns() }
}

/// Bytes of a packet on the wire.
#[inline(always)]
pub fn wire_bytes(frame: &impl Frame) -> u64 {
    if is_replay() {
        // SAFETY: as above.
        return REPLAYED.get_ptr(0).map_or(0, |replayed| unsafe { (*replayed).wire_bytes });
    }
    frame.len() as u64
}
