//! What the operator wants of the rules. It can change while netwatch runs.

use netwatch_common::Addr;

use super::finding::Permit;
use super::rules::{RULES, RuleId, Severity};

/// By how much more the threshold of a scan is for local sources: programs that share files, crawl or look for
/// devices try many ports.
pub const LOCAL_FACTOR: u64 = 10;

/// How the rules are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What each rule is told, in the order of [`RuleId`].
    pub rules: [RulePolicy; RuleId::COUNT],
    /// Which packets make a port count as probed.
    pub counting: Counting,
    /// Networks whose hosts may try [`LOCAL_FACTOR`] times as many ports.
    pub local: Vec<Prefix>,
    /// Who may do what.
    pub allow: Vec<Allow>,
}

/// What one rule is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePolicy {
    /// How many units it tolerates per window.
    pub threshold: u64,
    /// The severity of all its findings; by itself a rule grades them.
    pub severity: Option<Severity>,
    /// Whether its incidents are told or only recorded. Recorded ones weigh as much as information, told ones
    /// at least as much as [`Severity::Low`]; unless said, the severity decides.
    pub notify: Option<bool>,
    /// Whether it is applied at all.
    pub enabled: bool,
}

/// Which packets make a port count as probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Those that are evidence of a scan.
    #[default]
    Evidence,
    /// All of them.
    Everything,
}

/// An entry of the allow-list. It has no end: who made it takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Whose packets.
    pub prefix: Prefix,
    /// Which rule they may break; any where none is named.
    pub rule: Option<RuleId>,
}

/// A network: the addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    addr: Addr,
    mask: Addr,
}

impl Default for Policy {
    fn default() -> Self {
        let rules = RULES.map(|rule| RulePolicy {
            threshold: rule.threshold,
            severity: None,
            notify: None,
            enabled: true,
        });
        Self { rules, counting: Counting::Evidence, local: Vec::new(), allow: Vec::new() }
    }
}

impl Policy {
    /// What one rule is told.
    #[must_use]
    pub const fn of(&self, rule: RuleId) -> &RulePolicy {
        &self.rules[rule as usize]
    }

    /// Whether a source belongs to a local network.
    #[must_use]
    pub fn is_local(&self, source: Addr) -> bool {
        self.local.iter().any(|prefix| prefix.contains(source))
    }

    /// How many units a rule tolerates of a source.
    #[must_use]
    pub fn threshold(&self, rule: RuleId, is_local: bool) -> u64 {
        let threshold = self.of(rule).threshold;
        if is_local && rule == RuleId::ScanVertical {
            threshold.saturating_mul(LOCAL_FACTOR)
        } else {
            threshold
        }
    }

    /// How severe it is to have observed so many units.
    #[must_use]
    pub fn severity(&self, rule: RuleId, observed: u64) -> Severity {
        self.of(rule).severity.unwrap_or_else(|| rule.severity(observed))
    }

    /// How much a finding of such a severity weighs where it is decided who is told.
    #[must_use]
    pub fn weight(&self, rule: RuleId, severity: Severity) -> Severity {
        match self.of(rule).notify {
            None => severity,
            Some(true) => severity.max(Severity::Low),
            Some(false) => Severity::Info,
        }
    }

    /// Whether an incident may come of what a source does, by rule.
    #[must_use]
    pub fn permits(&self, source: Addr) -> [Permit; RuleId::COUNT] {
        let mut permits = self.rules.map(|rule| if rule.enabled { Permit::Raise } else { Permit::Disabled });
        for entry in self.allow.iter().filter(|entry| entry.prefix.contains(source)) {
            for (rule, permit) in RuleId::ALL.into_iter().zip(&mut permits) {
                if entry.rule.is_none_or(|only| only == rule) && *permit == Permit::Raise {
                    *permit = Permit::Allowed;
                }
            }
        }
        permits
    }
}

impl Prefix {
    /// The network of the first `bits` bits of `addr`, in which IPv4 begins at bit 96; `None` for more than 128.
    #[must_use]
    pub fn new(addr: Addr, bits: u8) -> Option<Self> {
        let free = 128_u32.checked_sub(bits.into())?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        let mask = Addr::from(core::net::Ipv6Addr::from_bits(mask));
        Some(Self { addr: masked(addr, mask), mask })
    }

    /// Whether an address belongs to the network.
    #[must_use]
    pub fn contains(&self, addr: Addr) -> bool {
        masked(addr, self.mask) == self.addr
    }
}

fn masked(addr: Addr, mask: Addr) -> Addr {
    let mut words = addr.0;
    for (word, mask) in words.iter_mut().zip(mask.0) {
        *word &= mask;
    }
    Addr(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn prefix(text: &str, bits: u8) -> Prefix {
        Prefix::new(addr(text), bits).unwrap()
    }

    #[test]
    fn a_prefix_contains_what_begins_like_it() {
        for (network, bits, host, inside) in [
            ("192.0.2.0", 96 + 24, "192.0.2.255", true),
            ("192.0.2.77", 96 + 24, "192.0.2.1", true),
            ("192.0.2.0", 96 + 24, "192.0.3.0", false),
            ("192.0.2.8", 96 + 29, "192.0.2.15", true),
            ("192.0.2.8", 96 + 29, "192.0.2.16", false),
            ("192.0.2.1", 128, "192.0.2.2", false),
            ("0.0.0.0", 96, "203.0.113.9", true),
            ("0.0.0.0", 96, "2001:db8::1", false),
            ("2001:db8::", 32, "2001:db8:ffff::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
            ("2001:db8:0:4::", 63, "2001:db8:0:5::9", true),
            ("::", 0, "192.0.2.1", true),
        ] {
            assert_eq!(prefix(network, bits).contains(addr(host)), inside, "{host} in {network}/{bits}");
        }
        assert_eq!(Prefix::new(addr("::"), 129), None);
    }

    #[test]
    fn told_or_recorded() {
        let mut policy = Policy::default();
        let rule = RuleId::ScanVertical;
        for (notify, severity, weight) in [
            (None, Severity::Info, Severity::Info),
            (None, Severity::High, Severity::High),
            (Some(true), Severity::Info, Severity::Low),
            (Some(true), Severity::High, Severity::High),
            (Some(false), Severity::High, Severity::Info),
        ] {
            policy.rules[rule as usize].notify = notify;
            assert_eq!(policy.weight(rule, severity), weight, "{notify:?} {severity:?}");
        }
    }

    #[test]
    fn an_entry_allows_one_rule_or_all() {
        let allow = vec![
            Allow { prefix: prefix("192.0.2.0", 120), rule: Some(RuleId::ScanVertical) },
            Allow { prefix: prefix("203.0.113.7", 128), rule: None },
        ];
        let mut policy = Policy { allow, ..Policy::default() };
        policy.rules[RuleId::DosPackets as usize].enabled = false;
        for (rule, source, permit) in [
            (RuleId::ScanVertical, "192.0.2.9", Permit::Allowed),
            (RuleId::DosUnsolicited, "192.0.2.9", Permit::Raise),
            (RuleId::DosUnsolicited, "203.0.113.7", Permit::Allowed),
            (RuleId::DosPackets, "203.0.113.7", Permit::Disabled),
            (RuleId::ScanVertical, "198.51.100.1", Permit::Raise),
        ] {
            assert_eq!(policy.permits(addr(source))[rule as usize], permit, "{rule:?} {source}");
        }
    }

    #[test]
    fn local_sources_may_try_ten_times_as_many_ports() {
        let policy = Policy { local: vec![prefix("192.0.2.0", 120)], ..Policy::default() };
        assert!(policy.is_local(addr("192.0.2.1")) && !policy.is_local(addr("203.0.113.1")));
        assert_eq!(policy.threshold(RuleId::ScanVertical, true), 100);
        assert_eq!(policy.threshold(RuleId::ScanVertical, false), 10);
        assert_eq!(policy.threshold(RuleId::DosUnsolicited, true), 100);
    }
}
