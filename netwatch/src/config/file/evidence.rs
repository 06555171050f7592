//! The table of what is kept as evidence.

use toml::de::DeValue;

use crate::config::evidence::{AGE_RANGE, BYTES_RANGE, FILES_RANGE, PACKETS_RANGE};
use crate::config::layer::EvidenceLayer;
use crate::config::value;
use crate::document::{Reader, Value, quantity, text, whole};
use crate::units;

/// Keys of the table.
pub(in crate::config) const KEYS: [&str; 6] =
    ["dir", "packets", "max_bytes", "max_files", "max_age", "min_severity"];

impl Reader {
    pub(super) fn evidence_settings(&mut self, value: &Value<'_>) -> EvidenceLayer {
        let mut layer = EvidenceLayer::default();
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "evidence: write [evidence], and its settings below it".into());
            return layer;
        };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "dir" => layer.dir = self.one(key, value, |value| Ok(text(value)?.into())),
                "packets" => {
                    layer.packets = self.one(key, value, |value| {
                        whole(value, PACKETS_RANGE).map(|packets| u32::try_from(packets).unwrap_or(u32::MAX))
                    });
                }
                "max_bytes" => {
                    layer.max_bytes = self.one(key, value, |value| {
                        let (text, (least, most)) = (quantity(value)?, BYTES_RANGE);
                        let bytes = units::size(&text)?;
                        let is_right = (least..=most).contains(&bytes);
                        let wrong =
                            || format!("{text} is out of range; give {}M to {}G", least >> 20, most >> 30);
                        is_right.then_some(bytes).ok_or_else(wrong)
                    });
                }
                "max_files" => {
                    layer.max_files = self.one(key, value, |value| {
                        whole(value, FILES_RANGE).map(|files| usize::try_from(files).unwrap_or(usize::MAX))
                    });
                }
                "max_age" => {
                    layer.max_age = self.one(key, value, |value| {
                        let (text, (least, most)) = (quantity(value)?, AGE_RANGE);
                        let age = units::duration(&text)?;
                        let is_right = (least..=most).contains(&age);
                        is_right
                            .then_some(age)
                            .ok_or_else(|| format!("{text} is out of range; give 1m to 3650d"))
                    });
                }
                "min_severity" => {
                    layer.min_severity =
                        self.one(key, value, |value| value::choice(text(value)?).map(value::severity));
                }
                _ => self.unknown(key, &KEYS),
            }
        }
        layer
    }
}
