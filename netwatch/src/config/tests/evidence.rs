//! What is kept as evidence.

use super::*;

#[test]
fn evidence_is_kept_where_a_directory_is_named() {
    assert_eq!(with_file("", "[evidence]\npackets = 8\nmax_age = '1d'").unwrap().evidence, None);
    let text = "[evidence]\ndir = '/a'\npackets = 8\nmax_bytes = '1G'\nmax_files = 5\nmax_age = '12h'\nmin_severity = 'high'";
    let settings = EvidenceSettings {
        dir: "/a".into(),
        packets: 8,
        max_bytes: 1 << 30,
        max_files: 5,
        max_age: Duration::from_secs(12 * 3600),
        min_severity: Severity::High,
    };
    assert_eq!(with_file("", text).unwrap().evidence, Some(settings.clone()));
    let typed = with_file("--evidence b/c", text).unwrap();
    assert_eq!(typed.evidence, Some(EvidenceSettings { dir: "b/c".into(), ..settings }));
    let defaults = EvidenceSettings {
        dir: "d".into(),
        packets: 64,
        max_bytes: 64 << 20,
        max_files: 1_000,
        max_age: Duration::from_secs(604_800),
        min_severity: Severity::Low,
    };
    assert_eq!(with_file("--evidence d", "").unwrap().evidence, Some(defaults));
    for (text, says) in [
        ("evidence = '/a'", "1:12: evidence: write [evidence]"),
        ("[evidence]\ndir = 1", "2:7: dir: must be a string"),
        ("[evidence]\npackets = 0", "2:11: packets: must be a whole number from 1 to 10000, not 0"),
        ("[evidence]\npackets = 10001", "not 10001"),
        ("[evidence]\nmax_bytes = '1K'", "2:13: max_bytes: 1K is out of range; give 1M to 1024G"),
        ("[evidence]\nmax_bytes = 'much'", "\"much\" is not a size"),
        ("[evidence]\nmax_files = 100001", "max_files: must be a whole number from 1 to 100000"),
        ("[evidence]\nmax_age = '59s'", "2:11: max_age: 59s is out of range; give 1m to 3650d"),
        ("[evidence]\nmin_severity = 'loud'", "give one of info, low"),
        ("[evidence]\ndirectory = '/a'", "2:1: unknown key \"directory\"; there are dir, packets"),
    ] {
        let error = with_file("", text).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
}
