//! Round numbers and times for axes.

use jiff::Timestamp;

use super::drawable;

/// The least round number that is not below `most`: its half is round, too.
pub(super) fn top(most: f64) -> f64 {
    let most = drawable(most).max(1.0);
    let size = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    let top = steps.into_iter().map(|step| step * size).find(|top| *top >= most * (1.0 - 1e-9));
    top.unwrap_or(size * 10.0).min(f64::MAX)
}

/// A mark on the axis of time: how far along, from 0 to 1, and what is written there.
pub(super) type Mark = (f64, String);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Distances between marks.
const STEPS: [i64; 14] = [
    15_000,
    30_000,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
];
/// Most marks, so that they fit on a telephone.
const MARKS: i64 = 6;

fn step(span: i64) -> i64 {
    STEPS.into_iter().find(|step| span / step <= MARKS).unwrap_or(span.max(1))
}

/// Marks of the last `span` milliseconds: how long ago.
pub(super) fn ago(span: i64) -> Vec<Mark> {
    let step = step(span);
    let steps = (1..=span / step.max(1)).filter(|number| number.saturating_mul(step) < span);
    let marks = steps.map(|number| {
        let length = number * step;
        let text = match length {
            ..MINUTE => format!("−{} s", length / 1_000),
            MINUTE..HOUR => format!("−{} min", length / MINUTE),
            HOUR..DAY => format!("−{} h", length / HOUR),
            _ => format!("−{} d", length / DAY),
        };
        (1.0 - length as f64 / span as f64, text)
    });
    marks.collect()
}

/// Marks between two times in milliseconds: at round times of UTC.
pub(super) fn times(from: i64, to: i64) -> Vec<Mark> {
    let span = to.saturating_sub(from);
    if span <= 0 {
        return Vec::new();
    }
    let step = step(span);
    let form = match step {
        ..MINUTE => "%H:%M:%S",
        MINUTE..DAY if span <= 2 * DAY => "%H:%M",
        MINUTE..DAY => "%d %b %H:%M",
        _ => "%d %b",
    };
    let first = from.div_euclid(step).saturating_add(1);
    let marks = (first..first.saturating_add(MARKS + 1))
        .map(|number| number.saturating_mul(step))
        .take_while(|at| *at < to);
    let marks = marks.map(|at| (at.saturating_sub(from) as f64 / span as f64, clock(at, form)));
    // What is written at the edges would be cut off.
    marks.filter(|(place, _)| (0.04..0.96).contains(place)).collect()
}

/// A time in milliseconds as text.
pub(super) fn clock(at_ms: i64, form: &str) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| at.strftime(form).to_string())
}
