//! The programs that read the same packets.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::capture::{Capture, Captures};
use crate::process::{self, Used};
use crate::support::python::Python;

/// One of netwatch's engines, and how many packets a second it is meant to read on one CPU.
pub struct Target {
    pub engine: &'static str,
    pub packets_per_second: f64,
}

/// What others are compared with.
pub const TCPDUMP: &str = "tcpdump";

const HOST: Target = Target { engine: "host", packets_per_second: 3e6 };
const KERNEL: Target = Target { engine: "kernel", packets_per_second: 0.5e6 };

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Short conversations, lookups, scans and floods.
    Busy,
    /// Long conversations.
    Bulk,
}

impl Traffic {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Bulk => "bulk",
        }
    }
}

/// One program, and what was measured of it.
pub struct Contender {
    pub name: &'static str,
    pub traffic: Traffic,
    /// What it is meant to reach, if it is netwatch.
    pub target: Option<Target>,
    /// What it reads.
    pub capture: Capture,
    single: Capture,
    /// How to start it, or why that cannot be.
    command: Result<Box<ToCommand>, String>,
    runs: Vec<Used>,
    starts: Vec<Duration>,
}

/// The Scapy loop over a capture.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/replay/baseline.py");

type ToCommand = dyn Fn(&Path) -> Command;

/// All programs; those that are not there know why.
pub fn all(netwatch: &Path, captures: &Captures) -> Vec<Contender> {
    let contender = |name, traffic, target, capture: &Capture, command| Contender {
        name,
        traffic,
        target,
        capture: capture.clone(),
        single: captures.single.clone(),
        command,
        runs: Vec::new(),
        starts: Vec::new(),
    };
    let mut contenders = Vec::new();
    for (traffic, capture) in [(Traffic::Busy, &captures.busy), (Traffic::Bulk, &captures.bulk)] {
        for (name, target) in [("netwatch, host engine", HOST), ("netwatch, kernel engine", KERNEL)] {
            let command = engine(netwatch, target.engine, capture);
            contenders.push(contender(name, traffic, Some(target), capture, command));
        }
        contenders.push(contender(TCPDUMP, traffic, None, capture, tcpdump()));
    }
    let scapy = Python::with_scapy().map(|python| {
        boxed(move |capture| {
            let mut command = python.script(|program| Command::new(program), SCRIPT);
            command.arg(capture);
            command
        })
    });
    contenders.push(contender("Scapy loop", Traffic::Busy, None, &captures.short, scapy));
    contenders
}

impl Contender {
    /// Reads one packet, then all of them, and notes what that took if it counts. Who fails has no further turn.
    pub fn take_turn(&mut self, counts: bool) {
        let Ok(command) = &self.command else { return };
        let both = process::run(&mut command(&self.single.path))
            .and_then(|start| Ok((start, process::run(&mut command(&self.capture.path))?)));
        match both {
            Ok((start, run)) if counts => {
                self.starts.push(start.wall);
                self.runs.push(run);
            }
            Ok(_) => {}
            Err(error) => self.command = Err(format!("{error:#}")),
        }
    }

    pub fn is_measured(&self) -> bool {
        self.result().is_ok()
    }

    /// What the rounds have shown, or why they have not.
    pub fn result(&self) -> Result<Outcome, &str> {
        self.command.as_ref().map_err(String::as_str)?;
        let median_of = |value: fn(&Used) -> Duration| median(self.runs.iter().map(value).collect());
        Ok(Outcome {
            packets: self.capture.packets,
            wall: median_of(|run| run.wall),
            cpu: median_of(|run| run.cpu),
            start: median(self.starts.clone()),
            rss_bytes: self.runs.iter().map(|run| run.rss_bytes).max().unwrap_or(0),
        })
    }
}

/// Medians, and the largest memory.
pub struct Outcome {
    packets: u64,
    wall: Duration,
    cpu: Duration,
    /// Of the whole process, for one packet.
    pub start: Duration,
    pub rss_bytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "rates, for people")]
impl Outcome {
    pub fn packets_per_second(&self) -> f64 {
        self.packets as f64 / self.wall.as_secs_f64()
    }

    pub fn ns_per_packet(&self) -> f64 {
        self.wall.as_secs_f64() * 1e9 / self.packets as f64
    }

    pub fn cpu_ns_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / self.packets as f64
    }
}

/// netwatch with this engine, after it has shown that it counts every packet.
fn engine(netwatch: &Path, engine: &'static str, capture: &Capture) -> Result<Box<ToCommand>, String> {
    let replay = |netwatch: &Path, more: &[&str], capture: &Path| {
        let mut command = Command::new(netwatch);
        command.args(["replay", "--engine", engine, "--log", "off"]).args(more).arg(capture);
        command
    };
    let mut summary = replay(netwatch, &["--summary", "--format", "json"], &capture.path);
    check(&mut summary, capture.packets).map_err(|error| format!("{error:#}"))?;
    let netwatch = netwatch.to_owned();
    Ok(boxed(move |capture| replay(&netwatch, &[], capture)))
}

fn check(command: &mut Command, packets: u64) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("does not start")?;
    ensure!(output.status.success(), "ended with {}", output.status);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).context("no summary in JSON")?;
    let counted = summary["packets"].as_u64().context("a summary without `packets`")?;
    ensure!(counted == packets, "counted {counted} of {packets} packets");
    Ok(())
}

fn tcpdump() -> Result<Box<ToCommand>, String> {
    let asked = Command::new("tcpdump").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        return Err("not installed: `apt install tcpdump`".to_owned());
    }
    Ok(boxed(|capture| {
        let mut command = Command::new("tcpdump");
        // It says on stderr what it reads.
        command.args(["-nn", "-r"]).arg(capture).args(["-w", "/dev/null"]).stderr(Stdio::null());
        command
    }))
}

fn boxed(command: impl Fn(&Path) -> Command + 'static) -> Box<ToCommand> {
    Box::new(command)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
