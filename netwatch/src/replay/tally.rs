//! What a whole replay comes to: who sent most, to what, and all incidents.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use netwatch_common::{Addr, Service};

use super::player::Observe;
use super::top::{Top, Weigh};
use crate::analysis::{Severity, Slot, SourceStats, State, TargetStats, Transition};

/// Sources that are told apart in any case, and destinations.
const ENDS: usize = 65_536;

/// Services that are told apart: every port of TCP and UDP, and what has none.
const SERVICES: usize = 2 * 65_536 + 4;

/// Ports that are remembered as tried, over all sources.
const PORTS: usize = 2 << 20;

/// Incidents that are remembered, of those that are severe enough.
const INCIDENTS: usize = 10_000;

/// Collects slots and transitions of a replay, in bounded memory.
#[derive(Clone, Debug)]
pub struct Tally {
    sources: Top<Addr, Sender>,
    dests: Top<Addr, Received>,
    services: Top<Service, Received>,
    /// For how many more ports of sources there is room.
    room: usize,
    /// How much an incident has to weigh.
    least: Severity,
    incidents: BTreeMap<u64, Transition>,
    /// Incidents that found no room.
    unlisted: u64,
    /// Incidents that never weighed enough.
    slight: u64,
}

/// What one source sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    pub(super) stats: SourceStats,
    /// Ports that it tried, with packets that are evidence of a scan; ascending.
    pub(super) ports: Vec<Service>,
    /// Whether there are more of them.
    pub(super) more_ports: bool,
}

/// What was sent to one destination, or to one service of all destinations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// Packets that nobody asked for, less the SYNs of completed handshakes.
    pub(super) unsolicited: u64,
}

impl Observe for Tally {
    fn slot(&mut self, slot: &Slot) {
        Self::slot(self, slot);
    }

    fn transitions(&mut self, transitions: &[Transition]) {
        Self::transitions(self, transitions);
    }
}

impl Tally {
    /// Nothing yet. Incidents that weigh less than `least` are counted, and not listed.
    #[must_use]
    pub fn new(least: Severity) -> Self {
        Self::bounded(ENDS, PORTS, least)
    }

    /// Adds what an ended slot counted; of parts of a slot, each.
    pub fn slot(&mut self, slot: &Slot) {
        for (source, stats) in slot.sources() {
            let room = &mut self.room;
            self.sources.at(source, |forgotten| *room += forgotten.ports.len()).stats.merge(&stats);
        }
        for (key, stats) in slot.services() {
            self.dests.at(key.dest, drop).add(stats);
            self.services.at(key.service, drop).add(stats);
        }
        for targets in slot.targets().chunk_by(|(left, _), (right, _)| left.source == right.source) {
            let tried = targets.iter().filter(|(_, stats)| stats.evidence() > 0);
            let tried = tried.map(|(key, _)| key.service).filter(|service| service.port().is_some());
            if let Some(sender) = targets.first().and_then(|(key, _)| self.sources.get_mut(&key.source)) {
                self.room -= sender.try_ports(tried, self.room);
            }
        }
    }

    /// Takes note of what happened to incidents.
    pub fn transitions(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            let room = self.incidents.len() < INCIDENTS;
            let is_slight = transition.weight < self.least;
            match self.incidents.entry(transition.incident) {
                Entry::Occupied(mut last) => {
                    last.insert(transition.clone());
                }
                Entry::Vacant(free) if room && !is_slight => {
                    free.insert(transition.clone());
                }
                // Each incident is closed once, and what it weighs never falls.
                Entry::Vacant(_) if matches!(transition.state, State::Close(_)) => match is_slight {
                    true => self.slight += 1,
                    false => self.unlisted += 1,
                },
                Entry::Vacant(_) => {}
            }
        }
    }

    /// Who sent.
    pub(super) const fn sources(&self) -> &Top<Addr, Sender> {
        &self.sources
    }

    /// To whom it was sent.
    pub(super) const fn dests(&self) -> &Top<Addr, Received> {
        &self.dests
    }

    /// What it was sent to.
    pub(super) const fn services(&self) -> &Top<Service, Received> {
        &self.services
    }

    /// How many sources tried each port, of those that are remembered.
    pub(super) fn tried_by(&self) -> HashMap<Service, u64> {
        count(self.sources.values().flat_map(|sender| sender.ports.iter().copied()))
    }

    /// Whether more sources may have tried a port than are remembered.
    pub(super) fn tried_by_more(&self) -> bool {
        self.sources.uncertainty() > 0 || self.sources.values().any(|sender| sender.more_ports)
    }

    /// Each incident as it was told last, in the order in which they opened.
    pub(super) fn incidents(&self) -> impl ExactSizeIterator<Item = &Transition> {
        self.incidents.values()
    }

    /// Incidents of which nothing is known because there were too many.
    pub(super) const fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Incidents that are not severe enough to be listed.
    pub(super) const fn slight(&self) -> u64 {
        self.slight
    }

    /// Incidents that are about each source, of those that are listed.
    pub(super) fn incidents_by_source(&self) -> HashMap<Addr, u64> {
        count(self.incidents().filter_map(|incident| incident.source).map(|peer| peer.addr.into()))
    }

    fn bounded(ends: usize, ports: usize, least: Severity) -> Self {
        Self {
            sources: Top::new(ends),
            dests: Top::new(ends),
            services: Top::new(SERVICES),
            room: ports,
            least,
            incidents: BTreeMap::new(),
            unlisted: 0,
            slight: 0,
        }
    }
}

impl Sender {
    /// Takes note of ports that were tried, of as many new ones as there is room for. Returns how many those are.
    fn try_ports(&mut self, tried: impl Iterator<Item = Service>, room: usize) -> usize {
        let known = self.ports.len();
        let is_new = |service: &Service| self.ports.binary_search(service).is_err();
        let mut new: Vec<_> = tried.filter(is_new).collect();
        new.sort();
        new.dedup();
        self.more_ports |= new.len() > room;
        new.truncate(room);
        self.ports.append(&mut new);
        // Two runs, which a stable sort merges.
        if self.ports.len() > known {
            self.ports.sort();
        }
        self.ports.len() - known
    }
}

impl Received {
    fn add(&mut self, stats: &TargetStats) {
        self.packets = self.packets.saturating_add(stats.packets());
        self.bytes = self.bytes.saturating_add(stats.bytes);
        self.unsolicited = self.unsolicited.saturating_add(stats.unsolicited());
    }
}

impl Weigh for Sender {
    fn weight(&self) -> u64 {
        self.stats.packets()
    }
}

impl Weigh for Received {
    fn weight(&self) -> u64 {
        self.packets
    }
}

fn count<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> HashMap<K, u64> {
    let mut counts = HashMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests;
