//! What every page has.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets;

/// The pages that lead everywhere.
const NAVIGATION: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/packets", "Packets"),
    ("/rules", "Rules"),
    ("/feeds", "Feeds"),
    ("/status", "Status"),
];

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
        let Self { title, place, content } = self;
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · netwatch" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(assets::path("style.css"));
                    script type="module" src=(assets::path("app.js")) {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        a.brand href="/" { "netwatch" }
                        nav aria-label="Pages" {
                            ul {
                                @for (path, name) in NAVIGATION {
                                    li { a href=(path) aria-current=[(path == place).then_some("page")] { (name) } }
                                }
                            }
                        }
                    }
                    main id="main" tabindex="-1" { (content) }
                }
            }
        };
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], document.into_string()).into_response()
    }
}
