//! Events of a slot, of a window, and what is left of them.

use core::net::{IpAddr, Ipv4Addr};

use netwatch_common::Proto;

use super::super::detail::{Hosts, Listed, Matched, Signature};
use super::*;

const REMOTE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);

fn listed(inbound: u64, begun: u64) -> Event {
    let listed = Listed {
        inbound,
        begun,
        outbound: begun,
        hosts: Hosts::one(OURS.into()),
        first_ns: 1,
        last_ns: 2,
        ..Listed::default()
    };
    Event { addr: REMOTE.into(), item: 1, slot: 0, severity: Severity::High, detail: Detail::Listed(listed) }
}

fn matched(dest: [u8; 4]) -> Event {
    let dest = IpAddr::from(dest);
    let matched = Matched {
        signature: Arc::new(Signature::default()),
        proto: Proto::Tcp,
        source_port: 40000,
        dest,
        dest_port: 80,
        outgoing: false,
        excerpt: (*b"GET /").into(),
        dests: Hosts::one(dest),
        flows: 1,
        first_ns: 1,
        last_ns: 1,
    };
    Event {
        addr: REMOTE.into(),
        item: 3,
        slot: 0,
        severity: Severity::Medium,
        detail: Detail::Matched(matched),
    }
}

/// Ends a slot.
fn turn(events: &mut Events, listed: Vec<Event>, slots: u64, followed: bool) -> Vec<Sight> {
    events.begin_slot();
    events.turn(0, listed, slots, |_, _| followed)
}

#[test]
fn what_was_seen_early_is_replaced_by_what_was_counted() {
    let mut events = Events::default();
    let sight = events.so_far(listed(1, 0), OURS.into()).unwrap();
    assert_eq!((sight.observed, sight.severity), (1, Severity::Info));
    assert_eq!(events.so_far(listed(3, 0), OURS.into()).unwrap().observed, 3);
    let other = Ipv4Addr::new(192, 0, 2, 6);
    assert_eq!(events.so_far(listed(2, 0), other.into()).unwrap().observed, 5);
    let sights = turn(&mut events, vec![listed(7, 0), listed(4, 0)], 2, false);
    assert_eq!(sights.iter().map(|sight| sight.observed).collect::<Vec<_>>(), [11]);
    assert_eq!(turn(&mut events, Vec::new(), 2, false)[0].observed, 11);
    assert!(turn(&mut events, Vec::new(), 2, false).is_empty() && events.is_empty());
}

#[test]
fn contact_raises_what_knocking_does_not() {
    let mut events = Events::default();
    assert_eq!(events.so_far(listed(1, 0), OURS.into()).unwrap().severity, Severity::Info);
    let sight = events.so_far(listed(1, 1), OURS.into()).unwrap();
    assert_eq!((sight.severity, sight.observed), (Severity::High, 2));
    assert!(!sight.detail.is_spoofable());
    // And it stays.
    turn(&mut events, vec![listed(1, 1)], 12, false);
    assert_eq!(turn(&mut events, vec![listed(5, 0)], 12, false)[0].severity, Severity::High);
}

#[test]
fn flows_that_match_add_up() {
    let mut events = Events::default();
    assert_eq!(events.add(matched([192, 0, 2, 5])).unwrap().observed, 1);
    let sight = events.add(matched([192, 0, 2, 6])).unwrap();
    let Detail::Matched(all) = &*sight.detail else { panic!("{sight:?}") };
    assert_eq!((sight.observed, all.dests.iter().count()), (2, 2));
    assert_eq!(turn(&mut events, Vec::new(), 12, false)[0].observed, 2);
    assert_eq!(events.add(matched([192, 0, 2, 5])).unwrap().observed, 3);
}

#[test]
fn what_is_followed_is_kept_and_there_is_a_bound() {
    let mut events = Events::default();
    events.add(matched([192, 0, 2, 5]));
    turn(&mut events, Vec::new(), 1, false);
    assert_eq!(turn(&mut events, Vec::new(), 1, true)[0].observed, 0);
    assert!(turn(&mut events, Vec::new(), 1, false).is_empty());
    for number in 0..u32::try_from(EVENTS).unwrap() + 3 {
        let addr = Ipv4Addr::from(0xcb00_0000 + number).into();
        events.add(Event { addr, ..matched([192, 0, 2, 5]) });
    }
    assert_eq!((events.take_lost(), events.take_lost()), (3, 0));
}

#[test]
fn what_was_seen_in_the_next_slot_already_stays_when_one_ends() {
    let mut events = Events::default();
    events.so_far(Event { slot: u32::MAX, ..listed(3, 0) }, OURS.into());
    assert_eq!(events.so_far(Event { slot: 0, ..listed(2, 0) }, OURS.into()).unwrap().observed, 5);
    events.begin_slot();
    let sights = events.turn(u32::MAX, vec![listed(4, 0)], 12, |_, _| false);
    assert_eq!(sights[0].observed, 6, "four that are settled, and two that are fresh");
    events.begin_slot();
    assert_eq!(events.turn(0, vec![listed(2, 0)], 12, |_, _| false)[0].observed, 6);
}

#[test]
fn who_only_knocks_takes_half_of_the_room() {
    let mut events = Events::default();
    for number in 0..u32::try_from(EVENTS).unwrap() {
        let addr = Ipv4Addr::from(0xcb00_0000 + number).into();
        events.so_far(Event { addr, ..listed(1, 0) }, OURS.into());
    }
    assert_eq!(events.take_lost(), u64::try_from(EVENTS / 2).unwrap());
    assert!(events.so_far(listed(1, 1), OURS.into()).is_some(), "contact");
    assert!(events.add(matched([192, 0, 2, 5])).is_some());
}

#[test]
fn of_very_many_hosts_the_end_of_the_slot_tells() {
    let mut events = Events::default();
    let told = (0..u32::try_from(2 * EARLY_HOSTS).unwrap())
        .filter(|number| events.so_far(listed(1, 0), Ipv4Addr::from(0xc000_0200 + number).into()).is_some())
        .count();
    assert_eq!(told, EARLY_HOSTS);
    let all = (0..2 * EARLY_HOSTS).map(|_| listed(1, 0)).collect();
    assert_eq!(turn(&mut events, all, 12, false)[0].observed, 2 * EARLY_HOSTS as u64);
}
