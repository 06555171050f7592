//! Pages, as they come: whole, harmless and small.

use super::*;
use crate::report::health::{Level, Open, judge, reasons, verdict};

/// Checks that every element that begins ends, in the right order, and gives them by name.
fn elements(page: &str) -> Vec<String> {
    const EMPTY: [&str; 4] = ["meta", "link", "input", "br"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("a tag that does not end: {part}"));
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes that do not end: {tag}");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap_or("").to_owned();
        if tag.starts_with('!') || EMPTY.contains(&&*name) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(&*name), "</{name}> ends something else");
        } else {
            open.push(name.clone());
            all.push(name);
        }
    }
    assert!(open.is_empty(), "not ended: {open:?}");
    all
}

fn page(stage: &Stage) -> String {
    let reply = stage.get("/");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let elements = elements(&reply.body);
    for name in ["main", "h1", "header", "title"] {
        assert!(elements.iter().any(|found| found == name), "{name} is missing");
    }
    assert_eq!(elements.iter().filter(|name| *name == "h1").count(), 1);
    for forbidden in [" style=", " onclick=", "javascript:", "<style"] {
        assert!(!reply.body.contains(forbidden), "{forbidden} is nothing for a page");
    }
    reply.body
}

fn healthy() -> Snapshot {
    let mut snapshot = snapshot();
    snapshot.outputs[0].trouble = None;
    snapshot
}

/// A stage that does not remember pages, with this state.
fn stage(snapshot: Snapshot, incidents: Vec<Incident>) -> Stage {
    let patience = Patience { cached: Duration::ZERO, ..Patience::default() };
    let stage = Stage::with(&on_loopback(), Known::default(), patience);
    *stage.history.incidents.lock().unwrap() = incidents;
    stage.snapshots.send_replace(Arc::new(snapshot));
    until("it is ready", || stage.get("/readyz").status == 200);
    stage
}

#[test]
fn the_first_look_says_whether_all_is_well() {
    let all_well = stage(healthy(), Vec::new());
    let text = page(&all_well);
    assert!(text.contains(">All is well.<") && text.contains("Nothing is open."), "{text}");

    let mut over = incident(9, "flood.syn", "critical");
    (over.state, over.closed_at) = (Life::Closed, Some(time(8)));
    let incidents = vec![incident(1, "scan.vertical", "low"), incident(2, "scan.horizontal", "high"), over];
    let text = page(&stage(healthy(), incidents));
    assert!(text.contains("2 incidents are open, the worst is high."), "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is missing: {text}"));
    assert!(
        place("/incidents/6a20b3a6-1f4c-2") < place("/incidents/6a20b3a6-1f4c-1"),
        "the worst comes first"
    );
    assert!(place("/incidents/6a20b3a6-1f4c-1") < place("Recently closed"));
    assert!(place("Recently closed") < place("/incidents/6a20b3a6-1f4c-9"));
    place("href=\"/sources/203.0.113.7\"");
    place("href=\"/sources/2001:db8::/64\"");

    let text = page(&stage(snapshot(), Vec::new()));
    assert!(
        text.contains("The watch is degraded: the output siem does not take alerts: connection refused."),
        "{text}"
    );
}

#[test]
fn more_incidents_than_are_shown_are_counted() {
    let made = |number| incident(number, "scan.vertical", if number == 3 { "critical" } else { "low" });
    let text = page(&stage(healthy(), (0..50).map(made).collect()));
    assert!(text.contains("50 incidents are open, the worst is critical."), "{text}");
    assert!(text.contains("30 more are open"), "{text}");
    assert_eq!(text.matches("<li data-key=").count(), 20);
}

#[test]
fn a_history_that_cannot_answer_leaves_the_rest_of_the_page() {
    let stage = stage(healthy(), Vec::new());
    *stage.history.fails.lock().unwrap() = Some(HistoryError::Failed("disk".into()));
    let text = page(&stage);
    assert!(text.contains("read the history: disk") && text.contains("Top sources"), "{text}");
    assert!(text.contains("The watch is degraded: read the history: disk."), "not that all is well: {text}");
}

#[test]
fn what_is_hostile_is_shown_harmless() {
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{202e}";
    let mut snapshot = snapshot();
    snapshot.interfaces[0].name = hostile.into();
    snapshot.sources[0].source = hostile.into();
    snapshot.sources[0].interface = hostile.into();
    snapshot.outputs[0].trouble = Some(hostile.into());
    let mut incident = incident(1, "scan.vertical", "high");
    incident.text = hostile.into();
    incident.id = format!("../{hostile}");
    incident.rule = hostile.into();
    incident.severity = hostile.into();
    incident.interface = hostile.into();
    incident.source = Some(hostile.into());
    let text = page(&stage(snapshot, vec![incident]));
    assert!(!text.contains("<script>alert") && !text.contains("<img"), "{text}");
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{text}");
}

#[test]
fn the_first_page_is_small_and_its_parts_are_kept() {
    let stage = stage(healthy(), (0..50).map(|number| incident(number, "scan.vertical", "high")).collect());
    let text = page(&stage);
    let mut total = text.len();
    let parts = text.split(['"', '\'']).filter(|part| part.starts_with("/assets/"));
    let parts: std::collections::BTreeSet<_> = parts.collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    for path in parts {
        let reply = stage.get(path);
        assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"), "{path}");
        assert_eq!(reply.status, 200, "{path}");
        total += reply.head.len() + reply.body.len();
        let bare = stage.get(path.split('?').next().unwrap());
        assert_eq!((bare.status, bare.header("cache-control")), (200, Some("no-store")), "{path}");
        assert_eq!(stage.get(&format!("{path}0")).header("cache-control"), Some("no-store"), "{path}");
    }
    println!("the first page takes {total} bytes, {} of them its own", text.len());
    assert!(total < 100_000, "{total} bytes");
    assert_eq!(stage.get("/assets/../secret").status, 400);
    assert_eq!(stage.get("/assets/nothing.js").status, 404);
}

#[test]
fn all_that_keeps_the_watch_from_being_whole_is_told() {
    let some = Open { number: 1, is_more: false, worst: Some(Severity::Medium) };
    let well = verdict(&healthy(), None, Open::default());
    assert_eq!((well.level, &*well.sentence, well.reasons.len()), (Level::Well, "All is well.", 0));
    let open = verdict(&healthy(), None, some);
    assert_eq!((open.level, &*open.sentence), (Level::Incidents, "One incident is open, and it is medium."));
    let many = judge(Vec::new(), Open { number: 12_345, is_more: true, worst: Some(Severity::Critical) });
    assert_eq!(many.sentence, "More than 12,345 incidents are open, the worst is critical.");

    let mut bad = snapshot();
    bad.interfaces[0].mode = None;
    bad.interfaces[0].slot_lost = 12_300;
    bad.store.trouble = Some("no space\u{1b}[31m".into());
    bad.config_is_good = false;
    let told = verdict(&bad, Some("nothing was counted yet"), some);
    assert_eq!(told.level, Level::Degraded);
    let expect = [
        "nothing was counted yet",
        "eth0 is not watched",
        "12.3\u{a0}k counts of the last slot found no room on eth0",
        "the history cannot be written: no space?[31m",
        "the output siem does not take alerts: connection refused",
        "the configuration was read again and is not right, so the one before stays",
    ];
    assert_eq!(told.reasons, expect);
    assert_eq!(reasons(&bad, None), expect[1..]);
    assert_eq!(
        told.sentence.replace('\u{a0}', " "),
        "The watch is degraded: nothing was counted yet; and 5 more reasons. One incident is open, and it is medium."
    );
    let status = stage(bad, Vec::new()).json("/api/v1/status");
    assert_eq!(status["reasons"][0], expect[1]);
}
