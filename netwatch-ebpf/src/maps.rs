//! The maps, and what the loader sets before the program is verified.
//!
//! Sources and ports are counted in one of two pairs of maps, which [`IN_USE`] names. Userspace names the other
//! pair and waits until no program that read the old name still runs: then the old pair can be drained, nothing
//! is counted twice or lost, and no packet is split between two slots.

use aya_ebpf::{
    Global,
    btf_maps::{Array, ArrayOfMaps, PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use netwatch_common::{Addr, PortCounts, PortKey, Settings, SourceCounts, Totals};

/// Which of the two pairs of maps packets are counted in: 0 or 1.
#[btf_map]
pub static IN_USE: Array<u32, 1> = Array::new();

/// Counts per source. The inner size stands for any: userspace makes the maps that are really used.
#[btf_map]
pub static SOURCES: ArrayOfMaps<PerCpuHashMap<Addr, SourceCounts, 1>, 2> = ArrayOfMaps::new();

/// Counts per source and destination port.
#[btf_map]
pub static PORTS: ArrayOfMaps<PerCpuHashMap<PortKey, PortCounts, 1>, 2> = ArrayOfMaps::new();

/// Counts of everything since the program was loaded.
#[btf_map]
pub static TOTALS: PerCpuArray<Totals, 1> = PerCpuArray::new();

/// Frozen before the program is verified, so reading it costs nothing.
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(Settings::DEFAULT);
