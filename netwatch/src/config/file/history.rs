//! The table that says how the history is kept.

use toml::de::DeValue;

use crate::config::history::HistoryLayer;
use crate::document::{Reader, Value};

/// Keys of the table.
pub(in crate::config) const KEYS: [&str; 0] = [];

impl Reader {
    pub(super) fn history_settings(&mut self, value: &Value<'_>) -> HistoryLayer {
        let layer = HistoryLayer::default();
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "history: write [history], and its settings below it".into());
            return layer;
        };
        for (key, _) in table.iter() {
            self.unknown(key, &KEYS);
        }
        layer
    }
}
