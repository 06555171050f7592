//! Elastic's common schema, version 8: one document per step. What it has no field for is below `netwatch`, which is ours.

use serde_json::{Map, Value, json};

use crate::analysis::Severity;
use crate::report::snapshot::Run;
use crate::report::{Incident, Step, Told};

/// The version whose fields these are.
const VERSION: &str = "8.17.0";

/// The document of a step.
pub(super) fn document(told: &Told, run: &Run) -> Value {
    let mut fields = Map::new();
    let mut set = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    set("@timestamp", told.at.to_string().into());
    set("ecs", json!({ "version": VERSION }));
    set("message", told.sentence().into());
    set("host", json!({ "name": run.host }));
    let mut observer = json!({
        "hostname": run.host,
        "type": "ids",
        "vendor": "netwatch",
        "product": "netwatch",
        "version": run.version,
    });
    let mut event = json!({
        "kind": "alert",
        "category": ["intrusion_detection", "network"],
        "type": ["info"],
        "module": "netwatch",
        "dataset": "netwatch.alert",
        "provider": "netwatch",
        "severity": number(told.weight),
        "risk_score": risk(told.weight),
    });
    let Some(incident) = told.incident.as_deref() else {
        // A digest is about alerts, and is none.
        event["kind"] = "event".into();
        event["action"] = "digest".into();
        set("observer", observer);
        set("event", event);
        set("netwatch", json!({ "step": told.step.name(), "run": run.id }));
        return fields.into();
    };
    observer["ingress"] = json!({ "interface": { "name": incident.interface } });
    event["action"] = incident.rule.as_str().into();
    event["id"] = incident.id.as_str().into();
    event["start"] = incident.first_seen.to_string().into();
    event["type"] = json!(match told.step {
        Step::Open => ["start"],
        Step::Close => ["end"],
        Step::Update | Step::Digest => ["info"],
    });
    event["reference"] = incident.reference.as_str().into();
    if told.step == Step::Close {
        event["end"] = incident.last_seen.to_string().into();
    }
    set("observer", observer);
    set("event", event);
    set("rule", rule(incident));
    if let Some(ip) = incident.src_ip {
        set("source", end(ip.to_string(), incident.src_port, Some((incident.packets, incident.bytes))));
    }
    if let Some(ip) = incident.dest_ip {
        // Packets are counted of a source where there is one, and else of the destination.
        let counted = incident.src_ip.is_none().then_some((incident.packets, incident.bytes));
        set("destination", end(ip.to_string(), incident.dest_port, counted));
    } else if let Some(port) = incident.dest_port {
        set("destination", json!({ "port": port }));
    }
    let related: Vec<_> = [incident.src_ip, incident.dest_ip].into_iter().flatten().collect();
    if let Some(first) = related.first() {
        let mut network = json!({ "type": if first.is_ipv4() { "ipv4" } else { "ipv6" } });
        if let Some(proto) = &incident.proto {
            network["transport"] = proto.to_lowercase().into();
        }
        set("network", network);
        let mut all: Vec<_> =
            related.iter().chain(&incident.first_destinations).map(ToString::to_string).collect();
        all.sort_unstable();
        all.dedup();
        set("related", json!({ "ip": all }));
    }
    if !incident.attack_id.is_empty() {
        set("threat", json!({ "framework": "MITRE ATT&CK", "technique": { "id": [incident.attack_id] } }));
    }
    set("netwatch", json!({ "step": told.step.name(), "run": run.id, "incident": incident }));
    fields.into()
}

fn rule(incident: &Incident) -> Value {
    let group = incident.rule.split('.').next().unwrap_or_default();
    json!({ "id": incident.rule, "name": incident.rule, "category": group, "ruleset": "netwatch", "reference": incident.reference })
}

fn end(ip: String, port: Option<u16>, counted: Option<(u64, u64)>) -> Value {
    let mut end = Map::new();
    end.insert("address".into(), ip.clone().into());
    end.insert("ip".into(), ip.into());
    if let Some(port) = port {
        end.insert("port".into(), port.into());
    }
    if let Some((packets, bytes)) = counted {
        end.insert("packets".into(), packets.into());
        end.insert("bytes".into(), bytes.into());
    }
    end.into()
}

/// Ascending, 0 to 4.
const fn number(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

/// The middle of the steps in which Elastic counts risk, 0 to 100.
const fn risk(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 21,
        Severity::Medium => 47,
        Severity::High => 73,
        Severity::Critical => 99,
    }
}
