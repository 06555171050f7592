//! `/sources/{ip}`, `/sources/{ip}/{bits}`: what a source sends now, what it did, and who lists it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};
use netwatch_common::Class;

use super::incidents::row;
use super::layout::Page;
use super::parts;
use crate::charts::bar;
use crate::figures;
use crate::report::live::ListedBy;
use crate::report::snapshot::{BusySource, Snapshot};
use crate::report::{Incident, IncidentQuery, Network, Time, WindowQuery, WindowSummary};
use crate::web::answer::Refusal;
use crate::web::past::is_in;
use crate::web::query::{Asked, address};
use crate::web::shared::Shared;

/// Incidents and windows that are shown.
const SHOWN: usize = 30;

/// The page of an address.
pub(in crate::web) async fn source(
    State(shared): State<Arc<Shared>>,
    Path(ip): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let addr = address(&ip).ok_or_else(wrong)?;
    page(&shared, Network { addr, bits: if addr.is_ipv4() { 32 } else { 128 } }).await
}

/// The page of a network, as sources of IPv6 are accounted.
pub(in crate::web) async fn network(
    State(shared): State<Arc<Shared>>,
    Path((ip, bits)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    let network = Network::read(&format!("{ip}/{bits}")).ok_or_else(wrong)?;
    page(&shared, network).await
}

fn wrong() -> Refusal {
    Refusal::wrong("this is no address; write it like /sources/192.0.2.1 or /sources/2001:db8::/64")
}

async fn page(shared: &Shared, network: Network) -> Result<Response, Refusal> {
    let (first, is_one) = (network.first(), network.is_one());
    let name = if is_one { first.to_string() } else { format!("{first}/{}", network.bits) };
    let query = IncidentQuery {
        source: is_one.then_some(first),
        near: (!is_one).then_some(network),
        limit: SHOWN,
        ..IncidentQuery::default()
    };
    let incidents = shared.history.incidents(query).await?;
    let query = WindowQuery { source: Some(first), limit: SHOWN, ..WindowQuery::default() };
    let windows = shared.history.windows(query).await?.items;
    let snapshot = shared.snapshots.borrow().clone();
    let listed = shared.listed.find(first);
    let now = figures::now();
    let more = super::search::path("/incidents", [("q", &*name)].into_iter());
    let content = html! {
        h1 { "Source " span.mono { (name) } }
        div.grid.main-aside {
            div.stack {
                (present(&snapshot, network, now))
                (list(&incidents.items, incidents.next.is_some(), &more, network, now))
                (past(&windows, network))
            }
            div.stack { (lists(&listed, network)) (ports(&incidents.items)) }
        }
    };
    Ok(Page { title: &format!("Source {name}"), place: "", content }.response())
}

/// What cannot be said of a whole network.
fn only_first(network: Network, what: &str) -> Markup {
    html! { @if !network.is_one() { p.muted { (what) " " span.mono { (network.first()) } "." } } }
}

/// What it sends now, once for each interface; of a network, sources in it and networks around it.
fn present(snapshot: &Snapshot, network: Network, now: Time) -> Markup {
    let is_meant = |busy: &&BusySource| is_in(network.addr, busy.addr, busy.bits.min(network.bits));
    let busy: Vec<_> = snapshot.sources.iter().filter(is_meant).collect();
    html! {
        section.card aria-labelledby="now" data-live="source-now" {
            header { h2 id="now" { "Now" } span.muted { "in the last " (figures::span((snapshot.window_ns / 1_000_000_000).cast_signed())) } }
            @if busy.is_empty() {
                (parts::empty("It is not among the busiest sources at the moment. Quiet ones are not listed here, and may send all the same."))
            }
            @for one in busy { (sending(one, snapshot.window_ns, now)) }
        }
    }
}

fn sending(busy: &BusySource, window_ns: u64, now: Time) -> Markup {
    let seconds = (window_ns as f64 / 1e9).max(1.0);
    let most = busy.classes.iter().copied().max().unwrap_or(0).max(1) as f64;
    html! {
        h3 { (parts::foreign(&busy.source)) " on " (parts::foreign(&busy.interface)) }
        dl.stats {
            (parts::stat("Packets a second", &figures::short(busy.packets as f64 / seconds)))
            (parts::stat("Bits a second", &figures::bits_per_s(busy.bytes as f64 / seconds)))
            (parts::stat("Packets", &figures::short(busy.packets as f64)))
            (parts::stat("Handshakes", &figures::grouped(busy.completed)))
        }
        (parts::scroll(&format!("Packets of {} on {} by class", busy.source, busy.interface), &html! { table {
            caption { "Packets by class, from " (parts::time(busy.first_seen, now)) " to " (parts::time(busy.last_seen, now)) }
            thead { tr { th scope="col" { "Class" } th.number scope="col" { "Packets" } th scope="col" { span.visually-hidden { "As a bar" } } } }
            tbody { @for (class, count) in Class::ALL.into_iter().zip(busy.classes).filter(|(_, count)| *count > 0) {
                tr data-key=(class.name()) {
                    th scope="row" { (class.name()) }
                    td.number { (figures::grouped(count)) }
                    td { (bar(count as f64, most)) }
                }
            } }
        } }))
    }
}

fn list(incidents: &[Incident], has_more: bool, more: &str, network: Network, now: Time) -> Markup {
    html! {
        section.card aria-labelledby="incidents" data-live="source-incidents" {
            header { h2 id="incidents" { "Incidents" } @if has_more { a href=(more) { "All of them" } } }
            @if !network.is_one() { p.muted { "From addresses of this network or to them, and from networks around it." } }
            @if incidents.is_empty() { (parts::empty("There are none. What it sent was within what is tolerated.")) } @else {
                ol.incidents { @for incident in incidents { (row(incident, now)) } }
            }
        }
    }
}

/// Windows in which it was among the busiest.
fn past(windows: &[WindowSummary], network: Network) -> Markup {
    let sums = windows.iter().map(|window| {
        let packets: u64 = window.sources.iter().map(|source| source.packets).sum();
        let bytes: u64 = window.sources.iter().map(|source| source.bytes).sum();
        (window, packets, bytes)
    });
    let sums: Vec<_> = sums.collect();
    let most = sums.iter().map(|(_, packets, _)| *packets).max().unwrap_or(0).max(1) as f64;
    html! {
        section.card aria-labelledby="past" {
            header { h2 id="past" { "History" } }
            (only_first(network, "Of a network, windows are found only by its first address: those with sources that hold"))
            @if sums.is_empty() {
                (parts::empty("It was never among the busiest sources of a window."))
            } @else {
                (parts::scroll("Last windows", &html! { table {
                    caption { "The last windows in which it was among the busiest" }
                    thead { tr {
                        th scope="col" { "Until" } th scope="col" { "Interface" }
                        th.number scope="col" { "Packets" } th scope="col" { span.visually-hidden { "As a bar" } }
                        th.number scope="col" { "Bytes" }
                    } }
                    tbody { @for (window, packets, bytes) in sums {
                        tr {
                            th scope="row" { (parts::exact_time(window.at)) }
                            td { (parts::foreign(&window.interface)) }
                            td.number { (figures::grouped(packets)) }
                            td { (bar(packets as f64, most)) }
                            td.number { (figures::bytes(bytes as f64)) }
                        }
                    } }
                } }))
            }
        }
    }
}

/// Feeds that list it at this moment.
fn lists(listed: &[ListedBy], network: Network) -> Markup {
    parts::card(
        "listed",
        "Listed by",
        &html! {
            (only_first(network, "Of a network, only the first address is looked up:"))
            @if listed.is_empty() { (parts::empty("No feed that is in use lists it.")) } @else {
                dl.facts { @for by in listed {
                    dt { a href="/feeds" { (parts::foreign(&by.feed)) } }
                    dd {
                        span.mono { (parts::foreign(&by.entry)) }
                        @if let Some(severity) = by.severity { " " (parts::severity(severity.name())) }
                        @if !by.comment.is_empty() { " " span.muted { (parts::foreign(&by.comment)) } }
                    }
                } }
            }
        },
    )
}

/// Ports that its incidents are about.
fn ports(incidents: &[Incident]) -> Markup {
    let mut ports: Vec<_> = incidents
        .iter()
        .flat_map(|incident| incident.first_ports.iter().copied().chain(incident.dest_port))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(100);
    let text: Vec<_> = ports.iter().map(u16::to_string).collect();
    parts::card(
        "ports",
        "Ports",
        &html! {
            @if text.is_empty() { (parts::empty("No incident of it names a port.")) } @else {
                p.muted { "The lowest that its incidents name." }
                p.mono { (text.join(", ")) }
            }
        },
    )
}
