//! One JSON object per transition, in the schema of Suricata's EVE alerts, which the usual log shippers and
//! viewers read.
//!
//! The schema (`etc/schema.json` of Suricata 8) allows no keys but its own at the root and in `alert`; what it
//! has no key for goes into `alert.context`, which is free. There is no `dest_ip`: sources are counted, not
//! pairs, so one alert can be about many destinations. There are no ports of one packet for the same reason.

use core::net::IpAddr;

use netwatch_common::{Class, Proto};
use serde::{Serialize, Serializer};

use super::Renderer;
use super::text::{Duration, Units};
use crate::analysis::{Confidence, RuleId, Severity, State, Transition};

/// A line of EVE.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    timestamp: String,
    event_type: &'static str,
    src_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<&'static str>,
    in_iface: &'a str,
    alert: Alert<'a>,
}

#[derive(Serialize)]
struct Alert<'a> {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: String,
    category: &'static str,
    severity: u8,
    context: Context<'a>,
}

/// What EVE has no keys for.
#[derive(Serialize)]
struct Context<'a> {
    rule: &'static str,
    severity: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_reason: Option<&'static str>,
    incident: String,
    observed: u64,
    peak: u64,
    threshold: u64,
    /// Always with a fraction, so that an index does not take the first value for an integer field.
    window_s: f64,
    first_ports: &'a [u16],
    #[serde(serialize_with = "by_class")]
    evidence: &'a [u64; Class::COUNT],
    packets: u64,
    bytes: u64,
    first_seen: String,
    last_seen: String,
    suppressed: u64,
    attack_id: &'static str,
    confidence: &'static str,
}

/// The line of a transition.
pub(super) fn event<'a>(t: &'a Transition, renderer: &Renderer) -> Event<'a> {
    let wall = renderer.wall;
    let rfc3339 = |monotonic_ns| format!("{:.6}", wall.at(monotonic_ns));
    Event {
        // The offset has no colon and the fraction six digits: readers parse it with a fixed pattern.
        timestamp: wall.at(t.at_ns).strftime("%Y-%m-%dT%H:%M:%S.%6f+0000").to_string(),
        event_type: "alert",
        src_ip: t.source,
        proto: t.proto.map(|proto| match proto {
            Proto::Tcp => "TCP",
            Proto::Udp => "UDP",
        }),
        in_iface: &t.interface,
        alert: Alert {
            // netwatch only watches.
            action: "allowed",
            gid: 1,
            signature_id: signature_id(t.rule),
            rev: 1,
            signature: signature(t),
            category: category(t.rule),
            severity: priority(t.severity),
            context: Context {
                rule: t.rule.name(),
                severity: t.severity.name(),
                state: t.state.name(),
                close_reason: match t.state {
                    State::Open | State::Update => None,
                    State::Close(reason) => Some(reason.name()),
                },
                incident: renderer.incident(t),
                observed: t.observed,
                peak: t.peak,
                threshold: t.threshold,
                window_s: seconds(t.window_ns),
                first_ports: t.ports.first_ports(),
                evidence: &t.evidence,
                packets: t.packets,
                bytes: t.bytes,
                first_seen: rfc3339(t.first_ns),
                last_seen: rfc3339(t.last_ns),
                suppressed: t.suppressed,
                attack_id: t.rule.rule().attack_id,
                confidence: match t.confidence {
                    Confidence::Flags => "flags",
                    Confidence::Flows => "flows",
                },
            },
        },
    }
}

/// From the range that netwatch keeps to, 9000000 to 9000999. An identifier never changes and is never used
/// again; `rev` changes with the meaning of its rule.
const fn signature_id(rule: RuleId) -> u32 {
    match rule {
        RuleId::ScanVertical => 9_000_101,
        RuleId::DosUnsolicited => 9_000_201,
        RuleId::DosPackets => 9_000_202,
    }
}

/// The description of a class in Suricata's `classification.config`, to the letter.
const fn category(rule: RuleId) -> &'static str {
    match rule {
        RuleId::ScanVertical => "Detection of a Network Scan",
        RuleId::DosUnsolicited | RuleId::DosPackets => "Attempted Denial of Service",
    }
}

/// EVE counts severity down from 1.
const fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::Critical | Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low | Severity::Info => 3,
    }
}

fn signature(t: &Transition) -> String {
    // At a close the window is empty, and its number would say nothing.
    let number = if matches!(t.state, State::Close(_)) { t.peak } else { t.observed };
    let units = Units { number, distinct: "distinct ", rule: t.rule, proto: t.proto };
    format!("NETWATCH {}: {units} in {}", t.rule.name(), Duration(t.window_ns))
}

fn seconds(ns: u64) -> f64 {
    core::time::Duration::from_nanos(ns).as_secs_f64()
}

fn by_class<S: Serializer>(counts: &&[u64; Class::COUNT], serializer: S) -> Result<S::Ok, S::Error> {
    let counted = Class::ALL.iter().zip(*counts).filter(|(_, count)| **count > 0);
    serializer.collect_map(counted.map(|(class, count)| (class.name(), count)))
}
