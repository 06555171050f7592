//! The first bytes that one side of a TCP flow sends, put together from its packets.

use core::ops::Range;

use super::limits::{AHEAD_BYTES, BYTES_KEPT, STRETCHES};

/// The first bytes of one direction, as far as they have been seen.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Sequence number of the first byte of `bytes`.
    base: u32,
    bytes: Vec<u8>,
    /// Which of `bytes` are known: ascending, with gaps between them.
    known: Vec<Range<usize>>,
}

/// What became of a packet's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// They are in this stretch of known bytes now.
    To(Range<usize>),
    /// They were there before.
    Known,
    /// They lie behind the bytes that are kept.
    Beyond,
    /// They would make one stretch too many.
    Scattered,
}

impl Stream {
    /// Forgets everything and begins at a sequence number. Memory is kept.
    pub fn restart(&mut self, sequence: u32) {
        self.base = sequence;
        self.bytes.clear();
        self.known.clear();
    }

    /// Whether a packet with this number can be one of the same connection.
    #[must_use]
    pub fn is_near(&self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.base);
        ahead <= AHEAD_BYTES || self.before(sequence).is_some()
    }

    /// The bytes from the first one on; what is not known is 0.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds the bytes of a packet. Those that came first stay, whatever others claim the same place.
    pub fn add(&mut self, sequence: u32, bytes: &[u8]) -> Added {
        if let Some(before) = self.before(sequence) {
            self.begin_earlier(before);
        }
        let from = sequence.wrapping_sub(self.base) as usize;
        if from >= BYTES_KEPT {
            return Added::Beyond;
        }
        let wanted = from..BYTES_KEPT.min(from + bytes.len());
        if self.known.iter().any(|known| known.start <= wanted.start && wanted.end <= known.end) {
            return Added::Known;
        }
        let first = self.known.partition_point(|known| known.end < wanted.start);
        let last = self.known.partition_point(|known| known.start <= wanted.end);
        if first == last && self.known.len() == STRETCHES {
            return Added::Scattered;
        }
        if self.bytes.len() < wanted.end {
            self.bytes.resize(wanted.end, 0);
        }
        let touched = self.known.get(first..last).unwrap_or_default();
        let mut at = wanted.start;
        for known in touched.iter().cloned().chain(core::iter::once(wanted.end..wanted.end)) {
            let gap = at..known.start.max(at);
            let source = bytes.get(gap.start - wanted.start..gap.end - wanted.start);
            if let (Some(place), Some(source)) = (self.bytes.get_mut(gap), source) {
                place.copy_from_slice(source);
            }
            at = at.max(known.end);
        }
        let start = touched.first().map_or(wanted.start, |known| known.start.min(wanted.start));
        let end = touched.last().map_or(wanted.end, |known| known.end.max(wanted.end));
        self.known.splice(first..last, core::iter::once(start..end));
        Added::To(start..end)
    }

    /// How far before the first byte a number is, if that is little enough to have been overtaken.
    fn before(&self, sequence: u32) -> Option<usize> {
        let before = self.base.wrapping_sub(sequence) as usize;
        (1..=BYTES_KEPT).contains(&before).then_some(before)
    }

    /// Makes room for bytes before those that were thought to be the first.
    fn begin_earlier(&mut self, before: usize) {
        self.base = self.base.wrapping_sub(u32::try_from(before).unwrap_or(0));
        self.bytes.splice(0..0, core::iter::repeat_n(0, before));
        self.bytes.truncate(BYTES_KEPT);
        for known in &mut self.known {
            *known = known.start + before..BYTES_KEPT.min(known.end + before);
        }
        self.known.retain(|known| known.start < known.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &mut Stream, sequence: u32, bytes: &[u8], expect: &Added) {
        assert_eq!(&stream.add(sequence, bytes), expect);
    }

    fn begun(sequence: u32) -> Stream {
        let mut stream = Stream::default();
        stream.restart(sequence);
        stream
    }

    #[test]
    fn segments_come_together_in_any_order() {
        let mut stream = begun(u32::MAX - 1);
        check(&mut stream, u32::MAX - 1, b"abcd", &Added::To(0..4));
        check(&mut stream, 6, b"ij", &Added::To(8..10));
        assert_eq!(stream.bytes(), b"abcd\0\0\0\0ij");
        check(&mut stream, 2, b"efgh", &Added::To(0..10));
        check(&mut stream, 0, b"CDEF", &Added::Known);
        assert_eq!(stream.bytes(), b"abcdefghij");
    }

    #[test]
    fn the_first_bytes_of_a_place_win() {
        let mut stream = begun(0);
        check(&mut stream, 0, b"ab", &Added::To(0..2));
        check(&mut stream, 4, b"ef", &Added::To(4..6));
        check(&mut stream, 8, b"ij", &Added::To(8..10));
        check(&mut stream, 1, b"BCDEFGHIJK", &Added::To(0..11));
        assert_eq!(stream.bytes(), b"abCDefGHijK");
    }

    #[test]
    fn what_was_overtaken_moves_the_beginning() {
        let mut stream = begun(100);
        check(&mut stream, 100, b"def", &Added::To(0..3));
        check(&mut stream, 97, b"abc", &Added::To(0..6));
        check(&mut stream, 95, b"A", &Added::To(0..1));
        assert_eq!(stream.bytes(), b"A\0abcdef");
        assert!(stream.is_near(95 + AHEAD_BYTES) && !stream.is_near(96 + AHEAD_BYTES));
        let last = 95_u32.wrapping_sub(u32::try_from(BYTES_KEPT).unwrap());
        assert!(stream.is_near(last) && !stream.is_near(last.wrapping_sub(1)));
    }

    #[test]
    fn it_is_bounded() {
        let mut stream = begun(0);
        let kept = u32::try_from(BYTES_KEPT).unwrap();
        check(&mut stream, kept, b"x", &Added::Beyond);
        check(&mut stream, kept - 1, b"xyz", &Added::To(BYTES_KEPT - 1..BYTES_KEPT));
        assert_eq!(stream.bytes().len(), BYTES_KEPT);
        for stretch in 1..STRETCHES {
            let at = stretch * 4;
            check(&mut stream, u32::try_from(at).unwrap(), b"x", &Added::To(at..at + 1));
        }
        check(&mut stream, 1_000, b"x", &Added::Scattered);
        check(&mut stream, 5, b"x", &Added::To(4..6));
        // Of what is moved behind the end, nothing is left.
        check(&mut stream, 0_u32.wrapping_sub(kept), b"x", &Added::To(0..1));
        assert_eq!((stream.known.len(), &stream.known[0]), (1, &(0..1)));
    }
}
