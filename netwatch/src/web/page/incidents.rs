//! `/incidents`: all that was found, searched and filtered. What is looked for stands in the address.

use std::sync::Arc;

use axum::extract::State;
use axum::http::uri::PathAndQuery;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::layout::{Page, TOPICS};
use super::parts;
use super::search::Search;
use crate::analysis::Severity;
use crate::analysis::rules::RULES;
use crate::figures;
use crate::report::history::Order;
use crate::report::{Incident, Page as Part, Time};
use crate::web::answer::Refusal;
use crate::web::shared::Shared;

/// The page.
pub(in crate::web) async fn incidents(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let search = Search::read(&uri)?;
    let question = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let lanes = &shared.lanes;
    let lane = if search.query.words.is_empty() { &lanes.lists } else { &lanes.texts };
    let body = shared.once(lane, question, async || page(&shared, &search).await).await?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response())
}

/// What is asked of the history. Texts are looked through for one at a time, so that others are answered meanwhile.
async fn ask(shared: &Shared, search: &Search) -> Result<Part<Incident>, Refusal> {
    if search.query.words.is_empty() {
        return Ok(shared.history.incidents(search.query.clone()).await?);
    }
    let place = Arc::clone(&shared.lanes.history).lock_owned().await;
    let answer = shared.history.incidents(search.query.clone());
    let answered = tokio::spawn(async move {
        let answer = answer.await;
        drop(place);
        answer
    });
    Ok(answered.await.map_err(|_| Refusal::busy("the history did not answer; ask again"))??)
}

async fn page(shared: &Shared, search: &Search) -> Result<String, Refusal> {
    let found = match &search.id {
        Some(id) => shared.history.incident(id.clone()).await?,
        None => None,
    };
    let part = match found {
        Some(incident) => Part { items: vec![incident], next: None },
        None => ask(shared, search).await?,
    };
    let names: Vec<_> =
        shared.snapshots.borrow().interfaces.iter().map(|state| state.name.to_string()).collect();
    let is_first = search.query.cursor.is_none();
    let now = figures::now();
    let content = html! {
        h1 { "Incidents" }
        (form(search, &names))
        section.card aria-labelledby="found" data-live="incidents" {
            header {
                h2 id="found" { (count(&part, is_first)) }
                @if !search.taken.is_empty() { span.muted { "Looked for as " (search.taken) "." } }
            }
            @if part.items.is_empty() {
                @if search.is_filtered() {
                    p.empty { "Nothing fits. " a href="/incidents" { "Show all incidents" } }
                } @else {
                    (parts::empty("Nothing was found yet. What netwatch finds is listed here."))
                }
            } @else {
                ol.incidents { @for incident in &part.items { (row(incident, now)) } }
            }
            (pager(search, part.next))
        }
    };
    Ok(Page { title: "Incidents", place: "/incidents", content }.document(TOPICS))
}

fn count(part: &Part<Incident>, is_first: bool) -> String {
    let count = figures::count(part.items.len() as u64, "incident");
    match (is_first, part.next) {
        (true, None) => count,
        (true, Some(_)) => format!("The first {count}"),
        (false, Some(_)) => format!("{count} more"),
        (false, None) => format!("The last {count}"),
    }
}

/// One incident with what tells it from others.
pub(super) fn row(incident: &Incident, now: Time) -> Markup {
    let is_acknowledged = incident.acknowledged_at.is_some();
    html! {
        li data-key=(incident.id) {
            (parts::severity(&incident.severity))
            a.what href=(parts::incident_path(incident)) { (parts::foreign(&incident.text)) }
            (parts::time(incident.updated_at, now))
            p.meta {
                span { (parts::state(incident.state, is_acknowledged)) }
                @if incident.has_risen() {
                    span { "acknowledged at " (incident.acknowledged_severity.as_deref().unwrap_or_default()) }
                }
                a href={ "/rules#" (incident.rule) } { (incident.rule) }
                span { (parts::foreign(&incident.interface)) }
                @if let Some(from) = &incident.source { (parts::source(from)) }
                @if incident.degraded { span { "counts are incomplete" } }
            }
        }
    }
}

/// The fields. Each is a part of the address.
fn form(search: &Search, interfaces: &[String]) -> Markup {
    let option = |key: &str, value: &str, text: &str| {
        html! { option value=(value) selected[search.text(key) == value] { (text) } }
    };
    html! {
        form.filters.card role="search" action="/incidents" method="get" {
            label {
                "Search"
                input type="search" name="q" value=(search.text("q")) maxlength="100" autocomplete="off"
                    spellcheck="false" data-search aria-describedby="search-hint" placeholder="192.0.2.0/24";
            }
            label { "State" select name="state" {
                (option("state", "", "open and closed"))
                (option("state", "open", "open"))
                (option("state", "closed", "closed"))
            } }
            label { "Severity" select name="severity" {
                (option("severity", "", "any"))
                @for severity in Severity::ALL.into_iter().skip(1) {
                    (option("severity", severity.name(), &match severity {
                        Severity::Critical => severity.name().to_owned(),
                        _ => format!("{} or more", severity.name()),
                    }))
                }
            } }
            label { "Rule" select name="rule" {
                (option("rule", "", "any"))
                @for rule in &RULES { (option("rule", rule.name, rule.name)) }
            } }
            label { "Interface" select name="interface" {
                (option("interface", "", "any"))
                @for name in interfaces { (option("interface", name, name)) }
                @let asked = search.text("interface");
                @if !asked.is_empty() && !interfaces.iter().any(|name| name == asked) {
                    (option("interface", asked, asked))
                }
            } }
            label { "Since" select name="since" {
                (option("since", "", "any time"))
                @for (value, text) in [("1h", "the last hour"), ("24h", "the last day"), ("7d", "the last week")] {
                    (option("since", value, text))
                }
                @let asked = search.text("since");
                @if !["", "1h", "24h", "7d"].contains(&asked) { (option("since", asked, asked)) }
            } }
            label { "Acknowledged" select name="acknowledged" {
                (option("acknowledged", "", "or not"))
                (option("acknowledged", "false", "not yet"))
                (option("acknowledged", "true", "acknowledged"))
            } }
            label { "Order" select name="order" {
                (option("order", "", "what needs a look first"))
                (option("order", "newest", "newest first"))
            } }
            p.actions {
                button.button.main { "Show" }
                @if search.is_filtered() { a.button href="/incidents" { "Clear" } }
            }
            p.muted id="search-hint" {
                "An address, a network, the name of a rule, the name of an incident, or words of its sentence."
            }
        }
    }
}

fn pager(search: &Search, next: Option<u64>) -> Markup {
    let first = search.query.cursor.map(|_| search.at(None));
    let next = next.map(|next| search.at(Some(next)));
    let name = if search.query.order == Order::Newest { "Older" } else { "More" };
    parts::pager(first.as_deref(), next.as_deref().map(|next| (next, name)))
}
