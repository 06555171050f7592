//! The style sheet, the script and the icon: small, our own, and part of the program.

use axum::extract::Path;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};

use crate::web::answer::Refusal;

/// The style sheet, for whoever makes something that looks alike.
pub(crate) const STYLE: &str = include_str!("assets/style.css");

/// One of them.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    /// What changes with the content, so that what a browser has kept is never the wrong one.
    version: u64,
}

impl Asset {
    const fn new(name: &'static str, kind: &'static str, content: &'static str) -> Self {
        Self { name, kind, content, version: hash(content.as_bytes()) }
    }
}

/// All of them.
static ASSETS: [Asset; 3] = [
    Asset::new("style.css", "text/css; charset=utf-8", STYLE),
    Asset::new("app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
    Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// FNV-1a. Nobody chooses what is hashed but us.
const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut place = 0;
    while place < bytes.len() {
        hash = (hash ^ bytes[place] as u64).wrapping_mul(0x0100_0000_01b3);
        place += 1;
    }
    hash
}

/// Where one is.
pub(super) fn path(name: &str) -> String {
    let version = ASSETS.iter().find(|asset| asset.name == name).map_or(0, |asset| asset.version);
    format!("/assets/{name}?v={version:016x}")
}

/// One of them. Asked for by its version it may be kept for ever; without, nobody knows for how long.
pub(in crate::web) async fn asset(Path(name): Path<String>, uri: Uri) -> Result<Response, Refusal> {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Refusal::missing("there is no such asset"))?;
    let is_current = uri.query().is_some_and(|query| query == format!("v={:016x}", asset.version));
    let kept = if is_current { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)];
    Ok((headers, asset.content).into_response())
}
