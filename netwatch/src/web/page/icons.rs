//! Small pictures, drawn in the text's own colour. Words stand beside each of them, so none has a name of its own.

use maud::{Markup, html};

/// A picture of 16 by 16.
fn icon(content: &Markup) -> Markup {
    html! {
        svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"
            stroke-linecap="round" aria-hidden="true" focusable="false" { (content) }
    }
}

/// netwatch's own: an eye, and what passes in it.
pub(super) fn brand() -> Markup {
    html! {
        svg viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2.75" stroke-linejoin="round"
            stroke-linecap="round" aria-hidden="true" focusable="false" {
            path d="M3 16C7 9.5 11 6.5 16 6.500s9 3 13 9.500c-4 6.5-8 9.5-13 9.500S7 22.5 3 16z" {}
            path d="M9.5 16h3l2-4.5 3 9 2-4.500h3" stroke-width="2.25" {}
        }
    }
}

/// Dark and light.
pub(super) fn theme() -> Markup {
    icon(&html! {
        circle cx="8" cy="8" r="6" {}
        path d="M8 2v12A6 6 0 0 0 8 2z" fill="currentColor" {}
    })
}

/// The shape of a severity: no two are alike without colour.
pub(super) fn severity(name: &str) -> Markup {
    icon(&match name {
        "low" => html! { circle cx="8" cy="8" r="6" {} circle cx="8" cy="8" r="2.5" fill="currentColor" {} },
        "medium" => html! { path d="M8 2 14.5 13.500h-13z" {} },
        "high" => html! { path d="M8 1.5 14.5 8 8 14.5 1.5 8z" fill="currentColor" {} },
        "critical" => html! {
            path d="M5.2 1.500h5.600l3.7 3.700v5.600l-3.7 3.700H5.200l-3.7-3.700V5.200z" fill="currentColor" {}
            path d="m5.7 5.7 4.6 4.600m0-4.6-4.6 4.6" stroke="var(--panel)" {}
        },
        _ => html! { circle cx="8" cy="8" r="6" {} },
    })
}

/// All is well.
pub(super) fn well() -> Markup {
    large(&html! { circle cx="16" cy="16" r="14" {} path d="m9.5 16.5 4.5 4.5 8.5-9.5" stroke-width="3" {} })
}

/// Something is open: the shape of the worst of it, in its colour.
pub(super) fn worst(name: &str) -> Markup {
    let class = match name {
        "low" => "mark sev-low",
        "medium" => "mark sev-medium",
        "high" => "mark sev-high",
        "critical" => "mark sev-critical",
        _ => "mark sev-info",
    };
    html! { span class=(class) { (severity(name)) } }
}

/// Something must be seen to.
pub(super) fn degraded() -> Markup {
    large(&html! {
        path d="M16 3 30 28H2z" {}
        path d="M16 12v8m0 3.700v.3" stroke-width="3" {}
    })
}

fn large(content: &Markup) -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linejoin="round"
            stroke-linecap="round" aria-hidden="true" focusable="false" { (content) }
    }
}
