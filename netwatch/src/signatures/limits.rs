//! Every bound of signatures and of what is kept to match them.

/// Most signatures in all files together, those that come with netwatch included.
pub const SIGNATURES: usize = 1_000;
/// Most files of signatures.
pub const FILES: usize = 64;
/// Most patterns of one signature.
pub const PATTERNS: usize = 8;
/// Longest pattern as it is written, in bytes.
pub const PATTERN_BYTES: usize = 4_096;
/// Largest pattern when compiled, in bytes: repetitions of repetitions grow beyond any bound.
pub const COMPILED_BYTES: usize = 256 << 10;
/// Largest set of patterns when compiled, in bytes.
pub const SET_BYTES: usize = 64 << 20;
/// Most memory that matching one set takes beyond that, in bytes.
pub const CACHE_BYTES: usize = 8 << 20;
/// Most signatures of one scope that are looked for one by one; more of them are first looked for all at once.
pub const ONE_BY_ONE: usize = 8;
/// Longest identifier, in bytes.
pub const ID_BYTES: usize = 64;
/// Longest name, reference or description, in bytes.
pub const WORDS_BYTES: usize = 500;

/// Bytes of payload that are kept and looked at, of each direction of a TCP flow.
pub const BYTES_KEPT: usize = 2_048;
/// Directions of flows of which anything is kept: [`BYTES_KEPT`] each, so 8 MiB.
pub const DIRECTIONS: usize = 4_096;
/// Pieces without a gap in them of one direction.
pub const STRETCHES: usize = 16;
/// Bytes of payload that a match shows.
pub const EXCERPT_BYTES: usize = 64;
/// How far ahead of its first byte a flow may be, in bytes, before its numbers are those of another connection.
pub const AHEAD_BYTES: u32 = 1 << 20;
/// How long after its last packet a flow's ports can be another connection's, in nanoseconds: as long as
/// [`netwatch_common`] knows flows.
pub const IDLE_NS: u64 = 120_000_000_000;
/// How long after its last packet it is no loss to forget a flow, in nanoseconds: its first bytes have come by then.
pub const SETTLED_NS: u64 = 10_000_000_000;
