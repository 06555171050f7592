//! The entry of the allow-list that would spare whom an incident was about, for people to paste. Nothing is changed by it.

use jiff::{SignedDuration, Timestamp};

use crate::analysis::rules::{RuleId, Subject};
use crate::guide;
use crate::report::{Incident, Network};

/// How many days the entry lasts unless somebody writes another date.
pub(super) const DAYS: i64 = 30;

/// The entry; none where the allow-list cannot spare it.
pub(super) fn entry(incident: &Incident, now: Timestamp) -> Option<String> {
    let rule = guide::find(&incident.rule).ok()?;
    let about = match rule.rule().subject {
        Subject::Source | Subject::SourcePort | Subject::Address => {
            incident.source.clone().or_else(|| incident.src_ip.map(|addr| addr.to_string()))
        }
        Subject::Destination | Subject::DestinationPort => incident.dest_ip.map(|addr| addr.to_string()),
        Subject::Itself => None,
    };
    let Network { addr, bits } = Network::read(&about?)?;
    let until = now.checked_add(SignedDuration::from_hours(24 * DAYS)).ok()?.strftime("%Y-%m-%d");
    Some(format!(
        "[[allow]]\nprefix = \"{addr}/{bits}\"\nrule = \"{}\"\nuntil = {until}\ncomment = \"say here why this is expected\"\n",
        rule.name()
    ))
}

/// Whose packets the entry is about.
pub(super) fn is_about_destination(rule: RuleId) -> bool {
    matches!(rule.rule().subject, Subject::Destination | Subject::DestinationPort)
}
