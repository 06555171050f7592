//! A slow scan, packet by packet, beside all that the generator sends.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use xtask::lab::Lab;
use xtask::traffic::scenario;

use super::live::Alert;
use super::process;
use super::traffic::TARGET;

/// Who scans: nobody that the generator can make up.
pub const SCANNER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// Ports a second.
const PACE: u32 = 2;
/// How long the flood goes on before it.
const HEAD_START: Duration = Duration::from_secs(2);
/// The port that makes it a scan.
const CROSSING: u32 = 11;

/// A scan that is over.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// When its first packet was sent.
    pub began: Instant,
    /// Its packets.
    pub ports: u64,
}

/// Sends a SYN to one port after the other until told to stop.
///
/// # Errors
/// The interface is down.
pub fn scan(lab: &Lab, stop: &AtomicBool) -> anyhow::Result<Scan> {
    // Where the flood is, and not before it: elsewhere, and in tables that are still empty, there is room for everybody.
    process::stay_on(netwatch::kernel::host::online_cpus() - 1)?;
    std::thread::sleep(HEAD_START);
    let sender = lab.outside().sender()?;
    let began = Instant::now();
    let frames = scenario::syn_scan(SCANNER.into(), TARGET.into(), 1..=u16::MAX);
    let sent = sender.send_all(frames.take_while(|_| !stop.load(Ordering::Relaxed)), Some(PACE))?;
    Ok(Scan { began, ports: sent.accepted })
}

/// When a scan was told of.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Seconds after its first packet.
    pub after_s: f64,
    /// Seconds after the packet that made it one.
    pub late_s: f64,
}

impl Scan {
    /// Finds the line that tells of it.
    pub fn told(&self, alerts: &[Alert]) -> Option<Told> {
        let source = SCANNER.to_string();
        let alert = alerts.iter().find(|alert| {
            alert.rule() == "scan.vertical" && alert.opens() && alert.event["src_ip"] == source.as_str()
        })?;
        let after_s = alert.read.saturating_duration_since(self.began).as_secs_f64();
        Some(Told { after_s, late_s: after_s - f64::from(CROSSING - 1) / f64::from(PACE) })
    }
}
