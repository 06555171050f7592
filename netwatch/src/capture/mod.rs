//! Recorded packets, from files or standard input, as Ethernet frames in order of time.
//!
//! [`Captures`] is all that others need. In reading order: [`limits`] (every bound), `input` (bytes, decompressed),
//! `buffer` (a window on them), `pcap` and `pcapng` (records; `record` is what they have in common), `link` (Ethernet
//! frames of other link types), `file` (one capture), [`counts`] and [`error`] (what became of it all). [`mod@write`] is the
//! other way round: it makes pcapng files.
//!
//! Nothing that a file says is believed: lengths are checked before they are used, memory is bounded whatever is
//! stated, and where a capture is damaged its reading ends and a [`Problem`] says where.
//!
//! The formats are read here and not by pcap-parser: its 0.17 refuses clocks that count in powers of two, reads the
//! offset of a clock in one byte order only, and does not read obsolete packet blocks. What would be left of it is the
//! lengths of blocks.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

mod buffer;
pub mod counts;
pub mod error;
mod file;
mod input;
pub mod limits;
mod link;
mod pcap;
mod pcapng;
mod record;
pub mod write;

#[cfg(test)]
mod tests;

pub use counts::{Counts, Skipped};
pub use error::{OpenError, Problem, Refusal};
pub use limits::FRAME_MAX;

use counts::Tally;
use file::{Capture, Head};

/// One recorded packet, as an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured, in nanoseconds since the epoch; the time of the packet before it where its record says
    /// none, and 0 where there is none before it.
    pub at_ns: i64,
    /// Its length on the wire in bytes, as recorded, with the link header that it had there.
    pub wire_bytes: u32,
    /// What was captured, at most [`FRAME_MAX`] bytes of it. Where it had a link header other than Ethernet's, one of
    /// Ethernet without addresses stands in its place.
    pub frame: &'a [u8],
    /// Whether the capturing host received or sent it.
    pub direction: Direction,
}

/// Which way a packet went, seen from the host that captured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The capture does not say.
    #[default]
    Unknown,
    /// In, to this host alone.
    Received,
    /// Past it, or to others too: broadcast and multicast.
    Passed,
    /// Out.
    Sent,
}

/// Captures that are read side by side.
pub struct Captures {
    files: Vec<Capture>,
    /// Packets that were looked at and not handed out yet.
    ahead: VecDeque<(Head, Vec<u8>)>,
    /// The frame of a packet that was looked at before it was handed out.
    current: Vec<u8>,
    tally: Tally,
    problems: Vec<Problem>,
}

impl Captures {
    /// Opens captures and reads their headers. `-` is standard input.
    ///
    /// # Errors
    /// The first that cannot be read as a capture, and why.
    pub fn open(paths: &[PathBuf]) -> Result<Self, OpenError> {
        Self::open_until(paths, &Arc::default())
    }

    /// The same, and all captures are over soon after `stop` is set, even those that come through pipes which bring
    /// nothing.
    ///
    /// # Errors
    /// The same.
    pub fn open_until(paths: &[PathBuf], stop: &Arc<AtomicBool>) -> Result<Self, OpenError> {
        let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
        let refused = |path: &Path, reason| OpenError { path: path.to_owned(), reason };
        if let Some(stdin) = paths.iter().filter(is_stdin).nth(1) {
            return Err(refused(stdin, Refusal::Twice));
        }
        if let Some(path) = paths.get(limits::FILES) {
            return Err(refused(path, Refusal::TooMany));
        }
        let open = |path: &PathBuf| {
            Capture::open(path, stop, paths.len() as u64).map_err(|reason| refused(path, reason))
        };
        Ok(Self::of(paths.iter().map(open).collect::<Result<_, _>>()?))
    }

    /// Captures in files that somebody has opened already, read from where they stand; with the names for messages.
    /// They too are over soon after `stop` is set.
    ///
    /// # Errors
    /// The first that cannot be read as a capture, and why.
    pub fn from_files(files: Vec<(PathBuf, File)>, stop: &Arc<AtomicBool>) -> Result<Self, OpenError> {
        if let Some((path, _)) = files.get(limits::FILES) {
            return Err(OpenError { path: path.clone(), reason: Refusal::TooMany });
        }
        let captures = files.len() as u64;
        let open = |(path, file): (PathBuf, File)| {
            let size = file.metadata().ok().map(|metadata| metadata.len());
            let capture = Capture::from_reader(path.clone(), Box::new(file), size, stop, captures);
            capture.map_err(|reason| OpenError { path, reason })
        };
        Ok(Self::of(files.into_iter().map(open).collect::<Result<_, _>>()?))
    }

    /// One capture that comes from anywhere. `name` is for messages.
    ///
    /// # Errors
    /// It cannot be read as a capture.
    pub fn from_reader(
        name: impl Into<PathBuf>,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, OpenError> {
        let path = name.into();
        match Capture::from_reader(path.clone(), Box::new(reader), None, &Arc::default(), 1) {
            Ok(file) => Ok(Self::of(vec![file])),
            Err(reason) => Err(OpenError { path, reason }),
        }
    }

    fn of(files: Vec<Capture>) -> Self {
        let (ahead, current) = (VecDeque::new(), Vec::new());
        Self { files, ahead, current, tally: Tally::default(), problems: Vec::new() }
    }

    /// The next packet: of each capture in its own order, and among captures the earliest one, of equals that of the
    /// capture named first. `None` when all captures are over.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend what it returns")]
    pub fn next(&mut self) -> Option<Packet<'_>> {
        if let Some((head, frame)) = self.ahead.pop_front() {
            self.tally.add(&head);
            self.current = frame;
            return Some(head.packet(&self.current));
        }
        let (file, _) = self.earliest()?;
        let (head, frame) = self.files.get_mut(file)?.take()?;
        self.tally.add(&head);
        Some(head.packet(frame))
    }

    /// Shows the first packets, until `each` has seen enough and says no, and `bytes` of frames at most.
    /// [`next`](Self::next) still returns them. To be called once, before `next`.
    pub fn look_ahead(&mut self, bytes: usize, mut each: impl FnMut(&Packet<'_>) -> bool) {
        let mut left = bytes;
        let mut wants_more = true;
        while wants_more {
            let Some((file, captured)) = self.earliest() else { break };
            if captured.min(FRAME_MAX) > left {
                break;
            }
            let Some((head, frame)) = self.files.get_mut(file).and_then(Capture::take) else { break };
            left = left.saturating_sub(frame.len());
            wants_more = each(&head.packet(frame));
            self.ahead.push_back((head, frame.to_vec()));
        }
    }

    /// What was handed out so far, and what had to be skipped on the way.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// What was damaged so far, once for each capture at most, because its reading ends there.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Bytes read so far, compressed ones as they lie in the files, and how many there are in all, unless one of the
    /// captures comes through a pipe.
    #[must_use]
    pub fn position(&self) -> (u64, Option<u64>) {
        self.files.iter().map(Capture::position).fold((0, Some(0)), |(read, size), (more, of)| {
            (read + more, size.zip(of).map(|(size, of)| size + of))
        })
    }

    /// The capture that has the next packet, and how many bytes of it were captured.
    #[inline]
    fn earliest(&mut self) -> Option<(usize, usize)> {
        let mut earliest = None;
        for (index, file) in self.files.iter_mut().enumerate() {
            if let Some((at, captured)) = file.peek(&mut self.tally, &mut self.problems)
                && earliest.is_none_or(|(least, _, _)| at < least)
            {
                earliest = Some((at, index, captured));
            }
        }
        earliest.map(|(_, index, captured)| (index, captured))
    }
}

impl fmt::Debug for Captures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captures").field("files", &self.files).finish_non_exhaustive()
    }
}
