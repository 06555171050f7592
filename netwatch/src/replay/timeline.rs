//! The virtual clock: the times of packets as monotonic nanoseconds, cut into slots.

use crate::sinks::Wall;

/// What the clock shows when the first packet comes, in nanoseconds: a day, so that a look back at what happened hours
/// ago does not come before the beginning of time.
pub const BEGINNING_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// A clock that stands at the last packet, and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The time of the first packet, in nanoseconds since the epoch.
    first_at_ns: i64,
    now_ns: u64,
    slot_start_ns: u64,
    slot_ns: u64,
}

impl Timeline {
    /// A clock whose first slot begins with a packet at so many nanoseconds since the epoch.
    #[must_use]
    pub const fn new(first_at_ns: i64, slot_ns: u64) -> Self {
        let slot_ns = if slot_ns == 0 { 1 } else { slot_ns };
        Self { first_at_ns, now_ns: BEGINNING_NS, slot_start_ns: BEGINNING_NS, slot_ns }
    }

    /// Monotonic nanoseconds at so many nanoseconds since the epoch; now, where that is earlier.
    #[must_use]
    pub fn at(&self, at_ns: i64) -> u64 {
        self.stated(at_ns).max(self.now_ns)
    }

    /// Whether a packet at so many nanoseconds since the epoch comes a slot or more after its time.
    #[must_use]
    pub fn is_late(&self, at_ns: i64) -> bool {
        self.now_ns.saturating_sub(self.stated(at_ns)) >= self.slot_ns
    }

    /// Monotonic nanoseconds at so many nanoseconds since the epoch, earlier ones than now included.
    fn stated(&self, at_ns: i64) -> u64 {
        let since = i128::from(at_ns) - i128::from(self.first_at_ns);
        u64::try_from(since + i128::from(BEGINNING_NS)).unwrap_or(0)
    }

    /// The time of the last packet, in monotonic nanoseconds.
    #[must_use]
    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Lets the clock go on.
    pub fn go_to(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
    }

    /// When the slot began.
    #[must_use]
    pub const fn slot_start_ns(&self) -> u64 {
        self.slot_start_ns
    }

    /// When the slot ends.
    #[must_use]
    pub const fn slot_end_ns(&self) -> u64 {
        self.slot_start_ns.saturating_add(self.slot_ns)
    }

    /// Begins the next slot, and returns when the one that it ends began and ended.
    pub const fn end_slot(&mut self) -> (u64, u64) {
        let start_ns = self.slot_start_ns;
        self.slot_start_ns = self.slot_end_ns();
        (start_ns, self.slot_start_ns)
    }

    /// Leaves out all slots that end before `until_ns`, and returns how long they were together.
    pub const fn skip_to(&mut self, until_ns: u64) -> u64 {
        let ahead_ns = until_ns.saturating_sub(self.slot_start_ns);
        let skipped_ns = ahead_ns - ahead_ns % self.slot_ns;
        self.slot_start_ns += skipped_ns;
        skipped_ns
    }

    /// The wall clock of the capture.
    #[must_use]
    pub const fn wall(&self) -> Wall {
        #[expect(clippy::cast_possible_wrap, reason = "a day is not many nanoseconds")]
        Wall::new(self.first_at_ns.saturating_sub(BEGINNING_NS as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn slots_begin_with_the_first_packet_and_time_never_goes_back() {
        let first = 1_700_000_000_000_000_000;
        let mut clock = Timeline::new(first, 5 * SECOND);
        assert_eq!(clock.at(first), BEGINNING_NS);
        assert_eq!(clock.at(first - 1), BEGINNING_NS, "earlier than the first");
        clock.go_to(clock.at(first + 7));
        assert_eq!((clock.at(first + 3), clock.at(first + 9)), (BEGINNING_NS + 7, BEGINNING_NS + 9));
        assert_eq!([7, 8].map(|ns| clock.is_late(first + ns - 5_000_000_000)), [true, false], "a slot");
        assert_eq!(clock.end_slot(), (BEGINNING_NS, BEGINNING_NS + 5 * SECOND));
        assert_eq!(clock.wall().at(BEGINNING_NS).as_nanosecond(), i128::from(first));
    }

    #[test]
    fn whole_slots_are_left_out() {
        let mut clock = Timeline::new(0, 5 * SECOND);
        assert_eq!(clock.skip_to(BEGINNING_NS + 4 * SECOND), 0);
        assert_eq!(clock.skip_to(BEGINNING_NS + 3_604 * SECOND), 3_600 * SECOND);
        assert_eq!(clock.slot_end_ns(), BEGINNING_NS + 3_605 * SECOND);
    }

    #[test]
    fn times_of_a_damaged_file_are_survived() {
        let mut clock = Timeline::new(i64::MIN, SECOND);
        clock.go_to(clock.at(i64::MAX));
        clock.skip_to(u64::MAX);
        clock.end_slot();
        assert!(clock.slot_end_ns() > clock.slot_ns);
        assert_eq!(Timeline::new(i64::MAX, 0).at(i64::MIN), BEGINNING_NS);
    }
}
