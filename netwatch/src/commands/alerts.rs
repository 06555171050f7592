//! `netwatch alerts`: what the history knows, whether or not netwatch runs.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;

use super::history;
use crate::cli::{AlertsArgs, AlertsFormat, LifeName};
use crate::config;
use crate::exit::Usage;
use crate::report::history::{Order, PAGE_MAX};
use crate::report::{Incident, IncidentQuery, Life};
use crate::signals::{Asked, Signals};
use crate::store::{Archive, ArchiveError};
use crate::{clock, guide};

/// How many incidents are printed where nobody says.
const LIMIT: usize = 100;
/// How often it is looked for more.
const PAUSE: Duration = Duration::from_secs(1);

/// `netwatch alerts`.
///
/// # Errors
///
/// The options are not right, there is no history, or nothing can be printed.
pub fn alerts(args: &AlertsArgs) -> anyhow::Result<ExitCode> {
    let query = query(args, clock::now()).map_err(Usage)?;
    let archive = Archive::open(&history::dir(args.state_dir.as_deref(), args.config.as_deref())?)?;
    let limit = match (args.limit, &query.since) {
        (Some(limit), _) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        (None, Some(_)) => None,
        (None, None) => Some(LIMIT),
    };
    let cursor = limit.map(|limit| archive.last(&query, limit)).transpose()?.unwrap_or(0);
    let mut printer = Printer { archive, query, cursor, format: args.format };
    if args.follow {
        return follow(printer);
    }
    printer.print()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what comes until a signal says that it is enough, or nobody reads any more.
fn follow(mut printer: Printer) -> anyhow::Result<ExitCode> {
    let (done, is_done) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let _context = runtime.enter();
    let mut signals = Signals::listen().context("listen to signals")?;
    // A reader that does not read keeps this thread, but not the signals.
    thread::spawn(move || {
        let result = loop {
            match printer.print() {
                Ok(true) if !is_hung_up() => {}
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
            thread::sleep(PAUSE);
            if let Err(error) = printer.refresh() {
                break Err(error);
            }
        };
        let _ = done.send(result);
    });
    runtime.block_on(async {
        let asked = async { while signals.next().await == Asked::Reload {} };
        tokio::select! {
            () = asked => Ok(()),
            result = is_done => result.unwrap_or(Ok(())),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What prints incidents in the order of their changes.
struct Printer {
    archive: Archive,
    query: IncidentQuery,
    /// What was printed last.
    cursor: u64,
    format: AlertsFormat,
}

impl Printer {
    /// Prints all that is new. Returns whether somebody reads it.
    fn print(&mut self) -> anyhow::Result<bool> {
        loop {
            let query = IncidentQuery { cursor: Some(self.cursor), ..self.query.clone() };
            let page = self.archive.incidents(&query)?;
            let mut text = String::new();
            for incident in &page.items {
                text.push_str(&self.line(incident)?);
                text.push('\n');
            }
            let mut stdout = io::stdout().lock();
            match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                result => result.context("write")?,
            }
            let next = page.next.unwrap_or(self.cursor);
            // A page that is not full may still not be the last one.
            if next == self.cursor || page.items.is_empty() {
                self.cursor = next;
                return Ok(true);
            }
            self.cursor = next;
        }
    }

    fn line(&self, incident: &Incident) -> anyhow::Result<String> {
        Ok(match self.format {
            AlertsFormat::Json => serde_json::to_string(incident).context("write JSON")?,
            AlertsFormat::Text => {
                let Incident { updated_at, severity, state, rule, text, id, .. } = incident;
                let (at, severity, state) = (updated_at.0, severity.to_uppercase(), state.name());
                let mut line = format!("{at:.0} {severity:8} {state:6} {rule:17} {text}; incident {id}");
                if let Some(at) = incident.acknowledged_at {
                    let _ = write!(line, "; acknowledged {:.0}", at.0);
                    if let (true, Some(then)) = (incident.has_risen(), &incident.acknowledged_severity) {
                        let _ = write!(line, " at {then}");
                    }
                    if let Some(note) = &incident.acknowledged_note {
                        let _ = write!(line, ": {note}");
                    }
                }
                // What is in the file may have been put there by others.
                line.replace(char::is_control, "?")
            }
        })
    }

    /// Goes on in a file that took the place of the old one.
    fn refresh(&mut self) -> anyhow::Result<()> {
        match self.archive.refresh() {
            Ok(true) => {
                // Its numbers begin anew, unless netwatch has put what it knew into it.
                let all = IncidentQuery { order: Order::Changed, limit: 1, ..IncidentQuery::default() };
                let last = self.archive.last(&all, 0)?;
                self.cursor = if last < self.cursor { 0 } else { self.cursor };
                Ok(())
            }
            // It is there again soon, or the next question says what is wrong.
            Ok(false) | Err(ArchiveError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn query(args: &AlertsArgs, now: Timestamp) -> Result<IncidentQuery, String> {
    let time = |name: &str, text: &Option<String>| {
        let read = |text: &String| history::time(text, now).map_err(|wrong| format!("{name}: {wrong}"));
        text.as_ref().map(read).transpose()
    };
    if let Some(rule) = &args.rule {
        guide::find(rule).map_err(|wrong| format!("--rule: {wrong}"))?;
    }
    if let Some(interface) = &args.interface {
        config::interfaces(std::slice::from_ref(interface))?;
    }
    Ok(IncidentQuery {
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
        rule: args.rule.clone(),
        min_severity: args.severity.map(config::severity),
        source: args.src,
        dest: args.dest,
        interface: args.interface.clone(),
        state: args.state.map(|state| match state {
            LifeName::Open => Life::Open,
            LifeName::Closed => Life::Closed,
        }),
        order: Order::Changed,
        limit: PAGE_MAX,
        ..IncidentQuery::default()
    })
}

/// Whether nobody reads any more.
fn is_hung_up() -> bool {
    let stdout = io::stdout();
    let mut waited = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let found = poll(&mut waited, PollTimeout::ZERO).is_ok_and(|count| count > 0);
    found && waited[0].revents().is_some_and(|seen| seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP))
}
