//! What somebody who mistyped a name may have meant.

/// The known name that is nearest to `typed`, if it is near enough to have been meant.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Who types more than this has not mistyped a name of ours, and comparing would take long.
    let typed: Vec<char> = typed.chars().take(64).collect();
    let near = 2.max(typed.len() / 3);
    let distances = known.into_iter().map(|name| (distance(&typed, name), name));
    distances.filter(|(distance, _)| *distance <= near).min().map(|(_, name)| name)
}

/// How many letters have to be put in, taken out or replaced (Levenshtein).
fn distance(typed: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for (line, letter) in name.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (above, other) in row.iter_mut().skip(1).zip(typed) {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        row[0] = line + 1;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["window", "slot", "min_severity", "scan.vertical"];
        for (typed, expect) in [
            ("windw", Some("window")),
            ("windows", Some("window")),
            ("minseverity", Some("min_severity")),
            ("scan.vertcal", Some("scan.vertical")),
            ("slto", Some("slot")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), expect, "{typed}");
        }
        for (typed, name, expect) in [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("a", "a", 0)]
        {
            assert_eq!(distance(&typed.chars().collect::<Vec<_>>(), name), expect, "{typed} {name}");
        }
    }
}
