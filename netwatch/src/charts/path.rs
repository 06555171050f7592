//! Shapes as path data, in a box of [`WIDTH`] by [`HEIGHT`] with its origin at the top left.

use core::fmt::Write as _;

/// Units across.
pub(super) const WIDTH: f64 = 1_000.0;
/// Units down.
pub(super) const HEIGHT: f64 = 100.0;

/// A point of a shape: where it is, and its lower and upper edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub x: f64,
    pub low: f64,
    pub high: f64,
}

/// A number without needless digits.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Height on the canvas of a value on a scale.
pub(super) fn y(value: f64, top: f64) -> f64 {
    let part = (value / top).clamp(0.0, 1.0);
    HEIGHT - HEIGHT * if part.is_finite() { part } else { 0.0 }
}

fn run(data: &mut String, points: impl Iterator<Item = (f64, f64)>, first: char) {
    for (place, (x, y)) in points.enumerate() {
        let letter = if place == 0 { first } else { 'L' };
        // Writing to a text cannot fail.
        let _ = write!(data, "{letter}{} {}", number(x), number(y));
    }
}

/// The upper edges of some runs, as lines. A run of one point is a short line, so that it is seen.
pub(super) fn line(runs: &[&[Point]]) -> String {
    let mut data = String::new();
    for points in runs {
        run(&mut data, points.iter().map(|point| (point.x, point.high)), 'M');
        if points.len() == 1 {
            data.push_str("h2");
        }
    }
    data
}

/// What lies between the edges of some runs.
pub(super) fn area(runs: &[&[Point]]) -> String {
    let mut data = String::new();
    for points in runs.iter().filter(|points| points.len() > 1) {
        run(&mut data, points.iter().map(|point| (point.x, point.high)), 'M');
        run(&mut data, points.iter().rev().map(|point| (point.x, point.low)), 'L');
        data.push('Z');
    }
    data
}
