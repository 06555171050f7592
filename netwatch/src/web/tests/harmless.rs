//! Pages for people: each reads without scripts, and whatever comes from outside is harmless on it.

use super::*;
use crate::analysis::rules::RULES;
use crate::config::Config;
use crate::report::history::Order;
use crate::report::history::SourceSummary;

/// What nobody should see as it is.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&";

fn hostile(number: u64) -> Incident {
    Incident {
        text: format!("{HOSTILE} probed"),
        source: Some(HOSTILE.into()),
        interface: HOSTILE.into(),
        unit: HOSTILE.into(),
        severity: "critical".into(),
        techniques: vec![HOSTILE.into()],
        evidence: BTreeMap::from([(HOSTILE.into(), 12)]),
        evidence_file: Some(HOSTILE.into()),
        detail: Some(
            serde_json::json!({ HOSTILE: HOSTILE, "list": [HOSTILE, 1, null], "text": "\u{1b}[31m" }),
        ),
        proto: Some(HOSTILE.into()),
        acknowledged_at: Some(time(3)),
        acknowledged_severity: Some(HOSTILE.into()),
        acknowledged_note: Some(HOSTILE.into()),
        confidence: HOSTILE.into(),
        attack_id: HOSTILE.into(),
        close_reason: Some(HOSTILE.into()),
        ..incident(number, HOSTILE, "high")
    }
}

/// A server on which everything that can be hostile is.
fn stage() -> Stage {
    let stage = Stage::new();
    let known = [incident(1, "scan.vertical", "high"), hostile(2), incident(3, "flood.syn", "low")];
    stage.history.incidents.lock().unwrap().extend(known);
    stage.history.windows.lock().unwrap().push(WindowSummary {
        at: time(0),
        length_s: 60.0,
        interface: HOSTILE.into(),
        packets: 1,
        bytes: 60,
        classes: BTreeMap::new(),
        lost: 0,
        sources: vec![SourceSummary {
            source: HOSTILE.into(),
            packets: 1,
            bytes: 60,
            classes: BTreeMap::new(),
        }],
        ports: Vec::new(),
    });
    let mut snapshot = snapshot();
    snapshot.interfaces[0].name = HOSTILE.into();
    snapshot.sources[0].interface = HOSTILE.into();
    snapshot.feeds[0].name = HOSTILE.into();
    snapshot.feeds[0].file = HOSTILE.into();
    snapshot.outputs[0].name = HOSTILE.into();
    snapshot.outputs[0].trouble = Some(HOSTILE.into());
    snapshot.store.file = Some(HOSTILE.into());
    snapshot.store.trouble = Some(HOSTILE.into());
    snapshot.config = HOSTILE.into();
    snapshot.config_is_good = false;
    stage.snapshots.send_replace(Arc::new(snapshot));
    until("it is taken in", || stage.get("/readyz").status == 200);
    stage
}

const PAGES: [&str; 16] = [
    "/",
    "/incidents",
    "/incidents?q=%3Cscript%3Ealert(1)%3C/script%3E%22&state=open&severity=high&acknowledged=false",
    "/incidents?interface=%22%3E%3Cb&since=3h&order=newest&rule=scan.vertical",
    "/incidents?q=192.0.2.0%2F24",
    "/incidents/6a20b3a6-1f4c-1",
    "/incidents/6a20b3a6-1f4c-2",
    "/incidents/6a20b3a6-1f4c-3",
    "/sources/203.0.113.7",
    "/sources/2001:db8::1",
    "/sources/2001:db8::/64",
    "/packets?text=%3Cscript%3E%22",
    "/rules",
    "/feeds",
    "/status",
    "/nothing/%3Cscript%3E%22",
];

/// Whether nothing in a page came through as markup, and it has what every page needs.
fn is_sound(path: &str, body: &str) {
    for one in ["<h1", "<main", "</main>", "<title>"] {
        assert_eq!(body.matches(one).count(), 1, "{path}: {one}");
    }
    assert_eq!(body.matches("<script").count(), 1, "{path}: the page's own script only");
    for bad in ["<img", "onerror=alert(1)>", "<b ", " style=", "javascript:", "\u{1b}"] {
        assert!(!body.contains(bad), "{path}: {bad}");
    }
    // No name is there twice, and every label leads somewhere.
    let of = |name: &str| -> Vec<String> {
        let lead = format!(" {name}=\"");
        body.split(&*lead).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let mut ids = of("id");
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "{path}: {ids:?}");
    for names in of("aria-labelledby").iter().chain(&of("aria-describedby")) {
        let is_there = |name: &str| ids.iter().any(|id| id == name);
        assert!(names.split(' ').all(is_there), "{path}: {names}");
    }
    let mut live = of("data-live");
    live.sort();
    live.dedup();
    assert_eq!(live.len(), of("data-live").len(), "{path}: {live:?}");
    assert_eq!(body.matches("<table").count(), body.matches("<caption").count(), "{path}");
}

#[test]
fn every_page_is_whole_and_shows_nothing_hostile() {
    let stage = stage();
    for path in PAGES {
        let reply = stage.get_with(path, "Accept: text/html,application/xhtml+xml\r\n");
        let status = if path.starts_with("/nothing") { 404 } else { 200 };
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        is_sound(path, &reply.body);
    }
}

#[test]
fn what_cannot_be_shown_is_said_on_a_page_and_to_programs_in_json() {
    let stage = Stage::new();
    let html = "Accept: text/html\r\n";
    for (path, status, says) in [
        ("/incidents/no-such", 404, "There is no incident of this name"),
        ("/incidents?severity=loud", 400, "Severity: &quot;loud&quot; is not right"),
        ("/incidents?sort=x", 400, "unknown"),
        ("/sources/nobody", 400, "This is no address"),
        ("/sources/192.0.2.1/99", 400, "This is no address"),
        ("/nothing", 404, "There is nothing here"),
        ("/a//b", 400, "plain form"),
    ] {
        let reply = stage.get_with(path, html);
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.body.to_lowercase().contains(&says.to_lowercase()), "{path}: {}", reply.body);
        is_sound(path, &reply.body);
        let reply = stage.get(path);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("application/json")),
            "{path}"
        );
    }
    *stage.history.fails.lock().unwrap() = Some(HistoryError::Busy);
    let reply = stage.get_with("/incidents", html);
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    is_sound("/incidents", &reply.body);
    // Programs are told in JSON whatever they accept.
    assert_eq!(stage.get_with("/alerts", html).header("content-type"), Some("application/json"));
    assert_eq!(stage.get_with("/api/v1/nothing", html).header("content-type"), Some("application/json"));
}

#[test]
fn the_page_of_a_network_is_about_all_of_it() {
    let stage = stage();
    let asked = |path: &str| {
        let page = stage.get(path).body;
        let asked = stage.history.asked.lock().unwrap().pop().unwrap();
        (asked.source.map(|addr| addr.to_string()), asked.near.map(|near| near.bits), page)
    };
    let (source, near, page) = asked("/sources/203.0.113.9/24");
    assert_eq!((source, near), (None, Some(24)));
    assert!(page.contains("203.0.113.0/24") && page.contains("Handshakes"), "{page}");
    assert_eq!(page.matches("first address").count(), 2, "what cannot be said of all is said: {page}");
    assert!(!asked("/sources/203.0.114.0/24").2.contains("Handshakes"));
    assert!(asked("/sources/2001:db8::/48").2.contains("2001:db8::/64"));
    for path in ["/sources/203.0.113.7", "/sources/203.0.113.7/32"] {
        let (source, near, page) = asked(path);
        assert_eq!((source.as_deref(), near), (Some("203.0.113.7"), None), "{path}");
        assert!(!page.contains("first address"), "{path}");
    }
}

#[test]
fn filters_and_pages_stand_in_the_address() {
    let stage = Stage::new();
    let made = (0..250).map(|number| incident(number, "scan.vertical", "high"));
    stage.history.incidents.lock().unwrap().extend(made);
    let page = stage.get("/incidents?rule=scan.vertical&state=&q=").body;
    assert!(page.contains("The first 100\u{a0}incidents"), "{page}");
    assert_eq!(page.matches("<li data-key=").count(), 100);
    assert!(page.contains("href=\"/incidents?rule=scan.vertical&amp;cursor=100\""), "{page}");
    assert!(page.contains("<option value=\"scan.vertical\" selected>"));
    let last = stage.get("/incidents?rule=scan.vertical&cursor=200").body;
    assert!(last.contains("The last 50\u{a0}incidents") && last.contains("Back to the first"), "{last}");
    let asked = stage.history.asked.lock().unwrap().pop().unwrap();
    assert_eq!((asked.order, asked.limit, asked.cursor), (Order::Worst, 100, Some(200)));
    // The name of an incident leads to it.
    let one = stage.get("/incidents?q=6a20b3a6-1f4c-7").body;
    assert_eq!(one.matches("<li data-key=").count(), 1, "{one}");
}

#[test]
fn acknowledging_works_with_a_form_and_with_the_interface() {
    let stage = stage();
    let post = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", stage.web.address);
        let head = format!("{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n");
        let origin = format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", stage.web.address);
        Reply::read(&stage.send(format!("{head}{origin}\r\n{body}").as_bytes()))
    };
    let form = "application/x-www-form-urlencoded";
    let of_page = "/incidents/6a20b3a6-1f4c-1/acknowledge";
    let of_api = "/api/v1/incidents/6a20b3a6-1f4c-1/acknowledge";
    let page = || stage.get("/incidents/6a20b3a6-1f4c-1").body;
    let mut listener = stage.connect();
    listener.write_all(b"GET /api/v1/stream?topics=alerts HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    until("it listens", || counts::value(&stage.web.shared.counts.streams) == 1);
    stage.json("/api/v1/incidents");

    let reply = post(of_page, form, "action=acknowledge&note=mine,+%3Cb%3Enow%3C%2Fb%3E%0D%0A");
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/incidents/6a20b3a6-1f4c-1")),
        "{reply:?}"
    );
    assert!(page().contains("mine, &lt;b&gt;now&lt;/b&gt;"), "{}", page());
    assert!(page().contains("Take it back"));
    // It is not asked for what was so a moment ago.
    assert!(stage.get("/api/v1/incidents").body.contains("acknowledged_note"));
    assert_eq!(post(of_page, form, "action=take-back&note=").status, 303);
    assert!(!page().contains("Take it back"));
    let reply = post(of_api, "application/json", "{\"note\": \"by a program\"}");
    assert_eq!(reply.status, 200, "{}", reply.body);
    let incident: Incident = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(incident.acknowledged_note.as_deref(), Some("by a program"));
    assert_eq!(post(of_api, form, "").status, 200);
    let long = format!("note={}", "x".repeat(201));
    for (path, body) in
        [(of_api, &*long), (of_page, "action=delete"), (of_page, "note=x"), (of_api, "note=a&note=b")]
    {
        assert_eq!(post(path, form, body).status, 400, "{body}");
    }
    assert_eq!(post("/incidents/nobody/acknowledge", form, "action=acknowledge").status, 404);
    let delete =
        format!("DELETE {of_api} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", stage.web.address);
    let reply = Reply::read(&stage.send(delete.as_bytes()));
    assert_eq!((reply.status, reply.body.contains("acknowledged_at")), (200, false));

    let mut told = String::new();
    let mut buffer = [0; 4096];
    while told.matches("event: acknowledged").count() < 5 {
        let read = listener.read(&mut buffer).unwrap();
        told.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(told.contains("\"id\":\"6a20b3a6-1f4c-1\",\"acknowledged_at\":null"), "{told}");
}

#[test]
fn what_is_proposed_is_taken_and_spares_the_incident() {
    let stage = Stage::new();
    let folder = folder("proposal");
    let file = folder.join("netwatch.toml");
    for (number, rule) in (1..).zip(&RULES) {
        for (source, dest) in [("203.0.113.7", "192.0.2.1"), ("2001:db8::/64", "2001:db8:1::1")] {
            let incident = Incident {
                source: Some(source.into()),
                src_ip: None,
                dest_ip: Some(dest.parse().unwrap()),
                ..incident(number, rule.name, "high")
            };
            let id = incident.id.clone();
            *stage.history.incidents.lock().unwrap() = vec![incident];
            let page = stage.get(&format!("/incidents/{id}")).body;
            let Some((_, rest)) = page.split_once("id=\"allow-toml\"") else {
                assert_eq!(rule.name, "netwatch.degraded");
                assert!(page.contains("The allow-list knows sources and destinations"), "{page}");
                continue;
            };
            let code = rest.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0;
            let toml = code.replace("&quot;", "\"");
            assert!(toml.contains("until = 20"), "it ends: {toml}");
            std::fs::write(&file, &toml).unwrap();
            let settings = crate::cli::SettingArgs { config: Some(file.clone()), ..Default::default() };
            let config = Config::from_settings(&settings, &crate::cli::PlaceArgs::default()).unwrap();
            let policy = config.policy_at(crate::clock::now());
            let [allow] = &policy.allow[..] else { panic!("{toml}") };
            let about = if dest_rules().contains(&rule.name) { dest } else { source };
            let addr: std::net::IpAddr = about.split('/').next().unwrap().parse().unwrap();
            let is_in = |addr: std::net::IpAddr| allow.prefix.contains(netwatch_common::Addr::from(addr));
            assert!(is_in(addr) && allow.rule == Some(rule.id), "{toml}");
            assert!(!is_in("198.51.100.1".parse().unwrap()), "{toml}");
            assert!(!is_in("2001:db8:99::1".parse().unwrap()), "{toml}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn dest_rules() -> [&'static str; 4] {
    ["scan.distributed", "ddos.destination", "flood.syn", "flood.fragment"]
}

#[test]
fn the_rules_say_what_is_configured() {
    let stage = Stage::new();
    let plain = stage.get("/rules").body;
    assert!(RULES.iter().all(|rule| plain.contains(&format!("id=\"{}\"", rule.name))));
    assert!(!plain.contains("unless configured)"));
    let config = "[rules.\"scan.vertical\"]\nthreshold = 77 # file\nenabled = false\n";
    stage.snapshots.send_replace(Arc::new(Snapshot { config: config.into(), ..snapshot() }));
    until("it is taken in", || stage.get("/rules").body.contains("(10 unless configured)"));
    let page = stage.get("/rules").body;
    assert!(page.contains("77") && page.contains("turned off"), "{page}");
}
