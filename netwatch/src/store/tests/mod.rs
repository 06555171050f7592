//! The history, with and without a file.

mod acks;
mod continued;
mod damage;
mod model;
mod opening;
mod questions;
mod room;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::analysis::Severity;
use crate::report::history::{Order, PAGE_MAX, SourceSummary};
use crate::report::{IncidentQuery, Life, Page, WindowQuery};

/// A directory that goes away with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("netwatch-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join(file::NAME)
    }

    fn start(&self) -> Opened {
        self.start_at(1_000)
    }

    fn start_at(&self, seconds: i64) -> Opened {
        Store::start(Some(&self.0), &HistorySettings::default(), at(seconds)).unwrap()
    }

    fn archive(&self) -> Archive {
        Archive::open(&self.0).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Some seconds after the beginning of the tests.
fn at(seconds: i64) -> Time {
    // Near the present, so that nothing is removed because of its age.
    Time::from_micros((crate::clock::now().as_second() / 3600 * 3600 + seconds) * 1_000_000)
}

/// An incident of a source.
fn incident(id: &str, seconds: i64) -> Incident {
    serde_json::from_value(json!({
        "id": id, "rule": "scan.vertical", "severity": "medium", "weight": "medium", "state": "open",
        "interface": "eth0", "source": "192.0.2.1", "src_ip": "192.0.2.1", "dest_ip": "198.51.100.1",
        "opened_at": at(seconds), "updated_at": at(seconds), "first_seen": at(seconds), "last_seen": at(seconds),
        "observed": 11, "peak": 11, "threshold": 10, "unit": "ports", "window_s": 60.0, "first_ports": [1, 2, 3],
        "destinations": 1, "first_destinations": ["198.51.100.1"], "sources": 1, "techniques": ["syn"],
        "evidence": {"syn": 11}, "packets": 11, "bytes": 660, "spoofable": true, "degraded": false,
        "confidence": "flows", "suppressed": 0, "attack_id": "T1046", "reference": "docs/rules.md#scanvertical",
        "text": "192.0.2.1 probed 11 tcp ports",
    }))
    .unwrap()
}

fn closed(id: &str, seconds: i64) -> Incident {
    Incident {
        state: Life::Closed,
        close_reason: Some("quiet".into()),
        closed_at: Some(at(seconds)),
        ..incident(id, seconds)
    }
}

fn told(incident: Incident) -> Arc<Told> {
    Arc::new(Told {
        number: 1,
        at: incident.updated_at,
        step: Step::Update,
        weight: Severity::Medium,
        text: incident.text.clone().into(),
        eve: "{}".into(),
        incident: Some(Arc::new(incident)),
    })
}

fn summary(seconds: i64, sources: &[&str]) -> WindowSummary {
    let source = |source: &&str| SourceSummary {
        source: (*source).to_owned(),
        packets: 7,
        bytes: 420,
        classes: [("syn".to_owned(), 7)].into(),
    };
    WindowSummary {
        at: at(seconds),
        length_s: 60.0,
        interface: "eth0".into(),
        packets: 100,
        bytes: 6_000,
        classes: [("syn".to_owned(), 100)].into(),
        lost: 0,
        sources: sources.iter().map(source).collect(),
        ports: Vec::new(),
    }
}

fn all(order: Order) -> IncidentQuery {
    IncidentQuery { order, limit: PAGE_MAX, ..IncidentQuery::default() }
}

fn ask(history: &Arc<dyn History>, query: IncidentQuery) -> Page<Incident> {
    block_on(history.incidents(query)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn ids(page: &Page<Incident>) -> Vec<&str> {
    page.items.iter().map(|incident| &*incident.id).collect()
}

/// Waits for something that is going to be.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what} is not so");
        thread::sleep(Duration::from_millis(10));
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
