//! Pieces that pages share. Whatever comes from outside is escaped by `html!`, and letters that would turn the text around
//! them stay within a `<bdi>`.

use maud::{Markup, html};

use super::icons;
use crate::figures;
use crate::report::{Incident, Life, Network, Time};

/// How severe something is: a shape, a word and a colour.
pub(crate) fn severity(name: &str) -> Markup {
    // An unknown name shall not choose a class.
    let class = match name {
        "low" => "sev-low",
        "medium" => "sev-medium",
        "high" => "sev-high",
        "critical" => "sev-critical",
        _ => "sev-info",
    };
    html! { span.badge.(class) { (icons::severity(name)) (name) } }
}

/// Whether an incident goes on, and whether somebody has taken note of it.
pub(crate) fn state(life: Life, is_acknowledged: bool) -> Markup {
    html! {
        @match life {
            Life::Open => span.badge.state-open { "open" },
            Life::Closed => span.badge.state-closed { "closed" },
        }
        @if is_acknowledged { " " span.badge.state-ack { "acknowledged" } }
    }
}

/// When something was: how long ago, with the time itself where one points at it. The script keeps it true.
pub(in crate::web) fn time(then: Time, now: Time) -> Markup {
    html! { time datetime=(then) title=(figures::exact(then)) data-ago { (figures::ago(then, now)) } }
}

/// When something was, exactly.
pub(crate) fn exact_time(then: Time) -> Markup {
    html! { time datetime=(then) { (figures::exact(then)) } }
}

/// A text of our own, in which names of settings stand between backticks.
pub(in crate::web) fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A panel with a heading.
pub(crate) fn card(id: &str, title: &str, content: &Markup) -> Markup {
    card_with(id, title, &html! {}, content)
}

/// A panel with a heading, and something small beside that.
pub(crate) fn card_with(id: &str, title: &str, aside: &Markup, content: &Markup) -> Markup {
    html! {
        section.card aria-labelledby=(id) {
            header { h2 id=(id) { (title) } (aside) }
            (content)
        }
    }
}

/// A number with what it is, one of several in a `<dl class="stats">`.
pub(crate) fn stat(label: &str, value: &str) -> Markup {
    html! { div.stat { dt { (label) } dd { (with_unit(value)) } } }
}

/// A number whose unit is written smaller.
pub(in crate::web) fn with_unit(value: &str) -> Markup {
    // The unit stands behind a no-break space, as `figures` writes it.
    let (number, unit) = value.split_once('\u{a0}').unwrap_or((value, ""));
    html! { (number) @if !unit.is_empty() { span.unit { "\u{a0}" (unit) } } }
}

/// A message; `kind` is `good`, `trouble` or empty.
pub(crate) fn notice(kind: &str, content: &Markup) -> Markup {
    html! { div.notice.(kind) role="status" { (content) } }
}

/// What scrolls sideways where it is too wide, for keys as well; `name` says what it is, and is once on each page.
pub(in crate::web) fn scroll(name: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(name) { (table) } }
}

/// There is nothing to show, said kindly.
pub(crate) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A text from outside.
pub(crate) fn foreign(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// A block of TOML to take along; `id` is its own on the page.
pub(in crate::web) fn toml(id: &str, text: &str) -> Markup {
    html! {
        pre.toml id=(id) tabindex="0" { code { (text) } }
        p.actions { button.button type="button" hidden data-copy=(id) { "Copy" } }
    }
}

/// Where the page of a source is; none where its name is no address. A network has a page of its own.
pub(in crate::web) fn source_path(source: &str) -> Option<String> {
    let network = Network::read(source)?;
    let first = network.first();
    Some(if network.is_one() {
        format!("/sources/{first}")
    } else {
        format!("/sources/{first}/{}", network.bits)
    })
}

/// A source, with its page behind it.
pub(in crate::web) fn source(source: &str) -> Markup {
    html! {
        @match source_path(source) {
            Some(path) => a.mono href=(path) { (source) },
            None => span.mono { (foreign(source)) },
        }
    }
}

/// Where the page of an incident is.
pub(in crate::web) fn incident_path(incident: &Incident) -> String {
    // Names are made of letters, digits and hyphens; what is not leads nowhere, and harms nothing.
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    format!("/incidents/{}", incident.id.chars().filter(is_plain).collect::<String>())
}

/// Incidents one below the other, each with its sentence, for cards.
pub(in crate::web) fn incidents(list: &[Incident], now: Time) -> Markup {
    html! {
        ol.incidents {
            @for incident in list {
                li data-key=(incident.id) {
                    (severity(&incident.severity))
                    a.what href=(incident_path(incident)) { (foreign(&incident.text)) }
                    (time(incident.closed_at.unwrap_or(incident.opened_at), now))
                    p.meta {
                        span { (incident.rule) }
                        span { (foreign(&incident.interface)) }
                        @if let Some(from) = &incident.source { (source(from)) }
                        @if incident.state == Life::Closed { span { "closed" } }
                        @if incident.acknowledged_at.is_some() { span { "acknowledged" @if incident.has_risen() { ", and worse since" } } }
                        @if incident.degraded { span { "counts are incomplete" } }
                    }
                }
            }
        }
    }
}

/// Where a list goes on: the address of the next part with what it is called, and of the first where this is not it.
pub(in crate::web) fn pager(first: Option<&str>, next: Option<(&str, &str)>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pager aria-label="Parts of the list" {
                @if let Some(first) = first { a.button href=(first) { "Back to the first" } } @else { span {} }
                @if let Some((next, name)) = next { a.button href=(next) rel="next" { (name) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_harmless() {
        let hostile = "<script>alert(1)</script>\" onload=\"x\u{202e}";
        for markup in
            [severity(hostile), source(hostile), foreign(hostile), stat(hostile, hostile), empty(hostile)]
        {
            let text = markup.into_string();
            assert!(!text.contains("<script") && !text.contains("onload=\"x"), "{text}");
        }
        assert!(severity("high\" x=\"").into_string().contains("sev-info"));
    }

    #[test]
    fn sources_lead_to_their_pages() {
        assert_eq!(source_path("192.0.2.1").unwrap(), "/sources/192.0.2.1");
        assert_eq!(source_path("192.0.2.1/32").unwrap(), "/sources/192.0.2.1");
        assert_eq!(source_path("2001:db8::/64").unwrap(), "/sources/2001:db8::/64");
        assert_eq!(source_path("2001:db8::7/64").unwrap(), "/sources/2001:db8::/64");
        assert_eq!(source_path("192.0.2.1/0").unwrap(), "/sources/0.0.0.0/0");
        assert_eq!(source_path("javascript:alert(1)"), None);
    }

    #[test]
    fn a_number_and_its_unit_are_apart() {
        let text = stat("Bytes", "1.2\u{a0}MB").into_string();
        assert!(text.contains("<dd>1.2<span class=\"unit\">\u{a0}MB</span></dd>"), "{text}");
    }
}
