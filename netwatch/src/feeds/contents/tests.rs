use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn read(text: &str) -> Contents {
    Contents::read(text.as_bytes(), false, NOW).unwrap()
}

fn comment_of(contents: &Contents, addr: &str) -> Option<String> {
    let (prefix, line, comment) = contents.set.find(addr.parse().unwrap())?;
    Some(format!("{prefix} {line} {}", contents.comment(comment).unwrap_or("-")))
}

#[test]
fn a_file_of_many_formats_is_counted() {
    let contents = read(
        "\u{feff}# made up\r\n192.0.2.1\r\n192.0.2.1\n198.51.100.7/24 ; EX1\n\n\
         {\"cidr\":\"203.0.113.0/28\",\"sblid\":\"EX1\"}\n{\"type\":\"metadata\"}\n\
         203.0.113.64-203.0.113.95\n224.0.0.0/3\nnonsense\n\"x\",\"2001:db8::1\",\"Example\"",
    );
    let counts = &contents.counts;
    assert_eq!((counts.lines, counts.other, counts.bad, counts.with_addresses()), (11, 3, 1, 7));
    assert_eq!((counts.duplicates, counts.masked, counts.wide), (1, 1, 1));
    assert_eq!(contents.bad, [(10, "\"nonsense\" is no address, prefix or range".to_owned())]);
    assert_eq!(contents.wide, [(9, "224.0.0.0/3".to_owned())]);
    assert_eq!(contents.set.len(), 5);
    for (addr, says) in [
        ("192.0.2.1", "192.0.2.1 2 -"),
        ("198.51.100.9", "198.51.100.0/24 4 EX1"),
        ("203.0.113.1", "203.0.113.0/28 6 EX1"),
        ("203.0.113.80", "203.0.113.64/27 8 -"),
        ("2001:db8::1", "2001:db8::1 11 Example"),
    ] {
        assert_eq!(comment_of(&contents, addr).as_deref(), Some(says), "{addr}");
    }
    assert!(Contents::read(b"\xff\xfe1\x00", false, NOW).unwrap_err().contains("UTF-16"));
}

#[test]
fn wide_prefixes_are_taken_where_they_are_allowed() {
    let contents = Contents::read(b"224.0.0.0/3\n::/0\n0.0.0.0/7", true, NOW).unwrap();
    assert_eq!((contents.set.len(), contents.counts.wide), (3, 0));
    assert_eq!(read("0.0.0.0/7\n8.0.0.0/8\n2000::/15\n2001::/16").set.len(), 2);
    // A range is as wide as its parts.
    assert_eq!(read("1.0.0.1-255.255.255.255").counts.wide, 7);
}

#[test]
fn documents_of_json() {
    let feodo = r#"[
        {"ip_address": "192.0.2.1", "port": 443, "status": "online", "hostname": null, "malware": "Example"},
        {"ip_address": "192.0.2.2", "port": 8080, "malware": "Example"},
        {"ip_address": "nothing"}
    ]"#;
    let contents = read(feodo);
    assert!(contents.is_document);
    assert_eq!(comment_of(&contents, "192.0.2.2").as_deref(), Some("192.0.2.2 2 Example"));
    assert_eq!(contents.bad.len(), 1);
    assert_eq!(contents.bad[0].0, 3);

    assert_eq!(read(r#"["192.0.2.1", "2001:db8::/32"]"#).set.len(), 2);
    assert_eq!(read("[]").set.len(), 0);
    assert_eq!(
        read(r#"{"7": [{"ioc_value": "192.0.2.1:443", "ioc_type": "ip:port", "malware": "Example"}]}"#)
            .set
            .len(),
        1
    );
    // One object is a line as others are, and brackets can be an address.
    assert!(!read(r#"{"cidr":"192.0.2.0/24"}"#).is_document);
    assert!(!read("[2001:db8::1]:443\n192.0.2.1").is_document);
    let wrong = Contents::read(b"[\n{\"ip\": \"192.0.2.1\"},\n", false, NOW).unwrap_err();
    assert!(wrong.starts_with("line ") && wrong.contains("is no JSON"), "{wrong}");
}

#[test]
fn stix_bundles() {
    let indicator = |pattern: &str, more: &str| {
        format!(
            r#"{{"type":"indicator","name":"Example","pattern_type":"stix","pattern":"{pattern}"{more}}}"#
        )
    };
    let bundle =
        |objects: &[String]| format!(r#"{{"type":"bundle","id":"x","objects":[{}]}}"#, objects.join(","));
    let contents = read(&bundle(&[
        indicator("[ipv4-addr:value = '192.0.2.1']", ""),
        indicator("[ipv4-addr:value='192.0.2.2' OR ipv6-addr:value = '2001:db8::1']", ""),
        indicator("[ipv4-addr:value ISSUBSET '198.51.100.0/24'] OR [ipv4-addr:value = '192.0.2.3']", ""),
        indicator("[ipv4-addr:value = '192.0.2.4']", r#","revoked":true"#),
        indicator("[ipv4-addr:value = '192.0.2.5']", r#","valid_until":"1969-01-01T00:00:00Z""#),
        indicator("[ipv4-addr:value = '192.0.2.6']", r#","valid_until":"1971-01-01T00:00:00Z""#),
        indicator("[ipv4-addr:value = '192.0.2.7' AND network-traffic:dst_port = 443]", ""),
        indicator("[ipv4-addr:value != '192.0.2.8']", ""),
        indicator("[ipv6-addr:value = '192.0.2.9']", ""),
        indicator("[domain-name:value = 'example.org']", ""),
        r#"{"type":"malware","name":"Example"}"#.to_owned(),
    ]));
    assert_eq!(contents.bad, []);
    assert_eq!(contents.counts.forms, BTreeMap::from([(Form::Stix, 6)]));
    for (addr, is_listed) in [
        ("192.0.2.1", true),
        ("192.0.2.2", true),
        ("2001:db8::1", true),
        ("198.51.100.77", true),
        ("192.0.2.3", true),
        ("192.0.2.4", false),
        ("192.0.2.5", false),
        ("192.0.2.6", true),
        ("192.0.2.7", false),
        ("192.0.2.8", false),
        ("192.0.2.9", false),
    ] {
        assert_eq!(contents.set.find(addr.parse().unwrap()).is_some(), is_listed, "{addr}");
    }
    assert_eq!(contents.counts.other, 7);
}

#[test]
fn misp_events() {
    let contents = read(
        r#"{"Event":{"info":"Example event","Attribute":[
            {"type":"ip-dst","value":"192.0.2.1","to_ids":true,"comment":""},
            {"type":"ip-dst|port","value":"192.0.2.2|443","to_ids":true,"comment":"control"},
            {"type":"ip-src","value":"192.0.2.3","to_ids":false},
            {"type":"domain","value":"example.org","to_ids":true}],
          "Object":[{"Attribute":[{"type":"ip-src","value":"2001:db8::/32","to_ids":true}]}]}}"#,
    );
    assert_eq!(contents.counts.forms, BTreeMap::from([(Form::Misp, 3)]));
    assert_eq!(comment_of(&contents, "192.0.2.1").as_deref(), Some("192.0.2.1 1 Example event"));
    assert_eq!(comment_of(&contents, "192.0.2.2").as_deref(), Some("192.0.2.2 2 control"));
    assert_eq!(comment_of(&contents, "192.0.2.3"), None);
    assert_eq!(comment_of(&contents, "2001:db8::5").as_deref(), Some("2001:db8::/32 5 Example event"));
}

#[test]
fn comments_are_harmless_and_not_too_long() {
    let long = "x".repeat(500);
    let contents =
        read(&format!("192.0.2.1 # a\u{1b}[2J\u{202e}b\n192.0.2.2 # {long}\n192.0.2.3 # a\u{1b}[2Jb"));
    assert_eq!(comment_of(&contents, "192.0.2.1").as_deref(), Some("192.0.2.1 1 a[2Jb"));
    assert_eq!(comment_of(&contents, "192.0.2.2").unwrap().len(), "192.0.2.2 2 ".len() + COMMENT_CHARS);
    assert_eq!(comment_of(&contents, "192.0.2.3").as_deref(), Some("192.0.2.3 3 a[2Jb"));
}

proptest! {
    #[test]
    fn a_range_is_cut_into_prefixes_that_hold_it(first in any::<u32>(), last in any::<u32>()) {
        let (first, last) = (first.min(last), first.max(last));
        let mut next = u64::from(first);
        let mut count = 0;
        for (begin, bits) in prefixes(first, last) {
            prop_assert_eq!(u64::from(begin), next, "no gap");
            next += 1 << (32 - bits);
            count += 1;
        }
        prop_assert_eq!(next, u64::from(last) + 1);
        prop_assert!(count <= 62, "{} prefixes of {}-{}", count, Ipv4Addr::from(first), Ipv4Addr::from(last));
    }

    #[test]
    fn whatever_a_file_holds_it_is_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(contents) = Contents::read(&bytes, false, NOW) {
            let counts = &contents.counts;
            prop_assert!(counts.with_addresses() + counts.other + counts.bad >= counts.lines.min(1));
        }
    }
}
