//! `/rules`: what netwatch looks for, and what is configured of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};
use toml::de::{DeTable, DeValue};

use super::layout::Page;
use super::parts;
use crate::analysis::rules::{RULES, Rule};
use crate::figures;
use crate::guide;
use crate::web::answer::Refusal;
use crate::web::query::Asked;
use crate::web::shared::Shared;

/// The page.
pub(in crate::web) async fn rules(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let config = shared.snapshots.borrow().config.clone();
    let effective = DeTable::parse(&config).map(toml::Spanned::into_inner).unwrap_or_default();
    let content = html! {
        h1 { "Rules" }
        (parts::card("all", "All rules", &html! {
            (parts::scroll("Rules in effect", &html! { table {
                caption { "What is in effect now; what the configuration says otherwise than netwatch is marked" }
                thead { tr {
                    th scope="col" { "Rule" } th scope="col" { "Finds" } th.number scope="col" { "Tolerates" }
                    th scope="col" { "Over" } th scope="col" { "Severity" } th scope="col" { "Told" }
                } }
                tbody { @for rule in &RULES { (line(rule, &effective)) } }
            } }))
        }))
        @for rule in &RULES { (explained(rule, &effective)) }
    };
    Ok(Page { title: "Rules", place: "/rules", content }.response())
}

/// What the configuration says of a rule.
struct Effect {
    threshold: u64,
    is_enabled: bool,
    notifies: bool,
    severity: String,
}

impl Effect {
    fn of(rule: &Rule, effective: &DeTable<'_>) -> Self {
        let rules = effective.get("rules").and_then(|rules| rules.get_ref().as_table());
        let table = rules.and_then(|rules| rules.get(rule.name)).and_then(|table| table.get_ref().as_table());
        let get = |key: &str| table.and_then(|table| table.get(key)).map(toml::Spanned::get_ref);
        let is_yes = |key: &str| get(key).and_then(DeValue::as_bool);
        let threshold = get("threshold").and_then(DeValue::as_integer);
        let severity = get("severity").and_then(DeValue::as_str).filter(|name| *name != "auto");
        Self {
            threshold: threshold.and_then(|number| number.as_str().parse().ok()).unwrap_or(rule.threshold),
            is_enabled: is_yes("enabled").unwrap_or(true),
            notifies: is_yes("notify").unwrap_or_else(|| rule.notifies()),
            severity: severity.unwrap_or(rule.severity.name()).to_owned(),
        }
    }
}

fn line(rule: &Rule, effective: &DeTable<'_>) -> Markup {
    let effect = Effect::of(rule, effective);
    html! {
        tr {
            th scope="row" { a href={ "#" (rule.name) } { (rule.name) } }
            td { (rule.summary) }
            td.number { (figures::grouped(effect.threshold)) @if effect.threshold != rule.threshold { " *" span.visually-hidden { "configured" } } }
            td { (guide::over(rule)) }
            td { (parts::severity(&effect.severity)) }
            td { @if !effect.is_enabled { "turned off" } @else if effect.notifies { "yes" } @else { "recorded only" } }
        }
    }
}

fn explained(rule: &Rule, effective: &DeTable<'_>) -> Markup {
    let effect = Effect::of(rule, effective);
    html! {
        section.card aria-labelledby=(rule.name) {
            header { h2 id=(rule.name) { (rule.name) } a href={ "/incidents?rule=" (rule.name) } { "Its incidents" } }
            p { (rule.summary) }
            dl.facts {
                dt { "Tolerates" }
                dd {
                    (figures::grouped(effect.threshold)) " " (rule.unit)
                    @if effect.threshold != rule.threshold { " " span.muted { "(" (figures::grouped(rule.threshold)) " unless configured)" } }
                }
                @for param in rule.params { dt { (param.name) } dd { (param.meaning) "; " (figures::grouped(param.default)) " unless configured" } }
                @if !rule.attack_id.is_empty() { dt { "MITRE ATT&CK" } dd.mono { (rule.attack_id) } }
            }
            h3 { "What it measures" } p { (parts::prose(rule.text.measures)) }
            h3 { "Why it fires" } p { (parts::prose(rule.text.fires)) }
            h3 { "What looks alike and is not counted" } p { (parts::prose(rule.text.spares)) }
            h3 { "What to do" } p { (parts::prose(rule.text.advice)) }
        }
    }
}
