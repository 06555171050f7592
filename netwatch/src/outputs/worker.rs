//! The thread of an output: takes what waits, delivers it in order, and tries again where that fails.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::endings::{Ending, Endings, Lost, ended};
use super::limits::{BACKOFF_FIRST, BACKOFF_MAX, RETRY_AFTER_MAX, TICK_LATE};
use super::transport::{Transport, Trouble};
use crate::report::Told;
use crate::report::snapshot::OutputState;

/// The loop's end of an output.
#[derive(Debug)]
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Has no bound of its own: `shared.queued` is never more than `room`, and is what is offered and not done with, so that
    /// a batch under way counts too.
    queue: Sender<Message>,
    finished: Receiver<()>,
    room: u64,
    /// How many found room.
    accepted: u64,
    /// Whether the last one found no room, so that this is said once.
    is_full: bool,
}

/// What both ends know.
#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    kind: &'static str,
    delivered: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
    queued: AtomicU64,
    wants_reopen: AtomicBool,
    lost: Lost,
    /// Held for an assignment or a clone, and the loop only tries to.
    trouble: Mutex<Option<Arc<str>>>,
}

enum Message {
    Told(Arc<Told>),
    Ending(Ending),
    /// Look at `wants_reopen`.
    Reopen,
    Stop,
}

impl Worker {
    pub(super) fn start(
        name: &str,
        kind: &'static str,
        room: usize,
        transport: Box<dyn Transport>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            name: name.into(),
            kind,
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            wants_reopen: AtomicBool::new(false),
            lost: Lost::default(),
            trouble: Mutex::new(None),
        });
        let (queue, messages) = channel();
        let (done, finished) = channel();
        let mut thread = Thread {
            shared: Arc::clone(&shared),
            transport,
            messages,
            waiting: VecDeque::new(),
            endings: Endings::default(),
            batch: 0,
            alone: 0,
            failed: 0,
            not_before: None,
            is_stopping: false,
            said_refused: false,
        };
        // 15 letters are what the kernel keeps of a thread's name.
        thread::Builder::new().name(format!("out-{kind}").chars().take(15).collect()).spawn(move || {
            thread.run();
            let _ = done.send(());
        })?;
        Ok(Self { shared, queue, finished, room: room as u64, accepted: 0, is_full: false })
    }

    pub(super) fn offer(&mut self, told: &Arc<Told>) {
        // Only the loop adds, so what is seen here can only become less.
        let has_room = self.shared.queued.load(Ordering::Relaxed) < self.room;
        if has_room {
            self.shared.queued.fetch_add(1, Ordering::Relaxed);
            if self.queue.send(Message::Told(Arc::clone(told))).is_ok() {
                self.accepted += 1;
                self.is_full = false;
                return;
            }
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        }
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(ending) = self.shared.lost.note(told, self.accepted) {
            let _ = self.queue.send(Message::Ending(ending));
        }
        if !self.is_full {
            self.is_full = true;
            tracing::warn!(
                "output {}: {} alerts wait; what comes now is dropped and counted",
                self.shared.name,
                self.room
            );
        }
    }

    pub(super) fn reopen(&self) {
        if !self.shared.wants_reopen.swap(true, Ordering::Relaxed) {
            let _ = self.queue.send(Message::Reopen);
        }
    }

    pub(super) fn state(&self) -> OutputState {
        let shared = &self.shared;
        // Where the thread is writing it in this moment, it is about to change anyway.
        let trouble = shared.trouble.try_lock().ok().and_then(|trouble| trouble.clone());
        OutputState {
            name: Arc::clone(&shared.name),
            kind: shared.kind,
            delivered: shared.delivered.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            queued: shared.queued.load(Ordering::Relaxed),
            trouble: trouble.map(|trouble| trouble.to_string()),
        }
    }

    pub(super) fn stop(&self) {
        let _ = self.queue.send(Message::Stop);
    }

    /// Waits for the thread, but not for ever: one that waits for a receiver is left to the end of the process.
    pub(super) fn finish(self, until: Instant) -> OutputState {
        let _ = self.finished.recv_timeout(until.saturating_duration_since(Instant::now()));
        let mut state = self.state();
        if state.queued > 0 {
            tracing::warn!(
                "output {}: {} alerts were not delivered before the end",
                state.name,
                state.queued
            );
        }
        state.dropped += state.queued;
        state.queued = 0;
        state
    }
}

struct Thread {
    shared: Arc<Shared>,
    transport: Box<dyn Transport>,
    messages: Receiver<Message>,
    waiting: VecDeque<Arc<Told>>,
    endings: Endings,
    /// How many of them are being tried: the same, as long as they are tried again, so that a receiver that took them and
    /// whose answer was lost knows them again.
    batch: usize,
    /// How many of the next ones go one by one, because together they were refused.
    alone: usize,
    /// Failures since the last success.
    failed: u32,
    /// When it is tried again.
    not_before: Option<Instant>,
    is_stopping: bool,
    said_refused: bool,
}

impl Thread {
    fn run(&mut self) {
        loop {
            self.take();
            self.endings.tell(&self.shared.lost, &mut *self.transport);
            if self.is_stopping {
                self.last();
                return;
            }
            let now = Instant::now();
            if self.shared.wants_reopen.swap(false, Ordering::Relaxed) {
                self.reopen();
            }
            let due = self.transport.due();
            let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
            if self.not_before.is_some_and(|time| now < time) {
                self.wait(self.not_before);
            } else if !self.waiting.is_empty() && late < TICK_LATE {
                // What waits may say that something is over of which somebody would be reminded.
                self.deliver();
            } else if due.is_some_and(|due| due <= now) {
                let result = self.transport.tick();
                self.note(result, self.waiting.len());
            } else {
                self.wait(due);
            }
        }
    }

    /// Moves all messages that are there to where they wait.
    fn take(&mut self) {
        loop {
            match self.messages.try_recv() {
                Ok(message) => self.put(message),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_stopping = true;
                    return;
                }
            }
        }
    }

    /// Waits for a message until then, or for however long it takes.
    fn wait(&mut self, until: Option<Instant>) {
        let message = match until {
            Some(until) => self.messages.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(message) => self.put(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.is_stopping = true,
        }
    }

    fn put(&mut self, message: Message) {
        match message {
            Message::Told(told) => self.waiting.push_back(told),
            Message::Ending(ending) => self.endings.put(ending),
            // Whatever was wrong, it may be right now.
            Message::Reopen => self.not_before = None,
            Message::Stop => self.is_stopping = true,
        }
    }

    fn reopen(&mut self) {
        if let Err(trouble) = self.transport.reopen() {
            tracing::warn!("output {}: {}", self.shared.name, trouble.why());
        }
    }

    /// Tries the rest, until something fails.
    fn last(&mut self) {
        self.not_before = None;
        while !self.waiting.is_empty() && self.not_before.is_none() {
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        if self.batch == 0 {
            let most = if self.alone > 0 { 1 } else { self.transport.batch() };
            self.batch = self.waiting.len().min(most.max(1));
        }
        let (mut done, waited) = (0, self.waiting.len());
        let batch = self.waiting.make_contiguous().get(..self.batch).unwrap_or_default();
        let result = self.transport.deliver(batch, &mut done);
        if result.is_ok() {
            done = self.batch;
        }
        self.forget(done, &self.shared.clone().delivered);
        let result = match result {
            Err(Trouble::Refused(why)) => {
                self.refused(&why);
                Ok(())
            }
            result => {
                self.said_refused &= result.is_err();
                result
            }
        };
        self.note(result, waited);
    }

    /// Lets go of the first ones, which are counted there.
    fn forget(&mut self, done: usize, counter: &AtomicU64) {
        let done = done.min(self.batch);
        self.waiting.drain(..done);
        self.batch -= done;
        self.endings.done += done as u64;
        self.alone = self.alone.saturating_sub(done);
        counter.fetch_add(done as u64, Ordering::Relaxed);
        self.shared.queued.fetch_sub(done as u64, Ordering::Relaxed);
        // What a long queue took is given back once it is short again.
        if self.waiting.len() < 1_024 && self.waiting.capacity() > 16_384 {
            self.waiting.shrink_to(4_096);
        }
    }

    /// One of a batch may be the reason why all were refused, so they are tried one by one before anything is dropped.
    fn refused(&mut self, why: &str) {
        if self.batch > 1 {
            self.alone = self.batch;
            self.batch = 0;
            return;
        }
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(incident) = self.waiting.front().and_then(|told| ended(told)) {
            self.transport.is_over(incident);
        }
        self.forget(1, &self.shared.clone().dropped);
        if !self.said_refused {
            self.said_refused = true;
            tracing::warn!(
                "output {}: an alert was refused for good and is dropped: {why}",
                self.shared.name
            );
        }
        self.trouble(Some(why));
    }

    /// Notes how it went: said once when it breaks and once when it works again, and not at each try.
    fn note(&mut self, result: Result<(), Trouble>, waited: usize) {
        match result {
            Ok(()) => {
                self.not_before = None;
                if self.failed > 0 {
                    tracing::info!(
                        "output {}: works again; {waited} alerts had to wait for it",
                        self.shared.name
                    );
                    self.failed = 0;
                }
                if !self.said_refused {
                    self.trouble(None);
                }
            }
            Err(trouble) => {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
                self.failed = self.failed.saturating_add(1);
                if self.failed == 1 {
                    tracing::warn!(
                        "output {}: {}; alerts wait until it works again",
                        self.shared.name,
                        trouble.why()
                    );
                }
                self.trouble(Some(trouble.why()));
                let asked = match trouble {
                    Trouble::Again(_, asked) => asked.unwrap_or_default().min(RETRY_AFTER_MAX),
                    Trouble::Refused(_) => Duration::ZERO,
                };
                self.not_before = Some(Instant::now() + backoff(self.failed).max(asked));
            }
        }
    }

    fn trouble(&self, why: Option<&str>) {
        let new = why.map(Arc::from);
        let mut trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *trouble != new {
            *trouble = new;
        }
    }
}

/// How long is waited after so many failures: less than all by up to a quarter, so that many who lost the same receiver do
/// not all come back at once.
fn backoff(failures: u32) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF_MAX);
    let random = RandomState::new().build_hasher().finish() % 256;
    doubled - doubled / 1_024 * u32::try_from(random).unwrap_or(0)
}

#[cfg(test)]
mod tests;
