//! A configuration file with the raised thresholds, and what there is to know of them as comments.

use core::fmt::{Display, Write as _};

use super::DAY_NS;
use super::knob::Knob;
use super::search::{Found, LISTED, LeftOut, len};
use super::told::Alert;
use crate::analysis::{Policy, RuleId};
use crate::sinks::Wall;
use crate::sinks::words::{Count, Duration, Printable};

/// Captures that are named.
const NAMED: usize = 3;

/// Problems that are listed.
const PROBLEMS: usize = 10;

/// What the suggestion rests on.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Names of the captures.
    pub files: Vec<String>,
    /// Packets in them.
    pub packets: u64,
    /// How long packets came, in nanoseconds.
    pub heard_ns: u64,
    /// How long none came, where that was so long that it does not count; in nanoseconds.
    pub pauses_ns: u64,
    /// How many alerts a day are wanted at most.
    pub per_day: u32,
    /// How many that is for these captures.
    pub budget: u64,
    /// How replies were told: `mirror`, `host` or `flags`.
    pub replies: &'static str,
    /// Where the local networks, or that there are none, are a guess: why, in a sentence.
    pub guessed: Option<String>,
    /// Local networks that are a guess.
    pub guessed_local: Vec<String>,
    /// What was wrong with the captures, a sentence each.
    pub problems: Vec<String>,
    /// The wall clock of the captures.
    pub wall: Wall,
    /// How the rules were applied before anything was raised.
    pub policy: Policy,
}

/// The file. `said` is what was configured, as [`Config::toml`](crate::config::Config::toml) writes it; the file can
/// stand in its place.
#[must_use]
pub fn text(basis: &Basis, found: &Found, said: &str) -> String {
    let mut text = String::new();
    for line in head(basis, found).iter().chain(&rest(basis, found)) {
        let _ = writeln!(text, "{}", comment(line));
    }
    let mut tables = tables(said);
    // The thresholds hold with these networks: a scan by hosts of ours has to be larger.
    if let (false, Some(root)) = (basis.guessed_local.is_empty(), tables.first_mut()) {
        // A list of strings is written as in TOML.
        set(&mut root.lines, "local", format!("{:?}", basis.guessed_local), "guessed from the captures");
    }
    for (knob, value) in &found.raised {
        let lines = of_rule(&mut tables, knob.rule);
        set(lines, knob.key(), value, &format!("was {}", knob.get(&basis.policy)));
        lines.extend(reasons(basis, found, *knob).into_iter().map(|line| comment(&line)));
    }
    for Table { name, lines } in tables.iter().filter(|table| !table.lines.is_empty()) {
        text.push('\n');
        for line in name.iter().chain(lines) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// What was replayed, and what came of it.
fn head(basis: &Basis, found: &Found) -> Vec<String> {
    let Basis { packets, heard_ns, pauses_ns, per_day, budget, replies, .. } = basis;
    let (before, after) = (found.before.count(), found.after.count());
    let mut files = basis.files.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    files.extend(and_more(len(&basis.files), NAMED).map(|more| format!(", {more}")));
    let as_day = if *heard_ns < DAY_NS { ", taken as a day" } else { "" };
    let length = format!("{} in {}{as_day}", Count(*packets, "packet"), Duration(*heard_ns));
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = vec![
        format!("Suggested by netwatch {version} from {files}: {length}."),
        format!("Wanted: at most {} a day, which is {budget} here.", Count((*per_day).into(), "alert")),
    ];
    lines.push(if found.raised.is_empty() {
        format!("With these settings it tells {}: nothing is raised.", Count(after, "alert"))
    } else {
        let replays = found.replays;
        format!(
            "With these settings it tells {}, as replay {replays} has shown; before, {before}.",
            Count(after, "alert")
        )
    });
    if before > after && found.before.busiest_minute() > basis.policy.notifications_per_minute {
        lines.push(format!("Of these {before}, notifications_per_minute held some back."));
    }
    lines
        .push("An alert is an incident that is opened and printed; updates and ends are not counted.".into());
    if *pauses_ns > 0 {
        lines.push(format!(
            "Pauses of an hour and more are no time: {} without packets.",
            Duration(*pauses_ns)
        ));
    }
    lines.extend(
        basis.problems.iter().take(PROBLEMS).map(|problem| format!("Not all could be read: {problem}")),
    );
    lines.extend(basis.guessed.iter().map(|why| format!("Local networks: {why}.")));
    lines.push(format!("Replies were told as in mode {replies}. Other traffic has other alerts."));
    let left_out = found.left_out();
    if left_out.count > before.saturating_sub(after) {
        lines.push("Alerts that came up only when others were gone are left out too, and listed.".into());
    }
    if left_out.severe > 0 {
        let severe = Count(left_out.severe, "alert");
        lines.push(format!(
            "WARNING: this leaves out {severe} of high or critical severity. Was one an attack?"
        ));
    } else if left_out.count > 0 {
        lines.push("Was one of those left out an attack? Then this would have missed it.".into());
    }
    if after > *budget {
        lines.push(format!("More is told than wanted: {} too many.", after - budget));
    }
    lines
}

/// What is told and has no part in what is raised.
fn rest(basis: &Basis, found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in RuleId::ALL {
        let alerts = found.after.alerts().filter(|alert| alert.rule == rule);
        let (free, fixed): (Vec<_>, Vec<_>) = alerts.partition(|alert| alert.knob.is_some());
        let mut line = |alerts: &[&Alert], why: &str| {
            if !alerts.is_empty() {
                lines.push(format!("  {}: {}, {why}", rule.name(), Count(len(alerts), "alert")));
                lines.extend(listed(basis, alerts));
            }
        };
        if !found.raised.keys().any(|knob| knob.rule == rule) {
            line(&free, &format!("threshold {}", basis.policy.of(rule).threshold));
        }
        line(
            &fixed,
            match rule {
                RuleId::Degraded => "which no threshold should hide: more map_memory may help",
                RuleId::DdosDestination => "decided by learned_factor, not by the threshold",
                _ => "larger than any threshold can be",
            },
        );
    }
    if !lines.is_empty() {
        lines.splice(0..0, [String::new(), "Told, and left as it is:".to_owned()]);
    }
    lines
}

/// What a raised number leaves out, and what it does not.
fn reasons(basis: &Basis, found: &Found, knob: Knob) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(LeftOut { count, worst, .. }) = found.left_out.get(&knob) {
        lines.push(format!("left out: {}", Count(*count, "alert")));
        lines.extend(worst.iter().map(|alert| line(basis, alert)));
        lines.extend(and_more(*count, LISTED).map(|more| format!("    {more}")));
    }
    let is_of_knob = |alert: &&Alert| alert.knob.is_some_and(|(of, _)| of == knob);
    let stay: Vec<_> = found.after.alerts().filter(is_of_knob).collect();
    lines.push(format!("still told: {}", Count(len(&stay), "alert")));
    lines.extend(listed(basis, &stay));
    lines
}

/// The worst of some alerts.
fn listed(basis: &Basis, alerts: &[&Alert]) -> Vec<String> {
    let mut alerts = alerts.to_vec();
    alerts.sort_by_key(|alert| alert.rank());
    let more = and_more(len(&alerts), LISTED).map(|more| format!("    {more}"));
    alerts.into_iter().take(LISTED).map(|alert| line(basis, alert)).chain(more).collect()
}

/// One alert.
fn line(basis: &Basis, alert: &Alert) -> String {
    let is_local = alert.knob.is_some_and(|(_, need)| need < alert.peak);
    let local = if is_local { ", a tenth counts: it is local" } else { "" };
    format!("    {alert} at {:.0}, {}{local}", basis.wall.at(alert.opened_ns), alert.severity.name())
}

fn and_more(count: u64, listed: usize) -> Option<String> {
    let more = count.saturating_sub(u64::try_from(listed).unwrap_or(u64::MAX));
    (more > 0).then(|| format!("and {more} more"))
}

/// A line of comment. Names of files come from outside, and a comment ends with its line.
fn comment(line: &str) -> String {
    if line.is_empty() { "#".into() } else { format!("# {}", Printable(line)) }
}

/// A part of a configuration.
struct Table {
    /// The line that it begins with; what is in no table has none.
    name: Option<String>,
    /// What follows.
    lines: Vec<String>,
}

/// The tables of a configuration as netwatch writes it, without lines that are comments alone.
fn tables(text: &str) -> Vec<Table> {
    let mut tables = vec![Table { name: None, lines: Vec::new() }];
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            tables.push(Table { name: Some(line.to_owned()), lines: Vec::new() });
        } else if let Some(last) = tables.last_mut() {
            last.lines.push(line.to_owned());
        }
    }
    tables
}

/// Puts a line in place of the one with the same key.
fn set(lines: &mut Vec<String>, key: &str, value: impl Display, origin: &str) {
    lines.retain(|line| line.split(' ').next() != Some(key));
    lines.push(format!("{key} = {value}  # {origin}"));
}

/// The lines of a rule, in a table that may be new.
fn of_rule(tables: &mut Vec<Table>, rule: RuleId) -> &mut Vec<String> {
    let name = format!("[rules.{:?}]", rule.name());
    let known = tables.iter().position(|table| table.name.as_ref() == Some(&name));
    let index = known.unwrap_or_else(|| {
        tables.push(Table { name: Some(name), lines: Vec::new() });
        tables.len() - 1
    });
    &mut tables[index].lines
}

#[cfg(test)]
mod tests;
