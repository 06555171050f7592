//! Every bound on what is read from captures, by name.

/// Bytes of a frame that are handed out. Headers lie within, and a test run of the kernel's program takes no more than
/// a page.
pub const FRAME_MAX: usize = 3_072;

/// Captures that are read at once.
pub const FILES: usize = 64;

/// Bytes that are read ahead of each capture, unless one record is larger.
pub const BUFFER: usize = 256 << 10;

/// Largest record of a capture, in bytes, headers included. What says that it is larger is damage.
pub const RECORD_MAX: usize = 16 << 20;

/// Captured bytes of one packet of a pcap file beyond which its record is damage, where the file's own snap length is
/// no larger. Some writers capture a little more than the snap length that they state, so that alone is none.
pub const CAPTURED_MAX: u32 = 256 << 10;

/// Interfaces that are known of one section of a pcapng file. Packets of further ones are skipped and counted.
pub const INTERFACES: usize = 4_096;

/// Reasons to skip packets that are told apart. Further ones are counted as one.
pub const REASONS: usize = 32;

/// Largest window of zstd data, in bytes: what the zstd command itself takes unless told otherwise.
pub const ZSTD_WINDOW: u64 = 128 << 20;

/// Bytes that the windows of all captures together may take: of 64 captures each has the 8 MiB that zstd uses up to its
/// level 19.
pub const ZSTD_WINDOWS: u64 = 512 << 20;

/// Most nanoseconds before or after the epoch that a packet's time can be. All times of pcap files lie within (they
/// end in 2106), and whoever adds to a time has as much again before it overflows. A pcapng file can tell of times
/// beyond; such a packet has none.
pub const TIME_MAX_NS: i64 = 1 << 62;
