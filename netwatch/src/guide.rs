//! The table of rules for people: `netwatch rules` and docs/rules.md.

use std::fmt::Write as _;

use crate::analysis::policy::LoginPorts;
use crate::analysis::rules::{Param, RULES, Reach, Rule, Severity, Subject};
use crate::analysis::{Policy, RuleId};
use crate::nearest::nearest;

/// Width of a line on a terminal.
const WIDTH: usize = 100;
/// The file that [`markdown`] makes.
const DOCUMENT: &str = "docs/rules.md";

/// One line per rule.
#[must_use]
pub fn list() -> String {
    let row = |rule: &str, default: &str, over: &str, severity: &str, summary: &str| {
        format!("{rule:<17} {default:>7}  {over:<6}  {severity:<8}  {summary}\n")
    };
    let mut text = row("RULE", "DEFAULT", "OVER", "SEVERITY", "SUMMARY");
    for rule in RULES {
        let (default, severity) = (rule.threshold.to_string(), rule.severity.name());
        text.push_str(&row(rule.name, &default, &over(&rule), severity, rule.summary));
    }
    text
}

/// How far back a rule looks, in few letters: `window`, `slot`, `1 h`.
#[must_use]
pub fn over(rule: &Rule) -> String {
    match rule.reach {
        Reach::Window => "window".into(),
        Reach::Slot => "slot".into(),
        Reach::Memory { default_s, .. } => time(default_s),
    }
}

/// Where the documentation of a rule stands: a file of this repository, and the place in it.
#[must_use]
pub fn reference(rule: &Rule) -> String {
    format!("{DOCUMENT}#{}", anchor(rule))
}

/// What a heading with the rule's name can be linked by.
fn anchor(rule: &Rule) -> String {
    rule.name.replace('.', "")
}

/// All there is to know about one rule.
///
/// # Errors
///
/// There is no such rule; says which may have been meant.
pub fn explain(name: &str) -> Result<String, String> {
    let rule = find(name)?.rule();
    let mut text = format!("{}: {}\n\n", rule.name, rule.summary);
    let facts = facts(rule);
    let width = facts.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    for (title, value) in facts {
        let _ = writeln!(text, "  {title:<width$}  {value}");
    }
    for (title, paragraph) in paragraphs(rule) {
        let _ = write!(text, "\n{title}\n{}", wrap(paragraph));
    }
    let _ = write!(text, "\nIn the configuration file\n{}", indent(&example(rule)));
    Ok(text)
}

/// The rule of this name.
///
/// # Errors
///
/// There is none; says which may have been meant.
pub fn find(name: &str) -> Result<RuleId, String> {
    RuleId::ALL.into_iter().find(|rule| rule.name() == name).ok_or_else(|| {
        let names = RULES.map(|rule| rule.name);
        match nearest(name, names) {
            Some(near) => format!("no rule named {name:?}; did you mean {near}?"),
            None => format!("no rule named {name:?}; `netwatch rules list` names all"),
        }
    })
}

/// docs/rules.md.
#[must_use]
pub fn markdown() -> String {
    let mut text = "\
# Rules

Made from the table in `netwatch/src/analysis/rules/` by `UPDATE=1 cargo test -p netwatch --test docs`; do not edit.
`netwatch rules explain RULE` says the same on a terminal.

| rule | is about | fires over more | default | over | severity | ATT&CK |
|---|---|---|---|---|---|---|
"
    .to_owned();
    for rule in &RULES {
        let _ = writeln!(
            text,
            "| [`{}`](#{}) | {} | {} | {} | {} | {} | {} |",
            rule.name,
            anchor(rule),
            about(rule.subject),
            rule.unit,
            rule.threshold,
            over(rule),
            severities(rule),
            attack(rule)
        );
    }
    text.push_str(
        "
A rule fires when it finds strictly more than its threshold: within the window, which is 60 s unless set otherwise;
in the slot that ended last, which is 5 s; or within a time of its own. `[rules.\"NAME\"]` in the configuration file
takes `threshold`, `severity`, `notify` and `enabled` for every rule, `window` for those that do not look at one slot,
and what is listed with the rule.
",
    );
    for rule in &RULES {
        let _ = write!(text, "\n## {}\n\n{}\n", rule.name, rule.summary);
        let _ = write!(text, "\n{}", list_of(&facts(rule)));
        for (title, paragraph) in paragraphs(rule) {
            let _ = write!(text, "\n**{title}.** {paragraph}\n");
        }
        let _ = write!(text, "\n```toml\n{}```\n", example(rule));
    }
    text
}

/// What can be said of a rule in a word or a number each.
fn facts(rule: &Rule) -> Vec<(&'static str, String)> {
    let policy = Policy::default();
    let local = match policy.threshold(rule.id, true) {
        number if number == rule.threshold => String::new(),
        number => format!(", {number} for local sources"),
    };
    let window = match rule.reach {
        Reach::Window => "that of all rules unless set: whole slots".to_owned(),
        Reach::Slot => "none: it looks at the slot that ended last".to_owned(),
        Reach::Memory { default_s, min_s, max_s } => {
            format!("{} unless set: {} to {}", time(default_s), time(min_s), time(max_s))
        }
    };
    let mut facts = vec![
        ("about", about(rule.subject).to_owned()),
        ("threshold", format!("more than {} {}{local}", rule.threshold, rule.unit)),
        ("window", window),
    ];
    for Param { name, default, min, max, meaning } in rule.params {
        facts.push((name, format!("{default}: {meaning}; {min} to {max}")));
    }
    if rule.id == RuleId::PortHammer {
        facts.push(("ports", "those below unless set; \"any\" for all".to_owned()));
    }
    if rule.id == RuleId::PortUnusual {
        facts.push((
            "services",
            "none unless set: like \"tcp/22\", \"udp/53\" or \"tcp/8000-8010\"".to_owned(),
        ));
        let length = time(policy.expected.learn_ns / 1_000_000_000);
        facts.push(("learn", format!("{length} unless set, or \"off\" where services are set: up to 720 h")));
    }
    facts.push(("severity", severities(rule)));
    facts.push(("notify", rule.notifies().to_string()));
    if !rule.attack_id.is_empty() {
        let link = format!("https://attack.mitre.org/techniques/{}/", rule.attack_id.replace('.', "/"));
        facts.push(("ATT&CK", format!("{} ({link})", rule.attack_id)));
    }
    facts
}

const fn about(subject: Subject) -> &'static str {
    match subject {
        Subject::Source => "a source",
        Subject::SourcePort => "a source and a destination port",
        Subject::Address => "an address",
        Subject::Destination => "a destination",
        Subject::DestinationPort => "a destination and a port of it",
        Subject::Itself => "netwatch itself",
    }
}

const fn paragraphs(rule: &Rule) -> [(&'static str, &'static str); 4] {
    let text = &rule.text;
    [
        ("What it measures", text.measures),
        ("Why it fires", text.fires),
        ("What looks alike and is not counted", text.spares),
        ("What to do", text.advice),
    ]
}

/// `medium; high over 100`.
fn severities(rule: &Rule) -> String {
    let mut text = rule.severity.name().to_owned();
    for (more_than, severity) in rule.raised {
        let _ = write!(text, "; {} over {more_than}", severity.name());
    }
    if rule.severity == Severity::Info {
        text.push_str(": recorded, not told");
    }
    text
}

fn attack(rule: &Rule) -> String {
    match rule.attack_id {
        "" => "-".into(),
        id => format!("[{id}](https://attack.mitre.org/techniques/{}/)", id.replace('.', "/")),
    }
}

/// What one would set most likely, at its defaults.
fn example(rule: &Rule) -> String {
    let mut text =
        format!("[rules.{:?}]\nthreshold = {}\nnotify = {}\n", rule.name, rule.threshold, rule.notifies());
    if let Reach::Memory { default_s, .. } = rule.reach {
        let _ = writeln!(text, "window = \"{default_s}s\"");
    }
    for param in rule.params {
        let _ = writeln!(text, "{} = {}", param.name, param.default);
    }
    if let (RuleId::PortHammer, LoginPorts::These(ports)) = (rule.id, Policy::default().login_ports) {
        let _ = writeln!(text, "ports = {ports:?}");
    }
    if rule.id == RuleId::PortUnusual {
        let hours = Policy::default().expected.learn_ns / 3_600_000_000_000;
        let _ = writeln!(text, "services = []\nlearn = \"{hours}h\"");
    }
    text
}

/// A number of seconds, in the largest unit that leaves nothing over.
fn time(seconds: u64) -> String {
    match seconds {
        s if s.is_multiple_of(3_600) => format!("{} h", s / 3_600),
        s if s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// Facts as a list.
fn list_of(facts: &[(&'static str, String)]) -> String {
    facts.iter().map(|(title, value)| format!("- {title}: {value}\n")).collect()
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Lines of at most [`WIDTH`] letters, indented.
fn wrap(paragraph: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() + 3 > WIDTH {
            let _ = writeln!(text, "  {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "  {line}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_heading() {
        let text = markdown();
        for rule in &RULES {
            let (file, anchor) =
                reference(rule).split_once('#').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            // A heading is linked by its lower-case letters, digits and underscores.
            let mut headings = text.lines().filter_map(|line| line.strip_prefix("## "));
            let linked =
                |heading: &str| heading.replace(|c: char| !(c.is_ascii_alphanumeric() || c == '_'), "");
            assert!(file == "docs/rules.md" && headings.any(|heading| linked(heading) == anchor), "{anchor}");
        }
    }

    #[test]
    fn tables_fit_a_terminal() {
        let lists = RULES.iter().map(|rule| explain(rule.name).unwrap()).chain([list()]);
        for line in lists.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()) {
            // A list of ports is one line of the file.
            assert!(line.chars().count() <= WIDTH || line.contains("ports = ["), "{line}");
        }
    }
}
