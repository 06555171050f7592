//! The threads that answer: from the file, from what waits in memory, or from both.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt as _};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::error::Error;
use super::limits::{ANSWER, QUESTIONS, READERS};
use super::query::{self, Part};
use super::shared::Shared;
use super::{file, merge};
use crate::report::history::{Order, PAGE_MAX};
use crate::report::{History, HistoryError, Incident, IncidentQuery, Page, WindowQuery, WindowSummary};

type Answer<T> = oneshot::Sender<Result<T, HistoryError>>;

/// What can be asked, and who waits for it.
enum Question {
    Incidents(IncidentQuery, Answer<Page<Incident>>),
    Incident(String, Answer<Option<Incident>>),
    Windows(WindowQuery, Answer<Page<WindowSummary>>),
}

/// Where questions are asked. The threads end with the last of them.
#[derive(Clone)]
pub(super) struct Readers {
    questions: SyncSender<Question>,
}

impl Readers {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, Error> {
        let (questions, asked) = sync_channel(QUESTIONS);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..READERS {
            let (asked, shared) = (Arc::clone(&asked), Arc::clone(shared));
            let reader = move || Reader { shared, open: None }.run(&asked);
            thread::Builder::new().name("history-read".into()).spawn(reader).map_err(Error::Thread)?;
        }
        Ok(Self { questions })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> BoxFuture<'static, Result<T, HistoryError>> {
        let (answer, answered) = oneshot::channel();
        let asked = self.questions.try_send(question(answer));
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
}

/// One thread.
struct Reader {
    shared: Arc<Shared>,
    /// The file as of a generation.
    open: Option<(u64, Connection)>,
}

impl Reader {
    fn run(mut self, asked: &Mutex<Receiver<Question>>) {
        loop {
            let question = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // Who has gone away meanwhile is not answered.
            match question {
                Ok(Question::Incidents(query, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.incidents(&query));
                }
                Ok(Question::Incident(id, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.incident(&id));
                }
                Ok(Question::Windows(query, answer)) if !answer.is_closed() => {
                    let _ = answer.send(self.windows(&query));
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn incidents(&mut self, query: &IncidentQuery) -> Result<Page<Incident>, HistoryError> {
        self.pages(
            (query.order, query.limit.min(PAGE_MAX), query.cursor),
            |connection| query::incidents(connection, query),
            |memory, name| query::change_of(memory, name).ok().flatten(),
        )
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
        match waiting {
            Some(incident) => Ok(Some(incident)),
            None => Ok(self.of_file(|file| query::incident(file, id))?.flatten()),
        }
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
            if file::is_damage(&error) {
                self.shared.suspect.store(true, Ordering::Release);
            }
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
