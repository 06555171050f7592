//! One run: netwatch in a laboratory, what the generator gives, and what was seen of both meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use xtask::lab::{Lab, LabOptions};
use xtask::traffic::mixture::Mixture;

use super::clients::{Clients, Served};
use super::generator::{Generator, Sent};
use super::live::{Ended, Live};
use super::process::{self, Sample};
use super::scanner::{self, Scan};
use super::traffic::Traffic;

/// Time between two looks at the process.
const LOOK: Duration = Duration::from_millis(250);

/// What is to happen.
pub struct Plan<'a> {
    /// The binary.
    pub netwatch: &'a Path,
    /// What it is given besides the interface.
    pub arguments: &'a [&'a str],
    /// What is sent.
    pub load: Load<'a>,
    /// How long all of it takes.
    pub time: Duration,
    /// Whether there is a slow scan meanwhile.
    pub scans: bool,
    /// Whether netwatch is looked at meanwhile, by streams and questions.
    pub serves: bool,
}

/// What is sent.
#[derive(Clone, Copy)]
pub enum Load<'a> {
    /// Nothing.
    Idle,
    /// Short conversations, lookups, scans and floods, from userspace: so many packets a second.
    Mixture(u32),
    /// What the generator makes, one phase after the other for as long each, at so many packets a second or flat out.
    Generated {
        /// The phases.
        phases: &'a [Phase],
        /// Packets a second.
        pace: Option<u32>,
    },
}

/// What is sent for a while.
#[derive(Clone)]
pub struct Phase {
    /// For tables.
    pub name: &'static str,
    /// Both versions in turns, or one.
    pub traffic: Vec<Traffic>,
}

/// What has happened.
pub struct Outcome {
    /// What netwatch said at its start.
    pub announced: String,
    /// Of all phases.
    pub sent: Sent,
    /// What was sent, by phase, in parts of some seconds.
    pub segments: Vec<(&'static str, Sent)>,
    /// Packets that the interface has received since netwatch watched: what the sender's queue dropped is not among them.
    pub arrived: u64,
    /// The process over time, in seconds since it watched.
    pub samples: Vec<(f64, Sample)>,
    /// The slow scan.
    pub scan: Option<Scan>,
    /// Who looked at netwatch.
    pub served: Option<Served>,
    /// netwatch when it had ended.
    pub ended: Ended,
}

impl Outcome {
    /// Packets sent that never arrived, because the receiver's queue was full.
    pub fn dropped(&self) -> u64 {
        let scanned = self.scan.map_or(0, |scan| scan.ports);
        (self.sent.packets + scanned).saturating_sub(self.arrived)
    }

    /// Whether netwatch has seen every packet that has arrived, and accounts for each.
    pub const fn is_whole(&self) -> bool {
        self.ended.counted.seen == self.arrived && self.ended.counted.is_whole()
    }

    /// The process after so much of the time, of 1.
    pub fn sample_at(&self, part: f64) -> Sample {
        let end = self.samples.last().map_or(0.0, |(at, _)| *at);
        let before = self.samples.iter().take_while(|(at, _)| *at <= end * part + 1e-9);
        before.last().or(self.samples.first()).map(|(_, sample)| *sample).unwrap_or_default()
    }

    /// The most memory of its own that it had at any look, in bytes.
    pub fn peak_anon(&self) -> u64 {
        self.samples.iter().map(|(_, sample)| sample.anon_bytes).max().unwrap_or(0)
    }

    /// Whether any alert says that counting was lossy.
    pub fn is_degraded(&self) -> bool {
        self.ended.alerts.iter().any(|alert| alert.is_degraded() || alert.rule() == "netwatch.degraded")
    }

    /// Its processor time between the first look and the last, per million packets that have arrived, in seconds.
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu().as_secs_f64() * 1e6 / super::table::float(self.arrived.max(1))
    }

    /// Seconds between the first look and the last.
    pub fn seconds(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => 0.0,
        }
    }

    /// Its processor time between the first look and the last, as a part of one CPU.
    pub fn cpu_share(&self) -> f64 {
        self.cpu().as_secs_f64() / self.seconds().max(1e-9)
    }

    /// How often its threads were woken in a second.
    pub fn wakeups(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some((_, first)), Some((_, last))) => {
                super::table::float(last.sleeps.saturating_sub(first.sleeps)) / self.seconds().max(1e-9)
            }
            _ => 0.0,
        }
    }

    /// Its processor time between the first look and the last.
    pub fn cpu(&self) -> Duration {
        match (self.samples.first(), self.samples.last()) {
            (Some((_, first)), Some((_, last))) => last.cpu.saturating_sub(first.cpu),
            _ => Duration::ZERO,
        }
    }
}

/// Runs a plan in a laboratory of its own. Must be called by a thread that goes on living.
///
/// # Errors
/// Something cannot be started, or netwatch ends badly.
pub fn run(plan: &Plan<'_>, segment: Duration) -> anyhow::Result<Outcome> {
    // The mixture has tagged frames that are as long as can be.
    let mtu = if matches!(plan.load, Load::Mixture(_)) { 2000 } else { 1500 };
    let lab = Lab::with(LabOptions { mtu, ..LabOptions::default() })?;
    let mut generator = Generator::load()?;
    let live = Live::start(&lab, plan.netwatch, plan.arguments)?;
    let clients = plan.serves.then(|| Clients::start(&lab)).transpose()?;
    let before = lab.watched().counters()?;
    let (stop, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut samples = Vec::new();
    let (sending, scan) = thread::scope(|scope| {
        let scan = plan.scans.then(|| scope.spawn(|| scanner::scan(&lab, &stop)));
        let sending = scope.spawn(|| {
            let sent = send(&mut generator, &lab, plan, segment);
            done.store(true, Ordering::Relaxed);
            sent
        });
        let looked = look(&live, &done, &mut samples);
        let sent = sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        stop.store(true, Ordering::Relaxed);
        let scan = scan.map(|scan| scan.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        looked?;
        anyhow::Ok((sent?, scan.transpose()?))
    })?;
    let served = clients.map(Clients::finish).transpose()?;
    // What lies in the queue is dealt with at once, and a look at the counters may come earlier still.
    thread::sleep(Duration::from_millis(200));
    let arrived = lab.watched().counters()?.rx_packets - before.rx_packets;
    let announced = live.announced.clone();
    let ended = live.stop().context("after the traffic")?;
    let mut sent = Sent::default();
    sending.iter().for_each(|(_, part)| sent.add(part));
    Ok(Outcome { announced, sent, segments: sending, arrived, samples, scan, served, ended })
}

/// Sends what is to be sent, in parts.
fn send(
    generator: &mut Generator,
    lab: &Lab,
    plan: &Plan<'_>,
    segment: Duration,
) -> anyhow::Result<Vec<(&'static str, Sent)>> {
    let (phases, pace) = match plan.load {
        Load::Idle => {
            thread::sleep(plan.time);
            return Ok(Vec::new());
        }
        Load::Mixture(pace) => return Ok(vec![("mixture", mixture(lab, pace, plan.time)?)]),
        Load::Generated { phases, pace } => (phases, pace),
    };
    let mut segments = Vec::new();
    for phase in phases {
        let time = plan.time / u32::try_from(phases.len())?;
        generator.set(&phase.traffic)?;
        let mut before = Sent::default();
        let all = generator.send(lab, pace, |sent| {
            if sent.wall - before.wall >= segment {
                segments.push((phase.name, sent.since(&before)));
                before = *sent;
            }
            sent.wall < time
        })?;
        if all.packets > before.packets {
            segments.push((phase.name, all.since(&before)));
        }
    }
    Ok(segments)
}

/// Sends a busy network's packets, as userspace can.
fn mixture(lab: &Lab, pace: u32, time: Duration) -> anyhow::Result<Sent> {
    let sender = lab.outside().sender()?;
    let start = Instant::now();
    let frames = Mixture::new(1, pace).map(|(_, frame)| frame).take_while(|_| start.elapsed() < time);
    let packets = sender.send_all(frames, Some(pace))?.accepted;
    Ok(Sent { packets, wall: start.elapsed(), ..Sent::default() })
}

/// Looks at the process until all is sent.
fn look(live: &Live, done: &AtomicBool, samples: &mut Vec<(f64, Sample)>) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        samples.push((start.elapsed().as_secs_f64(), process::sample(live.id())?));
        if done.load(Ordering::Relaxed) {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
}
