//! Files of signatures: TOML in, signatures or all that is wrong with them out. docs/signatures.md describes them.

use std::path::Path;

use netwatch_common::Proto;
use toml::de::{DeTable, DeValue};

use super::limits;
use super::pattern::{Pattern, Place};
use super::ports::Ports;
use super::signature::{Scope, Sender, Signature, Written};
use crate::analysis::Severity;
use crate::document::{self, Key, Reader, Value, boolean, kind, text, whole};

/// Keys of a signature.
pub const KEYS: [&str; 15] = [
    "id",
    "name",
    "proto",
    "ports",
    "from",
    "text",
    "hex",
    "regex",
    "all",
    "nocase",
    "offset",
    "depth",
    "severity",
    "reference",
    "attack_id",
];
/// A key of a signature that is for those who read the file.
pub const DESCRIPTION: &str = "description";
/// Keys of a pattern among several.
pub const PATTERN_KEYS: [&str; 6] = ["text", "hex", "regex", "nocase", "offset", "depth"];

/// Reads a file; what is wrong comes as one sentence each, beginning with `FILE:LINE:COLUMN:`.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Signature>, Vec<String>> {
    let name = path.display().to_string();
    let text = document::load(path).map_err(|wrong| vec![format!("{name}: {wrong}")])?;
    parse(&name, &text)
}

/// Reads the text of a file called `name`.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &str, text: &str) -> Result<Vec<Signature>, Vec<String>> {
    document::parse(name, text, Reader::signatures)
}

/// What one table says.
#[derive(Default)]
struct Draft {
    id: Option<String>,
    name: Option<String>,
    severity: Option<Severity>,
    reference: Option<String>,
    attack_id: Option<String>,
    description: Option<String>,
    proto: Option<Option<Proto>>,
    ports: Option<Ports>,
    from: Option<Option<Sender>>,
    patterns: Option<Vec<Pattern>>,
}

impl Reader {
    fn signatures(&mut self, root: &DeTable<'_>) -> Vec<Signature> {
        let mut all: Vec<Signature> = Vec::new();
        for (key, value) in root.iter() {
            if key.get_ref() != "signature" {
                self.unknown(key, &["signature"]);
                continue;
            }
            let DeValue::Array(entries) = value.get_ref() else {
                self.wrong(value, "signature: write [[signature]], with two brackets".into());
                continue;
            };
            if entries.len() > limits::SIGNATURES {
                let (most, len) = (limits::SIGNATURES, entries.len());
                self.wrong(key, format!("signature: at most {most} of them, not {len}"));
                continue;
            }
            for entry in entries.iter() {
                let Some(signature) = self.signature(entry) else { continue };
                match all.iter().find(|other| other.id == signature.id) {
                    Some(other) => {
                        let says = taken(&signature.id, &other.written);
                        self.wrong(entry, format!("id: {says}"));
                    }
                    None => all.push(signature),
                }
            }
        }
        all
    }

    fn signature(&mut self, entry: &Value<'_>) -> Option<Signature> {
        let DeValue::Table(table) = entry.get_ref() else {
            self.wrong(entry, "signature: write [[signature]] and its keys below it".into());
            return None;
        };
        let mut draft = Draft::default();
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "id" => draft.id = self.value(key, value, |value| id(text(value)?)),
                "name" => draft.name = self.value(key, value, words),
                "severity" => draft.severity = self.value(key, value, severity),
                "reference" => draft.reference = self.value(key, value, |value| reference(&words(value)?)),
                "attack_id" => draft.attack_id = self.value(key, value, |value| attack_id(text(value)?)),
                DESCRIPTION => draft.description = self.value(key, value, words),
                "proto" => draft.proto = self.value(key, value, |value| proto(text(value)?)),
                "ports" => draft.ports = self.server_ports(key, value),
                "from" => draft.from = self.value(key, value, |value| sender(text(value)?)),
                name if name == "all" || PATTERN_KEYS.contains(&name) => {}
                _ => self.unknown(key, &[&KEYS[..], &[DESCRIPTION]].concat()),
            }
        }
        let lacks = |key: &str| !table.iter().any(|(found, _)| found.get_ref() == key);
        for (key, like) in [
            ("id", "\"web.log4shell\""),
            ("name", "\"what was found\""),
            ("severity", "\"high\""),
            ("reference", "\"CVE-2021-44228\", or an address on the web"),
            ("proto", "\"tcp\""),
            ("ports", "[\"80\", \"8000-8100\"] or \"any\""),
        ] {
            if lacks(key) {
                self.wrong(entry, format!("signature: lacks {key}, like {key} = {like}"));
            }
        }
        draft.patterns = self.patterns(entry, table);
        let (line, column) = self.place(entry.span().start);
        Some(Signature {
            id: draft.id?,
            name: draft.name?,
            scope: Scope {
                proto: draft.proto?,
                ports: draft.ports?,
                from: draft.from.unwrap_or(Some(Sender::Client)),
            },
            severity: draft.severity?,
            reference: draft.reference?,
            attack_id: draft.attack_id,
            description: draft.description,
            patterns: draft.patterns?,
            written: Written { file: self.path.clone(), line, column },
        })
    }

    /// The one pattern of a signature, or those below `all`.
    fn patterns(&mut self, entry: &Value<'_>, table: &DeTable<'_>) -> Option<Vec<Pattern>> {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == "all") else {
            return self.pattern(entry, table).map(|pattern| vec![pattern]);
        };
        for (other, _) in table.iter().filter(|(key, _)| PATTERN_KEYS.contains(&key.get_ref().as_ref())) {
            let name = other.get_ref();
            self.wrong(other, format!("{name}: beside all, it belongs into one of its tables"));
        }
        let DeValue::Array(items) = value.get_ref() else {
            let found = kind(value.get_ref());
            self.wrong(
                value,
                format!("all: must be a list like [{{ text = \"a\" }}, {{ hex = \"00\" }}], not {found}"),
            );
            return None;
        };
        if items.is_empty() || items.len() > limits::PATTERNS {
            let (most, len) = (limits::PATTERNS, items.len());
            self.wrong(value, format!("{}: must be 1 to {most} patterns, not {len}", key.get_ref()));
            return None;
        }
        let mut patterns = Vec::new();
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                let found = kind(item.get_ref());
                self.wrong(item, format!("all: must hold tables like {{ text = \"a\" }}, not {found}"));
                continue;
            };
            for (key, _) in table.iter().filter(|(key, _)| !PATTERN_KEYS.contains(&key.get_ref().as_ref())) {
                self.unknown(key, &PATTERN_KEYS);
            }
            patterns.extend(self.pattern(item, table));
        }
        (patterns.len() == items.len()).then_some(patterns)
    }

    /// Exactly one of `text`, `hex` and `regex`, and where it lies.
    fn pattern(&mut self, entry: &Value<'_>, table: &DeTable<'_>) -> Option<Pattern> {
        let (mut written, mut nocase, mut place) = (Vec::new(), None, Place::default());
        let mut is_good = true;
        for (key, value) in table.iter() {
            let bytes = |value: &DeValue<'_>, least| {
                let number = whole(value, (least, limits::BYTES_KEPT as u64))?;
                Ok(usize::try_from(number).unwrap_or(usize::MAX))
            };
            match key.get_ref().as_ref() {
                "text" | "hex" | "regex" => written.push((key, value)),
                "nocase" => nocase = self.value(key, value, boolean).map(|nocase| (key, nocase)),
                "offset" => match self.value(key, value, |value| bytes(value, 0)) {
                    Some(offset) => place.offset = offset,
                    None => is_good = false,
                },
                "depth" => match self.value(key, value, |value| bytes(value, 1)) {
                    Some(depth) => place.depth = Some(depth),
                    None => is_good = false,
                },
                _ => {}
            }
        }
        let &[(key, value)] = &written[..] else {
            let says = match written.len() {
                0 => "lacks a pattern: one of text, hex, regex or all",
                _ => {
                    "has more than one pattern; write all = [{ text = \"a\" }, { hex = \"00\" }] where all must be found"
                }
            };
            let last = written.iter().map(|(key, _)| key.span()).max_by_key(|span| span.start);
            let place = last.unwrap_or_else(|| entry.span());
            self.problem(place, format!("signature: {says}"));
            return None;
        };
        let form = key.get_ref().as_ref();
        if let Some((key, true)) = nocase
            && form != "text"
        {
            let instead = if form == "regex" { "; begin the pattern with (?i)" } else { "" };
            self.wrong(key, format!("nocase: is for text{instead}"));
            return None;
        }
        let pattern = self.value(key, value, |value| {
            let source = text(value)?;
            match form {
                "text" => Pattern::text(source, nocase.is_some_and(|(_, nocase)| nocase), place),
                "hex" => Pattern::hex(source, place),
                _ => Pattern::regex(source, place),
            }
        });
        pattern.filter(|_| is_good)
    }

    /// `["80", "8000-8100"]`, or `"any"`.
    fn server_ports(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Ports> {
        let DeValue::Array(items) = value.get_ref() else {
            return self.value(key, value, |value| match value.as_str() {
                Some("any") => Ok(Ports::any()),
                _ => Err("must be a list of ports like [\"80\", \"8000-8100\"], or \"any\"".into()),
            });
        };
        if items.is_empty() || items.len() > limits::SIGNATURES {
            self.wrong(value, format!("ports: must be 1 to {} of them, or \"any\"", limits::SIGNATURES));
            return None;
        }
        let mut ranges = Vec::new();
        for item in items.iter() {
            match ports(item.get_ref()) {
                Ok(range) => ranges.push(range),
                Err(wrong) => self.wrong(item, format!("ports: {wrong}")),
            }
        }
        (ranges.len() == items.len()).then(|| Ports::of(ranges))
    }
}

/// What to say of an identifier that another signature has.
pub(super) fn taken(id: &str, by: &Written) -> String {
    format!("{id:?} is that of {}:{} already", by.file, by.line)
}

/// A severity by its name.
pub(crate) fn severity(value: &DeValue<'_>) -> Result<Severity, String> {
    let name = text(value)?;
    Severity::ALL.into_iter().find(|severity| severity.name() == name).ok_or_else(|| {
        let names = Severity::ALL.map(Severity::name).join(", ");
        format!("{name:?} is unknown; give one of {names}")
    })
}

fn id(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins_well && text.len() <= limits::ID_BYTES && text.bytes().all(is_part) {
        Ok(text.to_owned())
    } else {
        let most = limits::ID_BYTES;
        Err(format!(
            "{text:?} must be up to {most} of a to z, 0 to 9, dots and hyphens, like \"web.log4shell\""
        ))
    }
}

/// A line for people.
fn words(value: &DeValue<'_>) -> Result<String, String> {
    let words = text(value)?;
    if words.trim().is_empty() {
        Err("is empty".into())
    } else if words.len() > limits::WORDS_BYTES {
        Err(format!("is longer than {} bytes", limits::WORDS_BYTES))
    } else if words.chars().any(char::is_control) {
        // It goes to terminals, and into lines of logs.
        Err("must be one line, without control characters".into())
    } else {
        Ok(words.to_owned())
    }
}

fn reference(words: &str) -> Result<String, String> {
    let is_known = ["https://", "http://", "CVE-", "RFC "].iter().any(|begin| words.starts_with(begin));
    if is_known && words.bytes().any(|byte| byte.is_ascii_digit() || byte == b'.') {
        Ok(words.to_owned())
    } else {
        Err(format!(
            "{words:?} must be an address beginning with https://, or like \"CVE-2021-44228\" or \"RFC 854\""
        ))
    }
}

fn attack_id(text: &str) -> Result<String, String> {
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_known = text.strip_prefix('T').is_some_and(|numbers| match numbers.split_once('.') {
        Some((technique, part)) => digits(technique, 4) && digits(part, 3),
        None => digits(numbers, 4),
    });
    if is_known {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no technique of MITRE ATT&CK; write it like \"T1190\" or \"T1110.001\""))
    }
}

fn proto(name: &str) -> Result<Option<Proto>, String> {
    match name {
        "tcp" => Ok(Some(Proto::Tcp)),
        "udp" => Ok(Some(Proto::Udp)),
        "any" => Ok(None),
        _ => Err(format!("{name:?} is unknown; give one of tcp, udp, any")),
    }
}

fn sender(name: &str) -> Result<Option<Sender>, String> {
    match name {
        "client" => Ok(Some(Sender::Client)),
        "server" => Ok(Some(Sender::Server)),
        "any" => Ok(None),
        _ => Err(format!("{name:?} is unknown; give one of client, server, any")),
    }
}

/// `"80"`, `"8000-8100"`, or the number 80.
fn ports(value: &DeValue<'_>) -> Result<(u16, u16), String> {
    if let DeValue::Integer(_) = value {
        let port = whole(value, (1, u16::MAX.into()))?;
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        return Ok((port, port));
    }
    let written = text(value)?;
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let port = |text: &str| Some(text).filter(is_number)?.parse::<u16>().ok().filter(|port| *port > 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(format!("{written:?} is no port; write \"80\", or \"8000-8100\" for all of them")),
    }
}
