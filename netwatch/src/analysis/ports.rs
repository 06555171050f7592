//! The ports that one source sent to, and how many of them it scanned.

use netwatch_common::Techniques;

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
    /// Ports without evidence to which packets of no known connection went.
    stray: u64,
    /// Those of them on which the source has no known connection either.
    stray_closed: u64,
    stray_first: [u16; FIRST_PORTS],
    stray_techniques: Techniques,
}

impl PortSummary {
    /// The lowest ports with evidence, ascending: all of them, or the first [`FIRST_PORTS`].
    #[must_use]
    pub fn first_ports(&self) -> &[u16] {
        let (count, ports) = if self.distinct == 0 && self.is_stray_scan() {
            (self.stray, &self.stray_first)
        } else {
            (self.distinct, &self.first)
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
            enter(port, self.distinct, &mut self.first);
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

    const fn is_stray_scan(&self) -> bool {
        let mostly_closed = self.stray_closed * 5 >= self.stray * 4;
        self.stray > STRAY_PORTS && mostly_closed
    }
}

/// Ports up to which packets of no known connection are an accident: late packets of connections that are over.
const STRAY_PORTS: u64 = 10;

/// Puts a port behind those that are in the list, if there is room.
fn enter(port: u16, count: u64, list: &mut [u16; FIRST_PORTS]) {
    if let Some(free) = usize::try_from(count).ok().and_then(|index| list.get_mut(index)) {
        *free = port;
    }
}
