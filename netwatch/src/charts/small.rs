//! Bars and lines that stand beside numbers, and say nothing that those do not.

use maud::{Markup, html};

use super::path::{self, HEIGHT, Point, WIDTH};
use super::{drawable, scale};

/// A part of something, from 0 to 1.
fn part(value: f64, whole: f64) -> f64 {
    let part = drawable(value) / whole;
    if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
}

fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}

/// A bar of this value, of which `most` is the longest.
#[must_use]
pub fn bar(value: f64, most: f64) -> Markup {
    html! {
        svg.bar aria-hidden="true" focusable="false" {
            rect.track width="100%" height="100%" rx="2" {}
            rect.c0 width=(percent(part(value, most))) height="100%" rx="2" {}
        }
    }
}

/// A bar made of parts, each with the class of its colour; together they are as long as their sum is of `most`.
#[must_use]
pub fn mix(parts: &[(&'static str, f64)], most: f64) -> Markup {
    let mut start = 0.0;
    let placed: Vec<_> = parts
        .iter()
        .map(|(class, value)| {
            let from = start;
            start += drawable(*value);
            (*class, part(from, most), part(*value, most))
        })
        .filter(|(_, _, length)| *length > 0.0)
        .collect();
    html! {
        svg.bar aria-hidden="true" focusable="false" {
            rect.track width="100%" height="100%" rx="2" {}
            @for (class, from, length) in placed {
                rect class=(class) x=(percent(from)) width=(percent(length)) height="100%" {}
            }
        }
    }
}

/// A line as high as a word; `label` says what it shows.
#[must_use]
pub fn sparkline(values: &[f64], label: &str) -> Markup {
    let top = scale::top(values.iter().copied().map(drawable).fold(0.0, f64::max));
    let last = values.len().saturating_sub(1).max(1) as f64;
    let points: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(place, value)| Point {
            x: place as f64 / last * WIDTH,
            low: HEIGHT,
            high: path::y(drawable(*value), top),
        })
        .collect();
    let runs: &[&[Point]] = if points.is_empty() { &[] } else { &[&points] };
    html! {
        svg.sparkline role="img" aria-label=(label) preserveAspectRatio="none" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
            path class="area c0" d=(path::area(runs)) {}
            path class="line c0" d=(path::line(runs)) {}
        }
    }
}
