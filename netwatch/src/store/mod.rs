//! The history: incidents and summaries of windows in a SQLite database, written by a thread of its own.
//!
//! The loop puts into a bounded queue what is to be kept, and waits for nothing. Read it in this order: [`limits`], [`error`],
//! `schema` (the tables), `address` (networks as keys), `rows` (incidents become rows), `acks` (who looks after them), `file` (opened with care), `shared`
//! (what threads share), `memory` (what waits), `writer` (the thread that writes), `continued` (what goes on after a restart),
//! `retention` (what goes), `salvage`, `query`, `merge` and `reader` (answers), [`archive`] (what another process reads).

mod acks;
mod address;
pub mod archive;
mod continued;
pub mod error;
mod file;
pub mod limits;
mod memory;
mod merge;
mod query;
mod reader;
mod retention;
mod rows;
mod salvage;
mod schema;
mod shared;
mod writer;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use crate::config::HistorySettings;
use crate::report::snapshot::StoreState;
use crate::report::{History, Incident, Step, Time, Told, WindowSummary};
pub use archive::Archive;
pub use error::{ArchiveError, Error};
use reader::Readers;
use rows::Item;
use shared::{Shared, add};
use writer::Writer;

/// A history that is being written.
pub struct Store {
    /// The only one that lasts: the writer ends with it.
    queue: Arc<SyncSender<Item>>,
    shared: Arc<Shared>,
    readers: Readers,
    finished: Receiver<()>,
}

/// What opening a history gives.
pub struct Opened {
    /// The history.
    pub store: Store,
    /// Incidents of earlier runs that go on: those that nobody has closed and that were told of within [`limits::RESTART`],
    /// and those that ended within it because netwatch was stopped. The oldest first.
    pub open: Vec<Incident>,
}

impl Store {
    /// Opens the history in a directory, or begins one; without a directory, in memory alone. A file that cannot be written
    /// now, for want of room or permission, is no error: it is tried again and again, and said in [`Store::state`].
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn start(dir: Option<&Path>, settings: &HistorySettings, now: Time) -> Result<Opened, Error> {
        let path = dir.map(prepare).transpose()?.map(|dir| dir.join(file::NAME));
        let shared = Arc::new(Shared::new(path)?);
        let mut writer = Writer::new(Arc::clone(&shared), settings.clone());
        writer.begin()?;
        let open = writer.carry_on(now).unwrap_or_else(|error| {
            tracing::warn!("incidents of earlier runs are not continued: {error}");
            Vec::new()
        });
        let (queue, items) = sync_channel(limits::QUEUE);
        let queue = Arc::new(queue);
        let readers = Readers::start(&shared, Arc::downgrade(&queue))?;
        let (finish, finished) = channel();
        let run = move || {
            writer.run(&items);
            let _ = finish.send(());
        };
        thread::Builder::new().name("history-write".into()).spawn(run).map_err(Error::Thread)?;
        Ok(Opened { store: Self { queue, shared, readers, finished }, open })
    }

    /// Gives it what was told. Digests are of no incident, and are not kept. Never waits: where there is no room, it is dropped
    /// and counted.
    pub fn offer(&mut self, told: &Arc<Told>) {
        if let (Some(incident), true) = (&told.incident, told.step != Step::Digest) {
            self.put(Item::Step(Arc::clone(incident)));
        }
    }

    /// Gives it what an interface saw in a window. Never waits either.
    pub fn window(&mut self, summary: WindowSummary) {
        self.put(Item::Window(Arc::new(summary)));
    }

    /// Who answers questions, for as long as anybody has it.
    #[must_use]
    pub fn history(&self) -> Arc<dyn History> {
        Arc::new(self.readers.clone())
    }

    /// How it is. What counts as written outlives the process and a power cut.
    #[must_use]
    pub fn state(&self) -> StoreState {
        self.shared.state()
    }

    /// Writes the rest, for which it waits at most so long.
    #[must_use]
    pub fn finish(self, patience: Duration) -> StoreState {
        let Self { queue, shared, finished, .. } = self;
        drop(queue);
        if finished.recv_timeout(patience).is_err() {
            tracing::warn!("the history is not complete: the disk is too slow");
        }
        shared.state()
    }

    fn put(&mut self, item: Item) {
        self.shared.enter();
        if self.queue.try_send(item).is_err() {
            self.shared.leave(1);
            add(&self.shared.dropped, 1);
        }
    }
}

/// Makes the directory where it is missing. Absolute, so that it does not matter where the process goes.
fn prepare(dir: &Path) -> Result<PathBuf, Error> {
    let because = |source| Error::Directory { path: dir.to_owned(), source };
    match DirBuilder::new().mode(0o750).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(because(error)),
        _ => {}
    }
    fs::canonicalize(dir).map_err(because)
}

#[cfg(test)]
mod tests;
