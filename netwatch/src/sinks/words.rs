//! Numbers and names as people read them.

use core::fmt::{self, Display, Formatter};
use core::net::IpAddr;

use netwatch_common::Proto;

use crate::analysis::{Peer, Transition};

/// A number of what a rule counts: `1000 tcp ports`, `31 connection attempts to tcp port 22`.
pub(crate) struct Units {
    pub(crate) number: u64,
    pub(crate) unit: &'static str,
    /// Whether to say that they are distinct, where that is so.
    pub(crate) distinct: bool,
    pub(crate) proto: Option<Proto>,
    /// A port that all of them are about.
    pub(crate) port: Option<u16>,
}

impl Units {
    /// So many of what an incident counts.
    pub(crate) const fn of(t: &Transition, number: u64) -> Self {
        Self { number, unit: t.unit, distinct: false, proto: t.proto, port: None }
    }
}

impl Display for Units {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unit = match self.unit.strip_prefix("distinct ") {
            Some(unit) if !self.distinct => unit,
            _ => self.unit,
        };
        if unit == "bits/s" {
            return write!(f, "{}", Amount { number: self.number, unit });
        }
        write!(f, "{} ", self.number)?;
        match (unit.strip_suffix("ports"), self.proto) {
            (Some(kind), Some(proto)) => write!(f, "{kind}{} ports", proto.name())?,
            _ if self.number == 1 && unit == "losses" => f.write_str("loss")?,
            // The threshold of most units is more than one, and so is what is told of them.
            _ if self.number == 1 && unit == "accepted connections" => f.write_str("accepted connection")?,
            _ => f.write_str(unit)?,
        }
        match self.port {
            Some(number) => {
                let at = if unit == "destinations" { "at" } else { "to" };
                write!(f, " {at} {}", Port { number, proto: self.proto })
            }
            None => Ok(()),
        }
    }
}

/// A bare number, but for bits, of which there are too many: `1.2 Gbit/s`.
pub(crate) struct Amount {
    pub(crate) number: u64,
    pub(crate) unit: &'static str,
}

impl Display for Amount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.unit {
            "bits/s" => decimal(f, self.number, "bit/s"),
            _ => write!(f, "{}", self.number),
        }
    }
}

/// How long a window is: `in 60 s`, and `over 5 s` of a rate, which is an average.
pub(crate) struct Window<'a>(pub(crate) &'a Transition);

impl Display for Window<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lead = if self.0.unit.ends_with("/s") { "over" } else { "in" };
        write!(f, "{lead} {}", Duration(self.0.window_ns))
    }
}

/// `tcp port 22`, or `port 22` where the protocol is not known.
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) proto: Option<Proto>,
}

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(proto) = self.proto {
            write!(f, "{} ", proto.name())?;
        }
        write!(f, "port {}", self.number)
    }
}

/// `1 source`, `12 sources`.
pub(crate) struct Count(pub(crate) u64, pub(crate) &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// What a source is accounted by: `203.0.113.7`, `2001:db8::/64`.
pub(crate) struct Source(pub(crate) Peer);

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Peer { addr, bits, .. } = self.0;
        let all = match addr {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if bits < all { write!(f, "{addr}/{bits}") } else { write!(f, "{addr}") }
    }
}

/// A length of time in nanoseconds, in the two largest units that matter: `60 s`, `12 min 5 s`.
pub(crate) struct Duration(pub(crate) u64);

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

/// A number of bytes: `72.0 kB`.
pub(crate) struct Bytes(pub(crate) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, "B")
    }
}

/// A number in decimal units with one digit after the point, which is cut and not rounded.
fn decimal(f: &mut Formatter<'_>, number: u64, unit: &str) -> fmt::Result {
    const PREFIXES: [(u64, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match PREFIXES.into_iter().find(|(size, _)| number >= *size) {
        Some((size, prefix)) => {
            write!(f, "{}.{} {prefix}{unit}", number / size, number % size / (size / 10))
        }
        None => write!(f, "{number} {unit}"),
    }
}

/// Ascending ports, neighbours joined: `1-12, 22, 80`.
pub(crate) struct Ranges<'a>(pub(crate) &'a [u16]);

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
pub(crate) struct Printable<'a>(pub(crate) &'a str);

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
