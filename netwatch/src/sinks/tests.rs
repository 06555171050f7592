pub(super) mod rules;
mod schema;
pub(crate) mod told;

use super::*;
use crate::analysis::ports::PortSummary;
use crate::analysis::stats::TargetStats;
use crate::analysis::{CloseReason, Confidence, DestSummary, Peer, RuleId, Severity, State};
use netwatch_common::{Class, Proto, Techniques};

const SECOND: u64 = 1_000_000_000;

/// 2026-11-21T02:50:00Z at monotonic 0, and a fraction that only six digits of appear.
fn renderer(format: Format, colour: bool) -> Renderer {
    let wall = Wall::new(1_795_229_400_000_000_000 + 123_456_789);
    Renderer { format, wall, run: "7f3a".into(), colour }
}

fn render(transition: &Transition, format: Format, colour: bool) -> String {
    let mut out = Vec::new();
    renderer(format, colour).render(transition, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn ports(ports: impl IntoIterator<Item = u16>) -> PortSummary {
    let mut summary = PortSummary::default();
    for port in ports {
        summary.add(port, &TargetStats { opening: 1, ..TargetStats::default() });
    }
    summary
}

pub(crate) fn scan(state: State) -> Transition {
    let mut evidence = [0; Class::COUNT];
    evidence[Class::Syn as usize] = 1000;
    Transition {
        state,
        confidence: Confidence::Flags,
        at_ns: 11 * SECOND,
        incident: 1,
        rule: RuleId::ScanVertical,
        proto: Some(Proto::Tcp),
        severity: Severity::High,
        weight: Severity::High,
        source: Some(Peer { addr: core::net::Ipv4Addr::new(203, 0, 113, 7).into(), bits: 32, host: None }),
        dest: None,
        port: None,
        unit: "distinct ports",
        dests: DestSummary::default(),
        sources: 0,
        techniques: Techniques::SYN,
        spoofable: true,
        degraded: false,
        interface: "eth0".into(),
        observed: if matches!(state, State::Close(_)) { 0 } else { 1000 },
        peak: 1000,
        threshold: 10,
        window_ns: 60 * SECOND,
        ports: ports(1..=1000),
        evidence,
        packets: 1000,
        bytes: 60_000,
        first_ns: 8 * SECOND,
        last_ns: 10 * SECOND,
        opened_ns: 11 * SECOND,
        suppressed: 0,
        detail: None,
        name: None,
        evidence_file: None,
    }
}

pub(super) fn flood(state: State) -> Transition {
    let mut evidence = [0; Class::COUNT];
    evidence[Class::UdpNew as usize] = 5000;
    evidence[Class::Fragment as usize] = 200;
    Transition {
        incident: 2,
        rule: RuleId::DosUnsolicited,
        proto: None,
        severity: Severity::Medium,
        weight: Severity::Medium,
        unit: "unsolicited packets",
        techniques: Techniques::UDP,
        source: Some(Peer {
            addr: core::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9).into(),
            bits: 128,
            host: None,
        }),
        observed: 5200,
        peak: 5200,
        threshold: 100,
        ports: ports([53]),
        evidence,
        packets: 5200,
        bytes: 7_800_000,
        suppressed: 3,
        ..scan(state)
    }
}

fn packets() -> Transition {
    Transition {
        rule: RuleId::DosPackets,
        unit: "packets",
        techniques: Techniques::NONE,
        severity: Severity::Info,
        weight: Severity::Info,
        ports: PortSummary::default(),
        evidence: [0, 0, 0, 0, 0, 0, 0, 0, 5200, 0],
        suppressed: 0,
        ..flood(State::Update)
    }
}

const QUIET: State = State::Close(CloseReason::Quiet);
const SHUTDOWN: State = State::Close(CloseReason::Shutdown);

#[test]
fn a_line_of_text_is_one_sentence_with_the_number_in_it() {
    let check = |transition: Transition, expect: &str| {
        assert_eq!(render(&transition, Format::Text, false), format!("{expect}\n"));
    };
    check(
        scan(State::Open),
        "2026-11-21T02:50:11Z HIGH     open   scan.vertical     203.0.113.7 probed 1000 tcp ports by syn in 60 s on eth0 \
         (threshold 10): 1-16 …; evidence syn=1000; may be spoofed; incident 7f3a-1",
    );
    check(
        scan(QUIET),
        "2026-11-21T02:50:11Z HIGH     close  scan.vertical     203.0.113.7 is quiet: at most 1000 tcp ports by syn \
         in 60 s on eth0 (threshold 10): 1-16 …; 1000 packets, 60.0 kB in 2 s; evidence syn=1000; may be spoofed; \
         incident 7f3a-1",
    );
    check(
        flood(State::Open),
        "2026-11-21T02:50:11Z MEDIUM   open   dos.unsolicited   2001:db8::9 sent 5200 unsolicited packets in \
         60 s on eth0 (threshold 100): port 53; evidence udp_new=5000 fragment=200; may be spoofed; held back 3 times before; \
         incident 7f3a-2",
    );
    check(
        flood(SHUTDOWN),
        "2026-11-21T02:50:11Z MEDIUM   close  dos.unsolicited   2001:db8::9 was active at the end: at most 5200 \
         unsolicited packets in 60 s on eth0 (threshold 100): port 53; 5200 packets, 7.8 MB in 2 s; evidence \
         udp_new=5000 fragment=200; may be spoofed; held back 3 times before; incident 7f3a-2",
    );
    check(
        packets(),
        "2026-11-21T02:50:11Z INFO     update dos.packets       2001:db8::9 sent 5200 packets in 60 s on eth0 \
         (threshold 100); evidence known=5200; may be spoofed; incident 7f3a-2",
    );
}

#[test]
fn colour_leaves_the_columns_where_they_are() {
    let plain = render(&scan(State::Open), Format::Text, false);
    let coloured = render(&scan(State::Open), Format::Text, true);
    assert!(coloured.contains(" \x1b[31mHIGH\x1b[0m     open "));
    assert_eq!(coloured.replace("\x1b[31m", "").replace("\x1b[0m", ""), plain);
}

#[test]
fn a_line_of_json_is_an_eve_alert() {
    let check = |transition: Transition, expect: &str| {
        let expect = expect.split_inclusive('\n').map(|line| line.trim()).collect::<String>();
        assert_eq!(render(&transition, Format::Json, true), expect + "\n");
    };
    check(
        scan(State::Open),
        r#"{"timestamp":"2026-11-21T02:50:11.123456+0000","event_type":"alert","src_ip":"203.0.113.7",
        "proto":"TCP","in_iface":"eth0","alert":{"action":"allowed","gid":1,"signature_id":9000101,"rev":1,
        "signature":"NETWATCH scan.vertical: 1000 distinct tcp ports in 60 s",
        "category":"Detection of a Network Scan","severity":1,"context":{"rule":"scan.vertical",
        "severity":"high","state":"open","incident":"7f3a-1","source":"203.0.113.7","observed":1000,"peak":1000,
        "threshold":10,"unit":"distinct ports","window_s":60.0,
        "first_ports":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16],"techniques":["syn"],"evidence":{"syn":1000},
        "packets":1000,"bytes":60000,"first_seen":"2026-11-21T02:50:08.123456Z",
        "last_seen":"2026-11-21T02:50:10.123456Z","suppressed":0,"attack_id":"T1046","confidence":"flags",
        "spoofable":true,"degraded":false,"reference":"docs/rules.md#scanvertical"}}}"#,
    );
    check(
        flood(QUIET),
        r#"{"timestamp":"2026-11-21T02:50:11.123456+0000","event_type":"alert","src_ip":"2001:db8::9",
        "in_iface":"eth0","alert":{"action":"allowed","gid":1,"signature_id":9000201,"rev":1,
        "signature":"NETWATCH dos.unsolicited: 5200 unsolicited packets in 60 s",
        "category":"Attempted Denial of Service","severity":2,"context":{"rule":"dos.unsolicited",
        "severity":"medium","state":"close","close_reason":"quiet","incident":"7f3a-2",
        "source":"2001:db8::9","observed":5200,"peak":5200,"threshold":100,"unit":"unsolicited packets",
        "window_s":60.0,"first_ports":[53],"techniques":["udp"],
        "evidence":{"udp_new":5000,"fragment":200},"packets":5200,"bytes":7800000,
        "first_seen":"2026-11-21T02:50:08.123456Z","last_seen":"2026-11-21T02:50:10.123456Z","suppressed":3,
        "attack_id":"T1498","confidence":"flags","spoofable":true,"degraded":false,
        "reference":"docs/rules.md#dosunsolicited"}}}"#,
    );
    check(
        packets(),
        r#"{"timestamp":"2026-11-21T02:50:11.123456+0000","event_type":"alert","src_ip":"2001:db8::9",
        "in_iface":"eth0","alert":{"action":"allowed","gid":1,"signature_id":9000202,"rev":1,
        "signature":"NETWATCH dos.packets: 5200 packets in 60 s",
        "category":"Attempted Denial of Service","severity":3,"context":{"rule":"dos.packets",
        "severity":"info","state":"update","incident":"7f3a-2","source":"2001:db8::9",
        "observed":5200,"peak":5200,"threshold":100,"unit":"packets","window_s":60.0,"first_ports":[],
        "evidence":{"known":5200},"packets":5200,"bytes":7800000,
        "first_seen":"2026-11-21T02:50:08.123456Z","last_seen":"2026-11-21T02:50:10.123456Z","suppressed":0,
        "attack_id":"T1498","confidence":"flags","spoofable":true,"degraded":false,
        "reference":"docs/rules.md#dospackets"}}}"#,
    );
}

/// Keys of EVE that a line may use; the schema allows no others.
#[test]
fn keys_outside_of_the_context_are_those_of_eve() {
    let root = [
        "alert",
        "dest_ip",
        "dest_port",
        "event_type",
        "in_iface",
        "proto",
        "src_ip",
        "src_port",
        "timestamp",
    ];
    let alert = ["action", "category", "context", "gid", "rev", "severity", "signature", "signature_id"];
    for state in [State::Open, State::Update, QUIET, SHUTDOWN] {
        for rule in RuleId::ALL {
            let t = Transition { state, ..rules::example(rule) };
            let line = render(&t, Format::Json, false);
            assert_eq!(line.matches('\n').count(), 1);
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            let keys = |value: &serde_json::Value| -> Vec<String> {
                value.as_object().unwrap().keys().cloned().collect()
            };
            assert!(keys(&event).iter().all(|key| root.contains(&key.as_str())), "{line}");
            for (key, is_there) in [
                ("src_ip", t.source.is_some()),
                ("src_port", rule == RuleId::PayloadMatch),
                ("dest_ip", t.dest.is_some() || t.detail.is_some()),
                ("dest_port", t.port.is_some() || t.detail.is_some()),
                ("proto", t.proto.is_some() || t.detail.is_some()),
            ] {
                assert_eq!(event.get(key).is_some(), is_there, "{key}: {line}");
            }
            assert_eq!(keys(&event["alert"]), alert);
            assert!(event["alert"]["context"].is_object());
        }
    }
}

#[test]
fn the_line_for_people_is_the_same_whatever_is_written() {
    let open = scan(State::Open);
    let line = renderer(Format::Json, true).line(&open);
    assert_eq!(line + "\n", render(&open, Format::Text, false));
    assert_eq!(renderer(Format::Json, true).incident(&open), "7f3a-1");
}

#[test]
fn identifiers_are_unique() {
    let mut ids: Vec<u64> = RuleId::ALL
        .map(|rule| {
            serde_json::from_str::<serde_json::Value>(&render(&rules::example(rule), Format::Json, false))
        })
        .map(|event| event.unwrap()["alert"]["signature_id"].as_u64().unwrap())
        .to_vec();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == RuleId::COUNT && ids.iter().all(|id| (9_000_000..9_001_000).contains(id)));
}

#[test]
fn the_wall_clock_is_an_offset() {
    let check = |offset_ns, monotonic_ns, expect: &str| {
        assert_eq!(format!("{:.6}", Wall::new(offset_ns).at(monotonic_ns)), expect);
    };
    check(0, 0, "1970-01-01T00:00:00.000000Z");
    check(1_000_000_000, 1_999, "1970-01-01T00:00:01.000001Z");
    check(-1, 0, "1969-12-31T23:59:59.999999Z");
    check(i64::MAX, u64::MAX, "2846-10-30T23:21:50.564327Z");
}
