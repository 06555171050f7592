//! `cargo xtask bench latency`: how long it takes from the packet that makes traffic an attack to the line that tells
//! of it.
//!
//! netwatch runs as a user runs it, in a laboratory of network namespaces. Scans of eleven ports and floods of 101
//! packets take turns, each from a source of its own. The clock of an attack starts just before its last packet is
//! sent, which is the one that crosses the threshold, and stops when its line has been read from netwatch's stdout.
//! Attacks come at random moments, so that ends of slots are met as well. Three loads: nothing besides; packets of a
//! connection; the same while 200 clients have a stream of alerts open and 1,000 questions a second are asked.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs, iter, process, thread};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xtask::lab::Lab;
use xtask::traffic::frame::OUTSIDE_MAC;
use xtask::traffic::{Frame, Sender, scenario};

use clients::{Clients, Served};

#[path = "support/clients.rs"]
mod clients;

/// Attacks for each load, half of them scans.
const ATTACKS: usize = 200;
/// Packets a second that nobody should be told of, under load.
const BACKGROUND: u32 = 100_000;
/// The shortest pause between two attacks, and the range above it: at most about eight floods begin in a slot. Where
/// there are more than sixteen, netwatch waits for the end of the slot, to see whether they are one of many sources.
const PAUSE_MS: (u64, u64) = (250, 100);
/// How long after the last attack a line may come before its attack counts as missed: more than two slots.
const PATIENCE: Duration = Duration::from_secs(12);
/// The link-layer address of nobody: what goes there is counted, and no stack answers it.
const NOBODY: [u8; 6] = [0, 0, 0x5e, 0, 0x53, 0xff];
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

fn main() -> ExitCode {
    match run(env::args().any(|argument| argument == "--json")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(json: bool) -> anyhow::Result<()> {
    let file = Configuration::new()?;
    let loads = [
        measure("idle", None, false, &file)?,
        measure("busy", Some(BACKGROUND), false, &file)?,
        measure("served", Some(BACKGROUND), true, &file)?,
    ];
    if json {
        print_json(&loads);
    } else {
        print(&loads);
    }
    Ok(())
}

/// How an attack becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scan,
    Flood,
}

impl Kind {
    /// The frames of an attack, the last of which crosses the threshold. No two attacks share a port.
    fn frames(self, source: Ipv4Addr, number: u16) -> Vec<Vec<u8>> {
        let (from, to) = (source.into(), TARGET.into());
        match self {
            Self::Scan => {
                let first = 1 + number * 11;
                scenario::syn_scan(from, to, first..first + 11).collect()
            }
            Self::Flood => scenario::udp_flood(from, to, 20_000 + number, 101).collect(),
        }
    }
}

/// An attack, and how long it took until it was told of.
struct Attack {
    kind: Kind,
    source: Ipv4Addr,
    crossed: Instant,
    took: Option<Duration>,
}

/// What was measured under one load.
struct Load {
    name: &'static str,
    attacks: Vec<Attack>,
    background: Background,
    served: Option<Served>,
}

/// What was sent beside the attacks.
#[derive(Clone, Copy, Default)]
struct Background {
    packets: u64,
    seconds: f64,
}

impl Background {
    #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
    fn a_second(self) -> f64 {
        if self.packets == 0 { 0.0 } else { self.packets as f64 / self.seconds }
    }
}

fn measure(
    name: &'static str,
    pace: Option<u32>,
    serves: bool,
    file: &Configuration,
) -> anyhow::Result<Load> {
    let lab = Lab::new()?;
    let mut watcher = Watcher::start(&lab, file)?;
    let clients = serves.then(|| Clients::start(&lab)).transpose()?;
    let (stop, sender) = (AtomicBool::new(false), lab.outside().sender()?);
    let (mut attacks, background) = thread::scope(|scope| {
        let background =
            scope.spawn(|| pace.map_or(Ok(Background::default()), |pace| known(&lab, pace, &stop)));
        // The first packets fill caches, and nobody waits for an answer to them.
        thread::sleep(Duration::from_millis(500));
        let attacks = attack(&sender);
        let told = attacks.map(|attacks| watcher.listen(attacks));
        stop.store(true, Ordering::Relaxed);
        let background = background.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        anyhow::Ok((told?, background?))
    })?;
    attacks.sort_by_key(|attack| attack.took);
    let served = clients.map(Clients::finish).transpose()?;
    watcher.stop()?;
    Ok(Load { name, attacks, background, served })
}

/// Sends all attacks, in turns and with pauses in between.
fn attack(sender: &Sender) -> anyhow::Result<Vec<Attack>> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut attacks = Vec::with_capacity(ATTACKS);
    for (number, kind) in (0_u16..).zip([Kind::Scan, Kind::Flood].into_iter().cycle().take(ATTACKS)) {
        let [high, low] = number.to_be_bytes();
        let source = Ipv4Addr::new(198, 18, high, low);
        let frames = kind.frames(source, number);
        let (last, before) = frames.split_last().context("an attack has packets")?;
        sender.send_all(before, None)?;
        let crossed = Instant::now();
        sender.send(last)?;
        attacks.push(Attack { kind, source, crossed, took: None });
        // A 64-bit xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(
            Duration::from_millis(PAUSE_MS.0) + Duration::from_micros(random % (PAUSE_MS.1 * 1000)),
        );
    }
    Ok(attacks)
}

/// Sends packets of a flow that the watched side has asked for, until told to stop.
fn known(lab: &Lab, pace: u32, stop: &AtomicBool) -> anyhow::Result<Background> {
    let near = lab.watched().run(|| UdpSocket::bind((TARGET, 6000)))??;
    near.send_to(b"question", (OUTSIDE, 5000))?;
    let answer = Frame::ipv4(OUTSIDE, TARGET).macs(OUTSIDE_MAC, NOBODY).udp(5000, 6000, &[7; 64]).build();
    let sender = lab.outside().sender()?;
    let start = Instant::now();
    let answers = iter::repeat(&answer).take_while(|_| !stop.load(Ordering::Relaxed));
    let sent = sender.send_all(answers, Some(pace))?;
    Ok(Background { packets: sent.accepted, seconds: start.elapsed().as_secs_f64() })
}

/// netwatch, and the lines that it has told.
struct Watcher {
    child: Child,
    told: Receiver<(Ipv4Addr, Instant)>,
    /// What it says after its start.
    said: Option<JoinHandle<Vec<String>>>,
}

impl Watcher {
    fn start(lab: &Lab, file: &Configuration) -> anyhow::Result<Self> {
        let mut child = lab
            .watched()
            .command(env!("CARGO_BIN_EXE_netwatch"))
            .args(["run", "--format", "json", "-i", lab.watched().interface(), "-c"])
            .arg(&file.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("netwatch does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let (sender, told) = channel();
        thread::spawn(move || {
            while let Some(Ok(line)) = lines.next() {
                let read = Instant::now();
                if let Some(source) = opened(&line)
                    && sender.send((source, read)).is_err()
                {
                    break;
                }
            }
        });
        let mut said = BufReader::new(child.stderr.take().context("a pipe")?);
        let (mut all, mut line) = (String::new(), String::new());
        while !line.contains("watching ") {
            line.clear();
            ensure!(said.read_line(&mut line)? > 0, "netwatch ended early:\n{all}");
            all.push_str(&line);
        }
        let said = thread::spawn(move || said.lines().map_while(Result::ok).collect());
        Ok(Self { child, told, said: Some(said) })
    }

    /// Notes when each of the attacks was first told of, and waits for those that were not yet.
    fn listen(&self, mut attacks: Vec<Attack>) -> Vec<Attack> {
        let deadline = Instant::now() + PATIENCE;
        let mut waiting: HashMap<_, _> =
            attacks.iter_mut().map(|attack| (attack.source, (attack.crossed, &mut attack.took))).collect();
        while !waiting.is_empty() {
            let patience = deadline.saturating_duration_since(Instant::now());
            let Ok((source, read)) = self.told.recv_timeout(patience) else { break };
            if let Some((crossed, took)) = waiting.remove(&source) {
                *took = Some(read.duration_since(crossed));
            }
        }
        attacks
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("netwatch ended with {status}");
        }
        let said = self.said.take().map(JoinHandle::join).transpose();
        let said = said.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap_or_default();
        // Not one packet may be uncounted, whoever looks.
        let is_whole = said.iter().any(|line| line.ends_with("unaccounted for: 0"));
        ensure!(is_whole, "packets are not accounted for: {said:#?}");
        Ok(())
    }
}

/// The source of an incident that a line opens.
fn opened(line: &str) -> Option<Ipv4Addr> {
    let alert: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_open = alert["alert"]["context"]["state"] == "open";
    alert["src_ip"].as_str().filter(|_| is_open)?.parse().ok()
}

/// A configuration file that goes with this value: the defaults, and no limit to how often one is told.
struct Configuration(PathBuf);

impl Configuration {
    fn new() -> anyhow::Result<Self> {
        let path = env::temp_dir().join(format!("netwatch-latency-{}.toml", process::id()));
        let file = Self(path);
        let mut refusal = Vec::new();
        // A netwatch that knows no such limit has none.
        for text in ["notifications_per_minute = 100000\n", ""] {
            fs::write(&file.0, text)?;
            let netwatch = env!("CARGO_BIN_EXE_netwatch");
            let check = process::Command::new(netwatch).args(["config", "check"]).arg(&file.0).output()?;
            if check.status.success() {
                return Ok(file);
            }
            refusal = check.stderr;
        }
        bail!("{}", String::from_utf8_lossy(&refusal))
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What is printed of some attacks.
struct Row {
    /// Milliseconds at the 50th, 90th and 99th percentile, and of the slowest.
    ms: Option<[f64; 4]>,
    attacks: usize,
    missed: usize,
}

impl Load {
    /// Of one kind of attack, or of all of them.
    fn row(&self, kind: Option<Kind>) -> Row {
        let mine = || self.attacks.iter().filter(|attack| kind.is_none_or(|kind| attack.kind == kind));
        // Sorted already, and so are those of one kind.
        let took: Vec<_> = mine().filter_map(|attack| attack.took).collect();
        let ms = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100).max(1);
            took[rank - 1].as_secs_f64() * 1000.0
        };
        let attacks = mine().count();
        let ms = (!took.is_empty()).then(|| [50, 90, 99, 100].map(ms));
        Row { ms, attacks, missed: attacks - took.len() }
    }
}

const ROWS: [(&str, Option<Kind>); 3] =
    [("all", None), ("scan", Some(Kind::Scan)), ("flood", Some(Kind::Flood))];

fn print(loads: &[Load]) {
    println!(
        "{:<6} {:<6} {:>8} {:>9} {:>9} {:>9} {:>9} {:>7} {:>14}",
        "load", "attack", "attacks", "p50 ms", "p90 ms", "p99 ms", "max ms", "missed", "background/s"
    );
    for load in loads {
        for (name, kind) in ROWS {
            let Row { ms, attacks, missed } = load.row(kind);
            let [p50, p90, p99, max] =
                ms.map_or(["-"; 4].map(str::to_owned), |ms| ms.map(|ms| format!("{ms:.2}")));
            let background = load.background.a_second();
            println!(
                "{:<6} {name:<6} {attacks:>8} {p50:>9} {p90:>9} {p99:>9} {max:>9} {missed:>7} {background:>14.0}",
                load.name
            );
        }
    }
    println!();
    println!(
        "from just before the packet that crosses the threshold is sent (the 11th port of a SYN scan, the 101st packet \
         of a UDP flood) to the end of reading the line that opens its incident. Missed: not told of within {} s.",
        PATIENCE.as_secs()
    );
    for served in loads.iter().filter_map(|load| load.served) {
        println!("served meanwhile: {served}");
    }
}

fn print_json(loads: &[Load]) {
    let rows: Vec<_> = loads
        .iter()
        .flat_map(|load| ROWS.map(|(name, kind)| (load, name, load.row(kind))))
        .map(|(load, name, Row { ms, attacks, missed })| {
            let ms = ms.map(
                |[p50, p90, p99, max]| serde_json::json!({ "p50": p50, "p90": p90, "p99": p99, "max": max }),
            );
            serde_json::json!({
                "load": load.name,
                "attack": name,
                "attacks": attacks,
                "missed": missed,
                "ms": ms,
                "background_per_second": load.background.a_second().round(),
                "served": load.served.map(Served::json),
            })
        })
        .collect();
    println!("{}", serde_json::json!({ "benchmark": "latency", "rows": rows }));
}
