//! journald, by itself in a mount namespace: nothing of it reaches the machine's own journal.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use netwatch::config::OutputTarget;
use netwatch::report::Step;
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use crate::common::{
    Output, Program, Receiver as _, down_and_back, incident, is_root, skip, step, too_long, until,
};

const JOURNALD: &str = "/lib/systemd/systemd-journald";
const SOCKET: &str = "/run/systemd/journal/socket";

/// Runs a test on a thread that has a /run of its own, empty but for what journald is told.
fn alone(test: fn()) {
    if !is_root() || !Path::new(JOURNALD).exists() || !Path::new("/etc/machine-id").exists() {
        return skip("a journald of one's own takes root, systemd and a machine-id");
    }
    let thread = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let mount = |words: &[&str]| assert!(Command::new("mount").args(words).status().unwrap().success());
        mount(&["--make-rprivate", "/"]);
        mount(&["-t", "tmpfs", "tmpfs", "/run"]);
        fs::create_dir_all("/run/systemd/journald.conf.d").unwrap();
        let settings = "[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n";
        fs::write("/run/systemd/journald.conf.d/test.conf", settings).unwrap();
        test();
    });
    thread.join().unwrap();
}

fn start() -> Program {
    let _ = fs::remove_file(SOCKET);
    Program::start(&mut Command::new(JOURNALD))
}

fn entries() -> Vec<Value> {
    let output = Command::new("journalctl")
        .args(["--no-pager", "-q", "-o", "json", "-t", "netwatch"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts() -> Vec<String> {
    entries().iter().map(|entry| entry["MESSAGE"].as_str().unwrap_or_default().to_owned()).collect()
}

fn target() -> OutputTarget {
    OutputTarget::Journald { path: SOCKET.into() }
}

#[test]
fn a_journal_that_comes_and_goes() {
    alone(|| down_and_back(target(), start, texts));
}

#[test]
fn a_journal_that_stays_away_for_too_long() {
    alone(|| too_long(target(), start, texts));
}

#[test]
fn fields_are_those_that_were_sent() {
    alone(|| {
        let journald = start();
        let mut output = Output::start(target(), 10);
        let mut odd = incident(2);
        odd.text = "one\nPRIORITY=0\n\u{4e2d}".into();
        output.offer(1..=1);
        output.0.offer(&step(2, Step::Update, odd));
        until("they are there", || entries().len() == 2);
        output.finish(2);
        journald.stop();
        let entries = entries();
        for (field, value) in [
            ("MESSAGE", "line 1"),
            ("PRIORITY", "4"),
            ("MESSAGE_ID", "954115ba0ad40a807f4b7bad4f59520e"),
            ("NETWATCH_RULE", "scan.vertical"),
            ("NETWATCH_STATE", "open"),
            ("NETWATCH_INCIDENT", "7f3a-1"),
            ("NETWATCH_SRC_IP", "203.0.113.7"),
            ("NETWATCH_OBSERVED", "1000"),
        ] {
            assert_eq!(entries[0][field], value);
        }
        assert_eq!(entries[1]["MESSAGE"], "one\nPRIORITY=0\n\u{4e2d}");
        assert_eq!(entries[1]["PRIORITY"], "4");
    });
}
