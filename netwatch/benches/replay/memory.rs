//! Whether memory stays what it is, however much is read.

use std::fs;
use std::io::{self, BufWriter};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use xtask::traffic::mixture::Mixture;
use xtask::traffic::pcap::Pcap;

use crate::capture::START;
use crate::process;

/// Packets a second of the stream, slower than in the captures: three tenths of a billion bytes are six minutes, after
/// which the windows and both generations of flows are full.
const PACE: u32 = 5_000;
/// Parts of the stream after each of which memory is looked at.
const PARTS: u64 = 10;
/// The parts that what comes later is compared with.
const FILLING: usize = 3;
/// How much memory may grow: by this part, and by so many bytes.
const GROWTH_PERCENT: u64 = 20;
const GROWTH_BYTES: u64 = 64 << 20;

/// What was seen.
pub struct Memory {
    pub packets: u64,
    pub bytes: u64,
    /// From the first packet to the end of the process.
    pub took: Duration,
    /// The most memory that netwatch had needed after each tenth of the stream, in bytes; the last one is that of the
    /// ended process.
    pub peaks: Vec<u64>,
}

/// Writes a stream of so many bytes into a netwatch that stays on the CPU where this thread is, and leaves that CPU.
///
/// # Errors
/// netwatch does not start, or does not end with success.
pub fn measure(netwatch: &Path, bytes: u64, cpu: usize) -> anyhow::Result<Memory> {
    let mut child = Command::new(netwatch)
        .args(["replay", "--engine", "host", "--log", "off", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("netwatch does not start")?;
    let stdin = child.stdin.take().context("a pipe")?;
    process::leave_cpu(cpu)?;
    let start = Instant::now();
    let streamed = stream(stdin, &child, bytes);
    // How netwatch has ended tells more than that it has not read on.
    let used = process::wait(&child, start).context("netwatch")?;
    let mut memory = streamed.context("cannot write to netwatch")?;
    memory.took = used.wall;
    // The end of the input may need more than the last look has shown.
    if let Some(last) = memory.peaks.last_mut() {
        *last = used.rss_bytes.max(*last);
    }
    Ok(memory)
}

impl Memory {
    /// After three tenths, and at the end.
    pub fn ends(&self) -> (u64, u64) {
        let first = self.peaks.get(FILLING - 1).copied().unwrap_or(0);
        (first, self.peaks.last().copied().unwrap_or(0))
    }

    pub fn is_constant(&self) -> bool {
        let (first, last) = self.ends();
        let growth = last.saturating_sub(first);
        growth <= first * GROWTH_PERCENT / 100 && growth <= GROWTH_BYTES
    }
}

/// Writes the stream and looks at the reader's memory in between. The pipe is closed when this ends.
fn stream(stdin: ChildStdin, reader: &Child, bytes: u64) -> io::Result<Memory> {
    let mut out = Pcap::begin(BufWriter::with_capacity(1 << 16, stdin), START)?;
    let mut memory = Memory { packets: 0, bytes: 0, took: Duration::ZERO, peaks: Vec::new() };
    for (at_us, frame) in Mixture::new(2, PACE) {
        out.packet(at_us, &frame)?;
        memory.packets += 1;
        while out.bytes() >= bytes / PARTS * (memory.peaks.len() as u64 + 1) {
            memory.peaks.push(peak(reader)?);
        }
        if memory.peaks.len() as u64 >= PARTS {
            break;
        }
    }
    memory.bytes = out.end()?;
    Ok(memory)
}

/// The most memory that a process has needed so far, in bytes.
fn peak(process: &Child) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|number| number.parse::<u64>().ok());
    kilobytes.map(|number| number * 1024).ok_or_else(|| io::Error::other("it has ended"))
}
