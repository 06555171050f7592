//! The rules in one table: what is measured about a source, how much of it is too much, and what to do about it.
//!
//! Everything about a rule stands in [`RULES`]: defaults, command line, configuration file and documentation are
//! made from it.

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
    /// What it means, in paragraphs for `netwatch rules explain` and docs/rules.md.
    pub text: Text,
}

/// The documentation of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it measures.
    pub measures: &'static str,
    /// Why it fires.
    pub fires: &'static str,
    /// What looks alike and is not counted.
    pub spares: &'static str,
    /// What to do about it, and how to tune it.
    pub advice: &'static str,
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
        text: Text {
            measures: "Distinct destination ports with evidence of a scan that one source sends to within the \
                window, TCP and UDP apart. Evidence is a TCP SYN, TCP with flags that no connection uses \
                (NULL, FIN, XMAS, SYN+FIN), UDP that is no reply, or a first fragment too small to show its \
                flags. Packets with ACK of no known connection (ACK, Window and Maimon scans) count where they \
                go to more than ten ports and the source talks on less than a fifth of them. A local source \
                may try ten times as many.",
            fires: "Looking for open ports comes before most attacks, and an ordinary client knows which few \
                ports it wants. The eleventh port fires, the tenth does not.",
            spares: "Replies to your own connections, late FIN and RST packets, retransmissions to the same \
                port, later fragments (they have no ports), and one source that opens many connections to \
                one port.",
            advice: "Look up who owns the source, and whether any port answered it. Put your own scanners and \
                monitoring on the allow-list; name your own networks in `local`. Raise the threshold where \
                one address stands for many people, such as a proxy or a translated network.",
        },
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
        text: Text {
            measures: "Packets of one source within the window that nobody asked for: TCP SYN, stealth scans and \
                packets of no connection, new UDP, ICMP requests, later fragments and malformed packets.",
            fires: "A flood is made of packets that no conversation explains, and so the volume of real \
                conversations does not hide it.",
            spares: "Packets of established connections, however many: downloads, backups, busy clients. \
                Replies, and packets that are the probes of a scan by the same source (up to four for each \
                probed port).",
            advice: "Compare the rate with what the link and the service can bear; the source may be spoofed, \
                so ask upstream before blocking it. Raise the threshold in front of busy UDP services and \
                for clients that open many short connections.",
        },
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
        text: Text {
            measures: "All packets of one source within the window, of every kind.",
            fires: "It is the plain count: every talkative source breaks it sooner or later. So its incidents \
                are recorded, and only told with `notify = true`, with the profile `literal`, or with \
                `min_severity = \"info\"`.",
            spares: "Packets that are the probes of a scan by the same source (up to four for each probed \
                port). Nothing else is spared.",
            advice: "Read it as a list of the busiest sources. To be told of them, set `notify = true` and a \
                threshold that your ordinary traffic stays under.",
        },
    },
];

impl Rule {
    /// Whether its incidents are told unless configured otherwise, or only recorded.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.severity > Severity::Info
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_documented_in_sentences() {
        for rule in RULES {
            let Text { measures, fires, spares, advice } = rule.text;
            for text in [rule.summary, measures, fires, spares, advice] {
                assert!(text.ends_with('.') && !text.contains("  "), "{}: {text:?}", rule.name);
            }
        }
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
}
