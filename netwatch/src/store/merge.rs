//! Two databases become one answer: the file, and what waits in memory because the file could not be written. Of what is in
//! both, the later one counts.

use super::query::Part;
use crate::report::Page;
use crate::report::history::Order;

/// Puts two parts together. `in_memory` knows the number of the last step of what waits in memory, whatever was asked for: a
/// row of the file that is older says nothing any more, even where the newer one is not in the answer.
pub(super) fn pages<T>(
    (order, limit, cursor): (Order, usize, Option<u64>),
    memory: Part<T>,
    file: Part<T>,
    in_memory: impl Fn(&str) -> Option<i64>,
) -> Page<T> {
    let known = memory.change.max(file.change);
    let mut items = memory.items;
    for found in file.items {
        if in_memory(&found.name).is_some_and(|change| change > found.change) {
            continue;
        }
        // It may have been written since memory was asked.
        items.retain(|other| other.name != found.name);
        items.push(found);
    }
    items.sort_by_key(|found| match order {
        Order::Newest | Order::Worst => -found.place,
        Order::Changed => found.place,
    });
    // Behind the place where one of them was cut off, something may be missing.
    let cuts = memory.until.into_iter().chain(file.until);
    let until = match order {
        Order::Newest | Order::Worst => cuts.max(),
        Order::Changed => cuts.min(),
    };
    if let Some(until) = until {
        items.retain(|found| match order {
            Order::Newest | Order::Worst => found.place >= until,
            Order::Changed => found.place <= until,
        });
    }
    let is_cut = items.len() > limit;
    items.truncate(limit);
    let last = items.last().map(|last| last.place);
    let next = if is_cut { last.or(until) } else { until };
    let next = next.map(i64::unsigned_abs);
    let next = match order {
        Order::Newest | Order::Worst => next,
        // All that is known was looked at, so that the next question begins behind it.
        Order::Changed => next.or_else(|| Some(known.unsigned_abs().max(cursor.unwrap_or(0)))),
    };
    Page { items: items.into_iter().filter_map(|found| found.item).collect(), next }
}

#[cfg(test)]
mod tests {
    use super::super::query::Found;
    use super::*;

    fn part(places: &[(i64, &str)], until: Option<i64>) -> Part<i64> {
        let found = |&(place, name): &(i64, &str)| Found {
            place,
            change: place,
            name: name.to_owned(),
            item: Some(place),
        };
        Part { items: places.iter().map(found).collect(), until, change: 9 }
    }

    #[test]
    fn what_is_in_both_is_there_once_and_nothing_is_left_out_at_a_cut() {
        let page = |order, limit, memory, file| {
            let page = pages((order, limit, None), memory, file, |name| (name == "a").then_some(9));
            (page.items, page.next)
        };
        let (newest, changed) = (Order::Newest, Order::Changed);
        let memory = || part(&[(9, "a"), (7, "b")], None);
        assert_eq!(page(newest, 9, memory(), part(&[(6, "c"), (2, "a")], None)), (vec![9, 7, 6], None));
        assert_eq!(page(newest, 2, memory(), part(&[(6, "c"), (2, "a")], Some(2))), (vec![9, 7], Some(7)));
        // The file was cut off at 8: what memory has behind it comes with the next page.
        assert_eq!(page(newest, 2, memory(), part(&[(8, "c")], Some(8))), (vec![9, 8], Some(8)));
        let memory = || part(&[(7, "b"), (9, "a")], None);
        assert_eq!(page(changed, 9, memory(), part(&[(2, "a"), (6, "c")], None)), (vec![6, 7, 9], Some(9)));
        assert_eq!(page(changed, 2, memory(), part(&[(2, "a"), (6, "c")], Some(6))), (vec![6], Some(6)));
        assert_eq!(page(changed, 2, part(&[], None), part(&[], None)), (vec![], Some(9)));
    }
}
