//! Routes about what is: the newest snapshot, the rules, and whether netwatch works.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use super::counts::{Trouble, value};
use super::query::Asked;
use super::shapes::{
    AsOf, Classes, Effective, Feed, Interface, Lives, Output, Port, Problem, RuleShape, Server, Source,
    Status, Store, seconds, suppressed,
};
use super::shared::Shared;
use super::{metrics, openapi};
use crate::analysis::rules::RULES;
use crate::report::health;

/// Whether the server answers. Takes no token.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It does", body = String)))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether netwatch counts packets. Takes no token.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "It does", body = String),
        (status = 503, description = "Nothing was counted yet, or not lately", body = Problem),
    )
)]
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Result<&'static str, Refusal> {
    shared.trouble().map_or(Ok("ok\n"), |trouble| Err(Refusal::busy(trouble)))
}

/// The busiest sources of the window, by packets.
#[utoipa::path(
    get,
    path = "/api/v1/sources",
    tag = "traffic",
    params(
        ("interface" = Option<String>, Query, description = "On this interface"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 1000; 100 unless said, and there are no more"),
    ),
    responses(
        (status = 200, description = "Sources, as of the last slot", body = AsOf<Source>),
        (status = 400, description = "A parameter is not right", body = Problem),
    )
)]
pub(super) async fn sources(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<AsOf<Source>>, Refusal> {
    let asked = Asked::read(&uri, &["interface", "limit"])?;
    let (interface, limit) = (asked.interface("interface")?, asked.limit()?);
    let snapshot = shared.snapshots.borrow().clone();
    let is_asked = |name: &str| interface.as_deref().is_none_or(|asked| asked == name);
    let sources = snapshot.sources.iter().filter(|busy| is_asked(&busy.interface)).take(limit);
    Ok(Json(AsOf { at: snapshot.at, items: sources.map(Source::from).collect() }))
}

/// The busiest destination ports of the last slot, by packets.
#[utoipa::path(
    get,
    path = "/api/v1/ports",
    tag = "traffic",
    params(
        ("interface" = Option<String>, Query, description = "On this interface"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 1000; 100 unless said, and there are no more"),
    ),
    responses(
        (status = 200, description = "Ports, as of the last slot", body = AsOf<Port>),
        (status = 400, description = "A parameter is not right", body = Problem),
    )
)]
pub(super) async fn ports(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<AsOf<Port>>, Refusal> {
    let asked = Asked::read(&uri, &["interface", "limit"])?;
    let (interface, limit) = (asked.interface("interface")?, asked.limit()?);
    let snapshot = shared.snapshots.borrow().clone();
    let is_asked = |name: &str| interface.as_deref().is_none_or(|asked| asked == name);
    let ports = snapshot.ports.iter().filter(|busy| is_asked(&busy.interface)).take(limit);
    Ok(Json(AsOf { at: snapshot.at, items: ports.map(Port::from).collect() }))
}

/// Packets by class, of each interface, since the start.
#[utoipa::path(
    get,
    path = "/api/v1/classes",
    tag = "traffic",
    responses((status = 200, description = "Classes, as of the last slot", body = AsOf<Classes>))
)]
pub(super) async fn classes(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<AsOf<Classes>>, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    let items = snapshot.interfaces.iter().map(Classes::from).collect();
    Ok(Json(AsOf { at: snapshot.at, items }))
}

/// Feeds of addresses that are known to be bad.
#[utoipa::path(
    get,
    path = "/api/v1/feeds",
    tag = "netwatch",
    responses((status = 200, description = "Feeds, in the order of the configuration", body = AsOf<Feed>))
)]
pub(super) async fn feeds(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<AsOf<Feed>>, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    Ok(Json(AsOf { at: snapshot.at, items: snapshot.feeds.iter().map(Feed::from).collect() }))
}

/// The rules, as they come with netwatch; what is configured of them is in the configuration.
#[utoipa::path(
    get,
    path = "/api/v1/rules",
    tag = "netwatch",
    responses((status = 200, description = "All rules", body = AsOf<RuleShape>))
)]
pub(super) async fn rules(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<AsOf<RuleShape>>, Refusal> {
    Asked::read(&uri, &[])?;
    let at = shared.snapshots.borrow().at;
    Ok(Json(AsOf { at, items: RULES.iter().map(RuleShape::from).collect() }))
}

/// The configuration in effect. It names files of secrets, and holds none.
#[utoipa::path(
    get,
    path = "/api/v1/config",
    tag = "netwatch",
    responses((status = 200, description = "The configuration", body = Effective))
)]
pub(super) async fn config(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Effective>, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    Ok(Json(Effective { toml: snapshot.config.to_string(), is_good: snapshot.config_is_good }))
}

/// How netwatch is.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "netwatch",
    responses((status = 200, description = "The state, as of the last slot", body = Status))
)]
pub(super) async fn status(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Status>, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    let counts = &shared.counts;
    let refused = Trouble::ALL.map(|trouble| (trouble.name(), counts.troubles(trouble)));
    let trouble = shared.trouble();
    Ok(Json(Status {
        degraded: health::reasons(&snapshot, trouble.as_deref()),
        version: snapshot.run.version,
        run: snapshot.run.id.clone(),
        host: snapshot.run.host.clone(),
        started_at: snapshot.run.started_at,
        at: snapshot.at,
        trouble,
        slot_s: seconds(snapshot.slot_ns),
        window_s: seconds(snapshot.window_ns),
        drain_s: seconds(snapshot.drain_ns),
        interfaces: snapshot.interfaces.iter().map(Interface::from).collect(),
        incidents: Lives::from(&snapshot.counters),
        suppressed: suppressed(&snapshot.counters),
        config_is_good: snapshot.config_is_good,
        stdout_dropped: snapshot.stdout_dropped,
        outputs: snapshot.outputs.iter().map(Output::from).collect(),
        history: Store::from(&snapshot.store),
        server: Server {
            connections: value(&counts.connections),
            streams: value(&counts.streams),
            refused: refused.into_iter().filter(|(_, count)| *count > 0).collect(),
        },
    }))
}

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "netwatch",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
pub(super) async fn describe(uri: Uri) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    Ok(([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response())
}

/// Metrics for Prometheus, as text of version 0.0.4, or as OpenMetrics for who accepts it.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String))
)]
pub(super) async fn prometheus(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let is_open = accepts.contains("application/openmetrics-text");
    let text = metrics::text(&shared.registry, is_open)
        .ok_or_else(|| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    let kind = if is_open { metrics::OPEN } else { metrics::PLAIN };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
