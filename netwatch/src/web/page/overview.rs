//! `/`: whether all is well, at one look.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::html;

use super::layout::Page;
use crate::web::answer::Refusal;
use crate::web::query::Asked;
use crate::web::shared::Shared;

/// The page.
pub(in crate::web) async fn overview(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    let content = html! {
        h1 { "Overview" }
        p { (snapshot.counters.open()) " incidents are open." }
    };
    Ok(Page { title: "Overview", place: "/", content }.response())
}
