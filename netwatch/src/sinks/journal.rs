//! journald's own protocol: fields, each as `NAME=value` and a line's end, or with its length where the value has several
//! lines.

use sha2::{Digest as _, Sha256};

use super::syslog::severity;
use crate::report::{Incident, Told};

/// Longest value of a field, in bytes, so that an entry always fits into a datagram.
pub const VALUE_MAX: usize = 16 << 10;

/// The entry of a step.
#[must_use]
pub fn entry(told: &Told) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let rule = told.incident.as_deref().map_or("netwatch.digest", |incident| &incident.rule);
    field(&mut out, "MESSAGE", told.sentence());
    field(&mut out, "PRIORITY", &severity(told.weight).to_string());
    field(&mut out, "SYSLOG_IDENTIFIER", "netwatch");
    field(&mut out, "MESSAGE_ID", &message_id(rule));
    field(&mut out, "NETWATCH_RULE", rule);
    field(&mut out, "NETWATCH_STATE", told.step.name());
    if let Some(incident) = told.incident.as_deref() {
        fields(&mut out, incident);
    }
    out
}

fn fields(out: &mut Vec<u8>, incident: &Incident) {
    let number = |number: Option<u16>| number.map(|number| number.to_string());
    let optional = [
        ("NETWATCH_SOURCE", incident.source.clone()),
        ("NETWATCH_SRC_IP", incident.src_ip.map(|ip| ip.to_string())),
        ("NETWATCH_SRC_PORT", number(incident.src_port)),
        ("NETWATCH_DEST_IP", incident.dest_ip.map(|ip| ip.to_string())),
        ("NETWATCH_DEST_PORT", number(incident.dest_port)),
        ("NETWATCH_PROTO", incident.proto.clone()),
        ("NETWATCH_CLOSE_REASON", incident.close_reason.clone()),
    ];
    field(out, "NETWATCH_INCIDENT", &incident.id);
    field(out, "NETWATCH_SEVERITY", &incident.severity);
    field(out, "NETWATCH_INTERFACE", &incident.interface);
    for (name, value) in optional {
        if let Some(value) = value {
            field(out, name, &value);
        }
    }
    field(out, "NETWATCH_OBSERVED", &incident.observed.to_string());
    field(out, "NETWATCH_THRESHOLD", &incident.threshold.to_string());
    field(out, "NETWATCH_UNIT", &incident.unit);
    field(out, "NETWATCH_WINDOW_S", &incident.window_s.to_string());
    field(out, "NETWATCH_REFERENCE", &incident.reference);
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    let value = super::syslog::cut(value, VALUE_MAX);
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// What an entry of a rule is found by: 128 bits that follow from the rule's name, and so never change.
#[must_use]
pub fn message_id(rule: &str) -> String {
    let hash = Sha256::digest(format!("netwatch rule {rule}"));
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
