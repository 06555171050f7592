//! What the daemon answers, as far as it is shown. Answers may come from anybody: what is unknown is passed over, what is
//! missing is nothing, and texts are made harmless here, once.

use jiff::Timestamp;
use netwatch_common::Class;
use serde_json::Value;

use super::words::harmless;
use crate::analysis::Severity;

/// Most entries of any list that are kept.
const ITEMS: usize = 1_000;
/// Most fields of an incident.
const FIELDS: usize = 64;

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What sets its run apart from others.
    pub run: String,
    /// The name of its machine.
    pub host: String,
    /// When that was so, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// Whether all is well, where it says so itself: `well`, `incidents` or `degraded`, and a sentence.
    pub verdict: Option<(String, String)>,
    /// What is wrong, each in a sentence.
    pub troubles: Vec<String>,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// How many incidents are open.
    pub open: u64,
    /// Counts, hints and lines that were lost.
    pub lost: u64,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// How the program is attached; none while it is not.
    pub mode: Option<String>,
}

/// The state in short, once a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// When that was so, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// How many incidents are open.
    pub open: u64,
    /// What was lost.
    pub lost: u64,
}

/// What passed in a second, over all interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Packets a second.
    pub packets_per_s: f64,
    /// Bytes a second.
    pub bytes_per_s: f64,
    /// Packets a second by class.
    pub classes: [f64; Class::COUNT],
}

/// A busy source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// The interface.
    pub interface: String,
    /// Its address, or network.
    pub source: String,
    /// Packets in the window.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets by class.
    pub classes: [u64; Class::COUNT],
    /// Handshakes completed.
    pub completed: u64,
    /// When the first packet came.
    pub first_seen: String,
    /// When the last one did.
    pub last_seen: String,
}

impl Source {
    /// Packets that nobody asked for.
    #[must_use]
    pub fn unsolicited(&self) -> u64 {
        let of = |class: &Class| self.classes[*class as usize];
        Class::ALL.iter().filter(|class| class.is_unsolicited()).map(of).fold(0, u64::saturating_add)
    }
}

/// A busy port.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Port {
    /// The interface.
    pub interface: String,
    /// `tcp` or `udp`.
    pub proto: String,
    /// The port.
    pub port: u64,
    /// Packets to it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sources that sent them.
    pub flows: u64,
}

/// An incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its name.
    pub id: String,
    /// The rule that was broken.
    pub rule: String,
    /// How severe it is.
    pub severity: Severity,
    /// Whether it goes on.
    pub is_open: bool,
    /// What happened.
    pub text: String,
    /// Who did it, where that is known.
    pub source: String,
    /// When it began, in milliseconds since 1970.
    pub opened_ms: i64,
    /// When it was told of last, likewise.
    pub updated_ms: i64,
    /// Packets during it.
    pub packets: u64,
    /// Everything that is known of it, by name.
    pub fields: Vec<(String, String)>,
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(harmless)
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn rate(value: &Value, key: &str) -> f64 {
    let number = value.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    if number.is_finite() { number.max(0.0) } else { 0.0 }
}

fn time_ms(value: &Value, key: &str) -> Option<i64> {
    let time: Timestamp = value.get(key)?.as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().take(ITEMS)
}

/// Names of classes are the same in all versions; one that is unknown is of no other.
fn class(name: &str) -> Class {
    Class::ALL.into_iter().find(|class| class.name() == name).unwrap_or(Class::Other)
}

impl Status {
    /// Reads `/api/v1/status`.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        let interface =
            |one: &Value| Interface { name: text(one, "name").unwrap_or_default(), mode: text(one, "mode") };
        let interfaces: Vec<_> = list(value, "interfaces").take(64).map(interface).collect();
        let lost = list(value, "interfaces")
            .filter_map(|one| one.get("lost")?.as_object())
            .flat_map(|lost| lost.values().filter_map(Value::as_u64))
            .fold(0, u64::saturating_add);
        let verdict = value.get("verdict").and_then(|verdict| {
            let level = text(verdict, "level")?;
            Some((level, text(verdict, "sentence").unwrap_or_default()))
        });
        Self {
            run: text(value, "run").unwrap_or_default(),
            host: text(value, "host").unwrap_or_default(),
            at_ms: time_ms(value, "at"),
            verdict,
            troubles: troubles(value, &interfaces),
            open: value.get("incidents").map_or(0, |lives| number(lives, "open")),
            interfaces,
            lost,
        }
    }
}

/// What is wrong, the worst first.
fn troubles(value: &Value, interfaces: &[Interface]) -> Vec<String> {
    let mut troubles: Vec<String> = text(value, "trouble").into_iter().collect();
    for Interface { name, .. } in interfaces.iter().filter(|interface| interface.mode.is_none()) {
        troubles.push(format!("{name} is not watched"));
    }
    if value.get("config_is_good").and_then(Value::as_bool) == Some(false) {
        troubles.push("the configuration file is not right, the one before stays in use".into());
    }
    if let Some(trouble) = value.get("history").and_then(|history| text(history, "trouble")) {
        troubles.push(format!("history: {trouble}"));
    }
    for output in list(value, "outputs").take(64) {
        if let Some(trouble) = text(output, "trouble") {
            troubles.push(format!("output {}: {trouble}", text(output, "name").unwrap_or_default()));
        }
    }
    troubles
}

impl Stats {
    /// Reads the data of a `stats`.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        Self { at_ms: time_ms(value, "at"), open: number(value, "open"), lost: number(value, "lost") }
    }
}

impl Point {
    /// Reads the data of a `rates`.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let mut point = Self { at_ms: value.get("at_ms")?.as_i64()?, ..Self::default() };
        for interface in list(value, "interfaces") {
            point.packets_per_s += rate(interface, "packets_per_s");
            point.bytes_per_s += rate(interface, "bytes_per_s");
            for (name, value) in interface.get("classes").and_then(Value::as_object).into_iter().flatten() {
                point.classes[class(name) as usize] += value.as_f64().unwrap_or(0.0).max(0.0);
            }
        }
        Some(point)
    }

    /// Reads `/api/v1/rates`.
    #[must_use]
    pub fn read_series(value: &Value) -> Vec<Self> {
        let mut points: Vec<Self> = list(value, "at_ms")
            .map(|at| Self { at_ms: at.as_i64().unwrap_or(0), ..Self::default() })
            .collect();
        let column = |of: &Value| -> Vec<f64> {
            let values = of.as_array().into_iter().flatten().take(ITEMS);
            values.map(|value| value.as_f64().unwrap_or(0.0).max(0.0)).collect()
        };
        for interface in list(value, "interfaces") {
            let of = |key: &str| interface.get(key).map(column).unwrap_or_default();
            for (point, value) in points.iter_mut().zip(of("packets_per_s")) {
                point.packets_per_s += value;
            }
            for (point, value) in points.iter_mut().zip(of("bytes_per_s")) {
                point.bytes_per_s += value;
            }
            for (name, values) in interface.get("classes").and_then(Value::as_object).into_iter().flatten() {
                for (point, value) in points.iter_mut().zip(column(values)) {
                    point.classes[class(name) as usize] += value;
                }
            }
        }
        points
    }
}

impl Source {
    /// Reads `/api/v1/sources`.
    #[must_use]
    pub fn read_all(value: &Value) -> Vec<Self> {
        let one = |value: &Value| {
            let mut classes = [0_u64; Class::COUNT];
            for (name, packets) in value.get("classes").and_then(Value::as_object).into_iter().flatten() {
                let sum = &mut classes[class(name) as usize];
                *sum = sum.saturating_add(packets.as_u64().unwrap_or(0));
            }
            Self {
                interface: text(value, "interface").unwrap_or_default(),
                source: text(value, "source").unwrap_or_default(),
                packets: number(value, "packets"),
                bytes: number(value, "bytes"),
                classes,
                completed: number(value, "completed"),
                first_seen: text(value, "first_seen").unwrap_or_default(),
                last_seen: text(value, "last_seen").unwrap_or_default(),
            }
        };
        list(value, "items").map(one).collect()
    }
}

impl Port {
    /// Reads `/api/v1/ports`.
    #[must_use]
    pub fn read_all(value: &Value) -> Vec<Self> {
        let one = |value: &Value| Self {
            interface: text(value, "interface").unwrap_or_default(),
            proto: text(value, "proto").unwrap_or_default(),
            port: number(value, "port").min(65_535),
            packets: number(value, "packets"),
            bytes: number(value, "bytes"),
            flows: number(value, "flows"),
        };
        list(value, "items").map(one).collect()
    }
}

impl Incident {
    /// Reads one; none where it has no name, so that nothing can be said of it.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let severity = text(value, "severity").unwrap_or_default();
        let severity = Severity::ALL.into_iter().find(|known| known.name() == severity);
        let opened_ms = time_ms(value, "opened_at").unwrap_or(0);
        Some(Self {
            id: text(value, "id").filter(|id| !id.is_empty())?,
            rule: text(value, "rule").unwrap_or_default(),
            // One that a newer version has invented matters.
            severity: severity.unwrap_or(Severity::Critical),
            is_open: text(value, "state").is_some_and(|state| state == "open"),
            text: text(value, "text").unwrap_or_default(),
            source: text(value, "source").or_else(|| text(value, "src_ip")).unwrap_or_default(),
            opened_ms,
            updated_ms: time_ms(value, "updated_at").unwrap_or(opened_ms),
            packets: number(value, "packets"),
            fields: fields(value),
        })
    }

    /// Reads `/api/v1/incidents`, and whether there are more.
    #[must_use]
    pub fn read_all(value: &Value) -> (Vec<Self>, bool) {
        let has_more = value.get("next").is_some_and(|next| !next.is_null());
        (list(value, "items").filter_map(Self::read).collect(), has_more)
    }
}

/// What people ask for first comes first; the rest follows by name.
const FIRST: [&str; 20] = [
    "rule",
    "severity",
    "state",
    "close_reason",
    "interface",
    "source",
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "proto",
    "opened_at",
    "updated_at",
    "closed_at",
    "first_seen",
    "last_seen",
    "observed",
    "peak",
    "threshold",
    "unit",
];

fn fields(value: &Value) -> Vec<(String, String)> {
    let Some(all) = value.as_object() else { return Vec::new() };
    let first = FIRST.iter().filter_map(|name| Some(((*name).to_owned(), all.get(*name)?)));
    // The sentence stands above them all.
    let rest = all.iter().filter(|(name, _)| !FIRST.contains(&&***name) && *name != "text");
    let both = first.chain(rest.map(|(name, value)| (harmless(name), value)));
    both.filter(|(_, value)| !is_empty(value))
        .take(FIELDS)
        .map(|(name, value)| (name, plain(value)))
        .collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A value without the signs of JSON.
fn plain(value: &Value) -> String {
    let joined = |parts: Vec<String>| harmless(&parts.join(", "));
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => harmless(text),
        Value::Array(items) => joined(items.iter().take(FIELDS).map(plain).collect()),
        Value::Object(fields) => joined(
            fields.iter().take(FIELDS).map(|(name, value)| format!("{name} {}", plain(value))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_or_odd_is_nothing() {
        for odd in [
            json!(null),
            json!([]),
            json!({"interfaces": 5, "items": "x", "at_ms": [], "next": 7, "verdict": [], "history": 1, "outputs": [1]}),
            json!({"interfaces": [null, {"lost": {"a": "b"}, "mode": 4}], "items": [null, 4, {"id": ""}], "at": "yesterday"}),
        ] {
            let _ = (Status::read(&odd), Stats::read(&odd), Point::read(&odd), Point::read_series(&odd));
            assert!(Incident::read_all(&odd).0.is_empty());
            let _ = (Source::read_all(&odd), Port::read_all(&odd));
        }
        let hostile = json!({"id": "a\u{1b}[2J", "severity": "doom", "state": "open", "text": "x\ny", "detail": {"a": [1, true]}});
        let incident = Incident::read(&hostile).unwrap();
        assert_eq!((&*incident.id, incident.severity, &*incident.text), ("a?[2J", Severity::Critical, "x y"));
        assert!(incident.fields.contains(&("detail".into(), "a 1, yes".into())));
    }

    #[test]
    fn rates_of_interfaces_are_added() {
        let event = json!({"at_ms": 5, "interfaces": [
            {"packets_per_s": 2.0, "bytes_per_s": 120.0, "classes": {"syn": 2.0}},
            {"packets_per_s": 1.0, "bytes_per_s": 60.0, "classes": {"new": 1.0}},
        ]});
        let point = Point::read(&event).unwrap();
        assert_eq!((point.packets_per_s, point.bytes_per_s), (3.0, 180.0));
        assert_eq!((point.classes[Class::Syn as usize], point.classes[Class::Other as usize]), (2.0, 1.0));
        let series = json!({"at_ms": [1, 2], "interfaces": [{"packets_per_s": [1.0, 2.0], "classes": {"syn": [1.0]}}]});
        let points = Point::read_series(&series);
        assert_eq!((points[1].packets_per_s, points[0].classes[Class::Syn as usize]), (2.0, 1.0));
    }
}
