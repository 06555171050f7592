//! `netwatch watch` as a user runs it.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv6Addr, UdpSocket};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use aya::programs::{SchedClassifier, TcAttachType};
use netwatch::capture::{Captures, Direction};
use nix::sys::signal::Signal;
use serde_json::Value;
use xtask::lab::{Lab, Side};
use xtask::traffic::transport::{ACK, SYN, Tcp};
use xtask::traffic::{Frame, scenario};

use crate::process::{Bare, Ended, Netwatch, PATIENCE};
use crate::wire::{OUTSIDE, TARGET, TARGET6, host, outside_runs, send};
use crate::{lab, skip};

const FAR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 7);

/// `netwatch watch` on nw0, when it watches.
fn watch(side: &Side, options: &[&str]) -> Netwatch {
    let mut command = side.command(env!("CARGO_BIN_EXE_netwatch"));
    command.args(["watch", "-i", "nw0"]).args(options).stdin(Stdio::null());
    let mut started = Netwatch::spawn(&mut command);
    started.wait_for("watching nw0");
    started
}

/// Ends it as Ctrl-C does.
#[track_caller]
fn end(watch: Netwatch) -> Ended {
    // What passed a moment ago is in the ring, and is shown.
    watch.signal(Signal::SIGINT);
    ended(watch)
}

#[track_caller]
fn ended(watch: Netwatch) -> Ended {
    let ended = watch.ended();
    assert!(ended.status.success(), "{:#?}", ended.stderr);
    let all = ended.stderr.join("\n");
    assert!(!all.contains("unaccounted for"), "{all}");
    ended
}

/// What it says was seen, shown, and not shown for a reason.
#[track_caller]
fn summary(ended: &Ended) -> (u64, u64, u64) {
    let line = ended.stderr.iter().find(|line| line.contains(" packets seen, ")).expect("a summary");
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let reasons = ended.stderr.iter().filter(|line| line.starts_with("  "));
    let not_shown: u64 = reasons.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum();
    assert_eq!(numbers[0], numbers[1] + not_shown, "{:#?}", ended.stderr);
    assert_eq!(numbers[2], not_shown);
    (numbers[0], numbers[1], not_shown)
}

/// The part of a line behind the time.
fn bodies(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| line.split_once(' ').expect("a time").1).collect()
}

#[test]
fn lines_tell_of_both_directions() {
    let lab = lab();
    let watching = watch(lab.watched(), &["--rate", "none"]);
    let near = lab.watched().run(|| UdpSocket::bind((TARGET, 7777)).unwrap()).unwrap();
    let far = lab.outside().run(|| UdpSocket::bind((OUTSIDE, 9999)).unwrap()).unwrap();
    near.send_to(b"question", (OUTSIDE, 9999)).unwrap();
    far.recv(&mut [0; 8]).unwrap();
    far.send_to(b"answer", (TARGET, 7777)).unwrap();
    near.recv(&mut [0; 8]).unwrap();
    let frames = [
        Frame::ipv4(host(7), TARGET).tcp(40_000, 22, SYN).build(),
        Frame::ipv4(host(7), TARGET).echo_request(1, 1).build(),
        Frame::ipv6(FAR6, TARGET6).echo_request(1, 1).build(),
    ];
    send(&lab, &frames);
    let ended = end(watching);
    assert_eq!(
        bodies(&ended.stdout),
        [
            "out udp   198.51.100.1:7777 > 198.51.100.2:9999  50 bytes  known",
            "in  udp   198.51.100.2:9999 > 198.51.100.1:7777  48 bytes  known",
            "in  tcp   203.0.113.7:40000 > 198.51.100.1:22  S  54 bytes  syn",
            "out tcp   198.51.100.1:22 > 203.0.113.7:40000  RA  54 bytes  known",
            "in  icmp  203.0.113.7 > 198.51.100.1  echo request  74 bytes  icmp_probe",
            "out icmp  198.51.100.1 > 203.0.113.7  echo reply  74 bytes  other",
            "in  icmp6 2001:db8:9::7 > 2001:db8:1::1  echo request  94 bytes  icmp_probe",
            "out icmp6 2001:db8:1::1 > 2001:db8:9::7  echo reply  94 bytes  other",
        ]
    );
    assert_eq!(summary(&ended), (8, 8, 0));
}

#[test]
fn a_limit_ends_it_and_only_what_matches_is_shown() {
    let lab = lab();
    let options = ["--format", "json", "-c", "3", "-x", "tcp[tcpflags] & tcp-syn != 0", "and", "dst port 80"];
    let watching = watch(lab.watched(), &options);
    let mut frames: Vec<_> =
        (0..50).map(|port| Frame::ipv4(host(7), TARGET).udp(4000, port, b"").build()).collect();
    let hello = Tcp::new(40_000, 80, SYN).payload(b"\x1bhello");
    frames.extend((0..5).map(|_| Frame::ipv4(host(8), TARGET).carrying(hello.clone()).build()));
    send(&lab, &frames);
    let ended = ended(watching);
    assert_eq!(ended.stdout.len(), 3);
    for line in &ended.stdout {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["src_ip"], &event["dest_port"]), (&"203.0.113.8".into(), &80.into()));
        assert_eq!((&event["tcp_flags"], &event["class"]), (&"S".into(), &"syn".into()));
        assert_eq!(event["payload"], "1b68656c6c6f");
    }
    let (_, shown, _) = summary(&ended);
    assert_eq!(shown, 3);
    let all = ended.stderr.join("\n");
    assert!(all.contains("did not match the filter"), "{all}");
}

#[test]
fn what_cannot_be_done_is_said_in_one_line_with_its_code() {
    let lab = lab();
    for (options, code, says) in [
        (&["-i", "nosuch0"][..], 3, "no interface named nosuch0"),
        (&["-i", "nw0", "tpc port 80"], 2, "filter \"tpc port 80\": can't parse filter expression"),
        (&["-i", "nw0", "host 1.2.3.4.5"], 2, "filter "),
        (&["-i", "nw0", "--rate", "5/h"], 2, "--rate: "),
        (&["-i", "nw0", "-w", "/nowhere/file"], 1, "open /nowhere/file"),
    ] {
        let mut command = lab.watched().command(env!("CARGO_BIN_EXE_netwatch"));
        let output = command.arg("watch").args(options).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{options:?}: {stderr}");
        let line = stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("netwatch: ") && line.contains(says), "{stderr}");
    }
}

#[test]
fn without_privileges_it_says_so() {
    let lab = lab();
    let mut command = lab.watched().command("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--securebits=+noroot"]);
    command.args([env!("CARGO_BIN_EXE_netwatch"), "watch", "-i", "nw0"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("CAP_BPF"), "{stderr}");
}

/// Sends as fast as it can. Returns how many packets there were.
fn flood(lab: &Lab, packets: usize) -> u64 {
    let before = lab.watched().counters().unwrap().rx_packets;
    let frames: Vec<_> = scenario::syn_flood(host(7).into(), TARGET.into(), 80, 1000).collect();
    let frames = frames.iter().cycle().take(packets);
    let sent = lab.outside().sender().unwrap().send_all(frames, None).unwrap().accepted;
    lab.watched().received(before + sent, PATIENCE).unwrap();
    sent
}

#[test]
fn under_a_flood_what_is_shown_and_what_is_not_is_what_was_sent_and_run_is_unharmed() {
    let lab = lab();
    let counting = Netwatch::start(lab.watched(), "--slot 1s");
    let incoming = ["--direction", "in", "--rate", "200/s"];
    let limited = watch(lab.watched(), &incoming);
    let sampled = watch(lab.watched(), &["--direction", "in", "--sample", "1000", "--rate", "none", "tcp"]);
    let sent = flood(&lab, 300_000);
    let (limited, sampled) = (end(limited), end(sampled));
    let (seen, shown, not_shown) = summary(&limited);
    println!("{sent} sent; at 200/s {shown} shown, {not_shown} not; one of 1000: {:?}", summary(&sampled));
    assert_eq!(seen, sent);
    assert_eq!(shown, limited.stdout.len() as u64);
    assert!(limited.stderr.join("\n").contains("over the rate of 200/s"), "{:#?}", limited.stderr);
    let (seen, shown, _) = summary(&sampled);
    assert_eq!((seen, shown), (sent, sampled.stdout.len() as u64));
    // Each CPU begins by itself.
    assert!((300..=300 + 64).contains(&shown), "{shown}");
    // That each packet was counted, and none is missing, is what this looks for.
    counting.signal(Signal::SIGINT);
    let counted = counting.ended();
    let all = counted.stderr.join("\n");
    assert!(all.contains("unaccounted for: 0"), "{all}");
    assert!(all.contains(&format!("{sent} packets")) || all.contains(&sent.to_string()), "{all}");
}

#[test]
fn a_reader_that_is_too_slow_costs_packets_that_are_counted() {
    let lab = lab();
    let mut command = lab.watched().command(env!("CARGO_BIN_EXE_netwatch"));
    command.args(["watch", "-i", "nw0", "--direction", "in", "-x", "-s", "1500"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let mut said = std::io::BufReader::new(stderr);
    let mut line = String::new();
    while !line.contains("watching nw0") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0);
    }
    let frame = Frame::ipv4(host(7), TARGET).udp(4000, 4001, &[0x41; 1400]).build();
    let before = lab.watched().counters().unwrap().rx_packets;
    let frames = std::iter::repeat_n(&frame, 20_000);
    let sent = lab.outside().sender().unwrap().send_all(frames, Some(40_000)).unwrap().accepted;
    lab.watched().received(before + sent, PATIENCE).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    let start = Instant::now();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "nobody who does not read keeps it from ending");
    assert!(rest.contains(&format!("nw0: {sent} packets seen")), "{rest}");
    assert!(rest.contains("not written fast enough") && !rest.contains("unaccounted"), "{rest}");
}

/// A file that goes with the test.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("netwatch-watch-{}-{name}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_holds_the_packets_as_they_were_for_other_readers_too() {
    let lab = lab();
    let file = File::new("packets.pcapng");
    fs::write(&file.0, [0; 100_000]).unwrap();
    let watching = watch(lab.watched(), &["-w", file.path(), "--print", "tcp or vlan"]);
    let mut frames: Vec<_> = (0..40)
        .map(|port| {
            let tcp = Tcp::new(40_000, port, ACK).payload(&[port as u8; 1200]);
            Frame::ipv4(host(7), TARGET).carrying(tcp).build()
        })
        .collect();
    frames.push(Frame::ipv4(host(7), TARGET).vlan(0x8100, 5).udp(1, 2, b"tagged").build());
    frames.push(Frame::ipv4(host(7), TARGET).udp(1, 2, b"not wanted").build());
    send(&lab, &frames);
    frames.pop();
    let ended = end(watching);
    let (_, shown, _) = summary(&ended);
    assert_eq!(ended.stdout.len() as u64, shown);

    let mut captures = Captures::open(std::slice::from_ref(&file.0)).unwrap();
    let (mut received, mut sent, mut before) = (Vec::new(), 0, 0);
    while let Some(packet) = captures.next() {
        assert!(packet.at_ns >= before, "in order");
        before = packet.at_ns;
        match packet.direction {
            Direction::Received => received.push(packet.frame.to_vec()),
            Direction::Sent => sent += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(captures.problems().is_empty(), "{:?}", captures.problems());
    assert_eq!(received, frames);
    assert_eq!(received.len() as u64 + sent, shown);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((now.as_nanos() as i64 - before) < 600_000_000_000, "the time is that of the wall");

    let Some(read) = outside_runs(&lab, &format!("tcpdump -n -r {} vlan 5", file.path())) else { return };
    let (lines, said) = (String::from_utf8(read.stdout).unwrap(), String::from_utf8(read.stderr).unwrap());
    assert_eq!(lines.lines().count(), 1, "{lines}{said}");
    assert!(lines.contains("203.0.113.7.1 > 198.51.100.1.2: UDP, length 6"), "{lines}");
}

#[test]
fn packets_can_go_to_standard_output_as_a_file() {
    let lab = lab();
    let file = File::new("stdout.pcapng");
    let mut command = lab.watched().command(env!("CARGO_BIN_EXE_netwatch"));
    command.args(["watch", "-i", "nw0", "-w", "-", "-c", "5", "--direction", "in"]);
    command.stdin(Stdio::null()).stdout(fs::File::create(&file.0).unwrap()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("watching nw0") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0);
    }
    send(
        &lab,
        &(0..5).map(|port| Frame::ipv4(host(7), TARGET).udp(1, port, b"").build()).collect::<Vec<_>>(),
    );
    assert!(child.wait().unwrap().success());
    let mut captures = Captures::open(std::slice::from_ref(&file.0)).unwrap();
    while captures.next().is_some() {}
    assert_eq!((captures.counts().packets, captures.problems().len()), (5, 0));
}

/// How many programs hang on nw0's hooks.
pub fn attached(side: &Side) -> usize {
    let count = |hook| SchedClassifier::query_tcx(side.interface(), hook).unwrap().1.len();
    side.run(|| count(TcAttachType::Ingress) + count(TcAttachType::Egress)).unwrap()
}

#[test]
fn a_killed_watch_leaves_nothing() {
    let lab = lab();
    let watching = watch(lab.watched(), &[]);
    assert_eq!(attached(lab.watched()), 3);
    watching.signal(Signal::SIGKILL);
    assert!(!watching.ended().status.success());
    let start = Instant::now();
    while attached(lab.watched()) > 0 {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_ends_when_its_interface_does_and_when_nobody_reads() {
    let lab = lab();
    let watching = watch(lab.watched(), &["-c", "1000"]);
    lab.unplug().unwrap();
    let gone = watching.ended();
    assert_eq!(gone.status.code(), Some(3), "{:#?}", gone.stderr);
    lab.plug().unwrap();
    let mut piped = Bare::start_command(
        lab.watched().command(env!("CARGO_BIN_EXE_netwatch")).args(["watch", "-i", "nw0"]),
        Stdio::piped(),
    );
    drop(piped.child.stdout.take());
    let (code, said) = piped.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("closed the pipe"), "{said}");
}

#[test]
fn filters_need_libpcap_and_nothing_else_does() {
    if !fs::exists("/usr/lib/x86_64-linux-gnu/libpcap.so.0.8").unwrap_or(false) {
        return skip("libpcap is elsewhere on this machine");
    }
    let binary = fs::read(env!("CARGO_BIN_EXE_netwatch")).unwrap();
    // The name is there to be loaded by; the dynamic section, which would need it at each start, ends it with a zero too,
    // so the linker is asked.
    assert!(binary.windows(14).any(|bytes| bytes == b"libpcap.so.0.8"));
    let needed = std::process::Command::new("ldd").arg(env!("CARGO_BIN_EXE_netwatch")).output().unwrap();
    assert!(!String::from_utf8_lossy(&needed.stdout).contains("libpcap"));
}
