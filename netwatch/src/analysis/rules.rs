//! The rules: what is measured about a source, and how much of it is too much.
//!
//! Everything about a rule stands in [`RULES`]. A rule fires when what it measures is *strictly greater* than
//! its threshold: the 11th distinct port and the 101st packet fire, 10 and 100 do not.

use netwatch_common::Proto;

use super::window::SourceView;

/// Names a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleId {
    /// One source tries many ports.
    ScanVertical,
    /// One source sends many packets that nobody asked for.
    DosUnsolicited,
    /// One source sends many packets.
    DosPackets,
}

/// What there is to know about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which rule this is.
    pub id: RuleId,
    /// The name used in configuration, output and documentation.
    pub name: &'static str,
    /// What it finds, in one sentence.
    pub summary: &'static str,
    /// What is counted over the window, in the plural.
    pub unit: &'static str,
    /// The default threshold, in units.
    pub threshold: u64,
    /// The technique in MITRE ATT&CK.
    pub attack_id: &'static str,
    /// Severity of a finding.
    pub severity: Severity,
    /// The severities of worse findings, each with the number of units it takes more than; ascending.
    pub raised: &'static [(u64, Severity)],
}

/// All rules, in the order of [`RuleId`]. Scans come first because they absorb what is part of them.
pub const RULES: [Rule; RuleId::COUNT] = [
    Rule {
        id: RuleId::ScanVertical,
        name: "scan.vertical",
        summary: "One source tries many ports of one protocol.",
        unit: "distinct ports",
        threshold: 10,
        attack_id: "T1046",
        severity: Severity::Medium,
        raised: &[(100, Severity::High)],
    },
    Rule {
        id: RuleId::DosUnsolicited,
        name: "dos.unsolicited",
        summary: "One source sends many packets that nobody asked for.",
        unit: "unsolicited packets",
        threshold: 100,
        attack_id: "T1498",
        severity: Severity::Low,
        raised: &[(1_000, Severity::Medium), (10_000, Severity::High)],
    },
    Rule {
        id: RuleId::DosPackets,
        name: "dos.packets",
        summary: "One source sends many packets of any kind.",
        unit: "packets",
        threshold: 100,
        attack_id: "T1498",
        severity: Severity::Info,
        raised: &[],
    },
];

impl RuleId {
    /// How many rules there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All rules.
    pub const ALL: [Self; 3] = [Self::ScanVertical, Self::DosUnsolicited, Self::DosPackets];

    /// Its row of the table.
    #[must_use]
    pub const fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }

    /// The name used in configuration, output and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// How severe it is to have observed so many units.
    #[must_use]
    pub fn severity(self, observed: u64) -> Severity {
        let rule = self.rule();
        let reached = rule.raised.iter().rev().find(|(more_than, _)| observed > *more_than);
        reached.map_or(rule.severity, |(_, severity)| *severity)
    }
}

/// How much an incident matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// Recorded, not an alert.
    Info,
    /// Worth a look when there is time.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// Something is being damaged.
    Critical,
}

impl Severity {
    /// How many severities there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All severities, ascending.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The lower-case name used in configuration and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How many units each rule tolerates per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds([u64; RuleId::COUNT]);

impl Default for Thresholds {
    fn default() -> Self {
        Self(RULES.map(|rule| rule.threshold))
    }
}

impl Thresholds {
    /// The threshold of one rule, in its units.
    #[must_use]
    pub const fn of(&self, rule: RuleId) -> u64 {
        self.0[rule as usize]
    }

    /// The same thresholds but for one rule.
    #[must_use]
    pub const fn with(mut self, rule: RuleId, threshold: u64) -> Self {
        self.0[rule as usize] = threshold;
        self
    }
}

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
            (RuleId::ScanVertical, Some(proto)) => source.ports(proto).distinct,
            (RuleId::ScanVertical, None) => source.evidence_ports(),
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
    /// What is tolerated, in the rule's units.
    pub threshold: u64,
    /// Whether a scan by the same source, if there is one, explains all of it.
    pub part_of_scan: bool,
}

impl Finding {
    /// Whether more was observed than is tolerated.
    #[must_use]
    pub const fn fires(&self) -> bool {
        self.observed > self.threshold
    }

    /// Whether so little was observed that an incident may come to its end: less than half the threshold.
    ///
    /// Nothing at all is always quiet, whatever the threshold.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.observed == 0 || self.observed.saturating_mul(2) < self.threshold
    }

    /// How severe it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.check.rule.severity(self.observed)
    }
}

/// Applies every rule to one source.
///
/// What stays under its threshold is reported too: an open incident needs it to come to its end.
#[must_use]
pub fn evaluate(source: &SourceView, thresholds: &Thresholds) -> [Finding; Check::COUNT] {
    Check::ALL.map(|check| {
        let observed = check.observe(source);
        Finding {
            check,
            observed,
            threshold: thresholds.of(check.rule),
            part_of_scan: check.rule != RuleId::ScanVertical
                && observed <= source.evidence_ports().saturating_mul(PACKETS_PER_SCANNED_PORT),
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
        let probe = PortStats { packets: 1, evidence: 1 };
        (1..=tcp_ports).for_each(|port| view.tcp.add(port, &probe));
        (1..=udp_ports).for_each(|port| view.udp.add(port, &probe));
        view.stats.classes[class as usize] = packets;
        view
    }

    #[test]
    fn the_table_is_in_order() {
        for (index, rule) in RuleId::ALL.into_iter().enumerate() {
            assert_eq!((rule as usize, rule.rule().id), (index, rule));
            let steps = rule.rule().raised;
            assert!(steps.is_sorted_by(|low, high| low.0 < high.0 && low.1 < high.1));
            assert!(steps.iter().all(|(_, severity)| *severity > rule.rule().severity));
        }
        assert!(Severity::ALL.is_sorted_by(|low, high| low < high));
    }

    #[test]
    fn only_more_than_the_threshold_fires() {
        let check = |view: SourceView, expect: &[&str]| {
            let findings = evaluate(&view, &Thresholds::default());
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
    fn severity_follows_the_number() {
        let check = |rule: RuleId, observed, expect| assert_eq!(rule.severity(observed).name(), expect);
        check(RuleId::ScanVertical, 11, "medium");
        check(RuleId::ScanVertical, 100, "medium");
        check(RuleId::ScanVertical, 101, "high");
        check(RuleId::DosUnsolicited, 101, "low");
        check(RuleId::DosUnsolicited, 1_000, "low");
        check(RuleId::DosUnsolicited, 1_001, "medium");
        check(RuleId::DosUnsolicited, 10_001, "high");
        check(RuleId::DosPackets, u64::MAX, "info");
    }

    #[test]
    fn a_scan_explains_four_packets_per_port() {
        let check = |view: SourceView, expect: [bool; Check::COUNT]| {
            let findings = evaluate(&view, &Thresholds::default());
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
        let finding =
            |observed, threshold| Finding { check: Check::ALL[0], observed, threshold, part_of_scan: false };
        assert!(finding(4, 10).is_quiet() && !finding(5, 10).is_quiet());
        assert!(finding(0, 0).is_quiet() && !finding(1, 0).is_quiet());
    }
}
