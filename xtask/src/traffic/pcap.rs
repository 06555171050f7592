//! Captures in the old format of pcap, with times in microseconds.

use std::io::{self, Write};

/// What a reader must have room for, as the header announces it.
const SNAP_LENGTH: u32 = 262_144;
const LINKTYPE_ETHERNET: u32 = 1;

/// A capture in the making.
pub struct Pcap<W> {
    out: W,
    start_s: u64,
    bytes: u64,
}

impl<W: Write> Pcap<W> {
    /// Writes the header. `start_s` is what all times are counted from, in seconds since the epoch.
    ///
    /// # Errors
    /// The writer's.
    pub fn begin(mut out: W, start_s: u64) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(0xa1b2_c3d4_u32.to_le_bytes());
        header.extend([2_u16, 4].map(u16::to_le_bytes).as_flattened());
        header.extend([0, 0, SNAP_LENGTH, LINKTYPE_ETHERNET].map(u32::to_le_bytes).as_flattened());
        out.write_all(&header)?;
        Ok(Self { out, start_s, bytes: 24 })
    }

    /// Adds a whole frame, so many microseconds after the start.
    ///
    /// # Errors
    /// The writer's, and that the format has no room for the time or the length.
    pub fn packet(&mut self, at_us: u64, frame: &[u8]) -> io::Result<()> {
        let too_much = |_| io::Error::other("more than the format has room for");
        let seconds = u32::try_from(self.start_s + at_us / 1_000_000).map_err(too_much)?;
        let micros = u32::try_from(at_us % 1_000_000).map_err(too_much)?;
        let length = u32::try_from(frame.len()).map_err(too_much)?;
        self.out.write_all([seconds, micros, length, length].map(u32::to_le_bytes).as_flattened())?;
        self.out.write_all(frame)?;
        self.bytes += 16 + u64::from(length);
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes what is held back, and tells how many bytes it was in all.
    ///
    /// # Errors
    /// The writer's.
    pub fn end(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.bytes)
    }
}

/// A whole capture of frames with their times, in nanoseconds after `start_s`; sorted by them, and cut to microseconds.
///
/// # Errors
/// The format has no room for a time or a length.
pub fn file(start_s: u64, mut packets: Vec<(u64, Vec<u8>)>) -> io::Result<Vec<u8>> {
    packets.sort_by_key(|(at_ns, _)| *at_ns);
    let mut file = Vec::new();
    let mut pcap = Pcap::begin(&mut file, start_s)?;
    for (at_ns, frame) in packets {
        pcap.packet(at_ns / 1_000, &frame)?;
    }
    pcap.end()?;
    Ok(file)
}
