//! `/feeds`: lists of addresses that are known to be bad, and whether they are in use.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::html;

use super::layout::Page;
use super::parts;
use crate::figures;
use crate::web::answer::Refusal;
use crate::web::query::Asked;
use crate::web::shared::Shared;

/// The page.
pub(in crate::web) async fn feeds(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    let now = figures::now();
    let content = html! {
        h1 { "Feeds" }
        section.card aria-labelledby="all" data-live="feeds" {
            header { h2 id="all" { "In the configuration" } a href="/incidents?rule=ioc.ip" { "What they found" } }
            @if snapshot.feeds.is_empty() {
                p.empty {
                    "There are none. Name files of addresses in " code { "[[feeds]]" } " of the configuration; netwatch fetches nothing itself."
                }
            } @else {
                (parts::scroll("Feeds", &html! { table {
                    caption { "Feeds, in the order of the configuration" }
                    thead { tr {
                        th scope="col" { "Feed" } th scope="col" { "State" } th.number scope="col" { "Entries" }
                        th scope="col" { "Written" } th scope="col" { "File" }
                    } }
                    tbody { @for feed in &snapshot.feeds {
                        tr data-key=(feed.name) {
                            th scope="row" { (parts::foreign(&feed.name)) }
                            td { @if feed.is_live { "in use" } @else { "not in use: it has ended, or cannot be read" } }
                            td.number { (figures::grouped(feed.entries)) }
                            td { @match feed.written_at { Some(at) => (parts::time(at, now)), None => "not known" } }
                            td.mono { (parts::foreign(&feed.file)) }
                        }
                    } }
                } }))
            }
        }
        p.muted { "Whether an address is listed stands on its page, and " code { "netwatch feeds lookup ADDRESS" } " says it in a terminal." }
    };
    Ok(Page { title: "Feeds", place: "/feeds", content }.response())
}
