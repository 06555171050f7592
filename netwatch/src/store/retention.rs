//! What is old goes, in small steps, and so does what finds no room: summaries of windows before incidents, as long as they
//! have more than half of it. Incidents that go on are never removed.

use rusqlite::{Connection, OptionalExtension as _};

use super::limits::{LOG_BYTES, REMOVED_AT_ONCE};
use super::memory;

/// Rows of one kind that go before it is looked again which kind is older.
const SOME: usize = 50;
/// How many windows are looked at to know what all of them take.
const SAMPLES: i64 = 32;
/// What a window and each of its sources take beside the document: rows and what finds them, in bytes.
const ROW_BYTES: i64 = 80;

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
    /// How many acknowledgements, those of the incidents included.
    pub acks: u64,
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
        incidents: remove_incidents(&transaction, before_us, REMOVED_AT_ONCE)?,
        windows: remove_windows(&transaction, before_us, REMOVED_AT_ONCE)?,
        is_more: false,
    };
    while used(&transaction)? > room && removed.incidents + removed.windows < REMOVED_AT_ONCE as u64 {
        // A flood makes large windows, and short ones are many: neither shall cost incidents.
        if windows_take(&transaction)? > room / 2 {
            removed.windows += remove_first_windows(&transaction, SOME)?;
            continue;
        }
        // Whatever is older goes first, some of it at a time.
        match oldest(&transaction)? {
            Old { incident_us: Some(incident), window_us }
                if window_us.is_none_or(|window| incident <= window) =>
            {
                removed.incidents += remove_incidents(&transaction, i64::MAX, SOME)?;
            }
            Old { window_us: Some(_), .. } => {
                removed.windows += remove_windows(&transaction, i64::MAX, SOME)?;
            }
            Old { .. } => break,
        }
    }
    let is_over = used(&transaction)? > room;
    transaction.commit()?;
    let count = removed.incidents + removed.windows;
    // Pages that are free are filled again; they go back where the file has too many of them.
    let before = size(connection)?;
    if before > room {
        all(connection, "PRAGMA incremental_vacuum(128)")?;
    }
    let is_smaller = size(connection)? < before;
    if count > 0 || is_smaller {
        all(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    }
    // Where nothing can go, as incidents that go on have all of the room, doing it again at once helps nobody.
    removed.is_more = count > 0 && (is_over || count >= REMOVED_AT_ONCE as u64) || is_smaller;
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
        gone.acks = delete_incidents(connection, &gone.incidents)?;
    }
    // Those of incidents that are in the file alone.
    let over = too_many(connection, "acks", incidents);
    if over > 0 {
        let sql = "DELETE FROM acks WHERE id IN (SELECT id FROM acks ORDER BY at_us LIMIT ?1)";
        gone.acks += connection.execute(sql, [over])? as u64;
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

/// Runs a statement to its end.
fn all(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn oldest(connection: &Connection) -> rusqlite::Result<Old> {
    let first = |sql| connection.query_row(sql, [], |row| row.get(0)).optional();
    Ok(Old {
        incident_us: first("SELECT updated_us FROM incidents WHERE state = 1 ORDER BY updated_us LIMIT 1")?,
        window_us: first("SELECT at_us FROM windows ORDER BY at_us LIMIT 1")?,
    })
}

fn remove_incidents(connection: &Connection, before_us: i64, most: usize) -> rusqlite::Result<u64> {
    let sql = "SELECT seq FROM incidents WHERE state = 1 AND updated_us < ?1 ORDER BY updated_us LIMIT";
    let seqs = numbers(connection, &format!("{sql} {most}"), [before_us])?;
    delete_incidents(connection, &seqs)?;
    Ok(seqs.len() as u64)
}

fn remove_windows(connection: &Connection, before_us: i64, most: usize) -> rusqlite::Result<u64> {
    let sql = "SELECT id FROM windows WHERE at_us < ?1 ORDER BY at_us LIMIT";
    let ids = numbers(connection, &format!("{sql} {most}"), [before_us])?;
    delete_windows(connection, &ids)?;
    Ok(ids.len() as u64)
}

/// Those that were written first. Their times may be of a clock that was wrong; what [`windows_take`] says is right only where
/// no number is left behind.
fn remove_first_windows(connection: &Connection, most: usize) -> rusqlite::Result<u64> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let ids = numbers(connection, "SELECT id FROM windows ORDER BY id LIMIT ?1", [most])?;
    delete_windows(connection, &ids)?;
    Ok(ids.len() as u64)
}

/// About how many bytes all windows take. To add them up one would have to read all of the file, so some are looked at, from
/// the first to the last; their numbers say how many there are.
fn windows_take(connection: &Connection) -> rusqlite::Result<u64> {
    let ends = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let sql = "SELECT (SELECT min(id) FROM windows), (SELECT max(id) FROM windows)";
    let (Some(first), Some(last)) =
        connection.query_row::<(Option<i64>, Option<i64>), _, _>(sql, [], ends)?
    else {
        return Ok(0);
    };
    let mut look = connection.prepare(&format!(
        "SELECT octet_length(w.doc) + {ROW_BYTES} + {ROW_BYTES} * (SELECT count(*) FROM window_sources s WHERE s.window = w.id)
         FROM windows w WHERE w.id >= ?1 ORDER BY w.id LIMIT 1"
    ))?;
    let count = last.saturating_sub(first).saturating_add(1);
    let samples = count.min(SAMPLES);
    let mut sum = 0;
    for sample in 0..samples {
        let place = i128::from(count) * i128::from(sample) / i128::from(samples);
        let id = first.saturating_add(i64::try_from(place).unwrap_or(i64::MAX));
        sum += look.query_row([id], |row| row.get::<_, i64>(0))?;
    }
    let all = i128::from(sum) * i128::from(count) / i128::from(samples);
    Ok(u64::try_from(all).unwrap_or(u64::MAX))
}

/// Removes them, with what is known of who looks after them; returns how many of that there were.
fn delete_incidents(connection: &Connection, seqs: &[i64]) -> rusqlite::Result<u64> {
    let mut acks =
        connection.prepare("DELETE FROM acks WHERE id = (SELECT id FROM incidents WHERE seq = ?1)")?;
    let mut count = 0;
    let mut row = connection.prepare("DELETE FROM incidents WHERE seq = ?1")?;
    let mut doc = connection.prepare("DELETE FROM incident_docs WHERE seq = ?1")?;
    for seq in seqs {
        count += acks.execute([seq])? as u64;
        row.execute([seq])?;
        doc.execute([seq])?;
    }
    Ok(count)
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
