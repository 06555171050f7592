//! The captures that all programs read.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xtask::traffic::bulk::Bulk;
use xtask::traffic::mixture::Mixture;
use xtask::traffic::pcap::Pcap;

/// Packets a second in the captures.
const PACE: u32 = 20_000;
/// Packets of the capture for programs that are too slow for all of them.
const SHORT: u64 = 20_000;
/// Seconds since the epoch at the beginning of every capture: 2026-01-01, 00:00 UTC.
pub const START: u64 = 1_767_225_600;

/// The captures that are read from the disk, or rather from the page cache; gone when this value is.
pub struct Captures {
    folder: PathBuf,
    /// A busy network: short conversations, lookups, scans and floods.
    pub busy: Capture,
    /// The first packets of it.
    pub short: Capture,
    /// As many packets of long conversations.
    pub bulk: Capture,
    /// One packet.
    pub single: Capture,
}

/// One of them.
#[derive(Clone)]
pub struct Capture {
    pub path: PathBuf,
    pub packets: u64,
    pub bytes: u64,
}

impl Captures {
    pub fn make(packets: u64) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay");
        // One name for all runs: what an interrupted run has left does not pile up.
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let make = |name: &str, stream: &mut dyn Iterator<Item = Timed>, packets| {
            let path = folder.join(name);
            let bytes =
                write(&path, stream, packets).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(Capture { path, packets, bytes })
        };
        let busy = make("busy.pcap", &mut Mixture::new(1, PACE), packets)?;
        let short = make("short.pcap", &mut Mixture::new(1, PACE), packets.min(SHORT))?;
        let bulk = make("bulk.pcap", &mut Bulk::new(PACE), packets)?;
        let single = make("single.pcap", &mut Mixture::new(1, PACE), 1)?;
        Ok(Self { folder, busy, short, bulk, single })
    }
}

impl Drop for Captures {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A frame and its time, in microseconds since the beginning.
type Timed = (u64, Vec<u8>);

fn write(path: &Path, stream: &mut dyn Iterator<Item = Timed>, packets: u64) -> io::Result<u64> {
    let mut out = Pcap::begin(BufWriter::with_capacity(1 << 20, File::create(path)?), START)?;
    for (at_us, frame) in stream.zip(0..packets).map(|(packet, _)| packet) {
        out.packet(at_us, &frame)?;
    }
    out.end()
}
