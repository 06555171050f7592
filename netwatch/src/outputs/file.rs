//! Lines in a file: whole ones only, in files that take turns, and opened anew where somebody else has moved the file.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::limits::ROTATION;
use super::transport::{Transport, Trouble};
use crate::config::FileTarget;
use crate::report::Told;
use crate::report::snapshot::Run;

/// A file that is written to.
pub(super) struct File {
    target: FileTarget,
    run: Arc<Run>,
    open: Option<Open>,
    /// Whether the next file could not be begun. Then this one grows on: that its directory cannot be written is no reason
    /// to lose alerts.
    stuck: Option<Stuck>,
}

/// When the next file is tried to be begun again.
#[derive(Clone, Copy)]
struct Stuck {
    /// From then on.
    at: Instant,
    /// Or once it is so large.
    size: u64,
}

struct Open {
    file: fs::File,
    /// Which file it is, whatever it is called by now.
    id: (u64, u64),
    since: SystemTime,
    /// Where the last whole line ends, if something behind it could not be cut off.
    torn: Option<u64>,
}

/// Lines on their way, and where each ends.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl File {
    /// Opens it, or says why that cannot be.
    pub(super) fn open(target: &FileTarget, run: &Arc<Run>) -> Result<Self, String> {
        let mut file = Self { target: target.clone(), run: Arc::clone(run), open: None, stuck: None };
        file.opened().map_err(|trouble| trouble.why().to_owned())?;
        Ok(file)
    }

    fn opened(&mut self) -> Result<&mut Open, Trouble> {
        let path = &self.target.path;
        if self.open.as_ref().is_some_and(|open| !open.is_at(path)) {
            // Whoever moved it has begun the next one for us.
            self.open = None;
            self.stuck = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let what = format!("open {}", path.display());
                Open::new(path).map_err(|error| Trouble::io(&what, &error))?
            }
        };
        Ok(self.open.insert(open))
    }

    /// Writes lines, and counts those that are in the file.
    fn write(&mut self, chunk: &mut Chunk, done: &mut usize) -> Result<(), Trouble> {
        let what = format!("write {}", self.target.path.display());
        let open = self.opened()?;
        let written = open.append(&chunk.bytes, &chunk.ends);
        let (lines, error) = match written {
            Ok(()) => (chunk.ends.len(), None),
            Err((lines, error)) => (lines, Some(error)),
        };
        *done += lines;
        *chunk = Chunk::default();
        error.map_or(Ok(()), |error| Err(Trouble::io(&what, &error)))
    }

    /// Begins the next file, where that can be done.
    fn rotate(&mut self) {
        let size = self.open.take().map_or(0, |open| open.size());
        let path = |number: u32| {
            let mut name = self.target.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        // Only as many move as must: a try that ended half-way is gone on with, and pushes no more out at the end.
        let room = (1..self.target.keep)
            .find(|number| fs::symlink_metadata(path(*number)).is_err())
            .unwrap_or(self.target.keep);
        let renamed = (1..room)
            .rev()
            .map(|number| (path(number), path(number + 1)))
            .chain([(self.target.path.clone(), path(1))])
            .try_for_each(|(from, to)| match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => {
                    result.map_err(|error| format!("rename {} to {}: {error}", from.display(), to.display()))
                }
            });
        let was_stuck = self.stuck.take().is_some();
        if let Err(why) = renamed {
            if !was_stuck {
                tracing::warn!("output: {why}; the file grows on, and this is tried again from time to time");
            }
            let size = match self.target.max_bytes {
                0 => u64::MAX,
                max_bytes => size.saturating_add(max_bytes / 10),
            };
            self.stuck = Some(Stuck { at: Instant::now() + ROTATION, size });
        }
    }

    /// Whether the file has become too old, or would become too large by a line that comes after so many bytes and ends after
    /// so many.
    fn is_due(&mut self, begin: usize, end: usize) -> Result<bool, Trouble> {
        let (max_bytes, max_age) = (self.target.max_bytes, self.target.max_age);
        let open = self.opened()?;
        let size = open.size();
        let is_old = max_age.is_some_and(|age| open.since.elapsed().is_ok_and(|elapsed| elapsed >= age));
        let is_large = max_bytes > 0 && size + end as u64 > max_bytes;
        let is_stuck = self
            .stuck
            .is_some_and(|stuck| Instant::now() < stuck.at && size.saturating_add(begin as u64) < stuck.size);
        Ok(!is_stuck && size + begin as u64 > 0 && (is_old || is_large))
    }
}

impl Transport for File {
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble> {
        let mut chunk = Chunk::default();
        for told in batch {
            let begin = chunk.bytes.len();
            self.target.format.write(told, &self.run, &mut chunk.bytes);
            if self.is_due(begin, chunk.bytes.len())? {
                let line = chunk.bytes.split_off(begin);
                if begin > 0 {
                    self.write(&mut chunk, done)?;
                }
                self.rotate();
                chunk.bytes = line;
            }
            chunk.ends.push(chunk.bytes.len());
        }
        self.write(&mut chunk, done)
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.open = None;
        self.stuck = None;
        self.opened().map(|_| ())
    }
}

impl Open {
    fn new(path: &PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            // Without the latter, a pipe that nobody reads would keep us waiting.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if meta.len() > 0 {
            // What another run was writing when it was killed is no line of ours.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        let since = meta.created().unwrap_or_else(|_| SystemTime::now());
        Ok(Self { file, id: (meta.dev(), meta.ino()), since, torn: None })
    }

    fn is_at(&self, path: &PathBuf) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.id)
    }

    /// Asked each time: others may cut the file.
    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// Appends lines. Where not all find room, those that are whole stay, and are told.
    fn append(&mut self, bytes: &[u8], ends: &[usize]) -> Result<(), (usize, io::Error)> {
        if let Some(end) = self.torn {
            if self.size() > end {
                self.file.set_len(end).map_err(|error| (0, error))?;
            }
            self.torn = None;
        }
        let (before, mut written) = (self.size(), 0);
        while written < bytes.len() {
            let rest = bytes.get(written..).unwrap_or_default();
            let error = match self.file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(count) => {
                    written += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let whole = ends.partition_point(|end| *end <= written);
            let end = whole.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
            if end < written && self.file.set_len(before + end as u64).is_err() {
                self.torn = Some(before + end as u64);
            }
            return Err((whole, error));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
