//! Evidence: the first packets of an incident's source, kept as pcapng, one file for each incident.
//!
//! [`Keeper`] is all that others need. It decides which packets belong to which file, and never waits for the disk but
//! for [`limits::PATIENCE`] when a file begins: an alert tells of files that are there. In reading order: [`limits`]
//! (every bound), [`counts`] (what became of it all), `writer` (the thread that writes), `folder` (the directory, and
//! what has to go).

pub mod counts;
mod folder;
pub mod limits;
mod writer;

#[cfg(test)]
mod tests;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::thread;

use netwatch_common::limits::SAMPLE_BYTES;
use netwatch_common::{Addr, Sample, Settings};
use tracing::warn;

use crate::analysis::rules::Subject;
use crate::analysis::{Detail, Severity, State, Transition};
use crate::capture::Direction;
use crate::capture::write::{self, Interface, LinkType, Packet};
use crate::config::EvidenceSettings;
use crate::iface::Link;
use crate::kernel::host;

use counts::{Complaints, Counters, read};
pub use counts::{Counts, Reason};
use folder::{ENDING, Folder};
use limits::{FILE_NS, FILES_OPEN, LAST_PACKETS, PATIENCE, QUEUE};
use writer::{Message, Writer};

/// Where a VLAN tag belongs in a frame: behind the addresses.
const TAG_AT: usize = 12;

/// Why nothing can be kept. None of it goes away by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such directory, and it cannot be made, or not written.
    #[error("evidence: cannot use {}: {source}; name a directory that this user can write to", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is taken.
    #[error(
        "evidence: {} is used by another netwatch, or is the state_dir of this one; give each a directory of its own",
        .0.display()
    )]
    Busy(PathBuf),
    /// There is no thread to be had.
    #[error("evidence: cannot start a thread: {0}")]
    Thread(io::Error),
}

/// What a file says of its incident, and how its packets are to be read.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The incident's name, which is that of the file.
    pub incident: &'a str,
    /// The alert in one line.
    pub line: &'a str,
    /// What frames of the interface start with.
    pub link: Link,
    /// What to add to monotonic nanoseconds to get nanoseconds since the epoch.
    pub wall_offset_ns: i64,
}

/// A file that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Where it is.
    pub path: Arc<str>,
    /// The address of which packets are wanted from now on, as sources are accounted: the incident's source, or where a
    /// signature was found in what a host of ours sends, who got it.
    pub account: Addr,
    /// How many of them.
    pub packets: u32,
}

/// Keeps packets of incidents that have just opened. `I` is what the caller tells interfaces by.
#[derive(Debug)]
pub struct Keeper<I> {
    settings: Settings,
    packets: u32,
    min_severity: Severity,
    /// The directory, as alerts tell of it.
    dir: String,
    queue: SyncSender<Message>,
    written: Receiver<()>,
    counters: Arc<Counters>,
    complaints: Complaints,
    /// Files that take packets.
    open: Vec<Open<I>>,
    /// Files of incidents that are not over, by the incident's number: analysis bounds how many that are.
    paths: HashMap<u64, Arc<str>>,
    /// How long the disk is waited for.
    patience: Duration,
    /// The number of the next file.
    next: u64,
    /// What the writer had done when it was waited for in vain: until it has done more, nobody waits again.
    stalled_at: Option<u64>,
}

/// A file that takes packets.
#[derive(Debug)]
struct Open<I> {
    file: u64,
    interface: I,
    account: Addr,
    /// Packets that it still takes.
    left: u32,
    /// Until when, in monotonic nanoseconds.
    until_ns: u64,
    /// See [`Told`].
    wall_offset_ns: i64,
    /// Likewise.
    link: Link,
    /// Packets that were lost since the last one.
    dropped: u64,
}

impl<I: Copy + Ord> Keeper<I> {
    /// Opens the directory and starts the thread. `settings` says how sources are accounted.
    ///
    /// # Errors
    ///
    /// See [`Error`]; nothing was changed then but that the directory may be there now.
    pub fn start(evidence: &EvidenceSettings, settings: Settings) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let folder = Folder::open(evidence, Arc::clone(&counters))?;
        let dir = folder.path().display().to_string();
        let writer = Writer::new(folder, Arc::clone(&counters));
        let (queue, messages) = sync_channel(QUEUE);
        let (finished, written) = channel();
        let run = move || {
            writer.run(&messages);
            let _ = finished.send(());
        };
        thread::Builder::new().name("evidence".into()).spawn(run).map_err(Error::Thread)?;
        Ok(Self {
            settings,
            packets: evidence.packets,
            min_severity: evidence.min_severity,
            dir,
            queue,
            written,
            counters,
            complaints: Complaints::default(),
            open: Vec::new(),
            paths: HashMap::new(),
            patience: PATIENCE,
            next: 0,
            stalled_at: None,
        })
    }

    /// Whether an incident that is told is to have a file and has none: it is about a source, and weighs enough by now.
    #[must_use]
    pub fn wants(&self, transition: &Transition) -> bool {
        !matches!(transition.state, State::Close(_))
            && transition.weight >= self.min_severity
            && !self.paths.contains_key(&transition.incident)
            && remote(transition).is_some()
    }

    /// Begins a file for an incident that [`wants`](Self::wants) speaks of. `None` where it is none, or where there can be no
    /// file, which is counted.
    pub fn begin(&mut self, interface: I, transition: &Transition, told: &Told<'_>) -> Option<Begun> {
        let account = self.settings.account(remote(transition)?.into());
        if !self.wants(transition) {
            return None;
        }
        if self.open.len() >= FILES_OPEN {
            self.refuse(Reason::TooMany, told.incident, "too many incidents have just begun");
            return None;
        }
        let name = format!("{}{ENDING}", told.incident);
        debug_assert!(folder::is_ours(&name), "{name} would never be removed");
        let path: Arc<str> = format!("{}/{name}", self.dir).into();
        if !self.create(name, head(transition, told)) {
            return None;
        }
        self.open.push(Open {
            file: self.next,
            interface,
            account,
            left: self.packets,
            until_ns: transition.at_ns.saturating_add(FILE_NS),
            wall_offset_ns: told.wall_offset_ns,
            link: told.link,
            dropped: 0,
        });
        self.next += 1;
        self.paths.insert(transition.incident, Arc::clone(&path));
        Some(Begun { path, account, packets: self.packets })
    }

    /// Tells in a transition where the packets of its incident are, if they are kept. To be asked of all transitions, after
    /// [`begin`](Self::begin): what is remembered of an incident goes when it closes.
    pub fn link(&mut self, transition: &mut Transition) {
        transition.evidence_file = match transition.state {
            State::Open | State::Update => self.paths.get(&transition.incident).cloned(),
            State::Close(_) => self.paths.remove(&transition.incident),
        };
    }

    /// Adds a packet from or to a source, as it is accounted, to all files that take it.
    pub fn packet(&mut self, interface: I, account: Addr, sample: &Sample, frame: &[u8]) {
        let Self { open, queue, counters, .. } = self;
        let mut is_taken = false;
        let takes = |open: &&mut Open<I>| {
            (open.interface, open.account) == (interface, account)
                && open.left > 0
                && sample.at_ns <= open.until_ns
        };
        for open in open.iter_mut().filter(takes) {
            is_taken = true;
            let message = Message::Packet { file: open.file, block: open.block(sample, frame) };
            if queue.try_send(message).is_ok() {
                open.left -= 1;
                open.dropped = 0;
            } else {
                open.dropped += 1;
                counters.no_packet(Reason::Slow);
            }
        }
        // What was sampled for another purpose may be evidence of nothing.
        if !is_taken && sample.purpose & Sample::EVIDENCE != 0 {
            counters.no_packet(Reason::TooMany);
        }
    }

    /// Completes the files that have all they take by now, in monotonic nanoseconds, and returns the sources of which no
    /// more is wanted. To be asked once in a while, and after packets came.
    pub fn done(&mut self, now_ns: u64) -> Vec<(I, Addr)> {
        let mut done = Vec::new();
        let queue = &self.queue;
        self.open.retain(|open| {
            let is_over = open.left == 0 || now_ns > open.until_ns;
            // Where the queue is full it is done the next time.
            let is_done = is_over && queue.try_send(Message::Complete { file: open.file }).is_ok();
            if is_done {
                done.push((open.interface, open.account));
            }
            !is_done
        });
        done.sort_unstable();
        done.dedup();
        done.retain(|done| !self.open.iter().any(|open| (open.interface, open.account) == *done));
        done
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Completes all files. Waits for the disk, but not for ever.
    #[must_use]
    pub fn finish(self) -> Counts {
        drop(self.queue);
        if self.written.recv_timeout(LAST_PACKETS) == Err(RecvTimeoutError::Timeout) {
            warn!("evidence: the last packets may be missing in {}: the disk is too slow", self.dir);
        }
        self.counters.read()
    }

    /// Asks for a file, and waits until it is there, but not for long.
    fn create(&mut self, name: String, head: Vec<u8>) -> bool {
        let handled = read(&self.counters.handled);
        if self.stalled_at == Some(handled) {
            self.refuse(Reason::Slow, &name, "the disk is too slow");
            return false;
        }
        // Without room in it, an answer is heard or it is not: nobody can miss one that was sent.
        let (answer, answered) = sync_channel(0);
        let name_again = name.clone();
        let asked = self.queue.try_send(Message::Begin { file: self.next, name, head, answer });
        let begun = match asked {
            Ok(()) => answered.recv_timeout(self.patience),
            Err(TrySendError::Full(_)) => Err(RecvTimeoutError::Timeout),
            Err(TrySendError::Disconnected(_)) => Err(RecvTimeoutError::Disconnected),
        };
        match begun {
            // Where there is no file, the writer knows why, and has counted it.
            Ok(is_begun) => return is_begun,
            Err(RecvTimeoutError::Timeout) => {
                self.stalled_at = Some(handled);
                self.refuse(Reason::Slow, &name_again, "the disk is too slow");
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.refuse(Reason::Failed, &name_again, "the thread that writes is gone");
            }
        }
        false
    }

    fn refuse(&mut self, reason: Reason, incident: &str, why: &str) {
        self.counters.no_file(reason);
        if self.complaints.is_due(reason) {
            let incident = incident.trim_end_matches(ENDING);
            warn!("evidence: no packets of incident {incident} are kept: {why}");
        }
    }
}

impl<I> Open<I> {
    /// A packet as the file has it.
    fn block(&self, sample: &Sample, frame: &[u8]) -> Vec<u8> {
        let mut packet = Packet {
            at_ns: sample.at_ns.saturating_add_signed(self.wall_offset_ns),
            wire_bytes: sample.wire_len,
            direction: if sample.direction == Sample::OUT { Direction::Sent } else { Direction::Received },
            dropped_before: self.dropped,
            ..Packet::default()
        };
        let mut block = Vec::new();
        match sample.tag().zip(frame.split_at_checked(TAG_AT)) {
            Some(((protocol, control), (addresses, rest))) if self.link == Link::Ethernet => {
                let (protocol, control) = (protocol.to_be_bytes(), control.to_be_bytes());
                packet.wire_bytes += 4;
                write::packet(&mut block, &packet, &[addresses, &protocol, &control, rest]);
            }
            _ => write::packet(&mut block, &packet, &[frame]),
        }
        block
    }
}

/// The address that packets are kept of; none where the rule is about a destination, or about netwatch itself.
fn remote(transition: &Transition) -> Option<IpAddr> {
    match (transition.rule.rule().subject, transition.detail.as_deref()) {
        // All that the host sends has its address, and what it sends is sampled by where that goes.
        (_, Some(Detail::Matched(matched))) if matched.outgoing => Some(matched.dest),
        (Subject::Source | Subject::SourcePort | Subject::Address, _) => {
            transition.source.map(|peer| peer.addr)
        }
        (Subject::Destination | Subject::DestinationPort | Subject::Itself, _) => None,
    }
}

/// What a file begins with.
fn head(transition: &Transition, told: &Told<'_>) -> Vec<u8> {
    let mut head = Vec::new();
    let system = format!("Linux {}", host::kernel_release());
    write::section_about(&mut head, std::env::consts::ARCH, &system, told.line);
    let name = &transition.interface;
    let link = match told.link {
        Link::Ethernet => LinkType::Ethernet,
        Link::Ip => LinkType::Ip,
    };
    write::interface(&mut head, &Interface { name, link, snap_bytes: SAMPLE_BYTES, filter: None });
    head
}
