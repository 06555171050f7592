//! Incidents of an earlier run that go on: continued, and not opened again.

use core::net::IpAddr;
use std::sync::Arc;

use netwatch_common::{Addr, Class, Service, Settings};

use super::detail::Detail;
use super::evaluate;
use super::events::Event;
use super::finding::{Aspect, Check, Evidence};
use super::incident::{Fingerprint, Incident, InterfaceId, Moment};
use super::rules::Subject;
use super::stats::{Hosts, SourceStats};
use super::transition::{State, Transition};
use super::{Analysis, Confidence};

/// An incident of an earlier run.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// What the earlier run called it.
    pub name: Arc<str>,
    /// Its last step, in the times of this run: what lies before the beginning of its clock is at 1.
    pub last: Transition,
    /// Which feed or signature it is about, by its number in this run, where it is about one.
    pub item: Option<u16>,
}

impl Analysis {
    /// Goes on with an incident of an earlier run on an interface, as if this one had opened it. Returns a step of it by which
    /// whoever saw it end, because netwatch stopped, learns that it goes on; none where it cannot be continued: there
    /// is one of the same already, no room, or its rule is switched off.
    pub fn resume(&mut self, id: InterfaceId, resumed: Resumed, now_ns: u64) -> Option<Transition> {
        let interface = self.interfaces.get_mut(id.0)?;
        let (name, last) = (resumed.name, resumed.last);
        let rule = last.rule;
        if !self.policy.of(rule).enabled {
            return None;
        }
        let key = fingerprint(id, &last, resumed.item, self.setting.ipv6_bits)?;
        let moment = Moment {
            now_ns,
            window_ns: evaluate::reach_ns(rule, &self.policy, &self.setting),
            covered_ns: 0,
            patience_ns: 0,
            confidence: last.confidence,
            degraded: false,
            interface: &interface.name,
            ipv6_bits: self.setting.ipv6_bits,
        };
        if let (Aspect::Item(item), Some(detail)) = (key.check.aspect, &last.detail) {
            interface.known.events.resume(Event {
                addr: key.addr,
                item,
                slot: 0,
                severity: last.severity,
                detail: Detail::clone(detail),
            });
        }
        self.incidents.resume(key, name, &last, &moment)
    }
}

/// What makes it the same incident as one of this run.
fn fingerprint(
    interface: InterfaceId,
    last: &Transition,
    item: Option<u16>,
    ipv6_bits: u8,
) -> Option<Fingerprint> {
    let rule = last.rule;
    let subject = rule.rule().subject;
    let addr = match subject {
        Subject::Source | Subject::SourcePort => {
            let settings =
                Settings { source6_mask: Settings::source6_prefix(ipv6_bits), ..Settings::DEFAULT };
            settings.account(last.source?.addr.into())
        }
        Subject::Address => last.source?.addr.into(),
        Subject::Destination | Subject::DestinationPort => last.dest?.into(),
        Subject::Itself => Addr([0; 4]),
    };
    let aspect = match (subject, last.proto, last.port) {
        (Subject::Address, ..) => {
            last.detail.as_ref()?;
            Aspect::Item(item?)
        }
        (_, Some(proto), Some(port)) => Aspect::Port(Service::new(proto, port)),
        (_, Some(proto), None) => Aspect::Proto(proto),
        _ if last.unit == "bits/s" => Aspect::Bits,
        _ => Aspect::Whole,
    };
    Some(Fingerprint { interface, addr, check: Check { rule, aspect } })
}

impl Incident {
    /// One that was told before, and goes on by this number.
    pub(super) fn resumed(last: &Transition, number: u64) -> Self {
        let mut sent = SourceStats {
            bytes: last.bytes,
            first_ns: last.first_ns,
            last_ns: last.last_ns,
            classes: last.evidence,
            hosts: last.source.and_then(|peer| peer.host).map_or(Hosts::None, only),
            completed: u64::from(!last.spoofable),
            ..SourceStats::default()
        };
        let evidence = Evidence {
            stats: sent,
            ports: last.ports,
            dests: last.dests,
            sources: last.sources,
            techniques: last.techniques,
        };
        // Of what came before the last window the classes are not known: it is taken for more of what came most.
        let before = last.packets.saturating_sub(sent.packets());
        let most = Class::ALL.into_iter().max_by_key(|class| sent.class(*class));
        if let Some(most) = most.filter(|_| last.detail.is_none()) {
            sent.classes[most as usize] += before;
        }
        Self::told_before(last, number, &evidence, sent)
    }
}

/// The last 64 bits of the only host of a network.
fn only(host: IpAddr) -> Hosts {
    let IpAddr::V6(host) = host else { return Hosts::None };
    let [.., a, b, c, d, e, f, g, h] = host.octets();
    Hosts::One([u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])])
}

impl super::incidents::Incidents {
    /// Goes on with an incident of an earlier run.
    pub(super) fn resume(
        &mut self,
        key: Fingerprint,
        name: Arc<str>,
        last: &Transition,
        moment: &Moment<'_>,
    ) -> Option<Transition> {
        let number = self.enter_resumed(key, name, last)?;
        self.step(&key, number, State::Update, moment)
    }
}

/// How replies were told, by its name in output.
#[must_use]
pub fn confidence(name: &str) -> Confidence {
    if name == "flows" { Confidence::Flows } else { Confidence::Flags }
}
