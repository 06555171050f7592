//! Files of signatures, right and wrong.

use crate::signatures::{Sender, Wanted, file, load};

const GOOD: &str = r#"
[[signature]]
id = "lab.beacon"
name = "beacon of the laboratory"
proto = "any"
ports = ["80", "8000-8100", 9000]
from = "any"
all = [{ text = "beacon", nocase = true, offset = 2 }, { hex = "de ad ?? ef" }, { regex = '[0-9]{3}' }]
severity = "critical"
reference = "https://example.org/beacon"
attack_id = "T1071.001"
description = "What the laboratory's beacon says."
"#;

fn wrong(text: &str) -> String {
    file::parse("f.toml", text).unwrap_err().join("\n")
}

/// The good file with one line in place of another.
fn with(line: &str, instead: &str) -> String {
    assert!(GOOD.contains(line), "{line}");
    GOOD.replace(line, instead)
}

#[test]
fn a_file_says_what_is_looked_for() {
    let all = file::parse("f.toml", GOOD).unwrap();
    let [signature] = &all[..] else { panic!("{all:?}") };
    assert_eq!(
        (&*signature.id, signature.severity.name(), signature.patterns.len()),
        ("lab.beacon", "critical", 3)
    );
    assert_eq!(signature.scope.ports.to_string(), "80,8000-8100,9000");
    assert_eq!((signature.scope.proto, signature.scope.from), (None, None));
    assert_eq!(signature.written.to_string(), "f.toml:2:1");
    // Who sends the bytes is the client unless something else is said.
    let all = file::parse("f.toml", &with("from = \"any\"\n", "")).unwrap();
    assert_eq!(all[0].scope.from, Some(Sender::Client));
    assert!(file::parse("f.toml", "").unwrap().is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let all = r#"all = [{ text = "beacon", nocase = true, offset = 2 }, { hex = "de ad ?? ef" }, { regex = '[0-9]{3}' }]"#;
    for (line, instead, says) in [
        ("id = \"lab.beacon\"", "id = \"Lab beacon\"", "f.toml:3:6: id: \"Lab beacon\" must be up to 64"),
        (
            "id = \"lab.beacon\"",
            "idd = \"lab.beacon\"",
            "f.toml:3:1: unknown key \"idd\"; did you mean \"id\"?",
        ),
        ("id = \"lab.beacon\"", "", "f.toml:2:1: signature: lacks id, like id = "),
        ("name = \"beacon of the laboratory\"", "name = \"a\\u001bb\"", "f.toml:4:8: name: must be one line"),
        (
            "proto = \"any\"",
            "proto = \"icmp\"",
            "f.toml:5:9: proto: \"icmp\" is unknown; give one of tcp, udp, any",
        ),
        ("9000]", "70000]", "f.toml:6:29: ports: must be a whole number from 1 to 65535, not 70000"),
        ("\"8000-8100\"", "\"8100-8000\"", "f.toml:6:16: ports: \"8100-8000\" is no port"),
        ("\"8000-8100\"", "\"+80\"", "f.toml:6:16: ports: \"+80\" is no port"),
        (
            "from = \"any\"",
            "from = \"us\"",
            "f.toml:7:8: from: \"us\" is unknown; give one of client, server, any",
        ),
        ("\"critical\"", "\"loud\"", "f.toml:9:12: severity: \"loud\" is unknown; give one of info, low"),
        (
            "https://example.org/beacon",
            "my notes",
            "f.toml:10:13: reference: \"my notes\" must be an address",
        ),
        ("T1071.001", "T17", "f.toml:11:13: attack_id: \"T17\" is no technique"),
        (all, "", "f.toml:2:1: signature: lacks a pattern: one of text, hex, regex or all"),
        (all, "text = \"a\"\nhex = \"00\"", "f.toml:9:1: signature: has more than one pattern"),
        (
            all,
            "text = \"abc\"\ndepth = 2",
            "f.toml:8:8: text: is 3 bytes long, and never lies within a depth of 2",
        ),
        (all, "text = \"abc\"\noffset = 4000", "f.toml:9:10: offset: must be a whole number from 0 to 2048"),
        (all, "hex = \"0g\"", "f.toml:8:7: hex: \"0g\" is no byte"),
        (all, "regex = \"(a\"", "f.toml:8:9: regex: is no regular expression: unclosed group"),
        (all, "regex = \"a\"\nnocase = true", "f.toml:9:1: nocase: is for text; begin the pattern with (?i)"),
        (all, "all = []", "f.toml:8:7: all: must be 1 to 8 patterns, not 0"),
        (all, "all = [{ txt = \"a\" }]", "f.toml:8:10: unknown key \"txt\"; did you mean \"text\"?"),
        (
            all,
            "all = [{ text = \"a\" }]\noffset = 1",
            "f.toml:9:1: offset: beside all, it belongs into one of",
        ),
    ] {
        let wrong = wrong(&with(line, instead));
        assert!(wrong.contains(says), "{instead}:\n{wrong}");
    }
    let twice = wrong(&[GOOD, GOOD].concat());
    assert!(twice.contains("f.toml:14:1: id: \"lab.beacon\" is that of f.toml:2 already"), "{twice}");
    assert!(wrong("[signature]\nid = \"a\"").contains(": signature: write [[signature]], with two brackets"));
    assert!(wrong("[[signatures]]").contains("unknown key \"signatures\"; did you mean \"signature\"?"));
    assert!(wrong("signature = [1]").contains("write [[signature]] and its keys below it"));
}

#[test]
fn several_files_are_told_together_and_share_no_identifier() {
    let folder = std::env::temp_dir().join(format!("netwatch-signatures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (good, same) = (path("good.toml", GOOD), path("same.toml", GOOD));
    let (bad, missing) = (path("bad.toml", "x = 1"), folder.join("missing.toml"));
    let signatures = load(&Wanted { starter: true, files: vec![good.clone()] }).unwrap();
    assert!(signatures.number("lab.beacon").is_some() && signatures.number("web.log4shell").is_some());
    let wrong = load(&Wanted { starter: false, files: vec![bad, good, missing, same] }).unwrap_err();
    let [unknown, missing, taken] = &wrong[..] else { panic!("{wrong:?}") };
    assert!(unknown.contains("bad.toml:1:1: unknown key \"x\""), "{unknown}");
    assert!(missing.contains("missing.toml: No such file"), "{missing}");
    assert!(taken.contains("same.toml:2:1: id: \"lab.beacon\" is that of"), "{taken}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn signatures_are_taken_away_and_graded_by_their_identifiers() {
    use crate::analysis::Severity;
    use crate::signatures::load::adjust;

    let mut all = Wanted::default().read().unwrap();
    let before = all.len();
    let disable = ["web.shellshock".to_owned()];
    adjust(&mut all, &disable, &[("ntp.monlist".into(), Severity::High)]).unwrap();
    assert_eq!(all.len(), before - 1);
    assert!(
        all.iter().any(|signature| signature.id == "ntp.monlist" && signature.severity == Severity::High)
    );
    let wrong = adjust(&mut all, &["web.log4shel".to_owned()], &[]).unwrap_err();
    assert_eq!(wrong, "no signature named \"web.log4shel\"; did you mean \"web.log4shell\"?");
    let wrong = adjust(&mut all, &[], &[("x".into(), Severity::Low)]).unwrap_err();
    assert!(wrong.contains("`netwatch signatures list` names them"), "{wrong}");
}
