//! What is old goes, in small steps, and so does what finds no room. Incidents that go on are never removed.

use rusqlite::{Connection, OptionalExtension as _};

use super::limits::{LOG_BYTES, REMOVED_AT_ONCE};
use super::memory;

/// What a step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    pub incidents: u64,
    pub windows: u64,
    /// Whether there is more to do.
    pub is_more: bool,
}

/// What made room in memory.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Numbers of incidents.
    pub incidents: Vec<i64>,
    /// How many summaries.
    pub windows: u64,
}

/// Which rows may go.
struct Old {
    incident_us: Option<i64>,
    window_us: Option<i64>,
}

/// Removes some of what is older than `before_us`, and some of the oldest where the file has more than `max_bytes`.
pub(super) fn tidy(connection: &mut Connection, before_us: i64, max_bytes: u64) -> rusqlite::Result<Removed> {
    let room = max_bytes.saturating_sub(LOG_BYTES);
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut removed = Removed {
        incidents: remove_incidents(&transaction, before_us)?,
        windows: remove_windows(&transaction, before_us)?,
        is_more: false,
    };
    if used(&transaction)? > room {
        let old = oldest(&transaction)?;
        // Whatever is older goes first, up to the younger of the two.
        match (old.incident_us, old.window_us) {
            (Some(incident), window) if window.is_none_or(|window| incident <= window) => {
                removed.incidents +=
                    remove_incidents(&transaction, window.unwrap_or(i64::MAX).max(incident + 1))?;
            }
            (incident, Some(window)) => {
                removed.windows +=
                    remove_windows(&transaction, incident.unwrap_or(i64::MAX).max(window + 1))?;
            }
            _ => {}
        }
    }
    let is_over = used(&transaction)? > room;
    transaction.commit()?;
    let count = removed.incidents + removed.windows;
    if count > 0 || size(connection)? > room {
        shrink(connection)?;
    }
    removed.is_more = count > 0 && (is_over || count >= REMOVED_AT_ONCE as u64);
    Ok(removed)
}

/// Leaves so many incidents and windows at most. Of incidents those that have ended go first, the oldest of them first.
pub(super) fn leave(connection: &Connection, incidents: usize, windows: usize) -> rusqlite::Result<Gone> {
    let mut gone = Gone::default();
    let over = too_many(connection, "windows", windows);
    if over > 0 {
        let ids = numbers(connection, "SELECT id FROM windows ORDER BY id LIMIT ?1", [over])?;
        delete_windows(connection, &ids)?;
        gone.windows = ids.len() as u64;
    }
    let over = too_many(connection, "incidents", incidents);
    if over > 0 {
        let sql = "SELECT seq FROM incidents ORDER BY state DESC, updated_us LIMIT ?1";
        gone.incidents = numbers(connection, sql, [over])?;
        delete_incidents(connection, &gone.incidents)?;
    }
    Ok(gone)
}

/// Bytes of all pages with something in them.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let free = pragma(connection, "PRAGMA freelist_count")? * pragma(connection, "PRAGMA page_size")?;
    Ok(size(connection)?.saturating_sub(free))
}

/// Bytes of all pages.
fn size(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(pragma(connection, "PRAGMA page_count")? * pragma(connection, "PRAGMA page_size")?)
}

fn pragma(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    connection.query_row(sql, [], |row| row.get(0)).map(i64::unsigned_abs)
}

/// How many rows of a table are too many.
fn too_many(connection: &Connection, table: &str, most: usize) -> i64 {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    i64::try_from(memory::count(connection, table)).unwrap_or(i64::MAX).saturating_sub(most)
}

/// Gives pages back to the file system, not too many at once, and empties the log as far as nobody reads in it.
fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    for sql in ["PRAGMA incremental_vacuum(512)", "PRAGMA wal_checkpoint(PASSIVE)"] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

fn oldest(connection: &Connection) -> rusqlite::Result<Old> {
    let first = |sql| connection.query_row(sql, [], |row| row.get(0)).optional();
    Ok(Old {
        incident_us: first("SELECT updated_us FROM incidents WHERE state = 1 ORDER BY updated_us LIMIT 1")?,
        window_us: first("SELECT at_us FROM windows ORDER BY at_us LIMIT 1")?,
    })
}

fn remove_incidents(connection: &Connection, before_us: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT seq FROM incidents WHERE state = 1 AND updated_us < ?1 ORDER BY updated_us LIMIT";
    let seqs = numbers(connection, &format!("{sql} {REMOVED_AT_ONCE}"), [before_us])?;
    delete_incidents(connection, &seqs)?;
    Ok(seqs.len() as u64)
}

fn remove_windows(connection: &Connection, before_us: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT id FROM windows WHERE at_us < ?1 ORDER BY at_us LIMIT";
    let ids = numbers(connection, &format!("{sql} {REMOVED_AT_ONCE}"), [before_us])?;
    delete_windows(connection, &ids)?;
    Ok(ids.len() as u64)
}

fn delete_incidents(connection: &Connection, seqs: &[i64]) -> rusqlite::Result<()> {
    let mut row = connection.prepare("DELETE FROM incidents WHERE seq = ?1")?;
    let mut doc = connection.prepare("DELETE FROM incident_docs WHERE seq = ?1")?;
    for seq in seqs {
        row.execute([seq])?;
        doc.execute([seq])?;
    }
    Ok(())
}

fn delete_windows(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let mut row = connection.prepare("DELETE FROM windows WHERE id = ?1")?;
    let mut sources = connection.prepare("DELETE FROM window_sources WHERE window = ?1")?;
    for id in ids {
        sources.execute([id])?;
        row.execute([id])?;
    }
    Ok(())
}

fn numbers(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare(sql)?;
    let numbers = statement.query_map(values, |row| row.get(0))?;
    numbers.collect()
}
