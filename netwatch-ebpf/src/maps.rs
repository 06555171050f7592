//! The maps, and what the loader sets before the program is verified.
//!
//! Sources and ports are counted in whichever map lies in slot 0 of its outer map. Userspace puts a fresh map
//! there; when that call returns no program uses the old map any more, so it can be drained and nothing is
//! counted twice or lost.

use aya_ebpf::{
    Global,
    btf_maps::{ArrayOfMaps, PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use netwatch_common::{Addr, PortCounts, PortKey, Settings, SourceCounts, Totals};

/// Counts per source. The inner size stands for any: userspace makes the maps that are really used.
#[btf_map]
pub static SOURCES: ArrayOfMaps<PerCpuHashMap<Addr, SourceCounts, 1>, 1> = ArrayOfMaps::new();

/// Counts per source and destination port.
#[btf_map]
pub static PORTS: ArrayOfMaps<PerCpuHashMap<PortKey, PortCounts, 1>, 1> = ArrayOfMaps::new();

/// Counts of everything since the program was loaded.
#[btf_map]
pub static TOTALS: PerCpuArray<Totals, 1> = PerCpuArray::new();

/// Frozen before the program is verified, so reading it costs nothing.
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(Settings::DEFAULT);
