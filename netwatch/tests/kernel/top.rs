//! `netwatch top` that watches by itself.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use xtask::lab::Lab;

use crate::lab;
use crate::life::scan;
use crate::pty::{PATIENCE, Pty};

fn top(lab: &Lab) -> Command {
    let mut command = lab.watched().command(env!("CARGO_BIN_EXE_netwatch"));
    let options = ["top", "-i", lab.watched().interface(), "--", "--slot", "1s", "--map-memory", "8M"];
    command
        .args(options)
        .env("TERM", "xterm")
        .env("LANG", "C.UTF-8")
        .env_remove("NO_COLOR")
        .env_remove("LC_ALL");
    command
}

/// The processes that a process has started, by their number.
fn children(of: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may hold anything, so what follows its end is read: the state, and the parent.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(of)
    };
    numbers.filter(is_child).collect()
}

#[track_caller]
fn wait_until_gone(pid: u32) {
    let start = Instant::now();
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(start.elapsed() < PATIENCE, "{pid} goes on");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_dashboard_that_watches_by_itself_shows_a_scan() {
    let lab = lab();
    let pty = Pty::run(&mut top(&lab), 100, 30);
    pty.wait_for("nw0 ");
    pty.wait_for(" live");
    let watch = children(pty.id());
    assert_eq!(watch.len(), 1, "{watch:?}");
    scan(&lab);
    pty.wait_for("203.0.113.7 probed");
    pty.wait_for("incident is open");
    pty.type_keys("\r");
    pty.wait_for("scan.vertical");
    pty.type_keys("\x03");
    let start = Instant::now();
    let (status, screen) = pty.ended();
    assert_eq!(status.code(), Some(0), "{screen}");
    wait_until_gone(watch[0]);
    // It was asked to end and has done so; nobody had to kill it.
    println!("the watch ended within {:?}", start.elapsed());
}

#[test]
fn the_watch_ends_with_a_dashboard_that_is_killed() {
    let lab = lab();
    let pty = Pty::run(&mut top(&lab), 80, 24);
    pty.wait_for(" live");
    let watch = children(pty.id());
    assert_eq!(watch.len(), 1, "{watch:?}");
    pty.signal(Signal::SIGKILL);
    wait_until_gone(watch[0]);
}

#[test]
fn the_watch_sees_by_itself_that_its_dashboard_has_gone() {
    let lab = lab();
    let serves = std::env::temp_dir().join(format!("netwatch-top-parent-{}", std::process::id()));
    let script = "NETWATCH_PARENT=$$ \"$0\" run -i \"$1\" --listen none --map-memory 8M >\"$2\" 2>&1 & wait";
    let mut shell = lab.watched().command("sh");
    let program = env!("CARGO_BIN_EXE_netwatch");
    let mut shell =
        shell.args(["-c", script, program, lab.watched().interface()]).arg(&serves).spawn().unwrap();
    let start = Instant::now();
    while !fs::read_to_string(&serves).is_ok_and(|said| said.contains("watching")) {
        assert!(start.elapsed() < PATIENCE, "{:?}", fs::read_to_string(&serves));
        thread::sleep(Duration::from_millis(50));
    }
    let watch = children(shell.id());
    assert_eq!(watch.len(), 1, "{watch:?}");
    shell.kill().unwrap();
    shell.wait().unwrap();
    wait_until_gone(watch[0]);
    fs::remove_file(&serves).unwrap();
}

#[test]
fn a_watch_that_ends_ends_the_dashboard_and_says_why() {
    let lab = lab();
    let pty = Pty::run(&mut top(&lab), 80, 24);
    pty.wait_for(" live");
    let watch = i32::try_from(children(pty.id())[0]).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(watch), Signal::SIGKILL).unwrap();
    let (status, screen) = pty.ended();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert!(screen.contains("the watch ended"), "{screen}");
}
