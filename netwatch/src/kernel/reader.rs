//! Look-ups in tables that are being counted in.

use std::sync::Arc;

use netwatch_common::{Addr, ListedCounts, ListedKey, Ports, SourceCounts, TargetCounts, TargetKey};

use super::feeds::ListedTables;
use super::tables::Regions;

/// Reads single entries of the tables, from any thread, while programs count in them and while [`Watch`] drains
/// them.
///
/// A slot is named by its number: what is read under a number that is not [`Watch::slot`] any more may be partly drained,
/// and is nothing as soon as the next slot but one has begun.
///
/// [`Watch`]: super::Watch
/// [`Watch::slot`]: super::Watch::slot
#[derive(Clone)]
pub struct Reader {
    regions: Arc<Regions>,
    listed: Arc<ListedTables>,
    sources: Vec<SourceCounts>,
    targets: Vec<TargetCounts>,
}

impl Reader {
    pub(super) const fn new(regions: Arc<Regions>, listed: Arc<ListedTables>) -> Self {
        Self { regions, listed, sources: Vec::new(), targets: Vec::new() }
    }

    /// What the CPUs have counted of a source so far; `source` is as it is accounted
    /// ([`Settings::account`](netwatch_common::Settings::account)). `None` where none has an entry, because there is no
    /// room for instance.
    pub fn source(&mut self, slot: u32, source: Addr) -> Option<&[SourceCounts]> {
        self.regions.source(slot, source, &mut self.sources);
        (!self.sources.is_empty()).then_some(&self.sources)
    }

    /// The ports that a source probed for which there was no room among the targets; `None` where there are none.
    #[must_use]
    pub fn ports(&self, slot: u32, source: Addr) -> Option<Ports> {
        self.regions.ports(slot, source)
    }

    /// What the CPUs have counted of a target so far; `None` likewise.
    pub fn target(&mut self, slot: u32, target: &TargetKey) -> Option<&[TargetCounts]> {
        self.regions.target(slot, target, &mut self.targets);
        (!self.targets.is_empty()).then_some(&self.targets)
    }
    /// What the CPUs have counted of a listed address and another so far; `None` where there is no entry, or the kernel
    /// does not tell. Costs a system call.
    #[must_use]
    pub fn listed(&self, slot: u32, key: &ListedKey) -> Option<ListedCounts> {
        self.listed.get(slot, key).ok().flatten()
    }
}
