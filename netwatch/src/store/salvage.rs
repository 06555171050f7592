//! What can still be read of a damaged file.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::rows::{Numbers, Put};
use super::{acks, file, query};
use crate::report::Incident;

/// Takes incidents over into a new file, as many as can be read from both ends. Returns the last numbers, and how many.
pub(super) fn salvage(
    from: &Path,
    to: &mut Connection,
    mut numbers: Numbers,
) -> rusqlite::Result<(Numbers, u64)> {
    let damaged = file::open_to_read(from, false)?;
    let transaction = to.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut put = Put::new(&transaction)?;
    let mut taken = HashSet::new();
    for order in ["ASC", "DESC"] {
        let Ok(mut statement) =
            damaged.prepare(&format!("SELECT seq, doc FROM incident_docs ORDER BY seq {order}"))
        else {
            break;
        };
        let Ok(mut rows) = statement.query([]) else { break };
        // The first row that cannot be read ends it.
        while let Ok(Some(row)) = rows.next() {
            let (Ok(seq), Ok(doc)) = (row.get::<_, i64>(0), row.get_ref(1)) else { continue };
            let incident = doc.as_str().ok().and_then(|doc| serde_json::from_str::<Incident>(doc).ok());
            if !taken.insert(seq) {
                break;
            }
            // What is there already is younger: it was told since.
            let is_new =
                |incident: &Incident| query::change_of(&transaction, &incident.id).ok() == Some(None);
            if let Some(incident) = incident.filter(is_new) {
                put.numbered_step(&incident, (Some(seq), 0), &mut numbers)?;
            }
        }
    }
    put.finish(numbers)?;
    acks::salvage(&damaged, &transaction)?;
    transaction.commit()?;
    Ok((numbers, taken.len() as u64))
}
