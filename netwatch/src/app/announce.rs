//! What is said at the start.

use tracing::info;

use super::{App, learned};
use crate::analysis::Confidence;
use crate::kernel::{Capacity, host};
use crate::summary;

impl App {
    pub(super) fn announce(&self) {
        let cpus = host::possible_cpus() as u64;
        let capacity = Capacity::within(self.config.map_memory, cpus);
        let mib = capacity.bytes(cpus) >> 20;
        for watched in &self.watched {
            let mode = watched.attached.map_or("no", |attached| attached.mode.name());
            let replies = match watched.attached.map(|attached| attached.confidence) {
                Some(Confidence::Flows) => "flows",
                _ => "flags and ports",
            };
            info!(
                "watching {} in {mode} mode, replies told by {replies}: window {:?} in slots of {:?}, maps of {mib} MiB for {} sources and \
                 {} targets per slot on each of {cpus} CPUs, at most {} MiB for the window",
                watched.name,
                self.config.window(),
                self.config.slot,
                capacity.sources,
                capacity.targets,
                capacity.window_bytes(self.config.slots, cpus) >> 20
            );
        }
        self.publisher.announce(&self.config.outputs);
        for (name, learned) in learned(&self.watched, &self.analysis) {
            summary::learning(name, learned, &self.policy);
        }
    }
}
