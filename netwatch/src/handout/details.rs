//! The incidents themselves: a table of many, and the worst in full.

use maud::{Markup, html};

use super::asked::whole;
use super::gather::{Gathered, LISTED};
use super::plain;
use crate::analysis::rules::RULES;
use crate::figures;
use crate::report::{Incident, Life};
use crate::web::page::parts::{card, empty, exact_time, foreign, severity, state};

/// Incidents that are told in full.
pub(super) const SHOWN: usize = 20;
/// Ports, destinations and the like that are named of one.
const NAMED: usize = 20;
/// Letters of what a feed or a signature says.
const DETAIL: usize = 1_500;

/// Where one that is told in full stands in the document.
fn anchor(place: usize) -> String {
    format!("incident-{}", place + 1)
}

/// The table.
pub(super) fn list(gathered: &Gathered) -> Markup {
    let more = gathered.told().saturating_sub(gathered.listed.len() as u64);
    let content = html! {
        @if gathered.listed.is_empty() {
            (empty("There was none."))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="All incidents" { table {
                caption { "Those that go on first, and the most severe of each first; " (figures::grouped(LISTED as u64)) " at most" }
                thead { tr {
                    th scope="col" { "Severity" } th scope="col" { "State" } th scope="col" { "What happened" }
                    th scope="col" { "Rule" } th scope="col" { "Began" } th scope="col" { "Ended" }
                } }
                tbody { @for incident in &gathered.listed {
                    @let place = gathered.worst.iter().position(|worst| worst.id == incident.id);
                    tr {
                        td { (severity(&incident.severity)) }
                        td { (state(incident.state, incident.acknowledged_at.is_some())) }
                        td.what {
                            @if let Some(place) = place { a href=(format!("#{}", anchor(place))) { (foreign(&plain(&incident.text))) } }
                            @else { (foreign(&plain(&incident.text))) }
                        }
                        td.mono { (foreign(&plain(&incident.rule))) }
                        td { (exact_time(incident.opened_at)) }
                        td { @if let Some(at) = incident.closed_at { (exact_time(at)) } @else { "goes on" } }
                    }
                } }
            } }
            @if more > 0 {
                p.muted { (figures::count(more, "incident")) " more are not listed; `netwatch alerts` has them." }
            }
        }
    };
    card("incidents", "Incidents", &content)
}

/// The worst, each in full.
pub(super) fn worst(gathered: &Gathered) -> Markup {
    let content = html! {
        @for (place, incident) in gathered.worst.iter().enumerate() { (one(place, incident)) }
    };
    html! { @if !gathered.worst.is_empty() { (card("worst", "The worst of them", &content)) } }
}

fn one(place: usize, incident: &Incident) -> Markup {
    let rule = RULES.iter().find(|rule| rule.name == incident.rule);
    let ports = named(incident.first_ports.iter());
    let destinations = named(incident.first_destinations.iter());
    let evidence: Vec<_> = incident
        .evidence
        .iter()
        .take(NAMED)
        .map(|(class, count)| format!("{} {}", figures::grouped(*count), plain(class)))
        .collect();
    html! {
        article.one id=(anchor(place)) {
            header {
                (severity(&incident.severity))
                h3 { (foreign(&plain(&incident.text))) }
                (state(incident.state, incident.acknowledged_at.is_some()))
            }
            dl.facts {
                dt { "Rule" }
                dd {
                    span.mono { (foreign(&plain(&incident.rule))) }
                    @if let Some(rule) = rule { ": " (rule.summary) }
                    @if !incident.attack_id.is_empty() { " ATT&CK " (foreign(&plain(&incident.attack_id))) }
                }
                (fact("Source", incident.source.as_deref()))
                (fact("Destination", incident.dest_ip.map(|dest| match incident.dest_port {
                    Some(port) => format!("{dest}, port {port}"),
                    None => dest.to_string(),
                }).as_deref()))
                dt { "Interface" } dd.mono { (foreign(&plain(&incident.interface))) }
                dt { "Began" } dd { (exact_time(incident.opened_at)) ", first packet " (exact_time(incident.first_seen)) }
                dt { (if incident.state == Life::Open { "Seen last" } else { "Ended" }) }
                dd {
                    @if let Some(at) = incident.closed_at {
                        (exact_time(at))
                        @if let Some(reason) = &incident.close_reason { " (" (foreign(&plain(reason))) ")" }
                        ", last packet "
                    }
                    (exact_time(incident.last_seen))
                }
                dt { "Measured" }
                dd {
                    (figures::grouped(incident.peak)) " " (foreign(&plain(&incident.unit))) " at most within "
                    (figures::span(whole(incident.window_s))) ", where " (figures::grouped(incident.threshold)) " are tolerated"
                }
                dt { "Packets" }
                dd { (figures::grouped(incident.packets)) ", " (figures::bytes(incident.bytes as f64)) }
                (fact("Evidence", some(&evidence.join(", "))))
                (fact("Techniques", some(&named(incident.techniques.iter()))))
                (fact("Ports", some(&ports)))
                @if incident.destinations > 1 {
                    dt { "Destinations" } dd { (figures::grouped(incident.destinations)) ": " span.mono { (destinations) } }
                }
                @if incident.sources > 1 { dt { "Sources" } dd { (figures::grouped(incident.sources)) } }
                (fact("Listed as", incident.detail.as_ref().map(cut).as_deref()))
                (fact("Its packets", incident.evidence_file.as_deref()))
                @if let Some(at) = incident.acknowledged_at {
                    dt { "Acknowledged" }
                    dd { (exact_time(at)) @if let Some(note) = &incident.acknowledged_note { ": " (foreign(&plain(note))) } }
                }
                @if incident.spoofable || incident.degraded {
                    dt { "Mind" }
                    dd {
                        @if incident.spoofable { "The source may be forged: no handshake was completed. " }
                        @if incident.degraded { "Something that should have been counted was not." }
                    }
                }
                dt { "Name" } dd.mono { (foreign(&plain(&incident.id))) }
            }
        }
    }
}

fn fact(name: &str, value: Option<&str>) -> Markup {
    html! { @if let Some(value) = value { dt { (name) } dd.mono { (foreign(&plain(value))) } } }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The first of many, with commas between.
fn named<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let all: Vec<_> = items.take(NAMED + 1).map(|item| plain(&item.to_string())).collect();
    let more = if all.len() > NAMED { " …" } else { "" };
    format!("{}{more}", all.get(..NAMED).unwrap_or(&all).join(", "))
}

/// What a feed or a signature says, in one line.
fn cut(detail: &serde_json::Value) -> String {
    let text = detail.to_string();
    let mut short: String = text.chars().take(DETAIL).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
