//! What the kernel's maps take, and for how many CPUs.

use super::{Line, Standing, line};
use crate::analysis::limits::WINDOW_SLOTS;
use crate::kernel::{Capacity, host};

/// What `map_memory` bytes per interface hold on this machine.
pub(super) fn lines(map_memory: u64) -> Vec<Line> {
    let mut lines = maps(map_memory);
    lines.extend(cpus(host::possible_cpus(), host::online_cpus()));
    lines
}

fn maps(map_memory: u64) -> Vec<Line> {
    let cpus = host::possible_cpus() as u64;
    let capacity = Capacity::within(map_memory, cpus);
    let mib = capacity.bytes(cpus) >> 20;
    let text = format!(
        "{mib} MiB per interface count {} sources and {} targets per slot on each of {cpus} CPUs; under a flood of forged \
         sources the window takes up to {} MiB besides",
        capacity.sources,
        capacity.targets,
        capacity.window_bytes(WINDOW_SLOTS, cpus) >> 20
    );
    let mut lines = vec![match host::available_memory() {
        Some(available) if available / 2 < capacity.bytes(cpus) => {
            let available = available >> 20;
            line(
                Standing::Warning,
                "maps",
                format!(
                    "{text}; that is much of the {available} MiB available, lower it with `--map-memory`"
                ),
            )
        }
        _ => line(Standing::Ok, "maps", text),
    }];
    if capacity.sources < 10_000 {
        lines.push(line(
            Standing::Warning,
            "maps",
            "a busy link has more sources than fit; give the maps more with `--map-memory`",
        ));
    }
    lines
}

/// The maps have a part for each CPU that may ever come, and those that never come leave theirs empty.
pub(super) fn cpus(possible: usize, online: usize) -> Option<Line> {
    // A few to spare are usual, and cost little.
    (possible >= online.saturating_mul(2) && possible - online >= 8).then(|| {
        line(
            Standing::Warning,
            "CPUs",
            format!(
                "the maps are made for the {possible} CPUs that may ever come, and {online} are online: the others' \
                 part is wasted; `nr_cpus={online}` on the kernel's command line, or a lower maximum in the \
                 hypervisor, saves it"
            ),
        )
    })
}
