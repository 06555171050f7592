//! The directory: what is in it, and what has to go when there is too much.
//!
//! Only regular files with names that netwatch gives are looked at or removed, and no link is followed.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::Error;
use super::counts::{Counters, add};
use super::limits::ENTRIES;
use crate::config::EvidenceSettings;

/// How names of files end.
pub(super) const ENDING: &str = ".pcapng";

/// The directory, for as long as netwatch runs.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    limits: EvidenceSettings,
    /// Files that are complete, the oldest first.
    kept: VecDeque<Kept>,
    /// Bytes of those.
    kept_bytes: u64,
    /// Files that are not complete, by name.
    open: HashSet<String>,
    /// Bytes of those.
    open_bytes: u64,
    counters: Arc<Counters>,
    /// Holds the lock.
    _lock: File,
}

/// A file that is complete.
#[derive(Debug)]
struct Kept {
    changed: SystemTime,
    name: String,
    bytes: u64,
}

impl Folder {
    /// Opens the directory, makes it where it is missing, sees whether it can be written, and removes what is too much.
    pub fn open(settings: &EvidenceSettings, counters: Arc<Counters>) -> Result<Self, Error> {
        let named = &*settings.dir;
        let because = |source| Error::Directory { path: named.to_owned(), source };
        match DirBuilder::new().mode(0o750).create(named) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(because(error)),
            _ => {}
        }
        // Absolute, so that alerts tell where it is.
        let path = fs::canonicalize(named).map_err(because)?;
        let lock = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(&path);
        let lock = lock.map_err(because)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(path)),
            Err(TryLockError::Error(source)) => return Err(because(source)),
        }
        // Now rather than with the first incident.
        let probe = path.join(format!(".netwatch-{:x}", std::process::id()));
        // A crash can have left it.
        let _ = fs::remove_file(&probe);
        create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(because)?;
        let mut folder = Self {
            path,
            limits: settings.clone(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            open: HashSet::new(),
            open_bytes: 0,
            counters,
            _lock: lock,
        };
        folder.sweep().map_err(because)?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks through the directory, and removes what is too old or too much.
    pub fn sweep(&mut self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.path)?.take(ENTRIES) {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if !is_ours(&name) || self.open.contains(&name) {
                continue;
            }
            // Somebody else may have removed it by now.
            let Ok(about) = fs::symlink_metadata(self.path.join(&name)) else { continue };
            if about.is_file() {
                kept.push(Kept { changed: about.modified()?, name, bytes: about.len() });
            }
        }
        kept.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
        self.kept_bytes = kept.iter().map(|kept| kept.bytes).sum();
        self.kept = kept.into();
        let now = SystemTime::now();
        let max_age = self.limits.max_age;
        // What seems to come from the future is new.
        let is_old = |kept: &Kept| now.duration_since(kept.changed).is_ok_and(|age| age > max_age);
        while self.kept.front().is_some_and(is_old) {
            self.remove_oldest()?;
        }
        self.make_room(0, 0).map(|_| ())
    }

    /// Begins a file: its first bytes are in it. False where there is no room, and none can be made.
    pub fn begin(&mut self, name: &str, head: &[u8]) -> io::Result<Option<File>> {
        if !self.make_room(1, head.len() as u64)? {
            return Ok(None);
        }
        let path = self.path.join(name);
        let mut file = create(&path)?;
        if let Err(error) = file.write_all(head) {
            // Nobody will be told of it.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.open.insert(name.to_owned());
        self.open_bytes += head.len() as u64;
        Ok(Some(file))
    }

    /// Adds to a file of so many bytes, or leaves it as it is. False where there is no room, and none can be made.
    pub fn add(&mut self, file: &mut File, bytes: u64, block: &[u8]) -> io::Result<bool> {
        if !self.make_room(0, block.len() as u64)? {
            return Ok(false);
        }
        if let Err(error) = file.write_all(block) {
            // A part of a block would make the file a damaged one.
            let _ = file.set_len(bytes);
            return Err(error);
        }
        self.open_bytes += block.len() as u64;
        Ok(true)
    }

    /// Takes note that a file of so many bytes is complete.
    pub fn complete(&mut self, name: String, bytes: u64) {
        self.open.remove(&name);
        self.open_bytes = self.open_bytes.saturating_sub(bytes);
        self.kept_bytes += bytes;
        self.kept.push_back(Kept { changed: SystemTime::now(), name, bytes });
    }

    /// Takes note that a file which was begun is gone again.
    pub fn forget(&mut self, name: &str, bytes: u64) {
        self.open.remove(name);
        self.open_bytes = self.open_bytes.saturating_sub(bytes);
        let _ = fs::remove_file(self.path.join(name));
    }

    /// Removes files, the oldest first, until there is room for so many more and for so many bytes. Returns whether there is.
    fn make_room(&mut self, files: usize, bytes: u64) -> io::Result<bool> {
        loop {
            let is_room = self.kept.len() + self.open.len() + files <= self.limits.max_files
                && self.kept_bytes + self.open_bytes + bytes <= self.limits.max_bytes;
            if is_room || self.kept.is_empty() {
                return Ok(is_room);
            }
            self.remove_oldest()?;
        }
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.kept.front() else { return Ok(()) };
        match fs::remove_file(self.path.join(&oldest.name)) {
            Ok(()) => add(&self.counters.removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.kept_bytes -= oldest.bytes;
        self.kept.pop_front();
        Ok(())
    }
}

/// A new file, which nothing lies in the place of.
fn create(path: &Path) -> io::Result<File> {
    // With `create_new`, a link is something that lies there, too.
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Whether netwatch gives such names: that of an incident, `<hex>-<hex>-<n>`, and the ending.
pub(super) fn is_ours(name: &str) -> bool {
    let is_hex = |part: &str| {
        (1..=16).contains(&part.len())
            && part.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_number =
        |part: &str| (1..=20).contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_digit());
    let Some(incident) = name.strip_suffix(ENDING) else { return false };
    let mut parts = incident.split('-');
    parts.next().is_some_and(is_hex)
        && parts.next().is_some_and(is_hex)
        && parts.next().is_some_and(is_number)
        && parts.next().is_none()
}
