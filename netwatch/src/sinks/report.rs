//! Transitions as everybody outside gets them: by public names, at wall-clock times; and back, for what goes on after a
//! restart.

use core::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use netwatch_common::{Class, Proto, Techniques};
use serde_json::Value;

use super::detail::{self, Ends};
use super::text::Sentence;
use super::words::Source;
use super::{Format, Renderer, Wall, eve};
use crate::analysis::detail::{Hosts, Listed, Listing, Matched, Signature};
use crate::analysis::ports::PortSummary;
use crate::analysis::{
    CloseReason, DestSummary, Detail, Digest, Peer, RuleId, Severity, State, Transition, resume,
};
use crate::guide;
use crate::report::{Incident, Life, Step, Time, Told};

impl Renderer {
    /// A step of an incident, to be told by anybody.
    #[must_use]
    pub fn told(&self, number: u64, t: &Transition) -> Told {
        let step = match t.state {
            State::Open => Step::Open,
            State::Update => Step::Update,
            State::Close(_) => Step::Close,
        };
        let mut line = Vec::new();
        let eve = Self { format: Format::Json, ..self.clone() };
        // Memory takes everything.
        let _ = eve.render(t, &mut line);
        Told {
            number,
            at: Time(self.wall.at(t.at_ns)),
            step,
            weight: t.weight,
            incident: Some(Arc::new(self.document(t))),
            text: self.line(t).into(),
            eve: one_line(line),
        }
    }

    /// A digest, to be told by anybody.
    #[must_use]
    pub fn told_digest(&self, number: u64, digest: &Digest) -> Told {
        let render = |format| {
            let mut line = Vec::new();
            let _ = Self { format, colour: false, ..self.clone() }.render_digest(digest, &mut line);
            one_line(line)
        };
        Told {
            number,
            at: Time(self.wall.at(digest.at_ns)),
            step: Step::Digest,
            weight: digest.weight,
            incident: None,
            text: render(Format::Text),
            eve: render(Format::Json),
        }
    }

    /// The incident from this step on.
    fn document(&self, t: &Transition) -> Incident {
        let at = |monotonic_ns| Time(self.wall.at(monotonic_ns));
        let ends = Ends::of(t);
        let (state, close_reason, closed_at) = match t.state {
            State::Open | State::Update => (Life::Open, None, None),
            State::Close(reason) => (Life::Closed, Some(reason.name().to_owned()), Some(at(t.at_ns))),
        };
        Incident {
            id: self.incident(t),
            rule: t.rule.name().into(),
            severity: t.severity.name().into(),
            weight: t.weight.name().into(),
            state,
            close_reason,
            interface: t.interface.to_string(),
            source: t.source.map(|peer| Source(peer).to_string()),
            src_ip: ends.source,
            src_port: ends.source_port,
            dest_ip: ends.dest,
            dest_port: ends.dest_port,
            proto: eve::proto(t).map(|proto| eve::protocol(proto).into()),
            opened_at: at(t.opened_ns),
            updated_at: at(t.at_ns),
            closed_at,
            first_seen: at(t.first_ns),
            last_seen: at(t.last_ns),
            observed: t.observed,
            peak: t.peak,
            threshold: t.threshold,
            unit: t.unit.into(),
            window_s: eve::seconds(t.window_ns),
            first_ports: t.ports.first_ports().to_vec(),
            destinations: t.dests.distinct,
            first_destinations: t.dests.first().collect(),
            sources: t.sources,
            techniques: t.techniques.names().map(str::to_owned).collect(),
            evidence: t.by_class().map(|(class, count)| (class.name().to_owned(), count)).collect(),
            packets: t.packets,
            bytes: t.bytes,
            spoofable: t.spoofable,
            degraded: t.degraded,
            confidence: eve::confidence(t.confidence).into(),
            suppressed: t.suppressed,
            attack_id: eve::attack_id(t).into(),
            reference: guide::reference(t.rule.rule()),
            evidence_file: t.evidence_file.as_deref().map(str::to_owned),
            detail: t
                .detail
                .as_deref()
                .and_then(|detail| serde_json::to_value(detail::Context::of(detail)).ok()),
            text: Sentence(t).to_string(),
            acknowledged_at: None,
            acknowledged_severity: None,
            acknowledged_note: None,
        }
    }
}

/// The last step of an incident of an earlier run, in the times of this one; and the name of the feed or signature that it is
/// about. None where this version does not know its rule.
#[must_use]
pub fn transition(incident: &Incident, wall: Wall) -> Option<(Transition, Option<String>)> {
    let rule = RuleId::ALL.into_iter().find(|rule| rule.name() == incident.rule)?;
    let severity = |name: &str| Severity::ALL.into_iter().find(|severity| severity.name() == name);
    let ns = |time: Time| wall.monotonic(time.0);
    let proto = match incident.proto.as_deref() {
        Some("TCP") => Some(Proto::Tcp),
        Some("UDP") => Some(Proto::Udp),
        _ => None,
    };
    let peer = incident.source.as_deref().and_then(|source| peer(source, incident.src_ip));
    let (detail, item) = match incident.detail.as_ref() {
        Some(value) => {
            let (detail, item) = detail_of(value, incident, proto, wall)?;
            (Some(Arc::new(detail)), Some(item))
        }
        None => (None, None),
    };
    let mut dests = DestSummary::default();
    incident.first_destinations.iter().for_each(|dest| dests.add(*dest));
    dests.distinct = incident.destinations;
    let mut evidence = [0; Class::COUNT];
    for (slot, class) in evidence.iter_mut().zip(Class::ALL) {
        *slot = incident.evidence.get(class.name()).copied().unwrap_or(0);
    }
    let techniques = Techniques::ALL
        .into_iter()
        .filter(|(_, name)| incident.techniques.iter().any(|technique| technique == name));
    let is_detailed = detail.is_some();
    let ports = if incident.unit == "distinct ports" { incident.observed } else { 0 };
    let transition = Transition {
        state: match incident.state {
            Life::Open => State::Update,
            Life::Closed => State::Close(CloseReason::Shutdown),
        },
        at_ns: ns(incident.updated_at),
        incident: 0,
        name: Some(incident.id.as_str().into()),
        rule,
        proto: proto.filter(|_| !is_detailed),
        severity: severity(&incident.severity)?,
        weight: severity(&incident.weight)?,
        source: peer,
        dest: incident.dest_ip.filter(|_| !is_detailed),
        port: incident.dest_port.filter(|_| !is_detailed),
        interface: incident.interface.as_str().into(),
        unit: if incident.unit == "bits/s" { "bits/s" } else { rule.rule().unit },
        observed: incident.observed,
        peak: incident.peak,
        threshold: incident.threshold,
        // A window of over a century is none.
        window_ns: core::time::Duration::try_from_secs_f64(incident.window_s)
            .ok()
            .and_then(|window| u64::try_from(window.as_nanos()).ok())?,
        confidence: resume::confidence(&incident.confidence),
        ports: PortSummary::of_first(&incident.first_ports, ports),
        dests,
        sources: incident.sources,
        techniques: techniques.fold(Techniques::NONE, |all, (one, _)| all.union(one)),
        evidence,
        packets: incident.packets,
        bytes: incident.bytes,
        spoofable: incident.spoofable,
        degraded: incident.degraded,
        first_ns: ns(incident.first_seen),
        last_ns: ns(incident.last_seen),
        opened_ns: ns(incident.opened_at),
        suppressed: incident.suppressed,
        detail,
        evidence_file: None,
    };
    Some((transition, item))
}

impl Wall {
    /// The monotonic time of this boot at a wall time, in nanoseconds; 1 where it was before that.
    #[must_use]
    pub fn monotonic(self, at: Timestamp) -> u64 {
        let ns = at.as_nanosecond() - i128::from(self.realtime_minus_monotonic_ns);
        u64::try_from(ns).unwrap_or(0).max(1)
    }
}

/// A source as it is told: `203.0.113.7`, or `2001:db8::/64` of which perhaps one host only was seen.
fn peer(source: &str, host: Option<IpAddr>) -> Option<Peer> {
    let (addr, bits) = match source.split_once('/') {
        Some((addr, bits)) => (addr.parse().ok()?, bits.parse().ok()?),
        None => {
            let addr: IpAddr = source.parse().ok()?;
            (addr, if addr.is_ipv4() { 32 } else { 128 })
        }
    };
    let is_network = addr.is_ipv6() && bits < 128;
    Some(Peer { addr, bits, host: host.filter(|host| is_network && *host != addr) })
}

/// What is known of a feed or a signature beside numbers, and its name.
fn detail_of(
    value: &Value,
    incident: &Incident,
    proto: Option<Proto>,
    wall: Wall,
) -> Option<(Detail, String)> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
    let list =
        |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut hosts = Hosts::default();
    list("hosts").filter_map(|host| host.parse().ok()).for_each(|host| hosts.add(host));
    let (first_ns, last_ns) = (wall.monotonic(incident.first_seen.0), wall.monotonic(incident.last_seen.0));
    if let Some(feed) = value.get("feed").and_then(Value::as_str) {
        let listing = Listing {
            feed: feed.into(),
            entry: text("entry").into(),
            comment: text("comment").into(),
            tags: list("tags").map(Into::into).collect(),
        };
        let listed = Listed {
            listing: Arc::new(listing),
            inbound: number("inbound_packets"),
            outbound: number("outbound_packets"),
            bytes: incident.bytes,
            completed: number("handshakes"),
            contacted: value.get("contacted").and_then(Value::as_bool).unwrap_or_default(),
            hosts,
            service: proto.zip(incident.dest_port),
            first_ns,
            last_ns,
            ..Listed::default()
        };
        return Some((Detail::Listed(listed), feed.to_owned()));
    }
    let id = value.get("signature_id").and_then(Value::as_str)?;
    let signature = Signature {
        id: id.into(),
        name: text("signature_name").into(),
        reference: text("signature_reference").into(),
        attack_id: incident.attack_id.as_str().into(),
    };
    let matched = Matched {
        signature: Arc::new(signature),
        proto: proto?,
        source_port: incident.src_port.unwrap_or_default(),
        dest: incident.dest_ip?,
        dest_port: incident.dest_port.unwrap_or_default(),
        outgoing: text("direction") == "outbound",
        excerpt: unescaped(text("excerpt")).into(),
        dests: hosts,
        flows: number("flows"),
        first_ns,
        last_ns,
    };
    Some((Detail::Matched(matched), id.to_owned()))
}

/// The bytes that [`escape_ascii`](slice::escape_ascii) has written so.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digit =
                        |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0);
                    let (high, low) = (digit(rest.next()), digit(rest.next()));
                    u8::try_from(high << 4 | low).unwrap_or(b'?')
                }
                Some(other) => other,
                None => b'\\',
            },
            other => other,
        });
    }
    bytes
}

fn one_line(mut line: Vec<u8>) -> Box<str> {
    line.truncate(line.trim_ascii_end().len());
    String::from_utf8_lossy(&line).into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    #[test]
    fn what_goes_on_is_what_it_was() {
        let wall = Wall::new(1_795_229_400_000_000_000);
        let renderer = Renderer { format: Format::Text, wall, run: "7f3a".into(), colour: false };
        let mut seen = 0;
        for rule in RuleId::ALL {
            let told = rules::example(rule);
            let first = renderer.told(1, &told).incident.unwrap();
            let json = serde_json::to_string(&*first).unwrap();
            let read: Incident = serde_json::from_str(&json).unwrap();
            assert_eq!(read, *first, "{json}");
            let (again, item) = transition(&read, wall).unwrap();
            assert_eq!(item.is_some(), told.detail.is_some());
            let state = told.state;
            let again = renderer.told(1, &Transition { state, ..again }).incident.unwrap();
            // What a close says of a peak, and how many ports a sentence counts, is not kept word by word.
            let (text, reason) = (first.text.clone(), first.close_reason.clone());
            assert_eq!(Incident { text, close_reason: reason, ..(*again).clone() }, *first);
            seen += 1;
        }
        assert_eq!(seen, RuleId::COUNT);
    }

    #[test]
    fn bytes_are_read_as_they_were_written() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescaped(&all.escape_ascii().to_string()), all);
        assert_eq!(unescaped("\\"), b"\\");
    }

    #[test]
    fn times_before_this_boot_are_its_beginning() {
        let wall = Wall::new(1_000_000_000_000);
        assert_eq!(wall.monotonic(wall.at(77)), 77);
        assert_eq!(wall.monotonic(Timestamp::UNIX_EPOCH), 1);
    }
}
