//! Incidents and summaries become rows.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::acks::Wish;
use super::address;
use crate::analysis::Severity;
use crate::report::{Incident, Life, Time, WindowSummary};

/// What is to be written.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// An incident as of a step.
    Step(Arc<Incident>),
    /// What an interface saw in a window.
    Window(Arc<WindowSummary>),
    /// That somebody looks after an incident, or does not any more.
    Ack(Arc<Wish>),
}

/// The last numbers that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub seq: i64,
    pub change: i64,
    pub window: i64,
}

/// What is known of an incident that was written before. When it began stays what it was: after a restart it may come with
/// a later time.
#[derive(Clone, Copy, Debug)]
struct Known {
    seq: i64,
    opened_us: i64,
    first_us: i64,
}

/// The statements that write, for one transaction.
pub(super) struct Put<'c> {
    find: Statement<'c>,
    evidence: Statement<'c>,
    taken: Statement<'c>,
    row: Statement<'c>,
    doc: Statement<'c>,
    window: Statement<'c>,
    window_source: Statement<'c>,
    counters: Statement<'c>,
}

impl<'c> Put<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            find: connection.prepare("SELECT seq, opened_us, first_us FROM incidents WHERE id = ?1")?,
            // What is no JSON has none.
            evidence: connection.prepare(
                "SELECT CASE WHEN json_valid(doc) THEN CAST(doc ->> '$.evidence_file' AS TEXT) END
                 FROM incident_docs WHERE seq = ?1",
            )?,
            taken: connection.prepare("SELECT 1 FROM incidents WHERE seq = ?1")?,
            row: connection.prepare(
                "INSERT INTO incidents (seq, id, change, rule, severity, weight, state, close_reason, interface,
                   source, dest, opened_us, first_us, updated_us, closed_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (id) DO UPDATE SET change = excluded.change, rule = excluded.rule,
                   severity = excluded.severity, weight = excluded.weight, state = excluded.state,
                   close_reason = excluded.close_reason, interface = excluded.interface,
                   source = excluded.source, dest = excluded.dest, opened_us = excluded.opened_us,
                   first_us = excluded.first_us, updated_us = excluded.updated_us,
                   closed_us = excluded.closed_us",
            )?,
            doc: connection.prepare("INSERT OR REPLACE INTO incident_docs (seq, doc) VALUES (?1, ?2)")?,
            window: connection.prepare(
                "INSERT INTO windows (id, at_us, interface, packets, bytes, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            window_source: connection.prepare(
                "INSERT OR IGNORE INTO window_sources (source, window, packets, bytes) VALUES (?1, ?2, ?3, ?4)",
            )?,
            counters: connection.prepare("UPDATE counters SET seq = ?1, change = ?2, window = ?3")?,
        })
    }

    /// Writes the step of an incident under the next number. Returns the incident's number, and whether it is new.
    pub(super) fn step(
        &mut self,
        incident: &Incident,
        numbers: &mut Numbers,
    ) -> rusqlite::Result<(i64, bool)> {
        self.numbered_step(incident, (None, 0), numbers)
    }

    /// The same for one that has numbers already, which it keeps as far as it can.
    pub(super) fn numbered_step(
        &mut self,
        incident: &Incident,
        (wanted, change): (Option<i64>, i64),
        numbers: &mut Numbers,
    ) -> rusqlite::Result<(i64, bool)> {
        let before = self.find.query_row([&incident.id], known).optional()?;
        let seq = match (before, wanted) {
            (Some(known), _) => known.seq,
            (None, Some(wanted)) if !self.taken.exists([wanted])? => wanted,
            (None, _) => numbers.seq + 1,
        };
        numbers.seq = numbers.seq.max(seq);
        numbers.change = change.max(numbers.change + 1);
        let evidence = match before {
            Some(known) if incident.evidence_file.is_none() => {
                self.evidence.query_row([known.seq], |row| row.get(0)).optional()?.flatten()
            }
            _ => None,
        };
        let incident = as_it_began(incident, before, evidence);
        let doc = serde_json::to_string(&*incident).map_err(unwritable)?;
        let source = incident.source.as_deref().and_then(address::key);
        let source = source.or_else(|| incident.src_ip.map(address::exactly));
        self.row.execute(params![
            seq,
            incident.id,
            numbers.change,
            incident.rule,
            rank(&incident.severity),
            rank(&incident.weight),
            life(incident.state),
            incident.close_reason,
            incident.interface,
            source,
            incident.dest_ip.map(address::exactly),
            incident.opened_at.micros(),
            incident.first_seen.micros(),
            incident.updated_at.micros(),
            incident.closed_at.map(Time::micros),
        ])?;
        self.doc.execute(params![seq, doc])?;
        Ok((seq, before.is_none()))
    }

    /// Writes a summary under the next number, or a later one.
    pub(super) fn window(
        &mut self,
        summary: &WindowSummary,
        wanted: i64,
        numbers: &mut Numbers,
    ) -> rusqlite::Result<()> {
        numbers.window = wanted.max(numbers.window + 1);
        let doc = serde_json::to_string(summary).map_err(unwritable)?;
        self.window.execute(params![
            numbers.window,
            summary.at.micros(),
            summary.interface,
            number(summary.packets),
            number(summary.bytes),
            doc
        ])?;
        for source in &summary.sources {
            if let Some(key) = address::key(&source.source) {
                let (packets, bytes) = (number(source.packets), number(source.bytes));
                self.window_source.execute(params![key, numbers.window, packets, bytes])?;
            }
        }
        Ok(())
    }

    /// Notes which numbers were given.
    pub(super) fn finish(mut self, numbers: Numbers) -> rusqlite::Result<()> {
        self.counters.execute([numbers.seq, numbers.change, numbers.window]).map(drop)
    }
}

/// The last numbers that a database has given.
pub(super) fn numbers(connection: &Connection) -> rusqlite::Result<Numbers> {
    connection.query_row("SELECT seq, change, window FROM counters", [], |row| {
        Ok(Numbers { seq: row.get(0)?, change: row.get(1)?, window: row.get(2)? })
    })
}

/// The number of a severity by its name.
pub(super) fn rank(name: &str) -> i64 {
    let place = Severity::ALL.iter().position(|severity| severity.name() == name);
    place.and_then(|place| i64::try_from(place).ok()).unwrap_or(0)
}

/// The number of a state.
pub(super) const fn life(life: Life) -> i64 {
    match life {
        Life::Open => 0,
        Life::Closed => 1,
    }
}

fn known(row: &rusqlite::Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known { seq: row.get(0)?, opened_us: row.get(1)?, first_us: row.get(2)? })
}

/// A step with what was known before it: when the incident began, and where packets of it are kept, which the first step
/// after a restart does not say. Nothing begins after it was told of, even where the clock was set back meanwhile.
fn as_it_began(incident: &Incident, before: Option<Known>, evidence: Option<String>) -> Cow<'_, Incident> {
    let (mut opened, mut first) = (incident.opened_at, incident.first_seen);
    if let Some(known) = before {
        opened = opened.min(Time::from_micros(known.opened_us));
        first = first.min(Time::from_micros(known.first_us));
    }
    opened = opened.min(incident.updated_at);
    first = first.min(incident.last_seen).min(incident.updated_at);
    let mut incident = Cow::Borrowed(incident);
    if opened < incident.opened_at {
        incident.to_mut().opened_at = opened;
    }
    if first < incident.first_seen {
        incident.to_mut().first_seen = first;
    }
    if evidence.is_some() {
        incident.to_mut().evidence_file = evidence;
    }
    incident
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Why something is no row.
pub(super) fn unwritable(wrong: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(wrong.into())
}
