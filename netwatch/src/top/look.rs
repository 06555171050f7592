//! With what it is drawn: colours where the terminal has them, and letters that it can show. Nothing is told by colour alone.

use ratatui::style::{Color, Modifier, Style};

use crate::analysis::Severity;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether colours are used.
    pub colour: bool,
    /// Whether nothing but ASCII is used.
    pub ascii: bool,
}

impl Look {
    /// What the surroundings allow, unless the options say less.
    #[must_use]
    pub fn of(no_color: bool, ascii: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        // The first of them that is set says it, as everywhere.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(|name| is_set(name)).and_then(&variable);
        let is_utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Self { colour: !(no_color || is_dumb || is_set("NO_COLOR")), ascii: ascii || !is_utf8 }
    }

    fn colour(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// What matters less. Dim rather than grey: some palettes show grey as the background.
    pub(super) fn muted(self) -> Style {
        if self.colour { Style::new().add_modifier(Modifier::DIM) } else { Style::new() }
    }

    /// What matters.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is as it should be.
    pub(super) fn good(self) -> Style {
        self.colour(Color::Green).add_modifier(Modifier::BOLD)
    }

    /// What somebody should look after.
    pub(super) fn poor(self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Packets that nobody asked for, and all others.
    pub(super) fn traffic(self, is_unsolicited: bool) -> Style {
        self.colour(if is_unsolicited { Color::Yellow } else { Color::Cyan })
    }

    /// A severity, beside its word.
    pub(super) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Info => Style::new(),
            Severity::Low => self.colour(Color::Cyan),
            Severity::Medium => self.colour(Color::Yellow),
            Severity::High => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            Severity::Critical => self.colour(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }

    /// The line of a heading.
    pub(super) const fn line(self) -> &'static str {
        if self.ascii { "-" } else { "─" }
    }

    /// A cell of a bar that is so many eighths full.
    pub(super) fn eighths(self, eighths: usize) -> &'static str {
        const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const LETTERS: [&str; 9] = [" ", ".", ".", ":", ":", "|", "|", "#", "#"];
        let all = if self.ascii { LETTERS } else { BLOCKS };
        all.get(eighths).copied().unwrap_or(all[8])
    }

    /// A cell of a bar that lies, so many eighths full.
    pub(super) fn lying(self, eighths: usize) -> &'static str {
        const BLOCKS: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
        const LETTERS: [&str; 9] = [" ", " ", ".", ".", "-", "-", "=", "=", "#"];
        let all = if self.ascii { LETTERS } else { BLOCKS };
        all.get(eighths).copied().unwrap_or(all[8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)]) -> (bool, bool) {
        let value = |name: &str| {
            let found = variables.iter().find(|(found, _)| *found == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let Look { colour, ascii } = Look::of(false, false, value);
        (colour, ascii)
    }

    #[test]
    fn the_surroundings_say_what_can_be_shown() {
        let term = ("TERM", "xterm-256color");
        assert_eq!(look(&[term, ("LANG", "de_DE.UTF-8")]), (true, false));
        assert_eq!(look(&[term, ("LANG", "C.utf8"), ("NO_COLOR", "1")]), (false, false));
        assert_eq!(look(&[term, ("LANG", "C.UTF-8"), ("NO_COLOR", "")]), (true, false));
        assert_eq!(look(&[term, ("LANG", "C.UTF-8"), ("LC_ALL", "C")]), (true, true));
        assert_eq!(look(&[("TERM", "dumb"), ("LC_CTYPE", "C.UTF-8")]), (false, false));
        assert_eq!(look(&[]), (false, true));
    }
}
