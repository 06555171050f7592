//! Acknowledgements: that somebody looks after an incident. They lie beside incidents, so that a step changes nothing of them,
//! and by name: what waits in memory may be of an incident that only the file has.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;

use super::{rows, schema};
use crate::analysis::Severity;
use crate::report::{Incident, Time};

/// An acknowledgement as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub at: Time,
    /// The incident's severity at that time.
    pub severity: String,
    pub note: Option<String>,
}

/// One that is to be kept, or taken back, and who waits for that.
#[derive(Debug)]
pub(super) struct Wish {
    pub id: String,
    /// None takes it back.
    pub kept: Option<Kept>,
    waits: Mutex<Option<oneshot::Sender<()>>>,
}

impl Wish {
    pub(super) fn new(id: String, kept: Option<Kept>) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self { id, kept, waits: Mutex::new(Some(sender)) }, receiver)
    }

    /// Lets who waits know that it was committed.
    pub(super) fn is_done(&self) {
        if let Some(sender) = self.waits.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = sender.send(());
        }
    }
}

/// Writes one to the file. Without its incident, which may have been removed meanwhile, it is not kept.
pub(super) fn put(file: &Connection, id: &str, kept: Option<&Kept>) -> rusqlite::Result<()> {
    match kept {
        Some(Kept { at, severity, note }) => file
            .execute(
                "INSERT OR REPLACE INTO acks (id, at_us, severity, note)
                 SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM incidents WHERE id = ?1)",
                params![id, at.micros(), rows::rank(severity), note],
            )
            .map(drop),
        None => file.execute("DELETE FROM acks WHERE id = ?1", [id]).map(drop),
    }
}

/// Keeps one in memory. That one was taken back has to be remembered too, until the file knows of it.
pub(super) fn remember(memory: &Connection, id: &str, kept: Option<&Kept>) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO acks (id, at_us, severity, note) VALUES (?1, ?2, ?3, ?4)";
    let severity = kept.map_or(0, |kept| rows::rank(&kept.severity));
    let (at, note) = (kept.map(|kept| kept.at.micros()), kept.and_then(|kept| kept.note.as_deref()));
    memory.execute(sql, params![id, at, severity, note]).map(drop)
}

/// Writes all that is in memory to the file.
pub(super) fn move_to(memory: &Connection, file: &Connection) -> rusqlite::Result<()> {
    let mut statement = memory.prepare("SELECT id, at_us, severity, note FROM acks")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        put(file, &row.get::<_, String>(0)?, read(row)?.as_ref())?;
    }
    Ok(())
}

/// Takes over from a damaged file what can be read.
pub(super) fn salvage(damaged: &Connection, file: &Connection) -> rusqlite::Result<()> {
    let Ok(mut statement) = damaged.prepare("SELECT id, at_us, severity, note FROM acks") else {
        return Ok(());
    };
    let Ok(mut found) = statement.query([]) else { return Ok(()) };
    while let Ok(Some(row)) = found.next() {
        let (Ok(id), Ok(kept)) = (row.get::<_, String>(0), read(row)) else { continue };
        put(file, &id, kept.as_ref())?;
    }
    Ok(())
}

/// What one database knows of these incidents: of each acknowledged, or taken back.
pub(super) fn of(
    connection: &Connection,
    incidents: &[Incident],
) -> rusqlite::Result<HashMap<String, Option<Kept>>> {
    let mut known = HashMap::new();
    if !schema::has_acks(connection)? {
        return Ok(known);
    }
    let mut statement = connection.prepare("SELECT id, at_us, severity, note FROM acks WHERE id = ?1")?;
    for incident in incidents {
        if let Some(kept) = statement.query_row([&incident.id], read).optional()? {
            known.insert(incident.id.clone(), kept);
        }
    }
    Ok(known)
}

/// Fills in what is known.
pub(super) fn fill(incidents: &mut [Incident], known: &HashMap<String, Option<Kept>>) {
    for incident in incidents {
        if let Some(kept) = known.get(&incident.id) {
            note(incident, kept.as_ref());
        }
    }
}

/// Fills in one.
pub(super) fn note(incident: &mut Incident, kept: Option<&Kept>) {
    incident.acknowledged_at = kept.map(|kept| kept.at);
    incident.acknowledged_severity = kept.map(|kept| kept.severity.clone());
    incident.acknowledged_note = kept.and_then(|kept| kept.note.clone());
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Kept>> {
    let Some(at) = row.get::<_, Option<i64>>(1)? else { return Ok(None) };
    let rank = usize::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
    let severity = Severity::ALL.get(rank).copied().unwrap_or(Severity::Info);
    Ok(Some(Kept { at: Time::from_micros(at), severity: severity.name().into(), note: row.get(3)? }))
}
