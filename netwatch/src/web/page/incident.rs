//! `/incidents/{id}`: all that is known of one, and what can be done about it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::incidents::row;
use super::layout::Page;
use super::{parts, proposal};
use crate::analysis::rules::Rule;
use crate::charts::bar;
use crate::figures;
use crate::guide;
use crate::report::history::NOTE_MAX;
use crate::report::{Incident, IncidentQuery, Life, Network, Time};
use crate::web::answer::Refusal;
use crate::web::past::ID;
use crate::web::query::Asked;
use crate::web::shared::Shared;

/// Others of the same source that are shown.
const OTHERS: usize = 10;

/// The page.
pub(in crate::web) async fn incident(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let missing =
        || Refusal::missing("there is no incident of this name, or it was removed because of its age");
    if id.len() > ID {
        return Err(missing());
    }
    let incident = shared.history.incident(id).await?.ok_or_else(missing)?;
    let network = incident.source.as_deref().and_then(Network::read);
    let mut others = match network {
        Some(Network { addr, .. }) => {
            let query = IncidentQuery { source: Some(addr), limit: OTHERS + 1, ..IncidentQuery::default() };
            shared.history.incidents(query).await?.items
        }
        None => Vec::new(),
    };
    others.retain(|other| other.id != incident.id);
    others.truncate(OTHERS);
    let now = figures::now();
    let rule = guide::find(&incident.rule).ok().map(crate::analysis::RuleId::rule);
    let content = html! {
        div.stack data-live="incident-head" {
            p { a href="/incidents" { "Incidents" } }
            h1 { (parts::foreign(&incident.text)) }
            p.actions {
                (parts::severity(&incident.severity))
                (parts::state(incident.state, incident.acknowledged_at.is_some()))
                span.muted { (incident.rule) " on " (parts::foreign(&incident.interface)) }
            }
            @if incident.degraded {
                (parts::notice("trouble", &html! {
                    "Something that should have been counted was not, so numbers are too small. "
                    a href="/status" { "See the status" }
                }))
            }
        }
        div.grid.main-aside {
            div.stack {
                (numbers(&incident))
                (evidence(&incident))
                (who(&incident))
                @if let Some(detail) = &incident.detail { (known(detail)) }
                (similar(&incident, &others, now))
                @if let Some(rule) = rule { (explained(rule)) }
            }
            div.stack {
                (acknowledgement(&incident, now))
                (timeline(&incident, now))
                (allowing(&incident))
                (elsewhere(&incident))
            }
        }
    };
    let title = format!("{}: {}", incident.rule, incident.source.as_deref().unwrap_or(&incident.interface));
    Ok(Page { title: &title, place: "/incidents", content }.response())
}

fn timeline(incident: &Incident, now: Time) -> Markup {
    let row = |name: &str, at: Time| {
        html! { dt { (name) } dd { (parts::exact_time(at)) " " span.muted { "(" (parts::time(at, now)) ")" } } }
    };
    html! {
        section.card aria-labelledby="timeline" data-live="timeline" {
            header { h2 id="timeline" { "Timeline" } }
            dl.facts {
                (row("First packet", incident.first_seen))
                (row("Opened", incident.opened_at))
                (row("Last packet", incident.last_seen))
                (row("Updated", incident.updated_at))
                @if let Some(at) = incident.closed_at { (row("Closed", at)) }
                @if let Some(why) = &incident.close_reason { dt { "Because" } dd { (reason(why)) } }
                @if incident.suppressed > 0 { dt { "Held back" } dd { (figures::count(incident.suppressed, "time")) } }
            }
        }
    }
}

fn reason(name: &str) -> &str {
    match name {
        "quiet" => "it was quiet for long enough",
        "shutdown" => "netwatch was stopped",
        "allowed" => "the allow-list spares it",
        "disabled" => "its rule was turned off",
        other => other,
    }
}

fn numbers(incident: &Incident) -> Markup {
    let most = incident.peak.max(incident.threshold).max(incident.observed).max(1) as f64;
    let row = |name: &str, number: u64| {
        html! {
            tr { th scope="row" { (name) } td.number { (figures::grouped(number)) } td { (bar(number as f64, most)) } }
        }
    };
    html! {
        section.card aria-labelledby="numbers" data-live="numbers" {
            header { h2 id="numbers" { "How much" } }
            (parts::scroll("Numbers", &html! { table {
                caption { (parts::foreign(&incident.unit)) " within " (incident.window_s) " s" }
                thead { tr { th scope="col" { "" span.visually-hidden { "What" } } th.number scope="col" { "Number" } th scope="col" { span.visually-hidden { "As a bar" } } } }
                tbody {
                    (row("Observed at the last step", incident.observed))
                    (row("Most at any time", incident.peak))
                    (row("Tolerated", incident.threshold))
                }
            } }))
            dl.stats {
                (parts::stat("Packets", &figures::short(incident.packets as f64)))
                (parts::stat("Bytes", &figures::bytes(incident.bytes as f64)))
                @if incident.destinations > 0 { (parts::stat("Destinations", &figures::grouped(incident.destinations))) }
                @if incident.sources > 0 { (parts::stat("Sources", &figures::grouped(incident.sources))) }
            }
        }
    }
}

fn evidence(incident: &Incident) -> Markup {
    let most = incident.evidence.values().copied().max().unwrap_or(0).max(1) as f64;
    html! {
        section.card aria-labelledby="evidence" data-live="evidence" {
            header { h2 id="evidence" { "Evidence" } }
            @if incident.evidence.is_empty() { (parts::empty("There are no packets by class.")) } @else {
                (parts::scroll("Packets by class", &html! { table {
                    caption { "Packets by class" }
                    thead { tr { th scope="col" { "Class" } th.number scope="col" { "Packets" } th scope="col" { span.visually-hidden { "As a bar" } } } }
                    tbody { @for (class, count) in &incident.evidence {
                        tr data-key=(class) {
                            th scope="row" { (parts::foreign(class)) }
                            td.number { (figures::grouped(*count)) }
                            td { (bar(*count as f64, most)) }
                        }
                    } }
                } }))
            }
            dl.facts {
                @if !incident.techniques.is_empty() { dt { "Techniques" } dd { (incident.techniques.join(", ")) } }
                dt { "Told by" }
                dd { @if incident.confidence == "flows" { "flows: what this host asked for is known" } @else { "flags: what was asked for is guessed by TCP flags and UDP ports" } }
                dt { "Forged?" }
                dd { @if incident.spoofable { "may be: no handshake was completed" } @else { "no: a handshake was completed" } }
                @if !incident.attack_id.is_empty() { dt { "MITRE ATT&CK" } dd.mono { (incident.attack_id) } }
                dt { "Packets kept" }
                dd { @match &incident.evidence_file {
                    Some(file) => span.mono { (parts::foreign(file)) },
                    None => "none; name a directory below [evidence] to keep them",
                } }
            }
        }
    }
}

fn who(incident: &Incident) -> Markup {
    let port = |port: Option<u16>| port.map(|port| format!(" port {port}")).unwrap_or_default();
    html! {
        section.card aria-labelledby="who" data-live="who" {
            header { h2 id="who" { "From and to" } }
            dl.facts {
                @if let Some(source) = &incident.source { dt { "Source" } dd { (parts::source(source)) (port(incident.src_port)) } }
                @if let Some(from) = incident.src_ip {
                    @if incident.source.as_deref() != Some(&*from.to_string()) { dt { "Packets from" } dd { (parts::source(&from.to_string())) } }
                }
                @if let Some(to) = incident.dest_ip { dt { "Destination" } dd { span.mono { (to) } (port(incident.dest_port)) } }
                @if let Some(proto) = &incident.proto { dt { "Protocol" } dd { (proto) } }
                @if !incident.first_ports.is_empty() {
                    dt { "Lowest ports" }
                    dd.mono { (incident.first_ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")) }
                }
                @if !incident.first_destinations.is_empty() {
                    dt { "First destinations" }
                    dd.mono { @for (place, one) in incident.first_destinations.iter().enumerate() { @if place > 0 { ", " } (one) } }
                }
            }
        }
    }
}

/// What a feed or a signature says. Its fields are ours, and its values are of others.
fn known(detail: &serde_json::Value) -> Markup {
    html! {
        section.card aria-labelledby="known" data-live="known" {
            header { h2 id="known" { "What is known of it" } }
            @match detail {
                serde_json::Value::Object(fields) => dl.facts { @for (name, value) in fields {
                    dt { (parts::foreign(&name.replace('_', " "))) } dd { (parts::foreign(&plain(value))) }
                } },
                other => p { (parts::foreign(&plain(other))) },
            }
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        serde_json::Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        serde_json::Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn acknowledgement(incident: &Incident, now: Time) -> Markup {
    let path = format!("{}/acknowledge", parts::incident_path(incident));
    html! {
        section.card aria-labelledby="ack" data-live="ack" {
            header { h2 id="ack" { "Acknowledge" } }
            @if let Some(at) = incident.acknowledged_at {
                p { "Acknowledged " (parts::time(at, now)) "." }
                @if let Some(note) = &incident.acknowledged_note { p { (parts::foreign(note)) } }
                @if incident.has_risen() {
                    (parts::notice("trouble", &html! {
                        "It was acknowledged at " (incident.acknowledged_severity.as_deref().unwrap_or_default())
                        ", and is " (incident.severity) " now."
                    }))
                }
                form data-key="take-back" method="post" action=(path) {
                    input type="hidden" name="action" value="take-back";
                    p.actions { button.button { "Take it back" } }
                }
            } @else {
                p.muted { "Says that you look after it. It silences nothing, and is listed after what nobody looks after." }
                form.stack data-key="acknowledge" method="post" action=(path) {
                    input type="hidden" name="action" value="acknowledge";
                    label { "Note" input name="note" maxlength=(NOTE_MAX) autocomplete="off" placeholder="may be left empty"; }
                    p.actions { button.button.main { "Acknowledge" } }
                }
            }
        }
    }
}

fn explained(rule: &Rule) -> Markup {
    html! {
        (parts::card_with("rule", rule.name, &html! { a href={ "/rules#" (rule.name) } { "The rule" } }, &html! {
            p { (rule.summary) }
            h3 { "What it measures" } p { (parts::prose(rule.text.measures)) }
            h3 { "Why it fires" } p { (parts::prose(rule.text.fires)) }
            h3 { "What looks alike and is not counted" } p { (parts::prose(rule.text.spares)) }
            h3 { "What to do" } p { (parts::prose(rule.text.advice)) }
        }))
    }
}

fn allowing(incident: &Incident) -> Markup {
    let entry = proposal::entry(incident, jiff::Timestamp::now());
    let is_dest = guide::find(&incident.rule).is_ok_and(proposal::is_about_destination);
    parts::card(
        "allow",
        "Allow it",
        &html! {
            @match entry {
                Some(entry) => {
                    p {
                        "If this is expected, this entry spares "
                        @if is_dest { "the whole destination" } @else { "the whole source" }
                        " for this rule, and not just this incident: what comes is counted, and not told, for "
                        (proposal::DAYS) " days unless you write another date."
                    }
                    (parts::toml("allow-toml", &entry))
                    p.muted {
                        "Nothing was changed. Paste it into the configuration file, say why in the comment, and send netwatch "
                        code { "kill -HUP" } "."
                    }
                }
                None => p.muted {
                    "The allow-list knows sources and destinations, and this is about neither. "
                    "Turn the rule off in the configuration if it tells nothing of use here."
                },
            }
        },
    )
}

fn elsewhere(incident: &Incident) -> Markup {
    let mut command = "netwatch alerts".to_owned();
    if let Some(Network { addr, .. }) = incident.source.as_deref().and_then(Network::read) {
        command.push_str(&format!(" --src {addr}"));
    } else if let Some(dest) = incident.dest_ip {
        command.push_str(&format!(" --dest {dest}"));
    }
    if guide::find(&incident.rule).is_ok() {
        command.push_str(&format!(" --rule {}", incident.rule));
    }
    command.push_str(" --format json");
    parts::card(
        "elsewhere",
        "Elsewhere",
        &html! {
            dl.facts {
                dt { "Name" } dd.mono { (parts::foreign(&incident.id)) }
                dt { "As JSON" } dd { a.mono href={ "/api/v1" (parts::incident_path(incident)) } { "/api/v1/incidents/…" } }
                dt { "Terminal" } dd { code { (command) } }
            }
        },
    )
}

fn similar(incident: &Incident, others: &[Incident], now: Time) -> Markup {
    let Some(source) = &incident.source else { return html! {} };
    let aside = html! {
        @if let Some(path) = parts::source_path(source) { a href=(path) { "All of the source" } }
    };
    let is_open = others.iter().any(|other| other.state == Life::Open);
    html! {
        section.card aria-labelledby="others" data-live="others" {
            header { h2 id="others" { "Others of this source" @if is_open { span.visually-hidden { ", some of them open" } } } (aside) }
            @if others.is_empty() { (parts::empty("There are no others.")) } @else {
                ol.incidents { @for other in others { (row(other, now)) } }
            }
        }
    }
}
