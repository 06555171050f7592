//! Columns over time: how many of something there were in each part of it, stacked by kind.

use core::fmt::Write as _;

use maud::{Markup, html};

use super::path::{self, HEIGHT, WIDTH};
use super::scale;

/// A chart of columns.
pub struct Columns<'a> {
    /// Its name on the page, of letters and hyphens: once on each page.
    pub id: &'a str,
    /// What it shows, with its unit.
    pub title: &'a str,
    /// How the first column of the table is named: what one column stands for.
    pub each: &'a str,
    /// When it begins and ends, in milliseconds since 1970.
    pub span_ms: (i64, i64),
    /// When columns begin, and how wide each is, likewise.
    pub first_ms: i64,
    /// See there.
    pub width_ms: i64,
    /// What lies on top of each other, from the bottom: a name, the class of its colour, and a number for each column.
    pub layers: &'a [(&'a str, &'static str, Vec<u64>)],
}

impl Columns<'_> {
    /// The chart and its table.
    #[must_use]
    pub fn render(&self) -> Markup {
        let top = scale::top(self.most() as f64);
        let (from, to) = self.span_ms;
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        html! {
            figure.chart.columns {
                svg.plot id=(self.id) role="img" aria-labelledby=(format!("{title} {desc}")) height="10rem" {
                    title id=(title) { (self.title) }
                    desc id=(desc) { (self.summary()) }
                    line.gridline x1="0" x2="100%" y1="1.25rem" y2="1.25rem" {}
                    line.gridline x1="0" x2="100%" y1="4.875rem" y2="4.875rem" {}
                    svg x="0" y="1.25rem" width="100%" height="7.25rem" preserveAspectRatio="none"
                        viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
                        @for (place, (_, class, _)) in self.layers.iter().enumerate() {
                            path.column.(class) d=(self.shape(place, top)) {}
                        }
                    }
                    line.base x1="0" x2="100%" y1="8.5rem" y2="8.5rem" {}
                    text x="2" y="1rem" { (top) }
                    text x="2" y="4.625rem" { (top / 2.0) }
                    @for (place, text) in scale::times(from, to) {
                        text x=(format!("{:.2}%", place * 100.0)) y="9.6rem" text-anchor="middle" { (text) }
                    }
                }
                (self.table())
            }
        }
    }

    fn count(&self) -> usize {
        self.layers.iter().map(|(.., values)| values.len()).max().unwrap_or(0)
    }

    fn value(&self, layer: usize, column: usize) -> u64 {
        self.layers.get(layer).and_then(|(.., values)| values.get(column)).copied().unwrap_or(0)
    }

    fn sum(&self, column: usize, layers: usize) -> u64 {
        (0..layers).fold(0, |sum: u64, layer| sum.saturating_add(self.value(layer, column)))
    }

    /// The highest column.
    fn most(&self) -> u64 {
        (0..self.count()).map(|column| self.sum(column, self.layers.len())).max().unwrap_or(0)
    }

    /// All columns of one layer.
    fn shape(&self, layer: usize, top: f64) -> String {
        let (from, to) = self.span_ms;
        let x = |at: i64| {
            let part = at.clamp(from, to).saturating_sub(from) as f64 / to.saturating_sub(from).max(1) as f64;
            part * WIDTH
        };
        let mut data = String::new();
        for column in (0..self.count()).filter(|column| self.value(layer, *column) > 0) {
            let number = i64::try_from(column).unwrap_or(i64::MAX);
            let begin = self.first_ms.saturating_add(self.width_ms.saturating_mul(number));
            let (left, right) = (x(begin), x(begin.saturating_add(self.width_ms)));
            // A little air between columns, and never so much that nothing is left of them.
            let air = ((right - left) * 0.12).min(WIDTH / 500.0);
            let low = path::y(self.sum(column, layer) as f64, top);
            let high = path::y(self.sum(column, layer + 1) as f64, top);
            let (left, right) = (left + air, right - air);
            // Writing to a text cannot fail.
            let _ = write!(data, "M{left:.1} {low:.1}V{high:.1}H{right:.1}V{low:.1}Z");
        }
        data
    }

    /// What the chart says, in words.
    fn summary(&self) -> String {
        let sums = self.layers.iter().map(|(name, _, values)| (name, values.iter().sum::<u64>()));
        let told: Vec<_> =
            sums.filter(|(_, sum)| *sum > 0).map(|(name, sum)| format!("{name}: {sum}")).collect();
        if told.is_empty() { "Nothing to show.".to_owned() } else { format!("{}.", told.join("; ")) }
    }

    fn table(&self) -> Markup {
        let shown: Vec<_> =
            (0..self.layers.len()).filter(|layer| self.layers[*layer].2.iter().any(|one| *one > 0)).collect();
        let columns = (0..self.count()).filter(|column| self.sum(*column, self.layers.len()) > 0);
        html! {
            details {
                summary { "Numbers" }
                @if shown.is_empty() {
                    p.empty { "There is nothing to count." }
                } @else {
                    div.scroll tabindex="0" role="region" aria-label=(self.title) {
                        table {
                            caption { (self.title) ". What is not listed had none. Times are UTC." }
                            thead { tr {
                                th scope="col" { (self.each) }
                                @for layer in &shown { th.number scope="col" { (self.layers[*layer].0) } }
                            } }
                            tbody {
                                @for column in columns {
                                    @let number = i64::try_from(column).unwrap_or(i64::MAX);
                                    @let begin = self.first_ms.saturating_add(self.width_ms.saturating_mul(number));
                                    tr {
                                        th scope="row" { (scale::clock(begin, "%Y-%m-%d %H:%M")) }
                                        @for layer in &shown { td.number { (self.value(*layer, column)) } }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_their_time_is() {
        let layers = [("low", "sev-low", vec![1, 0]), ("high", "sev-high", vec![1, 2])];
        let chart = Columns {
            id: "x",
            title: "Things",
            each: "Hour",
            span_ms: (0, 200),
            first_ms: 0,
            width_ms: 100,
            layers: &layers,
        };
        let (half, air) = (WIDTH / 2.0, WIDTH / 500.0);
        let column = |left: f64, low: f64, high: f64| {
            let (left, right) = (left + air, left + half - air);
            format!("M{left:.1} {:.1}V{:.1}H{right:.1}V{:.1}Z", low * HEIGHT, high * HEIGHT, low * HEIGHT)
        };
        assert_eq!(chart.shape(0, 2.0), column(0.0, 1.0, 0.5));
        assert_eq!(chart.shape(1, 2.0), format!("{}{}", column(0.0, 0.5, 0.0), column(half, 1.0, 0.0)));
        let text = chart.render().into_string();
        assert!(text.contains("low: 1; high: 3."), "{text}");
        let nothing = Columns { layers: &[], ..chart };
        assert!(nothing.render().into_string().contains("There is nothing to count"));
    }
}
