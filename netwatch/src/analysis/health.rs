//! How well counting itself went.

use netwatch_common::{Class, Totals, Verdict};

/// How well counting itself went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Packets that entered the program.
    pub seen: u64,
    /// Those of them that are malformed.
    pub malformed: u64,
    /// Packets that were counted without the name of their source.
    pub sources_refused: u64,
    /// Packets that were counted without their port and their source: under their destination only, or not even that.
    pub targets_refused: u64,
    /// Sources that lost their names, because the slot had more than are kept, and had sent anything that nobody had asked
    /// for: their counts were added to those of nobody in particular.
    pub folded: u64,
    /// Targets of other sources, and services, that lost theirs for the same reason, as far as anything went there that
    /// nobody had asked for. The sources' ports and the sums of destinations are there.
    pub cut: u64,
    /// Hints that found no room: what they would have told was told later.
    pub hints_lost: u64,
    /// Sightings of listed addresses, and samples of payload, that there was no room for.
    pub events_lost: u64,
    /// Slots that were drained much too late, or not to their end.
    pub late: u64,
}

impl Health {
    /// Nothing happened.
    pub(super) const NOTHING: Self = Self {
        seen: 0,
        malformed: 0,
        sources_refused: 0,
        targets_refused: 0,
        folded: 0,
        cut: 0,
        hints_lost: 0,
        events_lost: 0,
        late: 0,
    };

    /// How counting went between two looks at a program's totals, `late` times of which too late.
    #[must_use]
    pub fn between(before: &Totals, now: &Totals, late: u64) -> Self {
        // First fragments that hide their flags are no trouble of the parser's: they are evidence, and seen as such.
        let malformed = |totals: &Totals| {
            totals.class(Class::Malformed) - totals.verdict(Verdict::FirstFragmentTruncated)
        };
        Self {
            seen: now.seen - before.seen,
            malformed: malformed(now) - malformed(before),
            sources_refused: now.sources_refused - before.sources_refused,
            targets_refused: now.targets_refused - before.targets_refused,
            folded: 0,
            cut: 0,
            hints_lost: now.hints_lost - before.hints_lost,
            events_lost: now.listed_lost - before.listed_lost + now.samples_lost - before.samples_lost,
            late,
        }
    }

    /// Adds that of another part of the slot, or of another slot.
    pub const fn merge(&mut self, other: &Self) {
        self.seen = self.seen.saturating_add(other.seen);
        self.malformed = self.malformed.saturating_add(other.malformed);
        self.sources_refused = self.sources_refused.saturating_add(other.sources_refused);
        self.targets_refused = self.targets_refused.saturating_add(other.targets_refused);
        self.folded = self.folded.saturating_add(other.folded);
        self.cut = self.cut.saturating_add(other.cut);
        self.hints_lost = self.hints_lost.saturating_add(other.hints_lost);
        self.events_lost = self.events_lost.saturating_add(other.events_lost);
        self.late = self.late.saturating_add(other.late);
    }

    /// What was counted under nobody's name, or under no port.
    #[must_use]
    pub const fn nameless(&self) -> u64 {
        self.sources_refused.saturating_add(self.targets_refused).saturating_add(self.folded)
    }

    /// Whether what is said of a source or a port may be too little.
    #[must_use]
    pub const fn is_lossy(&self) -> bool {
        self.nameless() > 0 || self.cut > 0
    }
}
