//! Numbers, sizes and times as people read them: on the page, in the terminal and in reports.
//!
//! Number and unit are held together by a no-break space. Nothing here is read by programs.

use jiff::Timestamp;

use crate::report::Time;

/// What stands between a number and its unit.
const SPACE: char = '\u{a0}';
/// Factors of a thousand.
const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// Digits in groups of three: `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    in_groups(&number.to_string())
}

fn in_groups(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number in short: `950`, `1,234`, `12.3 k`, `1.2 M`. What is no number is told as nothing.
#[must_use]
pub fn short(number: f64) -> String {
    scaled(number, "")
}

/// Bytes: `512 B`, `72.9 kB`, `1.2 GB`.
#[must_use]
pub fn bytes(number: f64) -> String {
    scaled(number, "B")
}

/// Bits a second, from bytes a second: `1.2 Mbit/s`.
#[must_use]
pub fn bits_per_s(bytes_per_s: f64) -> String {
    scaled(bytes_per_s * 8.0, "bit/s")
}

fn scaled(number: f64, unit: &str) -> String {
    let number = if number.is_finite() { number.max(0.0) } else { 0.0 };
    let mut step = 0;
    // Bare numbers up to 9,999 are as short as they would be with a prefix.
    let most: f64 = if unit.is_empty() { 9_999.5 } else { 999.5 };
    let mut rest = number;
    if number >= most {
        while rest >= 999.95 && step + 1 < PREFIXES.len() {
            rest /= 1_000.0;
            step += 1;
        }
    }
    let value = match (step, rest) {
        (0, _) if rest >= 10.0 || rest.fract() == 0.0 => in_groups(&format!("{rest:.0}")),
        (0, _) => format!("{rest:.1}"),
        _ if rest >= 99.95 => format!("{rest:.0}"),
        _ => format!("{rest:.1}"),
    };
    let prefix = PREFIXES.get(step).copied().unwrap_or_default();
    if prefix.is_empty() && unit.is_empty() { value } else { format!("{value}{SPACE}{prefix}{unit}") }
}

/// How long something took, in its largest unit or the two largest: `45 s`, `3 min`, `2 h 5 min`, `3 d`.
#[must_use]
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}{SPACE}s"),
        60..3_600 => format!("{minutes}{SPACE}min"),
        3_600..86_400 if minutes % 60 > 0 => format!("{hours}{SPACE}h {}{SPACE}min", minutes % 60),
        3_600..86_400 => format!("{hours}{SPACE}h"),
        _ => format!("{days}{SPACE}d"),
    }
}

/// How long ago something was: `now`, `12 s ago`, `3 min ago`.
#[must_use]
pub fn ago(then: Time, now: Time) -> String {
    match now.0.as_second().saturating_sub(then.0.as_second()) {
        ..1 => "now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A time for people who want to know it exactly: `2026-11-22 05:33:23 UTC`.
#[must_use]
pub fn exact(time: Time) -> String {
    time.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The present.
#[must_use]
pub fn now() -> Time {
    Time(Timestamp::now())
}

/// `1 incident`, `3 incidents`, with digits in groups.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    format!("{}{SPACE}{thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        let plain = |text: String| text.replace(SPACE, " ");
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (9.96, "10.0"),
            (42.4, "42"),
            (1_234.0, "1,234"),
            (9_999.0, "9,999"),
            (12_345.0, "12.3 k"),
            (123_456.0, "123 k"),
            (999_960.0, "1.0 M"),
            (1_240_000.0, "1.2 M"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (-3.0, "0"),
        ] {
            assert_eq!(plain(short(number)), text, "{number}");
        }
        assert_eq!(plain(short(u64::MAX as f64)), "18.4 E");
        assert_eq!(plain(short(f64::MAX)).split(' ').next_back(), Some("E"));
        assert_eq!(plain(bytes(999.0)), "999 B");
        assert_eq!(plain(bytes(72_960.0)), "73.0 kB");
        assert_eq!(plain(bits_per_s(152_500.0)), "1.2 Mbit/s");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(plain(count(1, "incident")), "1 incident");
        assert_eq!(plain(count(1_000, "incident")), "1,000 incidents");
    }

    #[test]
    fn times_are_told_as_people_do() {
        let at = |seconds: i64| Time::from_micros(1_795_000_000_000_000 + seconds * 1_000_000);
        let plain = |text: String| text.replace(SPACE, " ");
        for (seconds, text) in [
            (-5, "now"),
            (0, "now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3_600, "1 h ago"),
            (7_500, "2 h 5 min ago"),
            (86_400 * 40, "40 d ago"),
        ] {
            assert_eq!(plain(ago(at(0), at(seconds))), text, "{seconds}");
        }
        assert_eq!(exact(at(0)), "2026-11-18 11:06:40 UTC");
    }
}
