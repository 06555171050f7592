//! Files as they are read back, and what is left of a directory.

mod folder;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use netwatch_common::Verdict;

use super::*;
use crate::analysis::detail::{Hosts, Matched, Signature};
use crate::analysis::{CloseReason, Peer, RuleId};
use crate::capture::Captures;

const SECOND: u64 = 1_000_000_000;
/// 2026-11-21T02:50:00Z at monotonic 0.
const WALL: i64 = 1_795_229_400 * 1_000_000_000;

/// Two interfaces.
const ETH0: u8 = 0;
const ETH1: u8 = 1;

/// A directory that goes with this value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-evidence-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn settings(&self) -> EvidenceSettings {
        EvidenceSettings {
            dir: self.0.clone(),
            packets: 3,
            max_bytes: 1 << 20,
            max_files: 10,
            max_age: Duration::from_secs(3600),
            min_severity: Severity::Low,
        }
    }

    fn keeper(&self) -> Keeper<u8> {
        keeper(&self.settings())
    }

    /// What is in it, in the order of the alphabet.
    fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn write(&self, name: &str, bytes: usize, age: u64) {
        let file = File::create(self.0.join(name)).unwrap();
        file.set_len(bytes as u64).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One that waits however busy the machine is that tests.
fn keeper(settings: &EvidenceSettings) -> Keeper<u8> {
    let mut keeper = Keeper::start(settings, Settings::DEFAULT).unwrap();
    keeper.patience = Duration::from_secs(60);
    keeper
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn opened(incident: u64, source: &str) -> Transition {
    let source = Peer { addr: ip(source), bits: 32, host: None };
    let scan = crate::sinks::tests::scan(State::Open);
    Transition { incident, source: Some(source), at_ns: 10 * SECOND, ..scan }
}

/// Begins a file on the first interface, with the incident's number as the last part of its name.
fn begin(keeper: &mut Keeper<u8>, transition: &Transition) -> Option<Begun> {
    begin_on(keeper, ETH0, Link::Ethernet, transition)
}

fn begin_on(keeper: &mut Keeper<u8>, interface: u8, link: Link, transition: &Transition) -> Option<Begun> {
    let incident = format!("7f3a-1-{}", transition.incident);
    let told =
        Told { incident: &incident, line: "203.0.113.7 probed 11 tcp ports", link, wall_offset_ns: WALL };
    keeper.begin(interface, transition, &told)
}

/// A packet so many seconds after the start.
fn sample(seconds: u64, frame: &[u8]) -> Sample {
    let bytes = u32::try_from(frame.len()).unwrap();
    Sample {
        at_ns: seconds * SECOND + 7,
        wire_len: bytes + 1_000,
        captured: bytes,
        verdict: Verdict::Syn as u8,
        purpose: Sample::EVIDENCE,
        ..Sample::default()
    }
}

/// A frame that can be told from others by its last bytes.
fn frame(number: u8) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    frame.extend([0x08, 0x00]);
    frame.extend([number; 40]);
    frame
}

fn packet(keeper: &mut Keeper<u8>, begun: &Begun, seconds: u64, number: u8) {
    let frame = frame(number);
    keeper.packet(ETH0, begun.account, &sample(seconds, &frame), &frame);
}

/// What netwatch itself reads of a file: times, lengths on the wire, frames and directions.
fn read_back(path: &str) -> Vec<(i64, u32, Vec<u8>, Direction)> {
    let mut captures = Captures::open(&[path.into()]).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = captures.next() {
        packets.push((packet.at_ns, packet.wire_bytes, packet.frame.to_vec(), packet.direction));
    }
    assert!(captures.problems().is_empty());
    packets
}

#[test]
fn packets_of_the_source_are_in_the_file_that_the_alert_tells_of() {
    let dir = Dir::new("read");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    assert_eq!((begun.account, begun.packets), (ip("203.0.113.7").into(), 3));
    let (received, sent) = (frame(1), frame(2));
    keeper.packet(ETH0, begun.account, &sample(9, &received), &received);
    let out = Sample { direction: Sample::OUT, vlan: 0x8100_0007, ..sample(11, &sent) };
    keeper.packet(ETH0, begun.account, &out, &sent);
    let counts = keeper.finish();
    assert_eq!((counts.files, counts.packets, counts.removed), (1, 2, 0));

    let mut tagged = sent[..12].to_vec();
    tagged.extend([0x81, 0x00, 0x00, 0x07]);
    tagged.extend(&sent[12..]);
    let at = |seconds: i64| WALL + seconds * 1_000_000_000 + 7;
    assert_eq!(
        read_back(&begun.path),
        [(at(9), 1_054, received, Direction::Received), (at(11), 1_058, tagged, Direction::Sent),]
    );
    let bytes = fs::read(&*begun.path).unwrap();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(has(b"203.0.113.7 probed 11 tcp ports") && has(b"eth0"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // What the umask leaves of it.
    assert!(mode(Path::new(&*begun.path)) & !0o640 == 0 && mode(&dir.0) & !0o750 == 0);
    assert_eq!(dir.names(), ["7f3a-1-1.pcapng"]);
}

#[test]
fn tcpdump_reads_it_too() {
    let dir = Dir::new("tcpdump");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    packet(&mut keeper, &begun, 10, 1);
    packet(&mut keeper, &begun, 11, 2);
    let _ = keeper.finish();
    let Ok(read) = Command::new("tcpdump").args(["-nn", "-tt", "-e", "-r", &begun.path]).output() else {
        println!("skipped: tcpdump is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("1795229410.000000") && text.contains("length 1054"), "{text}");
}

#[test]
fn frames_without_a_link_header_are_told_as_such() {
    let dir = Dir::new("ip");
    let mut keeper = dir.keeper();
    let begun = begin_on(&mut keeper, ETH0, Link::Ip, &opened(1, "203.0.113.7")).unwrap();
    let packet = [&[0x45][..], &[0; 39]].concat();
    keeper.packet(ETH0, begun.account, &sample(10, &packet), &packet);
    let _ = keeper.finish();
    let packets = read_back(&begun.path);
    // The reader puts a header of Ethernet before it.
    assert_eq!((packets.len(), &packets[0].2[14..]), (1, &packet[..]));
}

#[test]
fn a_file_takes_so_many_packets_and_its_source_is_wanted_no_more() {
    let dir = Dir::new("count");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    (0..3).for_each(|number| packet(&mut keeper, &begun, 10, number));
    assert_eq!(keeper.done(11 * SECOND), [(ETH0, begun.account)]);
    assert_eq!(keeper.done(11 * SECOND), []);
    packet(&mut keeper, &begun, 10, 3);
    let counts = keeper.finish();
    assert_eq!((counts.packets, counts.packets_not_kept(Reason::TooMany)), (3, 1));
    assert_eq!(read_back(&begun.path).len(), 3);
}

#[test]
fn a_file_takes_packets_for_a_minute() {
    let dir = Dir::new("minute");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    packet(&mut keeper, &begun, 69, 0);
    packet(&mut keeper, &begun, 70, 1);
    assert_eq!(keeper.done(70 * SECOND), []);
    assert_eq!(keeper.done(70 * SECOND + 1), [(ETH0, begun.account)]);
    let counts = keeper.finish();
    assert_eq!((counts.packets, counts.packets_not_kept(Reason::TooMany)), (1, 1));
}

#[test]
fn two_incidents_of_one_source_have_a_file_each() {
    let dir = Dir::new("two");
    let mut keeper = dir.keeper();
    let first = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    packet(&mut keeper, &first, 10, 0);
    let second = begin(&mut keeper, &opened(2, "203.0.113.7")).unwrap();
    packet(&mut keeper, &first, 10, 1);
    packet(&mut keeper, &first, 10, 2);
    assert_eq!(keeper.done(11 * SECOND), [], "the second takes one more");
    packet(&mut keeper, &second, 10, 3);
    assert_eq!(keeper.done(11 * SECOND), [(ETH0, first.account)]);
    let counts = keeper.finish();
    assert_eq!((counts.files, counts.packets, counts.packets_not_kept(Reason::TooMany)), (2, 6, 0));
    let numbers =
        |begun: &Begun| read_back(&begun.path).iter().map(|packet| packet.2[20]).collect::<Vec<_>>();
    assert_eq!((numbers(&first), numbers(&second)), (vec![0, 1, 2], vec![1, 2, 3]));
}

#[test]
fn packets_of_others_and_of_other_interfaces_are_not_in_it() {
    let dir = Dir::new("others");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    let frame = frame(1);
    keeper.packet(ETH1, begun.account, &sample(10, &frame), &frame);
    keeper.packet(ETH0, ip("203.0.113.8").into(), &sample(10, &frame), &frame);
    let inspected = Sample { purpose: Sample::PAYLOAD, ..sample(10, &frame) };
    keeper.packet(ETH0, ip("203.0.113.8").into(), &inspected, &frame);
    let counts = keeper.finish();
    assert_eq!((counts.packets, counts.packets_not_kept(Reason::TooMany)), (0, 2));
    assert!(read_back(&begun.path).is_empty(), "a file without packets is one");
}

#[test]
fn who_is_told_as_a_network_is_wanted_as_one() {
    let dir = Dir::new("network");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "2001:db8:1:2:3::4")).unwrap();
    assert_eq!(begun.account, ip("2001:db8:1:2::").into());
}

#[test]
fn only_incidents_about_a_source_that_weigh_enough_have_a_file() {
    let dir = Dir::new("which");
    let mut keeper = dir.keeper();
    let scan = opened(1, "203.0.113.7");
    let update = Transition { state: State::Update, ..scan.clone() };
    let quiet = State::Close(CloseReason::Quiet);
    for none in [
        Transition { state: quiet, ..scan.clone() },
        Transition { weight: Severity::Info, ..scan.clone() },
        Transition { rule: RuleId::FloodSyn, source: None, dest: Some(ip("192.0.2.5")), ..scan.clone() },
        Transition { rule: RuleId::Degraded, source: None, ..scan },
    ] {
        assert_eq!(begin(&mut keeper, &none), None, "{none:?}");
    }
    assert!(dir.names().is_empty());
    assert_eq!(keeper.counts(), Counts::default(), "that is as it should be");

    // One that comes to weigh enough has a file from then on, and never two.
    assert!(keeper.wants(&update) && begin(&mut keeper, &update).is_some());
    assert!(!keeper.wants(&update) && begin(&mut keeper, &update).is_none());

    // What a host of ours sends is sampled by where it goes.
    let matched = Matched {
        signature: Arc::new(Signature {
            id: "a.b".into(),
            name: "n".into(),
            reference: "r".into(),
            attack_id: "T1".into(),
        }),
        proto: netwatch_common::Proto::Tcp,
        source_port: 40_000,
        dest: ip("198.51.100.9"),
        dest_port: 80,
        outgoing: true,
        excerpt: Arc::from(&b"x"[..]),
        dests: Hosts::one(ip("198.51.100.9")),
        flows: 1,
        first_ns: 1,
        last_ns: 1,
    };
    let detail = Some(Arc::new(Detail::Matched(matched)));
    let ours = Transition { rule: RuleId::PayloadMatch, detail, ..opened(2, "192.0.2.5") };
    assert_eq!(begin(&mut keeper, &ours).unwrap().account, ip("198.51.100.9").into());
}

#[test]
fn an_incident_tells_of_its_file_until_it_is_over() {
    let dir = Dir::new("link");
    let mut keeper = dir.keeper();
    let mut open = opened(1, "203.0.113.7");
    let begun = begin(&mut keeper, &open).unwrap();
    let mut update = Transition { state: State::Update, ..open.clone() };
    let mut other = Transition { incident: 2, ..update.clone() };
    let mut close = Transition { state: State::Close(CloseReason::Quiet), ..open.clone() };
    for transition in [&mut open, &mut update, &mut other, &mut close] {
        keeper.link(transition);
    }
    for told in [open, update, close] {
        assert_eq!(told.evidence_file.as_ref(), Some(&begun.path));
    }
    assert_eq!(other.evidence_file, None);
    assert!(keeper.paths.is_empty());
}

#[test]
fn so_many_files_are_open_and_no_more() {
    let dir = Dir::new("many");
    let settings = EvidenceSettings { max_files: 1_000, ..dir.settings() };
    let mut keeper = keeper(&settings);
    for incident in 0..FILES_OPEN as u64 {
        assert!(begin(&mut keeper, &opened(incident, "203.0.113.7")).is_some());
    }
    assert_eq!(begin(&mut keeper, &opened(9_999, "203.0.113.7")), None);
    assert_eq!(keeper.done(71 * SECOND).len(), 1, "all are of one source");
    assert!(begin(&mut keeper, &opened(9_999, "203.0.113.7")).is_some());
    let counts = keeper.finish();
    assert_eq!((counts.files, counts.files_not_begun(Reason::TooMany)), (FILES_OPEN as u64 + 1, 1));
}

#[test]
fn a_disk_that_hangs_keeps_nobody_waiting() {
    let dir = Dir::new("slow");
    let mut keeper = dir.keeper();
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    while read(&keeper.counters.handled) < 1 {
        thread::yield_now();
    }
    // Nobody reads this queue: that is what a thread looks like which waits for its disk.
    let (queue, unread) = sync_channel(2);
    let working = std::mem::replace(&mut keeper.queue, queue);
    let patience = std::mem::replace(&mut keeper.patience, Duration::from_millis(20));
    assert_eq!(begin(&mut keeper, &opened(2, "203.0.113.8")), None, "it waits once");
    let start = Instant::now();
    for incident in 3..1_000 {
        assert_eq!(begin(&mut keeper, &opened(incident, "203.0.113.8")), None);
    }
    assert!(start.elapsed() < keeper.patience * 500, "and never again");
    packet(&mut keeper, &begun, 10, 0);
    packet(&mut keeper, &begun, 10, 1);
    packet(&mut keeper, &begun, 10, 2);
    let counts = keeper.counts();
    assert_eq!(counts.files_not_begun(Reason::Slow), 998);
    assert_eq!(counts.packets_not_kept(Reason::Slow), 2);
    assert_eq!(keeper.done(71 * SECOND), [], "it is told that it has to end later");

    // The disk is back. What was asked for in vain leaves no file, and the next packet says what is missing.
    (keeper.queue, keeper.patience) = (working, patience);
    for message in unread.try_iter().collect::<Vec<_>>() {
        keeper.queue.send(message).unwrap();
    }
    packet(&mut keeper, &begun, 10, 3);
    assert_eq!(keeper.done(71 * SECOND), [(ETH0, begun.account)]);
    while keeper.counts().packets < 2 {
        thread::yield_now();
    }
    assert!(begin(&mut keeper, &opened(1_000, "203.0.113.8")).is_some());
    let counts = keeper.finish();
    assert_eq!((counts.files, counts.packets), (2, 2));
    assert_eq!(dir.names(), ["7f3a-1-1.pcapng", "7f3a-1-1000.pcapng"]);
    let dropped = [4_u8, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    let bytes = fs::read(&*begun.path).unwrap();
    assert!(bytes.windows(dropped.len()).any(|window| window == dropped), "epb_dropcount");
}
