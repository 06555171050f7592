//! What a feed's file holds: its entries, what it says about them, and what of it is not understood.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::document;
use super::format::{self, Form, Item, Range};
use super::limits::{
    BAD_SHOWN, COMMENT_BYTES_MAX, COMMENT_CHARS, COMMENTS_SHARED, DOCUMENT_BYTES_MAX, ENTRIES_MAX, NARROW4,
    NARROW6,
};
use super::set::{Entry, Set, Sorted, Width};

/// A feed's file, read.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Its entries.
    pub set: Set,
    /// What is said about them.
    comments: Comments,
    /// How many lines were what.
    pub counts: Counts,
    /// The first lines that are not understood: their numbers, and what is wrong.
    pub bad: Vec<(u32, String)>,
    /// The first entries that are too wide, likewise.
    pub wide: Vec<(u32, String)>,
    /// Whether the numbers are those of items of a document, and not of lines.
    pub is_document: bool,
}

/// How many lines were what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines, or items of a document.
    pub lines: u64,
    /// Those with addresses, by how they are written.
    pub forms: BTreeMap<Form, u64>,
    /// Those with something else that is understood: comments, domains, what the feed says about itself.
    pub other: u64,
    /// Those that are not understood.
    pub bad: u64,
    /// Prefixes written with an address behind their first one.
    pub masked: u64,
    /// Prefixes left out because they are too wide.
    pub wide: u64,
    /// Prefixes that were there before.
    pub duplicates: u64,
}

impl Counts {
    /// Lines with addresses.
    #[must_use]
    pub fn with_addresses(&self) -> u64 {
        self.forms.values().sum()
    }
}

impl Contents {
    /// Reads a file. An error says, for people, why nothing of it can be used.
    ///
    /// # Errors
    ///
    /// It is no text, or has more than may be.
    pub fn read(bytes: &[u8], allow_wide: bool, now: Timestamp) -> Result<Self, String> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err("is UTF-16 text; write it as UTF-8".into());
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = Reader { allow_wide, ..Reader::default() };
        if let Some(value) = document(bytes)? {
            reader.contents.is_document = true;
            document::read(&value, now, &mut |number, item| reader.item(number, item));
        } else {
            let mut is_first = true;
            // What ends with an end of line has no line behind it.
            let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
                let line = String::from_utf8_lossy(line);
                let item = format::line(&line, is_first);
                is_first &= matches!(item, Ok(Item::Blank));
                reader.item(number, item);
            }
        }
        reader.finish()
    }

    /// What is said about an entry.
    #[must_use]
    pub fn comment(&self, number: u32) -> Option<&str> {
        self.comments.get(number)
    }

    /// What numbers of lines are called.
    #[must_use]
    pub const fn place(&self) -> &'static str {
        if self.is_document { "item " } else { "" }
    }
}

/// A file that is one document of JSON, and not one object in each line.
fn document(bytes: &[u8]) -> Result<Option<Value>, String> {
    let text = bytes.trim_ascii();
    let is_list = text.starts_with(b"[");
    if !is_list && !text.starts_with(b"{") {
        return Ok(None);
    }
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Addresses of IPv6 are in brackets where they have a port.
    if first.len() < text.len() && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok()
        || is_list && !is_json_list(text)
    {
        return Ok(None);
    }
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(format!(
            "is a document of more than {} MiB; write an entry in each line",
            DOCUMENT_BYTES_MAX >> 20
        ));
    }
    let read = serde_json::from_slice(text);
    // An object that is alone in its file is a line, too.
    let is_line = |value: &Value| {
        value
            .as_object()
            .is_some_and(|object| object.values().all(|value| !value.is_array() && !value.is_object()))
    };
    match read {
        Ok(value) if is_line(&value) => Ok(None),
        Ok(value) => Ok(Some(value)),
        // The lines say better what is wrong with them.
        Err(_) if !is_list && first.trim_ascii().ends_with(b"}") => Ok(None),
        Err(error) => Err(format!("line {}: is no JSON: {}", error.line(), format::wrong(&error))),
    }
}

fn is_json_list(text: &[u8]) -> bool {
    let behind = text.get(1..).unwrap_or_default().trim_ascii_start();
    behind.first().is_none_or(|byte| matches!(byte, b'{' | b'[' | b'"' | b']'))
}

/// Collects what is read.
#[derive(Default)]
struct Reader {
    allow_wide: bool,
    contents: Contents,
    v4: Vec<Entry<u32>>,
    v6: Vec<Entry<u128>>,
    is_full: bool,
}

impl Reader {
    fn item(&mut self, number: u32, item: Result<Item<'_>, String>) {
        let counts = &mut self.contents.counts;
        counts.lines = number.into();
        match item {
            Ok(Item::Blank | Item::Header | Item::Other) => counts.other += 1,
            Ok(Item::Range(range, form, comment)) => {
                *counts.forms.entry(form).or_default() += 1;
                counts.masked += u64::from(range.is_masked);
                let comment = self.contents.comments.add(&comment);
                self.range(range, number, comment);
            }
            Err(wrong) => {
                counts.bad += 1;
                note(&mut self.contents.bad, number, wrong);
            }
        }
    }

    fn range(&mut self, range: Range, line: u32, comment: u32) {
        let entries = self.v4.len() + self.v6.len();
        if entries >= ENTRIES_MAX {
            self.is_full = true;
            return;
        }
        match (range.first, range.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                for (first, bits) in prefixes(first.to_bits(), last.to_bits()) {
                    if bits < NARROW4 && !self.allow_wide {
                        self.too_wide(first.addr(), bits, line);
                    } else {
                        self.v4.push(Entry::new(first, bits, line, comment));
                    }
                }
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                for (first, bits) in prefixes(first.to_bits(), last.to_bits()) {
                    if bits < NARROW6 && !self.allow_wide {
                        self.too_wide(first.addr(), bits, line);
                    } else {
                        self.v6.push(Entry::new(first, bits, line, comment));
                    }
                }
            }
            _ => {}
        }
    }

    fn too_wide(&mut self, first: IpAddr, bits: u8, line: u32) {
        self.contents.counts.wide += 1;
        note(&mut self.contents.wide, line, format!("{first}/{bits}"));
    }

    fn finish(self) -> Result<Contents, String> {
        if self.is_full {
            return Err(format!("has more than {ENTRIES_MAX} entries"));
        }
        let mut contents = self.contents;
        let (v4, gone4) = Sorted::new(self.v4);
        let (v6, gone6) = Sorted::new(self.v6);
        contents.set = Set { v4, v6 };
        contents.counts.duplicates = (gone4 + gone6) as u64;
        contents.comments.finish();
        Ok(contents)
    }
}

fn note(list: &mut Vec<(u32, String)>, line: u32, says: String) {
    if list.len() < BAD_SHOWN {
        list.push((line, says));
    }
}

/// The fewest prefixes that hold all addresses from one to another, and no other.
fn prefixes<W: Width>(first: W, last: W) -> impl Iterator<Item = (W, u8)> {
    let last = last.number();
    let mut next = Some(first.number());
    std::iter::from_fn(move || {
        let first = next.filter(|first| *first <= last)?;
        // As wide as the first address can be the beginning of, and not beyond the last.
        let mut bits = W::BITS;
        while bits > 0 && first & W::host_mask(bits - 1) == 0 && first | W::host_mask(bits - 1) <= last {
            bits -= 1;
        }
        next = (first | W::host_mask(bits)).checked_add(1);
        Some((W::of(first), bits))
    })
}

/// What lines say about their addresses: each text once, as long as there are not too many.
#[derive(Clone, Debug, Default)]
struct Comments {
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
    known: HashMap<Box<str>, u32>,
}

impl Comments {
    /// The number of a text; 0 where there is none, or no room for it.
    fn add(&mut self, comment: &str) -> u32 {
        let comment = harmless(comment);
        if comment.is_empty() || self.text.len() + comment.len() > COMMENT_BYTES_MAX {
            return 0;
        }
        if let Some(number) = self.known.get(&*comment) {
            return *number;
        }
        self.text.push_str(&comment);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        let number = u32::try_from(self.ends.len()).unwrap_or(0);
        if self.known.len() < COMMENTS_SHARED {
            self.known.insert(comment.into(), number);
        }
        number
    }

    fn get(&self, number: u32) -> Option<&str> {
        let index = (number as usize).checked_sub(1)?;
        let end = *self.ends.get(index)? as usize;
        let start =
            index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.text.get(start..end)
    }

    fn finish(&mut self) {
        self.known = HashMap::new();
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// A text that is not too long, without anything that a terminal would obey or that turns writing around.
fn harmless(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.len() <= COMMENT_CHARS && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.into();
    }
    let is_hidden = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(|letter| !is_hidden(*letter)).take(COMMENT_CHARS).collect::<String>().into()
}

#[cfg(test)]
mod tests;
