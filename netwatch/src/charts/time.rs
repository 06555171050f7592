//! Lines, areas and stacks over time.

use maud::{Markup, html};

use super::path::{self, HEIGHT, Point, WIDTH};
use super::{colour, drawable, scale};

/// Rows of the table beneath, at most.
const ROWS: usize = 30;
/// A gap of so many usual distances is no measurement, and no line goes across.
const GAP: i64 = 5;

/// A chart over time.
pub struct TimeChart<'a> {
    /// Its name on the page, of letters and hyphens: once on each page.
    pub id: &'a str,
    /// What it shows, with its unit.
    pub title: &'a str,
    /// How values are written.
    pub unit: fn(f64) -> String,
    /// When the values are, in milliseconds since 1970, ascending.
    pub at_ms: &'a [i64],
    /// What is shown. Missing values are taken for nothing.
    pub series: &'a [Series<'a>],
    /// Whether series lie on top of each other.
    pub is_stacked: bool,
    /// Which time is shown.
    pub axis: Axis,
    /// What the script updates it from; none where it stays as it is.
    pub live: Option<&'a str>,
}

/// One of several rows of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number of its colour.
    pub colour: usize,
    /// Its values.
    pub values: Vec<f64>,
}

/// Which time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// So many milliseconds before the newest value; marks say how long ago.
    Last(i64),
    /// From one time to another, in milliseconds since 1970; marks are times in UTC.
    Between(i64, i64),
}

impl TimeChart<'_> {
    /// The chart, its legend and its table.
    #[must_use]
    pub fn render(&self) -> Markup {
        let class = if self.is_stacked { "chart stacked" } else { "chart" };
        html! {
            figure class=(class) {
                (self.plot())
                (self.legend())
                (self.table())
            }
        }
    }

    fn plot(&self) -> Markup {
        let (from, to) = self.span();
        let shapes = self.shapes(from, to);
        let top = scale::top(self.most());
        let marks = match self.axis {
            Axis::Last(span) => scale::ago(span),
            Axis::Between(from, to) => scale::times(from, to),
        };
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let names = format!("{title} {desc}");
        let span_ms = to.saturating_sub(from);
        html! {
            svg.plot id=(self.id) role="img" aria-labelledby=(names) height="10rem" data-chart=[self.live]
                data-span=[self.live.map(|_| span_ms)] {
                title id=(title) { (self.title) }
                desc id=(desc) { (self.summary()) }
                line.gridline x1="0" x2="100%" y1="1.25rem" y2="1.25rem" {}
                line.gridline x1="0" x2="100%" y1="4.875rem" y2="4.875rem" {}
                svg x="0" y="1.25rem" width="100%" height="7.25rem" preserveAspectRatio="none"
                    viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
                    @for (series, (area, line)) in self.series.iter().zip(&shapes) {
                        path class=(format!("area {}", colour(series.colour))) data-area=(series.name) d=(area) {}
                        path class=(format!("line {}", colour(series.colour))) data-line=(series.name) d=(line) {}
                    }
                }
                line.base x1="0" x2="100%" y1="8.5rem" y2="8.5rem" {}
                text.top-label x="2" y="1rem" { ((self.unit)(top)) }
                text.half-label x="2" y="4.625rem" { ((self.unit)(top / 2.0)) }
                @for (place, text) in marks {
                    text x=(format!("{:.2}%", place * 100.0)) y="9.6rem" text-anchor="middle" { (text) }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for series in self.series {
                    @let most = series.values.iter().copied().map(drawable).fold(0.0, f64::max);
                    li.is-nothing[most <= 0.0] data-legend=(series.name) {
                        (swatch(series.colour))
                        span { (series.name) }
                        span.value { (self.written(series.values.last().copied().unwrap_or(0.0))) }
                    }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        let shown: Vec<_> =
            self.series.iter().filter(|series| series.values.iter().any(|one| *one > 0.0)).collect();
        let rows = self.at_ms.len();
        let size = rows.div_ceil(ROWS).max(1);
        let (from, to) = self.span();
        let form = if to.saturating_sub(from) > 86_400_000 { "%Y-%m-%d %H:%M" } else { "%H:%M:%S" };
        html! {
            details {
                summary { "Numbers" }
                @if rows == 0 || shown.is_empty() {
                    p.empty { "Nothing was counted yet." }
                } @else {
                    div.scroll tabindex="0" role="region" aria-label=(self.title) {
                        table {
                            caption { (self.title) @if size > 1 { "; on average from each time on" } ". Times are UTC." }
                            thead { tr {
                                th scope="col" { "Time" }
                                @for series in &shown { th.number scope="col" { (series.name) } }
                            } }
                            tbody {
                                @for first in (0..rows).step_by(size) {
                                    tr {
                                        th scope="row" { (scale::clock(self.at_ms[first], form)) }
                                        @for series in &shown {
                                            td.number { (self.written(average(&series.values, first, size))) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// What the chart says, in words.
    fn summary(&self) -> String {
        let of = |series: &Series<'_>| {
            let most = series.values.iter().copied().map(drawable).fold(0.0, f64::max);
            let now = series.values.last().copied().unwrap_or(0.0);
            (most > 0.0).then(|| {
                format!("{}: {} at the end, {} at most", series.name, self.written(now), self.written(most))
            })
        };
        let told: Vec<_> = self.series.iter().filter_map(of).collect();
        if told.is_empty() { "Nothing to show.".to_owned() } else { format!("{}.", told.join("; ")) }
    }

    fn written(&self, value: f64) -> String {
        (self.unit)(drawable(value))
    }

    fn span(&self) -> (i64, i64) {
        match self.axis {
            Axis::Between(from, to) => (from, to),
            Axis::Last(span) => {
                let to = self.at_ms.last().copied().unwrap_or(0);
                (to.saturating_sub(span), to)
            }
        }
    }

    fn value(series: &Series<'_>, place: usize) -> f64 {
        series.values.get(place).copied().map_or(0.0, drawable)
    }

    /// The highest point of the chart.
    fn most(&self) -> f64 {
        let heights = (0..self.at_ms.len()).map(|place| {
            let values = self.series.iter().map(|series| Self::value(series, place));
            if self.is_stacked { values.sum() } else { values.fold(0.0, f64::max) }
        });
        heights.fold(0.0, f64::max)
    }

    /// Area and line of each series.
    fn shapes(&self, from: i64, to: i64) -> Vec<(String, String)> {
        let top = scale::top(self.most());
        let span = to.saturating_sub(from).max(1) as f64;
        let inside = |at: &i64| (from..=to).contains(at);
        let xs: Vec<_> = self.at_ms.iter().map(|at| at.saturating_sub(from) as f64 / span * WIDTH).collect();
        let mut below = vec![0.0; self.at_ms.len()];
        let shape = |series: &Series<'_>| {
            let points: Vec<_> = (0..self.at_ms.len())
                .map(|place| {
                    let low = if self.is_stacked { below[place] } else { 0.0 };
                    let high = drawable(low + Self::value(series, place));
                    below[place] = high;
                    Point { x: xs[place], low: path::y(low, top), high: path::y(high, top) }
                })
                .collect();
            if series.values.iter().all(|value| *value <= 0.0) && (self.is_stacked || self.series.len() > 1) {
                return (String::new(), String::new());
            }
            let runs = self.runs(|place| inside(&self.at_ms[place]));
            let areas: Vec<_> = runs.iter().map(|run| &points[run.clone()]).collect();
            // A line where there is nothing would lie on the one below and hide it.
            let near = |place: usize| {
                (place.saturating_sub(1)..=place + 1).any(|near| Self::value(series, near) > 0.0)
            };
            let lines = self.runs(|place| inside(&self.at_ms[place]) && (!self.is_stacked || near(place)));
            let lines: Vec<_> = lines.iter().map(|run| &points[run.clone()]).collect();
            (path::area(&areas), path::line(&lines))
        };
        self.series.iter().map(shape).collect()
    }

    /// Points that belong together: those for which `is_in` says so, without gaps in time.
    fn runs(&self, is_in: impl Fn(usize) -> bool) -> Vec<core::ops::Range<usize>> {
        let mut steps: Vec<_> = self.at_ms.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
        steps.sort_unstable();
        let most = steps.get(steps.len() / 2).map_or(i64::MAX, |usual| usual.saturating_mul(GAP).max(1));
        let mut runs: Vec<core::ops::Range<usize>> = Vec::new();
        for place in (0..self.at_ms.len()).filter(|place| is_in(*place)) {
            match runs.last_mut() {
                Some(run)
                    if run.end == place
                        && self.at_ms[place].saturating_sub(self.at_ms[place - 1]) <= most =>
                {
                    run.end += 1;
                }
                _ => runs.push(place..place + 1),
            }
        }
        runs
    }
}

/// A piece of a line and its area.
fn swatch(number: usize) -> Markup {
    let name = colour(number);
    html! {
        svg viewBox="0 0 24 12" aria-hidden="true" focusable="false" {
            rect class=(format!("area {name}")) y="3" width="24" height="9" {}
            path class=(format!("line {name}")) d="M0 3h24" {}
        }
    }
}

fn average(values: &[f64], first: usize, size: usize) -> f64 {
    let values = values.get(first..values.len().min(first + size)).unwrap_or_default();
    values.iter().copied().map(drawable).sum::<f64>() / values.len().max(1) as f64
}
