//! The maps, and what the loader sets before the program is verified.
//!
//! Sources and ports are counted in one of two pairs of maps, which [`CONTROL`] names. Userspace names the other
//! pair and waits until no program that read the old name still runs: then the old pair can be drained, nothing
//! is counted twice or lost, and no packet is split between two slots.

use aya_ebpf::{
    Global,
    btf_maps::{Array, ArrayOfMaps, LruHashMap, PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use netwatch_common::{Addr, Control, Flow, FlowKey, PortCounts, PortKey, Settings, SourceCounts, Totals};

/// What userspace tells the programs while they run.
#[btf_map]
pub static CONTROL: Array<Control, 1> = Array::new();

/// Flows on which this host has sent lately. Where there is no more room, the least recently used make some.
#[btf_map]
pub static FLOWS: LruHashMap<FlowKey, Flow, 65536> = LruHashMap::new();

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
