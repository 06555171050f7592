//! Who sends most, and what most is sent to: for people who look, not for rules.

use std::collections::BTreeMap;

use netwatch_common::{Addr, Proto, Service};

use super::incident::{InterfaceId, peer};
use super::{Analysis, Peer, Slot, SourceStats};

/// A port that much is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPort {
    /// The protocol.
    pub proto: Proto,
    /// The port.
    pub port: u16,
    /// Packets to it in the last slot.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Pairs of source and destination that are known by name.
    pub flows: u64,
}

impl Analysis {
    /// The sources that sent most packets in the window of an interface, at most so many, with all that they sent in it. To be
    /// called once after each slot. A source that was never among the busiest of a slot is not found.
    pub fn busiest(&mut self, id: InterfaceId, most: usize) -> Vec<(Peer, SourceStats)> {
        let (slots, bits) = (self.setting.window_slots, self.setting.ipv6_bits);
        let Some(interface) = self.interfaces.get_mut(id.0) else { return Vec::new() };
        let mut known = core::mem::take(&mut interface.busy);
        known.extend(interface.window.newest().into_iter().flat_map(|slot| of_slot(slot, most)));
        known.sort_unstable();
        known.dedup();
        let sum = |addr: Addr| {
            let mut sum = SourceStats::default();
            interface
                .window
                .last(slots)
                .filter_map(|slot| slot.source(addr))
                .for_each(|part| sum.merge(&part));
            (addr, sum)
        };
        let mut busy: Vec<_> = known.into_iter().map(sum).filter(|(_, sum)| sum.packets() > 0).collect();
        busy.sort_by_key(|(addr, sum)| (core::cmp::Reverse(sum.packets()), *addr));
        busy.truncate(most);
        interface.busy = busy.iter().map(|(addr, _)| *addr).collect();
        busy.into_iter().map(|(addr, sum)| (peer(addr, bits, sum.hosts), sum)).collect()
    }

    /// The ports that most packets were sent to in the last slot of an interface, at most so many.
    #[must_use]
    pub fn busiest_ports(&self, id: InterfaceId, most: usize) -> Vec<BusyPort> {
        let Some(slot) = self.newest(id) else { return Vec::new() };
        let mut sums: BTreeMap<Service, BusyPort> = BTreeMap::new();
        for (key, stats) in slot.services() {
            if let Some((proto, port)) = key.service.port() {
                let none = BusyPort { proto, port, packets: 0, bytes: 0, flows: 0 };
                let sum = sums.entry(key.service).or_insert(none);
                sum.packets += stats.packets();
                sum.bytes += stats.bytes;
            }
        }
        let mut busy: Vec<_> = sums.into_iter().collect();
        busy.sort_by_key(|(service, sum)| (core::cmp::Reverse(sum.packets), *service));
        busy.truncate(most);
        let mut busy: BTreeMap<Service, BusyPort> = busy.into_iter().collect();
        for (key, _) in slot.targets() {
            if let Some(sum) = busy.get_mut(&key.service) {
                sum.flows += 1;
            }
        }
        let mut ports: Vec<_> = busy.into_values().collect();
        ports.sort_by_key(|port| (core::cmp::Reverse(port.packets), port.proto.name(), port.port));
        ports
    }

    /// The slot of an interface that ended last.
    #[must_use]
    pub fn newest(&self, id: InterfaceId) -> Option<&Slot> {
        self.interfaces.get(id.0)?.window.newest()
    }
}

/// The sources that sent most in a slot.
fn of_slot(slot: &Slot, most: usize) -> Vec<Addr> {
    let mut all: Vec<_> = slot.sources().map(|(addr, stats)| (stats.packets(), addr)).collect();
    if all.len() > most && most > 0 {
        all.select_nth_unstable_by_key(most - 1, |(packets, _)| core::cmp::Reverse(*packets));
        all.truncate(most);
    }
    all.into_iter().map(|(_, addr)| addr).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Counted, Options};
    use netwatch_common::{Class, TargetKey};
    use std::net::IpAddr;

    const SECOND: u64 = 1_000_000_000;

    fn slot(number: u64, sent: &[(u8, u64)]) -> Slot {
        let addr = |last: u8| Addr::from(IpAddr::from([203, 0, 113, last]));
        let of = |packets: u64| {
            let mut stats =
                SourceStats { first_ns: 1, last_ns: 2, bytes: packets * 60, ..SourceStats::default() };
            stats.classes[Class::Syn as usize] = packets;
            stats
        };
        let sources = sent.iter().map(|(last, packets)| (addr(*last), of(*packets))).collect();
        let target = |last: u8, packets: u64| {
            let key = TargetKey {
                source: addr(last),
                dest: addr(250),
                service: Service::new(Proto::Tcp, u16::from(last % 2) + 80),
            };
            let opening = u32::try_from(packets).unwrap();
            (key, crate::analysis::TargetStats { opening, bytes: packets * 60, ..Default::default() })
        };
        let targets = sent.iter().map(|(last, packets)| target(*last, *packets)).collect();
        Slot::new(number * 5 * SECOND, (number + 1) * 5 * SECOND, Counted::named(sources, targets))
    }

    #[test]
    fn the_busiest_are_those_of_the_window_and_not_of_the_slot() {
        let mut analysis = Analysis::new(&Options { window_slots: 2, ..Options::default() });
        let id = analysis.add_interface("eth0");
        let told = |analysis: &mut Analysis, sent: &[(u8, u64)], number| {
            analysis.push(id, slot(number, sent));
            let busy = analysis.busiest(id, 2);
            busy.into_iter().map(|(peer, sum)| (peer.addr.to_string(), sum.packets())).collect::<Vec<_>>()
        };
        let name = |last: u8| format!("203.0.113.{last}");
        assert_eq!(told(&mut analysis, &[(1, 9), (2, 5), (3, 4)], 1), [(name(1), 9), (name(2), 5)]);
        assert_eq!(told(&mut analysis, &[(1, 1), (3, 7)], 2), [(name(3), 11), (name(1), 10)]);
        // The first slot has left the window.
        assert_eq!(told(&mut analysis, &[(2, 3)], 3), [(name(3), 7), (name(2), 3)]);
        let ports = analysis.busiest_ports(id, 9);
        assert_eq!(ports, [BusyPort { proto: Proto::Tcp, port: 80, packets: 3, bytes: 180, flows: 1 }]);
    }
}
