//! What is told by itself, without a threshold to come near: a listed address was seen, a signature matched.
//!
//! What was seen in the slot that goes on is kept apart until the slot is over: of listed addresses it is then replaced
//! by what the kernel counted in all.

use std::collections::BTreeMap;
use std::sync::Arc;

use netwatch_common::Addr;

use super::detail::Detail;
use super::finding::{Aspect, Check};
use super::limits::{EARLY_HOSTS, EVENTS};
use super::rules::{RuleId, Severity};

/// Something that was seen of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The address.
    pub addr: Addr,
    /// The feed or signature, by a number that stays the same as long as there are incidents of it.
    pub item: u16,
    /// The slot that it was counted in, as the kernel program numbers them; of signatures it says nothing.
    pub slot: u32,
    /// How severe it is; information where the address only knocks, whatever this says.
    pub severity: Severity,
    /// What was seen.
    pub detail: Detail,
}

impl Event {
    /// The check that it is a finding of.
    #[must_use]
    pub const fn check(&self) -> Check {
        let rule = match self.detail {
            Detail::Listed(_) => RuleId::IocIp,
            Detail::Matched(_) => RuleId::PayloadMatch,
        };
        Check { rule, aspect: Aspect::Item(self.item) }
    }

    /// Whether a listed address did nothing but send.
    const fn knocks(&self) -> bool {
        match &self.detail {
            Detail::Listed(listed) => listed.begun == 0 && listed.udp_begun == 0 && listed.completed == 0,
            Detail::Matched(_) => false,
        }
    }

    /// How severe it is by itself.
    fn grade(&self, detail: &Detail) -> Severity {
        match detail {
            Detail::Listed(listed) if !listed.is_contact() => Severity::Info,
            Detail::Listed(_) | Detail::Matched(_) => self.severity,
        }
    }
}

/// What was seen of one address and one feed or signature.
#[derive(Clone, Debug)]
struct Kept {
    /// The last of them, for what does not add up.
    last: Event,
    /// How many there were in ended slots of the window, each with the number of the slot.
    counts: Vec<(u64, u64)>,
    /// What was seen in ended slots.
    settled: Option<Detail>,
    /// What was seen in slots that are not over, by slot and host of ours where each is told by itself. The next slot begins
    /// before the last one is drained.
    fresh: Vec<(Part, Detail)>,
}

/// What a part of the fresh counts is about: a slot and a host, or nothing in particular.
type Part = Option<(u32, Addr)>;

/// What an evaluation sees of one address and one feed or signature.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) addr: Addr,
    pub(super) check: Check,
    /// How many there were in the window.
    pub(super) observed: u64,
    pub(super) severity: Severity,
    /// All that was seen.
    pub(super) detail: Arc<Detail>,
}

/// The events of one interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    kept: BTreeMap<(Addr, Check), Kept>,
    /// The slot that goes on.
    slot: u64,
    /// Events that there was no room for.
    lost: u64,
}

impl Events {
    /// Takes note of what was seen so far, in the slot that goes on, of an address and one host of ours.
    pub(super) fn so_far(&mut self, event: Event, host: Addr) -> Option<Sight> {
        let part = Some((event.slot, host));
        self.note(event, part, |old, new| *old = new)
    }

    /// Takes note of what was seen besides all others.
    pub(super) fn add(&mut self, event: Event) -> Option<Sight> {
        self.note(event, None, |old, new| old.merge(&new))
    }

    /// Goes on with what an earlier run saw, and counted.
    pub(super) fn resume(&mut self, event: Event) {
        let key = (event.addr, event.check());
        let settled = Some(event.detail.clone());
        self.kept.entry(key).or_insert_with(|| Kept { settled, ..Kept::new(event) });
    }

    /// What is seen from now on belongs to another slot, and not to a further part of the last one.
    pub(super) const fn begin_slot(&mut self) {
        self.slot += 1;
    }

    /// Ends the slot of a number, or a part of it, in which `listed` was seen of listed addresses: all of it, each address and feed once for each host of
    /// ours. Returns all that the last `slots` hold, and what `is_followed`.
    pub(super) fn turn(
        &mut self,
        number: u32,
        listed: Vec<Event>,
        slots: u64,
        is_followed: impl Fn(Addr, Check) -> bool,
    ) -> Vec<Sight> {
        for (_, kept) in self.kept.iter_mut().filter(|((_, check), _)| check.rule == RuleId::IocIp) {
            // Numbers of slots wrap.
            let is_later = |slot: u32| slot.wrapping_sub(number).cast_signed() > 0;
            kept.fresh.retain(|(part, _)| part.is_some_and(|(slot, _)| is_later(slot)));
        }
        for event in listed {
            self.add(event);
        }
        let slot = self.slot;
        let mut sights = Vec::new();
        self.kept.retain(|(addr, check), kept| {
            kept.settle(slot, slots);
            let goes_on = !kept.counts.is_empty() || !kept.fresh.is_empty() || is_followed(*addr, *check);
            if goes_on {
                sights.push(kept.sight(*addr, *check));
            }
            goes_on
        });
        sights
    }

    /// Events that there was no room for, since the last call.
    pub(super) const fn take_lost(&mut self) -> u64 {
        core::mem::replace(&mut self.lost, 0)
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn note(&mut self, event: Event, part: Part, update: impl FnOnce(&mut Detail, Detail)) -> Option<Sight> {
        let key = (event.addr, event.check());
        // Who only knocks can be forged: that leaves room for what matters more.
        let room = if event.knocks() { EVENTS / 2 } else { EVENTS };
        if !self.kept.contains_key(&key) && self.kept.len() >= room {
            self.lost += 1;
            return None;
        }
        let detail = event.detail.clone();
        let kept = self.kept.entry(key).or_insert_with(|| Kept::new(event.clone()));
        kept.last = event;
        let is_full = part.is_some() && kept.fresh.len() >= EARLY_HOSTS;
        match kept.fresh.iter_mut().find(|(of, _)| *of == part) {
            Some((_, old)) => update(old, detail),
            // The end of the slot tells of all hosts.
            None if is_full => return None,
            None => kept.fresh.push((part, detail)),
        }
        Some(kept.sight(key.0, key.1))
    }
}

impl Kept {
    const fn new(event: Event) -> Self {
        Self { last: event, counts: Vec::new(), settled: None, fresh: Vec::new() }
    }

    fn sight(&self, addr: Addr, check: Check) -> Sight {
        let detail = self.all().unwrap_or_else(|| self.last.detail.clone());
        let fresh: u64 = self.fresh.iter().map(|(_, detail)| detail.count()).sum();
        let observed = self.counts.iter().map(|(_, count)| count).sum::<u64>().saturating_add(fresh);
        Sight { addr, check, observed, severity: self.last.grade(&detail), detail: Arc::new(detail) }
    }

    /// All that was seen.
    fn all(&self) -> Option<Detail> {
        let mut parts = self.settled.iter().chain(self.fresh.iter().map(|(_, detail)| detail));
        let mut all = start(parts.next()?);
        parts.for_each(|part| all.merge(part));
        Some(all)
    }

    fn settle(&mut self, slot: u64, slots: u64) {
        // What has a part of its own belongs to a slot that goes on.
        let later: Vec<_> = self.fresh.extract_if(.., |(part, _)| part.is_some()).collect();
        let count: u64 = self.fresh.iter().map(|(_, detail)| detail.count()).sum();
        self.settled = self.all();
        self.fresh = later;
        if count > 0 {
            self.counts.push((slot, count));
        }
        self.counts.retain(|(of, _)| slot - of < slots);
    }
}

/// A sum that has one part only. What a part means may depend on what was there before, so it is added to nothing.
fn start(first: &Detail) -> Detail {
    match first {
        Detail::Listed(first) => {
            let mut all = super::detail::Listed::default();
            all.merge(first);
            Detail::Listed(all)
        }
        Detail::Matched(_) => first.clone(),
    }
}

#[cfg(test)]
mod tests;
