//! What the memory for maps holds, by the number of CPUs: computed, not measured.

use netwatch::kernel::{Capacity, limits};
use serde_json::{Value, json};

use crate::support::table;

/// Numbers of CPUs that are told of.
const CPUS: [u64; 7] = [1, 2, 4, 8, 16, 64, 128];
/// Memory for each CPU that is told of besides the default, in bytes.
const PER_CPU: u64 = 16 << 20;

/// Tables: of the default memory, and of so much for each CPU.
fn tables() -> [Vec<(u64, u64, Capacity)>; 2] {
    let of = |memory: fn(u64) -> u64| {
        let row = |cpus| (cpus, memory(cpus), Capacity::within(memory(cpus), cpus));
        CPUS.into_iter().map(row).collect()
    };
    [of(|_| limits::DEFAULT_MAP_MEMORY), of(|cpus| limits::DEFAULT_MAP_MEMORY.max(PER_CPU * cpus))]
}

pub fn print() {
    for rows in tables() {
        let cells = |(cpus, memory, capacity): &(u64, u64, Capacity)| {
            vec![
                cpus.to_string(),
                (memory >> 20).to_string(),
                capacity.sources.to_string(),
                capacity.targets.to_string(),
                capacity.blocks.to_string(),
                (u64::from(capacity.sources) * cpus).to_string(),
                capacity.flows.to_string(),
                table::mib(capacity.bytes(*cpus)),
            ]
        };
        let heading = [
            "CPUs",
            "--map-memory, MiB",
            "sources per CPU",
            "targets",
            "filter blocks",
            "sources, all",
            "flows",
            "MiB",
        ];
        table::print(&heading, &rows.iter().map(cells).collect::<Vec<_>>());
        println!();
    }
    println!("room of the maps by number of possible CPUs, computed. Flows are shared by all CPUs.");
}

pub fn to_json() -> Value {
    let rows = tables().into_iter().flatten().map(|(cpus, memory, capacity)| {
        json!({
            "cpus": cpus,
            "map_memory": memory,
            "sources_per_cpu": capacity.sources,
            "targets_per_cpu": capacity.targets,
            "filter_blocks_per_cpu": capacity.blocks,
            "flows": capacity.flows,
            "bytes": capacity.bytes(cpus),
        })
    });
    rows.collect()
}
