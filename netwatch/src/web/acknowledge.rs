//! That somebody looks after an incident: the one thing that can be changed here.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Fields;
use super::past::ID;
use super::query::Asked;
use super::shapes::Problem;
use super::shared::Shared;
use crate::report::{Ack, Incident, Time, history};

/// Body of an acknowledgement.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes what is read field by field")]
pub(super) struct Note {
    /// What whoever looks after it wants to say, in at most 200 letters.
    note: Option<String>,
}

/// Data of `acknowledged`.
#[derive(Serialize, ToSchema)]
pub(super) struct AcknowledgedEvent<'a> {
    /// The incident.
    id: &'a str,
    /// Since when somebody looks after it; null where nobody does any more.
    #[schema(value_type = Option<Time>)]
    acknowledged_at: Option<Time>,
}

/// Says that somebody looks after an incident.
///
/// It silences nothing. Who says it again replaces the time, the severity and the note.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/acknowledge",
    tag = "incidents",
    params(("id" = String, Path, description = "Its name, as alerts have it")),
    request_body(content = Option<Note>, description = "As JSON or as a form; may be left out"),
    responses(
        (status = 200, description = "The incident from now on", body = Incident),
        (status = 400, description = "The note is too long, or the body is something else", body = Problem),
        (status = 403, description = "It comes from a page of somebody else's", body = Problem),
        (status = 404, description = "There is none of this name, or it was removed", body = Problem),
        (status = 503, description = "It could not be written", body = Problem),
    )
)]
pub(super) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Incident>, Refusal> {
    Asked::read(&uri, &[])?;
    let fields = Fields::read(&headers, body, &["note"]).await?;
    let note = history::note(fields.text("note")).map_err(Refusal::wrong)?;
    change(&shared, id, Some(Ack { at: Time(crate::clock::now()), note })).await.map(Json)
}

/// Takes that back.
#[utoipa::path(
    delete,
    path = "/api/v1/incidents/{id}/acknowledge",
    tag = "incidents",
    params(("id" = String, Path, description = "Its name, as alerts have it")),
    responses(
        (status = 200, description = "The incident from now on", body = Incident),
        (status = 403, description = "It comes from a page of somebody else's", body = Problem),
        (status = 404, description = "There is none of this name, or it was removed", body = Problem),
        (status = 503, description = "It could not be written", body = Problem),
    )
)]
pub(super) async fn take_back(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Incident>, Refusal> {
    Asked::read(&uri, &[])?;
    change(&shared, id, None).await.map(Json)
}

/// The same from the form of a page, to which it leads back.
pub(super) async fn form(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let fields = Fields::read(&headers, body, &["note", "action"]).await?;
    let ack = match fields.text("action") {
        "acknowledge" => {
            let note = history::note(fields.text("note")).map_err(Refusal::wrong)?;
            Some(Ack { at: Time(crate::clock::now()), note })
        }
        "take-back" => None,
        _ => return Err(Refusal::wrong("action: give acknowledge or take-back")),
    };
    let incident = change(&shared, id, ack).await?;
    let path = super::page::parts::incident_path(&incident);
    let path = HeaderValue::try_from(path).map_err(|_| Refusal::missing("its name leads nowhere"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response())
}

async fn change(shared: &Shared, id: String, ack: Option<Ack>) -> Result<Incident, Refusal> {
    let missing =
        || Refusal::missing("there is no incident of this name, or it was removed because of its age");
    if id.len() > ID {
        return Err(missing());
    }
    let incident = shared.history.acknowledge(id, ack).await?.ok_or_else(missing)?;
    shared.cache.clear();
    let event = AcknowledgedEvent { id: &incident.id, acknowledged_at: incident.acknowledged_at };
    if let Ok(json) = serde_json::to_string(&event) {
        shared.hub.acknowledged(&json);
    }
    Ok(incident)
}
