//! `/packets`: packets as they pass, a few of each second. They come by the stream alone, so this page needs the script.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::html;
use netwatch_common::Class;

use super::layout::Page;
use super::parts;
use crate::web::answer::Refusal;
use crate::web::query::Asked;
use crate::web::shared::Shared;

/// The page.
pub(in crate::web) async fn packets(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked = Asked::filled(&uri, &["text", "class", "interface"])?;
    let value = |key| asked.text(key).unwrap_or("");
    let snapshot = shared.snapshots.borrow().clone();
    let content = html! {
        h1 { "Packets" }
        noscript {
            (parts::notice("", &html! {
                "Packets come as they pass, which needs the script of this page. In a terminal, " code { "netwatch watch" } " shows them."
            }))
        }
        div data-live="trouble" {
            @if let Some(trouble) = shared.packets.trouble() {
                (parts::notice("trouble", &html! { (parts::foreign(&trouble)) }))
            }
        }
        form.filters.card action="/packets" method="get" data-packet-filters {
            label { "Text" input type="search" name="text" value=(value("text")) maxlength="100" autocomplete="off" spellcheck="false" data-search placeholder="192.0.2.1 or tcp"; }
            label { "Class" select name="class" {
                option value="" { "any" }
                @for class in Class::ALL { option value=(class.name()) selected[value("class") == class.name()] { (class.name()) } }
            } }
            label { "Interface" select name="interface" {
                option value="" { "any" }
                @for state in &snapshot.interfaces {
                    option value=(state.name) selected[*state.name == *value("interface")] { (state.name) }
                }
            } }
            p.actions {
                button.button.main { "Show" }
                button.button type="button" hidden data-packets-pause aria-pressed="false" { "Pause" }
            }
        }
        section.card aria-labelledby="passing" {
            header { h2 id="passing" { "Passing now" } span.muted { "a few of each second, the newest first" } }
            (parts::scroll("Packets as they pass", &html! { table.packets {
                caption { "Packets as they pass" }
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Interface" } th scope="col" { "Way" } th scope="col" { "Class" }
                    th scope="col" { "Source" } th scope="col" { "Destination" } th.number scope="col" { "Bytes" } th scope="col" { "Packet" }
                } }
                tbody data-packets {}
            } }))
            p.empty data-packets-empty { "Nothing has passed yet since this page was opened." }
        }
    };
    Ok(Page { title: "Packets", place: "/packets", content }.response_with("alerts,packets"))
}
