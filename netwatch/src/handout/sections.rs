//! Parts of the report that tell of sums.

use maud::{Markup, html};
use netwatch_common::Class;

use super::asked::{Asked, whole};
use super::details::SHOWN;
use super::gather::Gathered;
use super::plain;
use crate::analysis::Severity;
use crate::charts::{Axis, Columns, EVIDENCE, Series, TimeChart, bar};
use crate::figures;
use crate::report::{Life, Time};
use crate::web::page::parts::{card, empty, exact_time, foreign, notice, severity, stat};

/// Rows of tables of who counts most.
const ROWS: usize = 15;
/// The classes of colours of severities, ascending.
const COLOURS: [&str; Severity::COUNT] = ["sev-info", "sev-low", "sev-medium", "sev-high", "sev-critical"];

fn worst_first() -> impl Iterator<Item = (usize, &'static str)> {
    Severity::ALL.into_iter().enumerate().rev().map(|(rank, severity)| (rank, severity.name()))
}

/// What happened, in a few sentences.
pub(super) fn story(asked: &Asked, gathered: &Gathered) -> Markup {
    let told = gathered.told();
    let span = figures::span(asked.seconds());
    let by_severity: Vec<_> = worst_first()
        .filter(|(rank, _)| gathered.severities[*rank] > 0)
        .map(|(rank, name)| format!("{} {name}", figures::grouped(gathered.severities[rank])))
        .collect();
    let content = html! {
        div.says {
            @if told == 0 {
                p { "Nothing was told of in this time (" (span) "): there was no incident." }
            } @else {
                p {
                    (figures::count(told, "incident")) " in " (span) ": " (by_severity.join(", ")) ". "
                    @match gathered.open {
                        0 => "None of them goes on.",
                        open => {
                            (figures::grouped(open)) (if open == 1 { " of them goes on" } else { " of them go on" })
                            @if gathered.acknowledged > 0 {
                                ", " (figures::grouped(gathered.acknowledged)) " acknowledged"
                            }
                            "."
                        },
                    }
                }
                @if let Some(worst) = gathered.worst.first() {
                    p { "The worst: " (severity(&worst.severity)) " " (foreign(&plain(&worst.text))) }
                }
                @if let Some((source, sum)) = gathered.sources.first(1).first() {
                    p {
                        "First among the sources is " span.mono { (foreign(&plain(source))) } ", with "
                        (figures::count(sum.times, "incident")) "."
                    }
                }
                (busiest_time(gathered))
            }
            @if let Some(begins) = gathered.begins {
                p { "The history begins at " (exact_time(begins)) ": of the time before, nothing is known." }
            }
            @if asked.until > asked.now {
                p { "The time that was asked for ends in the future, and this report now." }
            }
        }
        dl.stats {
            (stat("Incidents", &figures::grouped(told)))
            (stat("Open", &figures::grouped(gathered.open)))
            (stat("Packets", &figures::short(gathered.packet_sum)))
            (stat("Bytes", &figures::bytes(gathered.byte_sum)))
            (stat("Watched", &watched(asked, gathered)))
        }
    };
    card("story", "What happened", &content)
}

/// When most was opened.
fn busiest_time(gathered: &Gathered) -> Markup {
    let sums = gathered.opened.iter().map(|by_severity| by_severity.iter().sum::<u64>());
    let most = sums.enumerate().max_by_key(|(place, sum)| (*sum, usize::MAX - place));
    html! {
        @if let Some((place, sum)) = most && sum > 1 && gathered.columns.count > 1 {
            @let begin = gathered.columns.begin(place);
            p {
                "Most began between " (exact_time(Time::from_micros(begin))) " and "
                (exact_time(Time::from_micros(begin.saturating_add(gathered.columns.length)))) ": "
                (figures::grouped(sum)) "."
            }
        }
    }
}

/// How much of the time was watched, of the interface of which least was.
fn watched(asked: &Asked, gathered: &Gathered) -> String {
    let parts = gathered.coverage.values().map(|coverage| coverage.part(asked));
    let least = parts.reduce(f64::min).unwrap_or(0.0);
    percent(least)
}

/// Never rounded to all or nothing where it is not.
fn percent(part: f64) -> String {
    match part {
        ..=0.0 => "0\u{a0}%".to_owned(),
        1.0.. => "100\u{a0}%".to_owned(),
        _ => format!("{:.1}\u{a0}%", (part * 100.0).clamp(0.1, 99.9)),
    }
}

fn millis(time: Time) -> i64 {
    time.micros().div_euclid(1_000)
}

/// Incidents over time.
pub(super) fn incidents_by_time(asked: &Asked, gathered: &Gathered) -> Markup {
    let layers: Vec<_> = Severity::ALL
        .into_iter()
        .zip(COLOURS)
        .enumerate()
        .filter(|(rank, _)| gathered.severities[*rank] > 0)
        .map(|(rank, (severity, class))| {
            (severity.name(), class, gathered.opened.iter().map(|column| column[rank]).collect())
        })
        .collect();
    let each = gathered.columns.name();
    let title = format!("Incidents that began, by {each}");
    let chart = Columns {
        id: "incidents-by-time",
        title: &title,
        each: "From",
        span_ms: (millis(asked.since), millis(asked.end())),
        first_ms: gathered.columns.first.div_euclid(1_000),
        width_ms: gathered.columns.length.div_euclid(1_000),
        layers: &layers,
    };
    let content = html! {
        @if gathered.told() == 0 {
            (empty("There was none."))
        } @else {
            (chart.render())
            ul.legend {
                @for (rank, name) in worst_first().filter(|(rank, _)| gathered.severities[*rank] > 0) {
                    li { (severity(name)) span.value { (figures::grouped(gathered.severities[rank])) } }
                }
            }
        }
    };
    card("incidents-over-time", &title, &content)
}

/// Packets, and what of them is evidence, over time.
pub(super) fn traffic(asked: &Asked, gathered: &Gathered) -> Markup {
    // Where nothing was watched, there is no point.
    let places: Vec<_> = (0..gathered.points.count).filter(|place| gathered.watched(*place) > 0.0).collect();
    let half = gathered.points.length / 2;
    let (from, to) = (asked.since.micros(), asked.end().micros());
    let at_ms: Vec<_> = places
        .iter()
        .map(|place| gathered.points.begin(*place).saturating_add(half).clamp(from, to).div_euclid(1_000))
        .collect();
    let rate = |value: &dyn Fn(usize) -> f64| -> Vec<f64> {
        places.iter().map(|place| value(*place) / gathered.watched(*place).max(1e-6)).collect()
    };
    let packets = [Series { name: "packets", colour: 0, values: rate(&|place| gathered.packets[place]) }];
    let evidence: Vec<_> = EVIDENCE
        .into_iter()
        .map(|class| Series {
            name: class.name(),
            colour: class as usize,
            values: rate(&|place| gathered.classes[place][class as usize]),
        })
        .collect();
    let axis = Axis::Between(from.div_euclid(1_000), to.div_euclid(1_000));
    let chart = |id, title, series: &[Series<'_>], is_stacked| {
        TimeChart { id, title, unit: figures::short, at_ms: &at_ms, series, is_stacked, axis, live: None }
            .render()
    };
    let content = html! {
        @if places.is_empty() {
            (empty("No packets are known of this time: nobody watched, or what was kept of it is gone."))
        } @else {
            h3 { "Packets a second" }
            (chart("packets-over-time", "Packets a second", &packets, false))
            h3 { "Evidence: packets a second that answer to nothing, by class" }
            (chart("evidence-over-time", "Packets a second by class of evidence", &evidence, true))
            (classes(gathered))
        }
    };
    card("traffic", "Packets", &content)
}

/// All classes and what came of each.
fn classes(gathered: &Gathered) -> Markup {
    let sum = |class: Class| gathered.classes.iter().map(|point| point[class as usize]).sum::<f64>();
    let mut sums: Vec<_> = Class::ALL.into_iter().map(|class| (class.name(), sum(class))).collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = sums.first().map_or(0.0, |(_, sum)| *sum);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Packets by class" { table {
            caption { "Packets by class" }
            thead { tr { th scope="col" { "Class" } th.number scope="col" { "Packets" } td {} } }
            tbody {
                @for (name, sum) in sums.into_iter().filter(|(_, sum)| *sum >= 1.0) {
                    tr { th scope="row" { (name) } td.number { (figures::grouped(whole(sum.round()).unsigned_abs())) } td { (bar(sum, most)) } }
                }
            }
        } }
    }
}

/// Whom incidents came from.
pub(super) fn sources(gathered: &Gathered) -> Markup {
    let first = gathered.sources.first(ROWS);
    let content = html! {
        @if first.is_empty() {
            (empty("No incident has a source."))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Sources of incidents" { table {
                caption { "The worst " (ROWS) " at most, by their incidents" }
                thead { tr {
                    th scope="col" { "Source" } th scope="col" { "Worst" }
                    th.number scope="col" { "Incidents" } th.number scope="col" { "Packets" }
                } }
                tbody { @for (name, sum) in first {
                    tr {
                        th.mono scope="row" { (foreign(&plain(name))) }
                        td { (severity(Severity::ALL[sum.worst].name())) }
                        td.number { (figures::grouped(sum.times)) }
                        td.number { (figures::short(sum.packets as f64)) }
                    }
                } }
            } }
            @if gathered.sources.forgotten > 0 {
                p.muted { "There were more sources than could be remembered; those with little are not all in it." }
            }
        }
    };
    card("sources", "Sources of incidents", &content)
}

/// Which rules were broken.
pub(super) fn rules(gathered: &Gathered) -> Markup {
    let first = gathered.rules.first(ROWS);
    let content = html! {
        @if first.is_empty() {
            (empty("No rule was broken."))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Rules by their incidents" { table {
                caption { "Rules by their incidents" }
                thead { tr {
                    th scope="col" { "Rule" } th scope="col" { "Worst" } th.number scope="col" { "Incidents" }
                } }
                tbody { @for (name, sum) in first {
                    tr {
                        th.mono scope="row" { (foreign(&plain(name))) }
                        td { (severity(Severity::ALL[sum.worst].name())) }
                        td.number { (figures::grouped(sum.times)) }
                    }
                } }
            } }
        }
    };
    card("rules", "Rules", &content)
}

/// Who sent most, whether or not there was anything wrong with it.
pub(super) fn busiest(gathered: &Gathered) -> Markup {
    let first = gathered.busiest.first(ROWS);
    let most = first.first().map_or(0, |(_, sum)| sum.packets) as f64;
    let content = html! {
        @if first.is_empty() {
            (empty("No windows of this time were kept."))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Who sent most" { table {
                caption { "By packets, as far as they were among the 50 busiest of a window" }
                thead { tr {
                    th scope="col" { "Source" } th.number scope="col" { "Packets" } td {}
                    th.number scope="col" { "Bytes" } th.number scope="col" { "Windows" }
                } }
                tbody { @for (name, sum) in first {
                    tr {
                        th.mono scope="row" { (foreign(&plain(name))) }
                        td.number { (figures::short(sum.packets as f64)) } td { (bar(sum.packets as f64, most)) }
                        td.number { (figures::bytes(sum.bytes as f64)) } td.number { (figures::grouped(sum.times)) }
                    }
                } }
            } }
        }
    };
    card("busiest", "Who sent most", &content)
}

/// How well the watch itself worked.
pub(super) fn watch(asked: &Asked, gathered: &Gathered) -> Markup {
    let more_troubles = gathered.trouble_count.saturating_sub(gathered.troubles.len() as u64);
    let lost: u64 = gathered.coverage.values().fold(0, |sum, one| sum.saturating_add(one.lost));
    let is_well = lost == 0
        && gathered.degraded == 0
        && gathered.trouble_count == 0
        && !gathered.coverage.is_empty()
        && gathered.coverage.values().all(|coverage| coverage.gap_count == 0);
    let content = html! {
        @if is_well {
            (notice("good", &html! { "All of the time was watched, and nothing was lost." }))
        } @else if gathered.coverage.is_empty() {
            (notice("trouble", &html! {
                "No window of this time was kept, so nobody can say that it was watched. Where there are no incidents either, this "
                "report says nothing about what passed."
            }))
        } @else {
            (notice("trouble", &html! { "Not all of the time was watched, or not all of it was counted. What follows says what is missing." }))
        }
        @if !gathered.coverage.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Windows of each interface" { table {
                caption { "Windows are kept one after the other; where there is none, nobody watched" }
                thead { tr {
                    th scope="col" { "Interface" } th.number scope="col" { "Windows" } th.number scope="col" { "Expected" }
                    th.number scope="col" { "Watched" } th.number scope="col" { "Gaps" } th.number scope="col" { "Counts lost" }
                } }
                tbody { @for (name, coverage) in &gathered.coverage {
                    tr {
                        th.mono scope="row" { (foreign(&plain(name))) }
                        td.number { (figures::grouped(coverage.windows)) } td.number { (figures::grouped(coverage.expected())) }
                        td.number { (percent(coverage.part(asked))) } td.number { (figures::grouped(coverage.gap_count)) }
                        td.number { (figures::grouped(coverage.lost)) }
                    }
                } }
            } }
        }
        @for (name, coverage) in gathered.coverage.iter().filter(|(_, coverage)| coverage.gap_count > 0) {
            h3 { "Gaps of " span.mono { (foreign(&plain(name))) } }
            ul.gaps { @for (from, to) in coverage.named() {
                li {
                    (exact_time(from)) " to " (exact_time(to)) " "
                    span.muted { "(" (figures::span(to.micros().saturating_sub(from.micros()).div_euclid(1_000_000))) ")" }
                }
            } }
            @if coverage.gap_count > coverage.named().len() as u64 {
                p.muted { "These are the longest of " (figures::grouped(coverage.gap_count)) "." }
            }
        }
        dl.facts {
            dt { "Incomplete incidents" }
            dd { (figures::grouped(gathered.degraded)) " of " (figures::grouped(gathered.told()))
                ": something that should have been counted for them was not" }
            dt { "Recorded only" }
            dd { (figures::count(gathered.recorded, "incident")) " of too little weight to be told of" }
            @if gathered.unplaced > 0 {
                dt { "Left out" } dd { (figures::count(gathered.unplaced, "window")) " of more interfaces than are told apart" }
            }
        }
        @if !gathered.troubles.is_empty() {
            h3 { "What netwatch told of itself" }
            ul { @for incident in &gathered.troubles {
                li { (exact_time(incident.opened_at)) " " (foreign(&plain(&incident.text)))
                    @if incident.state == Life::Open { " " span.muted { "(goes on)" } } }
            } }
            @if more_troubles > 0 { p.muted { "And " (figures::grouped(more_troubles)) " more, which are older." } }
        }
    };
    card("watch", "How well the watch worked", &content)
}

/// How the report was made.
pub(super) fn made(asked: &Asked) -> Markup {
    let content = html! {
        dl.facts {
            dt { "By" } dd { "netwatch " (env!("CARGO_PKG_VERSION")) " on " span.mono { (foreign(&plain(&asked.host))) } }
            dt { "At" } dd { (exact_time(asked.now)) }
            dt { "Of" } dd { (exact_time(asked.since)) " to " (exact_time(asked.end())) }
            dt { "History" } dd.mono { (foreign(&plain(&asked.dir))) }
            dt { "Command" } dd.mono { (foreign(&plain(&asked.command))) }
        }
        p.muted {
            "All times are UTC. Incidents are those that went on within the time, as of their last step, also where that came later. "
            "The " (SHOWN) " worst are told in full. Sources may be forged where a report says so: no handshake proves them."
        }
    };
    card("made", "How this report was made", &content)
}
