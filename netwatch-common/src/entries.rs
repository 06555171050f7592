//! What the tables hold, and how it is handed over when its slot is over.

use bytemuck::{Pod, Zeroable};

use crate::ports::Ports;
use crate::target::{Service, TargetCounts, TargetKey};
use crate::wire::{Addr, SourceCounts};

/// Position of the entry of all sources that have none of their own.
pub const NOBODY: u32 = 0;
/// Position of the entry of all targets of which even the destination has none.
pub const ELSEWHERE: u32 = 0;

/// Entry of a source: what one CPU counted of it during one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Source {
    /// Who it is.
    pub addr: Addr,
    /// What it sent.
    pub counts: SourceCounts,
    /// Position of the target that it sent to last; 0 is none.
    pub(crate) last_target: u32,
    /// How many targets of its own it has.
    pub(crate) targets: u32,
    /// 1 once [`ports`](Self::ports) has any; what lies there before is of earlier slots.
    pub(crate) has_ports: u32,
    padding: u32,
    /// Ports of targets that found no room.
    pub(crate) ports: Ports,
    /// To a multiple of a cache line.
    spare: [u64; 6],
}

impl Source {
    /// Ports that it probed for which there was no room among the targets, if there are any.
    #[must_use]
    pub const fn ports(&self) -> Option<&Ports> {
        if self.has_ports == 0 { None } else { Some(&self.ports) }
    }
}

/// What one entry tells, once its slot is over.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// What a source sent, and the ports that it probed for which there was no room among the targets.
    Source(Addr, &'a SourceCounts, Option<&'a Ports>),
    /// What all sources sent that have no entry of their own.
    Nobody(&'a SourceCounts),
    /// What a source sent to a target.
    Target(TargetKey, &'a TargetCounts),
    /// What was sent to a service of a destination by those who have no entry; of [`Service::LUMP`], by those whose
    /// target has none.
    Service(Addr, Service, &'a TargetCounts),
    /// What was sent to all targets of which even the destination has no entry.
    Elsewhere(&'a TargetCounts),
}

/// Hands over the entries of one CPU's tables in a slot that is over. The first source is [`NOBODY`], and the first target
/// [`ELSEWHERE`].
pub fn entries<'a>(sources: &'a [Source], targets: &'a [Target], mut each: impl FnMut(Entry<'a>)) {
    let Some((nobody, named)) = sources.split_first() else { return };
    each(Entry::Nobody(&nobody.counts));
    for source in named {
        each(Entry::Source(source.addr, &source.counts, source.ports()));
    }
    let Some((elsewhere, targets)) = targets.split_first() else { return };
    each(Entry::Elsewhere(&elsewhere.counts));
    for Target { source, service, dest, counts } in targets {
        match named.get((*source as usize).wrapping_sub(1)) {
            Some(Source { addr, .. }) => {
                each(Entry::Target(TargetKey { source: *addr, dest: *dest, service: *service }, counts));
            }
            None => each(Entry::Service(*dest, *service, counts)),
        }
    }
}

/// Entry of a target: what one CPU counted of it during one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Target {
    /// Position of the source.
    pub source: u32,
    /// What of the destination.
    pub service: Service,
    /// The destination.
    pub dest: Addr,
    /// What went there.
    pub counts: TargetCounts,
}

impl Target {
    /// Whether it is what the source at a position sends to.
    #[must_use]
    #[inline(always)]
    pub fn is_of(&self, source: u32, dest: &Addr, service: Service) -> bool {
        self.source == source && self.service.number() == service.number() && self.dest.0 == dest.0
    }
}

/// How many entries one CPU's tables have in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Fill {
    /// Sources: they have the positions from 1 to this.
    pub sources: u32,
    /// Targets, likewise.
    pub targets: u32,
    padding: [u32; 14],
}

const _: () = assert!(size_of::<Source>() == 512 && size_of::<Target>() == 64 && size_of::<Fill>() == 64);
