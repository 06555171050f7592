//! The table that says how alerts are served.

use toml::de::DeValue;

use crate::config::web::WebLayer;
use crate::document::{Reader, Value};

/// Keys of the table.
pub(in crate::config) const KEYS: [&str; 0] = [];

impl Reader {
    pub(super) fn web_settings(&mut self, value: &Value<'_>) -> WebLayer {
        let layer = WebLayer::default();
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "web: write [web], and its settings below it".into());
            return layer;
        };
        for (key, _) in table.iter() {
            self.unknown(key, &KEYS);
        }
        layer
    }
}
