//! The tables, and how older files become like new ones.

use rusqlite::Connection;

/// What marks a database as a history of netwatch: `nwhi`.
pub(super) const APPLICATION_ID: i64 = 0x6e77_6869;

/// What leads from each version to the next, the first from nothing. A step that was released is never changed: a new one
/// comes behind it.
pub(super) const STEPS: &[&str] = &[V1, V2];

/// Narrow rows are what filters look at; documents lie apart, so that looking costs little.
const V1: &str = "
CREATE TABLE incidents (
  seq INTEGER PRIMARY KEY,       -- in the order in which they were opened
  id TEXT NOT NULL UNIQUE,
  change INTEGER NOT NULL,       -- the number of the last step, of all steps of all incidents
  rule TEXT NOT NULL,
  severity INTEGER NOT NULL,     -- 0 info to 4 critical
  weight INTEGER NOT NULL,
  state INTEGER NOT NULL,        -- 0 open, 1 closed
  close_reason TEXT,
  interface TEXT NOT NULL,
  source BLOB,                   -- 16 bytes, IPv4 from bit 96 on, and the length of the prefix
  dest BLOB,                     -- likewise
  opened_us INTEGER NOT NULL,    -- microseconds since 1970
  first_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  closed_us INTEGER
) STRICT;
CREATE UNIQUE INDEX incidents_by_change ON incidents (change);
CREATE INDEX incidents_by_rule ON incidents (rule, seq);
CREATE INDEX incidents_by_source ON incidents (source, seq) WHERE source IS NOT NULL;
CREATE INDEX incidents_by_dest ON incidents (dest, seq) WHERE dest IS NOT NULL;
CREATE INDEX incidents_by_state ON incidents (state, updated_us);
CREATE TABLE incident_docs (
  seq INTEGER PRIMARY KEY,
  doc TEXT NOT NULL              -- the incident as JSON
) STRICT;
CREATE TABLE windows (
  id INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  interface TEXT NOT NULL,
  packets INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  doc TEXT NOT NULL              -- the summary as JSON
) STRICT;
CREATE INDEX windows_by_time ON windows (at_us);
CREATE TABLE window_sources (
  source BLOB NOT NULL,
  window INTEGER NOT NULL,
  packets INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (source, window)
) STRICT, WITHOUT ROWID;
CREATE INDEX window_sources_by_window ON window_sources (window);
CREATE TABLE counters (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL,          -- the last numbers that were given: none is given twice, even where rows are removed
  change INTEGER NOT NULL,
  window INTEGER NOT NULL
) STRICT;
INSERT INTO counters VALUES (1, 0, 0, 0);
";

/// Who acknowledges what; apart from incidents, so that their steps change nothing of it.
const V2: &str = "
CREATE TABLE acks (
  id TEXT PRIMARY KEY,           -- the incident's name
  at_us INTEGER,                 -- null where it was taken back, which only memory remembers
  severity INTEGER NOT NULL,     -- the incident's at that time
  note TEXT
) STRICT, WITHOUT ROWID;
";
/// The first version with acknowledgements.
const ACKS: i64 = 2;

/// What a database says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Empty.
    New,
    /// A history of this version.
    Ours(i64),
    /// Of another program.
    Foreign,
}

/// Looks what a database is, without changing it.
pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, version, tables) {
        (APPLICATION_ID, version, _) => Kind::Ours(version),
        (0, 0, 0) => Kind::New,
        _ => Kind::Foreign,
    })
}

/// Takes a database from its version to the newest, each step whole or not at all.
pub(super) fn migrate(connection: &mut Connection, from: i64, steps: &[&str]) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0);
    for (step, version) in steps.iter().zip(1_i64..).skip(done) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether a database knows of acknowledgements: one that is only read may be older.
pub(super) fn has_acks(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map(|found| found >= ACKS)
}

/// The newest version of some steps.
pub(super) fn version(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}
