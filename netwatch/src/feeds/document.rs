//! Feeds that are one document of JSON: lists of objects or of addresses, bundles of STIX 2.1, events of MISP.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::format::{Comment, Form, Item, Range, object_item, prefix, shown};

/// How deep lists may lie in objects.
const DEPTH: usize = 8;

/// Hands over the items of a document in order, with their number from 1 on.
pub(super) fn read(document: &Value, now: Timestamp, each: &mut dyn FnMut(u32, Result<Item<'_>, String>)) {
    let mut walk = Walk { now, each, number: 0 };
    walk.any(document, 0);
}

struct Walk<'a> {
    now: Timestamp,
    each: &'a mut dyn FnMut(u32, Result<Item<'_>, String>),
    number: u32,
}

impl Walk<'_> {
    fn any(&mut self, value: &Value, depth: usize) {
        if depth > DEPTH {
            self.tell(Err(format!("lists more than {DEPTH} deep are not read")));
            return;
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.item(item, depth + 1)),
            Value::Object(object) => self.object(object, depth),
            _ => self.tell(Err("is no list and no object".into())),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, depth: usize) {
        if let Some(Value::Array(objects)) = object.get("objects") {
            return objects.iter().for_each(|object| self.stix(object));
        }
        if let Some(Value::Object(event)) = object.get("Event") {
            return self.misp(event);
        }
        let lists = object.values().filter(|value| value.is_array());
        let before = self.number;
        lists.for_each(|list| self.any(list, depth + 1));
        if self.number == before {
            self.tell(object_item(object, Form::JsonList));
        }
    }

    fn item(&mut self, item: &Value, depth: usize) {
        match item {
            Value::Object(object) if object.contains_key("Event") => self.object(object, depth),
            Value::Object(object) => self.tell(object_item(object, Form::JsonList)),
            Value::String(text) => {
                let range = prefix(text.trim());
                let range = range.ok_or_else(|| format!("{} is no address or prefix", shown(text)));
                self.tell(range.map(|range| Item::Range(range, Form::JsonList, Comment::default())));
            }
            Value::Array(_) => self.any(item, depth),
            _ => self.tell(Err("is no object and no string".into())),
        }
    }

    /// An object of a STIX bundle. Only indicators have addresses, and only those are read that are nothing but a choice of
    /// them: of all others it cannot be said that the address alone means anything.
    fn stix(&mut self, object: &Value) {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let is_indicator = text("type") == Some("indicator");
        let is_pattern = text("pattern_type").is_none_or(|kind| kind == "stix");
        let is_over = object.get("revoked") == Some(&Value::Bool(true))
            || text("valid_until")
                .and_then(|end| end.parse().ok())
                .is_some_and(|end: Timestamp| end <= self.now);
        let ranges = match text("pattern") {
            Some(pattern) if is_indicator && is_pattern && !is_over => choice(pattern).unwrap_or_default(),
            _ => Vec::new(),
        };
        let comment = text("name").or_else(|| text("description")).unwrap_or_default();
        self.ranges(ranges, Form::Stix, comment);
    }

    /// An event of MISP: attributes that are to be used for detection.
    fn misp(&mut self, event: &Map<String, Value>) {
        let info = event.get("info").and_then(Value::as_str).unwrap_or_default();
        let lists = |object: &'_ Value| object.get("Attribute").and_then(Value::as_array).cloned();
        let own = event.get("Attribute").and_then(Value::as_array).cloned().unwrap_or_default();
        let objects = event.get("Object").and_then(Value::as_array);
        let inner = objects.into_iter().flatten().filter_map(lists).flatten();
        for attribute in own.into_iter().chain(inner) {
            let text = |key: &str| attribute.get(key).and_then(Value::as_str).unwrap_or_default();
            let is_addr = matches!(text("type"), "ip-src" | "ip-dst" | "ip-src|port" | "ip-dst|port");
            if !is_addr || attribute.get("to_ids") != Some(&Value::Bool(true)) {
                self.tell(Ok(Item::Other));
                continue;
            }
            let value = text("value").trim();
            let comment = if text("comment").is_empty() { info } else { text("comment") };
            match prefix(value) {
                Some(range) => self.ranges(vec![range], Form::Misp, comment),
                None => self.tell(Err(format!("{} is no address or prefix", shown(value)))),
            }
        }
    }

    /// An item that has several ranges, or none.
    fn ranges(&mut self, ranges: Vec<Range>, form: Form, comment: &str) {
        self.number += 1;
        if ranges.is_empty() {
            (self.each)(self.number, Ok(Item::Other));
        }
        for range in ranges {
            (self.each)(self.number, Ok(Item::Range(range, form, Comment::Borrowed(comment))));
        }
    }

    fn tell(&mut self, item: Result<Item<'_>, String>) {
        self.number += 1;
        (self.each)(self.number, item);
    }
}

/// The addresses of a STIX pattern that is a choice of them: `[ipv4-addr:value = '192.0.2.1']`, with `ISSUBSET` and `OR`.
fn choice(pattern: &str) -> Option<Vec<Range>> {
    let pattern = pattern.replace(['[', ']', '(', ')'], " ");
    pattern.split(" OR ").map(comparison).collect()
}

fn comparison(text: &str) -> Option<Range> {
    let (left, quoted) = text.trim().split_once('\'')?;
    let value = quoted.strip_suffix('\'').filter(|value| !value.contains('\''))?;
    let (object, operator) = left.trim_end().split_once(|c: char| c.is_whitespace() || c == '=')?;
    let is_operator = match operator.trim() {
        // The sign may have been what the name ended with.
        "" => left.trim_end().ends_with('='),
        operator => matches!(operator, "=" | "ISSUBSET"),
    };
    let range = prefix(value).filter(|_| is_operator)?;
    let is_version = match object {
        "ipv4-addr:value" => range.first.is_ipv4(),
        "ipv6-addr:value" => range.first.is_ipv6(),
        _ => false,
    };
    is_version.then_some(range)
}
