//! The configuration file: TOML in, a layer of settings or all that is wrong with it out.

mod feeds;
pub(super) mod rules;

use core::ops::Range;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layer::{AllowEntry, Layer, Origin, Said};
use super::{
    ALLOW_MAX, FILE_BYTES_MAX, INTERFACES_MAX, IPV6_PREFIX, LOCAL_MAX, NOTIFICATIONS, PROBLEMS_MAX, value,
};
use crate::analysis::RuleId;
use crate::nearest::nearest;
use crate::{guide, units};

/// Keys at the root.
pub(super) const KEYS: [&str; 15] = [
    "profile",
    "interfaces",
    "window",
    "slot",
    "map_memory",
    "xdp_mode",
    "mode",
    "ipv6_prefix",
    "format",
    "min_severity",
    "notifications_per_minute",
    "local",
    "rules",
    "allow",
    "feeds",
];
/// Keys of an entry of the allow-list.
pub(super) const ALLOW_KEYS: [&str; 4] = ["prefix", "rule", "until", "comment"];

/// Keys of a feed.
pub(super) const FEED_KEYS: [&str; 9] =
    ["name", "file", "severity", "tags", "expires", "until", "allow_wide", "allow_empty", "skip_bad_lines"];

/// Reads a file; what is wrong comes as one sentence each, beginning with `FILE:LINE:COLUMN:`.
pub(super) fn read(path: &Path) -> Result<Layer, Vec<String>> {
    let name = path.display().to_string();
    let text = load(path).map_err(|wrong| vec![format!("{name}: {wrong}")])?;
    let mut layer = parse(&name, &text)?;
    // Files of feeds lie beside the one that names them, wherever netwatch was started.
    let folder = path.parent().unwrap_or(Path::new(""));
    for feed in &mut layer.feeds {
        feed.value.file = folder.join(&feed.value.file);
    }
    Ok(layer)
}

/// Reads the text of a file called `name`.
pub(super) fn parse(name: &str, text: &str) -> Result<Layer, Vec<String>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(name, text);
    for error in &errors {
        // Messages of the parser can have several lines; the first says what is wrong.
        let says = error.message().lines().next().unwrap_or("is not TOML").to_owned();
        reader.problem(error.span().unwrap_or_default(), says);
    }
    // Of a file that could be read in part only, what is missing cannot be told from what is not there.
    let layer = if errors.is_empty() { reader.root(root.get_ref()) } else { Layer::default() };
    reader.finish(layer)
}

fn load(path: &Path) -> Result<String, String> {
    // A pipe could be read once only, and a device without end.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("is not a regular file".into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is larger than {} KiB", FILE_BYTES_MAX >> 10));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 text: look at byte {}", error.utf8_error().valid_up_to()))
}

type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Value<'i> = Spanned<DeValue<'i>>;

/// Collects what is wrong while it reads on.
struct Reader {
    path: Arc<str>,
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

    fn finish(mut self, layer: Layer) -> Result<Layer, Vec<String>> {
        if self.problems.is_empty() {
            return Ok(layer);
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

    fn root(&mut self, root: &DeTable<'_>) -> Layer {
        let mut layer = Layer::default();
        for (key, value) in root.iter() {
            match key.get_ref().as_ref() {
                "profile" => layer.profile = self.one(key, value, |value| value::choice(text(value)?)),
                "interfaces" => {
                    layer.interfaces = self.list(key, value, INTERFACES_MAX, value::interface);
                }
                "window" => layer.window = self.one(key, value, |value| units::duration(&quantity(value)?)),
                "slot" => layer.slot = self.one(key, value, |value| units::duration(&quantity(value)?)),
                "map_memory" => {
                    layer.map_memory = self.one(key, value, |value| value::map_memory(&quantity(value)?));
                }
                "xdp_mode" => layer.xdp_mode = self.one(key, value, |value| value::choice(text(value)?)),
                "mode" => layer.mode = self.one(key, value, |value| value::choice(text(value)?)),
                "ipv6_prefix" => {
                    layer.ipv6_prefix = self.one(key, value, |value| {
                        // At most 128.
                        whole(value, IPV6_PREFIX).map(|bits| u8::try_from(bits).unwrap_or(u8::MAX))
                    });
                }
                "format" => layer.format = self.one(key, value, |value| value::choice(text(value)?)),
                "min_severity" => {
                    layer.min_severity =
                        self.one(key, value, |value| value::choice(text(value)?).map(value::severity));
                }
                "notifications_per_minute" => {
                    layer.notifications_per_minute =
                        self.one(key, value, |value| whole(value, NOTIFICATIONS));
                }
                "local" => layer.local = self.list(key, value, LOCAL_MAX, value::network),
                "rules" => self.rules(&mut layer, key, value),
                "allow" => layer.allow = self.allow_list(key, value),
                "feeds" => layer.feeds = self.feeds(key, value),
                _ => self.unknown(key, &KEYS),
            }
        }
        layer
    }

    fn allow_list(&mut self, key: &Key<'_>, value: &Value<'_>) -> Vec<Said<AllowEntry>> {
        let DeValue::Array(entries) = value.get_ref() else {
            self.wrong(value, "allow: write [[allow]], with two brackets".into());
            return Vec::new();
        };
        if entries.len() > ALLOW_MAX {
            self.wrong(key, format!("allow: at most {ALLOW_MAX} entries, not {}", entries.len()));
            return Vec::new();
        }
        entries.iter().filter_map(|entry| self.allow(entry)).collect()
    }

    fn allow(&mut self, entry: &Value<'_>) -> Option<Said<AllowEntry>> {
        let DeValue::Table(table) = entry.get_ref() else {
            self.wrong(entry, "allow: write [[allow]] and prefix = \"198.51.100.0/24\" below it".into());
            return None;
        };
        let (mut network, mut rule, mut until, mut comment) = (None, None, None, None);
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "prefix" => network = self.one(key, value, |value| value::network(text(value)?)),
                "rule" => rule = self.one(key, value, |value| allowable(text(value)?)),
                "until" => {
                    until = self.one(key, value, |value| match value {
                        DeValue::Datetime(time) => value::until(&time.to_string()),
                        other => value::until(text(other)?),
                    });
                }
                "comment" => comment = self.one(key, value, |value| Ok(text(value)?.to_owned())),
                _ => self.unknown(key, &ALLOW_KEYS),
            }
        }
        if !table.iter().any(|(key, _)| key.get_ref() == "prefix") {
            self.wrong(entry, "allow: lacks a prefix, like prefix = \"198.51.100.0/24\"".into());
        }
        let value = AllowEntry {
            network: network?.value,
            rule: rule.map(|said| said.value),
            until: until.map(|said| said.value),
            comment: comment.map(|said| said.value),
        };
        Some(Said { value, origin: self.origin(entry.span()) })
    }

    /// Reads one value; where that goes wrong, notes why.
    fn one<T>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Said<T>> {
        match read(value.get_ref()) {
            Ok(read) => Some(Said { value: read, origin: self.origin(key.span()) }),
            Err(wrong) => {
                self.wrong(value, format!("{}: {wrong}", key.get_ref()));
                None
            }
        }
    }

    /// Reads a list of strings, without repetition.
    fn list<T: PartialEq>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        max: usize,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Said<Vec<T>>> {
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
        Some(Said { value: list, origin: self.origin(key.span()) })
    }

    fn unknown(&mut self, key: &Key<'_>, known: &[&str]) {
        let name = key.get_ref();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", known.join(", ")),
        };
        self.wrong(key, format!("unknown key {name:?}; {hint}"));
    }

    fn wrong<T>(&mut self, place: &Spanned<T>, says: String) {
        self.problem(place.span(), says);
    }

    fn problem(&mut self, span: Range<usize>, says: String) {
        let (line, column) = self.place(span.start);
        self.problems.push((line, column, says));
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let (line, column) = self.place(span.start);
        Origin::File(self.path.clone(), line, column)
    }

    /// Line and column of a byte, both from 1 on.
    fn place(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= byte).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(begin..byte).map_or(0, |before| before.chars().count()) + 1;
        (line, column)
    }
}

fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("must be a string in quotes, not {}", kind(value)))
}

/// A number with its unit in quotes, or a bare number.
fn quantity(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::Integer(number) => Ok(number.to_string()),
        other => text(other).map(str::to_owned),
    }
}

/// A number from the first to the last of a range.
fn whole(value: &DeValue<'_>, (least, most): (u64, u64)) -> Result<u64, String> {
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

/// A rule that the allow-list can name.
fn allowable(name: &str) -> Result<RuleId, String> {
    match guide::find(name)? {
        RuleId::Degraded => Err(format!(
            "{name} is about netwatch itself, whatever the prefix; write enabled = false below [rules.{name:?}]"
        )),
        rule => Ok(rule),
    }
}

fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

const fn kind(value: &DeValue<'_>) -> &'static str {
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
