//! What the writer, the readers and the loop share. The loop touches atomics only.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::error::Error;
use super::schema;
use crate::report::snapshot::StoreState;

/// Shared by the threads of a store.
#[derive(Debug)]
pub(super) struct Shared {
    /// The file; none where only memory is used on purpose.
    pub path: Option<PathBuf>,
    /// What is in no file: all of it where there is none, else what waits to be written. The loop never takes this lock.
    memory: Mutex<Connection>,
    /// Rises whenever the file is another one, or is opened anew.
    pub generation: AtomicU64,
    /// Whether a reader found the file damaged.
    pub suspect: AtomicBool,
    trouble: Mutex<Option<String>>,
    is_troubled: AtomicBool,
    /// Items in the queue.
    pub queued: AtomicU64,
    /// Items that were ever put into it, and that were ever taken care of.
    pub offered: AtomicU64,
    pub settled: AtomicU64,
    /// Items in memory that wait to be written.
    pub waiting: AtomicU64,
    pub bytes: AtomicU64,
    pub incidents: AtomicU64,
    pub written: AtomicU64,
    pub dropped: AtomicU64,
    pub removed: AtomicU64,
    pub failures: AtomicU64,
}

impl Shared {
    pub(super) fn new(path: Option<PathBuf>) -> Result<Self, Error> {
        let memory = || {
            let mut memory = Connection::open_in_memory()?;
            memory.pragma_update(None, "temp_store", "MEMORY")?;
            schema::migrate(&mut memory, 0, schema::STEPS)?;
            Ok(memory)
        };
        Ok(Self {
            path,
            memory: Mutex::new(memory().map_err(Error::Memory)?),
            generation: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            trouble: Mutex::new(None),
            is_troubled: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            offered: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            incidents: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            removed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// The database in memory.
    pub(super) fn memory(&self) -> MutexGuard<'_, Connection> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more is about to be put into the queue. To be called before it is, so that the writer never takes one off that was
    /// not counted.
    pub(super) fn enter(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.offered.fetch_add(1, Ordering::Release);
    }

    /// So many are not in the queue any more.
    pub(super) fn leave(&self, count: u64) {
        self.queued.fetch_sub(count, Ordering::Release);
        self.settled.fetch_add(count, Ordering::Release);
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.is_troubled.load(Ordering::Acquire)
    }

    /// Says why the file cannot be written, or that it can. Returns whether that is another thing than before.
    pub(super) fn set_trouble(&self, why: Option<String>) -> bool {
        let is_troubled = why.is_some();
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.is_troubled.swap(is_troubled, Ordering::AcqRel) != is_troubled
    }

    /// How the history is kept, without waiting for anybody.
    pub(super) fn state(&self) -> StoreState {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let trouble = match self.trouble.try_lock() {
            Ok(trouble) => trouble.clone(),
            // It is being changed right now.
            Err(_) => self.is_troubled().then(|| "the file cannot be written".to_owned()),
        };
        StoreState {
            file: self.path.as_ref().map(|path| path.display().to_string()),
            trouble,
            bytes: get(&self.bytes),
            incidents: get(&self.incidents),
            written: get(&self.written),
            dropped: get(&self.dropped),
            waiting: get(&self.queued) + get(&self.waiting),
            removed: get(&self.removed),
            failures: get(&self.failures),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
