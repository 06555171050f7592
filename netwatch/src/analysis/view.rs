//! One source, or one destination, over the whole window.

use netwatch_common::{Addr, PortHash, Ports, Proto, Service};

use super::policy::{Counting, Policy};
use super::ports::PortSummary;
use super::slot::{Confidence, ServiceKey, range};
use super::stats::{SourceStats, TargetStats};
use super::transition::DestSummary;

/// One source over the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its address, or the network that it is accounted with.
    pub addr: Addr,
    /// What it sent.
    pub stats: SourceStats,
    /// The TCP ports it sent to.
    pub tcp: PortSummary,
    /// The UDP ports it sent to.
    pub udp: PortSummary,
    /// What it sent to, sorted by service, then destination.
    targets: Vec<(ServiceKey, TargetStats)>,
    /// Ports that it probed at targets that found no room.
    hidden: Option<(PortHash, Ports)>,
    /// Targets that were probed, known by name or at least by their port.
    probed: u64,
    /// Targets that were probed in the slot that has not ended, known by number.
    hinted: u64,
    /// SYNs that were answered, as far as that can be told where handshakes are not counted.
    answered: u64,
    main_dest: Option<(Addr, u64)>,
}

impl SourceView {
    /// A source that sent nothing.
    #[must_use]
    pub fn new(addr: Addr) -> Self {
        Self {
            addr,
            stats: SourceStats::default(),
            tcp: PortSummary::default(),
            udp: PortSummary::default(),
            targets: Vec::new(),
            hidden: None,
            probed: 0,
            hinted: 0,
            answered: 0,
            main_dest: None,
        }
    }

    /// Begins anew with another source; keeps the memory.
    pub(super) fn begin(&mut self, addr: Addr) {
        let mut targets = core::mem::take(&mut self.targets);
        targets.clear();
        *self = Self { targets, ..Self::new(addr) };
    }

    /// Adds a target; each at most once, in the order of destinations. Call [`Self::conclude`] after the last.
    pub(super) fn add(&mut self, key: ServiceKey, stats: TargetStats) {
        self.targets.push((key, stats));
    }

    /// Adds the ports that it probed in some slot at targets that found no room; `hash` is that of all sets.
    pub(super) fn add_ports(&mut self, hash: PortHash, ports: &Ports) {
        self.hidden.get_or_insert((hash, Ports::ZERO)).1.union(ports);
    }

    /// Sums up what was added.
    pub(super) fn conclude(&mut self, counting: Counting, confidence: Confidence) {
        for of_dest in self.targets.chunk_by(|(left, _), (right, _)| left.dest == right.dest) {
            let unsolicited = of_dest.iter().map(|(_, stats)| stats.unsolicited()).sum();
            if let Some((key, _)) = of_dest.first()
                && self.main_dest.is_none_or(|(_, most)| unsolicited > most)
            {
                self.main_dest = Some((key.dest, unsolicited));
            }
        }
        // Those of the ports that are known by name as well.
        let mut exact = Ports::ZERO;
        // Stable, so that destinations stay in order.
        self.targets.sort_by_key(|(key, _)| key.service);
        for of_service in self.targets.chunk_by(|(left, _), (right, _)| left.service == right.service) {
            let Some((ServiceKey { service, .. }, _)) = of_service.first() else { continue };
            let mut sum = TargetStats::default();
            for (_, stats) in of_service {
                sum.merge(stats);
                let is_probe = stats.evidence() > 0 || (*service == Service::PROBE && stats.noise > 0);
                self.probed += u64::from(is_probe);
            }
            let Some((proto, port)) = service.port() else { continue };
            if proto == Proto::Tcp && confidence == Confidence::Flags {
                self.answered += u64::from(sum.opening) - sum.uncompleted(false);
            }
            if counting == Counting::Everything {
                let everything = u32::try_from(sum.packets()).unwrap_or(u32::MAX);
                sum = TargetStats { bytes: sum.bytes, opening: everything, ..TargetStats::default() };
            }
            if let Some((hash, _)) = self.hidden.filter(|_| sum.evidence() > 0) {
                exact.of_mut(proto).insert(hash, port);
            }
            let summary = match proto {
                Proto::Tcp => &mut self.tcp,
                Proto::Udp => &mut self.udp,
            };
            summary.add(port, &sum);
        }
        if let Some((hash, ports)) = &self.hidden {
            self.probed += self.tcp.add_set(*hash, &ports.tcp, &exact.tcp);
            self.probed += self.udp.add_set(*hash, &ports.udp, &exact.udp);
            // Those that found no room were counted all the same, by each CPU.
            self.probed = self.probed.max(self.stats.probes);
        }
    }

    /// The ports of one protocol.
    #[must_use]
    pub const fn ports(&self, proto: Proto) -> &PortSummary {
        match proto {
            Proto::Tcp => &self.tcp,
            Proto::Udp => &self.udp,
        }
    }

    /// Distinct ports of both protocols that were scanned.
    #[must_use]
    pub const fn scanned_ports(&self) -> u64 {
        self.tcp.scanned() + self.udp.scanned()
    }

    /// Targets that were scanned: ports of destinations, and destinations that were asked by ICMP.
    #[must_use]
    pub fn scanned_targets(&self) -> u64 {
        let stray = self.scanned_ports() - self.tcp.distinct - self.udp.distinct;
        (self.probed + stray).max(self.hinted)
    }

    /// Takes note that so many targets were probed of which not all are known by name yet.
    pub(super) const fn hint(&mut self, probes: u64) {
        self.hinted = probes;
    }

    /// Packets that nobody asked for, less the SYNs of connections.
    #[must_use]
    pub fn unsolicited(&self) -> u64 {
        self.stats.unsolicited().saturating_sub(self.answered)
    }

    /// The services that it sent to, each with what it sent to them at all destinations.
    pub fn services(&self) -> impl Iterator<Item = (Service, &[(ServiceKey, TargetStats)])> {
        self.targets
            .chunk_by(|(left, _), (right, _)| left.service == right.service)
            .filter_map(|targets| targets.first().map(|(key, _)| (key.service, targets)))
    }

    /// What it sent to one service of all destinations.
    #[must_use]
    pub fn service(&self, service: Service) -> &[(ServiceKey, TargetStats)] {
        range(&self.targets, |(key, _)| key.service.cmp(&service))
    }

    /// Whether most of what it sent unasked went to this destination.
    #[must_use]
    pub fn is_mainly_to(&self, dest: Addr) -> bool {
        self.main_dest.is_some_and(|(main, count)| main == dest && count * 2 >= self.unsolicited())
    }

    /// The destination that most of what it sent unasked went to.
    #[must_use]
    pub const fn main_dest(&self) -> Option<Addr> {
        match self.main_dest {
            Some((dest, 1..)) => Some(dest),
            _ => None,
        }
    }
}

/// Of these targets of one service, the destinations that were probed and that rules about local destinations look
/// at. Where it is not known which ones are local, those that did not answer.
#[must_use]
pub fn probed_dests(targets: &[(ServiceKey, TargetStats)], policy: &Policy) -> DestSummary {
    let knows_ours = policy.knows_ours();
    let mut dests = DestSummary::default();
    for (key, stats) in targets {
        let is_probed = stats.evidence() > 0 || (key.service == Service::PROBE && stats.noise > 0);
        let counts = if knows_ours { policy.is_ours(key.dest) } else { stats.is_unanswered() };
        if is_probed && counts {
            dests.add(key.dest.into());
        }
    }
    dests
}

/// One destination: the window, and the slot that ended last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestView<'a> {
    /// Its address.
    pub addr: Addr,
    /// What was sent to its services within the window, sorted by service.
    pub window: Vec<(Service, TargetStats)>,
    /// The same within the slot that ended last.
    pub newest: &'a [(ServiceKey, TargetStats)],
}

impl DestView<'_> {
    /// A destination that nothing was sent to.
    #[must_use]
    pub const fn nothing(addr: Addr) -> Self {
        Self { addr, window: Vec::new(), newest: &[] }
    }

    /// Packets that nobody asked for within the last slot.
    #[must_use]
    pub fn unsolicited(&self) -> u64 {
        self.newest.iter().map(|(_, stats)| stats.unsolicited()).sum()
    }

    /// All packets within the last slot.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.newest.iter().map(|(_, stats)| stats.packets()).sum()
    }

    /// Later fragments within the last slot.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        let mut fragments = self.newest.iter().filter(|(key, _)| key.service == Service::FRAGMENT);
        fragments.next().map_or(0, |(_, stats)| stats.noise.into())
    }

    /// What was sent to one of its services within the window.
    #[must_use]
    pub fn service(&self, service: Service) -> TargetStats {
        let index = self.window.binary_search_by_key(&service, |(one, _)| *one).ok();
        index.and_then(|index| self.window.get(index)).map_or_else(TargetStats::default, |(_, stats)| *stats)
    }
}
