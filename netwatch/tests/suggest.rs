//! `netwatch suggest` as a user meets it, without root: what it prints is a configuration, and does what it says.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use xtask::traffic::{pcap, scenario};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;
const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("netwatch-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, data: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, data).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Frames at nanoseconds since 1 January 2024 as a pcap.
fn pcap(packets: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Vec<u8> {
    pcap::file(1_704_067_200, packets.into_iter().collect()).unwrap()
}

fn attacker(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))
}

/// Scans of so many ports, each by another source, a second apart.
fn scans(ports: impl IntoIterator<Item = u16>) -> Vec<(u64, Vec<u8>)> {
    let scan = |(last, ports): (u8, u16)| {
        let frames = scenario::syn_scan(attacker(last), TARGET, 1_000..1_000 + ports);
        (u64::from(last) * SECOND..).step_by(1_000_000).zip(frames)
    };
    (1..).zip(ports).flat_map(scan).collect()
}

fn netwatch(command: &str, paths: &[&Path], options: &[&str]) -> Output {
    let mut netwatch = Command::new(env!("CARGO_BIN_EXE_netwatch"));
    netwatch.args(command.split(' ')).args(paths).args(options).env("NO_COLOR", "1").output().unwrap()
}

/// What was suggested, and what was said on stderr.
fn suggest(paths: &[&Path], options: &[&str]) -> (String, String) {
    let output = netwatch("suggest --from", paths, options);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

/// How many incidents a replay opens with a configuration that `netwatch config check` finds right.
fn told(folder: &Folder, config: &str, paths: &[&Path]) -> usize {
    let config = folder.write("suggested.toml", config.as_bytes());
    let check = netwatch("config check", &[&config], &[]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let replay = netwatch("replay", paths, &["-c", config.to_str().unwrap(), "--format", "json"]);
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let stdout = String::from_utf8(replay.stdout).unwrap();
    let events = stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let incidents =
        events.filter_map(|event| Some(event["alert"]["context"]["incident"].as_str()?.to_owned()));
    incidents.collect::<BTreeSet<_>>().len()
}

/// The lines of a configuration that are no comments.
fn settings(config: &str) -> Vec<&str> {
    config.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_largest_scans_are_left() {
    let folder = Folder::new("suggest-scans");
    let path = folder.write("scans.pcap", &pcap(scans(11..=40)));
    // Without it, those that are left out come up as slow scans.
    let (config, stderr) = suggest(&[&path], &["--threshold", "scan.slow=40"]);
    let slow = ["[rules.\"scan.slow\"]", "threshold = 40  # command line"];
    assert_eq!(settings(&config)[..2], slow);
    assert_eq!(settings(&config)[2..], ["[rules.\"scan.vertical\"]", "threshold = 35  # was 10"]);
    for line in [
        "# With these settings it tells 5 alerts, as replay 2 has shown; before, 30.",
        "# left out: 25 alerts",
        "#     203.0.113.25 with 35 tcp ports at 2024-01-01T00:00:25Z, medium",
        "#     and 20 more",
        "# still told: 5 alerts",
        "#     203.0.113.30 with 40 tcp ports at 2024-01-01T00:00:30Z, medium",
    ] {
        assert!(config.lines().any(|one| one == line), "{line}\n{config}");
    }
    assert!(config.contains("in 29 s, taken as a day."), "{config}");
    assert!(!stderr.contains("WARN"), "{stderr}");
    assert_eq!(told(&folder, &config, &[&path]), 5);
}

#[test]
fn what_is_few_enough_is_left_alone() {
    let folder = Folder::new("suggest-few");
    let path = folder.write("scans.pcap", &pcap(scans(11..=40)));
    let (config, _) = suggest(&[&path], &["--per-day", "30", "--threshold", "dos.packets=7"]);
    assert_eq!(settings(&config), ["[rules.\"dos.packets\"]", "threshold = 7  # command line"]);
    assert!(config.contains("# With these settings it tells 30 alerts: nothing is raised."), "{config}");
    let (config, _) = suggest(&[&path], &["--min-severity", "high"]);
    assert_eq!(settings(&config), ["min_severity = \"high\"  # command line"]);
    assert_eq!(told(&folder, &config, &[&path]), 0);
}

#[test]
fn an_attack_that_is_left_out_is_warned_of() {
    let folder = Folder::new("suggest-attacks");
    let path = folder.write("scans.pcap", &pcap(scans([150, 200, 12])));
    let (config, stderr) = suggest(&[&path], &["--per-day", "1"]);
    assert_eq!(settings(&config)[..2], ["[rules.\"scan.vertical\"]", "threshold = 150  # was 10"]);
    assert!(config.contains("# WARNING: this leaves out 1 alert of high or critical severity."), "{config}");
    assert!(
        config.contains("#     203.0.113.1 with 150 tcp ports at 2024-01-01T00:00:01Z, high"),
        "{config}"
    );
    assert!(
        stderr.contains("WARN") && stderr.contains("leaves out 1 alert of high or critical severity"),
        "{stderr}"
    );
}

/// Each source scans and floods, and its flood is a part of its scan until the scan is tolerated.
#[test]
fn what_comes_up_when_others_are_gone_is_seen() {
    let folder = Folder::new("suggest-hidden");
    let floods = (1..=8_u8).flat_map(|last| {
        let ports = move || 1_000..1_040 + u16::from(last);
        let more = (0..4).flat_map(move |_| scenario::syn_scan(attacker(last), TARGET, ports()));
        (u64::from(last) * SECOND..).step_by(1_000_000).zip(more)
    });
    let path = folder.write("floods.pcap", &pcap(floods));
    let (config, _) = suggest(&[&path], &["--per-day", "2"]);
    assert!(config.contains("Alerts that came up only when others were gone"), "{config}");
    let rules = ["[rules.\"scan.vertical\"]", "[rules.\"dos.unsolicited\"]"];
    assert!(rules.iter().all(|rule| config.contains(rule)), "{config}");
    assert!(told(&folder, &config, &[&path]) <= 2, "{config}");
}

#[test]
fn two_days_are_two_days_wherever_they_lie() {
    let folder = Folder::new("suggest-days");
    // A frame every half an hour, and two months between the days.
    let month = 30 * 86_400 * SECOND;
    let day = |from: u64| {
        let silence = (0..=48).map(move |half| from + half * 1_800 * SECOND);
        silence.map(|at_ns| (at_ns, scenario::syn_scan(attacker(200), TARGET, [443]).next().unwrap()))
    };
    let first = folder.write("1.pcap", &pcap(scans(11..=40).into_iter().chain(day(0))));
    let second = folder.write("2.pcap", &pcap(day(2 * month)));
    let (config, _) =
        suggest(&[&first, &second], &["--per-day", "4", "--slot", "60s", "--threshold", "scan.slow=40"]);
    for says in
        ["in 48 h.", "at most 4 alerts a day, which is 8 here.", "it tells 8 alerts", "threshold = 32 "]
    {
        assert!(config.contains(says), "{says}\n{config}");
    }
    assert!(config.contains("Pauses of an hour and more are no time: 1416 h"), "{config}");
    assert_eq!(told(&folder, &config, &[&first, &second]), 8);
}

#[test]
fn a_damaged_capture_is_used_as_far_as_it_goes() {
    let folder = Folder::new("suggest-damaged");
    let mut data = pcap(scans(11..=40));
    data.truncate(data.len() - 7);
    let path = folder.write("cut.pcap", &data);
    let output = netwatch("suggest --from", &[&path], &[]);
    let (config, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(10), "{stderr}");
    assert!(config.contains("# Not all could be read: ") && stderr.contains("cut.pcap"), "{config}{stderr}");
    assert!(config.contains("it tells 5 alerts"), "{config}");
}

#[test]
fn a_capture_without_packets_suggests_nothing() {
    let folder = Folder::new("suggest-empty");
    let path = folder.write("empty.pcap", &pcap([]));
    let (config, _) = suggest(&[&path], &["--window", "30s"]);
    assert_eq!(settings(&config), ["window = \"30s\"  # command line"]);
    assert!(config.contains("empty.pcap: 0 packets in 0 ms, taken as a day."), "{config}");
}

#[test]
fn real_captures_tell_as_many_as_it_says() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: corpus absent");
        return;
    }
    let folder = Folder::new("suggest-corpus");
    let paths = ["benign/nDPI__gnutella.pcap", "flood/zeek__ssh__sshguess.pcap"];
    let paths = paths.map(|path| corpus.join(path));
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let (config, _) = suggest(&paths, &["--per-day", "1", "--local", "192.0.2.0/24"]);
    assert!(settings(&config).iter().any(|line| line.contains("# was ")), "{config}");
    let told = told(&folder, &config, &paths);
    assert!(told <= 1 && config.contains(&format!("it tells {told} alert")), "{config}");
}
