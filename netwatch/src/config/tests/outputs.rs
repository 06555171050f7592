use std::path::PathBuf;

use super::*;
use crate::config::outputs::Kind;

#[test]
fn the_example_names_every_key_of_every_kind() {
    let example = include_str!("../../../../netwatch.example.toml");
    let (_, outputs) = example.split_once("# [[outputs]]\n").unwrap();
    let text: String = format!("# [[outputs]]\n{outputs}")
        .lines()
        .map(|line| format!("{}\n", line[2..].trim_start()))
        .collect();
    let config = with_file("", &text).unwrap();
    let kinds: Vec<_> = config.outputs.iter().map(|output| output.target.kind()).collect();
    assert_eq!(kinds, Kind::ALL.map(Kind::name));
    for (kind, table) in Kind::ALL.iter().zip(text.split("[[outputs]]").skip(1)) {
        for key in kind.keys().iter().filter(|key| **key != "url" || !kind.keys().contains(&"urls")) {
            assert!(
                table.contains(&format!("\n{key} = ")) || table.contains(&format!("# or {key} = ")),
                "{key} of {} is missing",
                kind.name()
            );
        }
    }
    for key in file::outputs::KEYS {
        assert!(text.contains(&format!("\n{key} = ")), "{key} is missing");
    }
    // What is shown is what was read.
    let shown = config.toml(false);
    let outputs = &shown[shown.find("[[outputs]]").unwrap()..];
    // But for the path of a webhook, which is a secret often enough.
    let outputs = &outputs.replace("https://hooks.example.net/...", "https://hooks.example.net/netwatch");
    assert_eq!(with_file("", outputs).unwrap().outputs, config.outputs, "{outputs}");
}

#[test]
fn outputs_have_names_and_defaults() {
    let text = "[[outputs]]\nkind = 'file'\npath = '/a'\n[[outputs]]\nkind = 'journald'\nname = 'file-2'\n";
    let options = "--output file:/b --output syslog:udp://192.0.2.1 --output journald --output unix:/c:d \
                   --output alertmanager:http://[2001:db8::1]:9093/am --output webhook:https://example.net/";
    let config = with_file(options, text).unwrap();
    let names: Vec<_> = config.outputs.iter().map(|output| &*output.name).collect();
    assert_eq!(names, ["file", "file-2", "file-3", "syslog", "journald", "unix", "alertmanager", "webhook"]);
    let [file, ..] = &config.outputs[..] else { panic!("no outputs") };
    assert_eq!((file.queue, file.min_severity), (10_000, Severity::Low));
    let OutputTarget::File(target) = &file.target else { panic!("no file") };
    assert_eq!((target.max_bytes, target.max_age, target.keep), (100 << 20, None, 5));
    assert_eq!(target.format.name(), "eve");
    let OutputTarget::Syslog(target) = &config.outputs[3].target else { panic!("no syslog") };
    assert_eq!(target.address.to_string(), "udp://192.0.2.1:514");
    assert_eq!((target.facility.name(), target.enterprise_id), ("local0", 32_473));
    let OutputTarget::Unix { path, .. } = &config.outputs[5].target else { panic!("no socket") };
    assert_eq!(*path, PathBuf::from("/c:d"));
    let v6 = with_file("--output syslog:tls://[2001:db8::1]", "").unwrap();
    let OutputTarget::Syslog(target) = &v6.outputs[0].target else { panic!("no syslog") };
    assert_eq!(target.address.to_string(), "tls://[2001:db8::1]:6514");
}

#[test]
fn bad_outputs_are_named() {
    for (text, says) in [
        ("outputs = 1", "write [[outputs]], with two brackets"),
        ("outputs = [1]", "write [[outputs]], and kind"),
        ("[[outputs]]\nname = 'a'", "1:1: outputs: lacks a kind"),
        ("[[outputs]]\nkind = 'fiel'", "2:8: kind: \"fiel\" is no kind of output; did you mean \"file\"?"),
        ("[[outputs]]\nkind = 'kafka'", "there are file, unix, syslog"),
        ("[[outputs]]\nkind = 'file'", "outputs: file lacks path"),
        ("[[outputs]]\nkind = 'alertmanager'", "outputs: alertmanager lacks url"),
        ("[[outputs]]\nkind = 'file'\npath = ''", "must be a path, not empty"),
        ("[[outputs]]\nkind = 'file'\npath = '/a'\nurl = 'b'", "unknown key \"url\"; there are name, kind"),
        ("[[outputs]]\nkind = 'file'\npath = '/a'\nformat = 'xml'", "there are eve, ecs, text, json"),
        ("[[outputs]]\nkind = 'file'\npath = '/a'\nmax_bytes = '1K'", "give 64K to 1024G, or 0"),
        ("[[outputs]]\nkind = 'file'\npath = '/a'\nqueue = 0", "from 1 to 1000000, not 0"),
        ("[[outputs]]\nkind = 'file'\npath = '/a'\nname = 'A b'", "cannot be the name of an output"),
        ("[[outputs]]\nkind = 'syslog'\naddress = 'logs'", "is no address of syslog; write it like"),
        ("[[outputs]]\nkind = 'syslog'\naddress = 'udp://a:0'", "is no address of syslog"),
        ("[[outputs]]\nkind = 'syslog'\naddress = 'udp://a b'", "is no address of syslog"),
        ("[[outputs]]\nkind = 'webhook'\nurl = 'ftp://a'", "url: is no URL; write it like"),
        ("[[outputs]]\nkind = 'webhook'\nurl = 'https:///a'", "url: is no URL"),
        ("[[outputs]]\nkind = 'webhook'\nurl = 'https://me:hush@a/'", "must have no name or password in it"),
        ("[[outputs]]\nkind = 'webhook'\nurl = 'http://a'\nurl_file = 'b'", "has both url and url_file"),
        (
            "[[outputs]]\nkind = 'alertmanager'\nurl = 'http://a:9093/?token=hush'",
            "url: must have no question mark in it; write it like http://127.0.0.1:9093",
        ),
        (
            "[[outputs]]\nkind = 'alertmanager'\nurl = 'http://a:9093/am/api/v2/alerts/'",
            "url: must not end in /api/v2/alerts, which is added to it; write http://a:9093/am",
        ),
        (
            "[[outputs]]\nkind = 'alertmanager'\nurls = ['http://a', 'http://b/api/v2/alerts']",
            "which is added to it; write http://b",
        ),
        ("[[outputs]]\nkind = 'webhook'\nurl_file = ''", "url_file: must be a path"),
        (
            "[[outputs]]\nkind = 'journald'\nname = 'a'\n[[outputs]]\nkind = 'journald'\nname = 'a'",
            "4:1: outputs: there is another one called \"a\"",
        ),
    ] {
        let wrong = with_file("", text).unwrap_err();
        assert!(wrong.contains(says), "{text}: {wrong}");
        assert!(!wrong.contains("hush"), "{wrong}");
    }
    for (options, says) in [
        ("--output file", "--output: \"file\" lacks a target"),
        ("--output xml:/a", "--output: \"xml\" is no kind of output"),
        ("--output webhook:a", "--output: is no URL"),
        ("--output alertmanager:http://a/?key=hush", "--output: must have no question mark"),
        ("--output alertmanager:http://a/api/v2/alerts", "--output: must not end in /api/v2/alerts"),
        ("--output syslog:tcp://", "--output: \"tcp://\" is no address"),
    ] {
        let wrong = with_file(options, "").unwrap_err();
        assert!(wrong.contains(says), "{options}: {wrong}");
        assert!(!wrong.contains("hush"), "{wrong}");
    }
    let many: String = (0..17).map(|number| format!("--output file:/{number} ")).collect();
    assert!(with_file(&many, "").unwrap_err().contains("at most 16 outputs"));
}

#[test]
fn what_may_be_secret_is_not_shown() {
    let text =
        "[[outputs]]\nkind = 'webhook'\nurl = 'https://example.net/a?token=hush'\nsecret_file = '/s'\n";
    let config = with_file("--output webhook:http://localhost/?key=hush", text).unwrap();
    let shown = config.toml(true);
    assert!(shown.contains("url = \"https://example.net/...\""), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
