//! The rules about one source.

use netwatch_common::{Class, Proto, Service, Techniques};

use super::expected::{Learned, is_accepted, is_dynamic};
use super::finding::{Activity, Aspect, Check, Evidence, Finding, Permit, RuleSet};
use super::limits::SCANNED_PORTS;
use super::memory::SlowScan;
use super::policy::Policy;
use super::ports::PortSummary;
use super::rules::{RuleId, Severity};
use super::slot::ServiceKey;
use super::stats::{SourceStats, TargetStats};
use super::transition::{DestSummary, Suppression};
use super::view::{SourceView, probed_dests};

/// What a source is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The source over the window.
    pub view: &'a SourceView,
    /// What it sent in the slot that ended last.
    pub newest: SourceStats,
    /// How long that was, in nanoseconds.
    pub newest_ns: u64,
    /// What it tried slowly.
    pub slow: SlowScan,
    /// Services on which connections are no surprise; `None` where nothing is told of any.
    pub baseline: Option<&'a Learned>,
    /// The rules to apply.
    pub rules: RuleSet,
    /// Whether the newest slot goes on: SYNs may still be answered.
    pub early: bool,
}

/// The rules that are applied before a slot ends: those that need neither a rate nor all targets.
pub const EARLY: RuleSet = RuleSet::of(&[
    RuleId::ScanStealth,
    RuleId::ScanSweepIcmp,
    RuleId::ScanVertical,
    RuleId::ScanHorizontal,
    RuleId::DosUnsolicited,
]);

/// Packets per probed target up to which a scan explains them: a scanner repeats a probe that gets no answer,
/// mostly once (nmap without congestion) and rarely more than three times. A flood sends more to each.
const PACKETS_PER_TARGET: u64 = 4;

/// SYNs in a slot that goes on that may still be answered: no client has more connections half open.
const SYNS_IN_FLIGHT: u64 = 1_000;

/// TCP ports that scanners ask, beside sending a ping, to learn who is up (nmap does so by default).
const DISCOVERY_PORTS: [u16; 2] = [80, 443];

/// Checks of whole sources for scans, in order: what explains others comes first. Those of ports follow.
const SCANS: [Check; 4] = [
    Check::whole(RuleId::ScanStealth),
    Check::whole(RuleId::ScanSweepIcmp),
    Check { rule: RuleId::ScanVertical, aspect: Aspect::Proto(Proto::Tcp) },
    Check { rule: RuleId::ScanVertical, aspect: Aspect::Proto(Proto::Udp) },
];

/// Those that come after scans of ports.
const OTHERS: [Check; 5] = [
    Check::whole(RuleId::ScanSlow),
    Check::whole(RuleId::DosUnsolicited),
    Check::whole(RuleId::DosRate),
    Check { rule: RuleId::DosRate, aspect: Aspect::Bits },
    Check::whole(RuleId::DosPackets),
];

impl Case<'_> {
    /// The checks that apply: those of every source, those of ports of which there is much, and those of `followed`,
    /// which are sorted and have incidents that may end.
    #[must_use]
    pub fn checks(&self, policy: &Policy, followed: &[Check]) -> Vec<Check> {
        let of_ports = followed.iter().filter(|check| matches!(check.aspect, Aspect::Port(_))).copied();
        let mut ports: Vec<Check> = of_ports.collect();
        let room = SCANNED_PORTS.saturating_sub(ports.len());
        let is_new = |check: &Check| followed.binary_search(check).is_err();
        let busy = self.busy_ports(policy).chain(self.unusual_ports(policy));
        ports.extend(busy.filter(is_new).take(room));
        ports.sort_unstable();
        let scans = ports.partition_point(|check| check.rule <= RuleId::ScanHorizontal);
        let (scans, others) = ports.split_at(scans);
        let mut checks = [&SCANS, scans, &OTHERS, others].concat();
        checks.retain(|check| self.rules.contains(check.rule));
        checks
    }

    /// Whether any rule could fire for this source, without looking at lists of prefixes: most sources do nothing.
    #[must_use]
    pub fn may_fire(&self, policy: &Policy) -> bool {
        let mut whole = SCANS
            .into_iter()
            .chain(OTHERS)
            .filter(|check| self.rules.contains(check.rule) && policy.of(check.rule).enabled);
        whole.any(|check| self.most(check) > check.threshold(policy, false))
            || self.busy_ports(policy).next().is_some()
            || self.unusual_ports(policy).next().is_some()
    }

    /// Whether so much was seen of what hints tell of that as much again breaks a rule. Those of `followed`, which are
    /// sorted, have incidents already: what more there is to say of them can wait for the end of the slot.
    #[must_use]
    pub fn is_notable(&self, policy: &Policy, followed: &[Check]) -> bool {
        let is_new = |check: &Check| followed.binary_search(check).is_err();
        let whole = SCANS.into_iter().chain(OTHERS).filter(|check| EARLY.contains(check.rule));
        let wide = policy.of(RuleId::ScanHorizontal).threshold;
        let mut services = self.view.services().filter(|(_, targets)| {
            len(targets) * 2 > wide && probed_dests(targets, policy).distinct * 2 > wide
        });
        whole.filter(is_new).any(|check| self.most(check) * 2 > check.threshold(policy, false))
            || services.any(|(service, _)| is_new(&Check::port(RuleId::ScanHorizontal, service)))
    }

    /// Applies one check.
    #[must_use]
    pub fn find(
        &self,
        check: Check,
        policy: &Policy,
        (is_local, permit): (bool, Permit),
        activity: &Activity,
    ) -> Finding {
        let threshold = check.threshold(policy, is_local);
        let observed = match self.observe(check, policy) {
            // SYNs in flight decide whether it is a flood, not how large it is.
            observed if check.rule == RuleId::DosUnsolicited && observed > threshold => {
                self.view.unsolicited()
            }
            observed => observed,
        };
        let finding = Finding::new(check, observed, threshold, policy, permit);
        let stealth = self.view.tcp.stealth + self.view.udp.stealth;
        let is_stealthy =
            check.rule == RuleId::ScanVertical && stealth > policy.threshold(RuleId::ScanStealth, is_local);
        let finding = if is_stealthy { finding.at_least(Severity::High, policy) } else { finding };
        let finding = if check.rule == RuleId::DosRate && self.was_asked_for() {
            finding.at_most(Severity::Info, policy)
        } else {
            finding
        };
        Finding { explained: self.explanation(check, activity), ..finding }
    }

    /// What an alert of this check shows.
    #[must_use]
    pub fn evidence(&self, check: Check, policy: &Policy) -> Evidence {
        let view = self.view;
        let busier = if view.udp.evidence > view.tcp.evidence { &view.udp } else { &view.tcp };
        let stats = view.stats;
        let of_ports = |ports: &PortSummary| Evidence {
            stats,
            ports: *ports,
            techniques: ports.scan_techniques(),
            ..Evidence::default()
        };
        match (check.rule, check.aspect) {
            (RuleId::ScanVertical, Aspect::Proto(proto)) => of_ports(view.ports(proto)),
            (RuleId::ScanStealth, _) if view.udp.stealth > view.tcp.stealth => of_ports(&view.udp),
            (RuleId::ScanStealth, _) => of_ports(&view.tcp),
            (RuleId::ScanSlow, _) => of_ports(&self.slow.ports),
            (RuleId::ScanSweepIcmp, _) => Evidence {
                stats,
                dests: probed_dests(view.service(Service::PROBE), policy),
                techniques: Techniques::ECHO,
                ..Evidence::default()
            },
            (RuleId::PortUnusual, Aspect::Port(service)) => {
                let mut dests = DestSummary::default();
                self.unusual(service, policy).for_each(|(key, _)| dests.add(key.dest.into()));
                Evidence { stats, dests, ..Evidence::default() }
            }
            (_, Aspect::Port(service)) => {
                let targets = view.service(service);
                let mut ports = PortSummary::default();
                if let Some((_, port)) = service.port() {
                    ports.add(port, &sum(targets));
                }
                let dests = probed_dests(targets, policy);
                Evidence { stats, ports, dests, techniques: ports.techniques, ..Evidence::default() }
            }
            _ => Evidence { stats, ports: *busier, ..Evidence::default() },
        }
    }

    /// What a check measures.
    fn observe(&self, check: Check, policy: &Policy) -> u64 {
        match (check.rule, check.aspect) {
            (RuleId::ScanSweepIcmp, _) => probed_dests(self.view.service(Service::PROBE), policy).distinct,
            (RuleId::ScanHorizontal, Aspect::Port(service)) => {
                probed_dests(self.view.service(service), policy).distinct
            }
            (RuleId::ScanSlow, _) if !self.is_slow_scan(policy) => 0,
            (RuleId::PortUnusual, Aspect::Port(service)) => {
                self.unusual(service, policy).map(|(_, stats)| u64::from(stats.completed)).sum()
            }
            _ => self.most(check),
        }
    }

    /// The most that a check can measure; mostly what it does.
    fn most(&self, check: Check) -> u64 {
        let view = self.view;
        match (check.rule, check.aspect) {
            (RuleId::ScanVertical, Aspect::Proto(proto)) => view.ports(proto).scanned(),
            (RuleId::ScanStealth, _) => view.tcp.stealth + view.udp.stealth,
            (RuleId::ScanSweepIcmp, _) => len(view.service(Service::PROBE)),
            (RuleId::ScanSlow, _) => self.slow.ports.distinct,
            (RuleId::DosUnsolicited, _) if self.early => {
                view.unsolicited().saturating_sub(uncompleted_syns(&self.newest).min(SYNS_IN_FLIGHT))
            }
            (RuleId::DosUnsolicited, _) => view.unsolicited(),
            (RuleId::DosPackets, _) => view.stats.packets(),
            (RuleId::DosRate, Aspect::Bits) => self.per_second(self.newest.bytes.saturating_mul(8)),
            (RuleId::DosRate, _) => self.per_second(self.newest.packets()),
            (RuleId::PortHammer, Aspect::Port(service)) => u64::from(sum(view.service(service)).opening),
            _ => 0,
        }
    }

    /// Ports that may break a rule about one port.
    fn busy_ports(&self, policy: &Policy) -> impl Iterator<Item = Check> {
        let horizontal = self.limit(RuleId::ScanHorizontal, policy);
        let hammer = self.limit(RuleId::PortHammer, policy);
        self.view.services().filter(|(service, _)| service.port().is_some()).flat_map(
            move |(service, targets)| {
                let is_login = |(proto, port)| proto == Proto::Tcp && policy.login_ports.contains(port);
                let is_wide = horizontal.is_some_and(|most| len(targets) > most);
                let is_hammered = hammer.is_some_and(|most| {
                    service.port().is_some_and(is_login) && u64::from(sum(targets).opening) > most
                });
                let horizontal = is_wide.then_some(Check::port(RuleId::ScanHorizontal, service));
                let hammer = is_hammered.then_some(Check::port(RuleId::PortHammer, service));
                horizontal.into_iter().chain(hammer)
            },
        )
    }

    /// Ports on which more connections were accepted than is tolerated where none is expected.
    fn unusual_ports(&self, policy: &Policy) -> impl Iterator<Item = Check> {
        let most = self.limit(RuleId::PortUnusual, policy).filter(|_| self.baseline.is_some());
        self.view.services().filter_map(move |(service, targets)| {
            // Nearly no source gets further than this.
            let most = most.filter(|_| targets.iter().any(|(_, stats)| stats.completed > 0))?;
            let check = Check::port(RuleId::PortUnusual, service);
            (self.observe(check, policy) > most).then_some(check)
        })
    }

    /// The destinations that accepted connections to this service although none is expected there.
    fn unusual(&self, service: Service, policy: &Policy) -> impl Iterator<Item = &(ServiceKey, TargetStats)> {
        let baseline = self.baseline.filter(|_| !policy.expected.declares(service));
        self.view.service(service).iter().filter(move |(key, stats)| {
            is_accepted(key, stats, policy)
                && baseline.is_some_and(|known| !known.knows(key))
                && !self.is_called_back(key)
        })
    }

    /// Whether a host opens a connection back to one that talks to it: a connection that the other side opened has a
    /// dynamic port there, and so has that for the files of active FTP.
    fn is_called_back(&self, key: &ServiceKey) -> bool {
        let is_answer = |(other, stats): &(ServiceKey, TargetStats)| {
            other.dest == key.dest && stats.rest > 0 && stats.opening == 0 && stats.completed == 0
        };
        let mut own = self.view.services().filter(|(service, _)| is_dynamic(*service));
        is_dynamic(key.service) && own.any(|(_, targets)| targets.iter().any(is_answer))
    }

    /// The threshold of a rule that applies.
    fn limit(&self, rule: RuleId, policy: &Policy) -> Option<u64> {
        let applies = self.rules.contains(rule) && policy.of(rule).enabled;
        applies.then_some(policy.of(rule).threshold)
    }

    fn is_slow_scan(&self, policy: &Policy) -> bool {
        let SlowScan { ports, completed, .. } = &self.slow;
        !completed && ports.unanswered * 100 >= ports.distinct * policy.param(RuleId::ScanSlow, 0)
    }

    /// Whether nine of ten packets in the last slot were asked for: a download at full speed is no attack.
    fn was_asked_for(&self) -> bool {
        self.newest.class(Class::Known) * 10 >= self.newest.packets() * 9
    }

    fn per_second(&self, count: u64) -> u64 {
        per_second(count, self.newest_ns)
    }

    /// What else the source, or somebody else, does that explains what a check found.
    fn explanation(&self, check: Check, activity: &Activity) -> Option<Suppression> {
        const STEALTH_OR_VERTICAL: RuleSet = RuleSet::of(&[RuleId::ScanStealth, RuleId::ScanVertical]);
        const FAST_SCANS: RuleSet = RuleSet::SCANS.without(RuleSet::of(&[RuleId::ScanSlow]));
        let Activity { active, told, at_dest, .. } = *activity;
        let view = self.view;
        let probes = view.scanned_targets().saturating_mul(PACKETS_PER_TARGET);
        // Before the slot ends, a scan may be known by its probes only.
        let in_scan = |packets| packets <= probes && (self.early || active.intersects(RuleSet::SCANS));
        let in_flood = || {
            at_dest.intersects(RuleSet::FLOODS)
                && view.main_dest().is_some_and(|dest| view.is_mainly_to(dest))
        };
        let floods = active.contains(RuleId::DosUnsolicited);
        let scan = Some(Suppression::PartOfScan);
        let flood = Some(Suppression::PartOfFlood);
        match (check.rule, check.aspect) {
            (RuleId::ScanStealth, _) if told.contains(RuleId::ScanVertical) => scan,
            (RuleId::ScanVertical, Aspect::Proto(proto)) => {
                let ports = view.ports(proto);
                let is_stealthy = ports.stealth * 2 >= ports.scanned();
                scan.filter(|_| is_stealthy && active.contains(RuleId::ScanStealth))
            }
            (RuleId::ScanHorizontal, _) if active.intersects(STEALTH_OR_VERTICAL) => scan,
            (RuleId::ScanHorizontal, _)
                if check.dest_port().is_some_and(|port| DISCOVERY_PORTS.contains(&port)) =>
            {
                scan.filter(|_| active.contains(RuleId::ScanSweepIcmp))
            }
            (RuleId::ScanSlow, _) if active.intersects(STEALTH_OR_VERTICAL) => scan,
            (RuleId::DosUnsolicited, _) if in_scan(view.unsolicited()) => scan,
            (RuleId::DosPackets | RuleId::DosRate, _) if in_scan(view.stats.packets()) => scan,
            (RuleId::DosRate, _) if told.contains(RuleId::DosRate) => flood,
            (RuleId::DosRate, _) if floods && view.unsolicited() * 2 >= view.stats.packets() => flood,
            // What is remembered for an hour of a scan that was told as another does not hide what follows it.
            (RuleId::PortUnusual, _) if active.intersects(FAST_SCANS) || told.contains(RuleId::ScanSlow) => {
                scan
            }
            (RuleId::PortHammer, Aspect::Port(service)) => {
                let stats = sum(view.service(service));
                let is_abandoned = u64::from(stats.completed.max(stats.rest)) * 5 < u64::from(stats.opening);
                if in_scan(stats.opening.into()) {
                    scan
                } else {
                    flood.filter(|_| in_flood() || (floods && is_abandoned))
                }
            }
            (RuleId::DosUnsolicited | RuleId::DosPackets | RuleId::DosRate, _) if in_flood() => flood,
            _ => None,
        }
    }
}

/// So many in so many nanoseconds, per second.
#[must_use]
pub fn per_second(count: u64, length_ns: u64) -> u64 {
    let per_second = u128::from(count) * 1_000_000_000 / u128::from(length_ns.max(1));
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

fn uncompleted_syns(stats: &SourceStats) -> u64 {
    stats.class(Class::Syn).saturating_sub(stats.completed)
}

fn sum(targets: &[(ServiceKey, TargetStats)]) -> TargetStats {
    let mut sum = TargetStats::default();
    targets.iter().for_each(|(_, stats)| sum.merge(stats));
    sum
}

fn len<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
