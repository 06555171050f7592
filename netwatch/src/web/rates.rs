//! How much passes, second by second: what charts are made of. The server reads the counts by itself, so it costs the loop
//! nothing, and where nobody serves, nobody reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use netwatch_common::Class;
use serde::Serialize;
use tokio::time::MissedTickBehavior;
use utoipa::ToSchema;

use super::answer::Refusal;
use super::query::Asked;
use super::shapes::Problem;
use super::shared::Shared;
use crate::report::{Reading, Time};

/// How often counts are read.
pub(super) const STEP: Duration = Duration::from_secs(1);
/// How many points are kept: a quarter of an hour.
pub(super) const POINTS: usize = 900;
/// How many are given unless said otherwise: five minutes.
const LAST: Duration = Duration::from_secs(300);

/// How much passed on one interface, on average since the point before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    pub interface: Arc<str>,
    pub packets_per_s: f64,
    pub bytes_per_s: f64,
    /// Packets a second by class.
    pub classes: [f64; Class::COUNT],
}

/// How much passed on all of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub at: Time,
    pub rates: Vec<Rate>,
}

/// The last points.
#[derive(Default)]
pub(super) struct Rates {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: Option<Reading>,
    points: VecDeque<Arc<Point>>,
}

impl Rates {
    /// Takes a reading in; returns the point that it makes with the one before.
    pub fn push(&self, reading: Reading) -> Option<Arc<Point>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let point = kept.last.as_ref().and_then(|last| point(last, &reading)).map(Arc::new);
        kept.last = Some(reading);
        if let Some(point) = &point {
            if kept.points.len() >= POINTS {
                kept.points.pop_front();
            }
            kept.points.push_back(Arc::clone(point));
        }
        point
    }

    /// The last points, as many as there are of so many, the oldest first.
    pub fn last(&self, most: usize) -> Vec<Arc<Point>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.points.iter().skip(kept.points.len().saturating_sub(most)).cloned().collect()
    }
}

/// What passed between two readings; none where no time did.
fn point(before: &Reading, now: &Reading) -> Option<Point> {
    let length = now.at_ns.checked_sub(before.at_ns).filter(|length| *length > 0)? as f64 / 1e9;
    let per_second =
        |now: u64, before: u64| (now.saturating_sub(before) as f64 / length * 10.0).round() / 10.0;
    let mut rates = Vec::with_capacity(now.interfaces.len());
    for (interface, totals) in &now.interfaces {
        // One that was not read before has no rate yet.
        let Some((_, last)) = before.interfaces.iter().find(|(name, _)| name == interface) else { continue };
        rates.push(Rate {
            interface: Arc::clone(interface),
            packets_per_s: per_second(totals.seen, last.seen),
            bytes_per_s: per_second(totals.bytes, last.bytes),
            classes: Class::ALL.map(|class| per_second(totals.class(class), last.class(class))),
        });
    }
    Some(Point { at: now.at, rates })
}

/// How much passed, as columns: one entry for each point.
#[derive(Serialize, ToSchema)]
pub(super) struct Series {
    /// The seconds between two points, about.
    pub step_s: f64,
    /// When the points are, in milliseconds since 1970, the oldest first.
    pub at_ms: Vec<i64>,
    /// The interfaces.
    pub interfaces: Vec<InterfaceSeries>,
}

/// One interface's part of it.
#[derive(Serialize, ToSchema)]
pub(super) struct InterfaceSeries {
    /// Its name.
    pub name: String,
    /// Packets a second.
    pub packets_per_s: Vec<f64>,
    /// Bytes a second.
    pub bytes_per_s: Vec<f64>,
    /// Packets a second by class, of those classes that there were any of.
    pub classes: BTreeMap<&'static str, Vec<f64>>,
}

/// Turns points into columns; a point without the interface counts as nothing.
pub(super) fn series(points: &[Arc<Point>]) -> Series {
    let newest = points.last().map(|point| &*point.rates).unwrap_or_default();
    let column = |interface: &str, value: &dyn Fn(&Rate) -> f64| -> Vec<f64> {
        let of = |point: &Arc<Point>| {
            point.rates.iter().find(|rate| &*rate.interface == interface).map_or(0.0, value)
        };
        points.iter().map(of).collect()
    };
    let interface = |rate: &Rate| {
        let name = &*rate.interface;
        let classes = Class::ALL.into_iter().filter_map(|class| {
            let values = column(name, &|rate| rate.classes[class as usize]);
            values.iter().any(|value| *value > 0.0).then_some((class.name(), values))
        });
        InterfaceSeries {
            name: name.to_owned(),
            packets_per_s: column(name, &|rate| rate.packets_per_s),
            bytes_per_s: column(name, &|rate| rate.bytes_per_s),
            classes: classes.collect(),
        }
    };
    Series {
        step_s: STEP.as_secs_f64(),
        at_ms: points.iter().map(|point| point.at.0.as_millisecond()).collect(),
        interfaces: newest.iter().map(interface).collect(),
    }
}

/// Data of a `rates`: how much passed since the one before.
#[derive(Serialize, ToSchema)]
pub(super) struct RatesEvent {
    /// When that is, in milliseconds since 1970.
    pub at_ms: i64,
    /// The interfaces.
    pub interfaces: Vec<RateShape>,
}

/// How much passed on an interface.
#[derive(Serialize, ToSchema)]
pub(super) struct RateShape {
    /// Its name.
    pub name: String,
    /// Packets a second.
    pub packets_per_s: f64,
    /// Bytes a second.
    pub bytes_per_s: f64,
    /// Packets a second by class, of those classes that there were any of.
    pub classes: BTreeMap<&'static str, f64>,
}

impl From<&Point> for RatesEvent {
    fn from(point: &Point) -> Self {
        let shape = |rate: &Rate| RateShape {
            name: rate.interface.to_string(),
            packets_per_s: rate.packets_per_s,
            bytes_per_s: rate.bytes_per_s,
            classes: (Class::ALL.into_iter().zip(rate.classes))
                .filter(|(_, rate)| *rate > 0.0)
                .map(|(class, rate)| (class.name(), rate))
                .collect(),
        };
        Self { at_ms: point.at.0.as_millisecond(), interfaces: point.rates.iter().map(shape).collect() }
    }
}

impl Shared {
    /// Reads the counts each second, until the server stops.
    pub async fn measure(&self) {
        let mut ticks = tokio::time::interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Some(point) = self.rates.push(self.meter.read())
                && let Ok(json) = serde_json::to_string(&RatesEvent::from(&*point))
            {
                self.hub.set_rates(&json);
            }
        }
    }
}

/// How much passed in the last minutes, second by second.
#[utoipa::path(
    get,
    path = "/api/v1/rates",
    tag = "traffic",
    params(("last" = Option<String>, Query, description = "How far back, like `90s` or `15m`; 5 minutes unless said, and a quarter of an hour is kept")),
    responses(
        (status = 200, description = "Rates, as columns", body = Series),
        (status = 400, description = "A parameter is not right", body = Problem),
    )
)]
pub(super) async fn rates(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Series>, Refusal> {
    let asked = Asked::read(&uri, &["last"])?;
    let last = asked.duration("last")?.unwrap_or(LAST);
    let most = usize::try_from(last.as_secs() / STEP.as_secs()).unwrap_or(POINTS);
    Ok(Json(series(&shared.rates.last(most))))
}

#[cfg(test)]
mod tests {
    use netwatch_common::{Totals, Verdict};

    use super::*;

    fn reading(at_s: u64, of: &[(&str, u64)]) -> Reading {
        let totals = |packets: u64| {
            let mut totals = Totals { seen: packets, bytes: packets * 60, ..Totals::default() };
            let syn = Verdict::ALL.into_iter().find(|verdict| verdict.class() == Class::Syn).unwrap();
            totals.verdicts[syn as usize] = packets;
            totals
        };
        let micros = i64::try_from(at_s * 1_000_000).unwrap();
        Reading {
            at: Time::from_micros(micros),
            at_ns: at_s * 1_000_000_000,
            interfaces: of.iter().map(|(name, packets)| ((*name).into(), totals(*packets))).collect(),
        }
    }

    #[test]
    fn rates_are_what_passed_between_two_readings() {
        let rates = Rates::default();
        assert_eq!(rates.push(reading(1, &[("eth0", 10)])), None, "there is nothing to compare with");
        let point = rates.push(reading(3, &[("eth0", 30), ("eth1", 5)])).unwrap();
        assert_eq!(point.rates.len(), 1, "eth1 was not read before");
        assert_eq!((point.rates[0].packets_per_s, point.rates[0].bytes_per_s), (10.0, 600.0));
        assert_eq!(point.rates[0].classes[Class::Syn as usize], 10.0);
        // Counts that begin anew, and a clock that stands.
        let point = rates.push(reading(4, &[("eth0", 7), ("eth1", 5)])).unwrap();
        assert_eq!((point.rates[0].packets_per_s, point.rates[1].packets_per_s), (0.0, 0.0));
        assert_eq!(rates.push(reading(4, &[("eth0", 9)])), None);

        let all = series(&rates.last(9));
        assert_eq!(all.at_ms, [3_000, 4_000]);
        assert_eq!(all.interfaces.len(), 2);
        assert_eq!(all.interfaces[0].packets_per_s, [10.0, 0.0]);
        assert_eq!(all.interfaces[0].classes["syn"], [10.0, 0.0]);
        assert_eq!(all.interfaces[1].packets_per_s, [0.0, 0.0]);
        assert!(all.interfaces[1].classes.is_empty());
        assert_eq!(series(&rates.last(1)).at_ms, [4_000]);
        assert!(series(&rates.last(0)).interfaces.is_empty());
    }

    #[test]
    fn no_more_points_are_kept_than_a_chart_shows() {
        let rates = Rates::default();
        for second in 0..POINTS as u64 + 50 {
            rates.push(reading(second, &[("eth0", second)]));
        }
        let points = rates.last(usize::MAX);
        assert_eq!(points.len(), POINTS);
        assert_eq!(points[0].at, Time::from_micros(50_000_000));
    }
}
