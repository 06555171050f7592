//! What was read, and what of it could not be used.

use super::file::Head;
use super::limits::REASONS;
use super::link;
use super::record::Unfit;

/// Sums over all captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets handed out.
    pub packets: u64,
    /// Their length on the wire, in bytes.
    pub bytes: u64,
    /// What was captured of them, in bytes.
    pub captured_bytes: u64,
    /// Those of which less was captured than was on the wire.
    pub cut: u64,
    /// Those that say no time, and were given that of the packet before them.
    pub without_time: u64,
    /// Those that are earlier than the packet before them in the same capture.
    pub backwards: u64,
    /// Packets that could not be used, by reason. They are in none of the other numbers.
    pub skipped: Vec<Skipped>,
}

/// Packets that could not be used for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which reason, such as `link type 105 (IEEE 802.11)`.
    pub reason: String,
    /// How many packets.
    pub packets: u64,
}

/// [`Counts`] while reading.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Counts,
    skipped: Vec<(Unfit, u64)>,
}

impl Tally {
    #[inline]
    pub fn add(&mut self, head: &Head) {
        let counts = &mut self.counts;
        counts.packets += 1;
        counts.bytes += u64::from(head.wire_bytes);
        counts.captured_bytes += u64::from(head.captured_bytes);
        counts.cut += u64::from(head.captured_bytes < head.wire_bytes);
        counts.without_time += u64::from(head.without_time);
        counts.backwards += u64::from(head.backwards);
    }

    pub fn skip(&mut self, why: Unfit) {
        // The last place is for all reasons that have none.
        let is_full = self.skipped.len() >= REASONS - 1;
        let known = |why| move |(other, _): &&mut (Unfit, u64)| *other == why;
        if let Some((_, packets)) = self.skipped.iter_mut().find(known(why)) {
            *packets += 1;
        } else if !is_full {
            self.skipped.push((why, 1));
        } else if let Some((_, packets)) = self.skipped.iter_mut().find(known(Unfit::Other)) {
            *packets += 1;
        } else {
            self.skipped.push((Unfit::Other, 1));
        }
    }

    pub fn counts(&self) -> Counts {
        let named = |(why, packets): &(Unfit, u64)| Skipped { reason: reason(*why), packets: *packets };
        Counts { skipped: self.skipped.iter().map(named).collect(), ..self.counts.clone() }
    }
}

fn reason(why: Unfit) -> String {
    match why {
        Unfit::LinkType(number) => link::describe(number),
        Unfit::UnknownInterface => "interface that the capture does not describe".into(),
        Unfit::TooManyInterfaces => "interface beyond the first 4096".into(),
        Unfit::Other => "other reasons".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded_and_nothing_is_lost() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.skip(Unfit::LinkType(300 + number));
            tally.skip(Unfit::LinkType(300));
        }
        let skipped = tally.counts().skipped;
        assert_eq!(skipped.len(), REASONS);
        assert_eq!(skipped.iter().map(|one| one.packets).sum::<u64>(), 200);
        assert_eq!(skipped[0], Skipped { reason: "link type 300".into(), packets: 101 });
        assert_eq!(skipped[REASONS - 1], Skipped { reason: "other reasons".into(), packets: 69 });
    }

    #[test]
    fn the_bound_on_interfaces_is_told_as_it_is() {
        assert!(reason(Unfit::TooManyInterfaces).ends_with(&super::super::limits::INTERFACES.to_string()));
    }
}
