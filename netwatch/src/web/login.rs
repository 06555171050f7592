//! Logging in: a browser shows the token once, and a cookie from then on.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use super::answer::Refusal;
use super::body::Fields;
use super::counts::Trouble;
use super::guard::is_plain;
use super::limits::{LED_BYTES, URI_BYTES};
use super::query::Asked;
use super::routes::{LOGIN, LOGOUT, page_of};
use super::server::Ends;
use super::session::{drop_cookie, set_cookie};
use super::shared::Shared;

/// The page that asks for the token.
pub(super) async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    let asked = Asked::read(&uri, &["to"])?;
    let to = local(asked.text("to").unwrap_or("/"));
    if !shared.has_token() {
        return Ok(see(to));
    }
    Ok(super::page::login(to, None))
}

/// What the form sends.
pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(ends): Extension<Ends>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // Before anything is asked of the address: who holds a body back must not get past the bound on guesses.
    let fields = Fields::read(&headers, body, &["token", "to"]).await?;
    let now = Instant::now();
    if let Some(wait) = shared.guesses.wait(ends.peer, now) {
        shared.counts.trouble(Trouble::Login);
        let seconds = wait.as_secs() + 1;
        let text = format!("there were too many wrong tokens from your address; try again in {seconds} s");
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, text).after(seconds));
    }
    let to = local(fields.text("to"));
    if !shared.is_token(fields.text("token").trim()) {
        shared.guesses.note(ends.peer, now);
        shared.counts.trouble(Trouble::Token);
        let mut again = super::page::login(
            to,
            Some("That is not the token. It is in the file that web.token_file names."),
        );
        *again.status_mut() = StatusCode::FORBIDDEN;
        return Ok(again);
    }
    let secret = shared.sessions.begin(now);
    let secret = secret.ok_or_else(|| Refusal::busy("there are no random numbers; try again"))?;
    Ok(with_cookie(see(to), &set_cookie(&secret, ends.is_tls)))
}

/// Ends the session.
pub(super) async fn logout(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.sessions.end(&headers);
    shared.ask_again();
    with_cookie(see(LOGIN), &drop_cookie())
}

/// Where who has no token yet is led, to come back afterwards.
pub(super) fn lead(uri: &Uri) -> Response {
    let path = match page_of(uri.path()) {
        // What takes forms only is no place to come back to.
        Some(page) => page,
        None => uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str),
    };
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    let address = format!("{LOGIN}?to={}", path.bytes().map(encode).collect::<String>());
    // Encoded it may be longer than what is read here, and a browser would be refused rather than asked.
    see(if address.len() > LED_BYTES { LOGIN } else { &address })
}

/// A path of this server; anything else is taken for `/`, so that nobody is led elsewhere.
fn local(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//") && to.len() <= URI_BYTES;
    let is_ascii = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = to.split(['?', '#']).next().unwrap_or(to);
    let is_place = ![LOGIN, LOGOUT].contains(&path.trim_end_matches('/')) && is_plain(path).is_ok();
    if is_path && is_ascii && is_place { page_of(path).unwrap_or(to) } else { "/" }
}

fn see(path: &str) -> Response {
    let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for (to, leads) in [
            ("/incidents?q=a%20b", "/incidents?q=a%20b"),
            ("/", "/"),
            ("", "/"),
            ("//attacker.example", "/"),
            ("/\\attacker.example", "/"),
            ("https://attacker.example/", "/"),
            ("javascript:alert(1)", "/"),
            ("incidents", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("/a\tb", "/"),
            ("/login?to=/login", "/"),
            ("/login/", "/"),
            ("/logout", "/"),
            ("/logout?x", "/"),
            ("/x/../logout", "/"),
            ("/%2e/logout", "/"),
            ("/incidents/a-1/acknowledge", "/incidents/a-1"),
        ] {
            assert_eq!(local(to), leads, "{to:?}");
        }
    }

    #[test]
    fn who_is_led_comes_back_to_a_page() {
        let led = |path: &str| {
            let response = lead(&path.parse().unwrap());
            response.headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(led("/incidents?q=a"), "/login?to=/incidents%3Fq%3Da");
        assert_eq!(led("/incidents/a-1/acknowledge"), "/login?to=/incidents/a-1");
        assert_eq!(led("/logout"), "/login?to=/");
        assert_eq!(led(&format!("/incidents?q={}", "a".repeat(1_000))).len(), 1_000 + 27);
        assert_eq!(led(&format!("/incidents?q={}", "%20".repeat(600))), "/login");
    }
}
