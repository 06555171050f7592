//! What the operator wants of the rules. It can change while netwatch runs.

use core::fmt::{self, Display, Formatter};
use core::net::IpAddr;

use netwatch_common::Addr;

use super::expected::Expected;
use super::finding::{Permit, RuleSet};
use super::rules::{PARAMS_MAX, RULES, Reach, RuleId, Severity};

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
    /// Networks that the watched host is connected to. With [`local`](Self::local) they are the destinations that
    /// rules about local destinations look at; where there are neither, all are.
    pub connected: Vec<Prefix>,
    /// Who may do what.
    pub allow: Vec<Allow>,
    /// Ports behind which somebody asks for a password: those that `port.hammer` looks at.
    pub login_ports: LoginPorts,
    /// Services on which connections are expected: `port.unusual` looks at the others.
    pub expected: Expected,
    /// How many openings and updates are told within a minute, over all rules; the others wait.
    pub notifications_per_minute: u64,
}

/// Ports that `port.hammer` looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginPorts {
    /// All.
    Any,
    /// These, ascending.
    These(Vec<u16>),
}

impl LoginPorts {
    /// FTP, SSH, Telnet, SMB, rlogin, SQL Server, SSH and Telnet where they hide, MySQL, RDP, PostgreSQL, VNC, WinRM.
    ///
    /// Mail boxes and directories are not among them: many people behind one address use those all day.
    pub const USUAL: [u16; 14] = [21, 22, 23, 445, 513, 1433, 2222, 2323, 3306, 3389, 5432, 5900, 5985, 5986];

    /// Whether a port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::These(ports) => ports.binary_search(&port).is_ok(),
        }
    }
}

/// Notifications within a minute unless configured otherwise.
pub const NOTIFICATIONS_PER_MINUTE: u64 = 100;

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
    /// How far back it looks, in nanoseconds, where that is not what its [`Reach`] says by itself.
    pub window_ns: Option<u64>,
    /// Its other numbers, in the order of [`Rule::params`](super::rules::Rule::params).
    pub params: [u64; PARAMS_MAX],
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
    /// Whose packets; for rules about a destination, packets to whom.
    pub prefix: Prefix,
    /// Which rule they may break; any where none is named.
    pub rule: Option<RuleId>,
}

/// A network: the addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
            window_ns: None,
            params: core::array::from_fn(|index| rule.params.get(index).map_or(0, |param| param.default)),
        });
        Self {
            rules,
            counting: Counting::Evidence,
            local: Vec::new(),
            connected: Vec::new(),
            allow: Vec::new(),
            login_ports: LoginPorts::These(LoginPorts::USUAL.to_vec()),
            expected: Expected::default(),
            notifications_per_minute: NOTIFICATIONS_PER_MINUTE,
        }
    }
}

impl Policy {
    /// What one rule is told.
    #[must_use]
    pub const fn of(&self, rule: RuleId) -> &RulePolicy {
        &self.rules[rule as usize]
    }

    /// One of a rule's other numbers, by its place in [`Rule::params`](super::rules::Rule::params).
    #[must_use]
    pub const fn param(&self, rule: RuleId, index: usize) -> u64 {
        self.of(rule).params[index]
    }

    /// How far back a rule looks that has a memory of its own, in nanoseconds; 0 for the others.
    #[must_use]
    pub fn memory_ns(&self, rule: RuleId) -> u64 {
        match rule.rule().reach {
            Reach::Memory { default_s, .. } => {
                self.of(rule).window_ns.unwrap_or_else(|| default_s.saturating_mul(1_000_000_000))
            }
            Reach::Window | Reach::Slot => 0,
        }
    }

    /// Whether it is known which destinations are local.
    #[must_use]
    pub const fn knows_ours(&self) -> bool {
        !(self.local.is_empty() && self.connected.is_empty())
    }

    /// Whether rules about local destinations look at this one: all, where it is not known which ones are local.
    #[must_use]
    pub fn is_ours(&self, dest: Addr) -> bool {
        let mut networks = self.local.iter().chain(&self.connected);
        !self.knows_ours() || networks.any(|network| network.contains(dest))
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
        if is_local && RuleSet::SCANS.contains(rule) {
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

    /// The first address, and how many bits all addresses share.
    #[must_use]
    pub fn parts(&self) -> (IpAddr, u8) {
        let bits = self.bits();
        match IpAddr::from(self.addr) {
            IpAddr::V4(addr) if bits >= 96 => (addr.into(), bits - 96),
            IpAddr::V4(addr) => (addr.to_ipv6_mapped().into(), bits),
            addr @ IpAddr::V6(_) => (addr, bits),
        }
    }

    fn bits(&self) -> u8 {
        self.mask.0.iter().fold(0, |bits, word| bits + u8::try_from(word.count_ones()).unwrap_or(32))
    }

    /// Whether an address belongs to the network.
    #[must_use]
    pub fn contains(&self, addr: Addr) -> bool {
        masked(addr, self.mask) == self.addr
    }
}

impl Display for Prefix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (first, bits) = self.parts();
        write!(f, "{first}/{bits}")
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
    fn networks_are_written_as_they_are_read() {
        for (network, bits, text) in [
            ("192.0.2.77", 96 + 24, "192.0.2.0/24"),
            ("0.0.0.0", 96, "0.0.0.0/0"),
            ("2001:db8::1", 32, "2001:db8::/32"),
            ("::", 0, "::/0"),
        ] {
            assert_eq!(prefix(network, bits).to_string(), text);
        }
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
