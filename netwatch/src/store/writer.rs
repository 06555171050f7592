//! The thread that writes. What was committed is acknowledged; what cannot be written waits in memory until it can.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::error::Error;
use super::file::{self, File, Wrong};
use super::limits::{BATCH, EXAMINE, LOOK, MEMORY_INCIDENTS, MEMORY_WINDOWS, PAUSE, RETRY, TIDY, TIDY_AFTER};
use super::rows::{self, Item, Numbers, Put};
use super::shared::{Shared, add};
use super::{acks, continued, memory, retention, salvage, schema};
use crate::clock;
use crate::config::HistorySettings;
use crate::report::{Incident, Time};

/// What writes.
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub settings: HistorySettings,
    /// None while it cannot be written, and where there is none.
    file: Option<File>,
    /// The last numbers that were given, in the file or in memory.
    numbers: Numbers,
    /// How many steps each incident in memory stands for, by its number.
    steps: HashMap<i64, u64>,
    looked_at: Instant,
    examined_at: Instant,
    tidied_at: Instant,
    is_more_to_tidy: bool,
    since_tidied: u64,
    retry_at: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, settings: HistorySettings) -> Self {
        let now = Instant::now();
        Self {
            shared,
            settings,
            file: None,
            numbers: Numbers::default(),
            steps: HashMap::new(),
            looked_at: now,
            examined_at: now,
            tidied_at: now,
            is_more_to_tidy: false,
            since_tidied: 0,
            retry_at: now,
        }
    }

    /// Opens the file for the first time. What may go away by itself is trouble, what does not is an error.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let Some(path) = self.shared.path.clone() else { return Ok(()) };
        match self.open(&path) {
            Ok(()) => Ok(()),
            Err(Wrong::Refused(error)) => Err(error),
            Err(wrong) => {
                self.give_up(wrong);
                Ok(())
            }
        }
    }

    /// What is continued of earlier runs; nothing as long as the file cannot be read.
    pub(super) fn carry_on(&mut self, now: Time) -> rusqlite::Result<Vec<Incident>> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let continued = continued::carry_on(&file.connection, now)?;
        self.numbers.change = self.numbers.change.max(rows::numbers(&file.connection)?.change);
        Ok(continued)
    }

    /// Writes what comes until nothing can come any more.
    pub(super) fn run(mut self, queue: &Receiver<Item>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut committed_at: Option<Instant> = None;
        let mut is_open = true;
        while is_open {
            let wait = if self.is_more_to_tidy { PAUSE } else { LOOK };
            match queue.recv_timeout(wait) {
                Ok(item) => {
                    batch.push(item);
                    is_open = gather(queue, &mut batch, committed_at.map(|at| at + PAUSE));
                    self.keep(&batch);
                    // Not before, so that all that waits is always counted.
                    self.shared.leave(batch.len() as u64);
                    batch.clear();
                    committed_at = Some(Instant::now());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            self.look_after();
        }
        self.end();
    }

    /// Writes a batch, or remembers it.
    pub(super) fn keep(&mut self, batch: &[Item]) {
        self.since_tidied += batch.len() as u64;
        // Twice, because a damaged file may have made room for a new one.
        for _ in 0..2 {
            let Some(file) = &mut self.file else { break };
            match write(file, batch, self.numbers) {
                Ok((numbers, new)) => {
                    self.numbers = numbers;
                    add(&self.shared.incidents, new);
                    add(&self.shared.written, batch.len() as u64);
                    debug!("history: {} written, up to change {}", batch.len(), numbers.change);
                    are_done(batch);
                    return;
                }
                Err(wrong) => self.give_up(wrong),
            }
        }
        if self.file.is_some() {
            self.give_up(Wrong::Trouble("what was begun anew cannot be written either".into()));
        }
        self.remember(batch);
    }

    /// Keeps a batch in memory, where later steps of an incident take the place of earlier ones.
    fn remember(&mut self, batch: &[Item]) {
        let count = batch.len() as u64;
        let memory = self.shared.memory();
        let kept = memory::remember(&memory, batch, self.numbers).and_then(|(numbers, seqs)| {
            Ok((numbers, seqs, retention::leave(&memory, MEMORY_INCIDENTS, MEMORY_WINDOWS)?))
        });
        let incidents = memory::count(&memory, "incidents");
        drop(memory);
        let (numbers, seqs, gone) = match kept {
            Ok(kept) => kept,
            Err(error) => {
                warn!("the history loses {count} steps: {error}");
                return add(&self.shared.dropped, count);
            }
        };
        self.numbers = numbers;
        are_done(batch);
        if self.shared.path.is_none() {
            // What went made room for what came, as it was meant to.
            add(&self.shared.written, count);
            add(&self.shared.removed, gone.windows + gone.acks + gone.incidents.len() as u64);
            return self.shared.incidents.store(incidents, Ordering::Relaxed);
        }
        for seq in seqs {
            *self.steps.entry(seq).or_default() += 1;
        }
        let steps = gone.incidents.iter().filter_map(|seq| self.steps.remove(seq)).sum::<u64>();
        let dropped = gone.windows + gone.acks + steps;
        add(&self.shared.waiting, count);
        self.shared.waiting.fetch_sub(dropped, Ordering::Relaxed);
        add(&self.shared.dropped, dropped);
    }

    /// What is to be done from time to time.
    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        if self.shared.path.is_none() {
            return self.tidy_memory(now);
        }
        if self.file.is_some() && now.duration_since(self.looked_at) >= LOOK {
            self.looked_at = now;
            if let Err(wrong) = self.look() {
                self.give_up(wrong);
            }
        }
        if self.file.is_none() && now >= self.retry_at {
            self.try_again();
        }
        let is_time = now.duration_since(self.tidied_at) >= TIDY || self.since_tidied >= TIDY_AFTER;
        if (is_time || self.is_more_to_tidy) && self.file.is_some() {
            self.tidied_at = now;
            self.since_tidied = 0;
            self.tidy();
        }
    }

    fn look(&mut self) -> Result<(), Wrong> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.is_in_place()?;
        let is_time = self.examined_at.elapsed() >= EXAMINE;
        if self.shared.suspect.swap(false, Ordering::AcqRel) || is_time {
            self.examined_at = Instant::now();
            file.examine()?;
            // It was not the file: the connection that complained is to be opened anew.
            self.shared.generation.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(path) = &self.shared.path {
            self.shared.bytes.store(file::bytes(path), Ordering::Relaxed);
        }
        Ok(())
    }

    fn tidy(&mut self) {
        let Some(file) = &mut self.file else { return };
        let before = before(clock::now(), self.settings.max_age);
        match retention::tidy(&mut file.connection, before, self.settings.max_bytes) {
            Ok(removed) => {
                self.is_more_to_tidy = removed.is_more;
                add(&self.shared.removed, removed.incidents + removed.windows);
                let known = self.shared.incidents.load(Ordering::Relaxed);
                self.shared.incidents.store(known.saturating_sub(removed.incidents), Ordering::Relaxed);
            }
            Err(error) => self.give_up(error.into()),
        }
    }

    fn tidy_memory(&mut self, now: Instant) {
        if now.duration_since(self.tidied_at) < TIDY {
            return;
        }
        self.tidied_at = now;
        let before = before(clock::now(), self.settings.max_age);
        let mut memory = self.shared.memory();
        if let Ok(removed) = retention::tidy(&mut memory, before, u64::MAX) {
            add(&self.shared.removed, removed.incidents + removed.windows);
            self.shared.incidents.store(memory::count(&memory, "incidents"), Ordering::Relaxed);
        }
    }

    /// Lets go of the file. What comes is kept in memory until it can be written again.
    fn give_up(&mut self, wrong: Wrong) {
        let (is_damaged, is_moved) = (matches!(wrong, Wrong::Damaged(_)), matches!(wrong, Wrong::Moved(_)));
        let why = wrong.says();
        add(&self.shared.failures, 1);
        match self.file.take() {
            Some(file) if is_moved => file.abandon(),
            file => drop(file),
        }
        self.is_more_to_tidy = false;
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        let path = self.shared.path.clone().unwrap_or_default();
        if self.shared.set_trouble(Some(why.clone())) {
            warn!(
                "the history cannot be written to {}: {why}; what comes is kept in memory, and it is tried again \
                 every {} s",
                path.display(),
                RETRY.as_secs()
            );
        }
        // A file that is damaged or gone is not waited for.
        self.retry_at = Instant::now() + if is_damaged || is_moved { Duration::ZERO } else { RETRY };
        if is_damaged {
            self.set_aside(&path);
        }
    }

    fn set_aside(&mut self, path: &Path) {
        match file::set_aside(path, clock::now()) {
            Ok(name) => {
                warn!("{} is damaged: it is now {}, and a new one is begun", path.display(), name.display());
                match self.open(path).map(|()| self.salvage(&name)) {
                    Ok(0) => {}
                    Ok(count) => warn!("{count} incidents could be read from {}", name.display()),
                    Err(wrong) => debug!("no new file yet: {wrong:?}"),
                }
            }
            Err(error) => {
                warn!("{} is damaged and cannot be moved aside: {error}", path.display());
                self.retry_at = Instant::now() + RETRY;
            }
        }
    }

    /// Takes over from a damaged file what can be read of it.
    fn salvage(&mut self, name: &Path) -> u64 {
        let Some(file) = &mut self.file else { return 0 };
        match salvage::salvage(name, &mut file.connection, self.numbers) {
            Ok((numbers, count)) => {
                self.numbers = numbers;
                add(&self.shared.incidents, count);
                count
            }
            Err(error) => {
                debug!("nothing was taken over from {}: {error}", name.display());
                0
            }
        }
    }

    fn try_again(&mut self) {
        let Some(path) = self.shared.path.clone() else { return };
        self.retry_at = Instant::now() + RETRY;
        match self.open(&path) {
            Ok(()) => {}
            Err(Wrong::Damaged(why)) => self.give_up(Wrong::Damaged(why)),
            Err(wrong) => {
                add(&self.shared.failures, 1);
                let why = wrong.says();
                debug!("the history still cannot be written: {why}");
                self.shared.set_trouble(Some(why));
            }
        }
    }

    /// Opens the file, and writes what waited.
    fn open(&mut self, path: &Path) -> Result<(), Wrong> {
        let mut file = File::open(path, schema::STEPS)?;
        let found = rows::numbers(&file.connection)?;
        let numbers = Numbers {
            seq: self.numbers.seq.max(found.seq),
            change: self.numbers.change.max(found.change),
            window: self.numbers.window.max(found.window),
        };
        let memory = self.shared.memory();
        let numbers = memory::move_to(&memory, &mut file.connection, numbers, found)?;
        let incidents = memory::count(&file.connection, "incidents");
        self.file = Some(file);
        self.numbers = numbers;
        self.steps.clear();
        let waited = self.shared.waiting.load(Ordering::Relaxed);
        add(&self.shared.written, waited);
        self.shared.waiting.store(0, Ordering::Release);
        self.shared.incidents.store(incidents, Ordering::Relaxed);
        self.shared.bytes.store(file::bytes(path), Ordering::Relaxed);
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.suspect.store(false, Ordering::Release);
        let was_troubled = self.shared.set_trouble(None);
        if let Err(error) = memory::clear(&memory) {
            warn!("the history has rows in memory that are written already: {error}");
        }
        drop(memory);
        if was_troubled {
            info!("the history is written to {} again: {waited} steps had waited", path.display());
        }
        Ok(())
    }

    /// Writes the rest, and leaves a file without a log.
    fn end(mut self) {
        if self.file.is_none() && self.shared.path.is_some() {
            self.try_again();
        }
        let lost = self.shared.waiting.swap(0, Ordering::Relaxed);
        if lost > 0 {
            add(&self.shared.dropped, lost);
            warn!("the history is not complete: {lost} steps could not be written");
        }
        if let (Some(mut file), Some(path)) = (self.file.take(), &self.shared.path) {
            if file.is_in_place().is_ok() {
                let emptied = file.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                emptied.unwrap_or_else(|error| debug!("the log of the history is left as it is: {error}"));
            }
            drop(file);
            self.shared.bytes.store(file::bytes(path), Ordering::Relaxed);
        }
    }
}

/// Takes what there is, and until a time what comes. Returns whether more can come.
fn gather(queue: &Receiver<Item>, batch: &mut Vec<Item>, until: Option<Instant>) -> bool {
    while batch.len() < BATCH {
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        match queue.recv_timeout(left) {
            Ok(item) => batch.push(item),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// Lets those know who wait for a batch.
fn are_done(batch: &[Item]) {
    for item in batch {
        if let Item::Ack(wish) = item {
            wish.is_done();
        }
    }
}

/// One transaction. Returns the last numbers, and how many incidents are new.
fn write(file: &mut File, batch: &[Item], mut numbers: Numbers) -> Result<(Numbers, u64), Wrong> {
    file.is_in_place()?;
    let transaction =
        rusqlite::Transaction::new_unchecked(&file.connection, rusqlite::TransactionBehavior::Immediate)?;
    let mut put = Put::new(&transaction)?;
    let mut new = 0;
    for item in batch {
        match item {
            Item::Step(incident) => new += u64::from(put.step(incident, &mut numbers)?.1),
            Item::Window(summary) => put.window(summary, 0, &mut numbers)?,
            Item::Ack(wish) => acks::put(&transaction, &wish.id, wish.kept.as_ref())?,
        }
    }
    put.finish(numbers)?;
    transaction.commit()?;
    Ok((numbers, new))
}

/// The time before which things are old, in microseconds.
fn before(now: jiff::Timestamp, age: Duration) -> i64 {
    now.as_microsecond().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}
