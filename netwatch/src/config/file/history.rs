//! The table that says how the history is kept.

use toml::de::DeValue;

use crate::config::history::{AGE_RANGE, BYTES_RANGE, HistoryLayer};
use crate::document::{Reader, Value, quantity};
use crate::units;

/// Keys of the table.
pub(in crate::config) const KEYS: [&str; 2] = ["max_age", "max_bytes"];

impl Reader {
    pub(super) fn history_settings(&mut self, value: &Value<'_>) -> HistoryLayer {
        let mut layer = HistoryLayer::default();
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "history: write [history], and its settings below it".into());
            return layer;
        };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "max_age" => {
                    layer.max_age = self.one(key, value, |value| {
                        let (text, (least, most)) = (quantity(value)?, AGE_RANGE);
                        let age = units::duration(&text)?;
                        let is_right = (least..=most).contains(&age);
                        let wrong = || format!("{text} is out of range; give 1m to 3650d");
                        is_right.then_some(age).ok_or_else(wrong)
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
                _ => self.unknown(key, &KEYS),
            }
        }
        layer
    }
}
