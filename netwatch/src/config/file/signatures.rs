//! The table of payload signatures.

use std::path::Path;

use toml::de::DeValue;

use crate::analysis::Severity;
use crate::config::SIGNATURE_RATE;
use crate::config::layer::{Said, SignatureFile, SignatureLayer};
use crate::document::{Key, Reader, Value, boolean, kind, whole};
use crate::signatures::{file, limits};

/// Keys of the table.
pub(in crate::config) const KEYS: [&str; 6] = ["enabled", "files", "starter", "rate", "disable", "severity"];

impl Reader {
    pub(super) fn signature_settings(&mut self, value: &Value<'_>) -> SignatureLayer {
        let mut layer = SignatureLayer::default();
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "signatures: write [signatures], and its settings below it".into());
            return layer;
        };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "enabled" => layer.enabled = self.one(key, value, boolean),
                "starter" => layer.starter = self.one(key, value, boolean),
                "files" => {
                    let folder = Path::new(&*self.path).parent().unwrap_or(Path::new("")).to_owned();
                    let file = |text: &str| match text {
                        "" => Err("must be the name of a file, not empty".to_owned()),
                        text => Ok(SignatureFile { text: text.to_owned(), path: folder.join(text) }),
                    };
                    layer.files = self.list(key, value, limits::FILES, file);
                }
                "rate" => {
                    layer.rate = self.one(key, value, |value| {
                        whole(value, SIGNATURE_RATE).map(|rate| u32::try_from(rate).unwrap_or(u32::MAX))
                    });
                }
                "disable" => {
                    layer.disable = self.list(key, value, limits::SIGNATURES, |text| Ok(text.to_owned()));
                }
                "severity" => layer.severity = self.severities(key, value),
                _ => self.unknown(key, &KEYS),
            }
        }
        layer
    }

    /// `{ "web.log4shell" = "critical" }`.
    fn severities(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Said<Vec<(String, Severity)>>> {
        let DeValue::Table(table) = value.get_ref() else {
            let found = kind(value.get_ref());
            self.wrong(
                value,
                format!("severity: must be a table like {{ \"web.log4shell\" = \"high\" }}, not {found}"),
            );
            return None;
        };
        let mut severities = Vec::new();
        for (id, value) in table.iter() {
            // Without quotes, the dot of an identifier makes a table of it.
            if let DeValue::Table(_) = value.get_ref() {
                self.wrong(
                    id,
                    format!("severity: names have a dot in them: write \"{}....\" in quotes", id.get_ref()),
                );
                continue;
            }
            let severity = self.value(id, value, file::severity);
            severities.extend(severity.map(|severity| (id.get_ref().to_string(), severity)));
        }
        Some(Said { value: severities, origin: self.origin(key.span()) })
    }
}
