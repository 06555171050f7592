//! What a replay says of captures in which nobody attacks anybody: nothing above info, but for a few that are listed.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use netwatch::analysis::{Severity, Slot, State, Transition};
use netwatch::capture::Captures;
use netwatch::cli::{EngineWish, PlaceArgs, SettingArgs};
use netwatch::config::Config;
use netwatch::replay::player::Observe;
use netwatch::replay::prepare::Prepared;
use netwatch_common::Proto;

/// What is said, of which file, and why it is not wrong to say so, or not known better.
const KNOWN: [(&str, &str, &str); 12] = [
    (
        "ICS-Security-Tools__MELSEC__melsoft_UDP_clean_2.pcap",
        "scan.vertical udp 192.168.3.250",
        "answers to questions that went to everybody: nobody asked this host, as far as ports and addresses tell",
    ),
    (
        "ICS-Security-Tools__beckoff__addrouteuse444444444.pcapng",
        "dos.unsolicited  192.168.1.99",
        "a hundred questions to the broadcast address of a network whose size is not known",
    ),
    (
        "ipfixprobe__functional__inputs__mixed.pcap",
        "scan.vertical udp 10.5.5.1",
        "traceroute: one UDP port after the other",
    ),
    (
        "ipfixprobe__functional__inputs__sip.pcap",
        "payload.match  147.32.77.113",
        "a scanner of telephone systems that gives its name, friendly-scanner",
    ),
    (
        "nDPI__dnscrypt-v1-and-resolver-pings.pcap",
        "dos.unsolicited  10.0.0.1",
        "a hundred questions within a minute that are not answered, and fragments",
    ),
    (
        "nDPI__dotenv.pcap",
        "payload.match  192.168.2.198",
        "a request for /.env, which is what the capture is about",
    ),
    (
        "nDPI__fins.pcap",
        "dos.unsolicited  10.4.14.102",
        "hundreds of packets within milliseconds before there is an answer",
    ),
    ("nDPI__gnutella.pcap", "dos.unsolicited  10.0.2.15", "peers that are gone"),
    (
        "nDPI__gnutella.pcap",
        "scan.vertical udp 10.0.2.15",
        "more than a hundred peers, each on a port of its own",
    ),
    ("nDPI__gnutella.pcap", "scan.vertical tcp 10.0.2.15", "the same over TCP"),
    (
        "zeek__ntp__ntp2.pcap",
        "payload.match  192.168.43.118",
        "a time server is asked for the list of its clients",
    ),
    ("zeek__ntp__ntpmode67.pcap", "payload.match  127.0.0.1", "the same"),
];

/// What was opened above info: rule and source.
#[derive(Default)]
struct Told(Vec<String>);

impl Observe for Told {
    fn slot(&mut self, _: &Slot) {}

    fn transitions(&mut self, transitions: &[Transition]) {
        let opened =
            transitions.iter().filter(|told| told.state == State::Open && told.weight > Severity::Info);
        self.0.extend(opened.map(|told| {
            let proto = told.proto.map_or("", Proto::name);
            let who = told.source.as_ref().map(|source| source.addr.to_string()).unwrap_or_default();
            format!("{} {proto} {who}", told.rule.name())
        }));
    }
}

#[test]
fn benign_captures_raise_nothing_but_what_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/benign");
    if !folder.is_dir() {
        println!("skipped: corpus absent");
        return;
    }
    let config = Config::from_settings(&SettingArgs::default(), &PlaceArgs::default()).unwrap();
    let (mut files, mut packets) = (0, 0_u64);
    let mut told = BTreeMap::<String, Vec<String>>::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let paths = [path];
        let Ok(mut captures) = Captures::open(&paths) else { continue };
        let prepared = Prepared::look(&config, &mut captures, &paths).unwrap();
        let mut player =
            prepared.player(&config, EngineWish::Host, |policy| policy, Told::default()).unwrap();
        while let Some(packet) = captures.next() {
            player.packet(&packet).unwrap();
        }
        player.finish().unwrap();
        files += 1;
        packets += player.totals().seen;
        if !player.observer().0.is_empty() {
            told.insert(name, player.observer().0.clone());
        }
    }
    let mut known = BTreeMap::<String, Vec<String>>::new();
    for (file, what, _) in KNOWN {
        known.entry(file.to_owned()).or_default().push(what.to_owned());
    }
    told.values_mut().chain(known.values_mut()).for_each(|told| told.sort());
    println!("{files} files, {packets} packets: {} incidents in {} files", KNOWN.len(), told.len());
    assert!(files > 900 && packets > 100_000);
    assert_eq!(told, known);
}
