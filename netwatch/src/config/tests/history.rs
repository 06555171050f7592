//! How the history is kept.

use super::*;

#[test]
fn the_history_has_an_age_and_a_size() {
    let settings = |days: u64, megabytes: u64| HistorySettings {
        max_age: Duration::from_secs(days * 86_400),
        max_bytes: megabytes << 20,
    };
    assert_eq!(with_file("", "").unwrap().history, settings(30, 256));
    assert_eq!(with_file("", "").unwrap().history, HistorySettings::default());
    let text = "[history]\nmax_age = '7d'\nmax_bytes = '1G'";
    assert_eq!(with_file("", text).unwrap().history, settings(7, 1024));
    for (text, says) in [
        ("history = 'a'", "1:11: history: write [history]"),
        ("[history]\nmax_bytes = '15M'", "2:13: max_bytes: 15M is out of range; give 16M to 1024G"),
        ("[history]\nmax_age = '59s'", "2:11: max_age: 59s is out of range; give 1m to 3650d"),
        ("[history]\nmax_age = 'long'", "\"long\" is not a duration"),
        ("[history]\nage = '1d'", "2:1: unknown key \"age\"; did you mean \"max_age\"?"),
    ] {
        let error = with_file("", text).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
}
