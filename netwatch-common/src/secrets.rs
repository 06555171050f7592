//! The secrets of hashes, as userspace holds them; programs read the numbers one at a time.

use crate::flow_table::FlowFactors;
use crate::index::{Hash, SourceFactors, TargetFactors};
use crate::ports::PortHash;
use crate::target::Service;
use crate::wire::Addr;

/// What hashes are made with: random numbers that nobody else knows, so that nobody can choose keys that collide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// For sources.
    pub sources: SourceFactors,
    /// For targets.
    pub targets: TargetFactors,
    /// For flows.
    pub flows: FlowFactors,
    /// For ports.
    pub ports: u64,
}

impl Secrets {
    /// How many random numbers it takes.
    pub const WORDS: usize = 24;

    /// From random numbers.
    #[must_use]
    pub const fn new(random: [u64; Self::WORDS]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, flows @ .., ports] = random;
        Self { sources: [a, b, c, d, e], targets: [f, g, h, i, j, k, l], flows, ports }
    }

    /// The hash of a source.
    #[must_use]
    pub fn of_source(&self, source: &Addr) -> Hash {
        Hash::of_source(|index| self.sources[index], source)
    }

    /// The hash of what a source at a position sends to.
    #[must_use]
    pub fn of_target(&self, source: u32, dest: &Addr, service: Service) -> Hash {
        Hash::of_target(|index| self.targets[index], source, dest, service)
    }

    /// The hash of ports.
    #[must_use]
    pub const fn of_ports(&self) -> PortHash {
        PortHash::new(self.ports)
    }
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets")
    }
}
