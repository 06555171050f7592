//! What every page has.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::{assets, icons};
use crate::figures;

/// The pages that lead everywhere, and the key that leads there after `g`.
const NAVIGATION: [(&str, &str, &str); 6] = [
    ("/", "Overview", "o"),
    ("/incidents", "Incidents", "i"),
    ("/packets", "Packets", "p"),
    ("/rules", "Rules", "r"),
    ("/feeds", "Feeds", "f"),
    ("/status", "Status", "s"),
];
/// What a page listens to on the stream unless it says otherwise.
pub(super) const TOPICS: &str = "alerts,stats";

/// A page.
pub(in crate::web) struct Page<'a> {
    /// What it is about.
    pub title: &'a str,
    /// Where in the navigation it belongs; empty where it has no place.
    pub place: &'static str,
    /// Its content: what `<main>` holds, heading included.
    pub content: Markup,
}

impl Page<'_> {
    /// The whole document.
    pub fn response(self) -> Response {
        self.response_with(TOPICS)
    }

    /// The whole document, of a page that listens to these topics of the stream, with commas between them; to none where
    /// it does not change.
    pub fn response_with(self, topics: &str) -> Response {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], self.document(topics)).into_response()
    }

    /// The same as text.
    pub fn document(self, topics: &str) -> String {
        let Self { title, place, content } = self;
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · netwatch" }
                    link rel="icon" type="image/svg+xml" href=(assets::path("icon.svg"));
                    link rel="stylesheet" href=(assets::path("style.css"));
                    // It sets the theme that was chosen, so nothing is shown before.
                    script type="module" blocking="render" src=(assets::path("app.js")) {}
                }
                body data-topics=(topics) data-now=(figures::now().0.as_millisecond()) {
                    a.skip href="#main" { "Skip to the content" }
                    header.top { (banner(place)) }
                    main id="main" tabindex="-1" { (content) }
                    p.visually-hidden id="announce" role="status" {}
                    (help())
                }
            }
        };
        document.into_string()
    }
}

/// Name, pages, and what belongs to the browser and not to the page.
fn banner(place: &str) -> Markup {
    html! {
        a.brand href="/" { (icons::brand()) "netwatch" }
        nav aria-label="Pages" {
            ul {
                @for (path, name, key) in NAVIGATION {
                    li { a href=(path) data-go=(key) aria-current=[(path == place).then_some("page")] { (name) } }
                }
            }
        }
        div.tools {
            // The script says here whether the page is live; without it the page stays as it was when it came.
            p.connection id="connection" role="status" { noscript { "reload to see what is new" } }
            button.tool type="button" id="theme" hidden aria-label="Theme" title="Theme" { (icons::theme()) }
            button.tool type="button" id="keys" hidden aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" { "?" }
        }
    }
}

/// What the keys do.
fn help() -> Markup {
    html! {
        dialog id="help" aria-labelledby="help-title" {
            h2 id="help-title" { "Keyboard" }
            dl.keys {
                dt { kbd { "/" } } dd { "search" }
                @for (_, name, key) in NAVIGATION {
                    dt { kbd { "g" } " " kbd { (key) } } dd { (name) }
                }
                dt { kbd { "t" } } dd { "theme: as the system has it, light, dark" }
                dt { kbd { "?" } } dd { "this list" }
            }
            // Who dictates, or presses keys unawares, needs to do without.
            p { label { input type="checkbox" id="letters" checked autocomplete="off"; " Use these keys" } }
            form method="dialog" { button.button { "Close" } }
        }
    }
}
