//! A stage for stories: what is sent is counted as the kernel program counts it, on one CPU, and what the analysis
//! makes of it is kept.

use std::collections::BTreeMap;

use core::net::{IpAddr, Ipv4Addr};
use netwatch_common::{
    Addr, Hint, PortHash, Ports, Proto, Service, SourceCounts, TargetCounts, TargetKey, Verdict,
};

use crate::analysis::incident::InterfaceId;
use crate::analysis::slot::ServiceKey;
use crate::analysis::{
    Analysis, Confidence, Counted, Health, Look, Options, Policy, RuleId, Severity, Slot, SourceStats,
    Suppression, TargetStats, Transition,
};

pub const SECOND: u64 = 1_000_000_000;

/// That of all stages.
const PORT_HASH: PortHash = PortHash::new(0x5eed_0123_4567_89ab);

/// What packets are, and their TCP flags; one that completes a handshake says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub Verdict, pub u8, pub u32);

pub const SYN: Kind = Kind(Verdict::Syn, 0x02, 0);
pub const FIN: Kind = Kind(Verdict::Stealth, 0x01, 0);
pub const ACK: Kind = Kind(Verdict::OutOfState, 0x10, 0);
pub const RESET: Kind = Kind(Verdict::Backscatter, 0x04, 0);
pub const UDP: Kind = Kind(Verdict::UdpNew, 0, 0);
pub const LATE_REPLY: Kind = Kind(Verdict::LateReply, 0, 0);
pub const ECHO: Kind = Kind(Verdict::IcmpProbe, 0, 0);
pub const FRAGMENT: Kind = Kind(Verdict::Fragment, 0, 0);
pub const TALK: Kind = Kind(Verdict::Known, 0x10, 0);
pub const COMPLETED: Kind = Kind(Verdict::Known, 0x10, 1);

/// A host of the world outside.
pub fn outside(number: u32) -> Addr {
    Ipv4Addr::from_bits(0xc612_0000 + number).into()
}

/// A host of the network that is watched.
pub fn inside(number: u32) -> Addr {
    Ipv4Addr::from_bits(0xc000_0200 + number).into()
}

pub fn tcp(port: u64) -> Service {
    Service::new(Proto::Tcp, u16::try_from(port).unwrap())
}

pub fn udp(port: u64) -> Service {
    Service::new(Proto::Udp, u16::try_from(port).unwrap())
}

/// One CPU's maps of the slot that goes on.
#[derive(Clone, Debug, Default)]
pub struct Maps {
    pub number: u32,
    pub sources: BTreeMap<Addr, SourceCounts>,
    pub targets: BTreeMap<TargetKey, TargetCounts>,
    /// Of sources without room for what they sent to, the ports.
    pub ports: BTreeMap<Addr, Ports>,
    /// What sources without an entry sent.
    pub unattributed: SourceCounts,
    /// What that was sent to, and what targets without an entry got.
    pub services: BTreeMap<ServiceKey, TargetCounts>,
    /// How often the analysis looked into them, at a source or target.
    pub looks: usize,
}

impl Look for Maps {
    fn source(&mut self, slot: u32, source: Addr) -> Option<SourceStats> {
        self.looks += 1;
        assert_eq!(slot, self.number, "of this slot there are maps");
        Some(SourceStats::from_cpus([self.sources.get(&source)?]))
    }

    fn target(&mut self, slot: u32, target: &TargetKey) -> Option<TargetStats> {
        self.looks += 1;
        assert_eq!(slot, self.number, "of this slot there are maps");
        Some(TargetStats::from_cpus([self.targets.get(target)?]))
    }

    fn ports(&mut self, _slot: u32, source: Addr) -> Option<Ports> {
        self.ports.get(&source).copied()
    }
}

/// One interface, and what was told of it.
pub struct Stage {
    pub analysis: Analysis,
    pub eth0: InterfaceId,
    pub maps: Maps,
    /// Hints that nobody has read.
    pub hints: Vec<Hint>,
    /// All that was told.
    pub told: Vec<Transition>,
    pub confidence: Confidence,
    /// That of the slot that goes on.
    pub health: Health,
    /// Length of each packet.
    pub bytes: u64,
    /// Last bits of the sender's address.
    pub host: u32,
    pub slot_ns: u64,
    /// When the slot that goes on began.
    pub start_ns: u64,
    /// The time, within that slot.
    pub now_ns: u64,
}

impl Stage {
    pub fn new(policy: Policy) -> Self {
        Self::of(&Options { policy, ..Options::default() })
    }

    pub fn of(options: &Options) -> Self {
        let mut analysis = Analysis::new(&Options { port_hash: PORT_HASH, ..options.clone() });
        let eth0 = analysis.add_interface("eth0");
        analysis.tell_confidence(eth0, Confidence::Flows);
        Self {
            analysis,
            eth0,
            maps: Maps::default(),
            hints: Vec::new(),
            told: Vec::new(),
            confidence: Confidence::Flows,
            health: Health::default(),
            bytes: 60,
            host: 1,
            slot_ns: options.slot_ns,
            start_ns: 0,
            now_ns: 1,
        }
    }

    /// Sends some packets of one kind, and counts them.
    pub fn send(&mut self, source: Addr, dest: Addr, service: Service, kind: Kind, count: u64) {
        let Ok(times @ 1..) = u32::try_from(count) else { return };
        let target = TargetKey { source, dest, service };
        let counts = self.maps.targets.entry(target).or_insert(TargetCounts::ZERO);
        let is_first = add(counts, service, kind, times, self.bytes);
        self.count_source(target, kind, times, is_first);
    }

    /// The same, where there is room for the source and none for what it sends to.
    pub fn send_without_room(&mut self, source: Addr, dest: Addr, service: Service, kind: Kind, count: u64) {
        let Ok(times @ 1..) = u32::try_from(count) else { return };
        let lump = ServiceKey { dest, service: Service::LUMP };
        let counts = self.maps.services.entry(lump).or_insert(TargetCounts::ZERO);
        add(counts, service, kind, times, self.bytes);
        let is_new = service.port().filter(|_| kind.0.is_scan_evidence()).is_some_and(|(proto, port)| {
            let ports = self.maps.ports.entry(source).or_insert(Ports::ZERO);
            ports.of_mut(proto).insert(PORT_HASH, port)
        });
        self.health.targets_refused += count;
        self.count_source(TargetKey { source, dest, service }, kind, times, is_new);
    }

    /// Sends packets of sources that there is no room for, of which some are new.
    pub fn send_by_nobody(&mut self, new: u32, dest: Addr, service: Service, kind: Kind, count: u64) {
        let Ok(times @ 1..) = u32::try_from(count) else { return };
        let counts = self.maps.services.entry(ServiceKey { dest, service }).or_insert(TargetCounts::ZERO);
        add(counts, service, kind, times, self.bytes);
        counts.newcomers += new;
        let nobody = &mut self.maps.unattributed;
        nobody.bytes += self.bytes * count;
        nobody.classes[kind.0.class() as usize] += times;
        self.health.sources_refused += count;
    }

    fn count_source(&mut self, target: TargetKey, kind: Kind, times: u32, is_first: bool) {
        let Kind(verdict, _, completed) = kind;
        let counts = self.maps.sources.entry(target.source).or_insert(SourceCounts::ZERO);
        if counts.first_ns == 0 {
            (counts.first_ns, counts.host) = (self.now_ns, [0, self.host.to_be()]);
        } else if counts.host != [0, self.host.to_be()] {
            counts.many_hosts = 1;
        }
        counts.last_ns = self.now_ns;
        counts.bytes += self.bytes * u64::from(times);
        counts.classes[verdict.class() as usize] += times;
        counts.completed += completed * times;
        let hint = |kind, number| Hint { target, kind, slot: self.maps.number, number, at_ns: self.now_ns };
        if verdict.class().is_unsolicited() {
            let before = counts.unsolicited;
            counts.unsolicited += times;
            // One CPU: each crossing of the default threshold is told, up to some thousands.
            let due = (1..=20).map(|times| 101 * times);
            let due = due.filter(|number| (before + 1..=before + times).contains(number));
            self.hints.extend(due.map(|number| hint(Hint::PACKETS, number)));
            if is_first {
                counts.probes += 1;
                if counts.probes <= Hint::MAX_PROBES {
                    self.hints.push(hint(Hint::PROBE, counts.probes));
                }
            }
        }
    }

    /// Opens connections and completes them.
    pub fn connect(&mut self, source: Addr, dest: Addr, service: Service, count: u64) {
        self.send(source, dest, service, SYN, count);
        self.send(source, dest, service, COMPLETED, count);
    }

    /// Lets the analysis read the hints; returns what is new.
    pub fn look(&mut self) -> Vec<String> {
        let hints = core::mem::take(&mut self.hints);
        self.look_at(&hints)
    }

    pub fn look_at(&mut self, hints: &[Hint]) -> Vec<String> {
        let told = self.analysis.hints(self.eth0, hints, self.now_ns, &mut self.maps);
        self.tell(told)
    }

    /// Ends the slot; returns what is new.
    pub fn end_slot(&mut self) -> Vec<String> {
        self.end_slot_after(self.slot_ns)
    }

    /// Ends the slot, or a part of it, so long after it began; returns what is new.
    pub fn end_slot_after(&mut self, length_ns: u64) -> Vec<String> {
        let Maps { number, sources, targets, ports, unattributed, services, .. } =
            core::mem::take(&mut self.maps);
        let end_ns = self.start_ns + length_ns;
        let sources = sources.into_iter().map(|(addr, cpu)| (addr, SourceStats::from_cpus(&[cpu])));
        let targets = targets.into_iter().map(|(key, cpu)| (key, TargetStats::from_cpus(&[cpu])));
        let services = services.into_iter().map(|(key, cpu)| (key, TargetStats::from_cpus(&[cpu])));
        let counted = Counted {
            sources: sources.collect(),
            targets: targets.collect(),
            unattributed: SourceStats::from_cpus(&[unattributed]),
            services: services.collect(),
            ports: ports.into_iter().collect(),
            elsewhere: TargetStats::default(),
        };
        let mut slot = Slot::new(self.start_ns, end_ns, counted);
        slot.number = number;
        slot.confidence = self.confidence;
        slot.health = core::mem::take(&mut self.health);
        (self.start_ns, self.now_ns) = (end_ns, end_ns + 1);
        self.maps.number = number.wrapping_add(1);
        // Those that were not read come too late.
        self.hints.clear();
        let told = self.analysis.push(self.eth0, slot);
        self.tell(told)
    }

    /// Lets slots pass in which nothing comes.
    pub fn silence(&mut self, slots: u64) -> Vec<String> {
        (0..slots).flat_map(|_| self.end_slot()).collect()
    }

    pub fn suppressed(&self, reason: Suppression) -> u64 {
        self.analysis.counters().suppressed(reason)
    }

    /// What was opened and told, by rule.
    pub fn opened(&self) -> Vec<&'static str> {
        let told = self.told.iter().filter(|t| t.state.name() == "open" && t.weight > Severity::Info);
        told.map(|t| t.rule.name()).collect()
    }

    /// The first that was told of a rule.
    pub fn first(&self, rule: RuleId) -> Option<&Transition> {
        self.told.iter().find(|t| t.rule == rule)
    }

    /// Keeps transitions, and returns them as lines: but for those of `dos.packets`, which come with so much.
    fn tell(&mut self, told: Vec<Transition>) -> Vec<String> {
        let lines = told.iter().filter(|t| t.rule != RuleId::DosPackets).map(line).collect();
        self.told.extend(told);
        lines
    }
}

/// A transition as a line.
pub fn line(t: &Transition) -> String {
    let at_s = t.at_ns / SECOND;
    let who = t.source.map(|peer| peer.addr).or(t.dest).map(|who: IpAddr| format!(" {who}"));
    let who = who.unwrap_or_default();
    let port = t.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{at_s} {} {}{who}{port} {}", t.state.name(), t.rule.name(), t.observed)
}

/// Counts some packets of one kind under a target. Returns whether they are the first by which it is probed.
fn add(counts: &mut TargetCounts, service: Service, kind: Kind, times: u32, bytes: u64) -> bool {
    let Kind(verdict, flags, completed) = kind;
    let is_first = counts.count(service, verdict, flags, bytes, completed);
    // What any further packet of the kind adds.
    let mut one = TargetCounts::ZERO;
    one.count(service, verdict, flags, bytes, completed);
    counts.bytes += one.bytes * u64::from(times - 1);
    for (mine, more) in [
        (&mut counts.opening, one.opening),
        (&mut counts.stealth, one.stealth),
        (&mut counts.out_of_state, one.out_of_state),
        (&mut counts.noise, one.noise),
        (&mut counts.rest, one.rest),
        (&mut counts.completed, one.completed),
    ] {
        *mine += more * (times - 1);
    }
    is_first
}
