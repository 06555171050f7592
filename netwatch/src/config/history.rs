//! How the history is kept, of all that the command line and the file say about it.

use std::time::Duration;

use super::layer::{Said, first};
use super::show::{self, Row};

/// Least and greatest age at which what is over is removed.
pub(super) const AGE_RANGE: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3_650 * 24 * 3600));
/// Least and most bytes of the file.
pub(super) const BYTES_RANGE: (u64, u64) = (8 << 20, 1 << 40);

/// How old it becomes, unless configured otherwise.
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of the file, likewise.
const BYTES: u64 = 256 << 20;

/// What one place says about it.
#[derive(Clone, Debug, Default)]
pub(super) struct HistoryLayer {
    pub max_age: Option<Said<Duration>>,
    pub max_bytes: Option<Said<u64>>,
}

/// How the history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// When incidents that are over, and summaries of windows, are removed.
    pub max_age: Duration,
    /// Most bytes of the file and its log.
    pub max_bytes: u64,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { max_age: AGE, max_bytes: BYTES }
    }
}

/// Puts the layers on top of each other.
pub(super) fn resolve(line: HistoryLayer, file: HistoryLayer) -> Result<(HistorySettings, Vec<Row>), String> {
    let max_age = first([line.max_age, file.max_age], AGE);
    let max_bytes = first([line.max_bytes, file.max_bytes], BYTES);
    let table = "history";
    let rows =
        vec![show::duration_of(table, "max_age", &max_age), show::size_of(table, "max_bytes", &max_bytes)];
    Ok((HistorySettings { max_age: max_age.value, max_bytes: max_bytes.value }, rows))
}
