//! The tables that say where alerts go.

use toml::de::DeValue;

use crate::config::layer::Said;
use crate::config::outputs::OutputSettings;
use crate::document::{Key, Reader, Value};

impl Reader {
    pub(super) fn outputs(&mut self, key: &Key<'_>, value: &Value<'_>) -> Vec<Said<OutputSettings>> {
        let DeValue::Array(_) = value.get_ref() else {
            self.wrong(value, "outputs: write [[outputs]], with two brackets".into());
            return Vec::new();
        };
        let _ = key;
        Vec::new()
    }
}
