//! Whether all is well: one judgement, for everybody who shows it.

use serde::Serialize;

use super::Snapshot;
use crate::analysis::Severity;
use crate::figures;
use crate::sinks::words::Printable;

/// What there is to say first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Well,
    /// Incidents are open.
    Incidents,
    /// netwatch itself does not see, or does not tell, all that it should.
    Degraded,
}

impl Level {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Incidents => "incidents",
            Self::Degraded => "degraded",
        }
    }
}

/// Whether all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Verdict {
    /// What matters most.
    pub level: Level,
    /// It in one sentence.
    pub sentence: String,
    /// Everything that keeps the watch from being whole, a clause each.
    pub reasons: Vec<String>,
}

/// Open incidents, as far as they matter to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// How many there are.
    pub number: u64,
    /// Whether there are more than that, and nobody has counted how many.
    pub is_more: bool,
    /// The highest severity among them.
    pub worst: Option<Severity>,
}

/// Judges how netwatch is. `trouble` is why it is not ready, where it is not.
#[must_use]
pub fn verdict(snapshot: &Snapshot, trouble: Option<&str>, open: Open) -> Verdict {
    judge(reasons(snapshot, trouble), open)
}

/// The same from what keeps the watch from being whole.
#[must_use]
pub fn judge(reasons: Vec<String>, open: Open) -> Verdict {
    let incidents = incidents(open);
    let (level, sentence) = match (&*reasons, incidents) {
        ([], None) => (Level::Well, "All is well.".to_owned()),
        ([], Some(incidents)) => (Level::Incidents, format!("{incidents}.")),
        ([first, rest @ ..], incidents) => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!("; and {}", figures::count(more as u64, "more reason")),
            };
            let incidents = incidents.map(|text| format!(" {text}.")).unwrap_or_default();
            (Level::Degraded, format!("The watch is degraded: {first}{more}.{incidents}"))
        }
    };
    Verdict { level, sentence, reasons }
}

fn incidents(open: Open) -> Option<String> {
    let worst = open.worst.map(|worst| worst.name());
    match (open.number, worst) {
        (0, _) => None,
        (1, Some(worst)) => Some(format!("One incident is open, and it is {worst}")),
        (1, None) => Some("One incident is open".to_owned()),
        (number, worst) => {
            let least = if open.is_more { "more than " } else { "" };
            let worst = worst.map(|worst| format!(", the worst is {worst}")).unwrap_or_default();
            let text = format!("{least}{} incidents are open{worst}", figures::grouped(number));
            Some(if open.is_more { text.replacen('m', "M", 1) } else { text })
        }
    }
}

/// What keeps the watch from being whole, the worst first: a clause each, without anything that a terminal would obey.
#[must_use]
pub fn reasons(snapshot: &Snapshot, trouble: Option<&str>) -> Vec<String> {
    let mut reasons: Vec<String> = trouble.map(str::to_owned).into_iter().collect();
    for interface in snapshot.interfaces.iter().filter(|interface| interface.mode.is_none()) {
        reasons.push(format!("{} is not watched", interface.name));
    }
    for interface in snapshot.interfaces.iter().filter(|interface| interface.slot_lost > 0) {
        let lost = figures::short(interface.slot_lost as f64);
        reasons.push(format!("{lost} counts of the last slot found no room on {}", interface.name));
    }
    if let Some(trouble) = &snapshot.store.trouble {
        reasons.push(format!("the history cannot be written: {trouble}"));
    }
    for output in &snapshot.outputs {
        if let Some(trouble) = &output.trouble {
            reasons.push(format!("the output {} does not take alerts: {trouble}", output.name));
        }
    }
    if !snapshot.config_is_good {
        reasons.push("the configuration was read again and is not right, so the one before stays".to_owned());
    }
    reasons.into_iter().map(|reason| Printable(&reason).to_string()).collect()
}
