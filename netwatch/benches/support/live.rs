//! netwatch as a user runs it, in a laboratory: what it tells, what it uses, and what it counted in the end.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use xtask::lab::Lab;

use super::process::{self, Used};

/// The netwatch that was built with the benchmark.
pub const NETWATCH: &str = env!("CARGO_BIN_EXE_netwatch");

/// A netwatch that watches a laboratory.
pub struct Live {
    child: Child,
    started: Instant,
    /// What it says at its start: what it watches, and within which bounds.
    pub announced: String,
    told: Receiver<Alert>,
    said: JoinHandle<String>,
}

/// A line of it.
pub struct Alert {
    /// When it was read.
    pub read: Instant,
    /// The line.
    pub event: Value,
}

impl Alert {
    /// The rule, like `scan.vertical`.
    pub fn rule(&self) -> &str {
        self.event["alert"]["context"]["rule"].as_str().unwrap_or_default()
    }

    /// Whether it opens an incident.
    pub fn opens(&self) -> bool {
        self.event["alert"]["context"]["state"] == "open"
    }

    /// Whether counting was lossy, by what it says.
    pub fn is_degraded(&self) -> bool {
        self.event["alert"]["context"]["degraded"] == true
    }
}

/// What was left when it had ended.
pub struct Ended {
    /// Its own processor time and memory.
    pub used: Used,
    /// What was told since [`Live::told`] was last asked.
    pub alerts: Vec<Alert>,
    /// What it counted.
    pub counted: Counted,
}

impl Live {
    /// Starts netwatch and waits until it watches. It ends with the thread that has called this.
    ///
    /// # Errors
    /// It does not start; the text holds what it said.
    pub fn start(lab: &Lab, netwatch: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = lab
            .watched()
            .command(netwatch)
            .args(["run", "--format", "json", "-i", lab.watched().interface()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("netwatch does not start")?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let (sender, told) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let read = Instant::now();
                let Ok(event) = serde_json::from_str(&line) else { continue };
                if sender.send(Alert { read, event }).is_err() {
                    break;
                }
            }
        });
        let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
        let (mut all, mut line) = (String::new(), String::new());
        while !line.contains("watching ") {
            line.clear();
            ensure!(stderr.read_line(&mut line)? > 0, "netwatch ended early:\n{all}");
            all.push_str(&line);
        }
        let announced = line.split_once("watching ").map_or("", |(_, rest)| rest).trim().to_owned();
        let said = thread::spawn(move || {
            stderr.lines().map_while(Result::ok).fold(String::new(), |all, line| all + &line + "\n")
        });
        Ok(Self { child, started, announced, told, said })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was told since this was last asked.
    pub fn told(&self) -> Vec<Alert> {
        self.told.try_iter().collect()
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// It does not end with success, or tells no summary.
    pub fn stop(self) -> anyhow::Result<Ended> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let used = process::wait(&self.child, self.started);
        let said = self.said.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let used = used.with_context(|| format!("netwatch, which said:\n{said}"))?;
        // Its lines have all been read when the reader of its stdout is gone.
        let mut alerts = Vec::new();
        while let Ok(alert) = self.told.recv_timeout(Duration::from_secs(5)) {
            alerts.push(alert);
        }
        Ok(Ended { used, alerts, counted: Counted::read(&said)? })
    }
}

/// What netwatch's summary says.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Packets.
    pub seen: u64,
    /// The sum of its classes.
    pub by_class: u64,
    /// Packets of which it does not say where they are; 0 unless it is wrong.
    pub unaccounted: u64,
    /// The line about what was counted under sources and targets.
    pub line: String,
}

impl Counted {
    /// Reads the summary, in the form of `netwatch::summary::text`.
    fn read(said: &str) -> anyhow::Result<Self> {
        let mut counted = Self::default();
        let (mut has_packets, mut has_rest) = (false, false);
        for line in said.lines() {
            let line = line.trim();
            if let Some((packets, _)) =
                line.split_once(" packets, ").filter(|(_, rest)| rest.contains(" slots ("))
            {
                let number = packets.rsplit(' ').next().unwrap_or_default();
                counted.seen = number.parse().with_context(|| format!("no number of packets in {line:?}"))?;
                has_packets = true;
            } else if let Some(classes) = line.strip_prefix("by class: ") {
                let counts =
                    classes.split(", ").filter_map(|class| class.rsplit(' ').next()?.parse::<u64>().ok());
                counted.by_class = counts.sum();
            } else if let Some((_, rest)) = line.rsplit_once("unaccounted for: ") {
                counted.unaccounted = rest.parse().with_context(|| format!("no number in {line:?}"))?;
                counted.line = line.to_owned();
                has_rest = true;
            }
        }
        if !has_packets || !has_rest {
            bail!("netwatch told no summary:\n{said}");
        }
        Ok(counted)
    }

    /// Whether every packet that it has seen is in a class, and under a source and a target or among the losses.
    pub const fn is_whole(&self) -> bool {
        self.seen == self.by_class && self.unaccounted == 0
    }
}
