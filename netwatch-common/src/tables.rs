//! Where a packet is counted: under its source, and under what it goes to.
//!
//! Each CPU counts in tables of its own ([`Tables`]), which are bounded. As long as there is room, every source and every
//! target has an entry. Where room gets scarce, [`place`] decides who gets one: forged sources must not buy
//! blindness. Packets of sources that get none are counted under [`NOBODY`], with exact sums for each destination and
//! service; packets to targets that get none are counted under their destination alone, or where there are too many
//! destinations under [`ELSEWHERE`], and a port that was probed so is kept in a set of the source's own. So whatever
//! happens, every packet is counted under one source and one target.

use crate::clear::clear;
use crate::entries::{ELSEWHERE, Fill, NOBODY, Source, Target};
use crate::filter::{Block, Guard};
use crate::index::{Hash, Line};
use crate::ports::PortHash;
use crate::target::{Service, TargetKey, Techniques};
use crate::wire::{Addr, Control, Seen, Totals};

/// The tables of one CPU in the slot that is being counted. Where something is out of range there is none.
pub trait Tables {
    /// Which slot it is.
    fn slot(&self) -> u32;
    /// Sources at most.
    fn most_sources(&self) -> u32;
    /// Targets at most.
    fn most_targets(&self) -> u32;
    /// Lines of the index of sources, less one: all bits of what is less.
    fn source_lines(&self) -> u32;
    /// Lines of the index of targets, less one.
    fn target_lines(&self) -> u32;
    /// Blocks of the filter, less one.
    fn blocks(&self) -> u32;
    /// Hash of a source.
    fn hash_source(&self, source: &Addr) -> Hash;
    /// Hash of what a source at a position sends to.
    fn hash_target(&self, source: u32, dest: &Addr, service: Service) -> Hash;
    /// Hash of a port.
    fn port_hash(&self) -> PortHash;
    /// How full they are.
    fn fill(&mut self) -> Option<&mut Fill>;
    /// A line of the index of sources.
    fn source_line(&mut self, line: u32) -> Option<&mut Line>;
    /// A line of the index of targets.
    fn target_line(&mut self, line: u32) -> Option<&mut Line>;
    /// The source at a position.
    fn source(&mut self, position: u32) -> Option<&mut Source>;
    /// The target at a position.
    fn target(&mut self, position: u32) -> Option<&mut Target>;
    /// A block of the filter.
    fn block(&mut self, block: u32) -> Option<&mut Block>;
    /// The filter's age.
    fn guard(&mut self) -> Option<&mut Guard>;
    /// Whether a source with these random bits is among the [`Suspects`](crate::filter::Suspects).
    fn is_suspect(&mut self, bits: u64) -> bool;
}

/// Times that a line is looked at because other keys have the same tag. More are as good as impossible; a key would then
/// have a second entry, and both are added up when they are drained.
const TRIES: u32 = 2;

/// Where a packet is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Position of the source, or [`NOBODY`].
    source: u32,
    /// Position of the target; with [`LUMPED`], that of its destination, or [`ELSEWHERE`].
    target: u32,
    /// The source is one of nobody's that was not seen lately.
    is_newcomer: bool,
}

impl Places {
    /// Whether source and target both have entries of their own: then all packets of this source to this target are
    /// counted there until the slot ends.
    #[must_use]
    pub const fn are_own(&self) -> bool {
        self.source != NOBODY && self.target & LUMPED == 0
    }
}

/// Finds, or makes, the places where a packet is counted.
#[inline(always)]
pub fn place<T: Tables>(tables: &mut T, totals: &mut Totals, key: &TargetKey) -> Places {
    let (source, is_newcomer) = place_source(tables, totals, key);
    let target = match find_target(tables, source, key) {
        Some(position) => position,
        None => admit_target(tables, totals, source, key),
    };
    Places { source, target, is_newcomer }
}

/// Counts a packet at its places. Calls `tell` with the totals, the kind and the number of each hint that is due.
#[inline(always)]
pub fn count<T: Tables>(
    tables: &mut T,
    totals: &mut Totals,
    control: &Control,
    key: &TargetKey,
    seen: &Seen,
    places: Places,
    mut tell: impl FnMut(&mut Totals, u32, u32),
) {
    totals.sourced += 1;
    let probes = count_target(tables, key, seen, places);
    let is_somebody = places.source != NOBODY;
    if let Some(entry) = tables.source(places.source) {
        let tell = |kind, number| tell(totals, kind, number);
        entry.counts.count(seen, &key.dest, probes, is_somebody, control, tell);
    }
}

/// Counts for whoever asked that there is an answer. What was not asked in this slot needs none.
#[inline(always)]
pub fn count_answer<T: Tables>(tables: &mut T, asked: &TargetKey) {
    let source = find(tables, &asked.source).unwrap_or(NOBODY);
    let position = match look_up_target(tables, source, &asked.dest, asked.service) {
        Some(position) => position,
        // It may have asked before it got an entry, or where it found no room.
        None => look_up_target(tables, NOBODY, &asked.dest, Service::LUMP).unwrap_or(ELSEWHERE),
    };
    if position != ELSEWHERE
        && let Some(target) = tables.target(position)
    {
        target.counts.completed += 1;
    }
    if let Some(source) = tables.source(source).filter(|_| source != NOBODY || position != ELSEWHERE) {
        source.counts.answered += 1;
    }
}

/// Position of a source.
#[inline(always)]
pub fn find<T: Tables>(tables: &mut T, source: &Addr) -> Option<u32> {
    let hash = tables.hash_source(source);
    find_source(tables, hash, source)
}

/// Where a source is counted, and whether it is one of nobody's that was not seen lately.
#[inline(always)]
fn place_source<T: Tables>(tables: &mut T, totals: &mut Totals, key: &TargetKey) -> (u32, bool) {
    let hash = tables.hash_source(&key.source);
    if let Some(position) = find_source(tables, hash, &key.source) {
        return (position, false);
    }
    let position = admit_source(tables, totals, hash, key);
    (position & !NEWCOMER, position & NEWCOMER != 0)
}

/// Set beside [`NOBODY`] where a source was not seen lately.
const NEWCOMER: u32 = 1 << 31;

/// Where a source is counted that has no entry yet. A call of its own, as is all that is not done for most packets: the
/// verifier follows it once, and LLVM 22 cannot compile the whole of it as one function.
#[inline(never)]
fn admit_source<T: Tables>(tables: &mut T, totals: &mut Totals, hash: Hash, key: &TargetKey) -> u32 {
    let (admitted, is_newcomer) = admit(tables, totals, hash, key);
    if admitted && let Some(position) = enter_source(tables, hash, &key.source) {
        return position;
    }
    totals.sources_refused += 1;
    if is_newcomer { NOBODY | NEWCOMER } else { NOBODY }
}

#[inline(always)]
fn find_source<T: Tables>(tables: &mut T, hash: Hash, addr: &Addr) -> Option<u32> {
    let (slot, line) = (tables.slot(), hash.line(tables.source_lines()));
    let mut from = 0;
    for _ in 0..TRIES {
        let (position, next) = tables.source_line(line)?.find(slot, hash, from)?;
        if tables.source(position)?.addr.0 == addr.0 {
            return Some(position);
        }
        from = next;
    }
    None
}

/// Whether a source gets an entry, and whether it was not seen lately.
///
/// While there is room, everybody does. Then who was seen lately and now goes elsewhere, as a scanner does; and of those
/// who go on with the same target one packet in 256 lets them in, so that those who send much get there.
#[inline(always)]
fn admit<T: Tables>(tables: &mut T, totals: &Totals, hash: Hash, key: &TargetKey) -> (bool, bool) {
    let most = tables.most_sources();
    let Some(fill) = tables.fill() else { return (false, true) };
    let taken = fill.sources;
    if taken < most - most / 4 {
        return (true, true);
    }
    let target = tables.hash_target(NOBODY, &key.dest, key.service).mixed();
    let blocks = tables.blocks();
    let Some(guard) = tables.guard() else { return (false, true) };
    let epoch = guard.ask(blocks);
    let bits = hash.mixed();
    let block = (bits >> 40) as u32 & blocks;
    let Some(block) = tables.block(block) else { return (false, true) };
    let knows_source = block.show(epoch, bits);
    let knows_target = block.show(epoch, bits ^ target);
    let by_chance = (totals.seen ^ bits).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 56 == 0;
    let admitted = knows_source && (!knows_target || by_chance);
    // The last eighth is for those who were suspects already when an earlier slot ended: so that those who show twice in
    // a moment and never again do not keep out who goes on.
    let is_suspect = tables.is_suspect(bits);
    let room = if is_suspect { most } else { most - most / 8 };
    ((admitted || is_suspect) && taken < room, !knows_source)
}

#[inline(always)]
fn enter_source<T: Tables>(tables: &mut T, hash: Hash, addr: &Addr) -> Option<u32> {
    let (slot, line, most) = (tables.slot(), hash.line(tables.source_lines()), tables.most_sources());
    let position = tables.fill()?.sources + 1;
    if position > most || !tables.source_line(line)?.enter(slot, hash, position) {
        return None;
    }
    tables.fill()?.sources = position;
    let entry = tables.source(position)?;
    entry.addr = *addr;
    clear(&mut entry.counts);
    entry.last_target = 0;
    entry.targets = 0;
    entry.has_ports = 0;
    Some(position)
}

/// Counts a packet under its target. Returns whether it is the first by which the source probes it, on this CPU in this
/// slot.
#[inline(always)]
fn count_target<T: Tables>(tables: &mut T, key: &TargetKey, seen: &Seen, places: Places) -> bool {
    let (position, is_lumped) = (places.target & !LUMPED, places.target & LUMPED != 0);
    let service = if is_lumped { Service::LUMP } else { key.service };
    let mut probes = false;
    if let Some(target) = tables.target(position) {
        probes = target.counts.count(service, seen.verdict, seen.flags, seen.bytes, seen.completed);
        target.counts.newcomers += u32::from(places.is_newcomer);
    }
    if !is_lumped {
        return probes;
    }
    places.source != NOBODY
        && seen.verdict.is_scan_evidence()
        && keep_port(tables, places.source, key.service, seen)
}

/// Set beside the position of what is counted for a destination alone.
const LUMPED: u32 = 1 << 31;

/// Where a target is counted that has no entry yet.
#[inline(never)]
fn admit_target<T: Tables>(tables: &mut T, totals: &mut Totals, source: u32, key: &TargetKey) -> u32 {
    if let Some(position) = enter_target(tables, source, &key.dest, key.service) {
        return position;
    }
    totals.targets_refused += 1;
    if let Some(position) = look_up_target(tables, NOBODY, &key.dest, Service::LUMP) {
        return position | LUMPED;
    }
    if let Some(position) = enter_target(tables, NOBODY, &key.dest, Service::LUMP) {
        return position | LUMPED;
    }
    totals.targets_lost += 1;
    ELSEWHERE | LUMPED
}

/// Keeps the port of a probe that found no room. Returns whether it was not known.
#[inline(never)]
fn keep_port<T: Tables>(tables: &mut T, source: u32, service: Service, seen: &Seen) -> bool {
    let hash = tables.port_hash();
    let Some((proto, port)) = service.port() else { return false };
    let Some(entry) = tables.source(source) else { return false };
    if entry.has_ports == 0 {
        entry.has_ports = 1;
        clear(&mut entry.ports);
    }
    let ports = entry.ports.of_mut(proto);
    ports.techniques = ports.techniques.union(Techniques::of(seen.verdict, seen.flags));
    ports.insert(hash, port)
}

/// Where a target of a source at a position is counted.
#[inline(always)]
fn find_target<T: Tables>(tables: &mut T, source: u32, key: &TargetKey) -> Option<u32> {
    // Most packets go where the one before went.
    let last = tables.source(source)?.last_target;
    if last != 0 && tables.target(last).is_some_and(|target| target.is_of(source, &key.dest, key.service)) {
        return Some(last);
    }
    let position = look_up_target(tables, source, &key.dest, key.service)?;
    tables.source(source)?.last_target = position;
    Some(position)
}

/// Position of a target of a source at a position.
#[inline(always)]
pub fn look_up_target<T: Tables>(tables: &mut T, source: u32, dest: &Addr, service: Service) -> Option<u32> {
    let (slot, hash) = (tables.slot(), tables.hash_target(source, dest, service));
    let line = hash.line(tables.target_lines());
    let mut from = 0;
    for _ in 0..TRIES {
        let (position, next) = tables.target_line(line)?.find(slot, hash, from)?;
        if tables.target(position)?.is_of(source, dest, service) {
            return Some(position);
        }
        from = next;
    }
    None
}

#[inline(always)]
fn enter_target<T: Tables>(tables: &mut T, source: u32, dest: &Addr, service: Service) -> Option<u32> {
    let (slot, hash) = (tables.slot(), tables.hash_target(source, dest, service));
    let position = tables.fill()?.targets + 1;
    let own = tables.source(source)?.targets;
    let most = limit(tables.most_targets(), source, own, service);
    let line = hash.line(tables.target_lines());
    if position > most || !tables.target_line(line)?.enter(slot, hash, position) {
        return None;
    }
    tables.fill()?.targets = position;
    let target = tables.target(position)?;
    target.source = source;
    target.service = service;
    target.dest = *dest;
    clear(&mut target.counts);
    let entry = tables.source(source)?;
    entry.targets = own + 1;
    entry.last_target = position;
    Some(position)
}

/// Targets of a source beyond which it gets no more while room is scarce: by then it is a scan.
const MANY_TARGETS: u32 = 256;

/// How full the table of targets may be for one more entry. What matters more has more room: nobody's targets least,
/// then those of sources that have many, then all others, and sums by destination most.
#[inline(always)]
const fn limit(room: u32, source: u32, own: u32, service: Service) -> u32 {
    let sixteenths = if service.is_lump() {
        16
    } else if source == NOBODY {
        8
    } else if own >= MANY_TARGETS {
        12
    } else {
        15
    };
    room - room / 16 * (16 - sixteenths)
}

#[cfg(test)]
mod tests;
