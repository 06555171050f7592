//! Whether all is well, in one sentence.

use super::model::{Data, Link, Model};
use super::words::count;
use crate::analysis::Severity;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Well,
    /// Something happened that somebody should look at.
    Open,
    /// netwatch itself does not work as it should.
    Degraded,
    /// Nobody knows.
    Unknown,
}

/// How it stands, and why.
#[must_use]
pub fn verdict(model: &Model) -> (State, String) {
    let data = model.data();
    let Some(status) = &data.status else { return (State::Unknown, unknown(model)) };
    let mut troubles = status.troubles.clone();
    if data.lost_lately() > 0 {
        troubles.push(format!("{} counts or hints were lost in the last minute", count(data.lost_lately())));
    }
    let open = open(data);
    // The daemon knows best, but what has happened since was heard here.
    if let Some((level, sentence)) = &status.verdict
        && !sentence.is_empty()
    {
        return match (&**level, open) {
            ("well", None) => (State::Well, sentence.clone()),
            ("well", Some(open)) => (State::Open, open),
            ("incidents", None) => (State::Well, "all is well".into()),
            ("incidents", Some(_)) => (State::Open, sentence.clone()),
            _ => (State::Degraded, sentence.clone()),
        };
    }
    match (troubles.first(), open) {
        (Some(trouble), None) => (State::Degraded, format!("degraded: {trouble}")),
        (Some(trouble), Some(open)) => (State::Degraded, format!("{open}; degraded: {trouble}")),
        (None, Some(open)) => (State::Open, open),
        (None, None) => (State::Well, "all is well".into()),
    }
}

/// `2 open, worst high`. What is only recorded is no reason to look.
fn open(data: &Data) -> Option<String> {
    match data.worst() {
        Some(worst) if worst > Severity::Info => {
            Some(format!("{} open, worst {}", data.open.max(data.incidents.len() as u64), worst.name()))
        }
        _ => None,
    }
}

fn unknown(model: &Model) -> String {
    match &model.link {
        Link::Lost(why) => format!("nothing is known: {why}"),
        Link::Connecting | Link::Live => "nothing is known yet".into(),
    }
}
