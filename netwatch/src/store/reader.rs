//! The threads that answer: from the file, from what waits in memory, or from both.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt as _};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::acks::{Kept, Wish};
use super::error::Error;
use super::limits::{ANSWER, CATCH_UP, CATCH_UP_LOOK, QUESTIONS, READERS};
use super::query::{self, Part};
use super::rows::Item;
use super::shared::{Shared, add};
use super::{acks, file, merge};
use crate::report::history::{Order, PAGE_MAX};
use crate::report::{Ack, History, HistoryError, Incident, IncidentQuery, Page, WindowQuery, WindowSummary};

type Answer<T> = oneshot::Sender<Result<T, HistoryError>>;

/// What can be asked, and who waits for it.
enum Question {
    Incidents(IncidentQuery, Answer<Page<Incident>>),
    Incident(String, Answer<Option<Incident>>),
    Windows(WindowQuery, Answer<Page<WindowSummary>>),
}

/// A question, and how many items had been offered when it was asked.
struct Asked(Question, u64);

/// Where questions are asked. The threads end with the last of them.
#[derive(Clone)]
pub(super) struct Readers {
    questions: SyncSender<Asked>,
    /// Where wishes are put; gone where nothing is written any more.
    queue: Weak<SyncSender<Item>>,
    shared: Arc<Shared>,
}

impl Readers {
    pub(super) fn start(shared: &Arc<Shared>, queue: Weak<SyncSender<Item>>) -> Result<Self, Error> {
        let (questions, asked) = sync_channel(QUESTIONS);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..READERS {
            let (asked, shared) = (Arc::clone(&asked), Arc::clone(shared));
            let reader = move || Reader { shared, open: None }.run(&asked);
            thread::Builder::new().name("history-read".into()).spawn(reader).map_err(Error::Thread)?;
        }
        Ok(Self { questions, queue, shared: Arc::clone(shared) })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> BoxFuture<'static, Result<T, HistoryError>> {
        let (answer, answered) = oneshot::channel();
        let offered = self.shared.offered.load(Ordering::Acquire);
        let asked = self.questions.try_send(Asked(question(answer), offered));
        async move {
            match asked {
                Ok(()) => answered.await.unwrap_or_else(|_| Err(gone())),
                Err(TrySendError::Full(_)) => Err(HistoryError::Busy),
                Err(TrySendError::Disconnected(_)) => Err(gone()),
            }
        }
        .boxed()
    }
}

impl History for Readers {
    fn incidents(&self, query: IncidentQuery) -> BoxFuture<'static, Result<Page<Incident>, HistoryError>> {
        self.ask(|answer| Question::Incidents(query, answer))
    }

    fn incident(&self, id: String) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        self.ask(|answer| Question::Incident(id, answer))
    }

    fn windows(&self, query: WindowQuery) -> BoxFuture<'static, Result<Page<WindowSummary>, HistoryError>> {
        self.ask(|answer| Question::Windows(query, answer))
    }

    fn acknowledge(
        &self,
        id: String,
        ack: Option<Ack>,
    ) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        let this = self.clone();
        async move {
            let Some(mut incident) = this.incident(id.clone()).await? else { return Ok(None) };
            let severity = incident.severity.clone();
            let kept = ack.map(|Ack { at, note }| Kept { at, severity, note });
            this.wish(id, kept.clone()).await?;
            acks::note(&mut incident, kept.as_ref());
            Ok(Some(incident))
        }
        .boxed()
    }
}

impl Readers {
    /// Has it kept, and waits until it is.
    async fn wish(&self, id: String, kept: Option<Kept>) -> Result<(), HistoryError> {
        let (wish, done) = Wish::new(id, kept);
        let queue = self.queue.upgrade().ok_or_else(gone)?;
        self.shared.enter();
        let sent = queue.try_send(Item::Ack(Arc::new(wish)));
        // Who waits for an answer must not keep the writer from ending.
        drop(queue);
        if sent.is_err() {
            self.shared.leave(1);
            add(&self.shared.dropped, 1);
            return Err(HistoryError::Busy);
        }
        done.await.map_err(|_| HistoryError::Failed("it could not be written".into()))
    }
}

/// One thread.
struct Reader {
    shared: Arc<Shared>,
    /// The file as of a generation.
    open: Option<(u64, Connection)>,
}

impl Reader {
    fn run(mut self, asked: &Mutex<Receiver<Asked>>) {
        loop {
            let question = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // Who has gone away meanwhile is not answered.
            match question {
                Ok(Asked(Question::Incidents(query, answer), offered)) if !answer.is_closed() => {
                    self.wait_for(offered);
                    let _ = answer.send(self.incidents(&query));
                }
                Ok(Asked(Question::Incident(id, answer), offered)) if !answer.is_closed() => {
                    self.wait_for(offered);
                    let _ = answer.send(self.incident(&id));
                }
                Ok(Asked(Question::Windows(query, answer), _)) if !answer.is_closed() => {
                    let _ = answer.send(self.windows(&query));
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until the history knows what had been offered by then: who was just told of an incident asks for it next. Not for
    /// ever: a slow disk must not keep everybody from an answer.
    fn wait_for(&self, offered: u64) {
        let started = Instant::now();
        while self.shared.settled.load(Ordering::Acquire) < offered && started.elapsed() < CATCH_UP {
            thread::sleep(CATCH_UP_LOOK);
        }
    }

    fn incidents(&mut self, query: &IncidentQuery) -> Result<Page<Incident>, HistoryError> {
        // Where something waits in memory, one database may know of an incident and the other one who looks after it: then it
        // is asked for all of them. A page may have fewer than it could; where it goes on is right.
        let is_split = self.shared.path.is_some() && self.waits().map_err(failed)?;
        let asked = match is_split {
            true => IncidentQuery { acknowledged: None, ..query.clone() },
            false => query.clone(),
        };
        let mut page = self.pages(
            (asked.order, asked.limit.min(PAGE_MAX), asked.cursor),
            |connection| query::incidents(connection, &asked),
            |memory, name| query::change_of(memory, name).ok().flatten(),
        )?;
        self.fill(&mut page.items)?;
        if let (true, Some(wanted)) = (is_split, query.acknowledged) {
            page.items.retain(|incident| incident.acknowledged_at.is_some() == wanted);
        }
        Ok(page)
    }

    /// Whether anything is in memory.
    fn waits(&self) -> rusqlite::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM incidents) OR EXISTS (SELECT 1 FROM acks)";
        self.shared.memory().query_row(sql, [], |row| row.get(0))
    }

    /// Says of each who looks after it. Memory first: what is moved to the file meanwhile is then seen twice.
    fn fill(&mut self, incidents: &mut [Incident]) -> Result<(), HistoryError> {
        let waiting = acks::of(&self.shared.memory(), incidents).map_err(failed)?;
        let written = self.of_file(|file| acks::of(file, incidents))?.unwrap_or_default();
        acks::fill(incidents, &written);
        acks::fill(incidents, &waiting);
        Ok(())
    }

    fn windows(&mut self, query: &WindowQuery) -> Result<Page<WindowSummary>, HistoryError> {
        self.pages(
            (Order::Newest, query.limit.min(PAGE_MAX), query.cursor),
            |connection| query::windows(connection, query),
            // A summary never changes.
            |_, _| None,
        )
    }

    fn incident(&mut self, id: &str) -> Result<Option<Incident>, HistoryError> {
        let waiting = query::incident(&self.shared.memory(), id).map_err(failed)?;
        let mut found = match waiting {
            Some(incident) => Some(incident),
            None => self.of_file(|file| query::incident(file, id))?.flatten(),
        };
        self.fill(found.as_mut_slice())?;
        Ok(found)
    }

    /// Memory first: what is moved to the file meanwhile is then seen twice, and not at no time.
    fn pages<T>(
        &mut self,
        order: (Order, usize, Option<u64>),
        ask: impl Fn(&Connection) -> rusqlite::Result<Part<T>>,
        change: impl Fn(&Connection, &str) -> Option<i64>,
    ) -> Result<Page<T>, HistoryError> {
        let memory = ask(&self.shared.memory()).map_err(failed)?;
        let nothing = Part { items: Vec::new(), until: None, change: 0 };
        let file = self.of_file(ask)?.unwrap_or(nothing);
        let guard = self.shared.memory();
        Ok(merge::pages(order, memory, file, |name| change(&guard, name)))
    }

    /// What the file says; nothing where there is none, or where it is in trouble and cannot be read either.
    fn of_file<T>(
        &mut self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, HistoryError> {
        let Some(path) = self.shared.path.clone() else { return Ok(None) };
        let answer = self.connection(&path).and_then(|connection| {
            let end = Instant::now() + ANSWER;
            connection.progress_handler(10_000, Some(move || Instant::now() > end))?;
            ask(connection)
        });
        answer.map(Some).or_else(|error| {
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
                let seconds = ANSWER.as_secs();
                return Err(HistoryError::Failed(format!("it took longer than {seconds} s; ask for less")));
            }
            self.open = None;
            // The writer looks what is wrong.
            self.shared.suspect.store(true, Ordering::Release);
            if self.shared.is_troubled() { Ok(None) } else { Err(failed(error)) }
        })
    }

    /// The file that is written now.
    fn connection(&mut self, path: &Path) -> rusqlite::Result<&mut Connection> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let open = self.open.take().filter(|(of, _)| *of == generation);
        let open = match open {
            Some(open) => open,
            None => (generation, file::open_to_read(path, false)?),
        };
        Ok(&mut self.open.insert(open).1)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: rusqlite::Error) -> HistoryError {
    HistoryError::Failed(error.to_string())
}

fn gone() -> HistoryError {
    HistoryError::Failed("nobody answers any more".into())
}
