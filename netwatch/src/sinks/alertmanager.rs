//! Alerts as the second interface of Prometheus' Alertmanager takes them.
//!
//! There, labels are what an alert is: one with another label is another alert. So all labels of an incident stay as they
//! are, but for its severity, by which people route. Where that rises, whoever sends this ends the alert with the old
//! severity in the same request that begins the one with the new.

use serde_json::{Map, Value, json};

use crate::report::{Incident, Time};

/// An alert that goes on until `ends_at`, or is over since then. `severity` is that of the alert, which may be an older one.
#[must_use]
pub fn alert(incident: &Incident, severity: &str, host: &str, ends_at: Time) -> Value {
    let mut labels = Map::new();
    let mut label = |name: &str, value: String| {
        labels.insert(name.to_owned(), value.into());
    };
    label("alertname", name(&incident.rule));
    label("job", "netwatch".into());
    label("host", host.into());
    label("rule", incident.rule.clone());
    label("severity", severity.to_owned());
    label("incident", incident.id.clone());
    label("interface", incident.interface.clone());
    // The account does not change while an incident goes on; which host of a network it was can.
    if let Some(source) = &incident.source {
        label("src_ip", source.clone());
    }
    if let (None, Some(ip)) = (&incident.source, incident.dest_ip) {
        label("dest_ip", ip.to_string());
        if let Some(port) = incident.dest_port {
            label("dest_port", port.to_string());
        }
    }
    let mut alert = json!({
        "labels": labels,
        "annotations": {
            "summary": incident.text,
            "description": format!(
                "{} {} in {} s, where {} are tolerated; {} packets, {} bytes.",
                incident.observed, incident.unit, incident.window_s, incident.threshold, incident.packets, incident.bytes
            ),
            "reference": incident.reference,
        },
        "startsAt": incident.opened_at,
        "endsAt": ends_at.max(incident.opened_at),
    });
    if incident.reference.starts_with("https://") || incident.reference.starts_with("http://") {
        alert["generatorURL"] = incident.reference.as_str().into();
    }
    alert
}

/// `NetwatchScanVertical` of `scan.vertical`; `netwatch` is not said twice.
#[must_use]
pub fn name(rule: &str) -> String {
    let words = rule.split(['.', '_']).filter(|word| *word != "netwatch");
    let mut name = "Netwatch".to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    name
}
