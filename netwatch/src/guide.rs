//! The table of rules for people: `netwatch rules` and docs/rules.md.

use std::fmt::Write as _;

use crate::analysis::RuleId;
use crate::analysis::policy::LOCAL_FACTOR;
use crate::analysis::rules::{RULES, Rule, Severity};
use crate::nearest::nearest;

/// Width of a line on a terminal.
const WIDTH: usize = 100;

/// One line per rule.
#[must_use]
pub fn list() -> String {
    let mut text = format!("{:<15} {:>7}  {:<8}  {}\n", "RULE", "DEFAULT", "SEVERITY", "SUMMARY");
    for rule in RULES {
        let severity = rule.severity.name();
        let _ = writeln!(text, "{:<15} {:>7}  {severity:<8}  {}", rule.name, rule.threshold, rule.summary);
    }
    text
}

/// All there is to know about one rule.
///
/// # Errors
///
/// There is no such rule; says which may have been meant.
pub fn explain(name: &str) -> Result<String, String> {
    let rule = find(name)?.rule();
    let mut text = format!("{}: {}\n\n", rule.name, rule.summary);
    for (title, value) in facts(rule) {
        let _ = writeln!(text, "  {title:<10} {value}");
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
            None => format!("no rule named {name:?}; there are {}", names.join(", ")),
        }
    })
}

/// docs/rules.md.
#[must_use]
pub fn markdown() -> String {
    let mut text = "\
# Rules

Made from the table in `netwatch/src/analysis/rules.rs` by `UPDATE=1 cargo test -p netwatch --test docs`; do not edit.
`netwatch rules explain RULE` says the same on a terminal.

| rule | fires when one source has, within the window, more | default | severity | ATT&CK |
|---|---|---|---|---|
"
    .to_owned();
    for rule in &RULES {
        let _ = writeln!(
            text,
            "| [`{}`](#{}) | {} | {} | {} | {} |",
            rule.name,
            rule.name.replace('.', ""),
            rule.unit,
            rule.threshold,
            severities(rule),
            attack(rule)
        );
    }
    text.push_str(
        "\nA rule fires when it finds strictly more than its threshold. The window is 60 s unless set otherwise.\n",
    );
    for rule in &RULES {
        let _ = write!(text, "\n## {}\n\n{}\n", rule.name, rule.summary);
        for (title, paragraph) in paragraphs(rule) {
            let _ = write!(text, "\n**{title}.** {paragraph}\n");
        }
        let _ = write!(text, "\n```toml\n{}```\n", example(rule));
    }
    text
}

fn facts(rule: &Rule) -> [(&'static str, String); 4] {
    let scan = if rule.id == RuleId::ScanVertical {
        format!(", {} for local sources", rule.threshold.saturating_mul(LOCAL_FACTOR))
    } else {
        String::new()
    };
    [
        ("threshold", format!("more than {} {} in the window{scan}", rule.threshold, rule.unit)),
        ("severity", severities(rule)),
        ("notify", rule.notifies().to_string()),
        ("ATT&CK", format!("{} (https://attack.mitre.org/techniques/{}/)", rule.attack_id, rule.attack_id)),
    ]
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
    format!("[{0}](https://attack.mitre.org/techniques/{0}/)", rule.attack_id)
}

fn example(rule: &Rule) -> String {
    format!("[rules.{:?}]\nthreshold = {}\nnotify = {}\n", rule.name, rule.threshold, rule.notifies())
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
