//! `netwatch replay`: the detection of `netwatch run`, on recorded packets and by their clock.
//!
//! What [`app`](crate::app) is for a wire, this is for captures: it knows all edges. Read it in this order:
//! [`prepare`] and [`direction`] (before the first packet), [`player`] (packets in, news out), [`timeline`] (the clock),
//! [`engine`], [`host`], [`flows`] and [`tables`] (what counts), [`looks`] (feeds and signatures), [`tally`] and [`report`]
//! (`--summary`), [`progress`].

pub mod direction;
pub mod engine;
pub mod flows;
pub mod host;
pub mod looks;
pub mod player;
pub mod prepare;
pub mod progress;
pub mod region;
pub mod report;
mod table;
pub mod tables;
pub mod tally;
pub mod timeline;
mod top;

use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, bail};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::capture::Captures;
use crate::cli::{Format, LogLevel, ReplayArgs, WatchMode};
use crate::config::Config;
use crate::exit;
use crate::signals::{Asked, Signals};
use crate::sinks::words::Count;
use crate::sinks::{Output, OutputError};
use crate::{printing, summary};
use player::{News, Player};
use prepare::{Prepared, spelled};
use progress::Progress;
use report::Facts;
use tally::Tally;

/// Packets after which progress is told, and others are asked whether to stop.
const AT_ONCE: u64 = 4096;

/// Replays captures to their end, or until somebody stops it.
///
/// # Errors
///
/// The engine cannot be had, fails, or alerts could not be written.
pub fn run(
    config: Config,
    args: ReplayArgs,
    captures: Captures,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<ExitCode> {
    let asked = Arc::clone(stop);
    until_stopped(stop, move || Replay { config, args, captures }.play(&asked))
}

/// Does something on a thread of its own until it ends; `stop` asks it to.
///
/// # Errors
///
/// Its own, or that it was asked twice and has not ended.
pub fn until_stopped(
    stop: &AtomicBool,
    work: impl FnOnce() -> anyhow::Result<ExitCode> + Send + 'static,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start the async runtime")?.block_on(async {
        let mut signals = Signals::listen().context("listen to signals")?;
        let (ended, mut end) = oneshot::channel();
        thread::spawn(move || ended.send(work()));
        loop {
            tokio::select! {
                result = &mut end => return result.context("the replay broke down")?,
                asked = signals.next() => match asked {
                    Asked::Reload => info!("SIGHUP: a replay keeps the configuration that it began with"),
                    Asked::Stop(why) if stop.swap(true, Ordering::Relaxed) => bail!("stopped at once: {why}"),
                    Asked::Stop(why) => info!("stopping: {why}"),
                }
            }
        }
    })
}

struct Replay {
    config: Config,
    args: ReplayArgs,
    captures: Captures,
}

impl Replay {
    fn play(mut self, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
        let prepared = Prepared::look(&self.config, &mut self.captures, &self.args.files)?;
        prepared.announce();
        let tally = self.args.summary.then(|| Tally::new(self.config.min_severity));
        let mut player = prepared.player(&self.config, self.args.engine, |policy| policy, tally)?;
        let mut output = self.output(&prepared, &player);
        let progress = self.progress();
        let mut packets = 0;
        let mut last_at_ns = prepared.first_at_ns;
        let mut written = Ok(());
        while let Some(packet) = self.captures.next() {
            player.packet(&packet)?;
            last_at_ns = last_at_ns.max(Some(packet.at_ns));
            packets += 1;
            written = self.tell(&mut player, &mut output, &progress);
            if packets % AT_ONCE == 0 {
                progress.at(self.captures.position().0, packets);
            }
            if written.is_err() || (packets % AT_ONCE == 0 && stop.load(Ordering::Relaxed)) {
                break;
            }
        }
        progress.finish();
        player.finish()?;
        written = written.and_then(|()| self.tell(&mut player, &mut output, &progress));
        let text =
            summary::text([(player.name(), player.totals(), player.drained())], player.analysis(), &output);
        if self.args.summary {
            let is_stopped = stop.load(Ordering::Relaxed);
            let facts = Facts { is_stopped, ..self.facts(&prepared, &player, last_at_ns) };
            written = written.and_then(|()| self.report(&facts, &player));
        } else if tracing::enabled!(tracing::Level::INFO) {
            // Where stderr is gone too, there is nobody left to tell.
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
        match written {
            Ok(()) | Err(OutputError::Closed) => Ok(self.end(player.late(), stop)),
            Err(error) => Err(error.into()),
        }
    }

    fn output(&self, prepared: &Prepared, player: &Player<Option<Tally>>) -> Output<Stdout> {
        // The same capture gives the same names.
        let run = format!("{:x}-replay", prepared.first_at_ns.unwrap_or(0) / 1_000_000_000);
        let renderer = printing::renderer(&self.config, self.args.color, player.timeline().wall(), run);
        Output::new(io::stdout(), renderer).with_min_severity(self.config.min_severity)
    }

    fn progress(&self) -> Progress {
        let is_shown = io::stderr().is_terminal() && self.args.log >= LogLevel::Info;
        Progress::new(self.captures.position().1, is_shown)
    }

    /// Writes what there is to tell, where alerts are written.
    fn tell(
        &self,
        player: &mut Player<Option<Tally>>,
        output: &mut Output<Stdout>,
        progress: &Progress,
    ) -> Result<(), OutputError> {
        for news in player.take_news() {
            if self.args.summary {
                continue;
            }
            progress.suspend(|| match news {
                News::Transitions(transitions) => output.write(&transitions),
                News::Digest(digest) => output.digest(&digest),
            })?;
        }
        Ok(())
    }

    fn facts(&self, prepared: &Prepared, player: &Player<Option<Tally>>, last_ns: Option<i64>) -> Facts {
        let skipped = self.captures.counts().skipped;
        Facts {
            files: spelled_paths(&self.args.files),
            first_ns: prepared.first_at_ns,
            last_ns,
            is_stopped: false,
            late: player.late(),
            without_time: self.captures.counts().without_time,
            engine: player.engine(),
            replies: match prepared.mode {
                WatchMode::Host => "host",
                WatchMode::Mirror => "mirror",
                WatchMode::Flags => "flags",
            },
            local: spelled(&prepared.local),
            guessed: prepared.guessed.clone(),
            ipv6_bits: self.config.ipv6_prefix,
            totals: *player.totals(),
            skipped: skipped.into_iter().map(|skipped| (skipped.reason, skipped.packets)).collect(),
            problems: self.captures.problems().iter().map(ToString::to_string).collect(),
            wall: player.timeline().wall(),
            counters: player.analysis().counters(),
        }
    }

    fn report(&self, facts: &Facts, player: &Player<Option<Tally>>) -> Result<(), OutputError> {
        let Some(tally) = player.observer() else { return Ok(()) };
        let text = match self.config.format {
            Format::Text => report::text(facts, tally),
            Format::Json => format!("{}\n", report::json(facts, tally)),
        };
        Ok(io::stdout().lock().write_all(text.as_bytes())?)
    }

    /// Says what could not be used, and whether that is trouble.
    fn end(&self, late: u64, stop: &AtomicBool) -> ExitCode {
        let counts = self.captures.counts();
        for skipped in &counts.skipped {
            warn!("not replayed: {} packets: {}", skipped.packets, skipped.reason);
        }
        if counts.without_time > 0 {
            let packets = Count(counts.without_time, "packet");
            warn!("{packets} without a time: counted as if they came with the one before");
        }
        if late > 0 {
            let packets = Count(late, "packet");
            warn!(
                "{packets} with a time a slot or more before that of an earlier one: counted as if they came with it, \
                 so rates may be too high; put the clock right with `editcap -t`, or sort with `reordercap`"
            );
        }
        let problems = self.captures.problems();
        problems.iter().for_each(|problem| error!("{problem}"));
        if stop.load(Ordering::Relaxed) {
            info!("stopped before the end");
        }
        match problems.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(exit::DAMAGED),
        }
    }
}

fn spelled_paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}
