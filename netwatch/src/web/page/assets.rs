//! The style sheet and the script: small, our own, and part of the program.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::web::answer::Refusal;

/// Name, kind and content of each.
const ASSETS: [(&str, &str, &str); 2] = [
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
];

/// Where one is.
pub(super) fn path(name: &str) -> String {
    format!("/assets/{name}")
}

/// One of them.
pub(in crate::web) async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let found = ASSETS.iter().find(|(found, ..)| *found == name);
    let (_, kind, content) = found.ok_or_else(|| Refusal::missing("there is no such asset"))?;
    Ok(([(header::CONTENT_TYPE, *kind)], *content).into_response())
}
