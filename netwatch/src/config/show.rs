//! The whole configuration as text, line by line with its origin; and what a reload changes in it.

use core::fmt::Display;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::Config;
use super::layer::{AllowEntry, Origin, Said};
use super::outputs::{OutputSettings, OutputTarget, UrlSource};
use super::signatures::SignatureSettings;
use crate::analysis::Severity;
use crate::analysis::expected::ServiceRange;
use crate::analysis::policy::LoginPorts;
use crate::analysis::rules::Rule;
use crate::feeds::FeedConfig;

/// Settings that are taken over while netwatch runs, and not only when it starts.
const LIVE: [&str; 8] =
    ["profile", "min_severity", "notifications_per_minute", "local", "rules", "signatures", "allow", "feeds"];
/// Tables of which there can be several.
const LISTS: [&str; 3] = ["allow", "feeds", "outputs"];

/// One setting in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The table it stands in: none, `rules."scan.vertical"`, `allow` or `feeds`.
    table: String,
    /// The lines `key = value`: one, or all of an entry of a list.
    lines: Vec<(&'static str, String)>,
    /// Who said it.
    origin: Origin,
}

/// What a reload means.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The configuration from now on.
    pub config: Config,
    /// What is different in it, one line each.
    pub applied: Vec<String>,
    /// Which settings in the file will only count after a restart.
    pub after_restart: Vec<String>,
}

impl Config {
    /// The configuration as TOML; each line says where its value comes from. Without `everything`, what nobody
    /// said is left out.
    #[must_use]
    pub fn toml(&self, everything: bool) -> String {
        let mut text = String::new();
        let mut table = "";
        for row in self.rows.iter().filter(|row| everything || row.origin.is_said()) {
            if LISTS.contains(&&*row.table) {
                let _ = writeln!(text, "\n[[{}]]", row.table);
            } else if row.table != table {
                let _ = writeln!(text, "\n[{}]", row.table);
            }
            table = &row.table;
            for (key, value) in &row.lines {
                let _ = writeln!(text, "{key} = {value}  # {}", comment(&row.origin));
            }
        }
        if text.is_empty() {
            text.push_str("# nothing but defaults, which --effective shows\n");
        }
        text
    }

    /// The file that a reload reads, by name.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        self.typed.0.config.as_ref().map(|path| path.display().to_string())
    }

    /// Reads the file again and combines it with what was typed.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the file.
    pub fn reload(&self) -> Result<Changes, String> {
        let mut new = Self::from_settings(&self.typed.0, &self.typed.1)?;
        // Slots that are gone cannot be looked at, and slots of another length cannot be cut to fit.
        for (new, old) in new.policy.rules.iter_mut().zip(&self.policy.rules) {
            new.window_ns = old.window_ns;
        }
        let applied = differences(self, &new, true);
        let after_restart = differences(self, &new, false);
        let old = by_key(&self.rows);
        let rows = new.rows.iter().map(|row| match old.get(&row.key()) {
            // What cannot be taken over stays different, and is said again at the next reload.
            Some(old) if !row.is_live() => (*old).clone(),
            _ => row.clone(),
        });
        let rows = rows.collect();
        let config = Self {
            min_severity: new.min_severity,
            policy: new.policy,
            signatures: SignatureSettings { set: new.signatures.set, ..self.signatures.clone() },
            allow: new.allow,
            feeds: new.feeds,
            rows,
            ..self.clone()
        };
        Ok(Changes { config, applied, after_restart })
    }
}

impl Row {
    fn is_live(&self) -> bool {
        let root = self.table.split('.').next().unwrap_or_default();
        self.lines.first().is_some_and(|(key, _)| match (root, *key) {
            ("evidence" | "web" | "history" | "outputs", _) => false,
            // Windows are those of the start, and the kernel is told once what it samples.
            (_, "window") | ("signatures", "enabled" | "rate") => false,
            (root, key) => LIVE.contains(&root) || LIVE.contains(&key),
        })
    }

    /// What makes it the same setting in two configurations.
    fn key(&self) -> String {
        match (&*self.table, &self.lines[..]) {
            ("", [(key, _), ..]) => (*key).to_owned(),
            (list, lines) if LISTS.contains(&list) => {
                let fields: Vec<_> = lines.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{list} {{ {} }}", fields.join(", "))
            }
            (table, [(key, _), ..]) => format!("{table}.{key}"),
            (table, []) => table.to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn key_and_value(&self) -> (String, String) {
        (self.key(), self.value().to_owned())
    }

    fn value(&self) -> &str {
        self.lines.first().map_or("", |(_, value)| value)
    }
}

/// What differs between two configurations, among the settings that are live or those that are not.
fn differences(old: &Config, new: &Config, live: bool) -> Vec<String> {
    let (old, new) = (by_key(&old.rows), by_key(&new.rows));
    let gone =
        old.iter().filter(|(key, _)| !new.contains_key(*key)).map(|(key, row)| (row, format!("{key}: gone")));
    let rest = new.iter().filter_map(|(key, row)| match old.get(key) {
        None => Some((row, format!("{key}: new"))),
        // Said once, and not again for each rule.
        Some(was) if (&was.origin, &row.origin) == (&Origin::RootWindow, &Origin::RootWindow) => None,
        Some(was) if was.value() != row.value() => {
            Some((row, format!("{key}: {} -> {}", was.value(), row.value())))
        }
        Some(_) => None,
    });
    gone.chain(rest).filter(|(row, _)| row.is_live() == live).map(|(_, said)| said).collect()
}

fn by_key(rows: &[Row]) -> BTreeMap<String, &Row> {
    rows.iter().map(|row| (row.key(), row)).collect()
}

pub(super) fn duration(key: &'static str, said: &Said<Duration>) -> Row {
    duration_of("", key, said)
}

pub(super) fn duration_of(table: &'static str, key: &'static str, said: &Said<Duration>) -> Row {
    in_table(table, key, quoted(&time(said.value)), said)
}

pub(super) fn number<T: Display>(key: &'static str, said: &Said<T>) -> Row {
    root(key, said.value.to_string(), said)
}

pub(super) fn size(key: &'static str, said: &Said<u64>) -> Row {
    size_of("", key, said)
}

pub(super) fn size_of(table: &'static str, key: &'static str, said: &Said<u64>) -> Row {
    in_table(table, key, quoted(&bytes(said.value)), said)
}

/// A size as it can be written.
fn bytes(bytes: u64) -> String {
    match bytes {
        0 => "0".into(),
        bytes if bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        bytes => bytes.to_string(),
    }
}

pub(super) fn path(key: &'static str, said: &Said<PathBuf>) -> Row {
    path_of("", key, said)
}

pub(super) fn path_of(table: &'static str, key: &'static str, said: &Said<PathBuf>) -> Row {
    in_table(table, key, quoted(&said.value.display().to_string()), said)
}

pub(super) fn text_of<T>(
    table: &'static str,
    key: &'static str,
    said: &Said<T>,
    text: impl Fn(&T) -> String,
) -> Row {
    in_table(table, key, quoted(&text(&said.value)), said)
}

pub(super) fn choice<T: ValueEnum>(key: &'static str, said: &Said<T>) -> Row {
    let value = said.value.to_possible_value();
    root(key, quoted(value.as_ref().map_or("", |value| value.get_name())), said)
}

pub(super) fn severity(key: &'static str, said: &Said<Severity>) -> Row {
    severity_of("", key, said)
}

pub(super) fn severity_of(table: &'static str, key: &'static str, said: &Said<Severity>) -> Row {
    in_table(table, key, quoted(said.value.name()), said)
}

pub(super) fn strings<T>(key: &'static str, said: &Said<Vec<T>>, text: impl Fn(&T) -> &str) -> Row {
    strings_of("", key, said, text)
}

pub(super) fn strings_of<T>(
    table: &'static str,
    key: &'static str,
    said: &Said<Vec<T>>,
    text: impl Fn(&T) -> &str,
) -> Row {
    let items: Vec<_> = said.value.iter().map(|item| quoted(text(item))).collect();
    in_table(table, key, format!("[{}]", items.join(", ")), said)
}

pub(super) fn number_of<T: Display>(table: &'static str, key: &'static str, said: &Said<T>) -> Row {
    in_table(table, key, said.value.to_string(), said)
}

pub(super) fn severities(
    table: &'static str,
    key: &'static str,
    said: &Said<Vec<(String, Severity)>>,
) -> Row {
    let item = |(id, severity): &(String, Severity)| format!("{} = {}", quoted(id), quoted(severity.name()));
    let items: Vec<_> = said.value.iter().map(item).collect();
    let value = if items.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", items.join(", ")) };
    in_table(table, key, value, said)
}

/// What is in effect for one rule.
pub(super) struct RuleInEffect {
    pub threshold: Said<u64>,
    pub severity: Said<Option<Severity>>,
    pub notify: Said<bool>,
    pub enabled: Said<bool>,
    /// None where it looks at one slot.
    pub window: Option<Said<Duration>>,
    /// In the order of [`Rule::params`].
    pub params: Vec<Said<u64>>,
    /// Of `port.hammer` only.
    pub ports: Option<Said<LoginPorts>>,
    /// Of `port.unusual` only: services, and for how long others are learned.
    pub expected: Option<(Said<Vec<ServiceRange>>, Said<Duration>)>,
}

pub(super) fn rule(rule: &Rule, said: &RuleInEffect) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |key, value, origin: &Origin| {
        let table = format!("rules.{}", quoted(rule.name));
        rows.push(Row { table, lines: vec![(key, value)], origin: origin.clone() });
    };
    row("threshold", said.threshold.value.to_string(), &said.threshold.origin);
    row("severity", quoted(said.severity.value.map_or("auto", Severity::name)), &said.severity.origin);
    row("notify", said.notify.value.to_string(), &said.notify.origin);
    row("enabled", said.enabled.value.to_string(), &said.enabled.origin);
    if let Some(window) = &said.window {
        row("window", quoted(&time(window.value)), &window.origin);
    }
    for (param, said) in rule.params.iter().zip(&said.params) {
        row(param.name, said.value.to_string(), &said.origin);
    }
    if let Some(said) = &said.ports {
        row("ports", ports(&said.value), &said.origin);
    }
    if let Some((services, learn)) = &said.expected {
        let items: Vec<_> = services.value.iter().map(|range| quoted(&range.to_string())).collect();
        row("services", format!("[{}]", items.join(", ")), &services.origin);
        let length = if learn.value.is_zero() { "off".to_owned() } else { time(learn.value) };
        row("learn", quoted(&length), &learn.origin);
    }
    rows
}

fn ports(ports: &LoginPorts) -> String {
    match ports {
        LoginPorts::Any => quoted("any"),
        LoginPorts::These(ports) => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!("[{}]", ports.join(", "))
        }
    }
}

/// A duration as it can be written: `7d`, `60s`, `1500ms`.
fn time(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis > 0 && millis.is_multiple_of(86_400_000) {
        return format!("{}d", millis / 86_400_000);
    }
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

pub(super) fn allow(said: &Said<AllowEntry>) -> Row {
    let entry = &said.value;
    let mut lines = vec![("prefix", quoted(&entry.network.text))];
    lines.extend(entry.rule.map(|rule| ("rule", quoted(rule.name()))));
    lines.extend(entry.until.as_ref().map(|(text, _)| ("until", quoted(text))));
    lines.extend(entry.comment.as_deref().map(|text| ("comment", quoted(text))));
    Row { table: "allow".into(), lines, origin: said.origin.clone() }
}

pub(super) fn feed(said: &Said<FeedConfig>) -> Row {
    let feed = &said.value;
    let mut lines = vec![("name", quoted(&feed.name)), ("file", quoted(&feed.file.display().to_string()))];
    lines.extend(feed.severity.map(|severity| ("severity", quoted(severity.name()))));
    if !feed.tags.is_empty() {
        let tags: Vec<_> = feed.tags.iter().map(|tag| quoted(tag)).collect();
        lines.push(("tags", format!("[{}]", tags.join(", "))));
    }
    lines.extend(feed.expires.map(|age| ("expires", quoted(&time(age)))));
    lines.extend(feed.until.as_ref().map(|(text, _)| ("until", quoted(text))));
    let choices = [
        ("allow_wide", feed.allow_wide),
        ("allow_empty", feed.allow_empty),
        ("skip_bad_lines", feed.skip_bad_lines),
    ];
    lines
        .extend(choices.into_iter().filter(|(_, is_said)| *is_said).map(|(key, _)| (key, "true".to_owned())));
    Row { table: "feeds".into(), lines, origin: said.origin.clone() }
}

/// An output as it can be written. Secrets are in files, which are named here and not shown.
pub(super) fn output(said: &Said<OutputSettings>) -> Row {
    let output = &said.value;
    let path = |path: &PathBuf| quoted(&path.display().to_string());
    let optional = |key, file: &Option<PathBuf>| file.as_ref().map(|file| (key, path(file)));
    let mut lines = vec![
        ("name", quoted(&output.name)),
        ("kind", quoted(output.target.kind())),
        ("min_severity", quoted(output.min_severity.name())),
        ("queue", output.queue.to_string()),
    ];
    match &output.target {
        OutputTarget::File(file) => {
            lines.extend([("path", path(&file.path)), ("format", quoted(file.format.name()))]);
            lines.push(("max_bytes", quoted(&bytes(file.max_bytes))));
            lines.extend(file.max_age.map(|age| ("max_age", quoted(&time(age)))));
            lines.push(("keep", file.keep.to_string()));
        }
        OutputTarget::Unix { path: socket, format } => {
            lines.extend([("path", path(socket)), ("format", quoted(format.name()))]);
        }
        OutputTarget::Syslog(syslog) => {
            lines.push(("address", quoted(&syslog.address.to_string())));
            lines.push(("facility", quoted(syslog.facility.name())));
            lines.push(("enterprise_id", syslog.enterprise_id.to_string()));
            lines.extend(optional("ca_file", &syslog.ca_file));
        }
        OutputTarget::Journald { path: socket } => lines.push(("path", path(socket))),
        OutputTarget::Webhook(webhook) => {
            lines.push(match &webhook.url {
                UrlSource::Said(url) => ("url", quoted(&without_query(url))),
                UrlSource::File(file) => ("url_file", path(file)),
            });
            lines.extend(optional("secret_file", &webhook.secret_file));
            lines.extend(optional("ca_file", &webhook.ca_file));
        }
        OutputTarget::Alertmanager(to) => {
            let urls: Vec<_> = to.urls.iter().map(|url| quoted(&without_query(url))).collect();
            lines.push(("urls", format!("[{}]", urls.join(", "))));
            lines.extend(optional("bearer_token_file", &to.bearer_token_file));
            lines.extend(optional("ca_file", &to.ca_file));
        }
    }
    Row { table: "outputs".into(), lines, origin: said.origin.clone() }
}

/// What stands behind the question mark is often a token.
fn without_query(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.to_owned(), |(place, _)| format!("{place}?..."))
}

fn root<T>(key: &'static str, value: String, said: &Said<T>) -> Row {
    in_table("", key, value, said)
}

fn in_table<T>(table: &'static str, key: &'static str, value: String, said: &Said<T>) -> Row {
    Row { table: table.to_owned(), lines: vec![(key, value)], origin: said.origin.clone() }
}

/// A TOML string, without anything a terminal would obey.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A file can have any name, a comment ends with its line.
fn comment(origin: &Origin) -> String {
    origin.to_string().replace(char::is_control, "?")
}
