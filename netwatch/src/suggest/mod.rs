//! `netwatch suggest`: the thresholds that would have given few enough alerts on recorded traffic.
//!
//! The captures are replayed with the rules as configured. While more is told than wanted, thresholds go up and the
//! captures are replayed again: an alert that is gone may have explained others, so only a replay shows what is left.
//! Read it in this order: [`knob`] (what can be raised), [`told`] (what a replay tells), [`budget`] (what to raise),
//! [`search`] (again and again), [`toml`] (what is printed).

pub mod budget;
pub mod knob;
pub mod search;
pub mod told;
pub mod toml;

use std::fs::File;
use std::io::{self, IsTerminal as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{error, info, warn};

use crate::analysis::Policy;
use crate::capture::{Captures, OpenError, Refusal, limits};
use crate::cli::{LogLevel, PlaceArgs, SuggestArgs, WatchMode};
use crate::config::Config;
use crate::exit::{self, Usage};
use crate::replay::prepare::{Prepared, spelled};
use crate::replay::progress::Progress;
use crate::replay::until_stopped;
use crate::sinks::words::{Count, Printable};
use crate::{clock, sinks};
use knob::apply;
use search::{Found, Trial};
use told::Told;
use toml::Basis;

/// Packets after which progress is told, and others are asked whether to stop.
const AT_ONCE: u64 = 4096;

const HOUR_NS: u64 = 3_600 * 1_000_000_000;
const DAY_NS: u64 = 24 * HOUR_NS;

/// After so long without a packet it is not believed that somebody was listening: captures of two days with a month
/// between them are two days of traffic, and so are those with one wrong time in them.
const PAUSE_NS: u64 = HOUR_NS;

/// What the user wants of the rules to begin with.
///
/// # Errors
///
/// A sentence that names the option, or the place in the file, and says what to do.
pub fn config(args: &SuggestArgs) -> Result<Config, String> {
    if args.settings.format.is_some() {
        return Err("--format: what is suggested is always TOML; leave it out".into());
    }
    Config::from_settings(&args.settings, &PlaceArgs::default())
}

/// Captures that can be read again and again, whoever may read them by then.
pub struct Files(Vec<(PathBuf, File)>);

impl Files {
    /// Opens captures. To be done before privileges are dropped, without which root may not read what others keep to
    /// themselves.
    ///
    /// # Errors
    ///
    /// The first that cannot be opened, or that can be read only once.
    pub fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| {
            let once = |name: &str| {
                Usage(format!(
                    "--from: {name} can be read only once, and is replayed several times; name a file"
                ))
            };
            if path.as_os_str() == "-" {
                bail!(once("standard input"));
            }
            let refused = |reason| OpenError { path: path.clone(), reason };
            // A pipe without a writer would be waited for.
            let metadata = path.metadata().map_err(|error| refused(Refusal::Open(error)))?;
            if metadata.is_dir() {
                bail!(refused(Refusal::Directory));
            }
            if !metadata.is_file() {
                bail!(once(&Printable(&path.display().to_string()).to_string()));
            }
            let file = File::open(path).map_err(|error| refused(Refusal::Open(error)))?;
            Ok((path.clone(), file))
        };
        if let Some(path) = paths.get(limits::FILES) {
            bail!(OpenError { path: path.clone(), reason: Refusal::TooMany });
        }
        paths.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// The captures from their beginning. Only one of what this returns can be read at a time.
    fn captures(&self, stop: &Arc<AtomicBool>) -> anyhow::Result<Captures> {
        let again = |(path, file): &(PathBuf, File)| {
            let mut file = file.try_clone().with_context(|| format!("read {} again", path.display()))?;
            file.rewind().with_context(|| format!("read {} again", path.display()))?;
            anyhow::Ok((path.clone(), file))
        };
        let files = self.0.iter().map(again).collect::<Result<_, _>>()?;
        Ok(Captures::from_files(files, stop)?)
    }
}

/// Replays captures until few enough alerts are left, and prints the thresholds that it takes.
///
/// # Errors
///
/// The engine cannot be had or fails, the captures cannot be read again, or somebody stopped it.
pub fn run(
    config: Config,
    args: SuggestArgs,
    files: Files,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<ExitCode> {
    let asked = Arc::clone(stop);
    until_stopped(stop, move || Suggest { config, args, files }.work(&asked))
}

struct Suggest {
    config: Config,
    args: SuggestArgs,
    files: Files,
}

/// What one replay came to.
struct Played {
    told: Told,
    packets: u64,
    /// How long packets came, and how long nobody listened, in nanoseconds.
    heard_ns: u64,
    pauses_ns: u64,
    wall: sinks::Wall,
    skipped: Vec<(String, u64)>,
    problems: Vec<String>,
}

impl Suggest {
    fn work(self, stop: &Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
        let mut captures = self.files.captures(stop)?;
        let prepared = Prepared::look(&self.config, &mut captures, &self.args.from)?;
        prepared.announce();
        let mut first = self.replay(captures, &prepared, &Trial::default(), stop)?;
        let budget = budget(self.args.per_day, first.heard_ns);
        let before = first.told.clone();
        let most_in_a_minute = self.policy().notifications_per_minute;
        let found = search::search(before, budget, most_in_a_minute, |trial, told| {
            info!(
                "{} alerts, where at most {budget} are wanted: replaying with higher thresholds",
                told.count()
            );
            let captures = self.files.captures(stop)?;
            // What the engine has to say was said the first time.
            let played = with_default(NoSubscriber::new(), || self.replay(captures, &prepared, trial, stop))?;
            if played.packets != first.packets {
                warn!("the captures changed while they were read: replay them again when they are complete");
            }
            anyhow::Ok(played.told)
        })?;
        self.warn(&found, budget);
        let basis = Basis {
            files: self.args.from.iter().map(|path| path.display().to_string()).collect(),
            packets: first.packets,
            heard_ns: first.heard_ns,
            pauses_ns: first.pauses_ns,
            per_day: self.args.per_day,
            budget,
            replies: match prepared.mode {
                WatchMode::Host => "host",
                WatchMode::Mirror => "mirror",
                WatchMode::Flags => "flags",
            },
            guessed_local: if prepared.guessed.is_some() { spelled(&prepared.local) } else { Vec::new() },
            guessed: prepared.guessed,
            problems: std::mem::take(&mut first.problems),
            wall: first.wall,
            policy: self.policy(),
        };
        for (reason, packets) in &first.skipped {
            warn!("not replayed: {packets} packets: {reason}");
        }
        basis.problems.iter().for_each(|problem| error!("{problem}"));
        print(&toml::text(&basis, &found, &self.config.toml(false)))?;
        Ok(if basis.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::DAMAGED) })
    }

    /// How the rules are applied before anything is raised.
    fn policy(&self) -> Policy {
        self.config.policy_at(clock::now())
    }

    fn replay(
        &self,
        mut captures: Captures,
        prepared: &Prepared,
        trial: &Trial,
        stop: &AtomicBool,
    ) -> anyhow::Result<Played> {
        let told = Told::new(apply(&trial.raised, self.policy()), self.config.min_severity);
        let of_trial = trial.clone();
        let mut player =
            prepared.player(&self.config, self.args.engine, move |policy| of_trial.policy(policy), told)?;
        let is_shown = io::stderr().is_terminal() && self.args.log >= LogLevel::Info;
        let progress = Progress::new(captures.position().1, is_shown);
        let (mut packets, mut heard_ns, mut pauses_ns) = (0, 0_u64, 0_u64);
        let mut last_at_ns = None;
        while let Some(packet) = captures.next() {
            let last = last_at_ns.get_or_insert(packet.at_ns);
            if packet.at_ns > *last {
                let passed_ns = packet.at_ns.abs_diff(*last);
                let time_ns = if passed_ns < PAUSE_NS { &mut heard_ns } else { &mut pauses_ns };
                *time_ns = time_ns.saturating_add(passed_ns);
                *last = packet.at_ns;
            }
            player.packet(&packet)?;
            // The player's observer has seen it.
            player.take_news().for_each(drop);
            packets += 1;
            if packets % AT_ONCE == 0 {
                progress.at(captures.position().0, packets);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        progress.finish();
        if stop.load(Ordering::Relaxed) {
            bail!("stopped before the thresholds were tried to the end: nothing is suggested");
        }
        player.finish()?;
        let skipped = captures.counts().skipped;
        Ok(Played {
            told: player.observer().clone(),
            packets,
            heard_ns,
            pauses_ns,
            wall: player.timeline().wall(),
            skipped: skipped.into_iter().map(|skipped| (skipped.reason, skipped.packets)).collect(),
            problems: captures.problems().iter().map(ToString::to_string).collect(),
        })
    }

    /// Says what nobody should find out later.
    fn warn(&self, found: &Found, budget: u64) {
        let severe = found.left_out().severe;
        if severe > 0 {
            let severe = Count(severe, "alert");
            warn!(
                "this leaves out {severe} of high or critical severity: do not use it if one was an attack"
            );
        }
        let left = found.after.count();
        if left > budget {
            let left = Count(left, "alert");
            warn!("{left} remain, where at most {budget} are wanted: what is printed says which");
        }
    }
}

/// How many alerts there may be: so many a day, and as many where there is less than a day.
fn budget(per_day: u32, heard_ns: u64) -> u64 {
    let share = u128::from(per_day) * u128::from(heard_ns) / u128::from(DAY_NS);
    u64::try_from(share).unwrap_or(u64::MAX).max(per_day.into())
}

/// Prints it. A reader who closes the pipe has seen enough.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("write"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
