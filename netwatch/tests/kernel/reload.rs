//! SIGHUP: the configuration file is read again while netwatch goes on.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use netwatch_common::classify::ACK;
use nix::sys::signal::Signal;
use xtask::lab::Lab;
use xtask::traffic::{Frame, scenario};

use crate::lab;
use crate::process::{Netwatch, PATIENCE, opened};

/// A configuration file that goes with this value.
pub struct File(PathBuf);

impl File {
    pub fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-{name}-{}.toml", std::process::id()));
        let file = Self(path);
        file.write(text);
        file
    }

    pub fn write(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }

    pub fn option(&self) -> String {
        format!("-c {}", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

/// Each of these hosts tries so many ports; returns when all that has been counted.
#[track_caller]
fn scans(lab: &Lab, hosts: &[(u8, u16)]) {
    let before = lab.watched().counters().unwrap().rx_packets;
    let target = lab.watched().ipv4().into();
    let frames: Vec<_> = hosts
        .iter()
        .flat_map(|(last, ports)| scenario::syn_scan(host(*last).into(), target, 1..=*ports))
        .collect();
    let sent = lab.outside().sender().unwrap().send_all(&frames, Some(50_000)).unwrap();
    assert_eq!(sent.accepted, frames.len() as u64);
    lab.watched().received(before + sent.accepted, PATIENCE).unwrap();
}

#[test]
fn a_reload_changes_the_rules_and_resets_nothing() {
    let lab = lab();
    // Fifteen ports that are tolerated in a minute are still a slow scan: that rule has tests of its own.
    const NOT_SLOW: &str = "[rules.\"scan.slow\"]\nenabled = false\n";
    let file = File::new("reload", &format!("[rules.\"scan.vertical\"]\nthreshold = 10\n{NOT_SLOW}"));
    let mut netwatch = Netwatch::start(lab.watched(), &file.option());
    scans(&lab, &[(1, 20), (2, 20)]);
    // Two slots: what was sent until now has been looked at.
    thread::sleep(Duration::from_millis(2500));

    // One of the open incidents becomes allowed, the other goes on; the window does not change.
    file.write(&format!(
        "window = \"30s\"\n[rules.\"scan.vertical\"]\nthreshold = 15\n{NOT_SLOW}[[allow]]\n\
         prefix = \"203.0.113.1\"\n[[allow]]\nprefix = \"203.0.113.16/28\"\nrule = \"scan.vertical\"\n",
    ));
    netwatch.signal(Signal::SIGHUP);
    netwatch.wait_for("rules.\"scan.vertical\".threshold: 10 -> 15");
    netwatch.wait_for("takes effect after a restart: window: \"60s\" -> \"30s\"");
    netwatch.wait_for("again: 3 changes");
    scans(&lab, &[(3, 15), (4, 16), (17, 30)]);
    thread::sleep(Duration::from_millis(2500));

    // A file that is not right changes nothing.
    file.write("[rules.\"scan.vertical\"]\ntreshold = 1\n");
    netwatch.signal(Signal::SIGHUP);
    let line = netwatch.wait_for("the configuration stays as it was");
    assert!(line.contains(".toml:2:1: unknown key \"treshold\"; did you mean \"threshold\"?"), "{line}");
    scans(&lab, &[(5, 15), (6, 16)]);

    netwatch.signal(Signal::SIGINT);
    let ended = netwatch.ended();
    assert!(ended.status.success(), "{:#?}", ended.stderr);
    let alerts = ended.alerts();
    assert_eq!(
        opened(&alerts),
        [
            "scan.vertical 203.0.113.1 20",
            "scan.vertical 203.0.113.2 20",
            "scan.vertical 203.0.113.4 16",
            "scan.vertical 203.0.113.6 16",
        ]
    );
    let mut closed: Vec<_> = alerts
        .iter()
        .filter(|alert| alert["alert"]["context"]["state"] == "close")
        .map(|alert| format!("{} {}", alert["src_ip"], alert["alert"]["context"]["close_reason"]))
        .collect();
    closed.sort();
    assert_eq!(closed[0], "\"203.0.113.1\" \"allowed\"");
    assert!(closed[1..].iter().all(|line| line.ends_with("\"shutdown\"")), "{closed:?}");
    assert_eq!(closed.len(), 4);

    // 40 packets before the first signal, 61 after it, 31 after the second; other packets may come.
    let summary = ended.stderr.join("\n");
    let total =
        summary.lines().find_map(|line| line.strip_prefix("nw0: ")?.split(' ').next()?.parse::<u64>().ok());
    assert!(total >= Some(132), "{summary}");
    assert!(summary.contains("unaccounted for: 0"), "{summary}");
    assert!(summary.contains("held back (allowed)"), "{summary}");
}

#[test]
fn without_a_file_there_is_nothing_to_read_again() {
    let lab = lab();
    let mut netwatch = Netwatch::start(lab.watched(), "");
    netwatch.signal(Signal::SIGHUP);
    netwatch.wait_for("there is no configuration file to read again");
    scans(&lab, &[(1, 11)]);
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.1 11"]);
}

#[test]
fn the_literal_profile_counts_every_packet() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--profile literal");
    let target = lab.watched().ipv4();
    let ack = |last, port| Frame::ipv4(host(last), target).tcp(443, port, ACK).build();
    let frames: Vec<_> = (1..=11)
        .map(|port| ack(1, port))
        .chain((0..101).map(|_| ack(2, 50_000)))
        .chain(scenario::syn_flood(host(3).into(), target.into(), 443, 101))
        .collect();
    let before = lab.watched().counters().unwrap().rx_packets;
    lab.outside().sender().unwrap().send_all(&frames, Some(50_000)).unwrap();
    lab.watched().received(before + 213, PATIENCE).unwrap();
    assert_eq!(
        opened(&netwatch.alerts()),
        ["dos.packets 203.0.113.2 101", "dos.packets 203.0.113.3 101", "scan.vertical 203.0.113.1 11"]
    );
}
