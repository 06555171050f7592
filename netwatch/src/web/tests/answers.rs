//! What is answered to requests that are right, and to those that are nearly right.

use super::*;
use crate::report::history::Order;

fn with_incidents(count: u64) -> Stage {
    let stage = Stage::new();
    let made = (0..count).map(|number| {
        let (rule, weight) =
            if number % 2 == 0 { ("scan.vertical", "high") } else { ("dos.packets", "info") };
        incident(number, rule, weight)
    });
    stage.history.incidents.lock().unwrap().extend(made);
    stage
}

#[test]
fn alerts_are_a_list_of_what_is_told_page_by_page() {
    let stage = with_incidents(10);
    let first = stage.get("/alerts?limit=2&rule=scan.vertical");
    let list: Vec<Incident> = serde_json::from_str(&first.body).unwrap();
    assert_eq!(list.iter().map(|one| &*one.id).collect::<Vec<_>>(), ["6a20b3a6-1f4c-0", "6a20b3a6-1f4c-2"]);
    let link = first.header("link").unwrap();
    assert_eq!(link, "</alerts?limit=2&rule=scan.vertical&cursor=2>; rel=\"next\"");
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let list: Vec<Incident> = serde_json::from_str(&stage.get(next).body).unwrap();
    assert_eq!(list[0].id, "6a20b3a6-1f4c-4");
    let last = stage.get("/alerts?cursor=4");
    assert_eq!((last.header("link"), last.status), (None, 200));
    let asked = stage.history.asked.lock().unwrap();
    assert!(asked.iter().all(|query| query.min_weight == Some(Severity::Low)));
    assert_eq!((asked[2].limit, asked[2].order), (100, Order::Newest));
}

#[test]
fn incidents_are_filtered_and_paged() {
    let stage = with_incidents(10);
    let page = stage.json("/api/v1/incidents?limit=4");
    assert_eq!((page["items"].as_array().unwrap().len(), page["next"].as_str()), (4, Some("4")));
    let page = stage.json("/api/v1/incidents?limit=4&cursor=8");
    assert_eq!((page["items"].as_array().unwrap().len(), page["next"].is_null()), (2, true));
    stage.json(
        "/api/v1/incidents?since=2026-11-21T00:00:00Z&until=1h&severity=medium&src=::ffff:192.0.2.1&dest=2001:db8::1\
         &interface=eth0&state=closed&acknowledged=true&order=changed&rule=flood.syn&limit=1000",
    );
    let query = stage.history.asked.lock().unwrap().pop().unwrap();
    assert_eq!(query.since.unwrap().to_string(), "2026-11-21T00:00:00.000000Z");
    assert!(query.until.is_some());
    let expect = IncidentQuery {
        since: query.since,
        until: query.until,
        rule: Some("flood.syn".into()),
        min_severity: Some(Severity::Medium),
        min_weight: None,
        source: Some("192.0.2.1".parse().unwrap()),
        dest: Some("2001:db8::1".parse().unwrap()),
        interface: Some("eth0".into()),
        state: Some(Life::Closed),
        near: None,
        words: Vec::new(),
        acknowledged: Some(true),
        order: Order::Changed,
        cursor: None,
        limit: 1_000,
    };
    assert_eq!(query, expect);
    assert_eq!(stage.json("/api/v1/incidents/6a20b3a6-1f4c-3")["rule"], "dos.packets");
    let missing = stage.get("/api/v1/incidents/no-such");
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("application/json")));
    assert!(missing.body.starts_with("{\"error\":\"there is no incident of this name"), "{}", missing.body);
}

#[test]
fn parameters_that_are_not_right_are_said_to_be() {
    let stage = Stage::new();
    for (path, says) in [
        ("/alerts?sicne=1h", "did you mean \\\"since\\\"?"),
        ("/alerts?order=changed", "unknown parameter \\\"order\\\""),
        ("/alerts?limit=1001", "limit: \\\"1001\\\" is not right; give 1 to 1000"),
        ("/api/v1/incidents?order=old", "give newest, worst or changed"),
        ("/api/v1/incidents?rule=scan.vertcal", "did you mean scan.vertical?"),
        ("/api/v1/windows?src=192.0.2.1", "there are since, until, interface, limit, cursor"),
        ("/api/v1/sources?limit=x", "give 1 to 1000"),
        ("/api/v1/sources/192.0.2", "this is no address"),
        ("/api/v1/sources/192.0.2/history", "this is no address"),
        ("/api/v1/status?x=1", "unknown parameter \\\"x\\\"; there are none here"),
        (
            "/api/v1/stream?topics=flows",
            "flows\\\" is unknown; give some of alerts, stats, rates and packets",
        ),
        ("/api/v1/stream?min_severity=all", "give info, low"),
    ] {
        let reply = stage.get(path);
        assert_eq!(reply.status, 400, "{path}: {}", reply.body);
        assert!(reply.body.contains(says), "{path}: {}", reply.body);
    }
}

#[test]
fn the_state_is_that_of_the_newest_snapshot() {
    let stage = Stage::new();
    stage.publish();
    until("it is ready", || stage.get("/readyz").status == 200);
    let status = stage.json("/api/v1/status");
    assert_eq!((&status["trouble"], &status["interfaces"][0]["slot"]["packets"]), (&().into(), &500.into()));
    assert_eq!(status["interfaces"][0]["lost"], serde_json::json!({ "flows_lost": 3 }));
    assert_eq!(status["incidents"]["open"], 3);
    assert_eq!(status["outputs"][0]["trouble"], "connection refused");
    assert_eq!(stage.json("/api/v1/sources")["items"].as_array().unwrap().len(), 2);
    assert_eq!(stage.json("/api/v1/sources?limit=1")["items"].as_array().unwrap().len(), 1);
    assert_eq!(stage.json("/api/v1/sources?interface=eth9")["items"].as_array().unwrap().len(), 0);
    assert_eq!(stage.json("/api/v1/ports")["items"][0]["port"], 443);
    assert_eq!(stage.json("/api/v1/classes")["items"][0]["packets"].as_object().unwrap().len(), 10);
    assert_eq!(stage.json("/api/v1/feeds")["items"][0]["entries"], 1_692);
    assert_eq!(stage.json("/api/v1/config")["toml"], "slot = \"5s\"  # default\n");
    assert_eq!(stage.json("/api/v1/rules")["items"].as_array().unwrap().len(), 17);
}

#[test]
fn a_source_is_found_by_its_address_in_its_network() {
    let stage = with_incidents(1);
    for (address, found) in
        [("203.0.113.7", 1), ("203.0.113.8", 0), ("2001:db8::17", 1), ("2001:db8:0:1::", 0), ("::", 0)]
    {
        let detail = stage.json(&format!("/api/v1/sources/{address}"));
        assert_eq!(detail["now"].as_array().unwrap().len(), found, "{address}");
        assert_eq!(detail["address"], address);
    }
    let page = stage.json("/api/v1/sources/2001%3Adb8::17/history?since=1h&interface=eth0&limit=3&cursor=9");
    // Numbers of this size are not exact in every language, so this one is a string.
    assert_eq!(page["next"], u64::MAX.to_string());
    let query = stage.history.asked_windows.lock().unwrap().pop().unwrap();
    assert_eq!((query.limit, query.cursor, query.since.is_some()), (3, Some(9), true));
    assert_eq!(query.source, Some("2001:db8::17".parse().unwrap()));
    stage.json("/api/v1/windows");
    assert_eq!(stage.history.asked_windows.lock().unwrap().pop().unwrap().source, None);
}

#[test]
fn readiness_comes_with_counts_and_goes_with_them() {
    let stage = Stage::new();
    assert_eq!(stage.get("/livez").body, "ok\n");
    let reply = stage.get("/readyz");
    assert_eq!((reply.status, &*reply.body), (503, "{\"error\":\"nothing was counted yet\"}"));
    let quick = Snapshot { slot_ns: 1_000_000, ..snapshot() };
    stage.snapshots.send_replace(Arc::new(quick));
    until("it is not ready any more", || stage.get("/readyz").body.contains("the last counts are"));
    stage.publish();
    until("it is ready", || stage.get("/readyz").status == 200);
}

#[test]
fn the_same_question_is_asked_once_in_a_while() {
    let stage =
        Stage::with(&on_loopback(), Known::default(), Patience { cached: LONG, ..Patience::default() });
    for _ in 0..20 {
        stage.get("/alerts");
    }
    assert_eq!(stage.history.asked.lock().unwrap().len(), 1);
    stage.get("/alerts?limit=3");
    assert_eq!(stage.history.asked.lock().unwrap().len(), 2);
    stage.tell(1, Severity::Low);
    until("it is asked again", || {
        stage.get("/alerts");
        stage.history.asked.lock().unwrap().len() == 3
    });
}

#[test]
fn a_history_that_cannot_answer_is_no_end() {
    let stage = Stage::new();
    *stage.history.fails.lock().unwrap() = Some(HistoryError::Busy);
    let reply = stage.get("/alerts");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    *stage.history.fails.lock().unwrap() = Some(HistoryError::Failed("disk".into()));
    assert_eq!(stage.get("/alerts").body, "{\"error\":\"read the history: disk\"}");
    *stage.history.fails.lock().unwrap() = None;
    assert_eq!(stage.get("/alerts").body, "[]");

    let patience = Patience { answer: Duration::from_millis(50), ..Patience::default() };
    let stage = Stage::with(&on_loopback(), Known { hangs: true, ..Known::default() }, patience);
    let reply = stage.get("/alerts");
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("not found in time"), "{}", reply.body);
}

#[test]
fn every_answer_forbids_what_a_browser_could_do_with_it() {
    let stage = Stage::new();
    for (path, status) in
        [("/", 200), ("/alerts", 200), ("/metrics", 200), ("/nothing", 404), ("/readyz", 503), ("/a//b", 400)]
    {
        let reply = stage.get(path);
        assert_eq!(reply.status, status, "{path}");
        for (name, starts) in [
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; "),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=()"),
        ] {
            let value = reply.header(name).unwrap_or_default();
            assert!(value.starts_with(starts), "{path}: {name}: {value}");
        }
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}

#[test]
fn head_is_get_without_the_body() {
    let stage = with_incidents(3);
    for path in [
        "/",
        "/assets/style.css",
        "/alerts",
        "/metrics",
        "/nothing",
        "/api/v1/stream",
        "/api/v1/openapi.json",
    ] {
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let head = Reply::read(&stage.send(head.as_bytes()));
        assert_eq!(head.body, "", "{path}");
        if path != "/api/v1/stream" {
            let get = stage.get(path);
            assert_eq!(head.status, get.status, "{path}");
            // What metrics count of the requests themselves may take another digit, and the page goes on with time.
            if !["/", "/metrics"].contains(&path) {
                assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
            }
        }
    }
}
