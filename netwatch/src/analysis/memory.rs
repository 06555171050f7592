//! What outlives the window: ports that were tried slowly, and ports that many sources tried together.
//!
//! Only what nobody answered is remembered, and only of sources without a scan of their own: what a scan explains
//! is told by then. Both tables are bounded; what shows least is forgotten first.

use std::collections::BTreeMap;

use netwatch_common::{Addr, Service, TargetKey, Techniques};

use super::limits::{
    SHARED_DESTS, SHARED_PORTS, SHARED_SOURCES, SLOW_ANSWERED, SLOW_PORTS, SLOW_RETENTION_NS, SLOW_SOURCES,
};
use super::ports::PortSummary;
use super::stats::TargetStats;

const SECOND_NS: u64 = 1_000_000_000;

/// The long memory of one interface.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    sources: BTreeMap<Addr, SlowSource>,
    dests: BTreeMap<Addr, SharedDest>,
    forgotten: u64,
}

/// A source that tried ports which nobody answered on.
#[derive(Clone, Debug, Default)]
struct SlowSource {
    first_ns: u64,
    last_ns: u64,
    /// When it completed a handshake last; 0 for never.
    completed_ns: u64,
    /// The ports, sorted by service.
    ports: Vec<(Service, SlowPort)>,
}

/// A port, in as few bytes as will do: there may be millions.
#[derive(Clone, Copy, Debug)]
struct SlowPort {
    last_s: u32,
    techniques: Techniques,
    kind: PortKind,
}

/// What is known of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortKind {
    /// It was tried in the ordinary way, and nobody answered.
    Tried,
    /// It was tried with packets that no connection begins with, and nobody answered.
    Stealth,
    /// Somebody answered.
    Answered,
}

/// A destination on which ports were tried that nobody answered on.
#[derive(Clone, Debug, Default)]
struct SharedDest {
    first_ns: u64,
    /// When each port was tried last, and by whom.
    ports: BTreeMap<Service, (u64, Addr)>,
    /// When each source was seen last.
    sources: BTreeMap<Addr, u64>,
}

/// What one source tried slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlowScan {
    /// The ports of both protocols.
    pub ports: PortSummary,
    /// When the first was tried, in monotonic nanoseconds.
    pub first_ns: u64,
    /// Whether the source completed a handshake in that time.
    pub completed: bool,
}

/// What many sources tried together on one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedScan {
    /// The ports of both protocols.
    pub ports: PortSummary,
    /// How many sources.
    pub sources: u64,
    /// When this began, in monotonic nanoseconds.
    pub first_ns: u64,
}

impl Memory {
    /// Takes note of what a source did in the slot that ended at `now_ns`: what it sent to, and how many handshakes
    /// it completed.
    pub fn record(
        &mut self,
        source: Addr,
        targets: &[(TargetKey, TargetStats)],
        completed: u64,
        now_ns: u64,
    ) {
        let mut known = self.sources.remove(&source);
        if known.is_none() && targets.iter().any(is_tried) {
            known = Some(SlowSource { first_ns: now_ns, ..SlowSource::default() });
        }
        let Some(mut known) = known else { return };
        let is_port = |(key, stats): &&(TargetKey, TargetStats)| {
            key.service.port().is_some() && (stats.evidence() > 0 || stats.rest > 0)
        };
        for (key, stats) in targets.iter().filter(is_port) {
            known.add(key.service, stats, now_ns);
        }
        if completed > 0 {
            known.completed_ns = now_ns;
        }
        // Who got an answer in the end did not try in vain: a SYN at the end of a slot is answered in the next one.
        if known.in_vain() > 0 {
            self.sources.insert(source, known);
        }
    }

    /// Takes note of what a source without a scan of its own tried in vain. `is_ours` says which destinations count.
    pub fn share(
        &mut self,
        source: Addr,
        targets: &[(TargetKey, TargetStats)],
        is_ours: impl Fn(Addr) -> bool,
        now_ns: u64,
    ) {
        for (key, _) in targets.iter().filter(|target| is_tried(target) && is_ours(target.0.dest)) {
            self.dests.entry(key.dest).or_default().add(source, key.service, now_ns);
        }
    }

    /// Whether anything is remembered of a source.
    #[must_use]
    pub fn knows(&self, source: Addr) -> bool {
        self.sources.contains_key(&source)
    }

    /// Forgets a source: a scan of its own explains what it did.
    pub fn forget(&mut self, source: Addr) {
        self.sources.remove(&source);
        for dest in self.dests.values_mut() {
            if dest.sources.remove(&source).is_some() {
                dest.ports.retain(|_, (_, last)| *last != source);
            }
        }
    }

    /// What a source tried within the last `reach_ns`.
    #[must_use]
    pub fn slow_scan(&self, source: Addr, reach_ns: u64, now_ns: u64) -> SlowScan {
        let Some(known) = self.sources.get(&source) else { return SlowScan::default() };
        let is_recent = |last_ns: u64| last_ns != 0 && now_ns.saturating_sub(last_ns) < reach_ns;
        let mut ports = PortSummary::default();
        for (service, port) in &known.ports {
            if let Some((_, number)) =
                service.port().filter(|_| is_recent(u64::from(port.last_s) * SECOND_NS))
            {
                ports.add(number, &port.stats());
            }
        }
        SlowScan { ports, first_ns: known.first_ns, completed: is_recent(known.completed_ns) }
    }

    /// What was tried together within the last `reach_ns`, on destinations where that is more than `threshold` ports
    /// and on those of `followed`, which are sorted; in the order of destinations.
    pub fn shared_scans(
        &mut self,
        reach_ns: u64,
        threshold: u64,
        followed: &[Addr],
        now_ns: u64,
    ) -> Vec<(Addr, SharedScan)> {
        let is_recent = |last_ns: u64| now_ns.saturating_sub(last_ns) < reach_ns;
        for dest in self.dests.values_mut() {
            dest.ports.retain(|_, (last_ns, _)| is_recent(*last_ns));
            dest.sources.retain(|_, last_ns| is_recent(*last_ns));
        }
        self.dests.retain(|_, dest| !dest.ports.is_empty());
        let is_much =
            |dest: &SharedDest| u64::try_from(dest.ports.len()).is_ok_and(|ports| ports > threshold);
        let told =
            self.dests.iter().filter(|(addr, dest)| is_much(dest) || followed.binary_search(addr).is_ok());
        told.map(|(addr, dest)| (*addr, dest.scan())).collect()
    }

    /// What was forgotten for want of room: sources and destinations.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets what is too old, and what shows least of that for which there is no room.
    pub fn tidy(&mut self, now_ns: u64) {
        self.sources.retain(|_, source| now_ns.saturating_sub(source.last_ns) < SLOW_RETENTION_NS);
        let least = |source: &SlowSource| (source.in_vain(), source.last_ns);
        self.forgotten += shrink(&mut self.sources, SLOW_SOURCES, least);
        self.forgotten += shrink(&mut self.dests, SHARED_DESTS, |dest| (dest.ports.len(), dest.first_ns));
    }
}

impl SlowSource {
    fn add(&mut self, service: Service, stats: &TargetStats, now_ns: u64) {
        self.last_ns = now_ns;
        let new = SlowPort::new(stats, now_ns);
        if new.kind == PortKind::Answered {
            self.make_room_for_answers(service);
        }
        match self.ports.binary_search_by_key(&service, |(key, _)| *key) {
            Ok(index) => {
                if let Some((_, port)) = self.ports.get_mut(index) {
                    let kind = if port.kind == PortKind::Answered { port.kind } else { new.kind };
                    *port = SlowPort { techniques: port.techniques.union(new.techniques), kind, ..new };
                }
            }
            Err(index) if self.ports.len() < SLOW_PORTS => self.ports.insert(index, (service, new)),
            // As many as this are a scan whatever comes; the alert says how many there are at least.
            Err(_) => {}
        }
    }
}

impl SlowSource {
    /// Ports on which nobody answered.
    fn in_vain(&self) -> usize {
        self.ports.iter().filter(|(_, port)| port.kind != PortKind::Answered).count()
    }

    /// Forgets the port on which somebody answered longest ago, where there is no room for another one.
    fn make_room_for_answers(&mut self, service: Service) {
        let is_known = self.ports.binary_search_by_key(&service, |(key, _)| *key).is_ok();
        if is_known || self.ports.len() < SLOW_ANSWERED {
            return;
        }
        let answered = self.ports.iter().enumerate().filter(|(_, (_, port))| port.kind == PortKind::Answered);
        let (count, oldest) = answered.fold((0, None), |(count, oldest), (index, (_, port))| {
            let is_older = oldest.is_none_or(|(last_s, _)| port.last_s < last_s);
            (count + 1, if is_older { Some((port.last_s, index)) } else { oldest })
        });
        if let Some((_, index)) = oldest.filter(|_| count >= SLOW_ANSWERED) {
            self.ports.remove(index);
        }
    }
}

impl SlowPort {
    fn new(stats: &TargetStats, now_ns: u64) -> Self {
        let kind = match stats {
            stats if !stats.is_unanswered() => PortKind::Answered,
            TargetStats { stealth: 1.., .. } => PortKind::Stealth,
            _ => PortKind::Tried,
        };
        let last_s = u32::try_from(now_ns / SECOND_NS).unwrap_or(u32::MAX).max(1);
        Self { last_s, techniques: stats.techniques, kind }
    }

    /// As much as a summary needs to know.
    fn stats(&self) -> TargetStats {
        let techniques = self.techniques;
        let tried = TargetStats { techniques, opening: 1, ..TargetStats::default() };
        match self.kind {
            PortKind::Tried => tried,
            PortKind::Stealth => TargetStats { opening: 0, stealth: 1, ..tried },
            PortKind::Answered => TargetStats { rest: 1, ..tried },
        }
    }
}

impl SharedDest {
    fn add(&mut self, source: Addr, service: Service, now_ns: u64) {
        if self.ports.is_empty() {
            self.first_ns = now_ns;
        }
        if self.ports.len() < SHARED_PORTS || self.ports.contains_key(&service) {
            self.ports.insert(service, (now_ns, source));
        }
        if self.sources.len() < SHARED_SOURCES || self.sources.contains_key(&source) {
            self.sources.insert(source, now_ns);
        }
    }

    fn scan(&self) -> SharedScan {
        let mut ports = PortSummary::default();
        let one = TargetStats { opening: 1, ..TargetStats::default() };
        for (_, port) in self.ports.keys().filter_map(|service| service.port()) {
            ports.add(port, &one);
        }
        SharedScan {
            ports,
            sources: u64::try_from(self.sources.len()).unwrap_or(u64::MAX),
            first_ns: self.first_ns,
        }
    }
}

/// Whether a port was tried and nobody answered.
fn is_tried((key, stats): &(TargetKey, TargetStats)) -> bool {
    key.service.port().is_some() && stats.evidence() > 0 && stats.is_unanswered()
}

/// Removes the least entries of a table that holds more than `most`, an eighth more than need be, so that it is
/// rarely done. Returns how many.
fn shrink<V, K: Ord>(table: &mut BTreeMap<Addr, V>, most: usize, key: impl Fn(&V) -> K) -> u64 {
    if table.len() <= most {
        return 0;
    }
    let excess = table.len() - (most - most / 8);
    let mut by_key: Vec<_> = table.iter().map(|(addr, value)| (key(value), *addr)).collect();
    by_key.sort_unstable();
    for (_, addr) in by_key.into_iter().take(excess) {
        table.remove(&addr);
    }
    u64::try_from(excess).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use netwatch_common::Proto;

    const MINUTE: u64 = 60_000_000_000;
    const HOUR: u64 = 60 * MINUTE;

    fn addr(number: u32) -> Addr {
        Ipv4Addr::from_bits(number).into()
    }

    fn tried() -> TargetStats {
        TargetStats { opening: 1, ..TargetStats::default() }
    }

    fn record(memory: &mut Memory, source: u32, port: u16, stats: &TargetStats, now_ns: u64) {
        let key = TargetKey { source: addr(source), dest: addr(1), service: Service::new(Proto::Tcp, port) };
        memory.record(addr(source), &[(key, *stats)], stats.completed.into(), now_ns);
        memory.share(addr(source), &[(key, *stats)], |_| true, now_ns);
    }

    #[test]
    fn ports_add_up_over_an_hour_and_no_longer() {
        let mut memory = Memory::default();
        for port in 1..=20 {
            record(&mut memory, 7, port, &tried(), u64::from(port) * 5 * MINUTE);
        }
        let scan = memory.slow_scan(addr(7), HOUR, 100 * MINUTE);
        assert_eq!((scan.ports.distinct, scan.ports.unanswered, scan.completed), (12, 12, false));
        assert_eq!((scan.ports.first_ports()[0], scan.first_ns), (9, 5 * MINUTE));
        memory.tidy(100 * MINUTE + 8 * HOUR);
        assert_eq!(memory.slow_scan(addr(7), 24 * HOUR, 100 * MINUTE + 8 * HOUR), SlowScan::default());
    }

    #[test]
    fn answers_are_remembered_of_those_who_tried_in_vain() {
        let mut memory = Memory::default();
        let talk = TargetStats { opening: 1, rest: 5, completed: 1, ..TargetStats::default() };
        record(&mut memory, 7, 443, &talk, MINUTE);
        assert_eq!(memory.slow_scan(addr(7), HOUR, MINUTE), SlowScan::default());
        record(&mut memory, 7, 22, &tried(), 2 * MINUTE);
        record(&mut memory, 7, 443, &talk, 3 * MINUTE);
        let scan = memory.slow_scan(addr(7), HOUR, 3 * MINUTE);
        assert_eq!((scan.ports.distinct, scan.ports.unanswered, scan.completed), (2, 1, true));
        memory.forget(addr(7));
        assert_eq!(memory.slow_scan(addr(7), HOUR, 3 * MINUTE), SlowScan::default());
    }

    #[test]
    fn who_is_answered_in_the_end_is_not_remembered() {
        let mut memory = Memory::default();
        let talk = TargetStats { rest: 5, ..TargetStats::default() };
        record(&mut memory, 7, 80, &tried(), MINUTE);
        record(&mut memory, 7, 443, &talk, MINUTE);
        assert!(memory.knows(addr(7)));
        record(&mut memory, 7, 80, &talk, 2 * MINUTE);
        assert!(!memory.knows(addr(7)));
    }

    #[test]
    fn clients_of_many_ports_do_not_push_out_who_tried_two_in_vain() {
        let mut memory = Memory::default();
        let talk = TargetStats { rest: 5, ..TargetStats::default() };
        record(&mut memory, 1, 1, &tried(), 1);
        record(&mut memory, 1, 2, &tried(), 2);
        for source in 0..=u32::try_from(SLOW_SOURCES).unwrap() {
            record(&mut memory, source + 100, 80, &tried(), 3);
            (81..85).for_each(|port| record(&mut memory, source + 100, port, &talk, 3));
        }
        memory.tidy(4);
        assert!(memory.knows(addr(1)) && memory.forgotten() > 0);
    }

    #[test]
    fn of_answers_the_latest_are_remembered() {
        let mut memory = Memory::default();
        let talk = TargetStats { rest: 5, ..TargetStats::default() };
        record(&mut memory, 7, 1, &tried(), MINUTE);
        let most = u16::try_from(SLOW_ANSWERED).unwrap();
        for port in 1_000..1_000 + 3 * most {
            record(&mut memory, 7, port, &talk, MINUTE + u64::from(port) * SECOND_NS);
        }
        let now = MINUTE + u64::from(1_000 + 3 * most) * SECOND_NS;
        let scan = memory.slow_scan(addr(7), 8 * HOUR, now);
        assert_eq!((scan.ports.distinct, scan.ports.unanswered), (u64::from(most) + 1, 1));
        // Those of the last seconds are all there.
        let scan = memory.slow_scan(addr(7), 10 * SECOND_NS, now);
        assert!((9..=10).contains(&scan.ports.distinct), "{scan:?}");
    }

    #[test]
    fn many_sources_add_up_on_one_destination() {
        let mut memory = Memory::default();
        for source in 10..40 {
            for port in 0..3 {
                let port = u16::try_from(source * 10 + port).unwrap();
                record(&mut memory, source, port, &tried(), MINUTE);
            }
        }
        let [(dest, scan)] = memory.shared_scans(10 * MINUTE, 60, &[], MINUTE)[..] else { panic!("one") };
        assert_eq!((dest, scan.ports.distinct, scan.sources), (addr(1), 90, 30));
        assert_eq!(memory.shared_scans(10 * MINUTE, 0, &[], 11 * MINUTE), []);
    }

    #[test]
    fn what_shows_least_makes_room() {
        let mut memory = Memory::default();
        record(&mut memory, 1, 1, &tried(), 1);
        record(&mut memory, 1, 2, &tried(), 2);
        for source in 0..=u32::try_from(SLOW_SOURCES).unwrap() {
            record(&mut memory, source + 100, 80, &tried(), 3);
        }
        memory.tidy(4);
        assert!(memory.sources.len() <= SLOW_SOURCES);
        assert!(memory.forgotten() > 0);
        assert_eq!(memory.slow_scan(addr(1), HOUR, 4).ports.distinct, 2);
    }

    #[test]
    fn a_source_and_a_destination_are_bounded() {
        let mut memory = Memory::default();
        for port in 1..u16::MAX {
            record(&mut memory, 7, port, &tried(), MINUTE);
        }
        let slow = memory.slow_scan(addr(7), HOUR, MINUTE);
        assert_eq!(slow.ports.distinct, u64::try_from(SLOW_PORTS).unwrap());
        let [(_, shared)] = memory.shared_scans(HOUR, 60, &[], MINUTE)[..] else { panic!("one") };
        assert_eq!(shared.ports.distinct, u64::try_from(SHARED_PORTS).unwrap());
    }
}
