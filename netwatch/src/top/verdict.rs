//! Whether all is well: the same judgement as on the page, from what was heard last.

use super::known::Data;
use super::model::{Link, Model};
use super::words::{count, harmless};
use crate::report::health::{Level, Open, judge};

/// Open incidents from which on there may be more than were listed.
const LISTED: usize = 200;

/// How it stands, and why; without a level where nobody knows.
#[must_use]
pub fn verdict(model: &Model) -> (Option<Level>, String) {
    let data = model.data();
    let Some(status) = &data.status else {
        let says = match &model.link {
            Link::Lost(why) => format!("nothing is known: {why}"),
            Link::Connecting | Link::Live => "nothing is known yet".into(),
        };
        return (None, says);
    };
    let reasons = status.reasons.clone().unwrap_or_else(|| {
        // One that does not say it itself.
        let mut reasons = status.troubles.clone();
        if data.lost_lately() > 0 {
            reasons
                .push(format!("{} counts or hints were lost in the last minute", count(data.lost_lately())));
        }
        reasons
    });
    let verdict = judge(reasons, open(data));
    (Some(verdict.level), harmless(&verdict.sentence))
}

/// What is open and was told; what is only recorded is no reason to look.
fn open(data: &Data) -> Open {
    let told = data.incidents.iter().filter(|one| one.is_told).count() as u64;
    let number = if data.incidents.len() < LISTED { told } else { told.max(data.open) };
    Open { number, is_more: false, worst: data.worst() }
}
