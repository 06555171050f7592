//! What outlives a run: which services were learned, in `learned.json` in the state directory.
//!
//! It is written whole beside the old one, which it then takes the place of: a crash leaves one or the other. Writing
//! waits for the disk, so it has a thread of its own while packets are counted.

mod format;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tracing::warn;

use crate::analysis::Learned;
pub use format::Wrong;

/// The file.
const NAME: &str = "learned.json";
/// What it is called until it is complete.
const UNFINISHED: &str = "learned.json.new";
/// Largest file that is read, in bytes: more than all interfaces can have learned.
const BYTES_MAX: u64 = 256 << 20;
/// How often it is written at most.
const PAUSE: Duration = Duration::from_secs(60);

/// Why what was learned cannot be kept. None of it goes away by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such directory, and it cannot be made.
    #[error("state_dir: cannot use {}: {source}; name a directory that this user can write to", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("state_dir: another netwatch keeps its state in {}; give each a directory of its own", .0.display())]
    Busy(PathBuf),
    /// The file cannot be read.
    #[error("state_dir: cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("state_dir: cannot write {}: {source}; the directory must belong to the user that netwatch runs as", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what netwatch writes.
    #[error("{}: {wrong}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        wrong: Wrong,
    },
}

/// The state directory, for as long as netwatch runs.
#[derive(Debug)]
pub struct State {
    dir: Arc<Path>,
    /// Of all interfaces that were ever watched, as far as it was written.
    learned: BTreeMap<String, Learned>,
    /// When it was written last.
    written: Instant,
    /// What writes it.
    writing: Option<JoinHandle<Result<(), Error>>>,
    /// Whether that failed.
    has_failed: bool,
    /// Holds the lock.
    _lock: File,
}

impl State {
    /// Opens a directory, makes it where it is missing, reads what is in it, and sees whether it can be written.
    ///
    /// # Errors
    ///
    /// See [`Error`]; nothing was changed then but that the directory may be there now.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let because = |source| Error::Directory { path: dir.to_owned(), source };
        match DirBuilder::new().mode(0o750).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(because(error)),
            _ => {}
        }
        // Absolute, so that it does not matter where the process goes.
        let dir: Arc<Path> = fs::canonicalize(dir).map_err(because)?.into();
        let lock = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(&dir);
        let lock = lock.map_err(because)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(dir.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(because(source)),
        }
        let learned = read(&dir.join(NAME))?;
        // Now rather than after a minute.
        let has_failed = match write(&dir, &learned) {
            // Watching goes on where a disk is full: that may pass, and is tried again.
            Err(Error::Write { source, .. }) if may_pass(&source) => {
                warn!("what was learned is not kept: {source}; it is tried again");
                true
            }
            written => written.map(|()| false)?,
        };
        Ok(Self { dir, learned, written: Instant::now(), writing: None, has_failed, _lock: lock })
    }

    /// What was learned of an interface.
    #[must_use]
    pub fn learned(&self, interface: &str) -> Option<&Learned> {
        self.learned.get(interface)
    }

    /// Writes what is new, unless that was done within the last minute.
    pub fn keep<'a>(&mut self, now: Instant, interfaces: impl Iterator<Item = (&'a str, &'a Learned)>) {
        if now.duration_since(self.written) < PAUSE {
            return;
        }
        match self.writing.as_mut().map(FutureExt::now_or_never) {
            // The disk is slow.
            Some(None) => return,
            Some(Some(result)) => self.complain(result.map_err(io::Error::other)),
            None => {}
        }
        self.writing = None;
        if self.take(interfaces) {
            self.written = now;
            let (dir, learned) = (Arc::clone(&self.dir), self.learned.clone());
            self.writing = Some(spawn_blocking(move || write(&dir, &learned)));
        }
    }

    /// Writes what is new for the last time.
    pub async fn finish<'a>(mut self, interfaces: impl Iterator<Item = (&'a str, &'a Learned)>) {
        if let Some(writing) = self.writing.take() {
            let result = writing.await;
            self.complain(result.map_err(io::Error::other));
        }
        if self.take(interfaces) {
            let (dir, learned) = (Arc::clone(&self.dir), std::mem::take(&mut self.learned));
            let result = spawn_blocking(move || write(&dir, &learned)).await;
            self.complain(result.map_err(io::Error::other));
        }
    }

    /// Takes over what is new; false where there is nothing to write.
    fn take<'a>(&mut self, interfaces: impl Iterator<Item = (&'a str, &'a Learned)>) -> bool {
        let mut is_new = std::mem::take(&mut self.has_failed);
        for (name, learned) in interfaces {
            let known = self.learned.get(name);
            if known != Some(learned) && (known.is_some() || *learned != Learned::default()) {
                self.learned.insert(name.to_owned(), learned.clone());
                is_new = true;
            }
        }
        is_new
    }

    /// Says that writing failed. It is tried again a minute later, and at the end.
    fn complain(&mut self, result: io::Result<Result<(), Error>>) {
        let wrong = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        warn!("what was learned is not kept: {wrong}");
        self.has_failed = true;
    }
}

/// Whether a disk may take later what it does not take now.
fn may_pass(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EROFS | libc::EIO))
}

/// What a file says; nothing where there is none.
fn read(path: &Path) -> Result<BTreeMap<String, Learned>, Error> {
    let because = |source| Error::Read { path: path.to_owned(), source };
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        file => file.map_err(because)?,
    };
    if !file.metadata().map_err(because)?.is_file() {
        return Err(because(io::Error::other("is not a regular file; move it away")));
    }
    let mut text = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(because)?;
    if text.len() as u64 > BYTES_MAX {
        let wrong = Wrong::Damaged(format!("is larger than {} MiB", BYTES_MAX >> 20));
        return Err(Error::Damaged { path: path.to_owned(), wrong });
    }
    format::read(&text).map_err(|wrong| Error::Damaged { path: path.to_owned(), wrong })
}

/// Puts a new file in the place of the old one.
fn write(dir: &Path, learned: &BTreeMap<String, Learned>) -> Result<(), Error> {
    let text = format::text(learned);
    let unfinished = dir.join(UNFINISHED);
    let replace = || {
        let mut options = OpenOptions::new();
        // Nobody else's file is written to, whatever lies there.
        options.write(true).create(true).truncate(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, dir.join(NAME))?;
        File::open(dir)?.sync_all()
    };
    replace().map_err(|source| Error::Write { path: dir.join(NAME), source })
}

#[cfg(test)]
mod tests;
