//! Lines for files and sockets: whichever form somebody wants.

use serde::Serialize;

use super::ecs;
use crate::nearest::nearest;
use crate::report::snapshot::Run;
use crate::report::{Incident, Time, Told};

/// What a line looks like, for outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFormat {
    /// Suricata's EVE.
    #[default]
    Eve,
    /// Elastic's common schema.
    Ecs,
    /// One sentence for people.
    Text,
    /// The step and the incident, by netwatch's own names.
    Json,
}

impl LineFormat {
    const ALL: [Self; 4] = [Self::Eve, Self::Ecs, Self::Text, Self::Json];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eve => "eve",
            Self::Ecs => "ecs",
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// Reads its name.
    ///
    /// # Errors
    ///
    /// A sentence that says which there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            match nearest(text, names()) {
                Some(near) => format!("{text:?} is no format; did you mean {near:?}?"),
                None => format!("{text:?} is no format; there are {}", names().join(", ")),
            }
        })
    }

    /// Appends a line, its end included.
    pub fn write(self, told: &Told, run: &Run, out: &mut Vec<u8>) {
        match self {
            Self::Eve => out.extend_from_slice(told.eve.as_bytes()),
            Self::Text => out.extend_from_slice(told.text.as_bytes()),
            Self::Ecs => json(&ecs::document(told, run), out),
            Self::Json => json(&Line::of(told), out),
        }
        out.push(b'\n');
    }
}

/// A step and its incident. A digest has no incident, and so its time and its sentence.
#[derive(Serialize)]
struct Line<'a> {
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<&'a Incident>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(told: &'a Told) -> Self {
        let incident = told.incident.as_deref();
        let alone = incident.is_none();
        Self {
            step: told.step.name(),
            incident,
            at: alone.then_some(told.at),
            text: alone.then_some(&*told.text),
        }
    }
}

/// Appends JSON, which for what we have cannot fail: keys are strings, and memory takes it.
pub(super) fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
    }
}
