//! Loading a feed: reading and parsing its file, making the set that the kernel looks packets up in, and handing it over.

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use netwatch::feeds::{self, FeedConfig};
use netwatch::kernel::{Options, Watch};
use netwatch_common::prefixes::Line;
use serde_json::{Value, json};

use crate::support::table::{self, mib};
use crate::{SIZES, made_up};

/// What was measured.
pub struct Load(Vec<Row>);

struct Row {
    entries: u32,
    file_bytes: u64,
    kernel_bytes: u64,
    own_bytes: u64,
    /// Milliseconds: to read and parse, to make the set, to hand it to the kernel, and to look an address up a million times.
    ms: [f64; 4],
}

/// Look-ups on the host in each round.
const LOOKUPS: u32 = 1_000_000;

pub fn measure(rounds: u32) -> anyhow::Result<Load> {
    let mut watch = Watch::load(&Options { closer: true, ..Options::of_this_host(16 << 20) })?;
    let folder = std::env::temp_dir().join(format!("netwatch-bench-feeds-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let rows = SIZES.iter().map(|entries| {
        let file = folder.join(entries.to_string());
        fs::write(&file, made_up::text(*entries))?;
        one(&mut watch, *entries, &FeedConfig::new("made-up", &file), rounds)
    });
    let rows: anyhow::Result<Vec<_>> = rows.collect();
    fs::remove_dir_all(&folder)?;
    Ok(Load(rows?))
}

fn one(watch: &mut Watch, entries: u32, feed: &FeedConfig, rounds: u32) -> anyhow::Result<Row> {
    let mut times: [Vec<f64>; 4] = Default::default();
    let (mut kernel_bytes, mut own_bytes) = (0, 0_u64);
    for _ in 0..rounds {
        let before = anonymous_bytes()?;
        let start = Instant::now();
        let outcome = feeds::load(std::slice::from_ref(feed), &[], None, Timestamp::now());
        times[0].push(ms(start));
        ensure!(outcome.problems.is_empty(), "{:?}", outcome.problems);
        // Later rounds take what earlier ones have given back.
        own_bytes = own_bytes.max(anonymous_bytes()?.saturating_sub(before));
        let start = Instant::now();
        let lines = outcome.loaded.lines();
        times[1].push(ms(start));
        kernel_bytes = (lines.len() * size_of::<Line>()) as u64;
        let start = Instant::now();
        watch.set_feeds(&lines)?;
        times[2].push(ms(start));
        let start = Instant::now();
        let found = (0..LOOKUPS).filter(|number| {
            let addr = std::net::Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1));
            !outcome.loaded.lookup(addr.into()).is_empty()
        });
        std::hint::black_box(found.count());
        times[3].push(ms(start));
    }
    let file_bytes = fs::metadata(&feed.file)?.len();
    Ok(Row { entries, file_bytes, kernel_bytes, own_bytes, ms: times.map(table::median) })
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Anonymous memory of this process that is resident.
fn anonymous_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}

impl Load {
    pub fn print(&self) {
        let row = |row: &Row| {
            let [read, build, kernel, lookups] = row.ms;
            vec![
                row.entries.to_string(),
                mib(row.file_bytes),
                format!("{read:.1}"),
                format!("{build:.1}"),
                format!("{kernel:.1}"),
                format!("{:.1}", read + build + kernel),
                format!("{:.0}", lookups * 1e6 / f64::from(LOOKUPS)),
                mib(row.own_bytes),
                mib(row.kernel_bytes),
            ]
        };
        table::print(
            &[
                "entries",
                "file, MiB",
                "read, ms",
                "make, ms",
                "kernel, ms",
                "all, ms",
                "look-up, ns",
                "own, MiB",
                "kernel, MiB",
            ],
            &self.0.iter().map(row).collect::<Vec<_>>(),
        );
        println!();
        println!(
            "medians. Read: the file is read, parsed and sorted. Make: the set for the kernel is made. Kernel: it is handed over \
             and is in use, which waits for programs that run. Look-up: of an address on the host, as for an alert. Own: what \
             netwatch keeps."
        );
    }

    pub fn to_json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "entries": row.entries,
                "file_bytes": row.file_bytes,
                "read_ms": row.ms[0],
                "make_ms": row.ms[1],
                "kernel_ms": row.ms[2],
                "host_lookup_ns": row.ms[3] * 1e6 / f64::from(LOOKUPS),
                "own_bytes": row.own_bytes,
                "kernel_bytes": row.kernel_bytes,
            })
        };
        self.0.iter().map(row).collect()
    }
}
