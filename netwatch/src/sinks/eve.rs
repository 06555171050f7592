//! One JSON object per transition, in the schema of Suricata's EVE alerts, which the usual log shippers and
//! viewers read.
//!
//! The schema (`etc/schema.json` of Suricata 8) allows no keys but its own at the root and in `alert`; what it
//! has no key for goes into `alert.context`, which is free. A rule about a source has no `dest_ip`, because one alert
//! can be about many destinations, and a rule about a destination has no `src_ip`. `dest_port` is there where the rule
//! looks at one port.

use core::net::IpAddr;

use netwatch_common::{Class, Proto, Techniques};
use serde::{Serialize, Serializer};

use super::detail::{self, Ends};
use super::text::HeldBack;
use super::words::{Source, Units, Window};
use super::{Renderer, Wall};
use crate::analysis::{Confidence, DestSummary, Detail, Digest, Peer, RuleId, Severity, State, Transition};
use crate::guide;

/// A line of EVE.
#[derive(Serialize)]
pub(super) struct Event<'a, C> {
    timestamp: String,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    alert: Alert<C>,
}

#[derive(Serialize)]
struct Alert<C> {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: String,
    category: &'static str,
    severity: u8,
    context: C,
}

/// What EVE has no keys for.
#[derive(Serialize)]
pub(crate) struct Context<'a> {
    rule: &'static str,
    severity: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_reason: Option<&'static str>,
    incident: String,
    /// The source as it is accounted: an address or a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    observed: u64,
    peak: u64,
    threshold: u64,
    unit: &'static str,
    /// Always with a fraction, so that an index does not take the first value for an integer field.
    window_s: f64,
    first_ports: &'a [u16],
    #[serde(skip_serializing_if = "is_zero")]
    destinations: u64,
    #[serde(skip_serializing_if = "has_none", serialize_with = "first")]
    first_destinations: &'a DestSummary,
    #[serde(skip_serializing_if = "is_zero")]
    sources: u64,
    #[serde(skip_serializing_if = "is_unknown", serialize_with = "names")]
    techniques: Techniques,
    #[serde(serialize_with = "by_class")]
    evidence: &'a [u64; Class::COUNT],
    packets: u64,
    bytes: u64,
    first_seen: String,
    last_seen: String,
    suppressed: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    attack_id: &'a str,
    confidence: &'static str,
    spoofable: bool,
    degraded: bool,
    /// Where packets of the source are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_file: Option<&'a str>,
    reference: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    detail: Option<detail::Context<'a>>,
}

/// What EVE has no keys for, of a digest.
#[derive(Serialize)]
pub(super) struct DigestContext<'a> {
    rule: &'static str,
    severity: &'static str,
    cap: u64,
    #[serde(serialize_with = "by_rule")]
    openings: &'a [u64; RuleId::COUNT],
    updates: u64,
}

/// The line of a transition.
pub(super) fn event<'a>(t: &'a Transition, renderer: &Renderer) -> Event<'a, Context<'a>> {
    let ends = Ends::of(t);
    Event {
        timestamp: timestamp(t.at_ns, renderer),
        event_type: "alert",
        src_ip: ends.source,
        src_port: ends.source_port,
        dest_ip: ends.dest,
        dest_port: ends.dest_port,
        proto: proto(t).map(protocol),
        in_iface: Some(&t.interface),
        alert: Alert {
            // netwatch only watches.
            action: "allowed",
            gid: 1,
            signature_id: signature_id(t.rule),
            rev: 1,
            signature: signature(t),
            category: category(t.rule),
            severity: priority(t.severity),
            context: context(t, renderer.wall, renderer.incident(t)),
        },
    }
}

/// What EVE has no keys for, of an incident by this name.
pub(crate) fn context(t: &Transition, wall: Wall, incident: String) -> Context<'_> {
    let rfc3339 = |monotonic_ns| format!("{:.6}", wall.at(monotonic_ns));
    Context {
        rule: t.rule.name(),
        severity: t.severity.name(),
        state: t.state.name(),
        close_reason: match t.state {
            State::Open | State::Update => None,
            State::Close(reason) => Some(reason.name()),
        },
        incident,
        source: t.source.map(|peer| Source(peer).to_string()),
        observed: t.observed,
        peak: t.peak,
        threshold: t.threshold,
        unit: t.unit,
        window_s: seconds(t.window_ns),
        first_ports: t.ports.first_ports(),
        destinations: t.dests.distinct,
        first_destinations: &t.dests,
        sources: t.sources,
        techniques: t.techniques,
        evidence: &t.evidence,
        packets: t.packets,
        bytes: t.bytes,
        first_seen: rfc3339(t.first_ns),
        last_seen: rfc3339(t.last_ns),
        suppressed: t.suppressed,
        attack_id: attack_id(t),
        confidence: confidence(t.confidence),
        spoofable: t.spoofable,
        degraded: t.degraded,
        evidence_file: t.evidence_file.as_deref(),
        reference: guide::reference(t.rule.rule()),
        detail: t.detail.as_deref().map(detail::Context::of),
    }
}

/// The technique in MITRE ATT&CK; empty where there is none.
pub(super) fn attack_id(t: &Transition) -> &str {
    match t.detail.as_deref() {
        Some(Detail::Matched(matched)) => &matched.signature.attack_id,
        _ => t.rule.rule().attack_id,
    }
}

/// How replies were told from probes.
pub(crate) const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Flags => "flags",
        Confidence::Flows => "flows",
    }
}

/// The protocol that an alert is about.
pub(super) fn proto(t: &Transition) -> Option<Proto> {
    match t.detail.as_deref() {
        None => t.proto,
        Some(Detail::Listed(listed)) => listed.service.map(|(proto, _)| proto),
        Some(Detail::Matched(matched)) => Some(matched.proto),
    }
}

/// The address of a source: that of the only host of its network, where there was one only.
pub(crate) fn address(peer: Peer) -> IpAddr {
    peer.host.unwrap_or(peer.addr)
}

/// The name that EVE has for a protocol.
pub(crate) const fn protocol(proto: Proto) -> &'static str {
    match proto {
        Proto::Tcp => "TCP",
        Proto::Udp => "UDP",
    }
}

/// Nanoseconds in seconds, always with a fraction.
pub(crate) fn seconds(ns: u64) -> f64 {
    core::time::Duration::from_nanos(ns).as_secs_f64()
}

/// The line of a digest: an alert, so that whoever reads alerts alone reads it too.
pub(super) fn digest<'a>(digest: &'a Digest, renderer: &Renderer) -> Event<'a, DigestContext<'a>> {
    Event {
        timestamp: timestamp(digest.at_ns, renderer),
        event_type: "alert",
        src_ip: None,
        src_port: None,
        dest_ip: None,
        dest_port: None,
        proto: None,
        in_iface: None,
        alert: Alert {
            action: "allowed",
            gid: 1,
            signature_id: DIGEST_ID,
            rev: 1,
            signature: format!("NETWATCH {DIGEST}: {} held back in 60 s", HeldBack(digest)),
            category: "Misc activity",
            severity: priority(Severity::Low),
            context: DigestContext {
                rule: DIGEST,
                severity: Severity::Low.name(),
                cap: digest.cap,
                openings: &digest.openings,
                updates: digest.updates,
            },
        },
    }
}

/// In place of a rule's name.
const DIGEST: &str = "netwatch.digest";
/// In place of a rule's identifier.
const DIGEST_ID: u32 = 9_000_900;

/// The offset has no colon and the fraction six digits: readers parse it with a fixed pattern.
fn timestamp(at_ns: u64, renderer: &Renderer) -> String {
    renderer.wall.at(at_ns).strftime("%Y-%m-%dT%H:%M:%S.%6f+0000").to_string()
}

/// From the range that netwatch keeps to, 9000000 to 9000999. An identifier never changes and is never used
/// again; `rev` changes with the meaning of its rule.
const fn signature_id(rule: RuleId) -> u32 {
    match rule {
        RuleId::ScanVertical => 9_000_101,
        RuleId::ScanStealth => 9_000_102,
        RuleId::ScanHorizontal => 9_000_103,
        RuleId::ScanSweepIcmp => 9_000_104,
        RuleId::ScanSlow => 9_000_105,
        RuleId::ScanDistributed => 9_000_106,
        RuleId::DosUnsolicited => 9_000_201,
        RuleId::DosPackets => 9_000_202,
        RuleId::DosRate => 9_000_203,
        RuleId::DdosDestination => 9_000_204,
        RuleId::FloodSyn => 9_000_205,
        RuleId::FloodFragment => 9_000_206,
        RuleId::PortHammer => 9_000_301,
        RuleId::PortUnusual => 9_000_302,
        RuleId::IocIp => 9_000_401,
        RuleId::PayloadMatch => 9_000_501,
        RuleId::Degraded => 9_000_901,
    }
}

/// The description of a class in Suricata's `classification.config`, to the letter.
const fn category(rule: RuleId) -> &'static str {
    match rule {
        RuleId::ScanVertical
        | RuleId::ScanStealth
        | RuleId::ScanHorizontal
        | RuleId::ScanSweepIcmp
        | RuleId::ScanSlow
        | RuleId::ScanDistributed => "Detection of a Network Scan",
        RuleId::DosUnsolicited
        | RuleId::DosPackets
        | RuleId::DosRate
        | RuleId::DdosDestination
        | RuleId::FloodSyn
        | RuleId::FloodFragment => "Attempted Denial of Service",
        // There is none for trying passwords: those about logins are about the names in them.
        RuleId::PortHammer | RuleId::PortUnusual => "Potentially Bad Traffic",
        RuleId::IocIp => "Misc Attack",
        RuleId::PayloadMatch => "A suspicious string was detected",
        RuleId::Degraded => "Misc activity",
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
    match t.detail.as_deref() {
        None => {}
        Some(Detail::Listed(listed)) => {
            return format!("NETWATCH {}: listed by {}", t.rule.name(), listed.listing.feed);
        }
        Some(Detail::Matched(matched)) => {
            return format!("NETWATCH {}: {}", t.rule.name(), matched.signature.name);
        }
    }
    // At a close the window is empty, and its number would say nothing.
    let number = if matches!(t.state, State::Close(_)) { t.peak } else { t.observed };
    let units = Units { distinct: true, port: t.port, ..Units::of(t, number) };
    format!("NETWATCH {}: {units} {}", t.rule.name(), Window(t))
}

fn by_class<S: Serializer>(counts: &&[u64; Class::COUNT], serializer: S) -> Result<S::Ok, S::Error> {
    let counted = Class::ALL.iter().zip(*counts).filter(|(_, count)| **count > 0);
    serializer.collect_map(counted.map(|(class, count)| (class.name(), count)))
}

fn by_rule<S: Serializer>(counts: &&[u64; RuleId::COUNT], serializer: S) -> Result<S::Ok, S::Error> {
    let counted = RuleId::ALL.iter().zip(*counts).filter(|(_, count)| **count > 0);
    serializer.collect_map(counted.map(|(rule, count)| (rule.name(), count)))
}

fn first<S: Serializer>(dests: &&DestSummary, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(dests.first())
}

fn names<S: Serializer>(techniques: &Techniques, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(techniques.names())
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

const fn has_none(dests: &&DestSummary) -> bool {
    dests.distinct == 0
}

const fn is_unknown(techniques: &Techniques) -> bool {
    techniques.is_empty()
}
