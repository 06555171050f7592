//! `netwatch replay` as a user runs it, without root.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use xtask::traffic::scenario::{self, Crossing};
use xtask::traffic::{Frame, pcap};

/// 2026-11-21T02:50:00Z, in seconds since the epoch.
const BEGIN_S: u64 = 1_795_229_400;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

const SCANNER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// Packets, each with its time: nanoseconds since the first one of all may come.
type Packets = Vec<(u64, Vec<u8>)>;

/// One probe each 100 ms, the first after a second.
fn scan(from: Ipv4Addr, ports: impl IntoIterator<Item = u16>) -> Packets {
    let frames = scenario::syn_scan(from.into(), TARGET.into(), ports);
    (0..).zip(frames).map(|(nth, frame)| (SECOND + nth * 100 * MILLISECOND, frame)).collect()
}

/// What an ordinary host hears and says, both directions, for three seconds.
fn ordinary(host: Ipv4Addr) -> Packets {
    let frames = scenario::ordinary(IpAddr::from(host), 8).map(|crossing| match crossing {
        Crossing::In(frame) | Crossing::Out(frame) => frame,
    });
    (0..).zip(frames).map(|(nth, frame)| (nth * 10 * MILLISECOND, frame)).collect()
}

/// A capture of them.
fn pcap(packets: Packets) -> Vec<u8> {
    pcap::file(BEGIN_S, packets).unwrap()
}

/// What most tests replay: a scan of eleven ports among ordinary traffic.
fn capture() -> Vec<u8> {
    pcap([ordinary(TARGET), scan(SCANNER, 1..=11)].concat())
}

/// A file for one test, which no other one names.
fn file(name: &str, bytes: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path.into_os_string().into_string().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// `netwatch replay --engine host`, with more options.
fn command(options: &str, files: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwatch"));
    command.args(["replay", "--engine", "host"]).args(options.split_whitespace()).args(files);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it says, by the time it has ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    lines: Vec<String>,
    stderr: String,
}

impl Said {
    fn of(child: Child) -> Self {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = String::from_utf8(stdout).unwrap();
        Self {
            code: status.code(),
            lines: text.lines().map(str::to_owned).collect(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Each line's time, severity, state, rule and source.
    fn told(&self) -> Vec<String> {
        let words = |line: &String| line.split_whitespace().take(5).collect::<Vec<_>>().join(" ");
        self.lines.iter().map(words).collect()
    }
}

fn replay(options: &str, files: &[&str]) -> Said {
    Said::of(command(options, files).spawn().unwrap())
}

const OPENED: &str = "2026-11-21T02:50:02Z MEDIUM open scan.vertical 203.0.113.7";
/// At the end of the slot in which the capture ends.
const CLOSED: &str = "2026-11-21T02:50:05Z MEDIUM close scan.vertical 203.0.113.7";

#[test]
fn a_scan_is_told_at_the_time_of_its_packets() {
    let path = file("text.pcap", &capture());
    let said = replay("", &[&path]);
    assert_eq!((said.code, said.told()), (Some(0), vec![OPENED.to_owned(), CLOSED.to_owned()]));
    let opened = "probed 11 tcp ports by syn in 60 s on text.pcap (threshold 10): 1-11; evidence syn=11; \
                  may be spoofed; incident ";
    assert!(said.lines[0].contains(opened), "{}", said.lines[0]);
    let packets = ordinary(TARGET).len() + 11;
    for part in
        [&format!("text.pcap: {packets} packets, "), "in 1 slots", "incidents: 1 opened, 0 updates, 1 closed"]
    {
        assert!(said.stderr.contains(part), "{part:?} in {}", said.stderr);
    }
    assert_eq!(replay("", &[&path]).lines, said.lines, "the same capture, the same lines");
    let quiet = replay("--log off", &[&path]);
    assert_eq!((quiet.lines, quiet.stderr), (said.lines, String::new()));
}

#[test]
fn an_alert_does_not_wait_for_the_next_packet() {
    let later = vec![(3 * SECOND, scan(SCANNER, [80]).remove(0).1)];
    let path = file("later.pcap", &pcap([scan(SCANNER, 1..=11), later].concat()));
    let said = replay("--format json", &[&path]);
    let opened: Value = serde_json::from_str(&said.lines[0]).unwrap();
    // A millisecond after the eleventh probe.
    assert_eq!(opened["timestamp"], "2026-11-21T02:50:02.001000+0000");
}

#[test]
fn ten_ports_and_ordinary_traffic_are_nothing_to_tell() {
    let path = file("ten.pcap", &pcap([ordinary(TARGET), scan(SCANNER, 1..=10)].concat()));
    let said = replay("", &[&path]);
    assert_eq!((said.code, said.lines.len()), (Some(0), 0), "{said:#?}");
    let fewer = replay("--threshold scan.vertical=9", &[&path]);
    assert_eq!(fewer.told()[0], OPENED.replace("02Z", "01Z"), "the tenth probe came after 1.9 s");
}

#[test]
fn each_line_of_json_is_an_event() {
    let said = replay("--format json", &[&file("json.pcap", &capture())]);
    let events: Vec<Value> = said.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((said.code, events.len()), (Some(0), 2));
    let context = |event: usize| &events[event]["alert"]["context"];
    assert_eq!(events[0]["event_type"], "alert");
    assert_eq!(events[0]["src_ip"], "203.0.113.7");
    assert_eq!(events[0]["in_iface"], "json.pcap");
    assert!(events[0]["timestamp"].as_str().unwrap().starts_with("2026-11-21T02:50:02.0"), "{}", events[0]);
    assert_eq!(context(0)["first_seen"], "2026-11-21T02:50:01.000000Z");
    assert_eq!(context(0)["last_seen"], "2026-11-21T02:50:02.000000Z");
    assert_eq!(context(0)["confidence"], "flows");
    assert_eq!([&context(0)["state"], &context(1)["state"]], ["open", "close"]);
    assert_eq!(context(0)["incident"], context(1)["incident"]);
    assert_eq!(context(1)["packets"], 11);
}

#[test]
fn what_could_be_read_of_a_damaged_capture_is_used() {
    let whole = capture();
    let cut = file("cut.pcap", &whole[..whole.len() - 20]);
    // The last record is the ordinary host's: an answer to its ping, or the like.
    let last = ordinary(TARGET).pop().unwrap().1.len() + 16;
    let said = replay("", &[&cut]);
    assert_eq!((said.code, said.told()), (Some(10), vec![OPENED.to_owned(), CLOSED.to_owned()]));
    let problem = format!("{cut}: damaged at byte {}: a record is cut short", whole.len() - last);
    assert!(said.stderr.contains(&problem), "{problem} in {}", said.stderr);

    let mut zipped = gzip(&whole);
    zipped.truncate(zipped.len() - 8);
    let said = replay("", &[&file("cut.pcap.gz", &zipped)]);
    assert_eq!((said.code, said.told()[0].as_str()), (Some(10), OPENED));
    assert!(said.stderr.contains("the gzip data ends early"), "{}", said.stderr);
}

#[test]
fn a_clock_that_goes_back_is_told() {
    // As if the clock had been wrong for a moment: what follows is no scan within a minute.
    let slow = |ports: std::ops::RangeInclusive<u16>| {
        scan(SCANNER, ports)
            .into_iter()
            .zip(0..)
            .map(|((_, frame), nth)| (nth * 20 * SECOND, frame))
            .collect()
    };
    let (begin, rest): (Packets, Packets) = (slow(1..=1), slow(2..=30));
    let wrong = vec![(86_400 * SECOND, begin[0].1.clone())];
    let whole = [&pcap(begin)[..], &pcap(wrong)[24..], &pcap(rest.clone())[24..]].concat();
    let said = replay("", &[&file("back.pcap", &whole)]);
    let warning = "WARN 29 packets with a time a slot or more before that of an earlier one";
    assert!(said.code == Some(0) && said.stderr.contains(warning), "{said:#?}");
    let right = replay("", &[&file("forth.pcap", &pcap(rest))]);
    assert!(!right.stderr.contains("WARN"), "{}", right.stderr);
}

#[test]
fn a_terminal_does_not_obey_the_name_of_a_file() {
    for bytes in [capture(), capture()[..1_000].to_vec(), b"only words\n".to_vec()] {
        let said = replay("", &[&file("red\x1b[31m\n.pcap", &bytes)]);
        let is_clean = |line: &str| !line.contains(char::is_control) && !line.starts_with(".pcap");
        assert!(said.lines.iter().map(String::as_str).chain(said.stderr.lines()).all(is_clean), "{said:#?}");
        assert!(said.stderr.contains("red?[31m?.pcap: "), "{}", said.stderr);
    }
}

#[test]
fn what_is_no_capture_is_refused() {
    let text = file("text.txt", b"no packets, only words\n");
    let empty = file("empty.pcap", b"");
    let absent = format!("{empty}.absent");
    let good = file("good.pcap", &capture());
    for (files, says) in [
        (vec![text.as_str()], "text.txt: this is no capture: it looks like text"),
        (vec![&empty], "empty.pcap: it is empty"),
        (vec![&absent], "absent: cannot open it: No such file or directory"),
        (vec![env!("CARGO_TARGET_TMPDIR")], "this is a directory"),
        (vec!["-", "-"], "standard input: it can be read only once"),
        (vec![&good, &text], "text.txt: this is no capture"),
    ] {
        let said = replay("", &files);
        assert_eq!((said.code, said.lines.len()), (Some(10), 0), "{files:?}: {said:#?}");
        assert!(said.stderr.contains(says) && said.stderr.lines().count() == 1, "{says}: {}", said.stderr);
    }
    let headers_only = replay("", &[&file("none.pcap", &pcap(Vec::new()))]);
    assert_eq!((headers_only.code, headers_only.lines.len()), (Some(0), 0), "no packets are no damage");
}

#[test]
fn nonsense_is_refused() {
    let path = file("nonsense.pcap", &capture());
    for (options, says) in [
        ("--engine gpu", "invalid value 'gpu' for '--engine <ENGINE>'"),
        ("--local 1.2.3", "netwatch: --local: \"1.2.3\" is no network"),
        ("--window 7s", "netwatch: --window: 7s is not a whole number of slots"),
        ("--min-severity loud", "invalid value 'loud' for '--min-severity"),
        ("--interface eth0", "unexpected argument '--interface' found"),
        ("--for 5s", "unexpected argument '--for' found"),
        (
            "--mode host",
            "netwatch: --mode host: which packets the host sent is not known; name its address with --local",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netwatch"));
        command.arg("replay").args(options.split(' ')).arg(&path);
        let said = Said::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!((said.code, said.lines.len()), (Some(2), 0), "{options}: {said:#?}");
        assert!(said.stderr.contains(says), "{options}: {}", said.stderr);
    }
    assert_eq!(replay("", &[]).code, Some(2), "no capture");
}

#[test]
fn a_compressed_capture_comes_through_a_pipe() {
    let mut child = command("", &["-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&gzip(&capture())).unwrap();
    let said = Said::of(child);
    assert_eq!((said.code, said.told()), (Some(0), vec![OPENED.to_owned(), CLOSED.to_owned()]));
    assert!(said.lines[0].contains(" on stdin "), "{}", said.lines[0]);
}

#[test]
fn several_captures_are_one_by_their_times() {
    let split = |odd: usize| {
        let packets = scan(SCANNER, 1..=11).into_iter().skip(odd).step_by(2).collect();
        file(&format!("half{odd}.pcap"), &pcap(packets))
    };
    let (even, odd, rest) = (split(0), split(1), file("rest.pcap.gz", &gzip(&pcap(ordinary(TARGET)))));
    assert_eq!(replay("", &[&even, &rest]).lines.len(), 0, "six ports");
    for files in [[&even, &odd, &rest], [&rest, &odd, &even]] {
        let said = replay("", &files.map(String::as_str));
        assert_eq!((said.code, said.told()), (Some(0), vec![OPENED.to_owned(), CLOSED.to_owned()]));
        assert!(said.lines[0].contains(" on 3 captures "), "{}", said.lines[0]);
    }
}

#[test]
fn a_summary_stands_in_for_alerts() {
    let path = file("summary.pcap", &capture());
    let packets = ordinary(TARGET).len() + 11;
    let said = replay("--summary", &[&path]);
    let text = said.lines.join("\n");
    assert_eq!(said.code, Some(0));
    for part in [
        &format!("\npackets       {packets}, "),
        "time          2026-11-21T02:50:00.000000Z to 2026-11-21T02:50:0",
        "\ncounted by    the host engine; replies are told as in mode mirror",
        "\n  203.0.113.7 ",
        "\nincidents: 1 opened, 1 closed",
        "\n  1  medium    scan.vertical  203.0.113.7  2026-11-21T02:50:02Z  at the end  11 tcp ports ",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(!text.contains(" open "), "alerts are not told besides");
    assert_eq!(replay("--summary", &[&path]).lines, said.lines, "the same capture, the same summary");

    let said = replay("--summary --format json", &[&path]);
    assert_eq!((said.code, said.lines.len()), (Some(0), 1));
    let report: Value = serde_json::from_str(&said.lines[0]).unwrap();
    assert_eq!(report["packets"], packets);
    assert_eq!(report["classes"]["syn"], 11 + 2 * 8, "the scan, and two connections in each round");
    assert_eq!(report["first_packet"], "2026-11-21T02:50:00.000000Z");
    assert_eq!(report["incidents"]["list"][0]["rule"], "scan.vertical");
    assert_eq!(report["incidents"]["list"][0]["opened"].as_str().unwrap()[..19], OPENED[..19]);
    let is_scanner = |source: &&Value| source["source"] == "203.0.113.7";
    let scanner = report["sources"]["top"].as_array().unwrap().iter().find(is_scanner).unwrap();
    assert_eq!([&scanner["packets"], &scanner["ports"], &scanner["incidents"]], [11, 11, 1]);

    let cut = file("summary_cut.pcap", &capture()[..5_000]);
    let said = replay("--summary --format json", &[&cut]);
    let report: Value = serde_json::from_str(&said.lines[0]).unwrap();
    assert_eq!((said.code, report["problems_total"].as_u64()), (Some(10), Some(1)));
}

#[test]
fn what_was_asked_and_answered_is_not_unsolicited() {
    let udp = |from: Ipv4Addr, to: Ipv4Addr, ports: (u16, u16)| {
        Frame::ipv4(from, to).udp(ports.0, ports.1, b"question or answer").build()
    };
    // Three hundred questions; all but the last hundred and one are answered a millisecond later.
    let packets = (0..300_u16).flat_map(|nth| {
        let (at, port) = (u64::from(nth) * 10 * MILLISECOND, 20_000 + nth);
        let question = (at, udp(TARGET, SCANNER, (port, 53)));
        let answer = (at + MILLISECOND, udp(SCANNER, TARGET, (53, port)));
        [Some(question), (nth < 199).then_some(answer)]
    });
    let path = file("resolver.pcap", &pcap(packets.flatten().collect()));
    let said = replay("--summary --format json", &[&path]);
    let report: Value = serde_json::from_str(&said.lines[0]).unwrap();
    let unsolicited = |what: &str| {
        let list = report[what]["top"].as_array().unwrap();
        list.iter().map(|one| one["unsolicited"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(["sources", "services", "destinations"].map(unsolicited), [101; 3]);
    assert_eq!(replay("", &[&path]).told().len(), 2, "one incident, opened and closed");
    let fewer = replay("--threshold dos.unsolicited=101", &[&path]);
    assert_eq!(fewer.lines, [""; 0]);
}

#[test]
fn what_a_pipe_brings_does_not_wait_for_its_end() {
    let mut child = command("", &["-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let is_told = Arc::new(AtomicBool::new(false));
    let is_enough = Arc::clone(&is_told);
    let writing = thread::spawn(move || {
        stdin.write_all(&pcap(scan(SCANNER, 1..=11))).unwrap();
        // One more packet now and then: after a second, what is there is enough to guess which side is ours.
        let frame = scan(SCANNER, [80]).remove(0).1;
        for nth in 0..600 {
            thread::sleep(Duration::from_millis(100));
            let packet = pcap(vec![((30 + nth) * 100 * MILLISECOND, frame.clone())]);
            stdin.write_all(&packet[24..]).unwrap();
            if is_enough.load(Ordering::Relaxed) {
                return;
            }
        }
        panic!("nothing is told for a minute");
    });
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    is_told.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    assert!(line.starts_with("2026-11-21T02:50:02Z MEDIUM   open   scan.vertical"), "{line}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn options_decide_what_is_worth_a_word() {
    let path = file("options.pcap", &capture());
    for (options, expect) in [
        ("--min-severity medium", vec![OPENED, CLOSED]),
        ("--min-severity high", vec![]),
        // Of our own hosts ten times as much is tolerated.
        ("--local 203.0.113.0/24 --local 198.51.100.0/24", vec![]),
        ("--local 198.51.100.0/24", vec![OPENED, CLOSED]),
        ("--mode flags", vec![OPENED, CLOSED]),
        ("--mode host --local 198.51.100.1/32", vec![OPENED, CLOSED]),
    ] {
        let said = replay(options, &[&path]);
        assert_eq!(
            (said.code, said.told()),
            (Some(0), expect.into_iter().map(str::to_owned).collect()),
            "{options}"
        );
    }
    let many = file("many.pcap", &pcap(scan(SCANNER, 1..=101)));
    let ours = "--local 203.0.113.0/24 --local 198.51.100.0/24";
    assert_eq!(
        replay(ours, &[&many]).told()[0],
        OPENED.replace("02Z MEDIUM", "11Z HIGH"),
        "the 101st port is too many even so"
    );
}

#[test]
fn an_entry_of_the_allow_list_ends_when_the_packets_say_so() {
    let list = "[[allow]]\nprefix = \"203.0.113.0/24\"\nuntil = 2036-01-01\n";
    let options = format!("-c {}", file("allow.toml", list.as_bytes()));
    let before = scan(SCANNER, 1..=11);
    let ten_years = 3_653 * 86_400 * SECOND;
    let after: Packets = before.iter().map(|(ns, frame)| (ten_years + ns, frame.clone())).collect();
    for (name, packets, told) in [
        ("before.pcap", before.clone(), 0),
        ("after.pcap", after.clone(), 2),
        ("both.pcap", [before, after].concat(), 2),
    ] {
        let said = replay(&options, &[&file(name, &pcap(packets))]);
        assert_eq!((said.code, said.lines.len()), (Some(0), told), "{name}: {said:#?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_ends_it_well() {
    // As many packets are looked at before the first one counts.
    let filler = scenario::udp_flood(TARGET.into(), SCANNER.into(), 9, 10_000);
    let filler =
        (0..).zip(filler).map(|(nth, frame)| (2 * SECOND + (10 + nth) * MILLISECOND, frame)).collect();
    let first = pcap([scan(SCANNER, 1..=11), filler].concat());
    let later = |(since_ns, frame)| (since_ns + 20 * SECOND, frame);
    let second = pcap(scan(Ipv4Addr::new(203, 0, 113, 8), 1..=11).into_iter().map(later).collect());

    let mut child = command("--log warn", &["-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(&first).unwrap();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with(&OPENED[..20]), "{line}");
    drop(stdout);
    stdin.write_all(&second[24..]).unwrap();
    drop(stdin);
    let said = Said::of(child);
    assert_eq!((said.code, said.lines.len()), (Some(0), 0), "{}", said.stderr);
    let complaints: Vec<_> = said.stderr.lines().filter(|line| !line.contains(" WARN ")).collect();
    assert_eq!(complaints, [""; 0]);
}
