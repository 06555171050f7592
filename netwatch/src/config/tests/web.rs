//! How alerts are served.

use super::*;

#[test]
fn alerts_are_served_to_this_machine_unless_said_otherwise() {
    let default = WebSettings { listen: Some("127.0.0.1:8080".parse().unwrap()), ..WebSettings::default() };
    assert_eq!(with_file("", "").unwrap().web, default);
    assert_eq!(with_file("--listen none", "").unwrap().web.listen, None);
    let text = "[web]\nlisten = '0.0.0.0:443'\ntoken_file = 'token'\nhosts = ['A.example.org', '::1']\n\
                tls_cert = '/etc/cert.pem'\ntls_key = 'key.pem'";
    let all = WebSettings {
        listen: Some("0.0.0.0:443".parse().unwrap()),
        is_listen_said: true,
        token_file: Some("token".into()),
        hosts: vec!["a.example.org".into(), "::1".into()],
        tls_cert: Some("/etc/cert.pem".into()),
        tls_key: Some("key.pem".into()),
    };
    assert_eq!(with_file("", text).unwrap().web, all);
    let typed = WebSettings { listen: Some("[::1]:0".parse().unwrap()), ..all };
    assert_eq!(with_file("--listen [::1]:0", text).unwrap().web, typed);
}

#[test]
fn what_others_could_reach_without_a_token_is_refused() {
    for (options, text, says) in [
        (
            "--listen 0.0.0.0:80",
            "",
            "--listen: 0.0.0.0:80 can be reached from other machines, so requests must bear",
        ),
        ("--listen [::]:80", "[web]\ntoken_file = ''", "name its file as token_file below [web]"),
        ("", "[web]\nlisten = '192.0.2.1:80'", "test.toml:2:1: listen: 192.0.2.1:80 can be reached"),
        ("--listen 8080", "", "--listen: \"8080\" is no address with a port; write it like 127.0.0.1:8080"),
        ("", "web = 3", "1:7: web: write [web]"),
        ("", "[web]\nlisten = 'localhost:80'", "2:10: listen: \"localhost:80\" is no address"),
        ("", "[web]\ntls_cert = 'a'", "2:1: tls_cert: is of no use without tls_key"),
        ("", "[web]\ntls_key = 'a'", "2:1: tls_key: is of no use without tls_cert"),
        ("", "[web]\nhosts = ['a:80']", "hosts: \"a:80\" is no name of a host"),
        ("", "[web]\nhosts = ['a..b']", "hosts: \"a..b\" is no name of a host"),
        ("", "[web]\ntoken = 'secret'", "unknown key \"token\"; there are listen, token_file"),
    ] {
        let error = with_file(options, text).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
    for options in ["--listen 127.0.0.5:80", "--listen [::1]:80", "--listen [::ffff:127.0.0.1]:80"] {
        with_file(options, "").unwrap();
    }
}
