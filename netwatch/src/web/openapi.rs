//! The description of the interface, made from the code that answers.

use utoipa::OpenApi;

use super::{acknowledge, hub, now, past, rates, shapes, stream};
use crate::report::Passed;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "netwatch",
        description = "What netwatch has found and how it is. Everything is read with GET or HEAD, and nothing can be changed but \
            who looks after an incident; errors are JSON with a sentence. Where a token is configured, requests bear it as `Authorization: Bearer ...`.",
    ),
    paths(
        past::alerts,
        past::incidents,
        past::incident,
        acknowledge::acknowledge,
        acknowledge::take_back,
        now::sources,
        past::source,
        past::source_history,
        past::windows,
        now::ports,
        now::classes,
        rates::rates,
        now::feeds,
        now::rules,
        now::config,
        now::status,
        stream::stream,
        now::describe,
        now::prometheus,
        now::livez,
        now::readyz,
    ),
    components(schemas(hub::AlertEvent<'static>, acknowledge::AcknowledgedEvent<'static>, shapes::Stats, rates::RatesEvent, Passed, shapes::Problem)),
    tags(
        (name = "incidents", description = "What was found"),
        (name = "live", description = "What is found"),
        (name = "traffic", description = "Who sends what"),
        (name = "netwatch", description = "How netwatch is, and what it was told"),
        (name = "health", description = "For whoever looks after netwatch"),
    ),
)]
struct Api;

/// The description as JSON, as docs/openapi.json has it.
#[must_use]
pub fn document() -> String {
    let mut api = Api::openapi();
    // A release that changes nothing here leaves the document as it is.
    api.info.version = "1".into();
    let mut text = api.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
