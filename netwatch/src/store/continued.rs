//! Incidents of earlier runs at the start: some are continued, and those that a crash has left open else are closed.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use tracing::{info, warn};

use super::limits::{AHEAD, CONTINUED, RESTART};
use super::{query, rows};
use crate::report::{Incident, Life, Time};

/// Why an incident ended that nobody saw the end of: netwatch was stopped, however.
const REASON: &str = "shutdown";

/// What is continued, the oldest first. The others that nobody has closed are closed; where that fails, it is tried at the
/// next start again.
pub(super) fn carry_on(connection: &Connection, now: Time) -> rusqlite::Result<Vec<Incident>> {
    let continued = open(connection, now, CONTINUED)?;
    match close_others(connection, &continued) {
        Ok(0) => {}
        Ok(1) => info!("1 incident of earlier runs was left open by a crash, and is closed now"),
        Ok(count) => {
            info!("{count} incidents of earlier runs were left open by a crash, and are closed now");
        }
        Err(error) => warn!("incidents that a crash has left open are not closed: {error}"),
    }
    Ok(continued.into_values().collect())
}

/// Incidents that went on, or ended because netwatch was stopped, shortly before `now`; of more than `most` those that were
/// told of last. By their numbers.
pub(super) fn open(
    connection: &Connection,
    now: Time,
    most: usize,
) -> rusqlite::Result<BTreeMap<i64, Incident>> {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let since = now.micros().saturating_sub(micros(RESTART));
    // What comes from the future is of a clock that was wrong, and would be continued again and again.
    let until = now.micros().saturating_add(micros(AHEAD));
    let mut statement = connection.prepare(
        "SELECT i.seq, d.doc FROM (
           SELECT seq, updated_us FROM incidents WHERE state = 0 AND updated_us BETWEEN ?1 AND ?2
           UNION ALL
           SELECT seq, updated_us FROM incidents WHERE state = 1 AND updated_us BETWEEN ?1 AND ?2
             AND closed_us BETWEEN ?1 AND ?2 AND close_reason = ?3
         ) i CROSS JOIN incident_docs d ON d.seq = i.seq ORDER BY i.updated_us DESC, i.seq DESC",
    )?;
    let mut rows = statement.query((since, until, REASON))?;
    let mut open = BTreeMap::new();
    while let Some(row) = rows.next()? {
        if open.len() >= most {
            break;
        }
        if let Some(incident) = row.get_ref(1)?.as_str().ok().and_then(query::parse) {
            open.insert(row.get(0)?, incident);
        }
    }
    Ok(open)
}

/// Closes what nobody has closed and nobody continues, as of when it was told of last. Returns how many.
pub(super) fn close_others(
    connection: &Connection,
    continued: &BTreeMap<i64, Incident>,
) -> rusqlite::Result<u64> {
    let mut left: Vec<i64> = connection
        .prepare("SELECT seq FROM incidents WHERE state = 0 ORDER BY updated_us")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    left.retain(|seq| !continued.contains_key(seq));
    if left.is_empty() {
        return Ok(0);
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut change = rows::numbers(&transaction)?.change;
    {
        let mut find = transaction.prepare("SELECT doc FROM incident_docs WHERE seq = ?1")?;
        let mut row = transaction.prepare(
            "UPDATE incidents SET state = 1, close_reason = ?2, closed_us = updated_us, change = ?3 WHERE seq = ?1",
        )?;
        let mut doc = transaction.prepare("UPDATE incident_docs SET doc = ?2 WHERE seq = ?1")?;
        for seq in &left {
            change += 1;
            row.execute((seq, REASON, change))?;
            // What cannot be read stays as it is, for whoever can make something of it.
            let text: Option<String> = find.query_row([seq], |row| row.get(0)).optional()?;
            let Some(incident) = text.as_deref().and_then(query::parse::<Incident>) else { continue };
            let closed = Incident {
                state: Life::Closed,
                close_reason: Some(REASON.into()),
                closed_at: Some(incident.updated_at),
                ..incident
            };
            doc.execute((seq, serde_json::to_string(&closed).map_err(rows::unwritable)?))?;
        }
    }
    transaction.execute("UPDATE counters SET change = ?1", [change])?;
    transaction.commit()?;
    Ok(left.len() as u64)
}
