//! Which packets are kept as evidence, of all that the command line and the file say about them.

use std::path::PathBuf;
use std::time::Duration;

use super::layer::{EvidenceLayer, first};
use super::show::{self, Row};
use crate::analysis::Severity;

/// Fewest and most packets of an incident that are kept.
pub(super) const PACKETS_RANGE: (u64, u64) = (1, 10_000);
/// Least and most bytes of the files in which they are kept.
pub(super) const BYTES_RANGE: (u64, u64) = (1 << 20, 1 << 40);
/// Fewest and most of those files.
pub(super) const FILES_RANGE: (u64, u64) = (1, 100_000);
/// Least and greatest age at which they are removed.
pub(super) const AGE_RANGE: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3_650 * 24 * 3600));

/// Packets of each incident, unless configured otherwise.
const PACKETS: u32 = 64;
/// Bytes of all files, likewise.
const BYTES: u64 = 64 << 20;
/// Files, likewise.
const FILES: usize = 1_000;
/// How old a file becomes, likewise.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where packets are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSettings {
    /// The directory.
    pub dir: PathBuf,
    /// Most packets of an incident.
    pub packets: u32,
    /// Most bytes of all files in the directory.
    pub max_bytes: u64,
    /// Most files in the directory.
    pub max_files: usize,
    /// When a file is removed, after its last packet.
    pub max_age: Duration,
    /// Least severity of incidents of which packets are kept.
    pub min_severity: Severity,
}

/// Puts the layers on top of each other. There are no settings where no directory is named.
pub(super) fn resolve(line: EvidenceLayer, file: EvidenceLayer) -> (Option<EvidenceSettings>, Vec<Row>) {
    let dir = first([line.dir, file.dir], PathBuf::new());
    let packets = first([file.packets], PACKETS);
    let max_bytes = first([file.max_bytes], BYTES);
    let max_files = first([file.max_files], FILES);
    let max_age = first([file.max_age], AGE);
    let min_severity = first([file.min_severity], Severity::Low);

    let table = "evidence";
    let rows = vec![
        show::path_of(table, "dir", &dir),
        show::number_of(table, "packets", &packets),
        show::size_of(table, "max_bytes", &max_bytes),
        show::number_of(table, "max_files", &max_files),
        show::duration_of(table, "max_age", &max_age),
        show::severity_of(table, "min_severity", &min_severity),
    ];
    let settings = EvidenceSettings {
        dir: dir.value,
        packets: packets.value,
        max_bytes: max_bytes.value,
        max_files: max_files.value,
        max_age: max_age.value,
        min_severity: min_severity.value,
    };
    (Some(settings).filter(|settings| !settings.dir.as_os_str().is_empty()), rows)
}
