//! RFC 5424: `<PRI>1 TIME HOST netwatch PID RULE [netwatch@32473 rule="…"] text`, without a byte order mark, which receivers
//! would leave in the text.

use std::fmt::Write as _;

use super::words::Printable;
use crate::analysis::Severity;
use crate::report::{Incident, Told};

/// Longest datagram, in bytes: what RFC 5425 says that receivers should take.
pub const DATAGRAM: usize = 2_048;

/// What messages are about, by syslog's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

/// Names by number; those that are not for others to use have none.
const FACILITIES: [(&str, u8); 13] = [
    ("user", 1),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("authpriv", 10),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

impl Default for Facility {
    fn default() -> Self {
        Self(16)
    }
}

impl Facility {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        FACILITIES.iter().find(|(_, number)| *number == self.0).map_or("local0", |(name, _)| name)
    }

    /// Reads its name.
    ///
    /// # Errors
    ///
    /// A sentence that says which there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = FACILITIES.iter().find(|(name, _)| *name == text);
        found.map(|(_, number)| Self(*number)).ok_or_else(|| {
            let names = FACILITIES.map(|(name, _)| name).join(", ");
            format!("{text:?} is no facility; give one of {names}")
        })
    }
}

/// Who sends messages, and as what.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What the messages are about.
    pub facility: Facility,
    /// Whose the structured data is.
    pub enterprise_id: u32,
    /// The name of this machine.
    pub host: String,
    /// This process.
    pub pid: u32,
}

impl Sender {
    /// The message of a step.
    #[must_use]
    pub fn message(&self, told: &Told) -> String {
        let priority = self.facility.0 * 8 + severity(told.weight);
        let rule = told.incident.as_deref().map_or("netwatch.digest", |incident| &incident.rule);
        let (host, id) = (header(&self.host, 255), header(rule, 32));
        let mut out = format!("<{priority}>1 {} {host} netwatch {} {id} ", told.at, self.pid);
        let _ = write!(out, "[netwatch@{}", self.enterprise_id);
        parameter(&mut out, "rule", rule);
        parameter(&mut out, "state", told.step.name());
        match told.incident.as_deref() {
            Some(incident) => parameters(&mut out, incident),
            None => parameter(&mut out, "severity", told.weight.name()),
        }
        let _ = write!(out, "] {}", Printable(told.sentence()));
        out
    }
}

fn parameters(out: &mut String, incident: &Incident) {
    parameter(out, "incident", &incident.id);
    parameter(out, "severity", &incident.severity);
    let source = incident.src_ip.map(|ip| ip.to_string()).or_else(|| incident.source.clone());
    if let Some(source) = source {
        parameter(out, "src", &source);
    }
    if let Some(dest) = incident.dest_ip {
        parameter(out, "dst", &dest.to_string());
    }
    if let Some(port) = incident.dest_port {
        parameter(out, "dst_port", &port.to_string());
    }
    parameter(out, "interface", &incident.interface);
    parameter(out, "observed", &incident.observed.to_string());
    parameter(out, "threshold", &incident.threshold.to_string());
    parameter(out, "window", &format!("PT{}S", incident.window_s));
}

/// ` name="value"`.
fn parameter(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, " {name}=\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' | ']' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push('?'),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// What may stand in a header: letters that are printed, and no blanks.
fn header(text: &str, max: usize) -> String {
    let clean: String =
        text.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '?' }).take(max).collect();
    if clean.is_empty() { "-".into() } else { clean }
}

/// What of a message fits into so many bytes, without half a letter at its end.
#[must_use]
pub fn cut(message: &str, max: usize) -> &str {
    message.get(..message.floor_char_boundary(max)).unwrap_or(message)
}

/// As syslog and journald count severity: down from 0.
#[must_use]
pub const fn severity(weight: Severity) -> u8 {
    match weight {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}
