//! The table that says how alerts are served.

use std::path::Path;

use toml::de::DeValue;

use crate::config::web::{HOSTS_MAX, NamedFile, WebLayer, host, listen};
use crate::document::{Reader, Value, text};

/// Keys of the table.
pub(in crate::config) const KEYS: [&str; 5] = ["listen", "token_file", "hosts", "tls_cert", "tls_key"];

impl Reader {
    pub(super) fn web_settings(&mut self, value: &Value<'_>) -> WebLayer {
        let mut layer = WebLayer::default();
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "web: write [web], and its settings below it".into());
            return layer;
        };
        // These files lie beside the one that names them, wherever netwatch was started.
        let folder = Path::new(&*self.path).parent().unwrap_or(Path::new("")).to_owned();
        let file = |value: &DeValue<'_>| {
            let text = text(value)?.to_owned();
            Ok(NamedFile { path: folder.join(&text), text })
        };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "listen" => layer.listen = self.one(key, value, |value| listen(text(value)?)),
                "token_file" => layer.token_file = self.one(key, value, file),
                "hosts" => layer.hosts = self.list(key, value, HOSTS_MAX, host),
                "tls_cert" => layer.tls_cert = self.one(key, value, file),
                "tls_key" => layer.tls_key = self.one(key, value, file),
                _ => self.unknown(key, &KEYS),
            }
        }
        layer
    }
}
