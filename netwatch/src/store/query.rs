//! Questions become SQL, and rows become answers: of one database, be it the file or what waits in memory.

use std::fmt::Write as _;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use tracing::warn;

use super::{address, rows, schema};
use crate::report::history::{Order, PAGE_MAX, SEARCHED};
use crate::report::{Incident, IncidentQuery, Network, WindowQuery, WindowSummary};

/// What one database has to say.
#[derive(Debug)]
pub(super) struct Part<T> {
    /// In the order that was asked for.
    pub items: Vec<Found<T>>,
    /// Up to where it was looked: the place of the last row, where there may be more behind it.
    pub until: Option<i64>,
    /// The number of the last step that this database knows.
    pub change: i64,
}

/// One row.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// Its place in the order that was asked for.
    pub place: i64,
    /// The number of its last step; of a window, its own.
    pub change: i64,
    /// The incident's name; of a window, its number.
    pub name: String,
    /// What is in it; none where it cannot be read.
    pub item: Option<T>,
}

/// A statement, and what it is given.
pub(super) struct Asked {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Asked {
    fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds a condition, in which `?` stands for the value.
    fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let place = format!("?{}", self.values.len());
        let _ = write!(self.sql, " AND {}", condition.replace('?', &place));
    }

    /// Adds the condition that a column is one of several keys.
    fn with_any<const N: usize>(&mut self, column: &str, keys: impl Iterator<Item = [u8; N]>) {
        let from = self.values.len();
        self.values.extend(keys.map(|key| Value::Blob(key.to_vec())));
        let places: Vec<_> = (from + 1..=self.values.len()).map(|place| format!("?{place}")).collect();
        let _ = write!(self.sql, " AND {column} IN ({})", places.join(","));
    }
}

/// That somebody looks after an incident.
const IS_ACKED: &str = "EXISTS (SELECT 1 FROM acks a WHERE a.id = i.id AND a.at_us IS NOT NULL)";

/// What a question for incidents is in SQL. Databases of earlier versions have no acknowledgements.
pub(super) fn incidents_sql(query: &IncidentQuery, has_acks: bool) -> Asked {
    let is_acked = if has_acks { IS_ACKED } else { "0" };
    let limit = query.limit.min(PAGE_MAX);
    let (column, direction) = match query.order {
        Order::Newest => ("seq", "DESC"),
        Order::Changed => ("change", "ASC"),
        Order::Worst => return worst_sql(query, is_acked, limit),
    };
    let mut asked = Asked::new(&format!(
        "SELECT i.{column}, i.change, i.id, d.doc FROM incidents i CROSS JOIN incident_docs d ON d.seq = i.seq WHERE 1"
    ));
    conditions(&mut asked, query, is_acked);
    match query.order {
        Order::Changed => asked.with("i.change > ?", place(query.cursor.unwrap_or(0))),
        _ => asked.with("i.seq < ?", place(query.cursor.unwrap_or(u64::MAX))),
    }
    let _ = write!(asked.sql, " ORDER BY i.{column} {direction} LIMIT {limit}");
    asked
}

/// The same in an order that no index has. One number says where an incident stands: whether somebody should look at it, how
/// severe it is, and when it came. Documents are looked at only of what is in the answer.
fn worst_sql(query: &IncidentQuery, is_acked: &str, limit: usize) -> Asked {
    let mut asked = Asked::new(&format!(
        "SELECT i.place, i.change, i.id, d.doc FROM (
           SELECT i.seq, i.change, i.id,
             (CASE WHEN i.state = 1 THEN 0 WHEN {is_acked} THEN 1 ELSE 2 END << 59) + (i.severity << 56) + i.seq AS place
           FROM incidents i WHERE 1"
    ));
    conditions(&mut asked, query, is_acked);
    asked.with("place < ?", place(query.cursor.unwrap_or(u64::MAX)));
    let _ = write!(
        asked.sql,
        " ORDER BY place DESC LIMIT {limit}) i CROSS JOIN incident_docs d ON d.seq = i.seq ORDER BY i.place DESC"
    );
    asked
}

/// Where the last `count` incidents in the order of their changes begin: what is behind it are those.
pub(super) fn last_changed(
    connection: &Connection,
    query: &IncidentQuery,
    count: usize,
) -> rusqlite::Result<u64> {
    let mut asked = Asked::new("SELECT i.change FROM incidents i WHERE 1");
    let is_acked = if schema::has_acks(connection)? { IS_ACKED } else { "0" };
    conditions(&mut asked, query, is_acked);
    asked.with("i.change > ?", 0);
    let _ = write!(asked.sql, " ORDER BY i.change DESC LIMIT 1 OFFSET {count}");
    let mut statement = connection.prepare(&asked.sql)?;
    let change: Option<i64> =
        statement.query_row(params_from_iter(&asked.values), |row| row.get(0)).optional()?;
    Ok(change.map_or(0, i64::unsigned_abs))
}

fn conditions(asked: &mut Asked, query: &IncidentQuery, is_acked: &str) {
    if let Some(since) = query.since {
        asked.with("i.updated_us >= ?", since.micros());
    }
    if let Some(until) = query.until {
        asked.with("i.updated_us < ?", until.micros());
    }
    if let Some(rule) = &query.rule {
        asked.with("i.rule = ?", rule.clone());
    }
    if let Some(least) = query.min_severity {
        asked.with("i.severity >= ?", rows::rank(least.name()));
    }
    if let Some(least) = query.min_weight {
        asked.with("i.weight >= ?", rows::rank(least.name()));
    }
    if let Some(source) = query.source {
        asked.with_any("i.source", address::containing(source));
    }
    if let Some(dest) = query.dest {
        asked.with_any("i.dest", std::iter::once(address::exactly(dest)));
    }
    if let Some(interface) = &query.interface {
        asked.with("i.interface = ?", interface.clone());
    }
    if let Some(state) = query.state {
        asked.with("i.state = ?", rows::life(state));
    }
    if let Some(network) = query.near {
        near(asked, network);
    }
    if !query.words.is_empty() {
        let _ = write!(asked.sql, " AND i.seq > (SELECT seq FROM counters) - {SEARCHED}");
    }
    for word in &query.words {
        let pattern = format!("%{}%", word.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"));
        // What is no JSON says nothing.
        let condition = r"EXISTS (SELECT 1 FROM incident_docs t WHERE t.seq = i.seq AND
            CASE WHEN json_valid(t.doc) THEN t.doc ->> '$.text' LIKE ? ESCAPE '\' ELSE 0 END)";
        asked.with(condition, pattern);
    }
    if let Some(wanted) = query.acknowledged {
        let _ = write!(asked.sql, " AND {}{is_acked}", if wanted { "" } else { "NOT " });
    }
}

/// The condition that source or destination is in a network, or the source a network around it.
fn near(asked: &mut Asked, Network { addr, bits }: Network) {
    let (first, last) = address::within(addr, bits);
    let mut value = |key: [u8; address::KEY]| {
        asked.values.push(Value::Blob(key.to_vec()));
        format!("?{}", asked.values.len())
    };
    let (first, last) = (value(first), value(last));
    let width = if addr.is_ipv4() { 96 + bits } else { bits };
    let around: Vec<_> =
        address::containing(addr).filter(|key| key[address::KEY - 1] < width).map(value).collect();
    let _ = write!(
        asked.sql,
        " AND (i.source BETWEEN {first} AND {last} OR i.dest BETWEEN {first} AND {last} OR i.source IN ({}))",
        around.join(",")
    );
}

/// Incidents of one database.
pub(super) fn incidents(connection: &Connection, query: &IncidentQuery) -> rusqlite::Result<Part<Incident>> {
    let asked = incidents_sql(query, schema::has_acks(connection)?);
    run(connection, &asked, query.limit, parse)
}

/// One incident of one database, and the number of its last step.
pub(super) fn incident(connection: &Connection, id: &str) -> rusqlite::Result<Option<Incident>> {
    let mut statement = connection.prepare(
        "SELECT d.doc FROM incidents i CROSS JOIN incident_docs d ON d.seq = i.seq WHERE i.id = ?1",
    )?;
    let doc: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
    Ok(doc.as_deref().and_then(parse))
}

/// The number of an incident's last step.
pub(super) fn change_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    connection.query_row("SELECT change FROM incidents WHERE id = ?1", [id], |row| row.get(0)).optional()
}

/// What a question for windows is in SQL.
pub(super) fn windows_sql(query: &WindowQuery) -> Asked {
    let mut asked = Asked::new("SELECT w.id, w.id, CAST(w.id AS TEXT), w.doc FROM windows w WHERE 1");
    if let Some(since) = query.since {
        asked.with("w.at_us >= ?", since.micros());
    }
    if let Some(until) = query.until {
        asked.with("w.at_us < ?", until.micros());
    }
    if let Some(interface) = &query.interface {
        asked.with("w.interface = ?", interface.clone());
    }
    asked.with("w.id < ?", place(query.cursor.unwrap_or(u64::MAX)));
    if let Some(source) = query.source {
        let mut within = Asked { sql: String::new(), values: std::mem::take(&mut asked.values) };
        within.with_any("s.source", address::containing(source));
        let _ =
            write!(asked.sql, " AND w.id IN (SELECT s.window FROM window_sources s WHERE 1{})", within.sql);
        asked.values = within.values;
    }
    let _ = write!(asked.sql, " ORDER BY w.id DESC LIMIT {}", query.limit.min(PAGE_MAX));
    asked
}

/// Summaries of one database.
pub(super) fn windows(connection: &Connection, query: &WindowQuery) -> rusqlite::Result<Part<WindowSummary>> {
    let asked = windows_sql(query);
    run(connection, &asked, query.limit, |doc| {
        let mut summary: WindowSummary = parse(doc)?;
        if let Some(addr) = query.source {
            summary.sources.retain(|source| address::contains(&source.source, addr));
        }
        Some(summary)
    })
}

/// Nothing is older than this, in microseconds.
pub(super) fn oldest(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(at) FROM (SELECT min(at_us) AS at FROM windows UNION ALL SELECT min(opened_us) FROM incidents)";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Runs a statement of four columns: the place, the number of the last step, the name and the document.
fn run<T>(
    connection: &Connection,
    asked: &Asked,
    limit: usize,
    read: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<Part<T>> {
    // Both of one moment, so that no step between them is missed.
    let moment = connection.unchecked_transaction()?;
    let last = rows::numbers(&moment)?.change;
    let mut statement = moment.prepare(&asked.sql)?;
    let mut found = statement.query(params_from_iter(&asked.values))?;
    let mut items = Vec::new();
    while let Some(row) = found.next()? {
        let item = row.get_ref(3)?.as_str().ok().and_then(&read);
        items.push(Found { place: row.get(0)?, change: row.get(1)?, name: row.get(2)?, item });
    }
    let until = items.last().map(|last| last.place).filter(|_| items.len() >= limit.min(PAGE_MAX));
    Ok(Part { items, until, change: last })
}

/// What one row cannot say is no reason to say nothing about the others.
pub(super) fn parse<T: serde::de::DeserializeOwned>(doc: &str) -> Option<T> {
    serde_json::from_str(doc).map_err(|wrong| warn!("a row of the history is left out: {wrong}")).ok()
}

fn place(cursor: u64) -> i64 {
    i64::try_from(cursor).unwrap_or(i64::MAX)
}
