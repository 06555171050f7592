//! The database in memory: what waits there, and how it gets into the file.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::acks;
use super::rows::{Item, Numbers, Put};
use crate::report::{Incident, WindowSummary};

/// Keeps a batch in memory. Returns the last numbers, and those of the incidents of each step.
pub(super) fn remember(
    memory: &Connection,
    batch: &[Item],
    mut numbers: Numbers,
) -> rusqlite::Result<(Numbers, Vec<i64>)> {
    let transaction = Transaction::new_unchecked(memory, TransactionBehavior::Immediate)?;
    let mut put = Put::new(&transaction)?;
    let mut seqs = Vec::new();
    for item in batch {
        match item {
            Item::Step(incident) => seqs.push(put.step(incident, &mut numbers)?.0),
            Item::Window(summary) => put.window(summary, 0, &mut numbers)?,
            Item::Ack(wish) => acks::remember(&transaction, &wish.id, wish.kept.as_ref())?,
        }
    }
    put.finish(numbers)?;
    transaction.commit()?;
    Ok((numbers, seqs))
}

/// Writes all that is in memory to the file, in one transaction. `numbers` are the last that were given anywhere, `found`
/// those that the file knows of.
pub(super) fn move_to(
    memory: &Connection,
    file: &mut Connection,
    numbers: Numbers,
    found: Numbers,
) -> rusqlite::Result<Numbers> {
    // What waits keeps its numbers, unless the file has given them to others meanwhile.
    let mut given = found;
    let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut put = Put::new(&transaction)?;
    let mut statement = memory.prepare(
        "SELECT i.seq, i.change, d.doc FROM incidents i JOIN incident_docs d ON d.seq = i.seq ORDER BY i.change",
    )?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let incident: Incident = read(row.get_ref(2)?)?;
        put.numbered_step(&incident, (row.get(0)?, row.get(1)?), &mut given)?;
    }
    let mut statement = memory.prepare("SELECT id, doc FROM windows ORDER BY id")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let summary: WindowSummary = read(row.get_ref(1)?)?;
        put.window(&summary, row.get(0)?, &mut given)?;
    }
    let last = Numbers {
        seq: given.seq.max(numbers.seq),
        change: given.change.max(numbers.change),
        window: given.window.max(numbers.window),
    };
    put.finish(last)?;
    acks::move_to(memory, &transaction)?;
    transaction.commit()?;
    Ok(last)
}

/// Forgets what is in memory.
pub(super) fn clear(memory: &Connection) -> rusqlite::Result<()> {
    memory.execute_batch(
        "BEGIN; DELETE FROM incidents; DELETE FROM incident_docs; DELETE FROM windows; DELETE FROM window_sources;
         DELETE FROM acks; COMMIT",
    )
}

/// Rows of a table; none where that cannot be said.
pub(super) fn count(connection: &Connection, table: &str) -> u64 {
    let count =
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    count.map_or(0, i64::unsigned_abs)
}

fn read<T: serde::de::DeserializeOwned>(doc: rusqlite::types::ValueRef<'_>) -> rusqlite::Result<T> {
    let text = doc.as_str()?;
    serde_json::from_str(text).map_err(|wrong| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, wrong.into())
    })
}
