use proptest::prelude::*;

use super::*;

/// First and last address, how it was written, and what was said about it.
fn read(text: &str) -> Result<Option<(String, Form, String)>, String> {
    Ok(match line(text, false)? {
        Item::Range(range, form, comment) => {
            Some((format!("{}-{}", range.first, range.last), form, comment.into_owned()))
        }
        _ => None,
    })
}

#[track_caller]
fn is(text: &str, range: &str, form: Form, comment: &str) {
    assert_eq!(read(text), Ok(Some((range.to_owned(), form, comment.to_owned()))), "{text:?}");
}

#[test]
fn plain_lists_and_netsets() {
    let one = "192.0.2.1-192.0.2.1";
    let net = "198.51.100.0-198.51.100.255";
    for (text, range, comment) in [
        ("192.0.2.1", one, ""),
        ("  192.0.2.1\r", one, ""),
        ("198.51.100.0/24", net, ""),
        ("198.51.100.7/24", net, ""),
        ("198.51.100.0/255.255.255.0", net, ""),
        ("198.51.100.0/24 ; EX4711", net, "EX4711"),
        ("192.0.2.1 # seen on 2026-01-01", one, "seen on 2026-01-01"),
        ("192.0.2.1 # with 203.0.113.1-203.0.113.9", one, "with 203.0.113.1-203.0.113.9"),
        ("192.0.2.1\tscanner", one, "scanner"),
        ("192.0.2.1:443", one, ""),
        ("192.0.2.1|443", one, ""),
        ("2001:db8::/32", "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("[2001:db8::1]:443", "2001:db8::1-2001:db8::1", ""),
        ("::ffff:192.0.2.1", one, ""),
        ("::ffff:198.51.100.0/120", net, ""),
    ] {
        is(text, range, Form::Plain, comment);
    }
    for text in ["", " \r", "# 192.0.2.1", "; 192.0.2.1", "// 192.0.2.1", "#\t"] {
        assert_eq!(read(text), Ok(None), "{text:?}");
    }
}

#[test]
fn what_is_no_address_is_said() {
    for (text, says) in [
        ("192.0.2", "\"192.0.2\" is no address, prefix or range"),
        ("192.0.2.256", "is no address"),
        ("192.0.2.1/33", "is no address"),
        ("192.0.2.1/", "is no address"),
        ("192.0.2.1/+8", "is no address"),
        ("192.0.2.0/255.0.255.0", "is no address"),
        ("2001:db8::/129", "is no address"),
        ("010.0.0.1", "is no address"),
        ("3221225985", "is no address"),
        ("192.0.2.1:70000", "is no address"),
        ("example.org", "\"example.org\""),
        ("a,b,c", "no column of \"a,b,c\""),
        ("1 | name | 2", "no column"),
        ("{\"cidr\":\"192.0.2.0/24\"", "is no JSON: EOF"),
        ("{\"other\":\"192.0.2.0/24\"}", "has none of cidr"),
        ("{\"cidr\":\"192.0.2\"}", "cidr: \"192.0.2\" is no address"),
        ("203.0.113.9-203.0.113.1", "is no address"),
        ("<html>", "\"<html>\" is no"),
        ("\u{1b}[2J", "\"\\u{1b}[2J\" is no"),
    ] {
        let wrong = read(text).unwrap_err();
        assert!(wrong.contains(says), "{text}: {wrong}");
    }
    let long = read(&"x".repeat(1000)).unwrap_err();
    assert!(long.len() < 100, "{long}");
}

#[test]
fn json_lines() {
    is(
        r#"{"cidr":"198.51.100.0/24","sblid":"EX4711","rir":"example"}"#,
        "198.51.100.0-198.51.100.255",
        Form::Json,
        "EX4711",
    );
    is(
        r#"{"cidr":"2001:db8::\/32","sblid":"EX2"}"#,
        "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        Form::Json,
        "EX2",
    );
    is(r#"{"ioc":"192.0.2.1:443","malware":"Example"}"#, "192.0.2.1-192.0.2.1", Form::Json, "Example");
    for text in [
        r#"{"type":"metadata","timestamp":1791060242,"size":103249,"records":1692}"#,
        r#"{"asn":64496,"rir":"example","domain":"example.org","cc":"ZZ","asname":"EXAMPLE"}"#,
        r#"{"ioc_type":"domain","ioc_value":"example.org"}"#,
    ] {
        assert_eq!(read(text), Ok(None), "{text}");
    }
}

#[test]
fn columns_of_abuse_ch() {
    let row = r#""2021-01-17 07:30:05","192.0.2.205","443","offline","2021-08-18","Example""#;
    is(row, "192.0.2.205-192.0.2.205", Form::Csv, "Example");
    is(&format!("{row}\r"), "192.0.2.205-192.0.2.205", Form::Csv, "Example");
    let header = r#""first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware""#;
    assert_eq!(line(header, true), Ok(Item::Header));
    assert!(line(header, false).is_err(), "the names of columns come first");
    is(
        r#""2026-01-01 00:00:00", "1234", "192.0.2.9:8080", "ip:port", "botnet_cc", "win.example", "None", "Example", "75""#,
        "192.0.2.9-192.0.2.9",
        Form::Csv,
        "75",
    );
    for kind in ["domain", "url", "sha256_hash"] {
        let row =
            format!(r#""2026-01-01 00:00:00", "1234", "http://example.org/a,b", "{kind}", "botnet_cc""#);
        assert_eq!(read(&row), Ok(None), "{row}");
    }
    is("192.0.2.1,scanner", "192.0.2.1-192.0.2.1", Form::Csv, "scanner");
    is("scanner,192.0.2.1", "192.0.2.1-192.0.2.1", Form::Csv, "");
}

#[test]
fn ranges_and_blocks() {
    let range = "8.0.0.0-8.0.0.255";
    is("8.0.0.0 - 8.0.0.255", range, Form::Range, "");
    is("8.0.0.0-8.0.0.255", range, Form::Range, "");
    is("008.000.000.000 - 008.000.000.255 , 100 , Some Org", range, Form::Range, "Some Org");
    is("Org: with-dash:8.0.0.0-8.0.0.255", range, Form::Range, "Org: with-dash");
    is("2001:db8::1-2001:db8::f", "2001:db8::1-2001:db8::f", Form::Range, "");
    is(
        "192.0.2.0\t192.0.2.255\t24\t3456\tEXAMPLE-NET\tZZ\tabuse@example.org",
        "192.0.2.0-192.0.2.255",
        Form::Block,
        "EXAMPLE-NET",
    );
    assert_eq!(line("Start\tEnd\tNetmask\tAttacks\tName\tCountry\temail", true), Ok(Item::Header));
    is(
        "64496  |  EXAMPLE  |  192.0.2.7  |  2026-01-01 00:00:00  |  sshpwauth",
        "192.0.2.7-192.0.2.7",
        Form::Bars,
        "sshpwauth",
    );
}

proptest! {
    #[test]
    fn whatever_a_line_holds_it_is_read(text in "\\PC{0,80}") {
        if let Ok(Item::Range(range, ..)) = line(&text, true) {
            prop_assert!(range.first <= range.last && range.first.is_ipv4() == range.last.is_ipv4());
        }
    }

    #[test]
    fn what_looks_like_a_line_is_read(text in r#"[0-9./:a-f\-,;#|"{}\[\]\t ]{0,60}"#) {
        if let Ok(Item::Range(range, ..)) = line(&text, true) {
            prop_assert!(range.first <= range.last && range.first.is_ipv4() == range.last.is_ipv4());
        }
    }
}
