//! What a request must be like before anything answers it, and what every answer has.

use std::net::IpAddr;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::answer::Refusal;
use super::counts::Trouble;
use super::limits::URI_BYTES;
use super::routes::{LIVEZ, READYZ};
use super::shared::Shared;

/// Headers of every answer: of what a browser could do with it, nothing but show it is allowed.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Answers one request of a connection that came to `local`.
pub(super) async fn answer(
    shared: &Shared,
    router: &Router,
    local: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let mut response = match check(shared, local, &request) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => {
            let answer = router.clone().oneshot(request.map(Body::new));
            match tokio::time::timeout(shared.patience.answer, answer).await {
                Ok(Ok(response)) => response,
                Err(_) => {
                    shared.counts.trouble(Trouble::Late);
                    Refusal::busy("the answer was not found in time; ask for less, or again").into_response()
                }
            }
        }
    };
    for (name, value) in HEADERS {
        // Who answers may allow what is here forbidden to be kept, and nothing else.
        if name != header::CACHE_CONTROL || !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    shared.counts.answered(response.status(), started.elapsed());
    response
}

/// Whether a request may be answered at all.
fn check<B>(shared: &Shared, local: IpAddr, request: &Request<B>) -> Result<(), Refusal> {
    let (uri, headers) = (request.uri(), request.headers());
    has_no_body(headers)?;
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > URI_BYTES {
        let text = format!("path and query have {length} characters, and at most {URI_BYTES} are read");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, text));
    }
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Refusal::wrong("ask for a path, and not for an address with a path; this is no proxy"));
    }
    let host = host(headers)?;
    if !shared.is_host(host, local) {
        shared.counts.trouble(Trouble::Host);
        let text =
            "this machine does not go by the name in Host; name it in `hosts` below [web] if it should";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let is_open = [LIVEZ, READYZ].contains(&uri.path());
    if !is_open && !shared.admits(headers.get(header::AUTHORIZATION)) {
        shared.counts.trouble(Trouble::Token);
        let text = "send the token that is in web.token_file, as `Authorization: Bearer TOKEN`";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, text));
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here"));
    }
    is_plain(uri.path())
}

/// Nothing here takes a body, so there need be no doubt where one ends.
fn has_no_body(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::wrong("nothing here takes a body, so Transfer-Encoding is refused").ending());
    }
    let is_empty = |length: &HeaderValue| length.as_bytes() == b"0";
    if !headers.get_all(header::CONTENT_LENGTH).iter().all(is_empty) {
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "nothing here takes a body").ending());
    }
    Ok(())
}

/// The name in `Host`, without port.
fn host(headers: &HeaderMap) -> Result<&str, Refusal> {
    let wrong = || Refusal::wrong("a request must have one Host, like 127.0.0.1:8080");
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, None) = (hosts.next().ok_or_else(wrong)?, hosts.next()) else { return Err(wrong()) };
    let host = host.to_str().map_err(|_| wrong())?;
    // The colons of an IPv6 address are in brackets.
    let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match host[end..].split_once(':') {
        Some((rest, port)) => (&host[..end + rest.len()], port),
        None => (host, "0"),
    };
    let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit());
    if name.is_empty() || !is_port { Err(wrong()) } else { Ok(name) }
}

/// A path that could mean another one to somebody on the way here is refused.
fn is_plain(path: &str) -> Result<(), Refusal> {
    let lower = path.to_ascii_lowercase();
    let tricks = ["%00", "%2e", "%2f", "%5c", "%25", "\\"];
    let is_odd = |part: &str| part == "." || part == "..";
    if path.contains("//") || path.split('/').any(is_odd) || tricks.iter().any(|trick| lower.contains(trick))
    {
        return Err(Refusal::wrong(
            "write the path in its plain form, without `..`, `//`, or slashes and dots in other letters",
        ));
    }
    Ok(())
}
