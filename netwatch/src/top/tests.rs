//! Screens as they are drawn from what a daemon may answer. `UPDATE=1` writes what is drawn now.

use std::path::Path;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::data::{Incident, Point, Port, Source, Stats, Status};
use super::keys::Wish;
use super::look::Look;
use super::model::{Link, Model, Panel, Update, View};
use super::{draw, text};

const PLAIN: Look = Look { colour: false, ascii: false };
const ASCII: Look = Look { colour: false, ascii: true };
const COLOUR: Look = Look { colour: true, ascii: false };

fn status() -> Value {
    json!({
        "run": "r1", "host": "gate", "at": "2026-11-22T06:00:00.000000Z", "config_is_good": true, "trouble": null,
        "incidents": {"open": 3}, "history": {"trouble": null}, "outputs": [],
        "interfaces": [{"name": "eth0", "mode": "native", "lost": {}}, {"name": "wlan0", "mode": "generic", "lost": {"hints_lost": 2}}],
    })
}

fn incident(id: &str, severity: &str, rule: &str, opened: &str, text: &str) -> Value {
    json!({
        "id": id, "rule": rule, "severity": severity, "weight": severity, "state": "open", "interface": "eth0",
        "source": "203.0.113.7", "src_ip": "203.0.113.7", "opened_at": opened, "updated_at": opened, "observed": 1000,
        "peak": 1000, "threshold": 10, "unit": "distinct ports", "window_s": 60.0, "first_ports": [1, 2, 3],
        "destinations": 0, "evidence": {"syn": 1000}, "packets": 1000, "bytes": 60000, "spoofable": true, "text": text,
    })
}

fn incidents() -> Value {
    json!({"next": null, "items": [
        incident("a-1", "high", "scan.vertical", "2026-11-22T05:48:00Z",
            "203.0.113.7 probed 1000 tcp ports by syn in 60 s on eth0; it may be forged, since no handshake was completed"),
        incident("a-2", "low", "scan.horizontal", "2026-11-22T03:00:00Z", "2001:db8::/64 probed 31 destinations at tcp port 22 in 60 s on eth0"),
        incident("a-3", "critical", "listed.bad", "2026-11-20T03:00:00Z", "\u{1b}[2J東京 accepted 1 connection from a listed address"),
    ]})
}

fn sources() -> Value {
    let source = |name: &str, packets: u64, classes: Value| {
        json!({"interface": "eth0", "source": name, "packets": packets, "bytes": packets * 60, "classes": classes,
            "completed": 0, "first_seen": "2026-11-22T05:48:00Z", "last_seen": "2026-11-22T05:59:59Z"})
    };
    json!({"items": [
        source("203.0.113.7", 12_345, json!({"syn": 12_000, "known": 345})),
        source("2001:db8:1234:5678::/64", 990, json!({"udp_new": 500, "icmp_probe": 490})),
        source("198.51.100.9", 40, json!({"known": 40})),
    ]})
}

fn ports() -> Value {
    let port = |port: u16, packets: u64| json!({"interface": "eth0", "proto": "tcp", "port": port, "packets": packets, "bytes": 1, "flows": 3});
    json!({"items": [port(22, 5_000), port(443, 800), port(53, 9)]})
}

fn points() -> Vec<Point> {
    let point = |second: i64| {
        let packets = (second % 60) as f64 * 20.0;
        let event = json!({"at_ms": 1_795_327_200_000_i64 + second * 1_000, "interfaces": [{"name": "eth0",
            "packets_per_s": packets, "bytes_per_s": packets * 100.0, "classes": {"syn": packets / 4.0, "known": packets / 2.0, "other": packets / 4.0}}]});
        Point::read(&event).unwrap()
    };
    (0..239).map(point).collect()
}

fn full(columns: u16, rows: u16) -> Model {
    let mut model = Model::new("http://127.0.0.1:8080".into(), (columns, rows));
    for update in [
        Update::Live,
        Update::Status(Box::new(Status::read(&status()))),
        Update::Incidents(Incident::read_all(&incidents()).0),
        Update::Series(points()),
        Update::Sources(Source::read_all(&sources())),
        Update::Ports(Port::read_all(&ports())),
    ] {
        model.update(update, Duration::from_secs(100));
    }
    model
}

fn screen(model: &Model, look: Look, columns: u16, rows: u16) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    draw::draw(model, look, &mut buffer);
    buffer
}

#[track_caller]
fn check(name: &str, model: &Model, look: Look) {
    let (columns, rows) = model.size;
    let drawn = text(&screen(model, look, columns, rows));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/top/tests").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &drawn).unwrap();
    }
    let expect = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(drawn == expect, "{name}: `UPDATE=1 cargo test -p netwatch --lib top` writes it\n{drawn}");
}

fn press(model: &mut Model, code: KeyCode) -> Wish {
    model.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_text(model: &mut Model, text: &str) {
    for letter in text.chars() {
        press(model, KeyCode::Char(letter));
    }
}

#[test]
fn everything_at_a_glance() {
    check("board-80x24", &full(80, 24), PLAIN);
    check("board-120x40", &full(120, 40), PLAIN);
    check("board-ascii-80x24", &full(80, 24), ASCII);
    check("board-50x16", &full(50, 16), PLAIN);
    check("board-40x10", &full(40, 10), PLAIN);
    check("empty-80x24", &Model::new("http://127.0.0.1:8080".into(), (80, 24)), PLAIN);
}

#[test]
fn one_thing_at_length() {
    let mut model = full(80, 24);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    assert!(matches!(&model.view, View::Incident(one) if one.id == "a-1"));
    check("incident-80x24", &model, PLAIN);
    press(&mut model, KeyCode::End);
    let end = text(&screen(&model, PLAIN, 80, 24));
    assert!(end.contains("what to do"), "{end}");
    let scroll = model.scroll;
    press(&mut model, KeyCode::Down);
    assert_eq!(model.scroll, scroll, "there is nothing below the end");
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Tab);
    press(&mut model, KeyCode::Enter);
    check("source-80x24", &model, PLAIN);
    press(&mut model, KeyCode::Char('?'));
    check("help-80x24", &model, PLAIN);
    assert_eq!(press(&mut model, KeyCode::Char('q')), Wish::GoOn);
    assert_eq!(press(&mut model, KeyCode::Char('q')), Wish::Quit);
}

#[test]
fn no_size_and_no_state_makes_drawing_fail() {
    let mut models = vec![Model::new("x".into(), (80, 24)), full(80, 24)];
    let keys: [&[KeyCode]; 4] = [
        &[KeyCode::Enter],
        &[KeyCode::Tab, KeyCode::Enter],
        &[KeyCode::Char('?')],
        &[KeyCode::Tab, KeyCode::Tab, KeyCode::End],
    ];
    for keys in keys {
        let mut model = full(80, 24);
        for key in keys {
            press(&mut model, *key);
        }
        model.scroll = 7;
        models.push(model);
    }
    for rows in 0..50 {
        for columns in 0..130 {
            for (model, look) in models.iter_mut().zip([PLAIN, ASCII, COLOUR].into_iter().cycle()) {
                model.size = (columns, rows);
                screen(model, look, columns, rows);
                press(model, KeyCode::Down);
            }
        }
    }
    assert!(text(&screen(&models[1], PLAIN, 39, 10)).contains("too small"));
}

#[test]
fn ascii_means_ascii_and_no_colour_means_none() {
    let model = full(120, 40);
    let drawn = screen(&model, ASCII, 120, 40);
    assert!(text(&drawn).is_ascii(), "{}", text(&drawn));
    assert!(
        drawn.content.iter().all(|cell| {
            cell.fg == ratatui::style::Color::Reset && cell.bg == ratatui::style::Color::Reset
        })
    );
    let drawn = screen(&model, COLOUR, 120, 40);
    assert!(drawn.content.iter().any(|cell| cell.fg == ratatui::style::Color::Red));
    assert!(
        drawn.content.iter().all(|cell| cell.fg != ratatui::style::Color::DarkGray),
        "some palettes do not show it"
    );
    assert_eq!(
        text(&drawn),
        text(&screen(&model, PLAIN, 120, 40)),
        "colour tells nothing that letters do not"
    );
}

#[test]
fn what_is_chosen_stays_chosen_while_the_list_changes() {
    let mut model = full(80, 24);
    let first = |model: &Model| model.incidents()[0].id.clone();
    assert_eq!(first(&model), "a-3", "the most severe is first");
    press(&mut model, KeyCode::Char('j'));
    let chosen = |model: &Model| model.chosen(Panel::Incidents, &model.keys(Panel::Incidents)).unwrap();
    assert_eq!(chosen(&model), 1);
    let newer = incident("a-4", "critical", "flood.syn", "2026-11-22T05:59:00Z", "a flood");
    model.update(Update::Alert(Box::new(Incident::read(&newer).unwrap())), Duration::from_secs(101));
    assert_eq!((chosen(&model), model.data().open), (2, 4));
    press(&mut model, KeyCode::Enter);
    assert!(matches!(&model.view, View::Incident(one) if one.id == "a-1"));
    // It ends while it is shown.
    let mut over = incident("a-1", "high", "scan.vertical", "2026-11-22T05:48:00Z", "it is over");
    over["state"] = "closed".into();
    model.update(Update::Alert(Box::new(Incident::read(&over).unwrap())), Duration::from_secs(102));
    assert!(text(&screen(&model, PLAIN, 80, 24)).contains("incident, closed"));
    press(&mut model, KeyCode::Char('q'));
    assert_eq!((chosen(&model), model.data().open), (2, 3));
    for (key, expect) in [(KeyCode::End, 2), (KeyCode::Home, 0), (KeyCode::PageDown, 2), (KeyCode::PageUp, 0)]
    {
        press(&mut model, key);
        assert_eq!(chosen(&model), expect, "{key:?}");
    }
}

#[test]
fn filters_and_orders() {
    let mut model = full(80, 24);
    press(&mut model, KeyCode::Char('/'));
    type_text(&mut model, "PROBEDq");
    press(&mut model, KeyCode::Backspace);
    assert_eq!(model.incidents().len(), 2);
    assert!(text(&screen(&model, PLAIN, 80, 24)).contains("/PROBED"));
    press(&mut model, KeyCode::Enter);
    assert!(text(&screen(&model, PLAIN, 80, 24)).contains("filter \"PROBED\""));
    assert!(model.sources().is_empty());
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.incidents().len(), model.sources().len()), (3, 3));
    press(&mut model, KeyCode::Char('s'));
    assert_eq!(model.incidents()[0].id, "a-1", "the newest");
    press(&mut model, KeyCode::BackTab);
    for _ in 0..2 {
        press(&mut model, KeyCode::Char('s'));
    }
    assert_eq!(model.ports()[0].port, 22);
    assert_eq!(model.ports()[2].port, 443);
}

#[test]
fn a_pause_holds_what_is_shown() {
    let mut model = full(80, 24);
    press(&mut model, KeyCode::Char('p'));
    model.update(Update::Incidents(Vec::new()), Duration::from_secs(101));
    assert_eq!(model.incidents().len(), 3);
    assert!(text(&screen(&model, PLAIN, 80, 24)).contains("paused"));
    press(&mut model, KeyCode::Char('p'));
    assert!(model.incidents().is_empty());
}

#[test]
fn what_is_old_is_said_to_be_old() {
    let mut model = full(80, 24);
    let shown = |model: &Model| text(&screen(model, PLAIN, 80, 24));
    assert!(shown(&model).contains(" live"));
    model.now = Duration::from_secs(112);
    assert!(shown(&model).contains("silent, 12 s old"), "{}", shown(&model));
    model.update(Update::Lost("connection refused".into()), Duration::from_secs(113));
    assert!(shown(&model).contains("reconnecting, 13 s old") && shown(&model).contains("connection refused"));
    model.update(Update::Live, Duration::from_secs(114));
    assert_eq!((model.link.clone(), model.age_s()), (Link::Live, None));
}

#[test]
fn the_verdict_says_what_matters_most() {
    let verdict = |model: &Model| super::verdict::verdict(model).1;
    let mut model = full(80, 24);
    assert_eq!(verdict(&model), "3 incidents are open, the worst is critical.");
    model.update(Update::Incidents(Vec::new()), Duration::from_secs(101));
    assert_eq!(verdict(&model), "All is well.");
    let stats = |lost| Update::Stats(Stats { lost, ..Stats::default() });
    model.update(stats(7), Duration::from_secs(102));
    assert_eq!(verdict(&model), "The watch is degraded: 5 counts or hints were lost in the last minute.");
    model.update(stats(7), Duration::from_secs(200));
    model.update(stats(7), Duration::from_secs(263));
    assert_eq!(verdict(&model), "All is well.");
    let mut poor = status();
    poor["interfaces"][0]["mode"] = Value::Null;
    poor["outputs"] = json!([{"name": "siem", "trouble": "connection refused"}]);
    model.update(Update::Status(Box::new(Status::read(&poor))), Duration::from_secs(264));
    assert_eq!(verdict(&model), "The watch is degraded: eth0 is not watched; and 1 more reason.");
    poor["reasons"] = json!(["the disk is full"]);
    model.update(Update::Status(Box::new(Status::read(&poor))), Duration::from_secs(265));
    assert_eq!(verdict(&model), "The watch is degraded: the disk is full.");
    // What is only recorded worries nobody.
    poor["reasons"] = json!([]);
    model.update(Update::Status(Box::new(Status::read(&poor))), Duration::from_secs(266));
    let recorded = incident("a-5", "high", "scan.vertical", "2026-11-22T05:48:00Z", "x");
    let mut recorded = Incident::read(&recorded).unwrap();
    recorded.is_told = false;
    model.update(Update::Alert(Box::new(recorded)), Duration::from_secs(267));
    assert_eq!(verdict(&model), "All is well.");
    let unknown = Model::new("x".into(), (80, 24));
    assert_eq!(verdict(&unknown), "nothing is known yet");
}

#[test]
fn a_list_that_is_older_than_an_alert_does_not_hide_it() {
    let mut model = full(80, 24);
    model.update(Update::Listing, Duration::from_secs(101));
    let newer = incident("a-4", "high", "flood.syn", "2026-11-22T05:59:00Z", "a flood");
    let mut over = incident("a-1", "high", "scan.vertical", "2026-11-22T05:48:00Z", "it is over");
    over["state"] = "closed".into();
    for told in [newer, over] {
        model.update(Update::Alert(Box::new(Incident::read(&told).unwrap())), Duration::from_secs(101));
    }
    model.update(Update::Incidents(Incident::read_all(&incidents()).0), Duration::from_secs(102));
    let ids: Vec<_> = model.incidents().iter().map(|one| one.id.clone()).collect();
    assert_eq!(ids, ["a-3", "a-4", "a-2"]);
}

#[test]
fn nothing_grows_without_end() {
    let mut model = full(80, 24);
    for number in 0..2_000_u32 {
        let one = incident(&format!("b-{number}"), "low", "scan.vertical", "2026-11-22T05:00:00Z", "x");
        model.update(Update::Alert(Box::new(Incident::read(&one).unwrap())), Duration::from_secs(101));
        let point = Point { at_ms: 1_900_000_000_000 + i64::from(number), ..Point::default() };
        model.update(Update::Point(point), Duration::from_secs(101));
        model.update(Update::Stats(Stats::default()), Duration::from_secs(101));
    }
    assert_eq!(model.data().incidents.len(), 500);
    assert!(model.data().incidents.iter().any(|one| one.id == "a-1"), "the severe ones stay");
    assert_eq!(model.data().points.len(), super::model::POINTS);
    model.update(Update::Series(vec![Point::default(); 5_000]), Duration::from_secs(101));
    assert_eq!(model.data().points.len(), super::model::POINTS);
}

#[test]
fn rates_go_on_after_the_daemon_s_clock_went_back() {
    let mut model = full(80, 24);
    let newest = |model: &Model| model.data().points.back().unwrap().at_ms;
    let before = newest(&model);
    let point = |at_ms| Point { at_ms, ..Point::default() };
    // A little is no more than an order that was changed on the way.
    model.update(Update::Point(point(before - 5_000)), Duration::from_secs(101));
    assert_eq!(newest(&model), before);
    let hour = 3_600_000;
    model.update(Update::Point(point(before - hour)), Duration::from_secs(101));
    model.update(Update::Point(point(before - hour + 1_000)), Duration::from_secs(102));
    assert_eq!((newest(&model), model.data().points.len()), (before - hour + 1_000, 2));
    // The same where an answer is the first to tell of it.
    let earlier = before - 2 * hour;
    model.update(Update::Series(vec![point(earlier)]), Duration::from_secs(103));
    assert_eq!((newest(&model), model.data().points.len()), (earlier, 1));
    for at in [earlier + 1_000, earlier + 2_000] {
        model.update(Update::Point(point(at)), Duration::from_secs(104));
    }
    model.update(Update::Series(vec![point(earlier + 1_000)]), Duration::from_secs(105));
    assert_eq!((newest(&model), model.data().points.len()), (earlier + 2_000, 3));
}
