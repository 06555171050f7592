//! Replacing sets while packets come: how many of a listed source go by unjudged.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use netwatch::feeds::{Contents, NEVER, set};
use netwatch::kernel::{ModeWish, Options, Watch, limits};
use serde_json::{Value, json};
use xtask::lab::Lab;
use xtask::traffic::Frame;
use xtask::traffic::frame::OUTSIDE_MAC;
use xtask::traffic::transport::ACK;

use crate::support::table;
use crate::support::traffic::{NOBODY, TARGET};
use crate::{SIZES, made_up};

/// Who is listed in every set.
const LISTED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// How long packets may take to arrive.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was measured.
pub struct Gap {
    packets: u64,
    listed: u64,
    drained: u64,
    lost: u64,
    sets: u64,
    seconds: f64,
    ms: Vec<f64>,
}

pub fn measure(packets: u32) -> anyhow::Result<Gap> {
    let lab = Lab::new()?;
    let entries = SIZES[SIZES.len() - 1];
    let lines = [entries, entries / 2].map(|entries| {
        let text = format!("{}{LISTED}\n", made_up::text(entries));
        let contents = Contents::read(text.as_bytes(), false, Timestamp::UNIX_EPOCH).unwrap_or_default();
        set::flatten(std::iter::once(&contents.set), &NEVER)
    });
    let options = Options { closer: true, ..Options::of_this_host(limits::DEFAULT_MAP_MEMORY) };
    let mut watch = lab.watched().run(|| -> anyhow::Result<Watch> {
        let mut watch = Watch::load(&options)?;
        let index = nix::net::if_::if_nametoindex(lab.watched().interface())?;
        watch.attach(lab.watched().interface(), index, ModeWish::Native)?;
        Ok(watch)
    })??;
    watch.set_feeds(&lines[0])?;
    let frame = Frame::ipv4(LISTED, TARGET).macs(OUTSIDE_MAC, NOBODY).tcp(40_000, 80, ACK).build();
    let (mut ms, mut drained, done) = (Vec::new(), 0, AtomicBool::new(false));
    let start = Instant::now();
    let sent = thread::scope(|scope| -> anyhow::Result<u64> {
        let (done, lab, frame) = (&done, &lab, &frame);
        let sending = scope.spawn(move || -> anyhow::Result<u64> {
            let sent = send(lab, frame, packets);
            done.store(true, Ordering::Release);
            sent
        });
        while !done.load(Ordering::Acquire) {
            let start = Instant::now();
            watch.set_feeds(&lines[(ms.len() + 1) % 2])?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
            drained += drain(&mut watch)?;
        }
        sending.join().map_err(|_| anyhow!("the sender panicked"))?
    })?;
    let seconds = start.elapsed().as_secs_f64();
    drained += drain(&mut watch)?;
    let totals = watch.totals()?;
    Ok(Gap {
        packets: sent,
        listed: totals.listed,
        drained,
        lost: totals.listed_lost,
        sets: ms.len() as u64,
        seconds,
        ms,
    })
}

fn send(lab: &Lab, frame: &[u8], packets: u32) -> anyhow::Result<u64> {
    let sender = lab.outside().sender()?;
    let sent = sender.send_all(std::iter::repeat_n(frame, packets as usize), None)?.accepted;
    lab.watched().received(sent, PATIENCE).context("packets are missing")?;
    Ok(sent)
}

fn drain(watch: &mut Watch) -> anyhow::Result<u64> {
    let mut packets = 0;
    watch.swap()?;
    watch.drain(|_| ());
    watch.drain_listed(|_, counts| packets += counts.packets())?;
    Ok(packets)
}

impl Gap {
    /// Whether every packet was judged, and what was counted is all there.
    pub const fn is_whole(&self) -> bool {
        self.packets == self.listed && self.drained + self.lost == self.listed
    }

    pub fn print(&self) {
        let most = self.ms.iter().copied().fold(0.0, f64::max);
        println!(
            "{} packets of a listed source in {:.1} s, while sets of {} and of {} entries took each other's place {} times (median \
             {:.0} ms, at most {most:.0} ms): {} went by unjudged, and {} are missing from what was drained",
            self.packets,
            self.seconds,
            SIZES[SIZES.len() - 1],
            SIZES[SIZES.len() - 1] / 2,
            self.sets,
            table::median(self.ms.clone()),
            self.packets.abs_diff(self.listed),
            self.listed.abs_diff(self.drained + self.lost),
        );
    }

    pub fn to_json(&self) -> Value {
        json!({
            "packets": self.packets,
            "listed": self.listed,
            "unjudged": self.packets.abs_diff(self.listed),
            "drained": self.drained,
            "lost": self.lost,
            "sets": self.sets,
            "seconds": self.seconds,
            "set_ms": table::median(self.ms.clone()),
        })
    }
}
