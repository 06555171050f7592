//! Text and numbers as a terminal shows them: nothing that it would obey, and of a width that is known.

use ratatui::text::Span;

/// Letters of the longest text that is kept.
const TEXT: usize = 4_096;

/// How a letter is shown that would move the cursor, stand nowhere, or turn the line around.
const HIDDEN: char = '?';

/// Makes text from outside harmless: one line of letters that each stand in a place of their own.
pub(super) fn harmless(text: &str) -> String {
    text.chars().take(TEXT).map(shown).collect()
}

fn shown(letter: char) -> char {
    match letter {
        ' '..='~' => letter,
        '\n' | '\t' => ' ',
        // What joins with its neighbours is as wide as a terminal thinks best, and private letters look like nobody knows what.
        '\u{1f000}'..='\u{1faff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => HIDDEN,
        // Korean letters by their parts become one.
        '\u{1100}'..='\u{11ff}' => HIDDEN,
        // Those that are written from right to left would move what stands beside them.
        '\u{590}'..='\u{8ff}'
        | '\u{fb1d}'..='\u{fdff}'
        | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' => HIDDEN,
        _ if letter.is_control() => HIDDEN,
        // No width, or none that is certain: what combines, joins, or says in which direction to read.
        _ if width_of(letter) == 0 => HIDDEN,
        _ => letter,
    }
}

fn width_of(letter: char) -> usize {
    let mut bytes = [0; 4];
    Span::raw(&*letter.encode_utf8(&mut bytes)).width()
}

/// The same with ASCII alone.
pub(super) fn ascii(text: &str) -> String {
    let plain = |letter: char| match letter {
        ' '..='~' => letter,
        '·' => '-',
        '–' | '—' => '-',
        '…' => '~',
        _ => HIDDEN,
    };
    text.chars().map(plain).collect()
}

/// Columns of a terminal that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Cuts what is too long, and shows that.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut taken = 0;
    for letter in text.chars() {
        let more = width_of(letter);
        if taken + more + 1 > most {
            break;
        }
        short.push(letter);
        taken += more;
    }
    if most > 0 {
        short.push('…');
    }
    short
}

/// Breaks a text at spaces, and a word that is too long anywhere.
pub(super) fn wrap(text: &str, most: usize) -> Vec<String> {
    let most = most.max(2);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut taken = 0;
        for word in paragraph.split(' ') {
            let long = width(word);
            if taken > 0 && taken + 1 + long > most {
                lines.push(std::mem::take(&mut line));
                taken = 0;
            } else if taken > 0 {
                line.push(' ');
                taken += 1;
            }
            for letter in word.chars() {
                let more = width_of(letter);
                if taken + more > most {
                    lines.push(std::mem::take(&mut line));
                    taken = 0;
                }
                line.push(letter);
                taken += more;
            }
        }
        lines.push(line);
    }
    lines
}

/// A number in few letters: `999`, `1.2k`, `34k`, `5.6M`.
pub(super) fn short(number: f64) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    // What is no number, or none that can be, is nothing.
    let number = if number.is_finite() { number.clamp(0.0, 999e12) } else { 0.0 };
    if number < 999.5 {
        return if number > 0.0 && number < 9.95 && number.fract() > 0.04 {
            format!("{number:.1}")
        } else {
            format!("{number:.0}")
        };
    }
    // Rounding must not give 1000k.
    let found = PREFIXES.into_iter().find(|(size, _)| number >= size * 0.9995);
    let (size, prefix) = found.unwrap_or((1e3, "k"));
    let value = number / size;
    if value < 9.95 { format!("{value:.1}{prefix}") } else { format!("{value:.0}{prefix}") }
}

/// The same of a count.
pub(super) fn count(number: u64) -> String {
    short(number as f64)
}

/// How long something is, in one unit: `5 s`, `12 min`, `3 h`, `2 d`.
pub(super) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", (seconds / 86_400).min(9_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_that_a_terminal_would_obey() {
        let check = |text: &str, expect: &str| assert_eq!(harmless(text), expect, "{text:?}");
        check("eth0 Grüße 東京", "eth0 Grüße 東京");
        check("\x1b[2J\u{9b}0m\r\n\0", "?[2J?0m? ?");
        check("e\u{301} \u{202e}evil \u{200b}\u{feff}\u{ad}", "e? ?evil ???");
        check("👩\u{200d}👩 \u{e000} שלום", "??? ? ????");
        assert_eq!(harmless(&"x".repeat(9_999)).len(), TEXT);
        assert_eq!(ascii("a … 東 ü"), "a ~ ? ?");
    }

    #[test]
    fn texts_are_cut_and_wrapped_by_their_width() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("東京都", 4), "東…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("東京都", 3), ["東", "京", "都"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("", 9), [""]);
    }

    #[test]
    fn numbers_take_four_letters_at_most() {
        for (number, expect) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (5.0, "5"),
            (42.3, "42"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (1_234.0, "1.2k"),
            (99_949.0, "100k"),
            (999_900.0, "1.0M"),
            (5.6e6, "5.6M"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (1e99, "999T"),
            (-1.0, "0"),
        ] {
            assert_eq!(short(number), expect, "{number}");
        }
        assert_eq!(
            [age(-5), age(59), age(61), age(7_300), age(1 << 40)],
            ["0 s", "59 s", "1 min", "2 h", "9999 d"]
        );
    }
}
