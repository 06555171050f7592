//! An output as text.

use std::path::PathBuf;

use super::{Row, bytes, quoted, time};
use crate::config::layer::Said;
use crate::config::outputs::{OutputSettings, OutputTarget, UrlSource};

/// An output as it can be written. Secrets are in files, which are named here and not shown.
pub(in crate::config) fn output(said: &Said<OutputSettings>) -> Row {
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
                UrlSource::Said(url) => ("url", quoted(&place(url))),
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

/// Where a webhook is: its path is a secret often enough.
fn place(url: &str) -> String {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(begin..).unwrap_or_default();
    match rest.find(['/', '?']) {
        Some(end) if rest.len() > end + 1 => format!("{}/...", url.get(..begin + end).unwrap_or_default()),
        _ => url.to_owned(),
    }
}

/// What stands behind the question mark is often a token.
fn without_query(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.to_owned(), |(place, _)| format!("{place}?..."))
}
