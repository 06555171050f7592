//! What the process takes of the machine, under the names that all exporters use.

use std::fmt;
use std::fs;

use nix::unistd::{SysconfVar, sysconf};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::Writer;
use crate::report::Snapshot;

/// Where processor time and memory stand in what follows the name in `/proc/self/stat`.
const USER: usize = 11;
const SYSTEM: usize = 12;
const THREADS: usize = 17;
const VIRTUAL: usize = 20;
const RESIDENT: usize = 21;

/// Writes what can be found out.
pub(super) fn encode(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name is in brackets, and may have any letters.
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number).copied().unwrap_or(0.0);
    let number = |name, default| match sysconf(name) {
        Ok(Some(number)) => number as f64,
        _ => default,
    };
    let (tick, page) = (number(SysconfVar::CLK_TCK, 100.0), number(SysconfVar::PAGE_SIZE, 4_096.0));
    let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));

    cpu(&mut writer.0, (field(USER) + field(SYSTEM)) / tick)?;
    let help = "Memory that the process has in use.";
    writer.gauge("process_resident_memory", help, bytes, field(RESIDENT) * page)?;
    let help = "Addresses that the process has reserved.";
    writer.gauge("process_virtual_memory", help, bytes, field(VIRTUAL))?;
    writer.gauge("process_threads", "Threads of the process.", None, field(THREADS))?;
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        writer.gauge("process_open_fds", "Open files of the process.", None, files.count() as f64)?;
    }
    let started = snapshot.run.started_at.micros() as f64 / 1e6;
    writer.gauge("process_start_time", "When the process began.", seconds, started)
}

fn cpu(encoder: &mut DescriptorEncoder<'_>, seconds: f64) -> fmt::Result {
    let help = "Processor time that the process took.";
    encoder
        .encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?
        .encode_counter::<[(&str, &str); 0], _, f64>(&seconds, None)
}
