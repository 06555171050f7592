//! TOML documents that people write: all that is wrong with one is told at once, each with its line and column.
//!
//! A document is walked value by value and not through serde's derive, which stops at the first mistake.

use core::ops::Range;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::nearest;

/// Largest document, in bytes.
pub const BYTES_MAX: u64 = 1 << 20;
/// Most problems of one document that are told.
pub const PROBLEMS_MAX: usize = 50;

pub(crate) type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// The text of a file; what is wrong comes without its name.
pub(crate) fn load(path: &Path) -> Result<String, String> {
    // A pipe could be read once only, and a device without end.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("is not a regular file".into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("is larger than {} KiB", BYTES_MAX >> 10));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 text: look at byte {}", error.utf8_error().valid_up_to()))
}

/// Reads the text of a document called `name`; what is wrong comes as one sentence each, beginning with
/// `NAME:LINE:COLUMN:`.
pub(crate) fn parse<T: Default>(
    name: &str,
    text: &str,
    read: impl FnOnce(&mut Reader, &DeTable<'_>) -> T,
) -> Result<T, Vec<String>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(name, text);
    for error in &errors {
        // Messages of the parser can have several lines; the first says what is wrong.
        let says = error.message().lines().next().unwrap_or("is not TOML").to_owned();
        reader.problem(error.span().unwrap_or_default(), says);
    }
    // Of a file that could be read in part only, what is missing cannot be told from what is not there.
    let found = if errors.is_empty() { read(&mut reader, root.get_ref()) } else { T::default() };
    reader.finish(found)
}

/// Collects what is wrong while a document is read on.
pub(crate) struct Reader {
    pub(crate) path: Arc<str>,
    /// Where each line begins.
    lines: Vec<usize>,
    text: String,
    problems: Vec<(usize, usize, String)>,
}

impl Reader {
    fn new(name: &str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            path: name.into(),
            lines: core::iter::once(0).chain(ends).collect(),
            text: text.to_owned(),
            problems: Vec::new(),
        }
    }

    fn finish<T>(mut self, found: T) -> Result<T, Vec<String>> {
        if self.problems.is_empty() {
            return Ok(found);
        }
        self.problems.sort();
        let more = self.problems.len().saturating_sub(PROBLEMS_MAX);
        self.problems.truncate(PROBLEMS_MAX);
        let path = &self.path;
        let line = |(line, column, says)| format!("{path}:{line}:{column}: {says}");
        let mut lines: Vec<String> = self.problems.into_iter().map(line).collect();
        if more > 0 {
            lines.push(format!("{path}: {more} more"));
        }
        Err(lines)
    }

    /// Reads one value; where that goes wrong, notes why.
    pub(crate) fn value<T>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let read = read(value.get_ref());
        read.map_err(|wrong| self.wrong(value, format!("{}: {wrong}", key.get_ref()))).ok()
    }

    /// Reads a list of strings, without repetition.
    pub(crate) fn strings<T: PartialEq>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        max: usize,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let name = key.get_ref();
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(value, format!("{name}: must be a list of strings, not {}", kind(value.get_ref())));
            return None;
        };
        if items.len() > max {
            self.wrong(value, format!("{name}: at most {max} entries, not {}", items.len()));
            return None;
        }
        let mut list = Vec::new();
        for item in items.iter() {
            match text(item.get_ref()).and_then(&read) {
                Ok(item) if list.contains(&item) => {}
                Ok(item) => list.push(item),
                Err(wrong) => self.wrong(item, format!("{name}: {wrong}")),
            }
        }
        Some(list)
    }

    pub(crate) fn unknown(&mut self, key: &Key<'_>, known: &[&str]) {
        let name = key.get_ref();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", known.join(", ")),
        };
        self.wrong(key, format!("unknown key {name:?}; {hint}"));
    }

    pub(crate) fn wrong<T>(&mut self, place: &Spanned<T>, says: String) {
        self.problem(place.span(), says);
    }

    pub(crate) fn problem(&mut self, span: Range<usize>, says: String) {
        let (line, column) = self.place(span.start);
        self.problems.push((line, column, says));
    }

    /// Line and column of a byte, both from 1 on.
    pub(crate) fn place(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= byte).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(begin..byte).map_or(0, |before| before.chars().count()) + 1;
        (line, column)
    }
}

pub(crate) fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("must be a string in quotes, not {}", kind(value)))
}

/// A number with its unit in quotes, or a bare number.
pub(crate) fn quantity(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::Integer(number) => Ok(number.to_string()),
        other => text(other).map(str::to_owned),
    }
}

/// A number from the first to the last of a range.
pub(crate) fn whole(value: &DeValue<'_>, (least, most): (u64, u64)) -> Result<u64, String> {
    let number = match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    let wrong = || {
        let found = match value {
            DeValue::Integer(number) => number.to_string(),
            other => kind(other).to_owned(),
        };
        format!("must be a whole number from {least} to {most}, not {found}")
    };
    number.filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
}

pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

pub(crate) const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
