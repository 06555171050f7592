//! What generated packets look like: what a benchmark asks of the generator in `generate.rs`, which includes this
//! file as the benchmarks do.

use bytemuck::{Pod, Zeroable};

/// How a number goes from packet to packet: an index times a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Vary {
    /// What the index is multiplied by. One that is odd scatters, and gives every index a number of its own; a power of two
    /// leaves the lowest bits what they are.
    pub step: u64,
    /// Indices that there are; 0 is no bound.
    pub count: u32,
    /// One of the constants of this type.
    pub order: u32,
}

impl Vary {
    /// The index is always 0.
    pub const FIXED: u32 = 0;
    /// One index after the other, then from the beginning.
    pub const NEXT: u32 = 1;
    /// Any index.
    pub const RANDOM: u32 = 2;
}

/// What packets of one IP version look like. Addresses are words in network order, of which IPv4 uses the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Scene {
    /// Source addresses: added to the whole address over IPv4, to its first 64 bits over IPv6. Groups are left out by
    /// giving them another first bit; IPv6 stays in 2000::/3.
    pub source: Vary,
    /// Destination addresses, likewise, but that over IPv6 the last 64 bits vary.
    pub dest: Vary,
    /// Source ports.
    pub source_port: Vary,
    /// Destination ports.
    pub dest_port: Vary,
    /// What source addresses are added to.
    pub first_source: [u32; 4],
    /// What destination addresses are added to.
    pub first_dest: [u32; 4],
    /// What source ports are added to, in the machine's order.
    pub first_source_port: u32,
    /// What destination ports are added to.
    pub first_dest_port: u32,
    /// Packets from a source before the next one comes.
    pub visits: u32,
    /// Every so many packets there is one from the scanner, to one port after the other; 0 is never.
    pub scanner_every: u32,
    /// The scanner's address, over IPv4 only.
    pub scanner: u32,
    /// The sum of the IPv4 header's words, but for both addresses and the checksum, for the checksum.
    pub header_sum: u32,
}

/// Where the generator is, on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Progress {
    /// The next index of sources, destinations, source ports and destination ports.
    pub next: [u64; 4],
    /// The state of a generator of random numbers, which must not be 0.
    pub random: u64,
    /// What the source at hand is.
    pub source: u64,
    /// Packets that the source at hand has yet to send.
    pub visits: u32,
    /// Packets since the scanner's last.
    pub since_scanner: u32,
    /// The scanner's packets.
    pub scanned: u64,
}

const _: () = assert!(size_of::<Vary>() == 16 && size_of::<Scene>() == 120 && size_of::<Progress>() == 64);
