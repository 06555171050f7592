//! Where alerts go besides stdout, of all that the command line and the file say about it.

use super::layer::Said;
use super::show::Row;

/// One place that alerts go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {}

/// Puts the layers together: the file's first, then those that were typed.
pub(super) fn resolve(
    line: Vec<Said<OutputSettings>>,
    file: Vec<Said<OutputSettings>>,
) -> Result<(Vec<OutputSettings>, Vec<Row>), String> {
    Ok((file.into_iter().chain(line).map(|said| said.value).collect(), Vec::new()))
}
