//! The maps, and what the loader sets before the program is verified.
//!
//! Sources and targets are counted in one of two regions ([`tables`](crate::tables)), by the number of the slot in
//! [`CONTROL`]. Userspace writes the next number and waits until no program that read the old one still runs: then the
//! old region can be drained, nothing is counted twice or lost, and no packet is split between two slots.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, ArrayOfMaps, PerCpuArray, RingBuf},
    macros::btf_map,
};
use netwatch_common::flow_table::FlowLine;
use netwatch_common::{Control, Hint, Packet, Replayed, Settings, Totals};

use crate::{count::Job, hints::Telling};

/// What userspace tells the programs while they run.
#[btf_map]
pub static CONTROL: Array<Control, 1> = Array::new();

/// Flows on which this host has sent lately: see [`netwatch_common::flow_table`]. It can be mapped so that its lines are
/// those of the cache.
#[btf_map]
pub static FLOWS: Array<FlowLine, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Counts nothing: an update of a map of maps makes userspace wait for the programs that run.
#[btf_map]
pub static BARRIER: ArrayOfMaps<Array<u32, 1>, 1> = ArrayOfMaps::new();

/// Room for hints, in bytes: some 4,000 of them.
pub const RING_BYTES: usize = 256 * 1024;

/// What cannot wait for the end of its slot.
#[btf_map]
pub static HINTS: RingBuf<Hint, RING_BYTES> = RingBuf::new();

/// How many more hints this CPU may send for the time being, and whom they wake.
#[btf_map]
pub static TELLING: PerCpuArray<Telling, 1> = PerCpuArray::new();

/// Counts of everything since the program was loaded.
#[btf_map]
pub static TOTALS: PerCpuArray<Totals, 1> = PerCpuArray::new();

/// The packet at hand.
#[btf_map]
pub static PACKET: PerCpuArray<Packet, 1> = PerCpuArray::new();

/// What is to be counted of it.
#[btf_map]
pub static JOB: PerCpuArray<Job, 1> = PerCpuArray::new();

/// What the verifier is to forget.
#[btf_map]
pub static FORGOTTEN: PerCpuArray<u8, 1> = PerCpuArray::new();

/// Frozen before the program is verified, so reading it costs nothing.
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(Settings::DEFAULT);

/// Not 0 where the programs are run on recorded packets; frozen likewise.
#[unsafe(no_mangle)]
pub static REPLAY: Global<u32> = Global::new(0);

/// Of the recorded packet at hand, what it does not say itself. Userspace writes to it by mapping it.
#[btf_map]
pub static REPLAYED: Array<Replayed, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The settings, read a word at a time: read at once they would be copied to the stack first.
#[inline(always)]
pub fn settings() -> Settings {
    let settings = (&raw const SETTINGS).cast::<Settings>();
    // SAFETY: the pointers are to parts of a global, of which the type is a transparent wrapper.
    unsafe {
        let mask = (&raw const (*settings).source6_mask).cast::<u32>();
        Settings {
            ephemeral_first: (&raw const (*settings).ephemeral_first).read_volatile(),
            ephemeral_last: (&raw const (*settings).ephemeral_last).read_volatile(),
            link: (&raw const (*settings).link).read_volatile(),
            source6_mask: [
                mask.read_volatile(),
                mask.add(1).read_volatile(),
                mask.add(2).read_volatile(),
                mask.add(3).read_volatile(),
            ],
        }
    }
}
