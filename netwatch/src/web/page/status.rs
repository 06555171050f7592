//! `/status`: how well the watch itself works, in words.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::parts;
use crate::figures;
use crate::report::Time;
use crate::report::snapshot::{InterfaceState, OutputState, Snapshot, StoreState};
use crate::web::answer::Refusal;
use crate::web::counts::{Trouble, value};
use crate::web::query::Asked;
use crate::web::shapes::{lost, seconds, suppressed};
use crate::web::shared::Shared;

/// The page.
pub(in crate::web) async fn status(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let snapshot = shared.snapshots.borrow().clone();
    let now = figures::now();
    let trouble = shared.trouble();
    let content = html! {
        h1 { "Status" }
        div.stack data-live="status" {
            @if let Some(trouble) = &trouble { (parts::notice("trouble", &html! { "netwatch is not ready: " (trouble) "." })) }
            @if !snapshot.config_is_good {
                (parts::notice("trouble", &html! { "The configuration was read again and is not right: what was there before stays in effect. The log says why." }))
            }
            (run(&snapshot, now))
            @for (index, state) in snapshot.interfaces.iter().enumerate() { (interface(index, state)) }
            div.grid {
                (held_back(&snapshot))
                (history(&snapshot.store))
                (server(&shared))
            }
            (outputs(&snapshot.outputs))
        }
        section.card aria-labelledby="configuration" {
            header { h2 id="configuration" { "Configuration" } a href="/api/v1/config" { "As JSON" } }
            details {
                summary { "What is in effect, with who said it" }
                (parts::toml("configuration-toml", &snapshot.config))
            }
        }
        @if shared.has_token() {
            form method="post" action="/logout" { p.actions { button.button { "Log out" } } }
        }
    };
    Ok(Page { title: "Status", place: "/status", content }.response())
}

fn run(snapshot: &Snapshot, now: Time) -> Markup {
    let slot = seconds(snapshot.slot_ns);
    parts::card(
        "run",
        "This run",
        &html! {
            dl.facts {
                dt { "Version" } dd.mono { (snapshot.run.version) }
                dt { "Host" } dd { (parts::foreign(&snapshot.run.host)) }
                dt { "Since" } dd { (parts::exact_time(snapshot.run.started_at)) " " span.muted { "(" (parts::time(snapshot.run.started_at, now)) ")" } }
                dt { "As of" } dd { (parts::time(snapshot.at, now)) }
                dt { "Counts are read" } dd { "every " (slot) " s, which took " (format!("{:.1}", seconds(snapshot.drain_ns) * 1e3)) " ms last" }
                dt { "Rules look back" } dd { (figures::span((snapshot.window_ns / 1_000_000_000).cast_signed())) }
                dt { "Name of this run" } dd.mono { (snapshot.run.id) }
            }
        },
    )
}

fn interface(index: usize, state: &InterfaceState) -> Markup {
    let length = seconds(state.slot_ns).max(0.001);
    let losses: Vec<_> = lost(state).into_iter().filter(|(_, count)| *count > 0).collect();
    let id = format!("interface-{index}");
    html! {
        section.card aria-labelledby=(id) data-key=(state.name) {
            header {
                h2 id=(id) { "Interface " (parts::foreign(&state.name)) }
                span.muted { @match state.mode { Some(mode) => (mode), None => "not attached" } }
            }
            @if state.mode.is_none() { (parts::notice("trouble", &html! { "The program is not attached, so nothing is counted here." })) }
            dl.stats {
                (parts::stat("Packets a second", &figures::short(state.slot_packets as f64 / length)))
                (parts::stat("Bits a second", &figures::bits_per_s(state.slot_bytes as f64 / length)))
                (parts::stat("Packets", &figures::short(state.totals.seen as f64)))
                (parts::stat("Sources", &figures::grouped(state.slot_sources)))
                (parts::stat("Pairs", &figures::grouped(state.slot_targets)))
            }
            dl.facts {
                dt { "Replies are told by" } dd { (state.confidence) }
                @if state.is_learning { dt { "Services" } dd { "are being learned" } }
                dt { "Slots" }
                dd {
                    (figures::grouped(state.drained.slots)) " read"
                    @if state.drained.late_slots > 0 { ", " (figures::grouped(state.drained.late_slots)) " late" }
                    @if state.drained.failed_slots > 0 { ", " (figures::grouped(state.drained.failed_slots)) " failed" }
                }
            }
            @if losses.is_empty() { p { "Nothing was lost." } } @else {
                (parts::scroll(&format!("What found no room on {}", state.name), &html! { table {
                    caption { "What found no room since the start" }
                    thead { tr { th scope="col" { "What" } th.number scope="col" { "How many" } th scope="col" { "What that means" } } }
                    tbody { @for (name, count) in losses {
                        tr data-key=(name) { th.mono scope="row" { (name) } td.number { (figures::grouped(count)) } td { (means(name)) } }
                    } }
                } }))
            }
        }
    }
}

/// What a loss means for who reads alerts.
fn means(name: &str) -> &'static str {
    match name {
        "sources_refused" => {
            "Packets of sources that got no entry: counted for their destination and in all sums, under nobody's name."
        }
        "targets_refused" => {
            "Packets whose pair of source and target got no entry: counted for the source and the destination."
        }
        "targets_lost" => "Packets that are in the totals only: there was no room even for sums.",
        "hints_lost" => {
            "Hints that nobody read in time: what they would have told early is told at the end of the slot."
        }
        "hints_withheld" => "Hints beyond the allowance for forged sources; told at the end of the slot.",
        "flows_lost" => "Flows that were forgotten early: their replies may be taken for probes.",
        "samples_lost" => "Packets to look into that found no room: signatures did not see them.",
        "samples_withheld" => "Packets to look into beyond the configured rate: signatures did not see them.",
        "listed_lost" => "Packets of listed addresses that found no room to be counted by pair.",
        _ => "docs/operations.md says more.",
    }
}

fn held_back(snapshot: &Snapshot) -> Markup {
    let held: Vec<_> = suppressed(&snapshot.counters).into_iter().filter(|(_, count)| *count > 0).collect();
    parts::card(
        "held",
        "Held back",
        &html! {
            @if held.is_empty() { (parts::empty("Nothing was held back.")) } @else {
                dl.facts { @for (name, count) in held { dt { (name.replace('_', " ")) } dd.number { (figures::grouped(count)) } } }
            }
            @if snapshot.stdout_dropped > 0 { p { (figures::count(snapshot.stdout_dropped, "line")) " not written to stdout: nobody read fast enough." } }
        },
    )
}

fn history(store: &StoreState) -> Markup {
    parts::card(
        "history",
        "History",
        &html! {
            @if let Some(trouble) = &store.trouble {
                (parts::notice("trouble", &html! { "It cannot be written: " (trouble) ". What comes is kept in memory until it can." }))
            }
            dl.facts {
                dt { "File" } dd.mono { @match &store.file { Some(file) => (parts::foreign(file)), None => "in memory only; name a state_dir to keep it" } }
                dt { "Incidents" } dd { (figures::grouped(store.incidents)) }
                dt { "Size" } dd { (figures::bytes(store.bytes as f64)) }
                dt { "Written" } dd { (figures::grouped(store.written)) }
                @if store.waiting > 0 { dt { "Waiting" } dd { (figures::grouped(store.waiting)) } }
                @if store.dropped > 0 { dt { "Dropped" } dd { (figures::grouped(store.dropped)) " for want of room" } }
                @if store.removed > 0 { dt { "Removed" } dd { (figures::grouped(store.removed)) " because of their age, or for want of room" } }
                @if store.failures > 0 { dt { "Failed writes" } dd { (figures::grouped(store.failures)) } }
            }
        },
    )
}

fn server(shared: &Shared) -> Markup {
    let counts = &shared.counts;
    parts::card(
        "server",
        "Server",
        &html! {
            dl.facts {
                dt { "Connections" } dd { (figures::grouped(value(&counts.connections))) }
                dt { "Streams" } dd { (figures::grouped(value(&counts.streams))) }
                @for trouble in Trouble::ALL {
                    @let count = counts.troubles(trouble);
                    @if count > 0 { dt { "Refused: " (trouble.name().replace('_', " ")) } dd { (figures::grouped(count)) } }
                }
            }
        },
    )
}

fn outputs(outputs: &[OutputState]) -> Markup {
    html! {
        section.card aria-labelledby="outputs" {
            header { h2 id="outputs" { "Outputs" } }
            @if outputs.is_empty() {
                p.empty { "Alerts go to stdout alone. " code { "[[outputs]]" } " in the configuration names others." }
            } @else {
                (parts::scroll("What outputs were given", &html! { table {
                    caption { "What became of what they were given" }
                    thead { tr {
                        th scope="col" { "Output" } th scope="col" { "Kind" } th scope="col" { "State" } th.number scope="col" { "Delivered" }
                        th.number scope="col" { "Waiting" } th.number scope="col" { "Dropped" } th.number scope="col" { "Failed tries" }
                    } }
                    tbody { @for output in outputs {
                        tr data-key=(output.name) {
                            th scope="row" { (parts::foreign(&output.name)) }
                            td { (output.kind) }
                            td { @match &output.trouble { Some(trouble) => { "down: " (parts::foreign(trouble)) }, None => "up" } }
                            td.number { (figures::grouped(output.delivered)) }
                            td.number { (figures::grouped(output.queued)) }
                            td.number { (figures::grouped(output.dropped)) }
                            td.number { (figures::grouped(output.failures)) }
                        }
                    } }
                } }))
            }
        }
    }
}
