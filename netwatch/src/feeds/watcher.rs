//! Notices when a feed's file has changed, or is too old from now on.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::feed::FeedConfig;

/// What tells a file from the one that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    pub(super) modified: (i64, i64),
}

impl Stamp {
    /// Of a file as it is now; none where there is none.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }

    /// When the file was written to last.
    #[must_use]
    pub fn written(&self) -> Timestamp {
        let (seconds, nanos) = self.modified;
        Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Looks at the files of all feeds from time to time.
#[derive(Debug, Default)]
pub struct Watcher {
    files: HashMap<PathBuf, File>,
    /// The next time at which some feed ends.
    next_end: Option<Timestamp>,
}

#[derive(Debug)]
struct File {
    /// As it was when it was loaded, or found wanting.
    known: Option<Stamp>,
    /// As it was at the last look.
    seen: Option<Stamp>,
}

impl Watcher {
    /// Watches the files of these feeds from now on. Call it before they are loaded, so that what changes meanwhile is
    /// noticed.
    pub fn watch(&mut self, feeds: &[FeedConfig], now: Timestamp) {
        let file = |feed: &FeedConfig| {
            let stamp = Stamp::of(&feed.file);
            (feed.file.clone(), File { known: stamp, seen: stamp })
        };
        self.files = feeds.iter().map(file).collect();
        let end = |feed: &FeedConfig| feed.ends(Stamp::of(&feed.file)?.written());
        self.next_end = feeds.iter().filter_map(end).filter(|end| *end > now).min();
    }

    /// Whether feeds should be loaded again: a file is another than it was when it was loaded, and has not changed since the
    /// last look, so that it is not read while somebody writes to it; or a feed has come to its end.
    pub fn changed(&mut self, now: Timestamp) -> bool {
        let mut is_changed = self.next_end.is_some_and(|end| end <= now);
        for (path, file) in &mut self.files {
            let stamp = Stamp::of(path);
            is_changed |= stamp != file.known && stamp == file.seen;
            file.seen = stamp;
        }
        is_changed
    }
}
