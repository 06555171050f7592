//! One line per transition for people.

use core::fmt::{self, Display, Formatter};

use netwatch_common::Proto;

use super::Renderer;
use crate::analysis::{CloseReason, RuleId, Severity, State, Transition};

/// A line without its end.
pub(super) struct Line<'a> {
    pub(super) transition: &'a Transition,
    pub(super) renderer: &'a Renderer,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { transition: t, renderer } = self;
        write!(f, "{:.0} ", renderer.wall.at(t.at_ns))?;
        severity(f, t.severity, renderer.colour)?;
        write!(f, " {:6} {:15} {} ", t.state.name(), t.rule.name(), t.source)?;
        let (verb, number) = match (t.state, t.rule) {
            (State::Open | State::Update, RuleId::ScanVertical) => ("probed", t.observed),
            (State::Open | State::Update, _) => ("sent", t.observed),
            (State::Close(CloseReason::Quiet), _) => ("is quiet: at most", t.peak),
            (State::Close(CloseReason::Shutdown), _) => ("was active at shutdown: at most", t.peak),
            (State::Close(CloseReason::Allowed), _) => ("is allowed now: at most", t.peak),
            (State::Close(CloseReason::Disabled), _) => {
                ("was active when the rule was switched off: at most", t.peak)
            }
        };
        let units = Units { number, distinct: "", rule: t.rule, proto: t.proto };
        let (window, interface) = (Duration(t.window_ns), Printable(&t.interface));
        write!(f, "{verb} {units} in {window} on {interface} (threshold {})", t.threshold)?;
        ports(f, t)?;
        if matches!(t.state, State::Close(_)) {
            let lasted = Duration(t.last_ns.saturating_sub(t.first_ns));
            write!(f, "; {} packets, {} in {lasted}", t.packets, Bytes(t.bytes))?;
        }
        let mut lead = "; evidence ";
        for (class, count) in t.by_class() {
            write!(f, "{lead}{}={count}", class.name())?;
            lead = " ";
        }
        if t.suppressed > 0 {
            write!(f, "; held back {} times before", t.suppressed)?;
        }
        write!(f, "; incident {}", renderer.incident(t))
    }
}

/// A number of what a rule counts: `1000 tcp ports`.
pub(super) struct Units {
    pub(super) number: u64,
    /// Said before ports where there is room for it.
    pub(super) distinct: &'static str,
    pub(super) rule: RuleId,
    pub(super) proto: Option<Proto>,
}

impl Display for Units {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.number)?;
        match (self.rule, self.proto) {
            (RuleId::ScanVertical, Some(proto)) => write!(f, "{}{} ports", self.distinct, proto.name()),
            (rule, _) => f.write_str(rule.rule().unit),
        }
    }
}

/// A length of time in nanoseconds, in the two largest units that matter: `60 s`, `12 min 5 s`.
pub(super) struct Duration(pub(super) u64);

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000_000_000;
        let two = |f: &mut Formatter<'_>, (high, unit), (low, lower_unit)| match low {
            0 => write!(f, "{high} {unit}"),
            _ => write!(f, "{high} {unit} {low} {lower_unit}"),
        };
        match seconds {
            0 => write!(f, "{} ms", self.0 / 1_000_000),
            // A minute and a half reads better in seconds, and so does the usual window.
            1..120 => write!(f, "{seconds} s"),
            120..7_200 => two(f, (seconds / 60, "min"), (seconds % 60, "s")),
            _ => two(f, (seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        }
    }
}

/// A number of bytes in decimal units with one digit after the point: `72.0 kB`.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] =
            [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
        match UNITS.into_iter().find(|(size, _)| self.0 >= *size) {
            Some((size, unit)) => write!(f, "{}.{} {unit}", self.0 / size, self.0 % size / (size / 10)),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Ascending ports, neighbours joined: `1-12, 22, 80`.
struct Ranges<'a>(&'a [u16]);

impl Display for Ranges<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lead = "";
        for run in self.0.chunk_by(|left, right| left.checked_add(1) == Some(*right)) {
            match run {
                [] => {}
                [only] => write!(f, "{lead}{only}")?,
                [first, second] => write!(f, "{lead}{first}, {second}")?,
                [first, .., last] => write!(f, "{lead}{first}-{last}")?,
            }
            lead = ", ";
        }
        Ok(())
    }
}

/// A name from outside without what a terminal would obey.
struct Printable<'a>(&'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            match part.strip_suffix(char::is_control) {
                Some(clean) => write!(f, "{clean}?")?,
                None => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

fn severity(f: &mut Formatter<'_>, severity: Severity, colour: bool) -> fmt::Result {
    // Padded by hand: the escape sequences must not count.
    let word = severity.name().to_uppercase();
    let padding = 8_usize.saturating_sub(word.len());
    let code = match severity {
        Severity::Info => "2",
        Severity::Low => "36",
        Severity::Medium => "33",
        Severity::High => "31",
        Severity::Critical => "1;31",
    };
    if colour {
        write!(f, "\x1b[{code}m{word}\x1b[0m{:padding$}", "")
    } else {
        write!(f, "{word}{:padding$}", "")
    }
}

fn ports(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    let first = t.ports.first_ports();
    let lead = match (first, t.proto) {
        ([], _) => return Ok(()),
        (_, Some(_)) => ": ",
        ([_], None) => ": port ",
        (_, None) => ": ports ",
    };
    write!(f, "{lead}{}", Ranges(first))?;
    if t.ports.distinct > 0 && usize::try_from(t.ports.distinct) != Ok(first.len()) {
        f.write_str(" …")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let check = |ns, expect: &str| assert_eq!(Duration(ns).to_string(), expect);
        let second = 1_000_000_000;
        check(0, "0 ms");
        check(999_999_999, "999 ms");
        check(60 * second, "60 s");
        check(119 * second, "119 s");
        check(120 * second, "2 min");
        check(725 * second, "12 min 5 s");
        check(7_200 * second, "2 h");
        check(90_061 * second, "25 h 1 min");
    }

    #[test]
    fn bytes_have_one_digit_after_the_point() {
        let check = |bytes, expect: &str| assert_eq!(Bytes(bytes).to_string(), expect);
        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(72_960, "72.9 kB");
        check(1_250_000_000, "1.2 GB");
    }

    #[test]
    fn neighbouring_ports_are_joined() {
        let check = |ports: &[u16], expect: &str| assert_eq!(Ranges(ports).to_string(), expect);
        check(&[], "");
        check(&[22], "22");
        check(&[22, 23], "22, 23");
        check(&[1, 2, 3, 22, 80, 81, 82], "1-3, 22, 80-82");
        check(&[65533, 65534, 65535], "65533-65535");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(Printable("eth0").to_string(), "eth0");
        assert_eq!(Printable("\x1b[2Je\nth\u{9b}0\0").to_string(), "?[2Je?th?0?");
    }
}
