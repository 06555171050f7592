//! One thing at length, as lines to scroll in: an incident, a source, the keys.

use netwatch_common::Class;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Canvas;
use super::board::letter;
use crate::analysis::rules::RULES;
use crate::top::data::{Incident, Source};
use crate::top::model::{Model, View};
use crate::top::words::{count, wrap};

/// Columns of the names of fields.
const NAME: usize = 20;

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What all of it is about, or a heading.
    Strong,
    /// Everything else.
    Plain,
}

pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(model, usize::from(area.width));
    let room = usize::from(area.height - 1);
    let first = model.scroll.min(lines.len().saturating_sub(room.max(1)));
    let title = match &model.view {
        View::Incident(incident) if incident.is_open => "incident, open",
        View::Incident(_) => "incident, closed",
        View::Source(_) => "source",
        View::Help | View::Board => "keys",
    };
    let about = match lines.len() > room {
        true => format!("{}-{} of {}", first + 1, (first + room).min(lines.len()), lines.len()),
        false => String::new(),
    };
    canvas.heading(area, title, &about, false);
    for (y, (kind, line)) in (area.y + 1..).zip(lines.iter().skip(first).take(room)) {
        let style = if *kind == Kind::Strong { canvas.look.strong() } else { Style::new() };
        canvas.text(area.x, y, area.width, line, style);
    }
}

/// All of it, in lines of so many columns.
pub(super) fn lines(model: &Model, columns: usize) -> Vec<(Kind, String)> {
    let mut lines = Lines { columns, lines: Vec::new() };
    match &model.view {
        View::Board => {}
        View::Incident(one) => incident(&mut lines, one),
        View::Source(one) => source(&mut lines, one, model),
        View::Help => help(&mut lines),
    }
    lines.lines
}

struct Lines {
    columns: usize,
    lines: Vec<(Kind, String)>,
}

impl Lines {
    fn text(&mut self, kind: Kind, text: &str) {
        self.lines.extend(wrap(text, self.columns).into_iter().map(|line| (kind, line)));
    }

    fn gap(&mut self) {
        self.lines.push((Kind::Plain, String::new()));
    }

    /// A name, and behind it what it stands for.
    fn field(&mut self, name: &str, value: &str) {
        let room = self.columns.saturating_sub(NAME).max(10);
        for (index, part) in wrap(value, room).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            self.lines.push((Kind::Plain, format!("{name:<width$} {part}", width = NAME - 1)));
        }
    }
}

fn incident(lines: &mut Lines, incident: &Incident) {
    lines.text(Kind::Strong, &format!("{}: {}", incident.severity.name(), incident.text));
    lines.gap();
    for (name, value) in &incident.fields {
        lines.field(name, value);
    }
    // The rules are in every netwatch; one that only another version has is explained there.
    if let Some(rule) = RULES.iter().find(|rule| rule.name == incident.rule) {
        lines.gap();
        lines.text(Kind::Strong, &format!("{}: {}", rule.name, rule.summary));
        for (name, text) in [
            ("measures", rule.text.measures),
            ("fires", rule.text.fires),
            ("spares", rule.text.spares),
            ("what to do", rule.text.advice),
        ] {
            lines.field(name, text);
        }
    }
}

fn source(lines: &mut Lines, source: &Source, model: &Model) {
    // The newest of it, where it is still among the busiest.
    let same = |one: &&Source| one.source == source.source && one.interface == source.interface;
    let now = model.data().sources.iter().find(same);
    let is_gone = now.is_none();
    let source = now.unwrap_or(source);
    lines.text(Kind::Strong, &format!("{} on {}", source.source, source.interface));
    if is_gone {
        lines.text(Kind::Plain, "It is not among the busiest any more; this is what it was.");
    }
    lines.gap();
    lines.field("packets", &source.packets.to_string());
    lines.field("bytes", &source.bytes.to_string());
    lines.field("handshakes", &source.completed.to_string());
    lines.field("first seen", &source.first_seen);
    lines.field("last seen", &source.last_seen);
    lines.gap();
    lines.text(Kind::Strong, "Packets by class");
    for class in Class::ALL {
        let packets = source.classes[class as usize];
        if packets > 0 {
            let share = packets as f64 / source.packets.max(packets) as f64 * 100.0;
            lines.field(
                &format!("{} {}", letter(class), class.name()),
                &format!("{}  {share:.0} %", count(packets)),
            );
        }
    }
    lines.gap();
    lines.text(Kind::Strong, "Its open incidents");
    let mut own = model.data().incidents.iter().filter(|one| one.source == source.source).peekable();
    if own.peek().is_none() {
        lines.text(Kind::Plain, "none");
    }
    for incident in own {
        lines.field(incident.severity.name(), &incident.text);
    }
}

fn help(lines: &mut Lines) {
    for (keys, does) in [
        ("Tab", "the next list: incidents, sources, ports"),
        ("Up Down  k j", "choose a row, or scroll"),
        ("PgUp PgDn Home End", "the same in larger steps"),
        ("Enter", "open the incident or the source; Esc or q comes back"),
        ("/", "show only incidents and sources with a text; Esc clears it"),
        ("s", "sort the list by something else"),
        ("p", "hold what is shown, and go on"),
        ("Ctrl-L", "draw everything again"),
        ("Ctrl-Z", "stop until `fg`"),
        ("q  Ctrl-C", "quit"),
    ] {
        lines.field(keys, does);
    }
    lines.gap();
    lines.text(Kind::Strong, "Letters of a source's mix, eight for all its packets");
    let of = |class: &Class| format!("{} {}", letter(*class), class.name());
    lines.text(Kind::Plain, &Class::ALL.iter().map(of).collect::<Vec<_>>().join("  "));
    lines.gap();
    lines.text(
        Kind::Plain,
        "Severities are info, low, medium, high and critical. A bar of the chart is the second with the most packets of \
         those that it stands for; in colour, yellow is what nobody asked for. Lost are counts and hints that found no \
         room since the daemon's start.",
    );
}
