//! The same program on several CPUs at once: what they have in common shows as packets that take longer than on one.
//!
//! One netwatch is loaded, and all CPUs count in its maps. Beside it are programs that share less, and one that shares
//! all: a hash map that every CPU adds to.

use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use netwatch::kernel::{Options, Watch, limits};
use xtask::traffic::Frame;
use xtask::traffic::transport::{ACK, SYN};

use crate::support::drained;
use crate::support::process;
use crate::support::scatter::Scatter;
use crate::support::table::{float, median};
use crate::support::traffic::{Kind, SOURCE, TARGET, Traffic};

mod print;

/// How long all CPUs are kept busy for one figure.
const TIME: Duration = Duration::from_millis(100);
/// How long one system call is to take, in nanoseconds: after each, a CPU sees whether its time is over.
const CALL: f64 = 20e6;
/// Packets that come first, on all CPUs too, so that entries are there, memory was touched, and it is known how many packets
/// a call has time for. Before it runs a program that does not run elsewhere, the kernel takes some ten milliseconds to put
/// it in place, and these take them.
const FIRST: u32 = 1 << 17;
/// How often that is tried, and what part of the time every CPU must have been busy with it: while one does other work, it
/// does not disturb the others.
const TRIES: (u32, f64) = (6, 0.9);
/// `XDP_PASS`.
const PASS: u32 = 2;
/// Entries of the maps of `reference_count`.
const ENTRIES: u32 = 1 << 16;
/// The program that does nothing, of which the time is taken off.
const FLOOR: &str = "reference_pass";
/// The programs of the reference object, in the order of the table.
const REFERENCES: [&str; 3] = [FLOOR, "reference_count", "reference_shared"];

/// What was measured.
pub struct Cores {
    rounds: u32,
    /// On how many CPUs at once.
    counts: Vec<usize>,
    rows: Vec<Row>,
    /// What part of the time all CPUs were busy with it when there were several: in the worst and in the middle one of all
    /// runs.
    busy: [f64; 2],
}

/// A program in a scene.
struct Row {
    scene: &'static str,
    program: &'static str,
    /// Nanoseconds per packet, for each number of CPUs.
    ns: Vec<f64>,
    /// The same without what it takes to run a program that does nothing, which has nothing taken off itself.
    net: Vec<f64>,
}

impl Row {
    /// In terms of one CPU.
    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.net.iter().map(|net| net / self.net[0])
    }
}

/// Packets of each CPU.
struct Scene {
    name: &'static str,
    packets: Packets,
    /// How netwatch tells replies: by flows that packets in both directions have made known, or by flags.
    is_mirror: bool,
}

enum Packets {
    /// Frames that come first, one after the other on one CPU, and for each CPU the one that it sees over and over.
    Frames { before: Vec<Vec<u8>>, over: Vec<Vec<u8>> },
    /// Packets that differ, of the same kind on all.
    Scattered(Traffic),
}

/// Measures on one, two, four and so on of these CPUs, and on all. They must be two at least.
pub fn measure(rounds: u32, cpus: &[usize]) -> anyhow::Result<Cores> {
    let mut scatter = Scatter::load(ENTRIES)?;
    let options = Options::of_this_host(limits::DEFAULT_MAP_MEMORY);
    let mut watches = [Watch::load(&options)?, Watch::load(&options)?];
    watches[1].watch_mirror(0)?;
    let counts = counts(cpus.len());
    let scenes = scenes(cpus.len());
    let programs = REFERENCES.len() + 1;
    let mut times = vec![vec![vec![Vec::new(); counts.len()]; programs]; scenes.len()];
    let mut busy = Vec::new();
    for round in 0..rounds {
        // Each CPU is the only one, or left out, as often as others.
        let mut cpus = cpus.to_vec();
        let first = usize::try_from(round)? % cpus.len();
        cpus.rotate_left(first);
        for (scene, times) in scenes.iter().zip(&mut times) {
            let watch = &mut watches[usize::from(scene.is_mirror)];
            for (program, times) in times.iter_mut().enumerate() {
                let reference = REFERENCES.get(program);
                for (count, times) in counts.iter().zip(times) {
                    let run = best(*count, || match reference {
                        Some(name) => run_reference(&mut scatter, name, scene, &cpus[..*count]),
                        None => run_netwatch(&mut scatter, watch, scene, &cpus[..*count]),
                    });
                    let run = run.with_context(|| format!("{} on {count} CPUs", scene.name))?;
                    times.push(run.ns);
                    if *count > 1 {
                        busy.push(run.busy);
                    }
                }
            }
        }
    }
    let rows = scenes.iter().zip(times).flat_map(|(scene, times)| rows(scene, times)).collect();
    let worst = busy.iter().copied().fold(1.0, f64::min);
    Ok(Cores { rounds, counts, rows, busy: [worst, median(busy)] })
}

/// The first of some runs in which all CPUs were busy, or the one in which they were most. One that is alone may wait.
fn best(cpus: usize, mut run: impl FnMut() -> anyhow::Result<Run>) -> anyhow::Result<Run> {
    let mut best = run()?;
    for _ in 1..TRIES.0 {
        if best.busy >= TRIES.1 || cpus == 1 {
            break;
        }
        let next = run()?;
        if next.busy > best.busy {
            best = next;
        }
    }
    Ok(best)
}

/// Powers of two below the number of CPUs, and that.
fn counts(cpus: usize) -> Vec<usize> {
    let mut counts: Vec<_> =
        (0..usize::BITS).map(|power| 1 << power).take_while(|count| *count < cpus).collect();
    counts.push(cpus);
    counts
}

fn scenes(cpus: usize) -> Vec<Scene> {
    // A client's connection to a server, and the other direction.
    let client = |n: u16| Frame::ipv4(SOURCE, TARGET).tcp(1024 + n, 443, ACK).build();
    let server = |n: u16| Frame::ipv4(TARGET, SOURCE).tcp(443, 1024 + n, ACK).build();
    let opening = |n: u16| {
        let source = Ipv4Addr::from_bits(SOURCE.to_bits() + u32::from(n));
        Frame::ipv4(source, TARGET).tcp(40_000, 80, SYN).build()
    };
    // Of a machine's at most 1,024 CPUs each has a number.
    let each = |frame: &dyn Fn(u16) -> Vec<u8>| (0..1024).take(cpus).map(frame).collect();
    let by_flags = |name, over| {
        let packets = Packets::Frames { before: Vec::new(), over };
        Scene { name, packets, is_mirror: false }
    };
    let mirror =
        |name, before, over| Scene { name, packets: Packets::Frames { before, over }, is_mirror: true };
    let scattered = Packets::Scattered(Traffic::ipv4(Kind::Syn).random_sources(1 << 10));
    vec![
        by_flags("one source", each(&|_| opening(0))),
        by_flags("a source each", each(&opening)),
        Scene { name: "1 k sources", packets: scattered, is_mirror: false },
        mirror("a known flow each", each(&server), each(&client)),
        mirror(
            "one known flow",
            vec![client(0), server(0)],
            each(&|n| if n % 2 == 0 { client(0) } else { server(0) }),
        ),
    ]
}

/// Rows of a scene from what was measured: of each program, for each number of CPUs, in each round.
fn rows(scene: &Scene, times: Vec<Vec<Vec<f64>>>) -> Vec<Row> {
    let netwatch = if scene.is_mirror { "netwatch, mirror" } else { "netwatch" };
    let medians: Vec<Vec<_>> =
        times.into_iter().map(|program| program.into_iter().map(median).collect()).collect();
    let row = |(program, ns): (&'static str, &Vec<f64>)| {
        let floor = |index: usize| if program == FLOOR { 0.0 } else { medians[0][index] };
        let net = ns.iter().enumerate().map(|(index, ns)| ns - floor(index)).collect();
        Row { scene: scene.name, program, ns: ns.clone(), net }
    };
    REFERENCES.into_iter().chain([netwatch]).zip(&medians).map(row).collect()
}

/// Runs a scene on some CPUs at once with one of the reference programs, on empty maps.
fn run_reference(scatter: &mut Scatter, name: &str, scene: &Scene, cpus: &[usize]) -> anyhow::Result<Run> {
    let run = match &scene.packets {
        Packets::Frames { over, .. } => together(scatter.reference(name)?, over, cpus)?,
        Packets::Scattered(traffic) => {
            scatter.hand_to_reference(name)?;
            let frame = scatter.set(traffic)?;
            together(scatter.reference("reference_scatter")?, &vec![frame; cpus.len()], cpus)?
        }
    };
    scatter.empty_in_batches()?;
    scatter.empty_shared()?;
    Ok(run)
}

/// The same with netwatch. Every packet must have been counted under a source.
fn run_netwatch(
    scatter: &mut Scatter,
    watch: &mut Watch,
    scene: &Scene,
    cpus: &[usize],
) -> anyhow::Result<Run> {
    let (run, before) = match &scene.packets {
        Packets::Frames { before, over } => {
            let program = watch.program()?;
            before.iter().try_for_each(|frame| repeat(program, frame, 1).map(drop))?;
            (together(program, over, cpus)?, before.len())
        }
        Packets::Scattered(traffic) => {
            scatter.hand_to(watch.program()?)?;
            let frame = scatter.set(traffic)?;
            (together(scatter.reference("reference_scatter")?, &vec![frame; cpus.len()], cpus)?, 0)
        }
    };
    let (sent, counted) = (run.packets + u64::try_from(before)?, drained::end_slot(watch)?.sourced);
    ensure!(sent == counted, "{sent} packets were sent, and {counted} counted");
    Ok(run)
}

/// What CPUs did at the same time.
struct Run {
    /// Packets of all of them.
    packets: u64,
    /// Mean of what they took for a packet, in nanoseconds.
    ns: f64,
    /// What part of the time they were busy, the one that was least.
    busy: f64,
}

/// Lets CPUs run a program at the same time, each on a frame of its own.
fn together(program: &Xdp, frames: &[Vec<u8>], cpus: &[usize]) -> anyhow::Result<Run> {
    let barrier = Barrier::new(cpus.len());
    let one = |cpu: usize, frame: &[u8]| {
        let ready = process::stay_on(cpu);
        // Also where that failed: others wait.
        barrier.wait();
        ready.and_then(|()| keep_busy(program, frame))
    };
    let runs = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (cpu, frame) in cpus.iter().zip(frames) {
            threads.push(scope.spawn(|| one(*cpu, frame)));
        }
        let results =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        results.collect::<anyhow::Result<Vec<Run>>>()
    })?;
    let cpus = float(u64::try_from(runs.len())?);
    Ok(Run {
        packets: runs.iter().map(|run| run.packets).sum(),
        ns: runs.iter().map(|run| run.ns).sum::<f64>() / cpus,
        busy: runs.iter().map(|run| run.busy).fold(1.0, f64::min),
    })
}

/// Runs a program on a frame on this CPU, as long as it takes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
fn keep_busy(program: &Xdp, frame: &[u8]) -> anyhow::Result<Run> {
    let expected_ns = repeat(program, frame, FIRST)?;
    let packets = (CALL / expected_ns).clamp(f64::from(FIRST / 4), f64::from(FIRST * 32)) as u32;
    let (start, mut ns) = (Instant::now(), Vec::new());
    while start.elapsed() < TIME {
        ns.push(repeat(program, frame, packets)?);
    }
    let busy = ns.iter().sum::<f64>() * f64::from(packets) / (start.elapsed().as_secs_f64() * 1e9);
    let packets = u64::try_from(ns.len())? * u64::from(packets) + u64::from(FIRST);
    Ok(Run { packets, ns: median(ns), busy })
}

/// Returns nanoseconds per packet.
fn repeat(program: &Xdp, frame: &[u8], packets: u32) -> anyhow::Result<f64> {
    let options = TestRunOptions { data_in: Some(frame), repeat: packets, ..TestRunOptions::new() };
    let result = program.test_run(options)?;
    let ended = result.return_value;
    ensure!(ended == PASS, "ended with {ended} instead of {PASS}");
    Ok(result.duration.as_secs_f64() * 1e9)
}
