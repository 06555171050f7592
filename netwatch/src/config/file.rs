//! The configuration file: TOML in, a layer of settings or all that is wrong with it out.

pub(super) mod evidence;
mod feeds;
pub(super) mod history;
pub(super) mod outputs;
pub(super) mod rules;
pub(super) mod signatures;
pub(super) mod web;

use core::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::layer::{AllowEntry, Layer, Origin, Said};
use super::{ALLOW_MAX, INTERFACES_MAX, IPV6_PREFIX, LOCAL_MAX, NOTIFICATIONS, value};
use crate::analysis::RuleId;
use crate::document::{self, Key, Reader, Value, quantity, text, whole};
use crate::{guide, units};

/// Keys at the root.
pub(super) const KEYS: [&str; 21] = [
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
    "state_dir",
    "rules",
    "signatures",
    "evidence",
    "web",
    "history",
    "outputs",
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
    let text = document::load(path).map_err(|wrong| vec![format!("{name}: {wrong}")])?;
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
    document::parse(name, text, Reader::root)
}

impl Reader {
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
                "state_dir" => layer.state_dir = self.one(key, value, |value| Ok(text(value)?.into())),
                "rules" => self.rules(&mut layer, key, value),
                "signatures" => layer.signatures = self.signature_settings(value),
                "evidence" => layer.evidence = self.evidence_settings(value),
                "web" => layer.web = self.web_settings(value),
                "history" => layer.history = self.history_settings(value),
                "outputs" => layer.outputs = self.outputs(key, value),
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

    /// Reads one value, and notes who said it.
    fn one<T>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Said<T>> {
        let value = self.value(key, value, read)?;
        Some(Said { value, origin: self.origin(key.span()) })
    }

    /// Reads a list of strings, and notes who said it.
    fn list<T: PartialEq>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        max: usize,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Said<Vec<T>>> {
        let value = self.strings(key, value, max, read)?;
        Some(Said { value, origin: self.origin(key.span()) })
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let (line, column) = self.place(span.start);
        Origin::File(self.path.clone(), line, column)
    }
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
