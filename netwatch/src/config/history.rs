//! How the history is kept, of all that the command line and the file say about it.

use super::show::Row;

/// What one place says about it.
#[derive(Clone, Debug, Default)]
pub(super) struct HistoryLayer {}

/// How the history is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySettings {}

/// Puts the layers on top of each other.
pub(super) fn resolve(
    _line: HistoryLayer,
    _file: HistoryLayer,
) -> Result<(HistorySettings, Vec<Row>), String> {
    Ok((HistorySettings {}, Vec::new()))
}
