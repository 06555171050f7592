//! Which path leads where, and what may be done there.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};

use super::answer::Refusal;
use super::shared::Shared;
use super::{acknowledge, login, now, page, past, rates, stream};

/// One path, and what answers there.
type Route = (&'static str, fn() -> MethodRouter<Arc<Shared>>);

/// Pages for people.
pub(super) const PAGES: [Route; 13] = [
    ("/", || get(page::overview)),
    ("/incidents", || get(page::incidents)),
    ("/incidents/{id}", || get(page::incident)),
    ("/incidents/{id}/acknowledge", || post(acknowledge::form)),
    ("/sources/{ip}", || get(page::source)),
    ("/sources/{ip}/{bits}", || get(page::network)),
    ("/packets", || get(page::packets)),
    ("/rules", || get(page::rules)),
    ("/feeds", || get(page::feeds)),
    ("/status", || get(page::status)),
    (LOGIN, || get(login::page).post(login::login)),
    (LOGOUT, || post(login::logout)),
    ("/assets/{name}", || get(page::asset)),
];
/// Paths for programs, which are described. Which methods there are is decided before a request comes here.
pub(super) const ROUTES: [Route; 20] = [
    ("/alerts", || get(past::alerts)),
    ("/api/v1/incidents", || get(past::incidents)),
    ("/api/v1/incidents/{id}", || get(past::incident)),
    ("/api/v1/incidents/{id}/acknowledge", || post(acknowledge::acknowledge).delete(acknowledge::take_back)),
    ("/api/v1/sources", || get(now::sources)),
    ("/api/v1/sources/{ip}", || get(past::source)),
    ("/api/v1/sources/{ip}/history", || get(past::source_history)),
    ("/api/v1/windows", || get(past::windows)),
    ("/api/v1/ports", || get(now::ports)),
    ("/api/v1/rates", || get(rates::rates)),
    ("/api/v1/classes", || get(now::classes)),
    ("/api/v1/feeds", || get(now::feeds)),
    ("/api/v1/rules", || get(now::rules)),
    ("/api/v1/config", || get(now::config)),
    ("/api/v1/status", || get(now::status)),
    ("/api/v1/stream", || get(stream::stream)),
    ("/api/v1/openapi.json", || get(now::describe)),
    ("/metrics", || get(now::prometheus)),
    (LIVEZ, || get(now::livez)),
    (READYZ, || get(now::readyz)),
];
/// Whether the server answers.
pub(super) const LIVEZ: &str = "/livez";
/// Whether netwatch works.
pub(super) const READYZ: &str = "/readyz";
/// Where people show the token.
pub(super) const LOGIN: &str = "/login";
/// Where they end their session.
pub(super) const LOGOUT: &str = "/logout";

/// What may be done at a path, as `Allow` has it.
pub(super) fn allowed(path: &str) -> &'static str {
    let is_one = |before: &str| {
        let name = path.strip_prefix(before).and_then(|rest| rest.strip_suffix("/acknowledge"));
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    };
    match path {
        LOGIN => "GET, HEAD, POST",
        LOGOUT => "POST",
        _ if is_one("/api/v1/incidents/") => "POST, DELETE",
        _ if is_one("/incidents/") => "POST",
        _ => "GET, HEAD",
    }
}

/// Whether that includes a method.
pub(super) fn allows(path: &str, method: &Method) -> bool {
    allowed(path).split(", ").any(|allowed| allowed == method.as_str())
}

/// Whether a path is for everybody: what says nothing of what was found, and the page that asks for the token.
pub(super) fn is_open(path: &str) -> bool {
    [LIVEZ, READYZ, LOGIN].contains(&path) || path.starts_with("/assets/")
}

/// Whether a path is a page, or might be one.
pub(super) fn is_page(path: &str) -> bool {
    !path.starts_with("/api/") && !ROUTES.iter().any(|(route, _)| *route == path)
}

/// The page that a form belongs to, by the path that takes the form; none where the path is a page itself.
pub(super) fn page_of(path: &str) -> Option<&str> {
    match path {
        LOGOUT => Some("/"),
        _ => path.strip_suffix("/acknowledge").filter(|page| page.starts_with("/incidents/")),
    }
}

/// Leads requests that were found in order.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let all = PAGES.iter().chain(&ROUTES);
    let router = all.fold(Router::new(), |router, (path, answer)| router.route(path, answer()));
    let missing = async || Refusal::missing("there is nothing here; / lists what there is");
    router.fallback(missing).with_state(shared)
}
