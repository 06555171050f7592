//! Reports of histories that are made here.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::analysis::Severity;
use crate::config::HistorySettings;
use crate::report::{Incident, Life, Step, Time, Told, WindowSummary};
use crate::store::Store;

/// A directory that goes away with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("netwatch-handout-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// Keeps these, and makes a report of the last day.
    fn report(&self, incidents: Vec<Incident>, windows: Vec<WindowSummary>) -> String {
        self.keep(incidents, windows);
        report(&Archive::open(&self.0).unwrap(), &day()).unwrap()
    }

    fn keep(&self, incidents: Vec<Incident>, windows: Vec<WindowSummary>) {
        let mut store = Store::start(Some(&self.0), &HistorySettings::default(), now()).unwrap().store;
        for (number, incident) in (1..).zip(incidents) {
            while store.state().waiting > 5_000 {
                std::thread::sleep(Duration::from_millis(2));
            }
            let step = if incident.state == Life::Open { Step::Open } else { Step::Close };
            let told = Told {
                number,
                at: incident.updated_at,
                step,
                weight: Severity::Medium,
                text: "".into(),
                eve: "".into(),
                incident: Some(Arc::new(incident)),
            };
            store.offer(&Arc::new(told));
        }
        for window in windows {
            store.window(window);
        }
        let state = store.finish(Duration::from_secs(60));
        assert_eq!((state.dropped, state.waiting, state.trouble), (0, 0, None));
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The beginning of this hour: near the present, so that nothing is removed because of its age. It stays the same while the
/// tests run, also where the next hour begins meanwhile.
fn now() -> Time {
    static NOW: OnceLock<Time> = OnceLock::new();
    *NOW.get_or_init(|| Time::from_micros(crate::clock::now().as_second() / 3600 * 3_600_000_000))
}

fn ago(seconds: i64) -> Time {
    Time::from_micros(now().micros() - seconds * 1_000_000)
}

fn day() -> Asked {
    Asked {
        since: ago(86_400),
        until: now(),
        now: now(),
        title: "A day".into(),
        host: "host".into(),
        command: "netwatch report".into(),
        dir: "/var/lib/netwatch".into(),
    }
}

fn incident(id: &str, severity: &str, seconds: i64, text: &str) -> Incident {
    let at = ago(seconds);
    serde_json::from_value(json!({
        "id": id, "rule": "scan.vertical", "severity": severity, "weight": severity, "state": "closed",
        "close_reason": "quiet", "closed_at": at,
        "interface": "eth0", "source": "192.0.2.1", "src_ip": "192.0.2.1", "dest_ip": "198.51.100.1",
        "opened_at": at, "updated_at": at, "first_seen": at, "last_seen": at,
        "observed": 11, "peak": 11, "threshold": 10, "unit": "ports", "window_s": 60.0, "first_ports": [1, 2, 3],
        "destinations": 1, "first_destinations": ["198.51.100.1"], "sources": 1, "techniques": ["syn"],
        "evidence": {"syn": 11}, "packets": 11, "bytes": 660, "spoofable": true, "degraded": false,
        "confidence": "flows", "suppressed": 0, "attack_id": "T1046", "reference": "docs/rules.md#scanvertical",
        "text": text,
    }))
    .unwrap()
}

fn window(seconds: i64) -> WindowSummary {
    serde_json::from_value(json!({
        "at": ago(seconds), "length_s": 60.0, "interface": "eth0", "packets": 600, "bytes": 60_000,
        "classes": {"known": 500, "syn": 100}, "lost": 0,
        "sources": [{"source": "192.0.2.9", "packets": 500, "bytes": 50_000, "classes": {}}], "ports": [],
    }))
    .unwrap()
}

/// Windows that end from so many seconds ago on.
fn windows(from: i64, to: i64) -> Vec<WindowSummary> {
    (0..).map(|number| from - 60 * number).take_while(|at| *at >= to).map(window).collect()
}

/// What must be so of every report.
#[track_caller]
fn sound(text: &str) {
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>"));
    for bad in [
        "<script",
        "<iframe",
        "<img",
        "<link",
        " src=\"",
        " onload=\"",
        "http://",
        "https://",
        "@import",
        "url(",
    ] {
        assert!(!text.contains(bad), "{bad}: {}", around(text, bad));
    }
    let links = text.split(" href=\"").skip(1);
    assert!(
        links.clone().all(|link| link.starts_with('#')),
        "{:?}",
        links.map(|link| link.get(..20)).collect::<Vec<_>>()
    );
    let reached = text.matches("class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"").count();
    assert_eq!(reached, text.matches("class=\"scroll\"").count(), "no keyboard reaches what does not fit");
    let ids: Vec<_> = text.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "a name is there twice: {ids:?}");
}

fn around<'a>(text: &'a str, what: &str) -> &'a str {
    let place = text.find(what).unwrap_or(0);
    text.get(place.saturating_sub(60)..(place + 60).min(text.len())).unwrap_or(text)
}

/// What is read, without marks, in one line.
fn read(text: &str) -> String {
    let body = text.split_once("<body>").unwrap().1;
    let mut read = String::new();
    for part in body.split('<').skip(1) {
        read.push_str(part.split_once('>').map_or("", |(_, text)| text));
        read.push(' ');
    }
    read.split_whitespace().collect::<Vec<_>>().join(" ").replace('\u{a0}', " ")
}

#[test]
fn a_day_is_told() {
    let dir = Dir::new("day");
    let mut open = incident("c", "critical", 1_800, "203.0.113.7 flooded 198.51.100.1");
    (open.state, open.closed_at, open.close_reason) = (Life::Open, None, None);
    open.source = Some("203.0.113.7".into());
    let mut degraded = incident("d", "medium", 7_200, "eth0 lost 12 packets");
    (degraded.rule, degraded.source, degraded.degraded) = ("netwatch.degraded".into(), None, true);
    let mut recorded = incident("e", "info", 7_200, "nothing much");
    recorded.weight = "info".into();
    let incidents = vec![
        incident("old", "high", 90_000, "too old"),
        incident("a", "low", 50_000, "192.0.2.1 probed 11 tcp ports"),
        incident("b", "low", 49_000, "192.0.2.1 probed 12 tcp ports"),
        degraded,
        recorded,
        open,
    ];
    // An hour is missing.
    let mut kept = windows(86_400 - 60, 40_000);
    kept.extend(windows(36_400, 0));
    let text = dir.report(incidents, kept);
    sound(&text);
    let read = read(&text);
    for told in [
        "4 incidents in 1 d: 1 critical, 1 medium, 2 low",
        "1 of them goes on.",
        "The worst: critical 203.0.113.7 flooded 198.51.100.1",
        "First among the sources is 203.0.113.7 , with 1 incident.",
        "Not all of the time was watched",
        "What netwatch told of itself",
        "eth0 lost 12 packets",
        "1 of 4: something that should have been counted for them was not",
        "1 incident of too little weight",
        "192.0.2.9",
        "eth0 1,380 1,439 95.9 % 1 0",
    ] {
        assert!(read.contains(told), "{told}: {read}");
    }
    assert!(!read.contains("too old"), "{read}");
    assert!(text.contains("class=\"column sev-critical\""), "no columns");
    assert!(text.contains("id=\"evidence-over-time\""), "no chart of evidence");
}

#[test]
fn a_time_without_anything_is_told_of_all_the_same() {
    let dir = Dir::new("empty");
    let text = dir.report(Vec::new(), Vec::new());
    sound(&text);
    let told = read(&text);
    assert!(told.contains("Nothing was told of in this time (1 d): there was no incident."), "{told}");
    assert!(told.contains("nobody can say that it was watched"), "{told}");
    // Watched, and quiet.
    let dir = Dir::new("quiet");
    let text = dir.report(Vec::new(), windows(86_400 - 60, 0));
    sound(&text);
    let told = read(&text);
    assert!(told.contains("All of the time was watched, and nothing was lost."), "{told}");
    assert!(told.contains("100 %"), "{told}");
}

#[test]
fn what_netwatch_tells_of_itself_is_shown_however_much_weighs_more() {
    let dir = Dir::new("itself");
    let of_itself = |number: i64| {
        let mut one = incident(
            &format!("t{number:02}"),
            "low",
            80_000 - number,
            &format!("trouble number {number:02}"),
        );
        (one.rule, one.source) = ("netwatch.degraded".into(), None);
        one
    };
    let mut all: Vec<_> = (0..13).map(of_itself).collect();
    all.extend((0..1_100).map(|number| incident(&format!("i{number}"), "high", 1_200 - number, "a scan")));
    let text = dir.report(all, windows(86_400 - 60, 0));
    let told = read(&text);
    assert!(told.contains("Not all of the time was watched, or not all of it was counted"), "{told}");
    let (_, told) = told.split_once("What netwatch told of itself").expect("it is told");
    assert!(told.contains("trouble number 12") && told.contains("trouble number 03"), "{told}");
    assert!(!told.contains("trouble number 02") && told.contains("And 3 more, which are older."), "{told}");
}

#[test]
fn more_time_than_is_known_is_said() {
    let dir = Dir::new("longer");
    dir.keep(vec![incident("a", "low", 3_000, "x")], windows(3_540, 0));
    let archive = Archive::open(&dir.0).unwrap();
    for days in [7, 4_000, 700_000] {
        let since = ago(days * 86_400);
        let text = report(&archive, &Asked { since, ..day() }).unwrap();
        sound(&text);
        assert!(read(&text).contains("of the time before, nothing is known"), "{days}: {}", read(&text));
        assert!(text.len() < 100_000, "{days} days make {} bytes", text.len());
    }
    // The future is not waited for.
    let text = report(&archive, &Asked { until: ago(-86_400), ..day() }).unwrap();
    assert!(read(&text).contains("ends in the future"));
}

#[test]
fn what_comes_from_outside_does_nothing() {
    let dir = Dir::new("hostile");
    let evil = "</title><script>alert(1)</script><img src=x onerror=\"alert(2)\"> \u{202e}\u{1b}[31m https://evil.example/";
    let mut one = incident("a\"><script>", "critical\" onload=\"x", 60, evil);
    one.rule = evil.into();
    one.interface = evil.into();
    one.source = Some(evil.into());
    one.unit = evil.into();
    one.techniques = vec![evil.into()];
    one.evidence = [(evil.to_owned(), 1)].into();
    one.detail = Some(json!({ "name": evil }));
    one.evidence_file = Some(evil.into());
    one.close_reason = Some(evil.into());
    one.weight = "high".into();
    let mut seen = window(0);
    seen.interface = evil.into();
    seen.sources[0].source = evil.into();
    dir.keep(vec![one], vec![seen]);
    let asked =
        Asked { title: evil.into(), host: evil.into(), command: evil.into(), dir: evil.into(), ..day() };
    let text = report(&Archive::open(&dir.0).unwrap(), &asked).unwrap();
    // As a text it may be read; nothing of it is a mark, a name or an address to go to.
    let text = text.replace("https://evil", "evil");
    sound(&text);
    assert!(text.contains("&lt;script&gt;"), "it is not there at all");
    assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "what turns text around is still in it");
}

#[test]
fn the_worst_is_told_in_full_though_many_others_go_on() {
    let dir = Dir::new("worst");
    let open = |number: i64| {
        let mut one = incident(&format!("i{number}"), "low", 9_000 + number, "a small scan");
        (one.state, one.closed_at, one.close_reason) = (Life::Open, None, None);
        one
    };
    let mut all: Vec<_> = (0..1_000).map(open).collect();
    all.push(incident("worst", "critical", 50_000, "the worst of all"));
    all.extend((0..30).map(|number| incident(&format!("h{number}"), "high", 8_000 + number, "less bad")));
    let mut last = open(-8_000);
    (last.id, last.severity) = ("last".into(), "medium".into());
    all.push(last);
    let text = dir.report(all, Vec::new());
    sound(&text);
    let told = read(&text);
    assert!(told.contains("The worst: critical the worst of all"));
    let (_, full) = told.split_once("The worst of them").expect("some are told in full");
    assert!(full.contains("the worst of all") && !full.contains("a small scan"));
    assert_eq!(text.matches("<article class=\"one\"").count(), 20);
    assert!(told.contains("32 incidents more are not listed"));
    // What is listed and not told in full leads nowhere, and what leads somewhere leads to itself.
    let (_, list) = text.split_once("id=\"incidents\"").expect("a list");
    let (list, _) = list.split_once("id=\"worst\"").expect("the worst");
    assert_eq!(list.matches("href=\"#incident-").count(), 0);
}

#[test]
fn a_row_leads_to_its_own_incident() {
    let dir = Dir::new("rows");
    let mut open = incident("o", "low", 100, "it goes on");
    (open.state, open.closed_at, open.close_reason) = (Life::Open, None, None);
    let text = dir.report(vec![open, incident("w", "critical", 9_000, "it was bad")], Vec::new());
    assert!(text.contains("href=\"#incident-1\"><bdi>it was bad"), "{}", around(&text, "#incident-1"));
    assert!(text.contains("href=\"#incident-2\"><bdi>it goes on"), "{}", around(&text, "#incident-2"));
}

#[test]
fn of_a_window_at_the_edge_only_what_lies_within_counts() {
    let dir = Dir::new("edge");
    // 600 packets in 60 seconds, 10 of which are within the day.
    dir.keep(Vec::new(), vec![window(86_390), window(86_330)]);
    let known = gather::gather(&Archive::open(&dir.0).unwrap(), &day()).unwrap();
    let near = |value: f64, wanted: f64| (value - wanted).abs() < 1e-6;
    assert!(near(known.packet_sum, 700.0) && near(known.byte_sum, 70_000.0), "{known:?}");
    assert!(near(known.packets[0], 700.0) && near(known.watched(0), 70.0), "{known:?}");
    assert_eq!(known.busiest.first(1)[0].1.packets, 583);
}

#[test]
fn a_large_history_makes_a_bounded_report() {
    let dir = Dir::new("large");
    let make = |number: u32| {
        let severity = ["low", "medium", "high", "critical"][number as usize % 4];
        let mut one = incident(
            &format!("i{number}"),
            severity,
            1 + i64::from(number % 86_000),
            "192.0.2.1 probed 11 tcp ports by syn",
        );
        one.source = Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string());
        one
    };
    dir.keep((0..10_000).map(make).collect(), windows(86_400 - 60, 0));
    let archive = Archive::open(&dir.0).unwrap();
    let start = Instant::now();
    let text = report(&archive, &day()).unwrap();
    println!("10,000 incidents and 1,440 windows: {} kB in {:?}", text.len() / 1_000, start.elapsed());
    sound(&text);
    assert!(text.len() < 2_000_000, "{} bytes", text.len());
    assert_eq!(text.matches("class=\"what\"").count(), 1_000);
    assert!(read(&text).contains("9,000 incidents more are not listed"));
}

#[test]
fn what_a_report_shows_can_be_looked_at() {
    // `SHOW=report.html cargo test -p netwatch --lib handout` keeps one.
    let Some(file) = std::env::var_os("SHOW") else { return };
    let dir = Dir::new("show");
    let names = ["low", "medium", "high", "critical", "low", "medium", "low"];
    let make = |number: i64| {
        let severity = names[usize::try_from(number * number % 7).unwrap()];
        let mut one = incident(
            &format!("i{number}"),
            severity,
            number * number * 37 % 86_000,
            &format!(
                "192.0.2.{} probed {} tcp ports by syn in 60 s on eth0",
                number % 9,
                11 + number * 7 % 90
            ),
        );
        one.source = Some(format!("192.0.2.{}", number % 9));
        if number % 11 == 0 {
            (one.state, one.closed_at, one.close_reason) = (Life::Open, None, None);
        }
        one
    };
    let mut kept = windows(86_400 - 60, 30_000);
    kept.extend(windows(27_000, 0));
    for (number, one) in kept.iter_mut().enumerate() {
        one.packets = 600 + (number as u64 * 7_919) % 900;
        one.classes.insert("udp_new".into(), (number as u64 * 31) % 50);
    }
    let text = dir.report((0..120).map(make).collect(), kept);
    std::fs::write(file, text).unwrap();
}
