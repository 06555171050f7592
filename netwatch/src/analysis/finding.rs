//! What a rule finds, and what explains it.
//!
//! A rule fires when what it measures is *strictly greater* than its threshold: the 11th distinct port and the
//! 101st packet fire, 10 and 100 do not.

use netwatch_common::{Proto, Service, Techniques};

use super::policy::Policy;
use super::ports::PortSummary;
use super::rules::{RuleId, Severity};
use super::stats::SourceStats;
use super::transition::{DestSummary, Suppression};

/// One rule applied to one aspect of a source or destination; with it the key of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// The rule.
    pub rule: RuleId,
    /// What the rule looks at.
    pub aspect: Aspect,
}

/// What of a source or destination a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// All of it.
    Whole,
    /// Its bits, where the rule counts something else first.
    Bits,
    /// One protocol.
    Proto(Proto),
    /// One port.
    Port(Service),
    /// What a feed or a signature tells, by the number that whoever reads them has given it.
    Item(u16),
}

impl Check {
    /// A rule applied to all there is.
    #[must_use]
    pub const fn whole(rule: RuleId) -> Self {
        Self { rule, aspect: Aspect::Whole }
    }

    /// A rule applied to one port.
    #[must_use]
    pub const fn port(rule: RuleId, service: Service) -> Self {
        Self { rule, aspect: Aspect::Port(service) }
    }

    /// The protocol that it looks at, where it is one.
    #[must_use]
    pub fn proto(self) -> Option<Proto> {
        match self.aspect {
            Aspect::Proto(proto) => Some(proto),
            Aspect::Port(service) => service.port().map(|(proto, _)| proto),
            Aspect::Whole | Aspect::Bits | Aspect::Item(_) => None,
        }
    }

    /// The port that it looks at, where it is one.
    #[must_use]
    pub fn dest_port(self) -> Option<u16> {
        match self.aspect {
            Aspect::Port(service) => service.port().map(|(_, port)| port),
            Aspect::Whole | Aspect::Bits | Aspect::Proto(_) | Aspect::Item(_) => None,
        }
    }

    /// What it counts, in the plural.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self.aspect {
            Aspect::Bits => "bits/s",
            Aspect::Whole | Aspect::Proto(_) | Aspect::Port(_) | Aspect::Item(_) => self.rule.rule().unit,
        }
    }

    /// How much of it is tolerated.
    #[must_use]
    pub fn threshold(self, policy: &Policy, is_local: bool) -> u64 {
        match self.aspect {
            Aspect::Bits => policy.param(self.rule, 0),
            Aspect::Whole | Aspect::Proto(_) | Aspect::Port(_) | Aspect::Item(_) => {
                policy.threshold(self.rule, is_local)
            }
        }
    }
}

/// What a check found, whether or not that is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What was observed, in the check's units.
    pub observed: u64,
    /// What is tolerated, in the check's units.
    pub threshold: u64,
    /// How severe it is.
    pub severity: Severity,
    /// How severe it is where it is decided who is told: see [`RulePolicy::notify`](super::policy::RulePolicy).
    pub weight: Severity,
    /// What else explains all of it, where something does.
    pub explained: Option<Suppression>,
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
    /// What `check` found; unexplained.
    #[must_use]
    pub fn new(check: Check, observed: u64, threshold: u64, policy: &Policy, permit: Permit) -> Self {
        let severity = policy.severity(check.rule, if check.aspect == Aspect::Bits { 0 } else { observed });
        let weight = policy.weight(check.rule, severity);
        Self { check, observed, threshold, severity, weight, explained: None, permit }
    }

    /// Makes it at least so severe, unless the operator says how severe it is.
    #[must_use]
    pub fn at_least(self, severity: Severity, policy: &Policy) -> Self {
        if policy.of(self.check.rule).severity.is_some() {
            return self;
        }
        let severity = self.severity.max(severity);
        Self { severity, weight: policy.weight(self.check.rule, severity), ..self }
    }

    /// Makes it as severe as a feed or a signature says, unless the operator says how severe it is.
    #[must_use]
    pub fn graded(self, severity: Severity, policy: &Policy) -> Self {
        if policy.of(self.check.rule).severity.is_some() {
            return self;
        }
        Self { severity, weight: policy.weight(self.check.rule, severity), ..self }
    }

    /// Makes it at most so severe, unless the operator says how severe it is.
    #[must_use]
    pub fn at_most(self, severity: Severity, policy: &Policy) -> Self {
        if policy.of(self.check.rule).severity.is_some() {
            return self;
        }
        let severity = self.severity.min(severity);
        Self { severity, weight: policy.weight(self.check.rule, severity), ..self }
    }

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

/// What an alert shows beside the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Packets of the source, or to the destination, within the window.
    pub stats: SourceStats,
    /// Ports that were tried.
    pub ports: PortSummary,
    /// Destinations that were tried.
    pub dests: DestSummary,
    /// Sources that took part.
    pub sources: u64,
    /// How it was probed.
    pub techniques: Techniques,
}

/// A set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(u32);

impl RuleSet {
    /// Scans: what they explain is no flood.
    pub const SCANS: Self = Self::of(&[
        RuleId::ScanVertical,
        RuleId::ScanStealth,
        RuleId::ScanHorizontal,
        RuleId::ScanSweepIcmp,
        RuleId::ScanSlow,
    ]);
    /// Floods of a destination.
    pub const FLOODS: Self = Self::of(&[RuleId::FloodSyn, RuleId::FloodFragment, RuleId::DdosDestination]);

    /// These rules.
    #[must_use]
    pub const fn of(rules: &[RuleId]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < rules.len() {
            set |= 1 << rules[index] as u32;
            index += 1;
        }
        Self(set)
    }

    /// Adds a rule.
    pub const fn insert(&mut self, rule: RuleId) {
        self.0 |= 1 << rule as u32;
    }

    /// Whether a rule is in it.
    #[must_use]
    pub const fn contains(self, rule: RuleId) -> bool {
        self.0 & (1 << rule as u32) != 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any rule is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Which incidents go on that may explain another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Of the same source or destination, told or held back.
    pub active: RuleSet,
    /// Of the same source or destination, told.
    pub told: RuleSet,
    /// How many of those told are about single ports.
    pub told_ports: usize,
    /// Of the destination that a source sends most to, told.
    pub at_dest: RuleSet,
}

#[cfg(test)]
mod tests;
