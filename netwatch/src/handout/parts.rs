//! The time of a report in equal parts, which begin at round times.

use super::asked::Asked;
use crate::report::Time;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How long a part may be, in microseconds.
const LENGTHS: [i64; 14] = [
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    365 * DAY,
];

/// Equal parts of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// When the first one begins, in microseconds.
    pub first: i64,
    /// How long each is.
    pub length: i64,
    /// How many there are.
    pub count: usize,
}

impl Parts {
    /// At most so many, the shortest that there can be.
    pub fn of(asked: &Asked, most: usize) -> Self {
        let (from, to) = (asked.since.micros(), asked.end().micros());
        let count = |length: i64| {
            let parts = to.saturating_sub(1).div_euclid(length).saturating_sub(from.div_euclid(length)) + 1;
            usize::try_from(parts).unwrap_or(0).max(1)
        };
        let length = LENGTHS.into_iter().find(|length| count(*length) <= most);
        // Longer than everything: one part more than `most` at its edges, if it must be.
        let length = length.unwrap_or_else(|| {
            let room = i64::try_from(most).unwrap_or(1).max(2) - 1;
            (to.saturating_sub(from) / room).max(DAY)
        });
        Self { first: from.div_euclid(length).saturating_mul(length), length, count: count(length) }
    }

    /// In which of them a time lies, or the nearest one.
    pub fn place(&self, at: Time) -> usize {
        let place = at.micros().saturating_sub(self.first).div_euclid(self.length);
        usize::try_from(place).unwrap_or(0).min(self.count - 1)
    }

    /// When one of them begins.
    pub fn begin(&self, place: usize) -> i64 {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        self.first.saturating_add(self.length.saturating_mul(place))
    }

    /// Those in which something between two times lies, each with how much of it, in microseconds.
    pub fn overlaps(&self, from: i64, to: i64) -> impl Iterator<Item = (usize, i64)> + use<> {
        let this = *self;
        let (first, last) = (this.place(Time::from_micros(from)), this.place(Time::from_micros(to)));
        (first..=last).filter_map(move |place| {
            let (begin, end) = (this.begin(place), this.begin(place).saturating_add(this.length));
            let length = to.min(end).saturating_sub(from.max(begin));
            (length > 0).then_some((place, length))
        })
    }

    /// What one is called, like `hour`.
    pub fn name(&self) -> String {
        match self.length {
            MINUTE => "minute".to_owned(),
            HOUR => "hour".to_owned(),
            DAY => "day".to_owned(),
            length => crate::figures::span(length / 1_000_000),
        }
    }
}
