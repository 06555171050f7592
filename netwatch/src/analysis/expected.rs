//! On which services connections are expected: those that the operator declares, and those that were accepted while
//! netwatch learned. `port.unusual` is about the others.

use core::fmt::{self, Display, Formatter};
use std::collections::BTreeSet;

use netwatch_common::{Addr, Proto, Service};

use super::limits::LEARNED_SERVICES;
use super::policy::Policy;
use super::rules::RuleId;
use super::slot::{Confidence, ServiceKey, Slot};
use super::stats::TargetStats;

/// How long is learned unless configured otherwise, in nanoseconds: a day, because much happens once a night.
pub const LEARN_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// From here on lie the ports of connections that a host opens itself, on Linux unless configured otherwise.
const FIRST_DYNAMIC_PORT: u16 = 32_768;

/// What the operator says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Services that are there, on whichever of our hosts.
    pub services: Vec<ServiceRange>,
    /// For how long what is accepted is learned, in nanoseconds; 0 where it never is.
    pub learn_ns: u64,
}

/// Neighbouring ports of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceRange {
    /// The protocol.
    pub proto: Proto,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

/// The services of one interface that were accepted while netwatch learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// For how long was learned, in nanoseconds.
    pub spent_ns: u64,
    services: BTreeSet<ServiceKey>,
    /// Services of all destinations: what they are on had no room. There are 131,072 at most.
    everywhere: BTreeSet<Service>,
}

/// Nothing was learned, because nothing is to be.
static NOTHING: Learned = Learned { spent_ns: 0, services: BTreeSet::new(), everywhere: BTreeSet::new() };

impl Default for Expected {
    fn default() -> Self {
        Self { services: Vec::new(), learn_ns: LEARN_NS }
    }
}

impl Expected {
    /// Whether a service was declared.
    #[must_use]
    pub fn declares(&self, service: Service) -> bool {
        let Some((proto, port)) = service.port() else { return false };
        self.services.iter().any(|range| range.proto == proto && (range.first..=range.last).contains(&port))
    }
}

impl Learned {
    /// Nothing yet, after so many nanoseconds of learning.
    #[must_use]
    pub fn after(spent_ns: u64) -> Self {
        Self { spent_ns, ..Self::default() }
    }

    /// Takes note of what was accepted in the slot that ended last, and of the time that it took, where that is to be
    /// learned; and of what was accepted `before` it.
    pub(super) fn learn<'a>(
        &mut self,
        ended: &'a Slot,
        before: impl Iterator<Item = &'a Slot>,
        policy: &Policy,
    ) {
        // Where nobody sees what is accepted, nothing is learned by waiting.
        if !self.goes_on(policy) || ended.confidence == Confidence::Flags {
            return;
        }
        self.spent_ns = self.spent_ns.saturating_add(ended.length_ns());
        let slots = before.chain([ended]);
        for (key, _) in slots.flat_map(Slot::services).filter(|(key, stats)| is_accepted(key, stats, policy))
        {
            self.add(*key);
        }
    }

    /// Whether what is accepted is learned now, and not told.
    #[must_use]
    pub fn goes_on(&self, policy: &Policy) -> bool {
        can_judge(policy) && self.spent_ns < policy.expected.learn_ns
    }

    /// What connections are compared with; `None` where nothing is to be told of them.
    pub(super) fn baseline(&self, policy: &Policy) -> Option<&Self> {
        let Expected { services, learn_ns } = &policy.expected;
        match *learn_ns {
            _ if !can_judge(policy) || self.goes_on(policy) => None,
            0 if services.is_empty() => None,
            0 => Some(&NOTHING),
            _ => Some(self),
        }
    }

    /// Whether connections to this service are no surprise.
    #[must_use]
    pub fn knows(&self, key: &ServiceKey) -> bool {
        self.everywhere.contains(&key.service) || self.services.contains(key)
    }

    /// Adds a service of one destination. Where there is no room for more, it is known of all: an alert too few is better
    /// than one each day about the same service.
    pub fn add(&mut self, key: ServiceKey) {
        if self.everywhere.contains(&key.service) || self.services.contains(&key) {
            return;
        }
        if self.services.len() < LEARNED_SERVICES {
            self.services.insert(key);
        } else {
            self.add_everywhere(key.service);
        }
    }

    /// Adds a service of all destinations.
    pub fn add_everywhere(&mut self, service: Service) {
        if self.everywhere.insert(service) {
            self.services.retain(|known| known.service != service);
        }
    }

    /// The services that are known of one destination each, by destination.
    pub fn services(&self) -> impl ExactSizeIterator<Item = (Addr, Service)> {
        self.services.iter().map(|key| (key.dest, key.service))
    }

    /// Those that are known of all.
    pub fn everywhere(&self) -> impl ExactSizeIterator<Item = Service> {
        self.everywhere.iter().copied()
    }
}

/// Whether a connection to one of our services was accepted. Of UDP that is told by answers, and hosts that call each
/// other use ports of their own choice for it: those count as nobody's service.
pub(super) fn is_accepted(key: &ServiceKey, stats: &TargetStats, policy: &Policy) -> bool {
    stats.completed > 0
        && policy.is_ours(key.dest)
        && match key.service.port() {
            Some((Proto::Tcp, _)) => true,
            Some((Proto::Udp, port)) => port < FIRST_DYNAMIC_PORT,
            None => false,
        }
}

/// Whether connections come to this service that a host has opened itself, as far as its port tells.
pub(super) fn is_dynamic(service: Service) -> bool {
    service.port().is_some_and(|(proto, port)| proto == Proto::Tcp && port >= FIRST_DYNAMIC_PORT)
}

/// Whether the rule applies, and it is known what is ours: connections of our hosts to others are nobody's business.
const fn can_judge(policy: &Policy) -> bool {
    policy.of(RuleId::PortUnusual).enabled && policy.knows_ours()
}

impl Display for ServiceRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { proto, first, last } = self;
        write!(f, "{}/{first}", proto.name())?;
        if last > first { write!(f, "-{last}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
