//! Sends as many packets as a machine can: a program makes them, in frames that the kernel lets it send
//! (`BPF_PROG_TEST_RUN` with live frames, Linux 5.18).
//!
//! A frame leaves by one end of a veth pair and comes in at the other, where a program must be attached in native mode:
//! the kernel hands it over without a socket buffer. All of that happens on the sender's CPU, the receiver's program
//! and stack included, so what a packet is said to take is the sum. A full queue of the receiver drops packets without
//! telling the sender: how many have arrived is what the interface counts.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::maps::{Array, MapData, PerCpuArray, PerCpuValues};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use netwatch::kernel::{maps::Wire, object};
use nix::net::if_::if_nametoindex;
use xtask::lab::Lab;

use super::drained::timed;
use super::process;
use super::scene::{Progress, Scene};
use super::traffic::Traffic;

/// `XDP_TX`.
const TX: u32 = 3;
/// Packets that the kernel takes through the program at a time.
const BATCH: u32 = 64;
/// Packets of one system call, at most and at first. Each call costs some milliseconds, in which the kernel gets its
/// frames ready.
const BURST: (u32, u32) = (1 << 18, 1 << 15);
/// Time between two questions whether there should be more, flat out.
const TURN: Duration = Duration::from_millis(100);
/// Time between bursts of paced packets.
const STEP: Duration = Duration::from_millis(5);

/// Makes packets and sends them.
pub struct Generator {
    object: Ebpf,
    scenes: Array<MapData, Wire<Scene>>,
    progress: PerCpuArray<MapData, Wire<Progress>>,
    traffic: Vec<Traffic>,
    cpu: usize,
    bursts: usize,
}

/// What was sent, and what that took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Packets made and sent. What the receiver's queue had no room for is among them.
    pub packets: u64,
    /// What the system calls took: to make and send them, to run the receiver's program on them, and what its stack did
    /// with them after that. Each call costs some milliseconds besides, so it says nothing of few packets a second.
    pub busy: Duration,
    /// Of that, the sending thread's own processor time: other processes do not lengthen it, but what the kernel does
    /// between threads, or in one of its own, is not part of it.
    pub cpu: Duration,
    /// From the first to the last of them.
    pub wall: Duration,
}

impl Sent {
    /// Packets a second.
    pub fn rate(&self) -> f64 {
        super::table::float(self.packets) / self.wall.as_secs_f64().max(1e-9)
    }

    /// Nanoseconds for each.
    pub fn ns(&self) -> f64 {
        self.busy.as_secs_f64() * 1e9 / super::table::float(self.packets.max(1))
    }

    /// The sending thread's own nanoseconds for each.
    pub fn cpu_ns(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / super::table::float(self.packets.max(1))
    }

    /// What was sent since then.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            busy: self.busy.saturating_sub(before.busy),
            cpu: self.cpu.saturating_sub(before.cpu),
            wall: self.wall.saturating_sub(before.wall),
        }
    }

    /// Adds what was sent later.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.busy += other.busy;
        self.cpu += other.cpu;
        self.wall += other.wall;
    }
}

impl Generator {
    /// Loads the program. Several of them share nothing.
    ///
    /// # Errors
    /// The benchmark was built without it, or the kernel refuses it.
    pub fn load() -> anyhow::Result<Self> {
        let reference = object::reference().context("built without the reference programs")?;
        Self::of(EbpfLoader::new().load(reference)?, "reference_generate")
    }

    /// Takes one of the two programs that make packets out of an object that has them.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn of(mut object: Ebpf, program: &str) -> anyhow::Result<Self> {
        let loaded: &mut Xdp = object.program_mut(program).context("no such program")?.try_into()?;
        loaded.load()?;
        let mut take = |name| object.take_map(name).with_context(|| format!("no map {name}"));
        let scenes = Array::try_from(take("SCENES")?)?;
        let progress = PerCpuArray::try_from(take("PROGRESS")?)?;
        Ok(Self { object, scenes, progress, traffic: Vec::new(), cpu: process::last_cpu()?, bursts: 0 })
    }

    /// The object, for what else is in it.
    pub const fn object(&mut self) -> &mut Ebpf {
        &mut self.object
    }

    /// Sends this from now on, from its beginning: IPv4, IPv6, or both in turns of many packets.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set(&mut self, traffic: &[Traffic]) -> anyhow::Result<()> {
        for each in traffic {
            self.scenes.set(index(each), Wire(each.scene), 0)?;
        }
        let cpus = u64::try_from(netwatch::kernel::host::possible_cpus())?;
        for version in 0..2 {
            let progress = (1..=cpus).map(|cpu| {
                let random = (cpu << 8 | u64::from(version) | 4).wrapping_mul(super::traffic::SCATTER);
                Wire(Progress { random, ..bytemuck::Zeroable::zeroed() })
            });
            self.progress.set(version, PerCpuValues::try_from(progress.collect::<Vec<_>>())?, 0)?;
        }
        self.traffic = traffic.to_vec();
        Ok(())
    }

    /// Lets the program run on a frame, over and over, which sends nothing. Returns nanoseconds per packet.
    ///
    /// # Errors
    /// The kernel's, or that the packet ended in another way than it should.
    pub fn rehearse(&mut self, program: &str, packets: u32, verdict: u32) -> anyhow::Result<f64> {
        let frame = &self.traffic.first().context("nothing to send")?.frame;
        let options = TestRunOptions { data_in: Some(frame), repeat: packets, ..TestRunOptions::new() };
        let program: &mut Xdp = self.object.program_mut(program).context("no such program")?.try_into()?;
        let result = program.test_run(options)?;
        ensure!(result.return_value == verdict, "ended with {} instead of {verdict}", result.return_value);
        Ok(result.duration.as_secs_f64() * 1e9)
    }

    /// The next packet, which is not sent.
    ///
    /// # Errors
    /// The kernel's, or that the program made none.
    pub fn preview(&mut self) -> anyhow::Result<Vec<u8>> {
        let frame = &self.traffic.first().context("nothing to send")?.frame;
        let mut packet = vec![0; frame.len()];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut packet), ..TestRunOptions::new() };
        let program: &mut Xdp =
            self.object.program_mut("reference_generate").context("no such program")?.try_into()?;
        let result = program.test_run(options)?;
        ensure!(result.return_value == TX, "ended with {} instead of {TX}", result.return_value);
        Ok(packet)
    }

    /// Sends packets from the outside of a laboratory, on the last CPU that the thread might use that has made this, no faster than so many a second, until `more`
    /// says no; it is asked after each burst.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(
        &mut self,
        lab: &Lab,
        pace: Option<u32>,
        more: impl FnMut(&Sent) -> bool + Send,
    ) -> anyhow::Result<Sent> {
        lab.outside().run(|| {
            process::stay_on(self.cpu)?;
            let interface = if_nametoindex(lab.outside().interface())?;
            self.send_here(interface, pace, more)
        })?
    }

    /// Sends a number of packets flat out.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_count(&mut self, lab: &Lab, packets: u64) -> anyhow::Result<Sent> {
        lab.outside().run(|| {
            process::stay_on(self.cpu)?;
            let interface = if_nametoindex(lab.outside().interface())?;
            let (mut sent, start) = (Sent::default(), Instant::now());
            while sent.packets < packets {
                let count = u32::try_from(packets - sent.packets).unwrap_or(u32::MAX).min(BURST.0);
                self.burst(interface, count, &mut sent)?;
            }
            sent.wall = start.elapsed();
            Ok(sent)
        })?
    }

    fn send_here(
        &mut self,
        interface: u32,
        pace: Option<u32>,
        mut more: impl FnMut(&Sent) -> bool,
    ) -> anyhow::Result<Sent> {
        let (mut sent, start) = (Sent::default(), Instant::now());
        loop {
            let count = match pace {
                // As many as the last ones have shown to take that long.
                None => bounded(sent.rate() * TURN.as_secs_f64()).max(BURST.1),
                // After a pause of the machine packets come late, not all at once.
                Some(pace) => {
                    let due = f64::from(pace) * (start.elapsed() + STEP).as_secs_f64();
                    bounded(due - super::table::float(sent.packets))
                }
            };
            if count > 0 {
                self.burst(interface, count, &mut sent)?;
            }
            sent.wall = start.elapsed();
            if !more(&sent) {
                return Ok(sent);
            }
            if pace.is_some() {
                thread::sleep(STEP);
            }
        }
    }

    /// One system call.
    fn burst(&mut self, interface: u32, packets: u32, sent: &mut Sent) -> anyhow::Result<()> {
        // Both versions in turns, where there are two.
        let turn = self.bursts % self.traffic.len().max(1);
        self.bursts += 1;
        let frame = &self.traffic.get(turn).context("nothing to send")?.frame;
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, u32::try_from(frame.len())?, 0, interface, 0, 0];
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(bytemuck::bytes_of(&context)),
            repeat: packets,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::new()
        };
        let program: &mut Xdp =
            self.object.program_mut("reference_generate").context("no such program")?.try_into()?;
        let run = || program.test_run(options).context("sending live frames; this needs Linux 5.18");
        let (_, took) = timed(run)?;
        sent.busy += took.wall;
        sent.cpu += took.cpu;
        sent.packets += u64::from(packets);
        Ok(())
    }
}

/// A number of packets for one system call.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
fn bounded(packets: f64) -> u32 {
    packets.clamp(0.0, f64::from(BURST.0)) as u32
}

/// Lets a scanner's packet come after every so many of others, over IPv4.
pub fn with_scanner(mut traffic: Traffic, scanner: Ipv4Addr, every: u32) -> Traffic {
    traffic.scene.scanner = u32::from_ne_bytes(scanner.octets());
    traffic.scene.scanner_every = every;
    traffic
}

/// Which of the two scenes is this traffic's.
fn index(traffic: &Traffic) -> u32 {
    u32::from(traffic.frame.get(12..14) == Some(&[0x86, 0xdd]))
}
