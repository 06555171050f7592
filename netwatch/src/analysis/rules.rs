//! The rules in one table: what is measured, how much of it is too much, and what to do about it.
//!
//! Everything about a rule stands in [`RULES`]: defaults, command line, configuration file and documentation are
//! made from it. Here is what a row consists of; `table` has the rows and `texts` what they mean.

mod table;
mod texts;

pub use table::RULES;

/// Names a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleId {
    /// One source tries many ports.
    ScanVertical,
    /// One source tries ports with packets that no connection begins with.
    ScanStealth,
    /// One source tries one port of many destinations.
    ScanHorizontal,
    /// One source asks many destinations whether they are there.
    ScanSweepIcmp,
    /// One source tries many ports over an hour.
    ScanSlow,
    /// Many sources together try many ports of one destination.
    ScanDistributed,
    /// One source sends many packets that nobody asked for.
    DosUnsolicited,
    /// One source sends many packets.
    DosPackets,
    /// One source sends at a very high rate.
    DosRate,
    /// Many sources together flood one destination.
    DdosDestination,
    /// Connections to one port are begun and not completed.
    FloodSyn,
    /// One destination is flooded with fragments.
    FloodFragment,
    /// One source connects to one login port again and again.
    PortHammer,
    /// A connection was accepted on a port where none is expected.
    PortUnusual,
    /// Packets came from, or went to, an address that a feed lists.
    IocIp,
    /// What a flow began with looks like what a signature describes.
    PayloadMatch,
    /// netwatch itself lost sight of something.
    Degraded,
}

/// What a rule, and so its incident, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A source.
    Source,
    /// A source and a destination port.
    SourcePort,
    /// An address by itself, whichever side it is on and however sources are accounted.
    Address,
    /// A destination.
    Destination,
    /// A destination and a port of it.
    DestinationPort,
    /// netwatch itself.
    Itself,
}

/// How far back a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Over the window, or over as many slots of it as configured for the rule.
    Window,
    /// Over the slot that ended last; this cannot be configured.
    Slot,
    /// Over a time of its own, in seconds, for which the analysis remembers what little it needs.
    Memory {
        /// Unless configured otherwise.
        default_s: u64,
        /// The shortest that can be configured.
        min_s: u64,
        /// The longest that can be configured.
        max_s: u64,
    },
}

/// A number of a rule besides its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its key in the configuration.
    pub name: &'static str,
    /// Unless configured otherwise.
    pub default: u64,
    /// The least that can be configured.
    pub min: u64,
    /// The most that can be configured.
    pub max: u64,
    /// What it stands for, as a fragment.
    pub meaning: &'static str,
}

/// Most parameters that a rule has.
pub const PARAMS_MAX: usize = 2;

/// What there is to know about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which rule this is.
    pub id: RuleId,
    /// The name used in configuration, output and documentation.
    pub name: &'static str,
    /// What it finds, in one sentence.
    pub summary: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// What is counted, in the plural.
    pub unit: &'static str,
    /// The default threshold, in units.
    pub threshold: u64,
    /// How far back it looks.
    pub reach: Reach,
    /// Its other numbers.
    pub params: &'static [Param],
    /// The technique in MITRE ATT&CK; empty where there is none.
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
    pub const ALL: [Self; 17] = [
        Self::ScanVertical,
        Self::ScanStealth,
        Self::ScanHorizontal,
        Self::ScanSweepIcmp,
        Self::ScanSlow,
        Self::ScanDistributed,
        Self::DosUnsolicited,
        Self::DosPackets,
        Self::DosRate,
        Self::DdosDestination,
        Self::FloodSyn,
        Self::FloodFragment,
        Self::PortHammer,
        Self::PortUnusual,
        Self::IocIp,
        Self::PayloadMatch,
        Self::Degraded,
    ];

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
