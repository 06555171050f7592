//! A history as another process reads it, whether or not netwatch runs.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::error::{ArchiveError, Error};
use super::schema::{self, Kind};
use super::{acks, file, merge, query};
use crate::report::history::Order;
use crate::report::{Incident, IncidentQuery, Page, Time, WindowQuery, WindowSummary};

/// What to do where the files may not be read.
const NOT_ALLOWED: &str = "permission denied; run as root, or as a member of the directory's group";
/// What to do where a crash has left a log, of which the index is gone.
const NO_INDEX: &str = "its log needs somebody who may write there: run it once as root (sudo)";

/// A history that is only read.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    connection: Connection,
    identity: (u64, u64),
    /// Whether nobody wrote it when it was opened, so that it has to be opened again to see what is new.
    is_still: bool,
}

impl Archive {
    /// Opens the history in a state directory. No lock is taken, and nothing is changed.
    ///
    /// # Errors
    ///
    /// There is none, or none that can be read.
    pub fn open(dir: &Path) -> Result<Self, ArchiveError> {
        let path = dir.join(file::NAME);
        let failed = |reason: String| ArchiveError::Failed { path: path.clone(), reason };
        let identity = match file::identity(&path) {
            Ok(identity) => identity,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ArchiveError::Missing(path));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(failed(NOT_ALLOWED.into()));
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        if !path.is_file() {
            return Err(Error::NotRegular(path).into());
        }
        let looked = |immutable| {
            let connection = file::open_to_read(&path, immutable)?;
            schema::kind(&connection).map(|kind| (connection, kind))
        };
        let is_refused = |error: &rusqlite::Error| {
            matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
            )
        };
        let mut is_still = false;
        let opened = looked(false).or_else(|error| {
            // Who may not write beside the file cannot share its log; where there is none, none is needed.
            if !is_refused(&error) || file::has_log(&path) {
                return Err(error);
            }
            is_still = true;
            looked(true)
        });
        let (connection, kind) = opened.map_err(|error| {
            failed(match is_refused(&error) {
                // SQLite does not say which of its files it was.
                true if !file::is_readable(&path) => NOT_ALLOWED.into(),
                true if file::has_log(&path) => NO_INDEX.into(),
                _ => error.to_string(),
            })
        })?;
        let known = schema::version(schema::STEPS);
        match kind {
            Kind::Ours(found) if found > known => Err(Error::Newer { path, found, known }.into()),
            Kind::Ours(_) => Ok(Self { path, connection, identity, is_still }),
            Kind::New => Err(failed("there is nothing in it yet".into())),
            Kind::Foreign => Err(Error::Foreign(path).into()),
        }
    }

    /// Incidents, as of their last step.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, ArchiveError> {
        let part = query::incidents(&self.connection, query).map_err(|error| self.failed(&error))?;
        let nothing = query::Part { items: Vec::new(), until: None, change: 0 };
        let mut page = merge::pages((query.order, query.limit, query.cursor), nothing, part, |_| None);
        let known = acks::of(&self.connection, &page.items).map_err(|error| self.failed(&error))?;
        acks::fill(&mut page.items, &known);
        Ok(page)
    }

    /// Summaries of windows, the newest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn windows(&self, query: &WindowQuery) -> Result<Page<WindowSummary>, ArchiveError> {
        let part = query::windows(&self.connection, query).map_err(|error| self.failed(&error))?;
        let nothing = query::Part { items: Vec::new(), until: None, change: 0 };
        Ok(merge::pages((Order::Newest, query.limit, query.cursor), nothing, part, |_| None))
    }

    /// Nothing in it is older than this; none where there is nothing in it.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn oldest(&self) -> Result<Option<Time>, ArchiveError> {
        let oldest = query::oldest(&self.connection).map_err(|error| self.failed(&error))?;
        Ok(oldest.map(Time::from_micros))
    }

    /// The cursor behind which the last `count` of them are, in the order of their changes.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn last(&self, query: &IncidentQuery, count: usize) -> Result<u64, ArchiveError> {
        query::last_changed(&self.connection, query, count).map_err(|error| self.failed(&error))
    }

    /// Opens it again where that is needed to see what is new. Returns whether it is another file than before.
    ///
    /// # Errors
    ///
    /// There is none, or none that can be read.
    pub fn refresh(&mut self) -> Result<bool, ArchiveError> {
        let is_other = file::identity(&self.path).ok() != Some(self.identity);
        if is_other || self.is_still {
            *self = Self::open(self.path.parent().unwrap_or(Path::new("")))?;
        }
        Ok(is_other)
    }

    fn failed(&self, error: &rusqlite::Error) -> ArchiveError {
        ArchiveError::Failed { path: self.path.clone(), reason: error.to_string() }
    }
}
