//! The ports that one source sent to, and how many of them it scanned.

use netwatch_common::{PortHash, PortSet, Techniques};

use super::limits::FIRST_PORTS;
use super::stats::TargetStats;

/// The ports of one protocol that one source sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSummary {
    /// Ports with at least one packet that is evidence of a scan.
    pub distinct: u64,
    /// Those of them that were tried with packets that no connection begins with.
    pub stealth: u64,
    /// Those of them on which nobody talks.
    pub unanswered: u64,
    /// Packets that are evidence of a scan.
    pub evidence: u64,
    /// How ports were probed.
    pub techniques: Techniques,
    first: [u16; FIRST_PORTS],
    /// How many of these are known.
    listed: u64,
    /// Ports without evidence to which packets of no known connection went.
    stray: u64,
    /// Those of them on which the source has no known connection either.
    stray_closed: u64,
    stray_first: [u16; FIRST_PORTS],
    stray_techniques: Techniques,
}

impl PortSummary {
    /// What is known of ports from an alert: the lowest of them, ascending, and how many there are at least.
    #[must_use]
    pub fn of_first(ports: &[u16], distinct: u64) -> Self {
        let mut summary = Self::default();
        for port in ports.iter().take(FIRST_PORTS) {
            enter(*port, summary.listed, &mut summary.first);
            summary.listed += 1;
        }
        summary.distinct = summary.listed.max(distinct);
        summary
    }

    /// The lowest ports with evidence, ascending: all of them that are known, or the first [`FIRST_PORTS`].
    #[must_use]
    pub fn first_ports(&self) -> &[u16] {
        let (count, ports) = if self.distinct == 0 && self.is_stray_scan() {
            (self.stray, &self.stray_first)
        } else {
            (self.listed, &self.first)
        };
        let len = usize::try_from(count).map_or(FIRST_PORTS, |count| count.min(FIRST_PORTS));
        ports.get(..len).unwrap_or(ports)
    }

    /// Ports that were scanned: those with evidence, and those to which packets of no known connection went,
    /// where these are more than are hit by accident and nobody talks on nearly any of them (ACK, Window and
    /// Maimon scans).
    #[must_use]
    pub const fn scanned(&self) -> u64 {
        self.distinct + if self.is_stray_scan() { self.stray } else { 0 }
    }

    /// How the scanned ports were probed.
    #[must_use]
    pub const fn scan_techniques(&self) -> Techniques {
        if self.is_stray_scan() { self.techniques.union(self.stray_techniques) } else { self.techniques }
    }

    /// Adds one port; each at most once, in ascending order.
    pub fn add(&mut self, port: u16, stats: &TargetStats) {
        let evidence = stats.evidence();
        self.evidence = self.evidence.saturating_add(evidence);
        if evidence > 0 {
            enter(port, self.listed, &mut self.first);
            self.listed += 1;
            self.distinct += 1;
            self.stealth += u64::from(stats.stealth > 0);
            self.unanswered += u64::from(stats.is_unanswered());
            self.techniques = self.techniques.union(stats.techniques);
        } else if stats.out_of_state > 0 {
            enter(port, self.stray, &mut self.stray_first);
            self.stray += 1;
            self.stray_closed += u64::from(stats.is_unanswered());
            self.stray_techniques = self.stray_techniques.union(stats.techniques);
        }
    }

    /// Adds the ports of a set, as many as there are at least besides those of `exact`, which were added one by one
    /// before. Nothing is known of answers on them, so nobody answered. Returns how many.
    pub fn add_set(&mut self, hash: PortHash, set: &PortSet, exact: &PortSet) -> u64 {
        let others =
            set.bits.iter().zip(exact.bits).map(|(mine, known)| u64::from((mine & !known).count_ones()));
        let others = others.sum();
        if others == 0 {
            return 0;
        }
        self.distinct += others;
        self.unanswered += others;
        self.evidence = self.evidence.saturating_add(others);
        let is_ordinary = !set.techniques.intersection(ORDINARY).is_empty();
        if !is_ordinary && !set.techniques.is_empty() {
            self.stealth += others;
        }
        self.techniques = self.techniques.union(set.techniques);
        let known = usize::try_from(self.listed).unwrap_or(FIRST_PORTS);
        let known = self.first.iter().take(known);
        let new = set.first_ports().iter().filter(|port| !exact.may_hold(hash, **port));
        let mut all: Vec<u16> = known.chain(new).copied().collect();
        all.sort_unstable();
        all.dedup();
        self.listed = 0;
        for port in all.into_iter().take(FIRST_PORTS) {
            enter(port, self.listed, &mut self.first);
            self.listed += 1;
        }
        others
    }

    const fn is_stray_scan(&self) -> bool {
        let mostly_closed = self.stray_closed * 5 >= self.stray * 4;
        self.stray > STRAY_PORTS && mostly_closed
    }
}

/// How ports are probed by packets that connections begin with, too.
const ORDINARY: Techniques = Techniques::SYN.union(Techniques::UDP);

/// Ports up to which packets of no known connection are an accident: late packets of connections that are over.
const STRAY_PORTS: u64 = 10;

/// Puts a port behind those that are in the list, if there is room.
fn enter(port: u16, count: u64, list: &mut [u16; FIRST_PORTS]) {
    if let Some(free) = usize::try_from(count).ok().and_then(|index| list.get_mut(index)) {
        *free = port;
    }
}
