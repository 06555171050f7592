//! Starting, stopping, crashing, and interfaces that come and go.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::Signal;
use xtask::lab::{Lab, Side};
use xtask::traffic::scenario;

use crate::process::{Bare, Netwatch, PATIENCE, command, opened};
use crate::refusals::fails;
use crate::reload::File;
use crate::{lab, skip};

pub const SCANNER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

pub fn scan(lab: &Lab) {
    let before = lab.watched().counters().unwrap().rx_packets;
    let frames = scenario::syn_scan(SCANNER.into(), lab.watched().ipv4().into(), 1..=50);
    lab.outside().sender().unwrap().send_all(frames, None).unwrap();
    lab.watched().received(before + 50, PATIENCE).unwrap();
}

/// What `ip` says of the XDP program on the side's interface.
pub fn xdp_of(side: &Side) -> Option<String> {
    let output = side.command("ip").args(["link", "show", "dev", side.interface()]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().find(|word| word.starts_with("xdp")).map(str::to_owned)
}

#[test]
fn both_signals_tell_what_is_due_and_leave_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let lab = lab();
        let netwatch = Netwatch::start(lab.watched(), "--slot 60s");
        assert_eq!(xdp_of(lab.watched()).as_deref(), Some("xdp"));
        scan(&lab);
        netwatch.signal(signal);
        let ended = netwatch.ended();
        assert_eq!(ended.status.code(), Some(0));
        assert_eq!(opened(&ended.alerts()), ["scan.vertical 203.0.113.7 50"]);
        assert!(ended.stderr.iter().any(|line| line.contains("incidents: 1 opened")), "{:?}", ended.stderr);
        assert_eq!(xdp_of(lab.watched()), None);
    }
}

#[test]
fn alerts_come_with_the_slot_and_not_only_at_the_end() {
    let lab = lab();
    let mut netwatch = Bare::start(lab.watched(), "--slot 200ms --window 2s", Stdio::piped());
    let start = Instant::now();
    scan(&lab);
    let mut line = String::new();
    BufReader::new(netwatch.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    println!("first alert after {:?}, in slots of 200 ms", start.elapsed());
    assert!(line.contains("scan.vertical"), "{line}");
    // The reader of the alerts is gone now: that ends netwatch, quietly and well, without another alert.
    let (code, rest) = netwatch.ended();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("closed the pipe"), "{rest}");
}

#[test]
fn a_killed_netwatch_leaves_nothing_and_the_next_one_works() {
    let lab = lab();
    for _ in 0..3 {
        let netwatch = Netwatch::start(lab.watched(), "");
        scan(&lab);
        netwatch.signal(Signal::SIGKILL);
        assert!(!netwatch.ended().status.success());
        // The kernel lets go of the program as soon as the process is gone.
        let start = Instant::now();
        while xdp_of(lab.watched()).is_some() {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(5));
        }
    }
    let netwatch = Netwatch::start(lab.watched(), "");
    scan(&lab);
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.7 50"]);
}

#[test]
fn a_second_netwatch_is_told_that_the_interface_is_taken() {
    let lab = lab();
    for (first, second) in [("", ""), ("--xdp-mode generic", ""), ("", "--xdp-mode generic")] {
        let netwatch = Netwatch::start(lab.watched(), first);
        fails(lab.watched(), &format!("-i nw0 {second}"), 8, "nw0 already has an XDP program (id ");
        scan(&lab);
        assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.7 50"], "the first one goes on");
    }
}

#[test]
fn an_interface_may_disappear_and_come_back() {
    let lab = lab();
    let mut netwatch = Netwatch::start(lab.watched(), "");
    scan(&lab);
    lab.unplug().unwrap();
    netwatch.wait_for("nw0 disappeared");
    lab.plug().unwrap();
    netwatch.wait_for("nw0 is back");
    let other = Ipv4Addr::new(203, 0, 113, 8);
    let frames = scenario::syn_scan(other.into(), lab.watched().ipv4().into(), 1..=20);
    lab.outside().sender().unwrap().send_all(frames, None).unwrap();
    lab.watched().received(20, PATIENCE).unwrap();
    assert_eq!(
        opened(&netwatch.alerts()),
        ["scan.vertical 203.0.113.7 50", "scan.vertical 203.0.113.8 20"],
        "what was counted before is not lost"
    );
}

#[test]
fn a_program_that_somebody_detached_is_attached_again() {
    let lab = lab();
    let mut netwatch = Netwatch::start(lab.watched(), "");
    let links = lab.watched().command("bpftool").args(["-j", "link", "show"]).output();
    let links = match links {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return skip("bpftool is not installed (`apt install bpftool`)");
        }
        links => String::from_utf8(links.unwrap().stdout).unwrap(),
    };
    let output = lab.watched().command("ip").args(["-j", "link", "show", "nw0"]).output().unwrap();
    let links: serde_json::Value = serde_json::from_str(&links).unwrap();
    let interface: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let program = &interface[0]["xdp"]["prog"]["id"];
    let ours = links.as_array().unwrap().iter().find(|link| link["prog_id"] == *program).unwrap();
    let id = ours["id"].to_string();
    assert!(lab.watched().command("bpftool").args(["link", "detach", "id", &id]).status().unwrap().success());
    netwatch.wait_for("somebody detached netwatch from nw0");
    netwatch.wait_for("nw0 is back");
    scan(&lab);
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.7 50"]);
}

#[test]
fn of_three_interfaces_one_may_go() {
    let lab = lab();
    let ip = |arguments: &str| {
        let done = lab.watched().command("ip").args(arguments.split(' ')).status().unwrap();
        assert!(done.success(), "ip {arguments}");
    };
    ip("link add extra0 type veth peer name extra1");
    ip("link set extra0 up");
    let mut netwatch = Netwatch::spawn(&mut command(lab.watched(), "-i nw0 -i extra0 -i extra1"));
    netwatch.wait_for("watching extra1");
    ip("link delete extra0");
    netwatch.wait_for("extra0 disappeared");
    scan(&lab);
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.7 50"]);
}

#[test]
fn a_reader_that_does_not_read_keeps_netwatch_from_nothing() {
    let lab = lab();
    let (reader, writer) = std::io::pipe().unwrap();
    let file = File::new("talkative", "notifications_per_minute = 10000\n");
    let options = format!("--slot 100ms --window 1s {}", file.option());
    let netwatch = Bare::start(lab.watched(), &options, writer);
    // Far more lines than a pipe of 64 KiB holds.
    for last in 1..=250 {
        let from = Ipv4Addr::new(192, 0, 2, last);
        let frames = scenario::syn_scan(from.into(), lab.watched().ipv4().into(), 1..=12);
        lab.outside().sender().unwrap().send_all(frames, None).unwrap();
    }
    thread::sleep(Duration::from_millis(500));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(netwatch.child.id().cast_signed()), Signal::SIGTERM)
        .unwrap();
    let (code, rest) = netwatch.ended();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("the last lines were not written"), "{rest}");
    assert!(rest.contains("incidents: 250 opened") && rest.contains("unaccounted for: 0"), "{rest}");
    drop(reader);
}

#[test]
fn alerts_that_cannot_be_written_are_an_error_after_the_summary() {
    let lab = lab();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let netwatch = Bare::start(lab.watched(), "--slot 100ms --window 1s", full);
    scan(&lab);
    let (code, rest) = netwatch.ended();
    assert_eq!(code, Some(1), "{rest}");
    assert!(rest.contains("incidents: 1 opened"), "{rest}");
    assert!(rest.lines().last().unwrap().contains("write alerts: No space left on device"), "{rest}");
}

#[test]
fn a_signal_that_whoever_started_netwatch_ignores_is_ignored() {
    let lab = lab();
    let mut nohup = lab.watched().command("nohup");
    nohup.arg(env!("CARGO_BIN_EXE_netwatch")).args(["run", "-i", "nw0", "--format", "json"]);
    nohup.args(["--map-memory", "8M", "--slot", "1s"]).stdin(Stdio::null());
    let mut netwatch = Netwatch::spawn(&mut nohup);
    netwatch.wait_for("watching nw0");
    netwatch.signal(Signal::SIGHUP);
    thread::sleep(Duration::from_millis(300));
    scan(&lab);
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.7 50"]);
}

#[test]
fn a_renamed_interface_is_still_watched() {
    let lab = lab();
    let mut netwatch = Netwatch::start(lab.watched(), "");
    let renamed = lab.watched().command("ip").args(["link", "set", "nw0", "name", "renamed0"]).status();
    assert!(renamed.unwrap().success());
    netwatch.wait_for("nw0 is now called renamed0");
    let frames = scenario::syn_scan(SCANNER.into(), lab.watched().ipv4().into(), 1..=20);
    lab.outside().sender().unwrap().send_all(frames, None).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 203.0.113.7 20"]);
}

#[test]
fn several_interfaces_are_watched_at_once_and_lo_in_generic_mode() {
    let lab = lab();
    let mut netwatch = Netwatch::spawn(&mut command(lab.watched(), "-i nw0 -i lo"));
    netwatch.wait_for("lo: its driver does not take native XDP");
    netwatch.wait_for("watching nw0 in native mode");
    netwatch.wait_for("watching lo in generic mode");
    scan(&lab);
    // Sixty connections to closed ports of lo: their SYNs are seen, and their RSTs.
    lab.watched()
        .run(|| {
            for port in 1..=60 {
                let _ = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            }
        })
        .unwrap();
    assert_eq!(opened(&netwatch.alerts()), ["scan.vertical 127.0.0.1 60", "scan.vertical 203.0.113.7 50"]);
}

#[test]
fn the_kernel_program_logs_on_request() {
    let lab = lab();
    let mut netwatch = Netwatch::start(lab.watched(), "--kernel-log debug");
    let mut frame = xtask::traffic::Frame::ipv4(SCANNER, lab.watched().ipv4()).tcp(1, 2, 2).build();
    frame.truncate(40);
    lab.outside().sender().unwrap().send(&frame).unwrap();
    let line = netwatch.wait_for("malformed packet");
    assert!(line.contains("of 40 bytes"), "{line}");
    netwatch.alerts();
}
