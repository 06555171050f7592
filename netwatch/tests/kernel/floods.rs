//! Floods: one incident each, about the source where there is one and about the destination where there are many.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::time::Instant;

use netwatch_common::classify::{ACK, SYN};
use xtask::lab::Lab;
use xtask::traffic::transport::Tcp;
use xtask::traffic::{Frame, scenario};

use crate::incident::{incidents, named};
use crate::lab;
use crate::process::{Netwatch, opened};
use crate::wire::{OUTSIDE, TARGET, TARGET6, host, outside_runs, send, send_at};

/// Room for every source of the floods below.
const ROOM: &str = "--map-memory 128M";

/// What is told of a flood from many sources: frames that come over and over, so many a second for so long.
fn flood(options: &str, frames: &[Vec<u8>], a_second: u32, seconds: usize) -> Vec<serde_json::Value> {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), options);
    let all: Vec<_> = frames.iter().cycle().take(a_second as usize * seconds).cloned().collect();
    let start = Instant::now();
    send_at(&lab, &all, a_second);
    println!("{} packets in {:?}", all.len(), start.elapsed());
    netwatch.alerts()
}

/// The first so many different sources of the family of `to`.
fn sources(to: IpAddr, count: usize) -> Vec<IpAddr> {
    let mut seen = std::collections::BTreeSet::new();
    scenario::random_sources(to, 1).filter(|source| seen.insert(*source)).take(count).collect()
}

#[test]
fn a_flood_of_one_source_is_told_once() {
    const COUNT: usize = 5000;
    let target = TARGET.into();
    let source6 = "2001:db8:66::1".parse().unwrap();
    let floods: [(&str, &str, Vec<Vec<u8>>); 6] = [
        ("203.0.113.1", "syn", scenario::syn_flood(host(1).into(), target, 443, COUNT).collect()),
        ("203.0.113.2", "udp_new", scenario::udp_flood(host(2).into(), target, 443, COUNT).collect()),
        ("203.0.113.3", "icmp_probe", scenario::icmp_flood(host(3).into(), target, COUNT).collect()),
        ("203.0.113.4", "fragment", scenario::fragment_flood(host(4), TARGET, COUNT).collect()),
        ("2001:db8:66::1", "syn", scenario::syn_flood(source6, TARGET6.into(), 443, COUNT).collect()),
        // As an amplifier sends: answers that nobody asked for.
        (
            "203.0.113.5",
            "udp_new",
            (0..COUNT).map(|_| Frame::ipv4(host(5), TARGET).udp(11_211, 40_000, &[7; 500]).build()).collect(),
        ),
    ];
    for (source, class, frames) in floods {
        let lab = lab();
        let netwatch = Netwatch::start(lab.watched(), "");
        send(&lab, &frames);
        let alerts = netwatch.alerts();
        let all = incidents(&alerts);
        assert_eq!(named(&alerts), [format!("dos.unsolicited {source}")], "{class}");
        let flood = &all[0];
        assert_eq!((flood.peak(), flood.severity()), (COUNT as u64, "medium"), "{class}");
        assert_eq!(flood.context("evidence"), &serde_json::json!({ class: COUNT }));
        assert_eq!(flood.context("spoofable"), true);
    }
}

#[test]
fn real_tools_flood_like_ours() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), ROOM);
    for options in [
        "-S -p 443 -a 203.0.113.1 -c 1000 -i u200",
        "--udp -p 443 -a 203.0.113.2 -c 1000 -i u200",
        "--icmp -a 203.0.113.3 -c 1000 -i u200",
        "-S -p 80 --rand-source -c 2000 -i u200",
    ] {
        // It ends with 1 where nothing was answered.
        let Some(_) = outside_runs(&lab, &format!("hping3 -q -I nw1 {options} 198.51.100.1")) else { return };
    }
    assert_eq!(
        opened(&netwatch.alerts()),
        [
            "dos.unsolicited 203.0.113.1 1000",
            "dos.unsolicited 203.0.113.2 1000",
            "dos.unsolicited 203.0.113.3 1000",
            "flood.syn -> 198.51.100.1:80 2000",
        ]
    );
}

#[test]
fn a_fast_flood_of_one_source_is_not_told_by_its_rate_as_well() {
    let frames: Vec<_> = scenario::udp_flood(host(1).into(), TARGET.into(), 443, 50_000).collect();
    let alerts = flood("", &frames, 50_000, 3);
    assert_eq!(named(&alerts), ["dos.unsolicited 203.0.113.1"]);
    assert_eq!((incidents(&alerts)[0].peak(), incidents(&alerts)[0].severity()), (150_000, "high"));
}

/// Opens a flow from the watched side, so that what answers it is known, and returns such an answer.
fn known_flow(lab: &Lab) -> (UdpSocket, Vec<u8>) {
    let near = lab.watched().run(|| UdpSocket::bind((TARGET, 6000)).unwrap()).unwrap();
    near.send_to(b"question", (OUTSIDE, 5000)).unwrap();
    (near, Frame::ipv4(OUTSIDE, TARGET).udp(5000, 6000, &[7; 64]).build())
}

#[test]
fn a_fast_flow_that_was_asked_for_is_recorded_and_not_told() {
    for (options, expected) in [("", None), ("--min-severity info", Some("dos.rate 198.51.100.2 info"))] {
        let lab = lab();
        let netwatch = Netwatch::start(lab.watched(), options);
        let (_near, answer) = known_flow(&lab);
        send_at(&lab, &vec![answer; 150_000], 50_000);
        let alerts = netwatch.alerts();
        let incidents = incidents(&alerts);
        let rates = incidents.iter().map(|one| format!("{} {}", one.what(), one.severity()));
        let rates: Vec<_> = rates.filter(|one| !one.starts_with("dos.packets")).collect();
        assert_eq!(rates, Vec::from_iter(expected), "{options}");
    }
}

#[test]
fn a_fast_flow_of_another_protocol_is_told_by_its_rate() {
    for (a_second, expected) in [(5_000, None), (50_000, Some("dos.rate 203.0.113.9 high"))] {
        let lab = lab();
        let netwatch = Netwatch::start(lab.watched(), "");
        // ESP: neither asked for nor unasked.
        let frame = Frame::ipv4(host(9), TARGET).protocol(50, &[7; 100]).build();
        send_at(&lab, &vec![frame; a_second * 3], u32::try_from(a_second).unwrap());
        let alerts = netwatch.alerts();
        let incidents = incidents(&alerts);
        let rates = incidents.iter().map(|one| format!("{} {}", one.what(), one.severity()));
        assert_eq!(rates.collect::<Vec<_>>(), Vec::from_iter(expected), "{a_second} a second");
    }
}

#[test]
fn syns_of_many_sources_to_one_port_are_one_flood_at_any_rate() {
    for (to, what) in [
        (IpAddr::from(TARGET), "flood.syn -> 198.51.100.1:80"),
        (IpAddr::from(TARGET6), "flood.syn -> 2001:db8:1::1:80"),
    ] {
        let frames: Vec<_> = sources(to, 20_000)
            .into_iter()
            .flat_map(|source| scenario::syn_flood(source, to, 80, 1))
            .collect();
        for (a_second, seconds) in [(5000, 2), (50_000, 3)] {
            let alerts = flood(ROOM, &frames, a_second, seconds);
            assert_eq!(opened(&alerts), [format!("{what} {}", a_second as usize * seconds)]);
            assert_eq!(incidents(&alerts)[0].severity(), "high");
        }
    }
}

#[test]
fn the_257th_syn_that_nobody_completes_is_too_many() {
    let to = IpAddr::from(TARGET);
    let syns = |port, skip, count| {
        sources(to, 1000)
            .into_iter()
            .skip(skip)
            .take(count)
            .flat_map(move |source| scenario::syn_flood(source, to, port, 1))
    };
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    send(&lab, &syns(80, 0, 256).chain(syns(81, 500, 257)).collect::<Vec<_>>());
    assert_eq!(opened(&netwatch.alerts()), ["flood.syn -> 198.51.100.1:81 257"]);
}

#[test]
fn packets_of_many_sources_to_one_destination_are_one_flood() {
    let to = IpAddr::from(TARGET);
    let udp = |source| scenario::udp_flood(source, to, 443, 1).next().unwrap();
    let icmp = |source| scenario::icmp_flood(source, to, 1).next().unwrap();
    let all = sources(to, 20_000);
    let floods: [(&str, Vec<Vec<u8>>); 2] =
        [("UDP", all.iter().copied().map(udp).collect()), ("ICMP", all.iter().copied().map(icmp).collect())];
    for (name, frames) in floods {
        let alerts = flood(ROOM, &frames, 50_000, 3);
        assert_eq!(named(&alerts), ["ddos.destination -> 198.51.100.1"], "{name}");
        let all = incidents(&alerts);
        assert_eq!(all[0].severity(), "critical");
        assert_eq!(all[0].context("spoofable"), true);
    }
}

#[test]
fn fragments_of_many_sources_are_one_flood() {
    let frames: Vec<_> = sources(TARGET.into(), 5000)
        .into_iter()
        .filter_map(|source| match source {
            IpAddr::V4(source) => scenario::fragment_flood(source, TARGET, 1).next(),
            IpAddr::V6(_) => None,
        })
        .collect();
    let alerts = flood(ROOM, &frames, 10_000, 3);
    assert_eq!(named(&alerts), ["flood.fragment -> 198.51.100.1"]);
    assert_eq!(incidents(&alerts)[0].severity(), "medium");
}

#[test]
fn a_flood_that_fills_the_maps_is_told_and_so_is_that_they_are_full() {
    let frames: Vec<_> = scenario::random_source_syn_flood(TARGET.into(), 80, 60_000, 1).collect();
    let alerts = flood("--map-memory 1M", &frames, 20_000, 3);
    assert_eq!(named(&alerts), ["flood.syn -> 198.51.100.1:80", "netwatch.degraded"]);
    assert_eq!(incidents(&alerts)[1].severity(), "medium");
    assert_eq!(incidents(&alerts)[0].context("degraded"), true, "some of it was not counted");
}

#[test]
fn a_scanner_under_a_cover_of_random_sources_is_found_and_named() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--map-memory 256M");
    let cover: Vec<_> = scenario::random_source_syn_flood(TARGET.into(), 80, 20_000, 3).collect();
    let mut probes = scenario::syn_scan(Ipv4Addr::new(203, 0, 113, 7).into(), TARGET.into(), 1..=14);
    // Two ports a second for seven seconds, each between ten thousand packets of cover.
    let mut frames = Vec::new();
    for half in cover.chunks(10_000).cycle().take(14) {
        frames.extend_from_slice(half);
        frames.extend(probes.next());
    }
    send_at(&lab, &frames, 20_000);
    assert_eq!(
        opened(&netwatch.alerts()),
        ["flood.syn -> 198.51.100.1:80 140000", "scan.vertical 203.0.113.7 14"]
    );
}

#[test]
fn who_acknowledges_what_it_has_not_seen_completes_nothing() {
    let lab = lab();
    let route =
        lab.watched().command("ip").args(["route", "add", "203.0.112.0/20", "via", "198.51.100.2"]).status();
    assert!(route.unwrap().success());
    let _server = lab.watched().run(|| TcpListener::bind((TARGET, 8080)).unwrap()).unwrap();
    let netwatch = Netwatch::start(lab.watched(), "");
    let source = |number: u32| Ipv4Addr::from(0xcb00_7000 + number);
    let frame = |number, flags, acknowledgement| {
        let tcp = Tcp::new(40_000, 8080, flags).sequence(1, acknowledgement);
        Frame::ipv4(source(number), TARGET).carrying(tcp).build()
    };
    let syns = (0..600).map(|number| frame(number, SYN, 0));
    // A guess is right once in 65,536 times: every hundredth run of this test has a lucky one. Four do not happen.
    let guesses = (0..600).map(|number| frame(number, ACK, 0x1234_5678));
    send(&lab, &syns.chain(guesses).collect::<Vec<_>>());
    let alerts = netwatch.alerts();
    assert_eq!(named(&alerts), ["flood.syn -> 198.51.100.1:8080"]);
    let peak = incidents(&alerts)[0].peak();
    assert!((597..=600).contains(&peak), "{peak} of 600 not completed");
}
