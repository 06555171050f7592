//! Who sends to destinations that may be flooded.

use std::collections::BTreeMap;

use netwatch_common::{Addr, Service};

use super::dest::{Case, Senders};
use super::finding::{Aspect, Check};
use super::rules::RuleId;
use super::slot::{Confidence, ServiceKey, Slot, range};
use super::window::Window;

/// Who sends to destinations that may be flooded.
#[derive(Debug)]
pub struct Crowd {
    /// Uncompleted SYNs within the window, for ports that are checked.
    syns: Vec<((ServiceKey, Addr), u64)>,
    /// Unsolicited packets within the last slot.
    unsolicited: Vec<((ServiceKey, Addr), u64)>,
    /// Of each destination, those without a name.
    nameless: BTreeMap<Addr, Nameless>,
}

/// How many sources without a name were new to a destination in one slot, in that with most: in the next slots they
/// may be the same again, of which nothing is known.
#[derive(Debug, Default)]
struct Nameless {
    /// To all of it.
    whole: u64,
    /// To one service.
    services: BTreeMap<Service, u64>,
}

impl Crowd {
    /// Those who send to the destinations of `cases`, as far as their checks ask for it.
    pub fn of<'c>(
        window: &Window,
        slots: usize,
        cases: impl Iterator<Item = (&'c Case<'c>, &'c Vec<Check>)>,
        confidence: Confidence,
    ) -> Self {
        let (mut dests, mut services) = (Vec::new(), Vec::new());
        for (case, checks) in cases {
            let dest = case.view.addr;
            dests.push(dest);
            services.extend(checks.iter().filter_map(|check| match check.aspect {
                Aspect::Port(service) => Some(ServiceKey { dest, service }),
                Aspect::Whole | Aspect::Bits | Aspect::Proto(_) | Aspect::Item(_) => None,
            }));
        }
        if dests.is_empty() {
            return Self { syns: Vec::new(), unsolicited: Vec::new(), nameless: BTreeMap::new() };
        }
        services.sort_unstable();
        let is_counted = confidence == Confidence::Flows;
        let syns = window.senders(slots, |key, stats| match services.binary_search(key) {
            Ok(_) => stats.uncompleted(is_counted),
            Err(_) => 0,
        });
        let unsolicited = window.senders(1, |key, stats| match dests.binary_search(&key.dest) {
            Ok(_) => stats.unsolicited(),
            Err(_) => 0,
        });
        let nameless = dests.into_iter().map(|dest| (dest, Nameless::of(dest, window.last(slots)))).collect();
        Self { syns, unsolicited, nameless }
    }

    /// Who sent what a check of a destination counts.
    #[must_use]
    pub fn senders(&self, dest: Addr, check: Check) -> Senders {
        let of = |list, service| {
            let wanted = ServiceKey { dest, service };
            range(list, |((key, _), _): &((ServiceKey, Addr), u64)| key.cmp(&wanted))
        };
        let mut senders = match (check.rule, check.aspect) {
            (RuleId::FloodSyn, Aspect::Port(service)) => Senders::of(of(&self.syns, service)),
            (RuleId::FloodFragment, _) => Senders::of(of(&self.unsolicited, Service::FRAGMENT)),
            _ => {
                let own = range(&self.unsolicited, |((key, _), _)| key.dest.cmp(&dest));
                let mut by_source: Vec<(Addr, u64)> =
                    own.iter().map(|((_, source), count)| (*source, *count)).collect();
                by_source.sort_unstable();
                by_source.dedup_by(|(source, count), (kept, sum)| {
                    let same = source == kept;
                    if same {
                        *sum = sum.saturating_add(*count);
                    }
                    same
                });
                Senders::of(&by_source)
            }
        };
        let nameless = self.nameless.get(&dest).map_or(0, |nameless| nameless.to(check));
        senders.count = senders.count.saturating_add(nameless);
        senders
    }
}

impl Nameless {
    fn of<'s>(dest: Addr, slots: impl Iterator<Item = &'s Slot>) -> Self {
        let mut most = Self::default();
        for slot in slots {
            let new = slot.services_of(dest).iter().filter(|(_, stats)| stats.newcomers > 0);
            let mut whole = 0;
            for (key, stats) in new {
                whole += u64::from(stats.newcomers);
                let of_service = most.services.entry(key.service).or_default();
                *of_service = u64::from(stats.newcomers).max(*of_service);
            }
            most.whole = most.whole.max(whole);
        }
        most
    }

    /// To what a check looks at.
    fn to(&self, check: Check) -> u64 {
        let to = |service| self.services.get(&service).copied().unwrap_or(0);
        match (check.rule, check.aspect) {
            (_, Aspect::Port(service)) => to(service),
            (RuleId::FloodFragment, _) => to(Service::FRAGMENT),
            _ => self.whole,
        }
    }
}
