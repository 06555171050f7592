//! Pages that say one thing: why there is no other page, and that the token is wanted.

use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::layout::Page;
use super::parts;
use crate::web::answer::Refusal;

/// Why there is no page.
pub(in crate::web) fn refused(refusal: &Refusal) -> Response {
    let title = match refusal.status {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::BAD_REQUEST => "That is not understood",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::TOO_MANY_REQUESTS => "Wait a moment",
        StatusCode::METHOD_NOT_ALLOWED => "Not this way",
        _ => "That did not work",
    };
    let content = html! {
        h1 { (title) }
        (parts::notice("trouble", &html! { p { (sentence(&refusal.text)) } }))
        p.actions { a.button href="/" { "Overview" } a.button href="/incidents" { "Incidents" } }
    };
    let mut response = Page { title, place: "", content }.response_with("");
    *response.status_mut() = refusal.status;
    refusal.put_headers(&mut response);
    response
}

/// The form that asks for the token, and what was wrong with the last one.
pub(in crate::web) fn login(to: &str, wrong: Option<&str>) -> Response {
    let content = html! {
        h1 { "Log in" }
        @if let Some(wrong) = wrong { div.notice.trouble role="alert" { (wrong) } }
        form.card.login method="post" action="/login" {
            input type="hidden" name="to" value=(to);
            label {
                "Token"
                input type="password" name="token" required autocomplete="current-password" autofocus
                    aria-describedby="token-hint";
            }
            p.muted id="token-hint" { "It is in the file that web.token_file names. You stay logged in for 12 hours after your last visit." }
            p.actions { button.button.main { "Log in" } }
        }
    };
    Page { title: "Log in", place: "", content }.response_with("")
}

/// With a capital letter and a full stop, as pages have it.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
