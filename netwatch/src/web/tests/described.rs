//! What is described is what there is: OpenAPI, and metrics.

use std::collections::BTreeSet;

use super::*;
use crate::web::openapi::document;

fn described() -> serde_json::Value {
    serde_json::from_str(&document()).unwrap()
}

#[test]
fn the_description_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, document()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == document(),
        "run `UPDATE=1 cargo test -p netwatch --lib described` and commit docs/openapi.json"
    );
}

#[test]
fn every_route_is_described_and_everything_described_answers() {
    let document = described();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<_> = paths.keys().map(String::as_str).collect();
    let routes: BTreeSet<_> = routes::ROUTES.iter().map(|(path, _)| *path).collect();
    assert_eq!(described, routes);

    let stage = Stage::new();
    stage.history.incidents.lock().unwrap().push(incident(1, "scan.vertical", "high"));
    stage.publish();
    until("it is ready", || stage.get("/readyz").status == 200);
    for path in described {
        let path = path.replace("{id}", "6a20b3a6-1f4c-1").replace("{ip}", "203.0.113.7");
        if path != "/api/v1/stream" && !path.ends_with("/acknowledge") {
            assert_eq!(stage.get(&path).status, 200, "{path}");
        }
    }
    assert_eq!(stage.json("/api/v1/openapi.json"), document);
}

#[test]
fn every_parameter_that_is_described_is_taken() {
    let document = described();
    let stage = Stage::new();
    let value = |name: &str| match name {
        "since" | "until" => "1h",
        "rule" => "scan.vertical",
        "severity" | "min_severity" => "high",
        "src" | "dest" => "192.0.2.1",
        "interface" => "eth0",
        "state" => "open",
        "acknowledged" => "true",
        "order" => "changed",
        "topics" => "alerts",
        _ => "7",
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let names: Vec<_> =
            in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
        let query: Vec<_> = names.iter().map(|name| format!("{name}={}", value(name))).collect();
        let path = path.replace("{id}", "x").replace("{ip}", "203.0.113.7");
        let head = format!(
            "HEAD {path}?{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            query.join("&")
        );
        let status = Reply::read(&stage.send(head.as_bytes())).status;
        assert_ne!(status, 400, "{path}: {query:?}");
        let methods: Vec<_> = item.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        let allowed = routes::allowed(&path).split(", ").filter(|method| *method != "HEAD");
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods.iter().map(String::as_str).collect(), "{path}");
        // And what is taken is described: the answer to one that is unknown lists those that are.
        let wrong = stage.get(&format!("{path}?zzzzzzzz=1"));
        if wrong.status == 400 {
            for name in &names {
                assert!(wrong.body.contains(name.as_str()), "{path} lacks {name}: {}", wrong.body);
            }
            let listed = wrong.body.split("there are ").nth(1).map_or(0, |list| list.split(',').count());
            assert!(names.is_empty() || listed == names.len(), "{path}: {}", wrong.body);
        }
    }
}

#[test]
fn metrics_are_told_in_the_form_that_is_asked_for() {
    let stage = Stage::new();
    stage.tell(1, Severity::High);
    until("it is counted", || {
        stage
            .get("/metrics")
            .body
            .contains("netwatch_alerts_total{rule=\"scan.vertical\",severity=\"high\"} 1\n")
    });
    let plain = stage.get("/metrics");
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE netwatch_packets_total counter",
        "netwatch_packets_total{interface=\"eth0\",class=\"other\"} 1000",
        "netwatch_bytes_total{interface=\"eth0\"} 60000",
        "netwatch_lost_total{interface=\"eth0\",what=\"flows_lost\"} 3",
        "netwatch_slots_late_total{interface=\"eth0\"} 1",
        "netwatch_build_info{version=\"0.1.0\"} 1",
        "netwatch_incidents_open 3.0",
        "netwatch_suppressed_total{reason=\"over_cap\"} 0",
        "netwatch_feed_entries{feed=\"drop \\\"x\\\"\\\\\"} 1692.0",
        "netwatch_output_dropped_total{output=\"siem\",kind=\"syslog\"} 1",
        "netwatch_output_up{output=\"siem\",kind=\"syslog\"} 0.0",
        "netwatch_store_size_bytes 4096.0",
        "netwatch_drain_duration_seconds 0.012",
        "netwatch_last_slot_timestamp_seconds 1795000010.0",
        "netwatch_http_streams 0.0",
        "# TYPE netwatch_http_request_duration_seconds histogram",
    ] {
        assert!(plain.body.lines().any(|found| found == line), "{line}");
    }
    assert!(!plain.body.contains("203.0.113.7"), "addresses are no labels");
    for name in ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "] {
        let value = plain.body.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(value.parse::<f64>().unwrap() > 0.0, "{name}{value}");
    }
    let open =
        stage.get_with("/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(open.body.ends_with("# EOF\n") && open.body.contains("# TYPE netwatch_packets counter\n"));
}
