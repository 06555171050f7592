//! The history against the world: killed processes, full disks, and `netwatch alerts`.
#![allow(missing_docs, reason = "tests")]

mod alerts;
mod full;
mod killed;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netwatch::analysis::Severity;
use netwatch::config::HistorySettings;
use netwatch::report::{Incident, Step, Time, Told};
use netwatch::store::{Opened, Store};
use serde_json::json;

/// A directory that goes away with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("netwatch-history-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("history.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(dir: &Path) -> Opened {
    Store::start(Some(dir), &HistorySettings::default(), now()).unwrap()
}

fn now() -> Time {
    Time(netwatch::clock::now())
}

fn incident(id: &str, step: u64, state: &str) -> Incident {
    let now = now();
    let mut value = json!({
        "id": id, "rule": "scan.vertical", "severity": "medium", "weight": "medium", "state": state,
        "interface": "eth0", "source": "192.0.2.1", "src_ip": "192.0.2.1", "dest_ip": "198.51.100.1",
        "opened_at": now, "updated_at": now, "first_seen": now, "last_seen": now,
        "observed": step, "peak": 11, "threshold": 10, "unit": "ports", "window_s": 60.0, "first_ports": [1, 2, 3],
        "destinations": 1, "first_destinations": ["198.51.100.1"], "sources": 1, "techniques": ["syn"],
        "evidence": {"syn": 11}, "packets": 11, "bytes": 660, "spoofable": true, "degraded": false,
        "confidence": "flows", "suppressed": 0, "attack_id": "T1046", "reference": "docs/rules.md#scanvertical",
        "text": format!("192.0.2.1 probed {step} tcp ports"),
    });
    if state == "closed" {
        value["closed_at"] = json!(now);
        value["close_reason"] = json!("quiet");
    }
    serde_json::from_value(value).unwrap()
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

/// Waits for something that is going to be.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what} is not so");
        std::thread::sleep(Duration::from_millis(10));
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
