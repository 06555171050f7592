//! What is on the screen, and what keys make of it.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::daemon::{Daemon, incident, incidents_and, status};
use crate::pty::Pty;

const DOWN: &str = "\x1b[B";
const ESC: &str = "\x1b";

#[test]
fn the_dashboard_and_an_incident_at_80x24_and_larger() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url()]);
    pty.check("board-80x24", "2001:db8::/64");
    pty.type_keys(DOWN);
    pty.wait_for(">medium");
    pty.type_keys("k\r");
    pty.check("incident-80x24", "incident, open");
    pty.type_keys(ESC);
    pty.check("board-80x24", "open incidents");
    pty.resize(120, 40);
    pty.check("board-120x40", "packets sources");
    pty.resize(30, 5);
    pty.wait_for("too small");
    pty.resize(80, 24);
    pty.check("board-80x24", "open incidents");
    pty.type_keys("\t\r");
    pty.wait_for("handshakes");
    pty.type_keys("q?");
    pty.wait_for("draw everything again");
    pty.type_keys("qq");
    assert!(pty.ended().0.success());
}

#[test]
fn without_colour_and_with_ascii_alone() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url(), "--no-color", "--ascii"]);
    pty.check("board-ascii-80x24", "2001:db8::/64");
    pty.wait("no colour", |screen| {
        (0..24).all(|row| {
            (0..80).all(|column| {
                let cell = screen.cell(row, column).unwrap();
                cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default
            })
        })
    });
    assert!(pty.text().is_ascii());
}

#[test]
fn a_filter_narrows_the_lists() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url()]);
    pty.wait_for("2001:db8::/64");
    pty.type_keys("/Probed");
    pty.wait_for("/Probed");
    pty.wait_until_gone("東京");
    pty.wait_for("none matches the filter");
    pty.type_keys("\r");
    pty.wait_for("filter \"Probed\"");
    pty.type_keys(ESC);
    pty.wait_for("東京");
    pty.type_keys("s");
    pty.wait_for("open incidents by newest");
}

#[test]
fn an_alert_comes_and_goes_without_being_asked_for() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url()]);
    pty.wait_for("3 open, worst high");
    daemon.answer("/api/v1/status", status(4).to_string());
    let mut flood = incident("a-9", "critical", "flood.syn", "2026-11-22T05:00:00Z", "198.51.100.200 floods");
    daemon.answer("/api/v1/incidents", incidents_and(&[flood.clone()]).to_string());
    daemon.push("alert", &json!({"step": "open", "incident": flood, "text": "x"}));
    pty.wait_for("198.51.100.200 floods");
    pty.wait_for("worst critical");
    flood["state"] = "closed".into();
    daemon.answer("/api/v1/incidents", incidents_and(&[]).to_string());
    daemon.push("alert", &json!({"step": "close", "incident": flood, "text": "x"}));
    pty.wait_until_gone("198.51.100.200 floods");
    pty.wait_for("worst high");
}

#[test]
fn a_daemon_that_goes_is_waited_for() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url()]);
    pty.wait_for("2001:db8::/64");
    // It leads the stream on where it was.
    let seen = incident("a-9", "high", "scan.vertical", "2026-11-22T03:00:00Z", "it is seen");
    daemon.answer("/api/v1/incidents", incidents_and(&[seen.clone()]).to_string());
    daemon.push("alert", &json!({"step": "open", "incident": seen, "text": "x"}));
    pty.wait_for("it is seen");
    let address = daemon.address;
    drop(daemon);
    pty.wait_for("reconnecting");
    pty.wait_for("old");
    pty.wait_for("it is seen");
    let daemon = Daemon::at(address);
    pty.wait_for("live");
    pty.check("board-80x24", "2001:db8::/64");
    assert!(
        daemon.followed()[0].to_ascii_lowercase().contains("last-event-id: run-7"),
        "{:?}",
        daemon.followed()
    );
}

#[test]
fn nothing_that_a_daemon_answers_ends_the_dashboard() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url()]);
    pty.wait_for("2001:db8::/64");
    daemon.answer("/api/v1/status", "x".repeat(10 << 20));
    pty.wait_for(&daemon.url());
    daemon.answer("/api/v1/status", "[".repeat(100_000));
    thread::sleep(Duration::from_secs(1));
    daemon.answer("/api/v1/status", "null".into());
    for odd in
        [json!(null), json!([]), json!({"incident": {"id": 5}}), json!({"incident": {"id": "\u{1b}c"}})]
    {
        for kind in ["alert", "stats", "rates", "gap", "\u{1b}", ""] {
            daemon.push(kind, &odd);
        }
    }
    daemon.push("alert", &json!("x".repeat(1 << 20)));
    daemon.answer("/api/v1/status", status(3).to_string());
    daemon.push("gap", &json!({"missed": null}));
    pty.wait_for("gate");
    pty.type_keys("q");
    assert!(pty.ended().0.success());
}

#[test]
fn a_pause_holds_the_screen() {
    let daemon = Daemon::start();
    let pty = Pty::top(&["--url", &daemon.url()]);
    pty.wait_for("2001:db8::/64");
    pty.type_keys("p");
    pty.wait_for("paused");
    let late = incident("a-9", "critical", "flood.syn", "2026-11-22T05:00:00Z", "198.51.100.200 floods");
    daemon.answer("/api/v1/incidents", incidents_and(&[late.clone()]).to_string());
    daemon.push("alert", &json!({"step": "open", "incident": late, "text": "x"}));
    thread::sleep(Duration::from_secs(1));
    assert!(!pty.text().contains("198.51.100.200"));
    pty.type_keys("p");
    pty.wait_for("198.51.100.200 floods");
}
