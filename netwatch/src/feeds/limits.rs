//! How much of a feed there may be.

/// Feeds, at most: an alert names all that list an address.
pub const FEEDS_MAX: usize = 32;
/// Bytes of a file.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of a file that is one document of JSON, of which the whole lies in memory several times over.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// Entries of a file.
pub const ENTRIES_MAX: usize = 4_000_000;
/// Entries of all feeds together: what a tree of the kernel's has levels for, were they all of IPv6.
pub const ENTRIES_IN_ALL: usize = 8_000_000;
/// Bits that a prefix of IPv4 must have at least, where wide ones are not allowed: one that is wider is mostly a mistake,
/// and lists a good part of the internet.
pub const NARROW4: u8 = 8;
/// Likewise of IPv6.
pub const NARROW6: u8 = 16;
/// Lines that are named where many are wrong.
pub const BAD_SHOWN: usize = 10;
/// Letters that are kept of what a line says about its addresses.
pub const COMMENT_CHARS: usize = 120;
/// Bytes of all that lines say; beyond, they say nothing.
pub const COMMENT_BYTES_MAX: usize = 32 << 20;
/// Texts of which there is one copy only, however many lines have them.
pub const COMMENTS_SHARED: usize = 65_536;
/// Of so many parts that a feed had, one must be left, or the old ones stay.
pub const SHRINK: usize = 10;
