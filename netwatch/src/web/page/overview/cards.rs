//! The cards of the overview.

use maud::{Markup, html};
use netwatch_common::Class;

use super::{Incidents, POINTS, View, rate};
use crate::charts::{self, Axis, Series, TimeChart};
use crate::figures;
use crate::report::snapshot::{BusySource, InterfaceState, without_room};
use crate::web::page::parts;
use crate::web::rates::Rate;

/// Sources, and ports, on the page.
const BUSIEST: usize = 10;
/// Lines of a chart; the other interfaces are in the numbers.
const LINES: usize = 8;

impl View {
    fn axis() -> Axis {
        Axis::Last(i64::try_from(POINTS).unwrap_or(i64::MAX).saturating_mul(1_000))
    }

    fn times(&self) -> Vec<i64> {
        self.points.iter().map(|point| point.at.0.as_millisecond()).collect()
    }

    /// The values of all points, of one interface or of all together.
    fn values(&self, interface: Option<&str>, of: impl Fn(&Rate) -> f64) -> Vec<f64> {
        let is_meant = |rate: &&Rate| interface.is_none_or(|name| *rate.interface == *name);
        let value = |rates: &[Rate]| rates.iter().filter(is_meant).map(&of).sum();
        self.points.iter().map(|point| value(&point.rates)).collect()
    }

    pub(super) fn packets(&self) -> Markup {
        let names: Vec<_> =
            self.snapshot.interfaces.iter().map(|interface| &*interface.name).take(LINES).collect();
        let series: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(colour, name)| Series {
                name,
                colour,
                values: self.values(Some(name), |rate| rate.packets_per_s),
            })
            .collect();
        let chart = TimeChart {
            id: "chart-packets",
            title: "Packets per second in the last five minutes",
            unit: figures::short,
            at_ms: &self.times(),
            series: &series,
            is_stacked: false,
            axis: Self::axis(),
            live: Some("packets"),
        };
        let aside = html! { span.muted { "per second, last 5 min" } };
        let chart = html! { div data-live="packets" { (chart.render()) } };
        parts::card_with("packets", "Packets", &aside, &chart)
    }

    pub(super) fn evidence(&self) -> Markup {
        let series: Vec<_> = charts::EVIDENCE
            .into_iter()
            .map(|class| Series {
                name: class.name(),
                colour: class as usize,
                values: self.values(None, |rate| rate.classes[class as usize]),
            })
            .collect();
        let chart = TimeChart {
            id: "chart-evidence",
            title: "Evidence by class, packets per second in the last five minutes",
            unit: figures::short,
            at_ms: &self.times(),
            series: &series,
            is_stacked: true,
            axis: Self::axis(),
            live: Some("classes"),
        };
        let aside = html! { span.muted { "packets per second by class" } };
        let chart = html! { div data-live="evidence" { (chart.render()) } };
        parts::card_with("evidence", "Evidence", &aside, &chart)
    }

    pub(super) fn open(&self) -> Markup {
        let content = html! {
            div data-live="open" {
                @match &self.incidents {
                    Err(error) => (parts::notice("trouble", &html! { (error) })),
                    Ok(found) if found.open.is_empty() => (parts::empty("Nothing is open. New incidents appear here by themselves.")),
                    Ok(found) => { (parts::incidents(&found.open, self.now)) (more(found)) }
                }
            }
        };
        let aside = html! { a href="/incidents" { "All incidents" } };
        parts::card_with("open", "Open incidents", &aside, &content)
    }

    pub(super) fn closed(&self) -> Markup {
        let closed = self.incidents.as_ref().map(|found| &*found.closed).unwrap_or_default();
        html! {
            div data-live="closed" {
                @if !closed.is_empty() {
                    (parts::card("closed", "Recently closed", &html! {
                        div.is-over { (parts::incidents(closed, self.now)) }
                    }))
                }
            }
        }
    }

    pub(super) fn watch(&self) -> Markup {
        let content = html! {
            div.stack data-live="watch" {
                @if self.snapshot.interfaces.is_empty() { (parts::empty("No interface was counted yet.")) }
                @for interface in &self.snapshot.interfaces {
                    div data-key=(interface.name) { (self.interface(interface)) }
                }
            }
        };
        let aside = html! { a href="/status" { "Status" } };
        parts::card_with("watch", "The watch", &aside, &content)
    }

    fn interface(&self, interface: &InterfaceState) -> Markup {
        let now = self
            .points
            .last()
            .and_then(|point| point.rates.iter().find(|rate| *rate.interface == *interface.name));
        let (packets, bytes) = now.map_or((0.0, 0.0), |rate| (rate.packets_per_s, rate.bytes_per_s));
        let lost = without_room(&interface.totals);
        html! {
            h3 { span.mono { (parts::foreign(&interface.name)) } }
            p.muted {
                @match interface.mode {
                    Some(mode) => { "attached, " (mode) },
                    None => strong.sev-high { "not attached" },
                }
                " · replies told by " (interface.confidence)
                @if interface.is_learning { " · learning services" }
            }
            dl.stats.small {
                (rate("Packets/s", "packets_per_s", Some(&interface.name), &figures::short(packets)))
                (rate("Traffic", "bytes_per_s", Some(&interface.name), &figures::bits_per_s(bytes)))
                (parts::stat("Sources", &figures::short(interface.slot_sources as f64)))
                @if interface.slot_lost > 0 {
                    (parts::stat("Lost now", &figures::short(interface.slot_lost as f64)))
                } @else {
                    (parts::stat("Lost", &figures::short(lost as f64)))
                }
            }
        }
    }

    pub(super) fn sources(&self) -> Markup {
        let busiest: Vec<_> = self.snapshot.sources.iter().take(BUSIEST).collect();
        let most = busiest.first().map_or(0, |busy| busy.packets);
        let content = html! {
            div data-live="sources" {
                @if busiest.is_empty() { (parts::empty("Nobody sent anything in this window.")) }
                @else { (parts::scroll("Busiest sources", &html! { table {
                    caption.visually-hidden { "Busiest sources of the window, by packets" }
                    thead { tr {
                        th scope="col" { "Source" } th scope="col" { "Mostly" }
                        th.number scope="col" { "Packets" } th.wide scope="col" { span.visually-hidden { "Classes" } }
                    } }
                    tbody { @for busy in busiest { (source(busy, most)) } }
                } })) }
            }
        };
        let window = figures::span(i64::try_from(self.snapshot.window_ns / 1_000_000_000).unwrap_or(0));
        parts::card_with("sources", "Top sources", &html! { span.muted { "last " (window) } }, &content)
    }

    pub(super) fn ports(&self) -> Markup {
        let busiest: Vec<_> = self.snapshot.ports.iter().take(BUSIEST).collect();
        let most = busiest.first().map_or(0, |busy| busy.packets) as f64;
        let content = html! {
            div data-live="ports" {
                @if busiest.is_empty() { (parts::empty("Nothing went to any port in the last slot.")) }
                @else { (parts::scroll("Busiest ports", &html! { table {
                    caption.visually-hidden { "Busiest destination ports of the last slot, by packets" }
                    thead { tr {
                        th scope="col" { "Port" } th.number scope="col" { "Sources" }
                        th.number scope="col" { "Packets" } th.wide scope="col" { span.visually-hidden { "Share" } }
                    } }
                    tbody { @for busy in busiest {
                        tr data-key=(format!("{} {} {}", busy.interface, busy.proto.name(), busy.port)) {
                            th scope="row" { span.mono { (busy.port) } " " span.muted { (busy.proto.name()) } }
                            td.number { (figures::short(busy.flows as f64)) }
                            td.number { (figures::short(busy.packets as f64)) }
                            td.wide { (charts::bar(busy.packets as f64, most)) }
                        }
                    } }
                } })) }
            }
        };
        let slot = figures::span(i64::try_from(self.snapshot.slot_ns / 1_000_000_000).unwrap_or(0));
        parts::card_with("ports", "Top ports", &html! { span.muted { "last " (slot) } }, &content)
    }
}

/// How many more there are than are shown.
fn more(found: &Incidents) -> Markup {
    let hidden = found.number.saturating_sub(found.open.len() as u64);
    html! {
        @if hidden > 0 {
            p { a href="/incidents?state=open" {
                @if found.is_more { "more than " } (figures::grouped(hidden)) " more are open"
            } }
        }
    }
}

fn source(busy: &BusySource, most: u64) -> Markup {
    let class = |class: Class| (charts::class_colour(class), busy.classes[class as usize] as f64);
    let main = Class::ALL.into_iter().max_by_key(|class| busy.classes[*class as usize]);
    html! {
        tr data-key=(format!("{} {}", busy.interface, busy.source)) {
            th scope="row" { (parts::source(&busy.source)) }
            td { @if let Some(main) = main { (main.name()) } }
            td.number { (figures::short(busy.packets as f64)) }
            td.wide { (charts::mix(&Class::ALL.map(class), most as f64)) }
        }
    }
}
