//! What a request must be like before anything answers it, and what every answer has.

use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::answer::Refusal;
use super::counts::Trouble;
use super::limits::{BODY_BYTES, URI_BYTES};
use super::server::Ends;
use super::shared::Shared;
use super::{body, login, page, routes};

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
    // With `no-referrer`, browsers say "null" where a form of ours comes from, and it would be refused.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Answers one request.
pub(super) async fn answer(
    shared: &Shared,
    router: &Router,
    ends: Ends,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let is_page = accepts_html(request.headers()) && routes::is_page(request.uri().path());
    let mut response = match check(shared, ends, &request) {
        Err(Wrong::Refused(refusal)) => refusal.into_response(),
        Err(Wrong::Led) => login::lead(request.uri()),
        Ok(()) => {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ends);
            let answer = router.clone().oneshot(request);
            match tokio::time::timeout(shared.patience.answer, answer).await {
                Ok(Ok(response)) => response,
                Err(_) => {
                    shared.counts.trouble(Trouble::Late);
                    Refusal::busy("the answer was not found in time; ask for less, or again").into_response()
                }
            }
        }
    };
    if let (Some(refusal), true) = (response.extensions_mut().remove::<Refusal>(), is_page) {
        response = page::refused(&refusal);
    }
    for (name, value) in HEADERS {
        // Who answers may allow what is here forbidden to be kept, and nothing else.
        if name != header::CACHE_CONTROL || !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    shared.counts.answered(response.status(), started.elapsed());
    response
}

/// Why a request is not answered as it wished.
enum Wrong {
    Refused(Refusal),
    /// Somebody with a browser is to show the token first.
    Led,
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whether a request may be answered at all.
fn check<B>(shared: &Shared, ends: Ends, request: &Request<B>) -> Result<(), Wrong> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let is_change = ![Method::GET, Method::HEAD].contains(method) && routes::allows(uri.path(), method);
    if is_change {
        has_small_body(headers)?;
    } else {
        has_no_body(headers)?;
    }
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > URI_BYTES {
        let text = format!("path and query have {length} characters, and at most {URI_BYTES} are read");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, text).into());
    }
    if uri.scheme().is_some() || uri.authority().is_some() {
        let text = "ask for a path, and not for an address with a path; this is no proxy";
        return Err(Refusal::wrong(text).into());
    }
    let host = host(headers)?;
    if !shared.is_host(host, ends.local) {
        shared.counts.trouble(Trouble::Host);
        let text =
            "this machine does not go by the name in Host; name it in `hosts` below [web] if it should";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, text).into());
    }
    if !routes::is_open(uri.path()) && !shared.admits(headers) {
        // Who sends a form of a page whose session is over is led to the login too, and not told of headers.
        let is_led = [Method::GET, Method::HEAD].contains(method) || routes::is_page(uri.path());
        if is_led && !shows_token(headers) && accepts_html(headers) {
            is_plain(uri.path())?;
            return Err(Wrong::Led);
        }
        shared.counts.trouble(Trouble::Token);
        let text = "send the token that is in web.token_file, as `Authorization: Bearer TOKEN`";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, text).into());
    }
    if !routes::allows(uri.path(), method) {
        return Err(Refusal::method(routes::allowed(uri.path())).into());
    }
    if is_change && !is_from_here(shared, headers, ends) {
        shared.counts.trouble(Trouble::Origin);
        let text = "pages of other origins may change nothing here";
        return Err(Refusal::new(StatusCode::FORBIDDEN, text).into());
    }
    Ok(is_plain(uri.path())?)
}

/// Whether a browser would rather have a page.
fn accepts_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT);
    lines.iter().any(|line| line.to_str().is_ok_and(|line| line.contains("text/html")))
}

/// Whether a program shows a token. What a browser sends to a proxy on the way, such as a name and a password, is none.
fn shows_token(headers: &HeaderMap) -> bool {
    let scheme = |line: &HeaderValue| line.as_bytes().get(..7).map(<[u8]>::to_ascii_lowercase);
    headers.get_all(header::AUTHORIZATION).iter().any(|line| scheme(line).as_deref() == Some(b"bearer "))
}

/// Whether what wants to change something is a page of this server, or no page at all. Browsers always say which page it is;
/// what is no browser has no cookies that a page could make use of.
fn is_from_here(shared: &Shared, headers: &HeaderMap, ends: Ends) -> bool {
    let sites = headers.get_all("sec-fetch-site");
    let is_same_site = sites.iter().all(|site| site == "same-origin" || site == "none");
    // Only browsers can say this, and no page can make them. It is not enough where a name of somebody else's leads here.
    let is_same_origin = sites.iter().count() == 1 && sites.iter().all(|site| site == "same-origin");
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let is_own = |origin: &HeaderValue| {
        let Some((scheme, rest)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
            return false;
        };
        // Behind a proxy that speaks TLS, the page came by https and the request does not.
        let is_scheme = scheme == "https" || (scheme == "http" && !ends.is_tls);
        // Behind one that writes a Host of its own, the page came by a name of this machine and the request does not.
        let is_named = || name(rest).is_some_and(|name| shared.is_named(name));
        is_scheme && (rest.eq_ignore_ascii_case(own) || (is_same_origin && is_named()))
    };
    is_same_site && headers.get_all(header::ORIGIN).iter().all(is_own)
}

/// There need be no doubt where a request ends.
fn is_whole(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.contains_key(header::TRANSFER_ENCODING) {
        true => Err(Refusal::wrong("send a body with Content-Length; Transfer-Encoding is refused").ending()),
        false => Ok(()),
    }
}

/// Most of what is here takes no body.
fn has_no_body(headers: &HeaderMap) -> Result<(), Refusal> {
    is_whole(headers)?;
    let is_empty = |length: &HeaderValue| length.as_bytes() == b"0";
    if !headers.get_all(header::CONTENT_LENGTH).iter().all(is_empty) {
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "nothing here takes a body").ending());
    }
    Ok(())
}

/// The rest takes a small one.
fn has_small_body(headers: &HeaderMap) -> Result<(), Refusal> {
    is_whole(headers)?;
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => 0,
        (Some(length), None) => length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX),
        (Some(_), Some(_)) => return Err(Refusal::wrong("a request must have one Content-Length").ending()),
    };
    if length > BODY_BYTES {
        let text = format!("a body has at most {BODY_BYTES} bytes here");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text).ending());
    }
    if length > 0 && body::kind(headers).is_none() {
        let text = format!("send {} or {}, and say so in Content-Type", body::JSON, body::FORM);
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text).ending());
    }
    Ok(())
}

/// The name in `Host`, without port.
fn host(headers: &HeaderMap) -> Result<&str, Refusal> {
    let wrong = || Refusal::wrong("a request must have one Host, like 127.0.0.1:8080");
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, None) = (hosts.next().ok_or_else(wrong)?, hosts.next()) else { return Err(wrong()) };
    host.to_str().ok().and_then(name).ok_or_else(wrong)
}

/// A name without the port behind it; none where it is neither.
fn name(host: &str) -> Option<&str> {
    // The colons of an IPv6 address are in brackets.
    let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match host[end..].split_once(':') {
        Some((rest, port)) => (&host[..end + rest.len()], port),
        None => (host, "0"),
    };
    let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit());
    (!name.is_empty() && is_port).then_some(name)
}

/// A path that could mean another one to somebody on the way here is refused.
pub(super) fn is_plain(path: &str) -> Result<(), Refusal> {
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
