//! The tables that say where alerts go.

use toml::de::DeValue;

use super::value;
use crate::cli::MinSeverity;
use crate::config::layer::Said;
use crate::config::outputs::{
    AGE_RANGE, BYTES_RANGE, Draft, KEEP_RANGE, Kind, LineFormat, OUTPUTS_MAX, OutputSettings, QUEUE_RANGE,
    URLS_MAX,
};
use crate::document::{Key, Reader, Value, quantity, text, whole};
use crate::units;

/// Keys that every output has.
pub(in crate::config) const KEYS: [&str; 4] = ["name", "kind", "min_severity", "queue"];

impl Reader {
    pub(super) fn outputs(&mut self, key: &Key<'_>, value: &Value<'_>) -> Vec<Said<OutputSettings>> {
        let DeValue::Array(entries) = value.get_ref() else {
            self.wrong(value, "outputs: write [[outputs]], with two brackets".into());
            return Vec::new();
        };
        if entries.len() > OUTPUTS_MAX {
            self.wrong(key, format!("outputs: at most {OUTPUTS_MAX}, not {}", entries.len()));
            return Vec::new();
        }
        let mut outputs: Vec<Said<OutputSettings>> = Vec::new();
        for entry in entries.iter() {
            let Some(output) = self.output(entry) else { continue };
            let name = &output.value.name;
            if !name.is_empty() && outputs.iter().any(|other| other.value.name == *name) {
                self.wrong(entry, format!("outputs: there is another one called {name:?}"));
            } else {
                outputs.push(output);
            }
        }
        outputs
    }

    fn output(&mut self, entry: &Value<'_>) -> Option<Said<OutputSettings>> {
        let DeValue::Table(table) = entry.get_ref() else {
            self.wrong(entry, "outputs: write [[outputs]], and kind = \"file\" below it".into());
            return None;
        };
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == "kind") else {
            let names = Kind::ALL.map(Kind::name).join(", ");
            self.wrong(entry, format!("outputs: lacks a kind, like kind = \"file\"; there are {names}"));
            return None;
        };
        let kind = self.value(key, value, |value| Kind::parse(text(value)?))?;
        let mut draft = Draft::default();
        for (key, value) in table.iter().filter(|(key, _)| key.get_ref() != "kind") {
            let name = key.get_ref().as_ref();
            if KEYS.contains(&name) || kind.keys().contains(&name) {
                self.output_key(kind, &mut draft, key, value);
            } else {
                let known: Vec<_> = KEYS.iter().chain(kind.keys()).copied().collect();
                self.unknown(key, &known);
            }
        }
        // What is wrong with a value was said already, and it is not missing.
        let is_said = |key: &str| table.iter().any(|(found, _)| found.get_ref() == key);
        match draft.build(kind) {
            Ok(value) => Some(Said { value, origin: self.origin(entry.span()) }),
            Err(_) if is_said_wrongly(kind, is_said) => None,
            Err(wrong) => {
                self.wrong(entry, format!("outputs: {} {wrong}", kind.name()));
                None
            }
        }
    }

    fn output_key(&mut self, kind: Kind, draft: &mut Draft, key: &Key<'_>, value: &Value<'_>) {
        let path = |value: &DeValue<'_>| match text(value)? {
            "" => Err("must be a path, not empty".to_owned()),
            path => Ok(path.into()),
        };
        match key.get_ref().as_ref() {
            "name" => draft.name = self.value(key, value, |value| value::output_name(text(value)?)),
            "min_severity" => {
                draft.min_severity = self.value(key, value, |value| {
                    value::choice::<MinSeverity>(text(value)?).map(value::severity)
                });
            }
            "queue" => {
                draft.queue = self.value(key, value, |value| {
                    whole(value, QUEUE_RANGE).map(|queue| usize::try_from(queue).unwrap_or(usize::MAX))
                });
            }
            "path" => draft.path = self.value(key, value, path),
            "format" => draft.format = self.value(key, value, |value| LineFormat::parse(text(value)?)),
            "max_bytes" => draft.max_bytes = self.value(key, value, bytes),
            "max_age" => {
                draft.max_age = self.value(key, value, |value| {
                    let (text, (least, most)) = (quantity(value)?, AGE_RANGE);
                    let age = units::duration(&text)?;
                    let is_right = (least..=most).contains(&age);
                    is_right.then_some(age).ok_or_else(|| format!("{text} is out of range; give 1m to 3650d"))
                });
            }
            "keep" => {
                draft.keep = self.value(key, value, |value| {
                    whole(value, KEEP_RANGE).map(|keep| u32::try_from(keep).unwrap_or(u32::MAX))
                });
            }
            "address" => {
                draft.address = self.value(key, value, |value| value::syslog_address(text(value)?));
            }
            "facility" => {
                draft.facility =
                    self.value(key, value, |value| crate::sinks::syslog::Facility::parse(text(value)?));
            }
            "enterprise_id" => {
                draft.enterprise_id = self.value(key, value, |value| {
                    whole(value, (1, u32::MAX.into())).map(|id| u32::try_from(id).unwrap_or(u32::MAX))
                });
            }
            "ca_file" => draft.ca_file = self.value(key, value, path),
            "url" => draft.url = self.value(key, value, |value| kind.url(text(value)?)),
            "urls" => {
                draft.urls = self.strings(key, value, URLS_MAX, |text| kind.url(text)).unwrap_or_default();
            }
            "url_file" => draft.url_file = self.value(key, value, path),
            "secret_file" => draft.secret_file = self.value(key, value, path),
            "bearer_token_file" => draft.bearer_token_file = self.value(key, value, path),
            _ => {}
        }
    }
}

/// Whether what an output cannot do without was said, and so what is wrong with it was, too.
fn is_said_wrongly(kind: Kind, is_said: impl Fn(&str) -> bool) -> bool {
    let needed: &[&str] = match kind {
        Kind::File | Kind::Unix => &["path"],
        Kind::Syslog => &["address"],
        Kind::Journald => &[],
        // Both are one too many.
        Kind::Webhook if is_said("url") && is_said("url_file") => &[],
        Kind::Webhook => &["url", "url_file"],
        Kind::Alertmanager => &["url", "urls"],
    };
    needed.iter().any(|key| is_said(key))
}

/// How large a file becomes; 0 is as large as it likes.
fn bytes(value: &DeValue<'_>) -> Result<u64, String> {
    let (text, (least, most)) = (quantity(value)?, BYTES_RANGE);
    let bytes = units::size(&text)?;
    let wrong =
        || format!("{text} is out of range; give {}K to {}G, or 0 for no end", least >> 10, most >> 30);
    (bytes == 0 || (least..=most).contains(&bytes)).then_some(bytes).ok_or_else(wrong)
}
