//! What each rule finds about a source.
//!
//! A rule fires when what it measures is *strictly greater* than its threshold: the 11th distinct port and the
//! 101st packet fire, 10 and 100 do not.

use netwatch_common::Proto;

use super::policy::Policy;
use super::rules::{RuleId, Severity};
use super::window::SourceView;

/// One rule applied to one aspect of a source; with the source it makes the key of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// The rule.
    pub rule: RuleId,
    /// The protocol, where the rule looks at one.
    pub proto: Option<Proto>,
}

impl Check {
    /// How many checks there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All checks of a source, scans first.
    pub const ALL: [Self; 4] = [
        Self { rule: RuleId::ScanVertical, proto: Some(Proto::Tcp) },
        Self { rule: RuleId::ScanVertical, proto: Some(Proto::Udp) },
        Self { rule: RuleId::DosUnsolicited, proto: None },
        Self { rule: RuleId::DosPackets, proto: None },
    ];

    /// How many units the source has of what this check measures.
    #[must_use]
    pub fn observe(self, source: &SourceView) -> u64 {
        match (self.rule, self.proto) {
            (RuleId::ScanVertical, Some(proto)) => source.ports(proto).scanned(),
            (RuleId::ScanVertical, None) => source.scanned_ports(),
            (RuleId::DosUnsolicited, _) => source.stats.unsolicited(),
            (RuleId::DosPackets, _) => source.stats.packets(),
        }
    }
}

/// What a check found, whether or not that is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What was observed, in the rule's units.
    pub observed: u64,
    /// What is tolerated of this source, in the rule's units.
    pub threshold: u64,
    /// How severe it is.
    pub severity: Severity,
    /// How severe it is where it is decided who is told: see [`RulePolicy::notify`](super::policy::RulePolicy).
    pub weight: Severity,
    /// Whether a scan by the same source, if there is one, explains all of it.
    pub part_of_scan: bool,
    /// Whether anything may come of it.
    pub permit: Permit,
}

/// Whether an incident may come of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Raise,
    /// The allow-list says that the source may do this: counted, not told.
    Allowed,
    /// The rule is switched off: not even counted.
    Disabled,
}

impl Finding {
    /// Whether more was observed than is tolerated, by a rule that is switched on.
    #[must_use]
    pub const fn fires(&self) -> bool {
        self.observed > self.threshold && !matches!(self.permit, Permit::Disabled)
    }

    /// Whether so little was observed that an incident may come to its end: less than half the threshold.
    ///
    /// Nothing at all is always quiet, whatever the threshold.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.observed == 0 || self.observed.saturating_mul(2) < self.threshold
    }
}

/// Whether any rule could fire for this source, without looking at lists of prefixes: most sources do nothing.
#[must_use]
pub fn may_fire(source: &SourceView, policy: &Policy) -> bool {
    Check::ALL.into_iter().any(|check| {
        let rule = policy.of(check.rule);
        rule.enabled && check.observe(source) > rule.threshold
    })
}

/// Applies every rule to one source.
///
/// What stays under its threshold is reported too: an open incident needs it to come to its end.
#[must_use]
pub fn evaluate(source: &SourceView, policy: &Policy) -> [Finding; Check::COUNT] {
    let is_local = policy.is_local(source.addr);
    let permits = policy.permits(source.addr);
    Check::ALL.map(|check| {
        let observed = check.observe(source);
        let severity = policy.severity(check.rule, observed);
        Finding {
            check,
            observed,
            threshold: policy.threshold(check.rule, is_local),
            severity,
            weight: policy.weight(check.rule, severity),
            part_of_scan: check.rule != RuleId::ScanVertical
                && observed <= source.scanned_ports().saturating_mul(PACKETS_PER_SCANNED_PORT),
            permit: permits[check.rule as usize],
        }
    })
}

/// Packets per port up to which a scan explains them: a scanner repeats a probe that gets no answer, mostly
/// once (nmap without congestion) and rarely more than three times. A flood sends more to each port.
const PACKETS_PER_SCANNED_PORT: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::slot::PortStats;
    use core::net::Ipv4Addr;
    use netwatch_common::Class;

    fn source(tcp_ports: u16, udp_ports: u16, class: Class, packets: u64) -> SourceView {
        let mut view = SourceView::new(Ipv4Addr::new(192, 0, 2, 1).into());
        let probe = PortStats { packets: 1, evidence: 1, ..PortStats::default() };
        (1..=tcp_ports).for_each(|port| view.tcp.add(port, &probe));
        (1..=udp_ports).for_each(|port| view.udp.add(port, &probe));
        view.stats.classes[class as usize] = packets;
        view
    }

    #[test]
    fn only_more_than_the_threshold_fires() {
        let check = |view: SourceView, expect: &[&str]| {
            let findings = evaluate(&view, &Policy::default());
            let fired: Vec<String> = findings
                .iter()
                .filter(|finding| finding.fires())
                .map(|finding| {
                    let proto = finding.check.proto.map_or("", Proto::name);
                    format!(
                        "{}{}{}",
                        finding.check.rule.name(),
                        if proto.is_empty() { "" } else { " " },
                        proto
                    )
                })
                .collect();
            assert_eq!(fired, expect);
        };
        check(source(0, 0, Class::Syn, 0), &[]);
        check(source(10, 10, Class::Syn, 20), &[]);
        check(source(11, 10, Class::Syn, 21), &["scan.vertical tcp"]);
        check(source(10, 11, Class::Syn, 21), &["scan.vertical udp"]);
        check(source(1, 0, Class::Syn, 100), &[]);
        check(source(1, 0, Class::Syn, 101), &["dos.unsolicited", "dos.packets"]);
        check(source(0, 0, Class::IcmpProbe, 101), &["dos.unsolicited", "dos.packets"]);
        check(source(0, 0, Class::Known, 101), &["dos.packets"]);
        check(
            source(11, 11, Class::Syn, 101),
            &["scan.vertical tcp", "scan.vertical udp", "dos.unsolicited", "dos.packets"],
        );
    }

    #[test]
    fn a_scan_explains_four_packets_per_port() {
        let check = |view: SourceView, expect: [bool; Check::COUNT]| {
            let findings = evaluate(&view, &Policy::default());
            assert_eq!(findings.map(|finding| finding.part_of_scan), expect);
        };
        check(source(100, 0, Class::Syn, 400), [false, false, true, true]);
        check(source(100, 0, Class::Syn, 401), [false, false, false, false]);
        check(source(60, 40, Class::Syn, 400), [false, false, true, true]);
        let mut client = source(100, 0, Class::Syn, 200);
        client.stats.classes[Class::Known as usize] = 1_000;
        check(client, [false, false, true, false]);
    }

    #[test]
    fn quiet_is_less_than_half() {
        let [finding, ..] = evaluate(&source(0, 0, Class::Syn, 0), &Policy::default());
        let finding = |observed, threshold| Finding { observed, threshold, ..finding };
        assert!(finding(4, 10).is_quiet() && !finding(5, 10).is_quiet());
        assert!(finding(0, 0).is_quiet() && !finding(1, 0).is_quiet());
    }
}
