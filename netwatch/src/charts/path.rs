//! Shapes as path data, in a box of [`WIDTH`] by [`HEIGHT`] with its origin at the top left.
//!
//! Places are whole numbers, each told by how far it is from the one before: that is half as long.

use core::fmt::Write as _;

/// Units across: ten for each second of five minutes.
pub(super) const WIDTH: f64 = 3_000.0;
/// Units down.
pub(super) const HEIGHT: f64 = 200.0;

/// A point of a shape: where it is, and its lower and upper edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub x: f64,
    pub low: f64,
    pub high: f64,
}

/// Height on the canvas of a value on a scale.
pub(super) fn y(value: f64, top: f64) -> f64 {
    let part = (value / top).clamp(0.0, 1.0);
    HEIGHT - HEIGHT * if part.is_finite() { part } else { 0.0 }
}

/// A path that is being written, and where its last point is.
#[derive(Default)]
struct Path {
    data: String,
    at: (i64, i64),
}

impl Path {
    fn go(&mut self, is_first: bool, (x, y): (f64, f64)) {
        // A canvas is a few thousand units large, so nothing is cut off; what were no number would be nothing.
        #[allow(clippy::cast_possible_truncation)]
        let (x, y) = (x.round() as i64, y.round() as i64);
        let (dx, dy) = (x - self.at.0, y - self.at.1);
        // Writing to a text cannot fail.
        let _ = match (is_first, dy) {
            (true, _) => write!(self.data, "M{x} {y}"),
            (false, 0) => write!(self.data, "h{dx}"),
            (false, ..0) => write!(self.data, "l{dx}{dy}"),
            (false, _) => write!(self.data, "l{dx} {dy}"),
        };
        self.at = (x, y);
    }
}

/// The upper edges of some runs, as lines. A run of one point is a short line, so that it is seen.
pub(super) fn line(runs: &[&[Point]]) -> String {
    let mut path = Path::default();
    for points in runs {
        for (place, point) in points.iter().enumerate() {
            path.go(place == 0, (point.x, point.high));
        }
        if points.len() == 1 {
            path.data.push_str("h6");
        }
    }
    path.data
}

/// What lies between the edges of some runs.
pub(super) fn area(runs: &[&[Point]]) -> String {
    let mut path = Path::default();
    for points in runs.iter().filter(|points| points.len() > 1) {
        for (place, point) in points.iter().enumerate() {
            path.go(place == 0, (point.x, point.high));
        }
        let mut lows = points.iter().rev().peekable();
        let mut before = None;
        while let Some(point) = lows.next() {
            // Of a level edge its ends are enough.
            let is_level = before == Some(point.low) && lows.peek().is_some_and(|next| next.low == point.low);
            if !is_level {
                path.go(false, (point.x, point.low));
            }
            before = Some(point.low);
        }
        path.data.push('Z');
    }
    path.data
}
