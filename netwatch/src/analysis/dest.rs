//! The rules about one destination.

use netwatch_common::{Proto, Service, Techniques};

use super::finding::{Activity, Aspect, Check, Evidence, Finding, Permit, RuleSet};
use super::limits::FLOODED_PORTS;
use super::memory::SharedScan;
use super::policy::Policy;
use super::ports::PortSummary;
use super::rules::{RuleId, Severity};
use super::slot::{Confidence, ServiceKey};
use super::source::per_second;
use super::stats::{SourceStats, TargetStats};
use super::transition::Suppression;
use super::view::DestView;

/// What a destination is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The destination.
    pub view: &'a DestView<'a>,
    /// When the slot that ended last began and ended, in nanoseconds.
    pub newest_ns: (u64, u64),
    /// How long a slot should be, in nanoseconds: a shorter one has no higher rate.
    pub slot_ns: u64,
    /// What many sources tried together here.
    pub shared: SharedScan,
    /// The usual rate of unsolicited packets here, where it is known.
    pub usual: Option<u64>,
    /// How completed handshakes are told.
    pub confidence: Confidence,
    /// The rules to apply.
    pub rules: RuleSet,
}

/// The rules about what floods a destination.
pub const FLOODS: RuleSet = RuleSet::FLOODS;

/// The rule about what many sources do together.
pub const SHARED: RuleSet = RuleSet::of(&[RuleId::ScanDistributed]);

/// Who sent what a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    /// How many; of those without a name an estimate, and rather too few.
    pub count: u64,
    /// How much the busiest of those with a name sent, in packets.
    pub most: u64,
    /// How much all of them sent.
    pub all: u64,
}

/// Below this many packets/s nothing is a flood, however unusual.
const LEAST_FLOOD: u64 = 1_000;

/// Ports of one destination that are told of as flooded by themselves.
const PORTS_TOLD: usize = 3;

/// Checks of whole destinations. What explains another comes first; those of ports come before all.
const WHOLE: [Check; 3] = [
    Check::whole(RuleId::FloodFragment),
    Check::whole(RuleId::DdosDestination),
    Check::whole(RuleId::ScanDistributed),
];

impl Case<'_> {
    /// The checks that apply: those of every destination, those of the ports with most SYNs, and `followed`, which
    /// have incidents that may end.
    #[must_use]
    pub fn checks(&self, policy: &Policy, followed: &[Check]) -> Vec<Check> {
        let mut busy: Vec<(u32, Check)> = self.busy_ports(policy).collect();
        busy.sort_unstable_by(|left, right| right.cmp(left));
        let ports = followed.iter().filter(|check| matches!(check.aspect, Aspect::Port(_))).copied();
        let mut checks: Vec<Check> = ports.collect();
        let room = FLOODED_PORTS.saturating_sub(checks.len());
        checks.extend(
            busy.into_iter()
                .map(|(_, check)| check)
                .filter(|check| followed.binary_search(check).is_err())
                .take(room),
        );
        checks.sort_unstable();
        checks.extend(WHOLE);
        checks.retain(|check| self.rules.contains(check.rule));
        checks
    }

    /// Whether any rule could fire for this destination.
    #[must_use]
    pub fn may_fire(&self, policy: &Policy) -> bool {
        let applies = |check: &Check| self.rules.contains(check.rule) && policy.of(check.rule).enabled;
        let mut whole = WHOLE.into_iter().filter(applies);
        whole.any(|check| self.observe(check, policy) > self.threshold(check, policy))
            || self.busy_ports(policy).next().is_some()
    }

    /// Applies one check. `senders` are asked for only where it fires or has an incident.
    #[must_use]
    pub fn find(
        &self,
        check: Check,
        policy: &Policy,
        permit: Permit,
        activity: &Activity,
        senders: impl FnOnce() -> Senders,
    ) -> (Finding, Senders) {
        let observed = self.observe(check, policy);
        let finding = Finding::new(check, observed, self.threshold(check, policy), policy, permit);
        if check.rule == RuleId::ScanDistributed {
            let senders = Senders { count: self.shared.sources, ..Senders::default() };
            let has_enough = senders.count > policy.param(RuleId::ScanDistributed, 0);
            // What floods a destination is no scan of it, however many ports it goes to.
            let in_flood = activity.told.intersects(RuleSet::FLOODS);
            let explained = in_flood.then_some(Suppression::PartOfFlood);
            let observed = if has_enough { finding.observed } else { 0 };
            return (Finding { observed, explained, ..finding }, senders);
        }
        if observed == 0 {
            return (finding, Senders::default());
        }
        let mut senders = senders();
        senders.all = senders.all.max(self.sum(check));
        let has_enough =
            check.rule != RuleId::DdosDestination || senders.count > policy.param(RuleId::DdosDestination, 0);
        let observed = if has_enough { observed } else { 0 };
        let explained = self.explanation(check, policy, activity, &senders);
        (Finding { observed, explained, ..finding }, senders)
    }

    /// What an alert of this check shows; `sources` took part.
    #[must_use]
    pub fn evidence(&self, check: Check, sources: u64) -> Evidence {
        let mut ports = PortSummary::default();
        if let (Aspect::Port(service), Some(port)) = (check.aspect, check.dest_port()) {
            ports.add(port, &self.view.service(service));
        }
        if check.rule == RuleId::ScanDistributed {
            ports = self.shared.ports;
        }
        let within = |(service, _): &&(Service, TargetStats)| concerns(check, *service);
        let mut evidence = Evidence { ports, sources, ..Evidence::default() };
        let services = self.view.window.iter().filter(within).map(|(service, stats)| (*service, stats));
        evidence.stats = total(services, self.newest_ns);
        if check.rule == RuleId::ScanDistributed {
            evidence.stats.first_ns = self.shared.first_ns;
        }
        let techniques = self.view.window.iter().filter(within).map(|(_, stats)| stats.techniques);
        let techniques = techniques.fold(Techniques::NONE, Techniques::union);
        if check.rule != RuleId::DdosDestination {
            evidence.techniques = techniques;
        }
        evidence
    }

    fn observe(&self, check: Check, policy: &Policy) -> u64 {
        let view = self.view;
        match (check.rule, check.aspect) {
            (RuleId::FloodSyn, Aspect::Port(service)) => {
                let stats = view.service(service);
                let uncompleted = stats.uncompleted(self.confidence == Confidence::Flows);
                let opened = u64::from(stats.opening);
                let is_served = (opened - uncompleted) * 100 >= opened * policy.param(RuleId::FloodSyn, 0);
                if is_served { 0 } else { uncompleted }
            }
            (RuleId::FloodFragment, _) => {
                let fragments = view.fragments();
                let is_small = fragments * 100 <= view.packets() * policy.param(RuleId::FloodFragment, 0);
                if is_small { 0 } else { self.rate(fragments) }
            }
            (RuleId::DdosDestination, _) if policy.is_ours(view.addr) => self.rate(view.unsolicited()),
            (RuleId::ScanDistributed, _) => self.shared.ports.distinct,
            _ => 0,
        }
    }

    /// The packets that senders are asked for, whoever sent them.
    fn sum(&self, check: Check) -> u64 {
        match (check.rule, check.aspect) {
            (RuleId::FloodSyn, Aspect::Port(service)) => {
                self.view.service(service).uncompleted(self.confidence == Confidence::Flows)
            }
            (RuleId::FloodFragment, _) => self.view.fragments(),
            _ => self.view.unsolicited(),
        }
    }

    fn threshold(&self, check: Check, policy: &Policy) -> u64 {
        let threshold = check.threshold(policy, false);
        match (check.rule, self.usual) {
            (RuleId::DdosDestination, Some(usual)) => {
                let unusual = usual.saturating_mul(policy.param(RuleId::DdosDestination, 1));
                threshold.min(unusual.max(LEAST_FLOOD))
            }
            _ => threshold,
        }
    }

    /// Ports that may break a rule about one port, with their SYNs.
    fn busy_ports(&self, policy: &Policy) -> impl Iterator<Item = (u32, Check)> {
        let most = policy.of(RuleId::FloodSyn).threshold;
        let enabled = self.rules.contains(RuleId::FloodSyn) && policy.of(RuleId::FloodSyn).enabled;
        self.view
            .window
            .iter()
            .filter(move |(service, stats)| {
                let is_tcp = service.port().is_some_and(|(proto, _)| proto == Proto::Tcp);
                enabled && is_tcp && u64::from(stats.opening) > most
            })
            .map(|(service, stats)| (stats.opening, Check::port(RuleId::FloodSyn, *service)))
    }

    fn explanation(
        &self,
        check: Check,
        policy: &Policy,
        activity: &Activity,
        senders: &Senders,
    ) -> Option<Suppression> {
        const OF_ONE_KIND: RuleSet = RuleSet::of(&[RuleId::FloodSyn, RuleId::FloodFragment]);
        // One source, or two: they have incidents of their own, which name them.
        let dos = policy.of(RuleId::DosUnsolicited);
        let dos_weight =
            policy.weight(RuleId::DosUnsolicited, policy.severity(RuleId::DosUnsolicited, senders.most));
        let is_told = dos.enabled && senders.most > dos.threshold && dos_weight > Severity::Info;
        let is_from_few = senders.most * 3 > senders.all && is_told;
        let is_of_one_kind =
            check.rule == RuleId::DdosDestination && activity.told.intersects(OF_ONE_KIND) && {
                let syns_or_fragments =
                    self.view.newest.iter().map(|(key, stats)| match key.service.port() {
                        Some((Proto::Tcp, _)) => stats.opening,
                        None if key.service == Service::FRAGMENT => stats.noise,
                        _ => 0,
                    });
                syns_or_fragments.map(u64::from).sum::<u64>() * 2 >= self.view.unsolicited()
            };
        // A few ports are told by themselves; more are one flood, which the first of them stand for.
        let is_one_of_many = check.rule == RuleId::FloodSyn
            && (activity.told.contains(RuleId::DdosDestination) || activity.told_ports >= PORTS_TOLD);
        (is_from_few || is_of_one_kind || is_one_of_many).then_some(Suppression::PartOfFlood)
    }

    fn rate(&self, count: u64) -> u64 {
        let (start_ns, end_ns) = self.newest_ns;
        per_second(count, end_ns.saturating_sub(start_ns).max(self.slot_ns))
    }
}

/// Whether a check looks at a service.
fn concerns(check: Check, service: Service) -> bool {
    match (check.rule, check.aspect) {
        (_, Aspect::Port(port)) => port == service,
        (RuleId::FloodFragment, _) => service == Service::FRAGMENT,
        _ => true,
    }
}

/// What was sent to a destination in a slot, as far as `check` looks at it.
#[must_use]
pub fn sent(check: Check, services: &[(ServiceKey, TargetStats)], within_ns: (u64, u64)) -> SourceStats {
    let services = services.iter().filter(|(key, _)| concerns(check, key.service));
    total(services.map(|(key, stats)| (key.service, stats)), within_ns)
}

fn total<'a>(
    services: impl Iterator<Item = (Service, &'a TargetStats)>,
    (start_ns, end_ns): (u64, u64),
) -> SourceStats {
    let mut total = SourceStats::default();
    for (service, stats) in services {
        total.merge(&SourceStats {
            bytes: stats.bytes,
            classes: stats.classes(service),
            completed: stats.completed.into(),
            // Targets have no times of their own.
            first_ns: start_ns.max(1),
            last_ns: end_ns,
            ..SourceStats::default()
        });
    }
    total
}

impl Senders {
    /// Sums up a list in which each source is once.
    #[must_use]
    pub fn of<K>(list: &[(K, u64)]) -> Self {
        Self {
            count: u64::try_from(list.len()).unwrap_or(u64::MAX),
            most: list.iter().map(|(_, count)| *count).max().unwrap_or(0),
            all: list.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
        }
    }
}
