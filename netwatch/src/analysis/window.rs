//! The last slots of one interface, looked at as one.

use std::collections::VecDeque;

use netwatch_common::{Addr, PortHash, Ports, TargetKey};

use super::limits::WINDOW_SLOTS_MAX;
use super::packed::Packed;
use super::policy::Counting;
use super::slot::{Confidence, ServiceKey, Slot};
use super::stats::{SourceStats, TargetStats};
use super::view::{DestView, SourceView};

/// The last slots of one interface.
#[derive(Clone, Debug)]
pub struct Window {
    slots: VecDeque<Slot>,
    capacity: usize,
    hash: PortHash,
}

impl Window {
    /// A window over the last `slots` slots, at least 1 and at most [`WINDOW_SLOTS_MAX`].
    #[must_use]
    pub fn new(slots: usize) -> Self {
        let capacity = slots.clamp(1, WINDOW_SLOTS_MAX);
        Self { slots: VecDeque::with_capacity(capacity), capacity, hash: PortHash::default() }
    }

    /// The same, where the bits of port sets are by this hash.
    #[must_use]
    pub fn hashing(self, hash: PortHash) -> Self {
        Self { hash, ..self }
    }

    /// Keeps so many slots from now on.
    pub fn resize(&mut self, slots: usize) {
        self.capacity = slots.clamp(1, WINDOW_SLOTS_MAX);
        let excess = self.slots.len().saturating_sub(self.capacity);
        self.slots.drain(..excess);
    }

    /// Slides the window by one slot: adds the newest and drops the oldest once the window is full.
    pub fn push(&mut self, slot: Slot) {
        if self.slots.len() == self.capacity {
            self.slots.pop_front();
        }
        self.slots.push_back(slot);
    }

    /// Adds a further part of the newest slot, or the newest slot where there is none yet. What has to be
    /// [folded](super::Health::folded) then to keep the whole slot within bounds is told in the part's health, too.
    pub fn extend_newest(&mut self, part: &mut Slot, is_known: impl Fn(Addr) -> bool) {
        let Some(newest) = self.slots.back_mut() else {
            self.slots.push_back(part.clone());
            return;
        };
        newest.merge(part);
        let before = newest.health;
        newest.fold(self.hash, is_known);
        part.health.folded += newest.health.folded - before.folded;
        part.health.cut += newest.health.cut - before.cut;
    }

    /// Whether none of its slots holds a packet.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.slots.iter().all(Slot::is_silent)
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// The slot pushed last.
    #[must_use]
    pub fn newest(&self) -> Option<&Slot> {
        self.slots.back()
    }

    /// The last slots of the window.
    pub fn last(&self, slots: usize) -> impl Iterator<Item = &Slot> {
        self.slots.range(self.slots.len().saturating_sub(slots)..)
    }

    /// From when to when the last slots reach, in monotonic nanoseconds; `None` before the first slot.
    #[must_use]
    pub fn span(&self, slots: usize) -> Option<Span> {
        let start_ns = self.last(slots).map(|slot| slot.start_ns).min()?;
        let end_ns = self.last(slots).map(|slot| slot.end_ns).max()?;
        Some(Span { start_ns, end_ns })
    }

    /// Visits each source of the newest slot, and each of the last slots that is `wanted`, once, in the order of [`Addr`],
    /// with its counts over all of them. `counting` says which packets are evidence.
    ///
    /// The slots are merged as they are walked: beyond them this needs memory for one source, however many
    /// there are. A source of which only targets were counted, because its own entry was folded, is visited too.
    pub fn for_each_source(
        &self,
        slots: usize,
        counting: Counting,
        wanted: impl Fn(Addr) -> bool,
        mut visit: impl FnMut(&SourceView),
    ) {
        let Some(confidence) = self.newest().map(|slot| slot.confidence) else { return };
        let mut cursors: Vec<_> = self.last(slots).filter_map(Cursor::new).collect();
        let newest = self.newest().map(|slot| slot.start_ns);
        let mut targets = Vec::with_capacity(cursors.len());
        let mut view = SourceView::new(Addr([0; 4]));
        while let Some(addr) = cursors.iter().map(|cursor| cursor.head).min() {
            let is_new = |cursor: &Cursor<'_>| Some(cursor.slot.start_ns) == newest && cursor.head == addr;
            if !(cursors.last().is_some_and(is_new) || wanted(addr)) {
                cursors.retain_mut(|cursor| cursor.head != addr || cursor.skip());
                continue;
            }
            view.begin(addr);
            targets.clear();
            cursors.retain_mut(|cursor| {
                if cursor.head != addr {
                    return true;
                }
                let (stats, own_targets) = cursor.take();
                if let Some(stats) = stats {
                    view.stats.merge(&stats.stats());
                }
                if let Some(ports) = cursor.slot.ports_of(addr) {
                    view.add_ports(self.hash, ports);
                }
                if !own_targets.is_empty() {
                    targets.push(own_targets);
                }
                cursor.advance()
            });
            add_targets(&mut view, &mut targets);
            view.conclude(counting, confidence);
            visit(&view);
        }
    }

    /// One source over the last slots but the oldest of a full window, and what it has sent since.
    #[must_use]
    pub fn source_now(
        &self,
        slots: usize,
        addr: Addr,
        now: &Now<'_>,
        (counting, confidence): (Counting, Confidence),
    ) -> SourceView {
        let mut view = SourceView::new(addr);
        let mut targets = vec![now.targets];
        for slot in self.last(slots.saturating_sub(1)) {
            if let Some(stats) = slot.source(addr) {
                view.stats.merge(&stats);
            }
            if let Some(ports) = slot.ports_of(addr) {
                view.add_ports(self.hash, ports);
            }
            targets.push(slot.targets_of(addr));
        }
        view.stats.merge(&now.stats);
        if let Some(ports) = now.ports {
            view.add_ports(self.hash, ports);
        }
        view.hint(now.stats.probes);
        targets.retain(|targets| !targets.is_empty());
        add_targets(&mut view, &mut targets);
        view.conclude(counting, confidence);
        view
    }

    /// Visits each destination of the last slots once, in the order of [`Addr`].
    pub fn for_each_dest<'w>(&'w self, slots: usize, mut visit: impl FnMut(&DestView<'w>)) {
        let Some(newest) = self.newest() else { return };
        let mut lists: Vec<_> =
            self.last(slots).map(Slot::services).filter(|list| !list.is_empty()).collect();
        let mut window = Vec::new();
        while let Some(addr) = lists.iter().filter_map(|list| list.first()).map(|(key, _)| key.dest).min() {
            window.clear();
            let is_own =
                |list: &[(ServiceKey, TargetStats)]| list.first().is_some_and(|(key, _)| key.dest == addr);
            while let Some(service) = lists
                .iter()
                .filter(|list| is_own(list))
                .filter_map(|list| list.first())
                .map(|(key, _)| key.service)
                .min()
            {
                let sum = take_least(&mut lists, &ServiceKey { dest: addr, service });
                window.push((service, sum));
            }
            let view =
                DestView { addr, window: core::mem::take(&mut window), newest: newest.services_of(addr) };
            visit(&view);
            window = view.window;
        }
    }

    /// One destination over the last slots.
    #[must_use]
    pub fn dest(&self, slots: usize, addr: Addr) -> DestView<'_> {
        let mut lists: Vec<_> =
            self.last(slots).map(|slot| slot.services_of(addr)).filter(|list| !list.is_empty()).collect();
        let mut window = Vec::new();
        while let Some(key) = lists.iter().filter_map(|list| list.first()).map(|(key, _)| *key).min() {
            window.push((key.service, take_least(&mut lists, &key)));
        }
        DestView { addr, window, newest: self.newest().map_or(&[], |slot| slot.services_of(addr)) }
    }

    /// Who sent to what within the last slots, and how many packets `count` finds in it, where that is any: sorted by
    /// destination, service and source.
    #[must_use]
    pub fn senders(
        &self,
        slots: usize,
        count: impl Fn(&ServiceKey, &TargetStats) -> u64,
    ) -> Vec<((ServiceKey, Addr), u64)> {
        let targets = self.last(slots).flat_map(Slot::targets);
        let mut senders: Vec<_> = targets
            .map(|(key, stats)| {
                let service = ServiceKey { dest: key.dest, service: key.service };
                ((service, key.source), count(&service, stats))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        senders.sort_unstable();
        senders.dedup_by(|(key, count), (kept, sum)| {
            let same = key == kept;
            if same {
                *sum = sum.saturating_add(*count);
            }
            same
        });
        senders
    }
}

/// What is known of a source in the slot that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// What it sent.
    pub stats: SourceStats,
    /// Some of what it sent to, sorted.
    pub targets: &'a [(TargetKey, TargetStats)],
    /// The ports that it probed at targets that found no room, where there are any.
    pub ports: Option<&'a Ports>,
}

/// From when to when something lasted, in monotonic nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
}

/// Merges what each slot knows about the targets of one source, which are sorted in each.
fn add_targets(view: &mut SourceView, slots: &mut Vec<&[(TargetKey, TargetStats)]>) {
    let service = |key: &TargetKey| ServiceKey { dest: key.dest, service: key.service };
    // Nearly every source of a flood lies in one slot.
    if let [only] = slots[..] {
        for (key, stats) in only {
            view.add(service(key), *stats);
        }
        return;
    }
    while let Some(key) = slots.iter().filter_map(|list| list.first()).map(|(key, _)| *key).min() {
        let sum = take_least(slots, &key);
        view.add(service(&key), sum);
    }
}

/// Takes the entries of the least key off all lists that begin with it, and drops lists that are used up.
fn take_least<K: PartialEq>(lists: &mut Vec<&[(K, TargetStats)]>, key: &K) -> TargetStats {
    let mut sum = TargetStats::default();
    lists.retain_mut(|list| {
        if let [(first, stats), rest @ ..] = *list
            && first == key
        {
            sum.merge(stats);
            *list = rest;
        }
        !list.is_empty()
    });
    sum
}

/// How far one slot has been walked.
struct Cursor<'a> {
    slot: &'a Slot,
    /// The lowest source not yet taken.
    head: Addr,
    sources: &'a [(Addr, Packed)],
    targets: &'a [(TargetKey, TargetStats)],
}

impl<'a> Cursor<'a> {
    /// `None` for a slot in which nothing was counted.
    fn new(slot: &'a Slot) -> Option<Self> {
        let (sources, targets) = (slot.packed(), slot.targets());
        Some(Self { slot, head: head(sources, targets)?, sources, targets })
    }

    /// What the slot knows about the source at the head.
    fn take(&mut self) -> (Option<&'a Packed>, &'a [(TargetKey, TargetStats)]) {
        let mut taken = None;
        if let [(addr, stats), rest @ ..] = self.sources
            && *addr == self.head
        {
            taken = Some(stats);
            self.sources = rest;
        }
        let end =
            self.targets.iter().position(|(key, _)| key.source != self.head).unwrap_or(self.targets.len());
        let (own, rest) = self.targets.split_at(end);
        self.targets = rest;
        (taken, own)
    }

    /// Moves on to the next source, whatever is known about this one; false at the end of the slot.
    fn skip(&mut self) -> bool {
        self.take();
        self.advance()
    }

    /// Moves on to the next source; false at the end of the slot.
    fn advance(&mut self) -> bool {
        head(self.sources, self.targets).is_some_and(|next| {
            self.head = next;
            true
        })
    }
}

fn head(sources: &[(Addr, Packed)], targets: &[(TargetKey, TargetStats)]) -> Option<Addr> {
    match (sources.first(), targets.first()) {
        (Some((addr, _)), Some((key, _))) => Some((*addr).min(key.source)),
        (Some((addr, _)), None) => Some(*addr),
        (None, Some((key, _))) => Some(key.source),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
