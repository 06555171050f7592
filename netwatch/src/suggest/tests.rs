use super::*;
use crate::analysis::ports::PortSummary;
use crate::analysis::{Confidence, DestSummary, Peer, RuleId, Severity, State, Transition};
use netwatch_common::{Class, Proto, Techniques};

/// A scan of 57 ports that was told, by 203.0.113.`incident`.
pub(super) fn scan(incident: u64) -> Transition {
    let last = u8::try_from(incident % 256).unwrap();
    Transition {
        state: State::Open,
        at_ns: 11_000_000_000,
        incident,
        rule: RuleId::ScanVertical,
        proto: Some(Proto::Tcp),
        severity: Severity::Medium,
        weight: Severity::Medium,
        source: Some(Peer { addr: core::net::Ipv4Addr::new(203, 0, 113, last).into(), bits: 32, host: None }),
        dest: None,
        port: None,
        interface: "office.pcap".into(),
        unit: "distinct ports",
        observed: 57,
        peak: 57,
        threshold: 10,
        window_ns: 60_000_000_000,
        confidence: Confidence::Flows,
        ports: PortSummary::default(),
        dests: DestSummary::default(),
        sources: 0,
        techniques: Techniques::SYN,
        evidence: [0; Class::COUNT],
        packets: 57,
        bytes: 3_420,
        spoofable: true,
        degraded: false,
        first_ns: 8_000_000_000,
        last_ns: 10_000_000_000,
        opened_ns: 11_000_000_000,
        suppressed: 0,
        detail: None,
        name: None,
        evidence_file: None,
    }
}

#[test]
fn less_than_a_day_is_taken_as_one() {
    for (heard_ns, most) in [(0, 5), (DAY_NS / 2, 5), (DAY_NS, 5), (DAY_NS * 3 / 2, 7), (30 * DAY_NS, 150)] {
        assert_eq!(budget(5, heard_ns), most, "{heard_ns}");
    }
    assert_eq!(budget(u32::MAX, u64::MAX), 916_992_621_479_370);
}

#[test]
fn only_files_can_be_read_again() {
    for path in ["-", "/dev/null"] {
        let error = Files::open(&[path.into()]).err().unwrap();
        assert!(error.downcast_ref::<Usage>().is_some(), "{error}");
        assert!(error.to_string().contains("can be read only once"), "{error}");
    }
    for path in ["/", "/no/such/file"] {
        let error = Files::open(&[path.into()]).err().unwrap();
        assert!(error.downcast_ref::<OpenError>().is_some(), "{error}");
    }
}
