//! The thresholds on the wire, and what the alerts say.

use netwatch_common::classify::ACK;
use xtask::traffic::{Frame, scenario};

use crate::lab;
use crate::process::{Netwatch, opened};
use crate::wire::{TARGET, host, send};

/// What netwatch says of some frames.
#[track_caller]
fn alerts_of(options: &str, frames: &[Vec<u8>]) -> Vec<serde_json::Value> {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), options);
    send(&lab, frames);
    netwatch.alerts()
}

#[test]
fn the_eleventh_port_is_a_scan_and_the_tenth_is_not() {
    let scan = |last, ports| scenario::syn_scan(host(last).into(), TARGET.into(), 1..=ports);
    let frames: Vec<_> = scan(10, 10).chain(scan(11, 11)).collect();
    let alerts = alerts_of("", &frames);
    assert_eq!(opened(&alerts), ["scan.vertical 203.0.113.11 11"]);
    assert_eq!(alerts.len(), 2, "one open, one close: {alerts:#?}");

    let (alert, context) = (&alerts[0], &alerts[0]["alert"]["context"]);
    assert_eq!(alert["event_type"], "alert");
    assert_eq!(alert["in_iface"], "nw0");
    assert_eq!(alert["proto"], "TCP");
    assert_eq!(alert["alert"]["action"], "allowed");
    assert_eq!(context["threshold"], 10);
    assert_eq!(context["window_s"], 60.0);
    assert_eq!(context["severity"], "medium");
    assert_eq!(context["first_ports"], serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(context["evidence"], serde_json::json!({ "syn": 11 }));
    assert_eq!(context["incident"], alerts[1]["alert"]["context"]["incident"]);
    assert_eq!(alerts[1]["alert"]["context"]["state"], "close");
}

#[test]
fn the_hundred_and_first_packet_is_too_many_and_the_hundredth_is_not() {
    let flood = |last, count| scenario::syn_flood(host(last).into(), TARGET.into(), 443, count);
    // An answer to a question that this host asked, as far as flags tell.
    let known = |last, count| {
        std::iter::repeat_n(Frame::ipv4(host(last), TARGET).tcp(443, 50_000, ACK).build(), count)
    };
    let frames: Vec<_> =
        flood(100, 100).chain(flood(101, 101)).chain(known(200, 100)).chain(known(201, 101)).collect();
    assert_eq!(opened(&alerts_of("--mode flags", &frames)), ["dos.unsolicited 203.0.113.101 101"]);
    assert_eq!(
        opened(&alerts_of("", &frames)),
        ["dos.unsolicited 203.0.113.101 101", "dos.unsolicited 203.0.113.201 101"],
        "this host has asked nothing"
    );
    assert_eq!(
        opened(&alerts_of("--mode flags --min-severity info", &frames)),
        [
            "dos.packets 203.0.113.101 101",
            "dos.packets 203.0.113.201 101",
            "dos.unsolicited 203.0.113.101 101"
        ]
    );
}

#[test]
fn ordinary_traffic_raises_nothing() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let frames: Vec<_> = scenario::inbound(scenario::ordinary(TARGET.into(), 40)).collect();
    assert!(frames.len() > 500);
    send(&lab, &frames);
    assert_eq!(netwatch.alerts(), [serde_json::Value::Null; 0]);
}
