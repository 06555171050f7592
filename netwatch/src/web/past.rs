//! Routes about what was: incidents and windows.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use jiff::Timestamp;
use serde::Serialize;

use super::answer::Refusal;
use super::query::{Asked, address};
use super::shapes::{Incidents, Problem, Source, SourceDetail, Windows};
use super::shared::{Cached, Shared};
use crate::analysis::Severity;
use crate::report::history::{Order, PAGE_MAX};
use crate::report::{Incident, IncidentQuery, WindowQuery};

/// Parameters of questions about incidents.
const FILTERS: [&str; 12] = [
    "since",
    "until",
    "rule",
    "severity",
    "src",
    "dest",
    "interface",
    "state",
    "acknowledged",
    "limit",
    "cursor",
    "order",
];
/// Letters of the longest name of an incident.
pub(super) const ID: usize = 128;

fn incident_query(asked: &Asked) -> Result<IncidentQuery, Refusal> {
    let now = Timestamp::now();
    let order = match asked.text("order") {
        None | Some("newest") => Order::Newest,
        Some("changed") => Order::Changed,
        Some("worst") => Order::Worst,
        Some(other) => {
            return Err(Refusal::wrong(format!(
                "order: {other:?} is not right; give newest, worst or changed"
            )));
        }
    };
    Ok(IncidentQuery {
        since: asked.time("since", now)?,
        until: asked.time("until", now)?,
        rule: asked.rule("rule")?,
        min_severity: asked.severity("severity")?,
        min_weight: None,
        source: asked.address("src")?,
        dest: asked.address("dest")?,
        interface: asked.interface("interface")?,
        state: asked.state("state")?,
        acknowledged: asked.yes("acknowledged")?,
        near: None,
        words: Vec::new(),
        order,
        cursor: asked.cursor()?,
        limit: asked.limit()?,
    })
}

/// Alerts: incidents that weigh at least `low`, the newest first.
///
/// A plain list. Where there is more, the header `Link` says where.
#[utoipa::path(
    get,
    path = "/alerts",
    tag = "incidents",
    params(
        ("since" = Option<String>, Query, description = "Updated since this time, or so long ago: `2026-11-21T18:00:00Z`, `1h`"),
        ("until" = Option<String>, Query, description = "Updated before this time, or so long ago"),
        ("rule" = Option<String>, Query, description = "Of this rule"),
        ("severity" = Option<String>, Query, description = "At least this severe"),
        ("src" = Option<String>, Query, description = "From this address"),
        ("dest" = Option<String>, Query, description = "To this address"),
        ("interface" = Option<String>, Query, description = "On this interface"),
        ("state" = Option<String>, Query, description = "`open` or `closed`"),
        ("acknowledged" = Option<bool>, Query, description = "Whether somebody looks after it"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 1000; 100 unless said"),
        ("cursor" = Option<String>, Query, description = "Where to go on"),
    ),
    responses(
        (status = 200, description = "Incidents", body = Vec<Incident>,
            headers(("link" = String, description = "`<...>; rel=\"next\"` where there is more"))),
        (status = 400, description = "A parameter is not right", body = Problem),
    )
)]
pub(super) async fn alerts(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    again(&shared, &uri, async || {
        // All but the order: pages of a list that changes meanwhile would not fit together.
        let asked = Asked::read(&uri, &FILTERS[..11])?;
        let query = IncidentQuery { min_weight: Some(Severity::Low), ..incident_query(&asked)? };
        let page = shared.history.incidents(query).await?;
        let link = page.next.map(|next| {
            let rest = uri.query().unwrap_or("").split('&');
            let rest = rest.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
            let query: Vec<_> = rest.map(str::to_owned).chain([format!("cursor={next}")]).collect();
            format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
        });
        Ok((page.items, link))
    })
    .await
}

/// Incidents, those of which nobody is told included.
#[utoipa::path(
    get,
    path = "/api/v1/incidents",
    tag = "incidents",
    params(
        ("since" = Option<String>, Query, description = "Updated since this time, or so long ago: `2026-11-21T18:00:00Z`, `1h`"),
        ("until" = Option<String>, Query, description = "Updated before this time, or so long ago"),
        ("rule" = Option<String>, Query, description = "Of this rule"),
        ("severity" = Option<String>, Query, description = "At least this severe"),
        ("src" = Option<String>, Query, description = "From this address"),
        ("dest" = Option<String>, Query, description = "To this address"),
        ("interface" = Option<String>, Query, description = "On this interface"),
        ("state" = Option<String>, Query, description = "`open` or `closed`"),
        ("acknowledged" = Option<bool>, Query, description = "Whether somebody looks after it"),
        ("order" = Option<String>, Query, description = "`newest` first; `worst`: what goes on and nobody looks after first, and the most severe of that; or `changed`: whose last step is oldest first; with the \
            `next` of before as `cursor`, those that changed since"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 1000; 100 unless said"),
        ("cursor" = Option<String>, Query, description = "Where to go on: `next` of the answer before"),
    ),
    responses(
        (status = 200, description = "Incidents", body = Incidents),
        (status = 400, description = "A parameter is not right", body = Problem),
        (status = 503, description = "The history cannot be read now", body = Problem),
    )
)]
pub(super) async fn incidents(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    again(&shared, &uri, async || {
        let query = incident_query(&Asked::read(&uri, &FILTERS)?)?;
        let page = shared.history.incidents(query).await?;
        Ok((Incidents { items: page.items, next: page.next.map(|next| next.to_string()) }, None))
    })
    .await
}

/// One incident.
#[utoipa::path(
    get,
    path = "/api/v1/incidents/{id}",
    tag = "incidents",
    params(("id" = String, Path, description = "Its name, as alerts have it")),
    responses(
        (status = 200, description = "The incident", body = Incident),
        (status = 404, description = "There is none of this name, or it was removed", body = Problem),
    )
)]
pub(super) async fn incident(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Incident>, Refusal> {
    Asked::read(&uri, &[])?;
    let missing =
        || Refusal::missing("there is no incident of this name, or it was removed because of its age");
    if id.len() > ID {
        return Err(missing());
    }
    shared.history.incident(id).await?.map(Json).ok_or_else(missing)
}

/// What is known of one source: what it sends now, and its incidents.
#[utoipa::path(
    get,
    path = "/api/v1/sources/{ip}",
    tag = "traffic",
    params(("ip" = String, Path, description = "Its address")),
    responses(
        (status = 200, description = "The source; one that nobody has seen has no incidents", body = SourceDetail),
        (status = 400, description = "This is no address", body = Problem),
    )
)]
pub(super) async fn source(
    State(shared): State<Arc<Shared>>,
    Path(ip): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let ip = path_address(&ip)?;
    again(&shared, &uri, async || {
        Asked::read(&uri, &[])?;
        let query = IncidentQuery { source: Some(ip), limit: 100, ..IncidentQuery::default() };
        let incidents = shared.history.incidents(query).await?.items;
        let snapshot = shared.snapshots.borrow().clone();
        let now = snapshot.sources.iter().filter(|busy| is_in(ip, busy.addr, busy.bits)).map(Source::from);
        let detail = SourceDetail { at: snapshot.at, address: ip.to_string(), now: now.collect(), incidents };
        Ok((detail, None))
    })
    .await
}

/// Windows in which a source was among the busiest, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/sources/{ip}/history",
    tag = "traffic",
    params(
        ("ip" = String, Path, description = "Its address"),
        ("since" = Option<String>, Query, description = "Since this time, or so long ago"),
        ("until" = Option<String>, Query, description = "Before this time, or so long ago"),
        ("interface" = Option<String>, Query, description = "On this interface"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 1000; 100 unless said"),
        ("cursor" = Option<String>, Query, description = "Where to go on: `next` of the answer before"),
    ),
    responses(
        (status = 200, description = "Windows, of whose sources only this one is named", body = Windows),
        (status = 400, description = "A parameter is not right", body = Problem),
    )
)]
pub(super) async fn source_history(
    State(shared): State<Arc<Shared>>,
    Path(ip): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let source = Some(path_address(&ip)?);
    again(&shared, &uri, async || {
        let asked = Asked::read(&uri, &["since", "until", "interface", "limit", "cursor"])?;
        Ok((windows_of(&shared, WindowQuery { source, ..window_query(&asked)? }).await?, None))
    })
    .await
}

/// What was seen in windows, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/windows",
    tag = "traffic",
    params(
        ("since" = Option<String>, Query, description = "Since this time, or so long ago"),
        ("until" = Option<String>, Query, description = "Before this time, or so long ago"),
        ("interface" = Option<String>, Query, description = "On this interface"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 1000; 100 unless said"),
        ("cursor" = Option<String>, Query, description = "Where to go on: `next` of the answer before"),
    ),
    responses(
        (status = 200, description = "Windows", body = Windows),
        (status = 400, description = "A parameter is not right", body = Problem),
    )
)]
pub(super) async fn windows(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    again(&shared, &uri, async || {
        let asked = Asked::read(&uri, &["since", "until", "interface", "limit", "cursor"])?;
        Ok((windows_of(&shared, window_query(&asked)?).await?, None))
    })
    .await
}

fn window_query(asked: &Asked) -> Result<WindowQuery, Refusal> {
    let now = Timestamp::now();
    Ok(WindowQuery {
        since: asked.time("since", now)?,
        until: asked.time("until", now)?,
        interface: asked.interface("interface")?,
        source: None,
        cursor: asked.cursor()?,
        limit: asked.limit()?.min(PAGE_MAX),
    })
}

async fn windows_of(shared: &Shared, query: WindowQuery) -> Result<Windows, Refusal> {
    let page = shared.history.windows(query).await?;
    Ok(Windows { items: page.items, next: page.next.map(|next| next.to_string()) })
}

fn path_address(text: &str) -> Result<IpAddr, Refusal> {
    let wrong = "this is no address; write it like /api/v1/sources/192.0.2.1 or /api/v1/sources/2001:db8::1";
    address(text).ok_or_else(|| Refusal::wrong(wrong))
}

/// Whether an address is in a network.
pub(super) fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width): (u128, u128, u8) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let free = u32::from(width.saturating_sub(bits));
    (address ^ network).checked_shr(free).unwrap_or(0) == 0
}

/// Answers what was asked a moment ago as it was answered then, and else by `find`, with where to go on.
async fn again<T: Serialize>(
    shared: &Shared,
    uri: &Uri,
    find: impl AsyncFnOnce() -> Result<(T, Option<String>), Refusal>,
) -> Result<Response, Refusal> {
    let question = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let step = shared.hub.latest();
    let cached = match shared.cache.get(question, step, shared.patience.cached) {
        Some(cached) => cached,
        None => {
            let (found, link) = find().await?;
            let body =
                serde_json::to_vec(&found).map_err(|_| Refusal::busy("the answer cannot be written"))?;
            shared.cache.put(question, step, body.into(), link)
        }
    };
    let Cached { body, link, .. } = cached;
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}
