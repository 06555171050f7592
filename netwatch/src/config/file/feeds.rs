//! The feeds.

use toml::de::DeValue;

use super::{FEED_KEYS, value};
use crate::cli::MinSeverity;
use crate::config::TAGS_MAX;
use crate::config::layer::Said;
use crate::document::{Key, Reader, Value, boolean, quantity, text};
use crate::feeds::{FeedConfig, limits::FEEDS_MAX};
use crate::units;

impl Reader {
    pub(super) fn feeds(&mut self, key: &Key<'_>, value: &Value<'_>) -> Vec<Said<FeedConfig>> {
        let DeValue::Array(entries) = value.get_ref() else {
            self.wrong(value, "feeds: write [[feeds]], with two brackets".into());
            return Vec::new();
        };
        if entries.len() > FEEDS_MAX {
            self.wrong(key, format!("feeds: at most {FEEDS_MAX}, not {}", entries.len()));
            return Vec::new();
        }
        let mut feeds: Vec<Said<FeedConfig>> = Vec::new();
        for entry in entries.iter() {
            let Some(feed) = self.feed(entry) else { continue };
            if feeds.iter().any(|other| other.value.name == feed.value.name) {
                self.wrong(entry, format!("feeds: there is another one called {:?}", feed.value.name));
            } else {
                feeds.push(feed);
            }
        }
        feeds
    }

    fn feed(&mut self, entry: &Value<'_>) -> Option<Said<FeedConfig>> {
        let DeValue::Table(table) = entry.get_ref() else {
            self.wrong(entry, "feeds: write [[feeds]], and name and file below it".into());
            return None;
        };
        let (mut name, mut file) = (None, None);
        // What is not said stays as it is here.
        let mut feed = FeedConfig::new("", "");
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "name" => name = self.one(key, value, |value| value::feed_name(text(value)?)),
                "file" => {
                    file = self.one(key, value, |value| match text(value)? {
                        "" => Err("must be the path of a file".into()),
                        path => Ok(path.to_owned()),
                    });
                }
                "severity" => {
                    let severity = self.one(key, value, |value| {
                        value::choice::<MinSeverity>(text(value)?).map(value::severity)
                    });
                    feed.severity = severity.map(|said| said.value);
                }
                "tags" => {
                    let tags = self.list(key, value, TAGS_MAX, value::tag);
                    feed.tags = tags.map(|said| said.value).unwrap_or_default();
                }
                "expires" => {
                    let expires = self.one(key, value, |value| {
                        let age = units::duration(&quantity(value)?)?;
                        if age.is_zero() { Err("must be more than zero".into()) } else { Ok(age) }
                    });
                    feed.expires = expires.map(|said| said.value);
                }
                "until" => {
                    let until = self.one(key, value, |value| match value {
                        DeValue::Datetime(time) => value::until(&time.to_string()),
                        other => value::until(text(other)?),
                    });
                    feed.until = until.map(|said| said.value);
                }
                "allow_wide" => feed.allow_wide = self.yes(key, value),
                "allow_empty" => feed.allow_empty = self.yes(key, value),
                "skip_bad_lines" => feed.skip_bad_lines = self.yes(key, value),
                _ => self.unknown(key, &FEED_KEYS),
            }
        }
        for (needed, example) in [("name", "name = \"drop\""), ("file", "file = \"drop.netset\"")] {
            if !table.iter().any(|(key, _)| key.get_ref() == needed) {
                self.wrong(entry, format!("feeds: lacks a {needed}, like {example}"));
            }
        }
        feed.name = name?.value;
        feed.file = file?.value.into();
        Some(Said { value: feed, origin: self.origin(entry.span()) })
    }

    fn yes(&mut self, key: &Key<'_>, value: &Value<'_>) -> bool {
        self.one(key, value, boolean).is_some_and(|said| said.value)
    }
}
