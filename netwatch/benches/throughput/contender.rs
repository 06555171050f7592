//! Who watches: programs in the kernel alone, netwatch, and others where they are installed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::Ebpf;
use aya::maps::Map;
use aya::programs::{Xdp, XdpMode};
use netwatch::kernel::{host, object};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xtask::lab::Lab;

use crate::support::generator::{Generator, Sent};
use crate::support::live::Live;
use crate::support::process::{self, Sample};
use crate::support::python::Python;
use crate::support::traffic::Traffic;
use crate::support::{batch, table};

/// The Scapy loop on an interface.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/throughput/baseline.py");
/// How long a watcher has after the last packet to deal with what lies in its queues.
const CATCH_UP: Duration = Duration::from_millis(500);
/// How long another watcher has to get ready: it does not say when it is.
const SETTLE: Duration = Duration::from_secs(10);

/// Who watches.
pub enum Contender {
    /// One of the reference programs, and nothing in userspace.
    Program(&'static str),
    /// netwatch as a user runs it.
    Netwatch(PathBuf),
    /// A packet of everything, to nowhere.
    Tcpdump,
    /// A detector that looks at every packet in Python.
    Scapy(Python),
    /// What somebody wants to see beside them.
    Other(Watcher),
}

/// Another watcher: how it is called, and how it is started.
#[derive(Clone, Debug)]
pub struct Watcher {
    name: String,
    /// Program and arguments, in which `{interface}` stands for the interface.
    words: Vec<String>,
}

impl FromStr for Watcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("it is NAME=COMMAND")?;
        let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            Err("it has no command".to_owned())
        } else {
            Ok(Self { name: name.to_owned(), words })
        }
    }
}

/// What one round has shown.
pub struct Round {
    pub sent: Sent,
    /// Packets that the interface has received.
    pub arrived: u64,
    /// Those that the watcher says it has seen; where there is none that counts, nothing.
    pub seen: Option<u64>,
    /// Whether the watcher accounts for all that it has seen, where it can.
    pub is_whole: bool,
    /// Its processor time while there were packets, and its memory after them, where there is a process.
    pub process: Option<(Duration, Sample)>,
}

impl Round {
    /// Seconds of the watcher's own processor time for a million packets that it has seen, or that have arrived where it does
    /// not say.
    pub fn cpu_per_million(&self) -> Option<f64> {
        let (cpu, _) = self.process?;
        Some(cpu.as_secs_f64() * 1e6 / table::float(self.seen.unwrap_or(self.arrived).max(1)))
    }

    /// Of what has arrived, what was seen.
    pub fn share(&self) -> Option<f64> {
        Some(table::float(self.seen?) / table::float(self.arrived.max(1)))
    }
}

/// Those that are here, and what is missing of the others.
pub fn all(netwatch: PathBuf, others: &[Watcher]) -> (Vec<Contender>, Vec<(&'static str, String)>) {
    let programs = ["reference_pass", "reference_parse", "reference_count"];
    let mut here: Vec<_> = programs.map(Contender::Program).into();
    here.push(Contender::Netwatch(netwatch));
    let mut missing = Vec::new();
    let asked = Command::new("tcpdump").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if asked.is_ok_and(|status| status.success()) {
        here.push(Contender::Tcpdump);
    } else {
        missing.push(("tcpdump", "not installed: `apt install tcpdump`".to_owned()));
    }
    match Python::with_scapy() {
        Ok(python) => here.push(Contender::Scapy(python)),
        Err(reason) => missing.push(("Scapy loop", reason)),
    }
    here.extend(others.iter().cloned().map(Contender::Other));
    (here, missing)
}

impl Contender {
    pub fn name(&self) -> &str {
        match self {
            Self::Program(name) => name,
            Self::Netwatch(_) => "netwatch",
            Self::Tcpdump => "tcpdump -w /dev/null",
            Self::Scapy(_) => "Scapy loop",
            Self::Other(watcher) => &watcher.name,
        }
    }

    /// Watches while packets come for so long, in a laboratory of its own.
    pub fn watch(&self, traffic: &[Traffic], pace: Option<u32>, time: Duration) -> anyhow::Result<Round> {
        let lab = Lab::new()?;
        let mut generator = Generator::load()?;
        generator.set(traffic)?;
        let mut send = || {
            let before = lab.watched().counters()?;
            let sent = generator.send(&lab, pace, |sent| sent.wall < time)?;
            thread::sleep(CATCH_UP);
            anyhow::Ok((sent, lab.watched().counters()?.rx_packets - before.rx_packets))
        };
        let interface = lab.watched().interface();
        match self {
            Self::Program(name) => {
                let mut attached = attach(&lab, name)?;
                let (sent, arrived) = send()?;
                let seen = if *name == "reference_count" { Some(counted(&mut attached)?) } else { None };
                Ok(Round { sent, arrived, seen, is_whole: true, process: None })
            }
            Self::Netwatch(netwatch) => {
                let live = Live::start(&lab, netwatch, &[])?;
                let before = process::sample(live.id())?;
                let (sent, arrived) = send()?;
                let after = process::sample(live.id())?;
                let counted = live.stop()?.counted;
                let cpu = after.cpu.saturating_sub(before.cpu);
                let (seen, is_whole) = (Some(counted.seen), counted.is_whole());
                Ok(Round { sent, arrived, seen, is_whole, process: Some((cpu, after)) })
            }
            Self::Tcpdump => {
                let mut command = lab.watched().command("tcpdump");
                command.args(["-nn", "-i", interface, "-w", "/dev/null"]);
                sniff(&lab, &mut command, send)
            }
            Self::Scapy(python) => {
                let mut command = python.script(|program| lab.watched().command(program), SCRIPT);
                sniff(&lab, command.arg(interface), send)
            }
            Self::Other(watcher) => {
                let mut words = watcher.words.iter().map(|word| word.replace("{interface}", interface));
                let mut command = lab.watched().command(words.next().context("no command")?);
                let _passes = attach(&lab, "reference_pass")?;
                let mut child = command
                    .args(words)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .context("does not start")?;
                thread::sleep(SETTLE);
                let result = watched(&child, send);
                kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
                child.wait()?;
                let (sent, arrived, cpu, after) = result?;
                Ok(Round { sent, arrived, seen: None, is_whole: true, process: Some((cpu, after)) })
            }
        }
    }
}

/// Lets a sniffer watch: it says that it listens, and when it is interrupted how many packets it has captured.
fn sniff(
    lab: &Lab,
    command: &mut Command,
    send: impl FnOnce() -> anyhow::Result<(Sent, u64)>,
) -> anyhow::Result<Round> {
    // Frames that the kernel lets a program send are taken by native XDP alone.
    let _passes = attach(lab, "reference_pass")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("does not start")?;
    let started = Instant::now();
    let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
    let (mut line, mut said) = (String::new(), String::new());
    while !line.contains("listening on") {
        line.clear();
        ensure!(stderr.read_line(&mut line)? > 0, "it ended early:\n{said}");
        said.push_str(&line);
    }
    let result = watched(&child, send);
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest)?;
    process::wait(&child, started)?;
    let (sent, arrived, cpu, after) = result?;
    let captured = rest.lines().find_map(|line| line.trim().split_once(" packets captured")?.0.parse().ok());
    let seen = Some(captured.with_context(|| format!("it does not say what it has captured:\n{rest}"))?);
    Ok(Round { sent, arrived, seen, is_whole: true, process: Some((cpu, after)) })
}

fn watched(
    child: &Child,
    send: impl FnOnce() -> anyhow::Result<(Sent, u64)>,
) -> anyhow::Result<(Sent, u64, Duration, Sample)> {
    let before = process::sample(child.id())?;
    let (sent, arrived) = send()?;
    let after = process::sample(child.id())?;
    Ok((sent, arrived, after.cpu.saturating_sub(before.cpu), after))
}

/// Attaches one of the reference programs to the watched side, for as long as the value lives.
fn attach(lab: &Lab, name: &str) -> anyhow::Result<Ebpf> {
    let mut object = Ebpf::load(object::reference().context("built without the reference programs")?)?;
    let program: &mut Xdp = object.program_mut(name).context("no such program")?.try_into()?;
    program.load()?;
    lab.watched().run(|| program.attach(lab.watched().interface(), XdpMode::Driver))??;
    Ok(object)
}

/// The packets in the reference's map of sources.
fn counted(object: &mut Ebpf) -> anyhow::Result<u64> {
    let Some(Map::PerCpuHashMap(map)) = object.take_map("SOURCES") else { return Ok(0) };
    let mut packets = 0;
    batch::drain(map.fd().as_fd(), 16, 2 * host::possible_cpus(), |counts| {
        // Of each CPU packets and bytes.
        packets += counts.iter().step_by(2).sum::<u64>();
    })?;
    Ok(packets)
}
