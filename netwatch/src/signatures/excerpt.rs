//! What a match shows of the bytes that it was found in.

use core::fmt::{self, Display, Formatter, Write as _};
use core::ops::Range;

use super::limits::EXCERPT_BYTES;

/// The matched bytes with some around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The bytes, as they were sent. Who attacks has chosen them: [`Display`] is what may be shown.
    pub bytes: Vec<u8>,
    /// How many bytes of the flow lie before them.
    pub offset: usize,
    /// Which of them matched.
    pub matched: Range<usize>,
}

impl Excerpt {
    /// At most [`EXCERPT_BYTES`] of `bytes`, with `found` in the middle; its beginning, where it is longer. Nothing is
    /// shown of what lies outside of `known`.
    #[must_use]
    pub fn of(bytes: &[u8], found: &Range<usize>, known: &Range<usize>) -> Self {
        let len = found.len().min(EXCERPT_BYTES);
        let around = (EXCERPT_BYTES - len) / 2;
        let begin = found.start.saturating_sub(around).max(known.start.min(found.start));
        let end = (begin + EXCERPT_BYTES).min(known.end).min(bytes.len()).max(begin);
        let matched = found.start - begin..(found.end.min(end)).max(found.start) - begin;
        Self { bytes: bytes.get(begin..end).unwrap_or_default().to_vec(), offset: begin, matched }
    }
}

/// Printable ASCII as it is, all else as `\r`, `\n`, `\t`, `\\` or `\x1b`: nothing that a terminal would obey.
impl Display for Excerpt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for &byte in &self.bytes {
            match byte {
                b'\r' => f.write_str("\\r")?,
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b'\\' => f.write_str("\\\\")?,
                b' '..=b'~' => f.write_char(byte.into())?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_is_in_the_middle_and_the_excerpt_is_bounded() {
        let bytes: Vec<u8> = (0..=255).collect();
        let all = 0..bytes.len();
        let check = |found: Range<usize>, known: &Range<usize>| {
            let excerpt = Excerpt::of(&bytes, &found, known);
            assert!(excerpt.bytes.len() <= EXCERPT_BYTES && excerpt.matched.end <= excerpt.bytes.len());
            let first = excerpt.offset + excerpt.matched.start;
            assert_eq!(first, found.start);
            assert_eq!(excerpt.bytes, bytes[excerpt.offset..excerpt.offset + excerpt.bytes.len()]);
            (excerpt.offset, excerpt.bytes.len(), excerpt.matched)
        };
        assert_eq!(check(100..104, &all), (70, 64, 30..34));
        assert_eq!(check(2..4, &all), (0, 64, 2..4));
        assert_eq!(check(250..256, &all), (221, 35, 29..35));
        assert_eq!(check(10..200, &all), (10, 64, 0..64));
        assert_eq!(check(100..104, &(98..106)), (98, 8, 2..6));
    }

    #[test]
    fn nothing_is_shown_that_a_terminal_obeys() {
        let bytes = b"a\x1b[2J\\\r\n\t\0\xff~";
        let excerpt = Excerpt::of(bytes, &(0..1), &(0..bytes.len()));
        assert_eq!(excerpt.to_string(), r"a\x1b[2J\\\r\n\t\x00\xff~");
    }
}
