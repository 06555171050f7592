//! What is known of the daemon, and what follows from it.

use std::collections::VecDeque;
use std::time::Duration;

use netwatch_common::Class;

use super::data::{Incident, Point, Port, Source, Status};
use crate::analysis::Severity;

/// Most incidents that are kept.
pub(super) const INCIDENTS: usize = 500;
/// How long losses are recent.
const RECENT: Duration = Duration::from_secs(60);

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// How the daemon is.
    pub status: Option<Status>,
    /// What passed, second by second.
    pub points: VecDeque<Point>,
    /// Open incidents.
    pub incidents: Vec<Incident>,
    /// The busiest sources.
    pub sources: Vec<Source>,
    /// The busiest ports.
    pub ports: Vec<Port>,
    /// How many incidents are open, and what was lost since the start.
    pub open: u64,
    /// What was lost since its start.
    pub lost: u64,
    /// What had been lost by when.
    pub(super) losses: VecDeque<(Duration, u64)>,
    /// The daemon's clock in milliseconds, and when it was read.
    pub(super) clock: Option<(i64, Duration)>,
}

impl Data {
    /// Takes an incident in as of a step; by how much the open ones become more.
    pub(super) fn take_in(&mut self, incident: Incident) -> i8 {
        let place = self.incidents.iter().position(|known| known.id == incident.id);
        match (place, incident.is_open) {
            (Some(place), true) => {
                self.incidents[place] = incident;
                0
            }
            (Some(place), false) => {
                self.incidents.remove(place);
                -1
            }
            (None, true) => {
                self.incidents.push(incident);
                self.bound();
                1
            }
            (None, false) => 0,
        }
    }

    /// Keeps what matters most.
    pub(super) fn bound(&mut self) {
        if self.incidents.len() > INCIDENTS {
            self.incidents.sort_by_key(|one| std::cmp::Reverse((one.is_told, one.severity, one.opened_ms)));
            self.incidents.truncate(INCIDENTS);
        }
    }

    pub(super) fn note_losses(&mut self, now: Duration) {
        if self.losses.back().is_some_and(|(_, before)| *before > self.lost) {
            self.losses.clear();
        }
        self.losses.push_back((now, self.lost));
        while self.losses.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) > RECENT)
            || self.losses.len() > 240
        {
            self.losses.pop_front();
        }
    }

    /// What was lost in the last minute.
    #[must_use]
    pub fn lost_lately(&self) -> u64 {
        self.losses.front().map_or(0, |(_, before)| self.lost.saturating_sub(*before))
    }

    /// The severity of the worst open incident of which anybody is told.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.incidents.iter().filter(|one| one.is_told).map(|one| one.severity).max()
    }

    /// Packets a second by class, on average over the last seconds; the greatest first, and those with none left out.
    #[must_use]
    pub fn mix(&self) -> Vec<(Class, f64)> {
        const SECONDS: usize = 10;
        let last = self.points.iter().rev().take(SECONDS);
        let count = last.len().max(1) as f64;
        let mean =
            |class: Class| last.clone().map(|point| point.classes[class as usize]).sum::<f64>() / count;
        let mut mix: Vec<_> = Class::ALL.into_iter().map(|class| (class, mean(class))).collect();
        mix.retain(|(_, rate)| *rate > 0.0);
        mix.sort_by(|a, b| b.1.total_cmp(&a.1));
        mix
    }
}
