//! One pattern: text, hexadecimal bytes or a regular expression, and where it has to lie.
//!
//! All three are compiled by [`regex`], whose time grows with the bytes and never with what they are.

use core::ops::Range;
use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

use super::limits;

/// A pattern that is compiled.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    place: Place,
}

/// Where in a flow a match has to lie, in bytes from its first byte of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: usize,
    /// Bytes from there on within which it ends; any number where there is none.
    pub depth: Option<usize>,
}

impl Pattern {
    /// Bytes as they are, in either case where `nocase` is set.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn text(text: &str, nocase: bool, place: Place) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty, which is found everywhere".into());
        }
        Self::compile(&regex::escape(text), nocase, place, Some(text.len()))
    }

    /// Pairs of hexadecimal digits, with or without spaces between them; `??` is any byte.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn hex(hex: &str, place: Place) -> Result<Self, String> {
        let mut source = String::new();
        let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_ascii_whitespace()).collect();
        for pair in digits.chunks(2) {
            let byte: String = pair.iter().collect();
            if byte == "??" {
                source.push_str("(?s:.)");
            } else if pair.len() == 2 && pair.iter().all(char::is_ascii_hexdigit) {
                let _ = write!(source, "\\x{byte}");
            } else {
                return Err(format!(
                    "{byte:?} is no byte; write two digits for each, or ??, like \"de ad ?? ef\""
                ));
            }
        }
        if digits.iter().all(|digit| *digit == '?') {
            return Err("names no byte, so it is found everywhere".into());
        }
        Self::compile(&source, false, place, Some(digits.len() / 2))
    }

    /// A regular expression over bytes, in the syntax of the crate `regex`; without Unicode, so `\w` is ASCII.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn regex(source: &str, place: Place) -> Result<Self, String> {
        if source.is_empty() {
            return Err("is empty, which is found everywhere".into());
        }
        let pattern = Self::compile(source, false, place, None)?;
        if pattern.regex.is_match(b"") {
            return Err("is found in nothing at all, so in every flow".into());
        }
        Ok(pattern)
    }

    /// Where in `bytes[from..]` it is found first. `bytes` begins with the flow's first byte of payload, but what
    /// comes before `from` is not known.
    #[must_use]
    pub fn find(&self, bytes: &[u8], from: usize) -> Option<Range<usize>> {
        let Place { offset, depth } = self.place;
        // Of what comes behind a gap, it is not certain where it lies.
        if from > 0 && self.place != Place::default() {
            return None;
        }
        let end = depth.map_or(bytes.len(), |depth| bytes.len().min(offset.saturating_add(depth)));
        let start = from.max(offset);
        if start > end {
            return None;
        }
        // With all bytes before it, `^` stays the flow's first byte.
        self.regex.find_at(bytes.get(..end)?, start).map(|found| found.range())
    }

    /// What it is compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        self.regex.as_str()
    }

    fn compile(source: &str, nocase: bool, place: Place, len: Option<usize>) -> Result<Self, String> {
        if source.len() > limits::PATTERN_BYTES {
            return Err(format!("is longer than {} bytes", limits::PATTERN_BYTES));
        }
        if let (Some(len), Some(depth)) = (len, place.depth)
            && len > depth
        {
            return Err(format!("is {len} bytes long, and never lies within a depth of {depth}"));
        }
        if place.offset + len.unwrap_or(1) > limits::BYTES_KEPT {
            return Err(format!("lies behind the first {} bytes, which are looked at", limits::BYTES_KEPT));
        }
        let source = if nocase { format!("(?i:{source})") } else { source.to_owned() };
        let compiled = RegexBuilder::new(&source)
            .unicode(false)
            .size_limit(limits::COMPILED_BYTES)
            .build()
            .map_err(|error| reason(&error))?;
        Ok(Self { regex: compiled, place })
    }
}

/// The line of an error that says what is wrong; the others draw the pattern and point at it.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!("takes more than {} KiB when compiled; repeat less", limits::COMPILED_BYTES >> 10)
        }
        other => {
            let text = other.to_string();
            let line = text.lines().find_map(|line| line.trim().strip_prefix("error: "));
            format!("is no regular expression: {}", line.unwrap_or(&text).trim())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hex: &str) -> Pattern {
        Pattern::hex(hex, Place::default()).unwrap()
    }

    #[test]
    fn text_is_found_as_it_is() {
        let dots = Pattern::text("a.b(", false, Place::default()).unwrap();
        assert_eq!(dots.find(b"axb( a.b(", 0), Some(5..9));
        assert_eq!(dots.find(b"A.B(", 0), None);
        let nocase = Pattern::text("a.b(", true, Place::default()).unwrap();
        assert_eq!(nocase.find(b"A.B(", 0), Some(0..4));
        // Not a letter of ASCII, so its bytes are compared.
        assert_eq!(Pattern::text("é", true, Place::default()).unwrap().find("é".as_bytes(), 0), Some(0..2));
    }

    #[test]
    fn hexadecimal_bytes_are_found_and_any_byte_is_any() {
        assert_eq!(hex("de ad ?? ef").find(b"\x00\xde\xad\n\xef", 0), Some(1..5));
        assert_eq!(hex("DEAD??EF").find(b"\xde\xad\xff\xef", 0), Some(0..4));
        assert_eq!(hex("5b 2a").find(b"[*", 0), Some(0..2));
        for (wrong, says) in [
            ("de a", "\"a\" is no byte"),
            ("dg", "\"dg\" is no byte"),
            ("?a", "\"?a\" is no byte"),
            ("??", "names no byte"),
            ("", "names no byte"),
        ] {
            let found = Pattern::hex(wrong, Place::default()).unwrap_err();
            assert!(found.contains(says), "{wrong}: {found}");
        }
    }

    #[test]
    fn regular_expressions_are_bounded() {
        for (wrong, says) in [
            ("a(", "is no regular expression: unclosed group"),
            ("a*", "is found in nothing at all"),
            ("(a{1000}){1000}", "takes more than 256 KiB"),
            (r"\pL", "is no regular expression: Unicode"),
            ("", "is empty"),
        ] {
            let found = Pattern::regex(wrong, Place::default()).unwrap_err();
            assert!(found.contains(says), "{wrong}: {found}");
        }
        let long = "a".repeat(limits::PATTERN_BYTES + 1);
        assert!(Pattern::text(&long, false, Place::default()).unwrap_err().contains("longer than"));
    }

    #[test]
    fn a_match_lies_within_offset_and_depth() {
        let at = |offset, depth| Pattern::text("ab", false, Place { offset, depth }).unwrap();
        assert_eq!(at(0, Some(2)).find(b"abab", 0), Some(0..2));
        assert_eq!(at(1, None).find(b"abab", 0), Some(2..4));
        assert_eq!(at(1, Some(2)).find(b"abab", 0), None);
        assert_eq!(at(1, Some(3)).find(b"abab", 0), Some(2..4));
        assert_eq!(at(9, None).find(b"abab", 0), None);
        assert!(Pattern::text("ab", false, Place { offset: 0, depth: Some(1) }).is_err());
        assert!(Pattern::text("ab", false, Place { offset: limits::BYTES_KEPT - 1, depth: None }).is_err());
    }

    #[test]
    fn behind_a_gap_nothing_is_the_first_byte() {
        let begins = Pattern::regex("^ab", Place::default()).unwrap();
        assert_eq!(begins.find(b"abab", 0), Some(0..2));
        assert_eq!(begins.find(b"\0\0ab", 2), None);
        let anywhere = Pattern::regex("ab", Place::default()).unwrap();
        assert_eq!(anywhere.find(b"\0\0ab", 2), Some(2..4));
        let placed = Pattern::text("ab", false, Place { offset: 2, depth: None }).unwrap();
        assert_eq!(placed.find(b"\0\0ab", 2), None);
        // A line can begin behind a gap, if it is seen to.
        let line = Pattern::regex("(?m)^ab", Place::default()).unwrap();
        assert_eq!((line.find(b"\0\0ab", 2), line.find(b"\0\0\nab", 2)), (None, Some(3..5)));
    }
}
