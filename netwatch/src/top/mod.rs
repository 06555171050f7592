//! `netwatch top`: the state of a watch at a glance, in a terminal.
//!
//! Read it in this order: `words` (text as it may be shown), [`look`], [`data`] (what the daemon answers), `sse`, `http` and
//! `client` (how it is asked), `known` and [`model`] (what is known and chosen), `verdict`, `keys`, [`draw`](mod@draw), `terminal`, `signals`,
//! `child` (a watch of our own); and here, how all of it runs.

mod child;
mod client;
pub mod data;
pub mod draw;
mod http;
mod keys;
mod known;
pub mod look;
pub mod model;
mod signals;
mod sse;
mod terminal;
mod verdict;
mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event as Input, KeyEvent, KeyEventKind};
use ratatui::layout::Rect;

use crate::cli::TopArgs;
use crate::exit::{NO_ANSWER, Usage};
use crate::outputs::trust::Secret;
use child::Watch;
pub use child::end_with_parent;
use http::{Http, Trouble};
use keys::Wish;
use look::Look;
use model::{Model, Update};
use signals::Signals;
use terminal::Screen;

/// Events that may wait to be drawn.
const QUEUE: usize = 256;
/// How often is looked whether what is shown has become old.
const TICK: Duration = Duration::from_secs(1);

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers, or not to us.
    #[error("{0}")]
    NoAnswer(String),
    /// The watch of our own ended.
    #[error("{0}")]
    Watch(child::Error),
}

impl Error {
    /// The exit code: of our own watch that has ended, its own.
    #[must_use]
    pub fn code(&self) -> u8 {
        let said = match self {
            Self::NoAnswer(_) => return NO_ANSWER,
            Self::Watch(child::Error::Ended { code, .. }) => code.and_then(|code| u8::try_from(code).ok()),
            Self::Watch(child::Error::Start(_)) => None,
        };
        // It was not to end by itself, so it has failed, whatever it says.
        said.filter(|code| *code != 0).unwrap_or(1)
    }
}

/// What can happen.
#[derive(Debug)]
enum Event {
    Update(Update),
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// Somebody wants us to hold.
    Suspend,
    /// Somebody lets us go on.
    Continue,
    /// It is over, and everybody knows why.
    Stop,
}

/// Where what is new goes.
#[derive(Clone)]
struct Updates(SyncSender<Event>);

impl Updates {
    /// Whether anybody listens still. Waits where much is waiting already.
    fn send(&self, update: Update) -> bool {
        self.0.send(Event::Update(update)).is_ok()
    }
}

/// Shows it until somebody quits.
///
/// # Errors
///
/// Options are not right, nobody answers, or there is no terminal.
pub fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let variable = |name: &str| std::env::var(name).ok();
    let look = Look::of(args.no_color, args.ascii, variable);
    let refresh = refresh(&args.refresh).map_err(Usage)?;
    if !args.once && !io::stdout().is_terminal() {
        let says = "stdout is no terminal; `netwatch top --once` prints one screen as text";
        return Err(Usage(says.into()).into());
    }
    child::check(&args.run_options).map_err(Usage)?;
    let token = token(args).map_err(Usage)?;
    let (sender, events) = sync_channel(QUEUE);
    let signals = Signals::listen(sender.clone())?;
    let result = begin(args, token.as_deref(), look, refresh, &signals, (sender, events));
    // What was begun has been ended by now.
    signals.end();
    result
}

/// Asks, or starts a watch to ask, and shows what is answered.
fn begin(
    args: &TopArgs,
    token: Option<&str>,
    look: Look,
    refresh: Duration,
    signals: &Signals,
    queue: (SyncSender<Event>, Receiver<Event>),
) -> anyhow::Result<ExitCode> {
    let mut watch = match args.interfaces.is_empty() {
        true => None,
        false => Some(Watch::start(&args.interfaces, &args.run_options, signals).map_err(Error::Watch)?),
    };
    let http = match &watch {
        Some(watch) => Http::new(&watch.url, watch.token.as_deref().or(token), args.ca.as_deref()),
        None => Http::new(&args.url, token, args.ca.as_deref()),
    };
    let http = Arc::new(http.map_err(Usage)?);
    let asked = Arc::clone(&http);
    // Where a signal ends us meanwhile, that says how it ended.
    if args.once {
        let args = args.clone();
        return signals.unless_over(move || once(&asked, &args, look))?.unwrap_or(Ok(ExitCode::SUCCESS));
    }
    if watch.is_none() {
        match signals.unless_over(move || asked.get("/api/v1/status"))? {
            Some(answer) => answer.map_err(|trouble| no_answer(&trouble, args))?,
            None => return Ok(ExitCode::SUCCESS),
        };
    }
    show(&http, &mut watch, look, refresh, signals, queue)
}

/// How often at most is drawn.
fn refresh(text: &str) -> Result<Duration, String> {
    let refresh = crate::units::duration(text).map_err(|wrong| format!("--refresh: {wrong}"))?;
    let bounds = Duration::from_millis(50)..=Duration::from_secs(60);
    match bounds.contains(&refresh) {
        true => Ok(refresh),
        false => Err("--refresh: must be 50ms to 60s".into()),
    }
}

fn token(args: &TopArgs) -> Result<Option<String>, String> {
    let text = match &args.token_file {
        Some(file) => {
            let secret = Secret::token(file).map_err(|wrong| format!("--token-file {wrong}"))?;
            String::from_utf8_lossy(secret.bytes()).into_owned()
        }
        None => match std::env::var("NETWATCH_TOKEN") {
            Ok(token) if !token.trim().is_empty() => token.trim().to_owned(),
            _ => return Ok(None),
        },
    };
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(text)),
        false => Err("NETWATCH_TOKEN: a token is one word of ASCII letters, digits and signs".into()),
    }
}

fn no_answer(trouble: &Trouble, args: &TopArgs) -> Error {
    let to_do = match trouble {
        Trouble::Unreachable(_) if args.url == crate::cli::TOP_URL => {
            "; start `netwatch run`, name another with `--url`, or watch by yourself with `netwatch top -i NAME`"
        }
        Trouble::Unreachable(_) => "; check `--url`, and whether `netwatch run` serves there",
        Trouble::Token(_) | Trouble::Refused(_) => "",
    };
    Error::NoAnswer(format!("{trouble}{to_do}"))
}

/// Prints one screen as text.
fn once(http: &Http, args: &TopArgs, look: Look) -> anyhow::Result<ExitCode> {
    let mut model = Model::new(http.base().to_owned(), args.size);
    model.update(Update::Live, Duration::ZERO);
    client::ask_once(http, |update| model.update(update, Duration::ZERO))
        .map_err(|trouble| no_answer(&trouble, args))?;
    let (columns, rows) = args.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    draw::draw(&model, look, &mut buffer);
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text(&buffer).as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS).context("write to stdout"),
    }
}

/// A screen as lines of text.
#[must_use]
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer.cell((x, y)).map_or(" ", |cell| cell.symbol());
            line.push_str(symbol);
            // What is wide stands in its neighbour's place too.
            x += u16::try_from(words::width(symbol)).unwrap_or(1).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn show(
    http: &Arc<Http>,
    watch: &mut Option<Watch>,
    look: Look,
    refresh: Duration,
    signals: &Signals,
    (sender, events): (SyncSender<Event>, Receiver<Event>),
) -> anyhow::Result<ExitCode> {
    let mut model = Model::new(http.base().to_owned(), terminal::size());
    signals.take_screen();
    let mut screen = Screen::take().context("take the terminal")?;
    let for_thread = sender.clone();
    thread::Builder::new()
        .name("netwatch-keys".into())
        .spawn(move || read_keys(&for_thread))
        .context("start a thread")?;
    client::start(http, &Updates(sender)).context("start a thread")?;
    let result = turn(&mut model, &mut screen, watch, look, refresh, &events, signals);
    drop(screen);
    result.map(|()| ExitCode::SUCCESS)
}

/// The one loop: takes in what happens, and draws when that is due.
fn turn(
    model: &mut Model,
    screen: &mut Screen,
    watch: &mut Option<Watch>,
    look: Look,
    refresh: Duration,
    events: &Receiver<Event>,
    signals: &Signals,
) -> anyhow::Result<()> {
    let start = Instant::now();
    // Whoever presses a key waits for nothing; what the daemon tells may wait until it is due.
    let (mut is_due, mut is_asked, mut drawn) = (true, true, start);
    while !signals.is_over() {
        let since = drawn.elapsed();
        if is_asked || (is_due && since >= refresh) {
            (is_due, is_asked, drawn) = (false, false, Instant::now());
            model.now = start.elapsed();
            if let Err(error) = screen.draw(model, look) {
                // A terminal that is gone is an end like any other.
                tracing::debug!("the terminal is gone: {error}");
                return Ok(());
            }
        }
        let wait = if is_due { refresh.saturating_sub(since) } else { TICK };
        let mut next = match events.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if next.is_none() {
            model.now = start.elapsed();
            is_due |= model.age_s().is_some();
            if let Some(error) = watch.as_mut().and_then(Watch::ended_early) {
                return Err(Error::Watch(error).into());
            }
        }
        let mut taken = 0;
        while let Some(event) = next {
            match event {
                Event::Update(Update::Failed(why)) => anyhow::bail!(why),
                Event::Update(update) => {
                    is_due |= model.paused.is_none() || matches!(update, Update::Lost(_) | Update::Live);
                    // The watch has ended with its stream.
                    if matches!(update, Update::Lost(_))
                        && let Some(error) = watch.as_mut().and_then(Watch::ended_early)
                    {
                        return Err(Error::Watch(error).into());
                    }
                    model.update(update, start.elapsed());
                }
                Event::Key(key) => {
                    is_asked = true;
                    #[cfg(debug_assertions)]
                    fail_if_asked(key);
                    match model.key(key) {
                        Wish::GoOn => {}
                        Wish::Quit => return Ok(()),
                        Wish::Suspend => screen.suspend()?,
                        Wish::Repaint => screen.repaint()?,
                    }
                }
                Event::Resized => is_asked = true,
                Event::Suspend => {
                    screen.suspend()?;
                    is_asked = true;
                }
                Event::Continue => {
                    screen.resume()?;
                    is_asked = true;
                }
                Event::Stop => return Ok(()),
            }
            taken += 1;
            // A queue that is filled as fast as it is emptied must not keep anything from being drawn.
            next = if taken < QUEUE { events.try_recv().ok() } else { None };
        }
    }
    Ok(())
}

/// So that a test can see what a mistake leaves of the terminal. It is not in releases.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "what it is for")]
fn fail_if_asked(key: KeyEvent) {
    if key.code == event::KeyCode::F(12) && std::env::var_os("NETWATCH_TOP_PANIC").is_some() {
        panic!("asked to by NETWATCH_TOP_PANIC");
    }
}

/// Waits for keys and other sizes until the terminal is gone.
fn read_keys(events: &SyncSender<Event>) {
    loop {
        let event = match event::read() {
            // Some terminals tell when a key is let go, too.
            Ok(Input::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
            Ok(Input::Resize(..)) => Event::Resized,
            Ok(_) => continue,
            Err(_) => Event::Stop,
        };
        let is_over = matches!(event, Event::Stop);
        if events.send(event).is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
