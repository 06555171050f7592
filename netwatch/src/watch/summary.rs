//! What became of every packet, at the end.

use core::fmt::{self, Display, Formatter};

use netwatch_common::WatchTotals;

use super::wish::Wish;

/// Every packet that passed was shown, or was not for one of these reasons.
pub(super) struct Summary<'a> {
    pub interface: &'a str,
    pub totals: &'a WatchTotals,
    pub wish: &'a Wish,
    /// Packets that the output took.
    pub written: u64,
    /// Packets that it had no room for.
    pub dropped: u64,
    /// Packets that came when no more were wanted.
    pub late: u64,
    /// Of those that were written to a file, the ones that were not printed as they should.
    pub not_printed: u64,
}

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { interface, totals, wish, written, dropped, late, not_printed } = self;
        let not_shown = totals.seen.saturating_sub(*written);
        writeln!(f, "{interface}: {} packets seen, {written} shown, {not_shown} not shown", totals.seen)?;
        let one_of = format!("not the one of {} (--sample)", wish.one_of);
        let rate = wish.rate.as_ref().map_or("none", |(_, rate)| rate);
        let over = format!("over the rate of {rate} (--rate)");
        let reasons = [
            (totals.filtered_out(), "did not match the filter"),
            (totals.sampled_out, &*one_of),
            (totals.rate_limited, &*over),
            (totals.ring_full, "no room on the way out of the kernel (--buffer)"),
            (*dropped, "not written fast enough"),
            (*late, "came after the last one that was wanted"),
        ];
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  {count:>10}  {reason}")?;
        }
        let told: u64 = reasons.iter().map(|(count, _)| count).sum();
        if told != not_shown {
            writeln!(f, "  {:>10}  unaccounted for", not_shown.abs_diff(told))?;
        }
        if *not_printed > 0 {
            writeln!(f, "{not_printed} packets are in the file, but were not printed fast enough")?;
        }
        Ok(())
    }
}
