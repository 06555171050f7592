//! Which time was watched: what summaries of windows cover, and what lies between them.

use super::asked::{Asked, whole};
use super::parts::Parts;
use crate::report::{Time, WindowSummary};

/// Gaps that are named, the longest.
const NAMED: usize = 20;
/// Between two windows there may be this part of one: slots end a little late.
const LATE: i64 = 2;

/// When a window was, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub begin: i64,
    pub end: i64,
    pub length: i64,
}

impl Span {
    pub fn of(window: &WindowSummary) -> Self {
        let length = whole(window.length_s.max(0.0) * 1e6);
        let end = window.at.micros();
        Self { begin: end.saturating_sub(length), end, length }
    }

    /// How much of it a part is, from 0 to 1. What lasted no time at all is not divided.
    pub fn share(&self, part: i64) -> f64 {
        if self.length <= 0 { 1.0 } else { (part as f64 / self.length as f64).clamp(0.0, 1.0) }
    }
}

/// What of an interface was watched.
#[derive(Debug)]
pub(super) struct Coverage {
    /// Windows that were kept.
    pub windows: u64,
    /// Microseconds that they cover.
    pub covered: i64,
    /// In each part of the time, too.
    pub by_part: Vec<i64>,
    /// Counts lost.
    pub lost: u64,
    /// Times without a window, the longest first.
    pub gaps: Vec<(Time, Time)>,
    /// How many of those there are.
    pub gap_count: u64,
    /// How long they are together, in microseconds.
    pub gap_sum: i64,
    /// When the window that was looked at last began: they come from the newest to the oldest.
    begin: i64,
    /// How long it was.
    length: i64,
}

impl Coverage {
    pub fn new(asked: &Asked, parts: &Parts) -> Self {
        Self {
            windows: 0,
            covered: 0,
            by_part: vec![0; parts.count],
            lost: 0,
            gaps: Vec::new(),
            gap_count: 0,
            gap_sum: 0,
            begin: asked.end().micros(),
            length: 0,
        }
    }

    /// Takes note of a window, which is older than all before.
    pub fn add(&mut self, window: &WindowSummary, asked: &Asked, parts: &Parts) {
        let (since, until) = (asked.since.micros(), asked.end().micros());
        let Span { begin, end, length } = Span::of(window);
        // The newest one may be followed by one that has not ended yet.
        let is_newest = self.windows == 0;
        self.gap(end, self.begin, if is_newest { length.saturating_mul(3) } else { length });
        self.windows += 1;
        self.lost = self.lost.saturating_add(window.lost);
        // Clocks are set back: nothing is covered twice.
        let (from, to) = (begin.max(since), end.min(until).min(self.begin));
        self.begin = self.begin.min(begin);
        self.length = length;
        if from < to {
            self.covered = self.covered.saturating_add(to - from);
            for (place, part) in parts.overlaps(from, to) {
                self.by_part[place] = self.by_part[place].saturating_add(part);
            }
        }
    }

    /// There are no more windows.
    pub fn finish(&mut self, asked: &Asked) {
        self.gap(asked.since.micros(), self.begin, self.length);
        self.gaps.sort_by_key(|(from, to)| from.micros().saturating_sub(to.micros()));
    }

    fn gap(&mut self, from: i64, to: i64, usual: i64) {
        if to.saturating_sub(from) <= (usual / LATE).max(1_000_000) {
            return;
        }
        self.gap_count += 1;
        self.gap_sum = self.gap_sum.saturating_add(to.saturating_sub(from));
        self.gaps.push((Time::from_micros(from), Time::from_micros(to)));
        if self.gaps.len() > 2 * NAMED {
            self.gaps.sort_by_key(|(from, to)| from.micros().saturating_sub(to.micros()));
            self.gaps.truncate(NAMED);
        }
    }

    /// The longest gaps, in the order of time.
    pub fn named(&self) -> Vec<(Time, Time)> {
        let mut named: Vec<_> = self.gaps.iter().take(NAMED).copied().collect();
        named.sort_unstable();
        named
    }

    /// Windows that there would be without gaps.
    pub fn expected(&self) -> u64 {
        let Ok(windows) = i64::try_from(self.windows) else { return self.windows };
        let usual = self.covered.checked_div(windows).unwrap_or(0);
        let missing = self.gap_sum.checked_div(usual).unwrap_or(0);
        self.windows.saturating_add(u64::try_from(missing).unwrap_or(0))
    }

    /// How much of the time was watched, from 0 to 1.
    pub fn part(&self, asked: &Asked) -> f64 {
        let all = asked.end().micros().saturating_sub(asked.since.micros()).max(1);
        (all.saturating_sub(self.gap_sum).max(0) as f64 / all as f64).clamp(0.0, 1.0)
    }
}
