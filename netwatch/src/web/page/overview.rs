//! `/`: whether all is well, at one look.

mod cards;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::layout;
use super::{icons, parts};
use crate::analysis::Severity;
use crate::figures;
use crate::report::health::{Level, Open, Verdict, judge, reasons};
use crate::report::history::{Order, PAGE_MAX, Page};
use crate::report::{HistoryError, Incident, IncidentQuery, Life, Snapshot, Time};
use crate::web::answer::Refusal;
use crate::web::query::Asked;
use crate::web::rates::Point;
use crate::web::shared::Shared;

/// Open incidents on the page.
const SHOWN: usize = 20;
/// Incidents that are over, likewise.
const OVER: usize = 5;
/// Points of the charts: five minutes.
const POINTS: usize = 300;
/// What the page listens to.
const TOPICS: &str = "alerts,stats,rates";

/// All that the page is made of.
struct View {
    now: Time,
    snapshot: Arc<Snapshot>,
    verdict: Verdict,
    incidents: Result<Incidents, HistoryError>,
    points: Vec<Arc<Point>>,
}

/// Incidents that matter to people.
#[derive(Default)]
struct Incidents {
    /// Those that go on: first those that nobody has acknowledged, and the worst first.
    open: Vec<Incident>,
    /// How many of them there are.
    number: u64,
    /// Whether there are more than that.
    is_more: bool,
    /// The last ones that are over.
    closed: Vec<Incident>,
}

impl Incidents {
    /// The highest severity of those that are shown: acknowledged ones come last among them.
    fn worst(&self) -> Option<Severity> {
        self.open.iter().map(|incident| rank(&incident.severity)).max()
    }
}

/// The page.
pub(in crate::web) async fn overview(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    Asked::read(&uri, &[])?;
    // No API has a path of this name.
    let page = async || {
        let page = layout::Page { title: "Overview", place: "/", content: view(&shared).await.content() };
        Ok(page.document(TOPICS))
    };
    let body = shared.once(&shared.lanes.overview, "page /", page).await?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response())
}

async fn view(shared: &Shared) -> View {
    let incidents = incidents(shared).await;
    let snapshot = shared.snapshots.borrow().clone();
    let open = match &incidents {
        Ok(found) => Open { number: found.number, is_more: found.is_more, worst: found.worst() },
        // The count is known still, with those that are only recorded.
        Err(_) => Open { number: snapshot.counters.open(), is_more: false, worst: None },
    };
    let mut reasons = reasons(&snapshot, shared.trouble().as_deref());
    // Who cannot say what is open must not say that all is well.
    reasons.extend(incidents.as_ref().err().map(ToString::to_string));
    let verdict = judge(reasons, open);
    View { now: figures::now(), snapshot, verdict, incidents, points: shared.rates.last(POINTS) }
}

/// What the name of a severity stands for.
fn rank(name: &str) -> Severity {
    Severity::ALL.into_iter().find(|severity| severity.name() == name).unwrap_or(Severity::Info)
}

/// The worst and newest of what is open, and the last of what is over.
async fn incidents(shared: &Shared) -> Result<Incidents, HistoryError> {
    let going_on = |order, limit| IncidentQuery {
        state: Some(Life::Open),
        min_weight: Some(Severity::Low),
        order,
        limit,
        ..IncidentQuery::default()
    };
    let Page { items: open, next } = shared.history.incidents(going_on(Order::Worst, SHOWN)).await?;
    let (number, is_more) = match next {
        None => (open.len() as u64, false),
        Some(_) => {
            let page = shared.history.incidents(going_on(Order::Newest, PAGE_MAX)).await?;
            (page.items.len() as u64, page.next.is_some())
        }
    };
    let closed = IncidentQuery {
        state: Some(Life::Closed),
        min_weight: Some(Severity::Low),
        limit: OVER,
        ..IncidentQuery::default()
    };
    let closed = shared.history.incidents(closed).await?.items;
    Ok(Incidents { open, number, is_more, closed })
}

impl View {
    fn content(&self) -> Markup {
        html! {
            (self.says())
            div.board {
                div.stack {
                    div.grid.even { (self.packets()) (self.evidence()) }
                    (self.open())
                    (self.closed())
                }
                div.stack { (self.watch()) (self.sources()) (self.ports()) }
            }
        }
    }

    /// The judgement, and the numbers that one wants first.
    fn says(&self) -> Markup {
        let Verdict { level, sentence, reasons } = &self.verdict;
        let rates = self.points.last();
        let sum = |of: fn(&crate::web::rates::Rate) -> f64| -> f64 {
            rates.map_or(0.0, |point| point.rates.iter().map(of).sum())
        };
        let sources: u64 = self.snapshot.interfaces.iter().map(|interface| interface.slot_sources).sum();
        let run = &self.snapshot.run;
        let worst = self.incidents.as_ref().ok().and_then(Incidents::worst);
        html! {
            section.card.verdict.(class(*level)) data-live="verdict" aria-labelledby="verdict"
                data-open=[self.incidents.as_ref().ok().map(|found| found.number)] {
                div.says {
                    @match (level, worst) {
                        (Level::Well, _) => (icons::well()),
                        (Level::Incidents, Some(worst)) => (icons::worst(worst.name())),
                        _ => (icons::degraded()),
                    }
                    div {
                        h1 id="verdict" { (parts::foreign(sentence)) }
                        @if reasons.len() > 1 {
                            ul { @for reason in reasons.iter().skip(1) { li { (parts::foreign(reason)) } } }
                        }
                        p.muted {
                            (parts::foreign(&run.host)) " · started " (parts::time(run.started_at, self.now))
                            " · counted " (parts::time(self.snapshot.at, self.now))
                        }
                    }
                }
                dl.stats {
                    (rate("Packets/s", "packets_per_s", None, &figures::short(sum(|rate| rate.packets_per_s))))
                    (rate("Traffic", "bytes_per_s", None, &figures::bits_per_s(sum(|rate| rate.bytes_per_s))))
                    (parts::stat("Sources", &figures::short(sources as f64)))
                }
            }
        }
    }
}

/// A number that the script keeps up to date: of one interface, or of all.
fn rate(label: &str, of: &str, interface: Option<&str>, value: &str) -> Markup {
    html! { div.stat {
        dt { (label) }
        dd data-rate=(of) data-interface=[interface] { (parts::with_unit(value)) }
    } }
}

const fn class(level: Level) -> &'static str {
    match level {
        Level::Well => "is-well",
        Level::Incidents => "is-open",
        Level::Degraded => "is-degraded",
    }
}
