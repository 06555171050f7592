//! What the signatures that come with netwatch find in real captures: in ordinary ones nothing but what is listed, in
//! those with attacks the attacks.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netwatch::capture::Captures;
use netwatch::signatures::{Matcher, Sample, Signatures, Wanted, load};
use netwatch_common::{Settings, parse};

/// What is found in captures that are labelled benign, and why it is there.
const KNOWN: [(&str, &str, &str); 6] = [
    ("ipfixprobe__functional__inputs__sip.pcap", "sip.scanner", "SIPVicious, which says so"),
    ("nDPI__dotenv.pcap", "web.secret-probe", "a request for /.env with curl"),
    ("nDPI__smbv1.pcap", "smb.trans2-session-setup", "DoublePulsar is asked whether it is there"),
    ("suricata-verify__tcp-fastopen-03__tfo.pcap", "web.path-traversal", "/etc/passwd is asked for"),
    ("zeek__ntp__ntp2.pcap", "ntp.monlist", "the list is asked for"),
    ("zeek__ntp__ntpmode67.pcap", "ntp.monlist", "the list is asked for"),
];

/// What is found in captures with attacks.
const ATTACKS: [(&str, &[&str]); 10] = [
    ("encap/suricata-verify__bug-814__input.pcap", &["web.scanner-agent"]),
    ("other/arkime__pcap__adb.pcap", &["adb.shell-dropper"]),
    ("other/nDPI__WebattackSQLinj.pcap", &["web.sqli-tautology", "web.sqli-union"]),
    ("other/nDPI__sql_injection.pcap", &["web.sqli-union"]),
    ("other/packets__http_dvwa_sqlinjection.pcapng", &["web.sqli-tautology", "web.sqli-union"]),
    ("other/packets__http_dvwa_sqlinjection_passwords.pcapng", &["web.sqli-tautology", "web.sqli-union"]),
    ("other/suricata-verify__output-multi-eve__input.pcap", &["web.log4shell"]),
    ("other/suricata-verify__tcp-fastopen-06__tfo-s1.pcap", &["web.path-traversal"]),
    ("other/zeek__http__cooper-grill-dvwa.pcapng", &["web.sqli-tautology", "web.sqli-union"]),
    ("other/zeek__tcp__payload-syn.pcap", &["web.path-traversal"]),
];

fn corpus(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus").join(folder);
    if !path.is_dir() {
        println!("skipped: corpus absent");
        return None;
    }
    Some(path)
}

/// What is found in a capture, by identifier; and how many samples there were.
fn found(signatures: &Arc<Signatures>, path: &Path) -> (BTreeSet<String>, u64) {
    let Ok(mut captures) = Captures::open(&[path.to_owned()]) else { return Default::default() };
    let mut matcher = Matcher::new(signatures.clone());
    let mut clients = HashMap::new();
    let mut found = BTreeSet::new();
    while let Some(packet) = captures.next() {
        let Ok(ip) = parse(packet.frame, &Settings::DEFAULT) else { continue };
        let Some(sample) = Sample::of(&ip, packet.frame, packet.wire_bytes) else { continue };
        let (from, to) = ((sample.source, sample.source_port), (sample.dest, sample.dest_port));
        // SYN without ACK, and SYN-ACK.
        match ip.transport.flags & 0x12 {
            0x02 => drop(clients.insert((from, to), true)),
            0x12 => drop(clients.insert((from, to), false)),
            _ => {}
        }
        let reverse = clients.get(&(to, from)).map(|is_client: &bool| !is_client);
        let client_is_source = clients.get(&(from, to)).copied().or(reverse);
        if sample.bytes.is_empty() {
            continue;
        }
        let sample = Sample { client_is_source, at_ns: packet.at_ns.unsigned_abs(), ..sample };
        for hit in matcher.sample(&sample) {
            if let Some(signature) = hit.signature(signatures) {
                found.insert(signature.id.clone());
            }
        }
    }
    (found, matcher.counters().samples)
}

#[test]
fn benign_captures_hold_nothing_but_what_is_listed() {
    let Some(folder) = corpus("benign") else { return };
    let signatures = Arc::new(load(&Wanted::default()).unwrap());
    let (mut files, mut samples) = (0, 0);
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (found, looked_at) = found(&signatures, &path);
        files += 1;
        samples += looked_at;
        let name = path.file_name().unwrap().to_str().unwrap();
        all.extend(found.into_iter().map(|id| format!("{name} {id}")));
    }
    println!("{files} files, {samples} packets with payload");
    assert!(files > 900 && samples > 50_000);
    let known: BTreeSet<String> = KNOWN.iter().map(|(name, id, _)| format!("{name} {id}")).collect();
    assert_eq!(all, known);
}

#[test]
fn attacks_in_captures_are_found_and_nothing_else() {
    let Some(folder) = corpus("") else { return };
    let signatures = Arc::new(load(&Wanted::default()).unwrap());
    let mut files = 0;
    for kind in ["encap", "flood", "ipv6", "malformed", "other", "scan"] {
        for entry in fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{kind}/{}", path.file_name().unwrap().to_str().unwrap());
            let (found, _) = found(&signatures, &path);
            let expect = ATTACKS.iter().find(|(attack, _)| *attack == name).map_or(&[][..], |(_, ids)| ids);
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expect, "{name}");
            files += 1;
        }
    }
    println!("{files} files");
    assert!(files > 1_900);
}
