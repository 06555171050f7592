//! Which path leads where.

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get};

use super::answer::Refusal;
use super::shared::Shared;
use super::{now, page, past, rates, stream};

/// One path, and what answers there.
type Route = (&'static str, fn() -> MethodRouter<Arc<Shared>>);

/// Pages for people.
pub(super) const PAGES: [Route; 2] = [("/", || get(page::overview)), ("/assets/{name}", || get(page::asset))];
/// Paths for programs, which are described. Which methods there are is decided before a request comes here.
pub(super) const ROUTES: [Route; 19] = [
    ("/alerts", || get(past::alerts)),
    ("/api/v1/incidents", || get(past::incidents)),
    ("/api/v1/incidents/{id}", || get(past::incident)),
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

/// Leads requests that were found in order.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let all = PAGES.iter().chain(&ROUTES);
    let router = all.fold(Router::new(), |router, (path, answer)| router.route(path, answer()));
    let missing = async || Refusal::missing("there is nothing here; / lists what there is");
    router.fallback(missing).with_state(shared)
}
