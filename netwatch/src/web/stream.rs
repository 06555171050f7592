//! The live stream: server-sent events, which go on where the client was when it comes back.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{broadcast, watch};

use super::answer::Refusal;
use super::counts::{Trouble, less, more, value};
use super::hub::gap;
use super::limits::STREAMS;
use super::query::Asked;
use super::shared::Shared;
use crate::analysis::Severity;
use crate::report::Passed;

/// What a client that lost its connection waits before it comes back, in milliseconds.
const RETRY_MS: u32 = 3_000;
/// What there is to be told of.
const TOPICS: [&str; 4] = ["alerts", "stats", "rates", "packets"];
/// What is told of unless said otherwise.
const USUAL: [&str; 2] = ["alerts", "stats"];

/// What is sent where there is nothing to say. No comment, because scripts do not see those.
const ALIVE: &[u8] = b"event: alive\ndata: {}\n\n";

/// One who listens.
struct Client {
    shared: Arc<Shared>,
    run: String,
    /// Number of the last step that was sent, or need not be.
    place: u64,
    min: Severity,
    /// What to send before anything else.
    first: Option<Bytes>,
    alerts: bool,
    stats: bool,
    rates: bool,
    /// Packets, where they are wanted.
    packets: Option<broadcast::Receiver<Arc<Passed>>>,
    steps: watch::Receiver<u64>,
    acknowledged: broadcast::Receiver<Bytes>,
    state: watch::Receiver<Bytes>,
    passed: watch::Receiver<Bytes>,
    admitted: watch::Receiver<()>,
    _seat: Seat,
}

/// A stream's place among those that there may be.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Result<Self, Refusal> {
        // One thread serves all, so nobody comes in between.
        if value(&shared.counts.streams) >= STREAMS as u64 {
            shared.counts.trouble(Trouble::Streams);
            return Err(Refusal::busy(format!("there are {STREAMS} streams already; try again later")));
        }
        more(&shared.counts.streams);
        Ok(Self(Arc::clone(shared)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        less(&self.0.counts.streams);
    }
}

/// Tells of alerts and of the state as it changes.
///
/// Server-sent events. `alert`: a step of an incident, or a digest. `acknowledged`: somebody looks after an incident, or does not
/// any more; it comes with alerts and has no `id`. `stats`: a summary of the state, once a slot. `rates`: what passed in the
/// last second. `packet`: packets as they pass, a few each second. `gap`:
/// `{"missed": n}` steps are not told, because the client was away or read too slowly; null where nobody knows how many.
/// The `id` of an event, sent as `Last-Event-ID`, makes the stream go on after it.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "live",
    params(
        ("topics" = Option<String>, Query, description = "Some of `alerts`, `stats`, `rates` and `packets`, with commas; `alerts,stats` unless said"),
        ("min_severity" = Option<String>, Query, description = "Least weight of alerts that are told; `low` unless said"),
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event that was seen"),
    ),
    responses(
        (status = 200, description = "Events, without end", content_type = "text/event-stream", body = String),
        (status = 503, description = "There are too many streams", body = super::shapes::Problem),
    )
)]
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asked = Asked::read(&uri, &["topics", "min_severity"])?;
    let topics: Vec<_> = asked.text("topics").map_or(USUAL.to_vec(), |text| text.split(',').collect());
    if let Some(other) = topics.iter().find(|topic| !TOPICS.contains(topic)) {
        return Err(Refusal::wrong(format!(
            "topics: {other:?} is unknown; give some of alerts, stats, rates and packets, with commas between them"
        )));
    }
    let min = asked.severity("min_severity")?.unwrap_or(Severity::Low);
    let kind = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // A proxy that collects what it passes on would make the stream late.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    if method == Method::HEAD {
        return Ok((kind, Body::empty()).into_response());
    }
    let seat = Seat::take(&shared)?;
    let run = shared.snapshots.borrow().run.id.clone();
    let (place, hello) = begin(&shared, &run, headers.get("last-event-id"));
    let mut state = shared.hub.wait_for_state();
    // Who comes in between two slots need not wait for the next.
    state.mark_changed();
    let packets = match topics.contains(&"packets") {
        true => Some(shared.packets.follow().map_err(Refusal::busy)?),
        false => None,
    };
    let client = Client {
        steps: shared.hub.wait_for_steps(),
        acknowledged: shared.hub.wait_for_acknowledged(),
        state,
        run,
        place,
        min,
        first: Some(hello.into()),
        alerts: topics.contains(&"alerts"),
        stats: topics.contains(&"stats"),
        rates: topics.contains(&"rates"),
        packets,
        passed: shared.hub.wait_for_rates(),
        admitted: shared.wait_to_ask_again(),
        shared,
        _seat: seat,
    };
    Ok((kind, Body::from_stream(stream::unfold(client, Client::next))).into_response())
}

/// Where the stream goes on, and what is said first.
fn begin(shared: &Shared, run: &str, last: Option<&HeaderValue>) -> (u64, String) {
    let latest = shared.hub.latest();
    let retry = format!("retry: {RETRY_MS}\n");
    let last = last.and_then(|last| last.to_str().ok()).filter(|last| !last.is_empty());
    let Some(last) = last else {
        // An identifier without an event: who loses the connection before the first alert misses nothing either.
        return (latest, format!("{retry}id: {run}-{latest}\n\n"));
    };
    let number =
        last.rsplit_once('-').filter(|(of, _)| *of == run).and_then(|(_, number)| number.parse().ok());
    match number.filter(|number| *number <= latest) {
        Some(number) => (number, format!("{retry}\n")),
        // Another run, or nonsense: nobody knows what the client missed, so it gets all that there is.
        None => {
            let place = shared.hub.before_oldest();
            (place, format!("{retry}{}", gap(run, place, None)))
        }
    }
}

impl Client {
    /// The next part of the stream. Its end comes with that of the server.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(first) = self.first.take() {
            return Some((Ok(first), self));
        }
        let stop = self.shared.stop.clone();
        // From the last thing that was sent on, whatever happens meanwhile that this one is not told of.
        let mut silence = std::pin::pin!(tokio::time::sleep(self.shared.patience.silence));
        loop {
            // Alerts that come without a pause must not keep the state from being told.
            if self.stats && self.state.has_changed().is_ok_and(|has| has) {
                let state = self.state.borrow_and_update().clone();
                if !state.is_empty() {
                    return Some((Ok(state), self));
                }
            }
            if self.rates && self.passed.has_changed().is_ok_and(|has| has) {
                let passed = self.passed.borrow_and_update().clone();
                if !passed.is_empty() {
                    return Some((Ok(passed), self));
                }
            }
            if self.alerts {
                let Self { shared, run, place, min, .. } = &mut self;
                let chunk = shared.hub.read(run, place, *min, &shared.counts);
                if !chunk.is_empty() {
                    return Some((Ok(chunk), self));
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                changed = self.steps.changed(), if self.alerts => changed.ok()?,
                changed = self.state.changed(), if self.stats => {
                    changed.ok()?;
                    self.state.mark_changed();
                }
                changed = self.passed.changed(), if self.rates => {
                    changed.ok()?;
                    self.passed.mark_changed();
                }
                ack = next_of(&mut self.acknowledged), if self.alerts => return Some((Ok(ack?), self)),
                packet = next_packet(&mut self.packets) => return Some((Ok(packet?), self)),
                _ = self.admitted.changed() => return None,
                () = &mut silence => return Some((Ok(Bytes::from_static(ALIVE)), self)),
            }
        }
    }
}

/// The next of what is told once; what a client was too slow for it sees when it looks again.
async fn next_of(told: &mut broadcast::Receiver<Bytes>) -> Option<Bytes> {
    loop {
        match told.recv().await {
            Ok(one) => return Some(one),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// The next packet of those that are followed, ready to be sent; never comes where none are, and is none where there will be no
/// more.
async fn next_packet(packets: &mut Option<broadcast::Receiver<Arc<Passed>>>) -> Option<Bytes> {
    let Some(packets) = packets else { return std::future::pending().await };
    loop {
        match packets.recv().await {
            Ok(packet) => {
                let json = serde_json::to_string(&*packet).ok()?;
                return Some(format!("event: packet\ndata: {json}\n\n").into());
            }
            // A few of each second are shown, so it does not matter which.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}
