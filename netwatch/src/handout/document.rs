//! Numbers become a page: one file that needs no other, and runs nothing.

use maud::{DOCTYPE, PreEscaped, html};

use super::asked::Asked;
use super::gather::Gathered;
use super::{details, plain, sections};
use crate::figures;
use crate::web::page::STYLE;

/// Even a browser that finds something to run or to fetch in it does neither.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The whole document.
pub(super) fn document(asked: &Asked, gathered: &Gathered) -> String {
    let title = plain(&asked.title);
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("netwatch ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                // Ours, and without anything from outside.
                style { (PreEscaped(STYLE)) (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    div.report-head {
                        h1 { (title) }
                        p { (figures::exact(asked.since)) " to " (figures::exact(asked.end())) }
                    }
                    (sections::story(asked, gathered))
                    (sections::incidents_by_time(asked, gathered))
                    (sections::traffic(asked, gathered))
                    div.grid { (sections::sources(gathered)) (sections::rules(gathered)) }
                    (sections::busiest(gathered))
                    (details::list(gathered))
                    (details::worst(gathered))
                    (sections::watch(asked, gathered))
                    (sections::made(asked))
                }
            }
        }
    };
    document.into_string()
}
