//! Charts as SVG, for the page and for reports: numbers in, markup out.
//!
//! Each chart has a summary for who cannot see it, and a table of its numbers beneath. Colours are classes (`c0` to `c9`) that a
//! style sheet gives a meaning; lines differ by their dashes, too. The page's script draws the same geometry anew as numbers
//! come. In reading order: `scale` (round numbers and times), `path` (shapes), [`time`] (charts over time), [`columns`], [`small`] (bars).

pub mod columns;
mod path;
mod scale;
pub mod small;
pub mod time;

#[cfg(test)]
mod tests;

use netwatch_common::Class;

pub use columns::Columns;
pub use small::{bar, mix, sparkline};
pub use time::{Axis, Series, TimeChart};

/// Classes that are evidence of something, in the order in which charts stack them.
pub const EVIDENCE: [Class; 8] = [
    Class::Syn,
    Class::Stealth,
    Class::OutOfState,
    Class::Backscatter,
    Class::UdpNew,
    Class::IcmpProbe,
    Class::Fragment,
    Class::Malformed,
];

/// How many colours there are.
pub const COLOURS: usize = 10;

/// The class of a colour, by its number; after the last one they begin anew.
#[must_use]
pub fn colour(number: usize) -> &'static str {
    const NAMES: [&str; COLOURS] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"];
    NAMES[number % COLOURS]
}

/// The colour of a class of packets, the same in all charts.
#[must_use]
pub fn class_colour(class: Class) -> &'static str {
    match class {
        // What is no evidence of anything has no colour.
        Class::Known => "n0",
        Class::Other => "n1",
        class => colour(class as usize),
    }
}

/// A value that can be drawn: neither negative nor infinite nor no number.
fn drawable(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}
