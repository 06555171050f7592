//! Every bound that kernel and host share, by name.

/// VLAN tags walked before a frame is called malformed: one 802.1Q tag inside one service tag.
pub const VLAN_TAGS: usize = 2;

/// IPv6 extension headers walked before a packet is called malformed.
pub const EXTENSION_HEADERS: usize = 8;

/// Last offset, in bytes from the start of the frame, at which a header is looked for.
///
/// The verifier wants a bound on every offset it cannot compute. Headers deeper than this do not occur in
/// ordinary traffic even with jumbo frames; a packet that has them is malformed with a reason of its own.
pub const HEADER_OFFSET: usize = 8 * 1024 - 1;

/// Most bytes of a packet that a record of the ring of samples holds.
pub const SAMPLE_BYTES: u32 = 16 * 1024;

/// Most bytes of a packet that are looked into, from its link header on.
pub const INSPECTED_BYTES: u32 = 2 * 1024;
