//! Steps as outputs send them, in every form: goldens, with strings in them that somebody else chose.

use std::collections::BTreeMap;

use crate::analysis::Severity;
use crate::report::snapshot::Run;
use crate::report::{Incident, Life, Step, Time, Told};
use crate::sinks::line::LineFormat;
use crate::sinks::syslog::{Facility, Sender, cut};
use crate::sinks::{alertmanager, journal, webhook};

/// 2026-11-21T02:50:00.123456Z, and so many seconds.
fn time(seconds: i64) -> Time {
    Time::from_micros(1_795_229_400_123_456 + seconds * 1_000_000)
}

pub(crate) fn run() -> Run {
    Run { version: "0.1.0", id: "7f3a".into(), host: "edge-17".into(), started_at: time(-60) }
}

/// What a step of a scan looks like.
pub(crate) fn told(number: u64, step: Step) -> Told {
    let is_over = step == Step::Close;
    let incident = Incident {
        id: "7f3a-1".into(),
        rule: "scan.vertical".into(),
        severity: "high".into(),
        weight: "high".into(),
        state: if is_over { Life::Closed } else { Life::Open },
        close_reason: is_over.then(|| "quiet".into()),
        interface: "eth0".into(),
        source: Some("203.0.113.7".into()),
        src_ip: Some([203, 0, 113, 7].into()),
        src_port: None,
        dest_ip: None,
        dest_port: None,
        proto: Some("TCP".into()),
        opened_at: time(11),
        updated_at: time(11),
        closed_at: is_over.then(|| time(131)),
        first_seen: time(8),
        last_seen: time(10),
        observed: if is_over { 0 } else { 1000 },
        peak: 1000,
        threshold: 10,
        unit: "distinct ports".into(),
        window_s: 60.0,
        first_ports: vec![1, 2, 3],
        destinations: 1,
        first_destinations: vec![[192, 0, 2, 1].into()],
        sources: 0,
        techniques: vec!["syn".into()],
        evidence: BTreeMap::from([("syn".into(), 1000)]),
        packets: 1000,
        bytes: 60_000,
        spoofable: true,
        degraded: false,
        confidence: "flags".into(),
        suppressed: 0,
        attack_id: "T1046".into(),
        reference: "docs/rules.md#scanvertical".into(),
        evidence_file: None,
        detail: None,
        text: "203.0.113.7 probed 1000 tcp ports".into(),
        acknowledged_at: None,
        acknowledged_severity: None,
        acknowledged_note: None,
    };
    let is_digest = step == Step::Digest;
    Told {
        number,
        at: if is_over { time(131) } else { time(11) },
        step,
        weight: if is_digest { Severity::Low } else { Severity::High },
        incident: (!is_digest).then(|| incident.into()),
        text: format!("line {number}").into(),
        eve: format!("{{\"event_type\":\"alert\",\"number\":{number}}}").into(),
    }
}

/// A step with all that somebody could have put into it.
fn hostile() -> Told {
    let mut told = told(4, Step::Update);
    let mut incident = told.incident.as_deref().cloned().unwrap();
    incident.rule = "a b\"]\u{e9}\n".into();
    incident.interface = "e\"th]0\\\u{1b}[2J\n\u{4e2d}".into();
    incident.source = Some("2001:db8::/64".into());
    incident.src_ip = Some("2001:db8::9".parse().unwrap());
    incident.dest_ip = Some("2001:db8:1::1".parse().unwrap());
    incident.dest_port = Some(22);
    incident.reference = "https://example.net/rules".into();
    incident.weight = "critical".into();
    incident.text = "GET /?x=\"]\\\u{1b}[2J\n\u{4e2d}\u{6587}".into();
    told.text = incident.text.as_str().into();
    told.weight = Severity::Critical;
    told.incident = Some(incident.into());
    told
}

fn line(format: LineFormat, told: &Told) -> String {
    let mut out = Vec::new();
    format.write(told, &run(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_line_is_one_line() {
    for step in [Step::Open, Step::Update, Step::Close, Step::Digest] {
        for format in [LineFormat::Eve, LineFormat::Ecs, LineFormat::Text, LineFormat::Json] {
            let line = line(format, &told(1, step));
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
        }
    }
    for format in [LineFormat::Ecs, LineFormat::Json] {
        let line = line(format, &hostile());
        assert!(line.matches('\n').count() == 1 && !line.contains('\u{1b}'), "{line}");
    }
    assert_eq!(line(LineFormat::Eve, &told(7, Step::Open)), "{\"event_type\":\"alert\",\"number\":7}\n");
    assert_eq!(line(LineFormat::Text, &told(7, Step::Open)), "line 7\n");
    assert_eq!(
        line(LineFormat::Json, &told(7, Step::Digest)),
        "{\"step\":\"digest\",\"at\":\"2026-11-21T02:50:11.123456Z\",\"text\":\"line 7\"}\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&line(LineFormat::Json, &told(7, Step::Close))).unwrap();
    assert_eq!((&json["step"], &json["incident"]["id"]), (&"close".into(), &"7f3a-1".into()));
    assert_eq!(json.as_object().unwrap().len(), 2);
}

#[test]
fn formats_have_names() {
    assert_eq!(LineFormat::parse("ecs"), Ok(LineFormat::Ecs));
    assert!(LineFormat::parse("esc").unwrap_err().contains("did you mean \"ecs\"?"));
    assert!(LineFormat::parse("xml").unwrap_err().contains("there are eve, ecs, text, json"));
}

#[test]
fn ecs_of_a_step() {
    let document: serde_json::Value =
        serde_json::from_str(&line(LineFormat::Ecs, &told(1, Step::Close))).unwrap();
    let mut expect = serde_json::json!({
        "@timestamp": "2026-11-21T02:52:11.123456Z",
        "ecs": { "version": "8.17.0" },
        "message": "203.0.113.7 probed 1000 tcp ports",
        "host": { "name": "edge-17" },
        "observer": {
            "hostname": "edge-17", "type": "ids", "vendor": "netwatch", "product": "netwatch", "version": "0.1.0",
            "ingress": { "interface": { "name": "eth0" } }
        },
        "event": {
            "kind": "alert", "category": ["intrusion_detection", "network"], "type": ["end"], "module": "netwatch",
            "dataset": "netwatch.alert", "provider": "netwatch", "severity": 3, "risk_score": 73,
            "action": "scan.vertical", "id": "7f3a-1", "reference": "docs/rules.md#scanvertical",
            "start": "2026-11-21T02:50:08.123456Z", "end": "2026-11-21T02:50:10.123456Z"
        },
        "rule": {
            "id": "scan.vertical", "name": "scan.vertical", "category": "scan", "ruleset": "netwatch",
            "reference": "docs/rules.md#scanvertical"
        },
        "source": { "address": "203.0.113.7", "ip": "203.0.113.7", "packets": 1000, "bytes": 60000 },
        "network": { "type": "ipv4", "transport": "tcp" },
        "related": { "ip": ["192.0.2.1", "203.0.113.7"] },
        "threat": { "framework": "MITRE ATT&CK", "technique": { "id": ["T1046"] } },
        "netwatch": { "step": "close", "run": "7f3a" },
    });
    expect["netwatch"]["incident"] = serde_json::to_value(told(1, Step::Close).incident.as_deref()).unwrap();
    assert_eq!(document, expect);
    let digest: serde_json::Value =
        serde_json::from_str(&line(LineFormat::Ecs, &told(1, Step::Digest))).unwrap();
    assert_eq!((&digest["event"]["kind"], &digest["event"]["action"]), (&"event".into(), &"digest".into()));
    let hostile: serde_json::Value = serde_json::from_str(&line(LineFormat::Ecs, &hostile())).unwrap();
    assert_eq!(hostile["message"], "GET /?x=\"]\\\u{1b}[2J\n\u{4e2d}\u{6587}");
    assert_eq!(hostile["destination"]["port"], 22);
    assert_eq!(hostile["network"]["type"], "ipv6");
}

fn sender() -> Sender {
    Sender { facility: Facility::default(), enterprise_id: 32_473, host: "edge-17".into(), pid: 42 }
}

#[test]
fn syslog_of_a_step() {
    assert_eq!(
        sender().message(&told(1, Step::Open)),
        "<131>1 2026-11-21T02:50:11.123456Z edge-17 netwatch 42 scan.vertical [netwatch@32473 rule=\"scan.vertical\" \
         state=\"open\" incident=\"7f3a-1\" severity=\"high\" src=\"203.0.113.7\" interface=\"eth0\" observed=\"1000\" \
         threshold=\"10\" window=\"PT60S\"] 203.0.113.7 probed 1000 tcp ports"
    );
    assert_eq!(
        sender().message(&told(2, Step::Digest)),
        "<133>1 2026-11-21T02:50:11.123456Z edge-17 netwatch 42 netwatch.digest [netwatch@32473 \
         rule=\"netwatch.digest\" state=\"digest\" severity=\"low\"] line 2"
    );
    let facility = Facility::parse("authpriv").unwrap();
    let sender = Sender { facility, enterprise_id: 1, host: "b\u{f6}se r\n".into(), pid: 1 };
    assert_eq!(
        sender.message(&hostile()),
        "<82>1 2026-11-21T02:50:11.123456Z b?se?r? netwatch 1 a?b\"]?? [netwatch@1 rule=\"a b\\\"\\]\u{e9}?\" \
         state=\"update\" incident=\"7f3a-1\" severity=\"high\" src=\"2001:db8::9\" dst=\"2001:db8:1::1\" dst_port=\"22\" \
         interface=\"e\\\"th\\]0\\\\?[2J?\u{4e2d}\" observed=\"1000\" threshold=\"10\" window=\"PT60S\"] \
         GET /?x=\"]\\?[2J?\u{4e2d}\u{6587}"
    );
    assert!(Facility::parse("local8").unwrap_err().contains("local7"));
}

#[test]
fn half_a_letter_is_not_sent() {
    assert_eq!(cut("\u{e9}\u{e9}", 3), "\u{e9}");
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("abcd", 3), "abc");
}

#[test]
fn journal_entry_of_a_step() {
    let text = String::from_utf8(journal::entry(&told(1, Step::Open))).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let expect = [
        "MESSAGE=203.0.113.7 probed 1000 tcp ports",
        "PRIORITY=3",
        "SYSLOG_IDENTIFIER=netwatch",
        "MESSAGE_ID=954115ba0ad40a807f4b7bad4f59520e",
        "NETWATCH_RULE=scan.vertical",
        "NETWATCH_STATE=open",
        "NETWATCH_INCIDENT=7f3a-1",
        "NETWATCH_SEVERITY=high",
        "NETWATCH_INTERFACE=eth0",
        "NETWATCH_SOURCE=203.0.113.7",
        "NETWATCH_SRC_IP=203.0.113.7",
        "NETWATCH_PROTO=TCP",
        "NETWATCH_OBSERVED=1000",
        "NETWATCH_THRESHOLD=10",
        "NETWATCH_UNIT=distinct ports",
        "NETWATCH_WINDOW_S=60",
        "NETWATCH_REFERENCE=docs/rules.md#scanvertical",
    ];
    assert_eq!(lines, expect);
    // Several lines are told by their length, so that nobody can put a field of his own behind his text.
    let bytes = journal::entry(&hostile());
    let text = "GET /?x=\"]\\\u{1b}[2J\n\u{4e2d}\u{6587}";
    let mut expect = b"MESSAGE\n".to_vec();
    expect.extend_from_slice(&(text.len() as u64).to_le_bytes());
    expect.extend_from_slice(text.as_bytes());
    expect.extend_from_slice(b"\nPRIORITY=2\n");
    assert_eq!(bytes[..expect.len()], expect);
    let mut long = told(1, Step::Open);
    long.text = "x".repeat(1 << 20).into();
    assert!(journal::entry(&long).len() < 2 * journal::VALUE_MAX);
}

#[test]
fn webhook_of_steps() {
    let steps = [told(1, Step::Open), told(2, Step::Digest), hostile()];
    let body = webhook::body(steps.iter(), &run());
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&json["version"], &json["host"], &json["run"]),
        (&1.into(), &"edge-17".into(), &"7f3a".into())
    );
    assert_eq!(json["alerts"].as_array().unwrap().len(), 3);
    assert_eq!(
        json["alerts"][1],
        serde_json::json!({ "step": "digest", "incident": null, "text": "line 2" })
    );
    assert_eq!(json["alerts"][2]["incident"]["interface"], "e\"th]0\\\u{1b}[2J\n\u{4e2d}");
    // As `printf '%s' '1700000000.{}' | openssl dgst -sha256 -hmac secret` has it.
    assert_eq!(
        webhook::signature(b"secret", "1700000000", b"{}"),
        "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    );
}

#[test]
fn alertmanager_of_a_step() {
    let open = told(1, Step::Open).incident.unwrap();
    let alert = alertmanager::alert(&open, "medium", "edge-17", time(300));
    let expect = serde_json::json!({
        "labels": {
            "alertname": "NetwatchScanVertical", "job": "netwatch", "host": "edge-17", "rule": "scan.vertical",
            "severity": "medium", "incident": "7f3a-1", "interface": "eth0", "src_ip": "203.0.113.7"
        },
        "annotations": {
            "summary": "203.0.113.7 probed 1000 tcp ports",
            "description": "1000 distinct ports in 60 s, where 10 are tolerated; 1000 packets, 60000 bytes.",
            "reference": "docs/rules.md#scanvertical"
        },
        "startsAt": "2026-11-21T02:50:11.123456Z",
        "endsAt": "2026-11-21T02:55:00.123456Z"
    });
    assert_eq!(alert, expect);
    // It cannot end before it began, and only what is a link is given as one.
    let hostile = hostile().incident.unwrap();
    let alert = alertmanager::alert(&hostile, "high", "edge-17", time(0));
    assert_eq!(alert["startsAt"], alert["endsAt"]);
    assert_eq!(alert["generatorURL"], "https://example.net/rules");
    let mut about = (*hostile).clone();
    (about.source, about.src_ip) = (None, None);
    let labels = &alertmanager::alert(&about, "high", "edge-17", time(0))["labels"];
    assert_eq!((&labels["dest_ip"], &labels["dest_port"]), (&"2001:db8:1::1".into(), &"22".into()));
    for (rule, name) in [
        ("scan.sweep_icmp", "NetwatchScanSweepIcmp"),
        ("netwatch.degraded", "NetwatchDegraded"),
        ("ioc.ip", "NetwatchIocIp"),
    ] {
        assert_eq!(alertmanager::name(rule), name);
    }
}
