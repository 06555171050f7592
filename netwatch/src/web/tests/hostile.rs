//! Requests that nobody sends who means well, and what each gets. docs/api.md has the same table.

use super::*;

const TOKEN: &str = "correct-horse-battery-staple";

/// A server with a token, that knows one more name.
fn guarded(patience: Patience) -> (Stage, std::path::PathBuf) {
    let folder = folder("hostile");
    let file = folder.join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let settings =
        WebSettings { token_file: Some(file), hosts: vec!["watch.example.org".into()], ..on_loopback() };
    (Stage::with(&settings, Known::default(), patience), folder)
}

/// What a request gets: a status, or 0 for a connection that ends without a word.
const TABLE: &str = include_str!("hostile.txt");

#[test]
fn each_hostile_request_gets_what_the_table_says() {
    let (stage, folder) = guarded(Patience { head: Duration::from_millis(500), ..Patience::default() });
    let good = format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n");
    let fill = |text: &str| {
        let text = text.replace("{good}", &good).replace("{token}", TOKEN);
        let text =
            text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").replace("\\x16", "\x16");
        let text = text.replace("{long}", &"x".repeat(3_000)).replace("{huge}", &"x".repeat(40_000));
        text.replace("{many}", &"x: y\r\n".repeat(100)).replace("{mega}", &"x".repeat(2 << 20))
    };
    let (mut count, mut wrong) = (0, Vec::new());
    for line in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut columns = line.splitn(3, " | ");
        let (status, what, request) =
            (columns.next().unwrap().trim(), columns.next().unwrap(), columns.next().unwrap());
        let reply = stage.send(fill(request).as_bytes());
        let statuses: Vec<_> =
            reply.match_indices("HTTP/1.").map(|(at, _)| reply[at + 9..at + 12].to_owned()).collect();
        let expect: Vec<_> = status.split_whitespace().filter(|status| *status != "-").collect();
        if statuses != expect {
            let first = reply.lines().next().unwrap_or_default();
            wrong.push(format!("{what}: {expect:?} expected, got {statuses:?}: {first}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 40, "{count}");
    // And it is as well as before.
    let reply = Reply::read(&stage.send(format!("GET /alerts HTTP/1.1\r\n{good}\r\n").as_bytes()));
    assert_eq!((reply.status, &*reply.body), (200, "[]"));
    let counts = &stage.web.shared.counts;
    for trouble in
        [counts::Trouble::Token, counts::Trouble::Host, counts::Trouble::NoHttp, counts::Trouble::Slow]
    {
        assert!(counts.troubles(trouble) > 0, "{}", trouble.name());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_table_is_in_the_documentation() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md")).unwrap();
    for line in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut columns = line.splitn(3, " | ");
        let (status, what) = (columns.next().unwrap().trim(), columns.next().unwrap());
        let gets = match status {
            "-" => "the connection ends".to_owned(),
            statuses => statuses.split_whitespace().collect::<Vec<_>>().join(", then "),
        };
        assert!(text.contains(&format!("| {what} | {gets} |")), "docs/api.md lacks: | {what} | {gets} |");
    }
}

#[test]
fn a_refused_request_says_why_and_never_the_token() {
    let (stage, folder) = guarded(Patience::default());
    let bare = stage.get("/alerts");
    assert_eq!((bare.status, bare.header("www-authenticate")), (401, Some("bearer realm=\"netwatch\"")));
    assert!(bare.body.contains("web.token_file") && !bare.body.contains(TOKEN));
    assert_eq!(stage.get("/livez").status, 200);
    assert_eq!(stage.get("/readyz").status, 503);
    for path in ["/metrics", "/", "/nothing", "/api/v1/openapi.json", "/livez/", "/livez%2f"] {
        assert_eq!(stage.get(path).status, 401, "{path}");
        let right = stage.get_with(path, &format!("Authorization: Bearer {TOKEN}\r\n"));
        assert_ne!(right.status, 401, "{path}");
    }
    assert!(!format!("{:?}", stage.web).contains(TOKEN));
    let posted = stage.send(
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(Reply::read(&posted).header("allow"), Some("get, head"));

    // A new token counts after SIGHUP, and one that is not right does not.
    let with = |token: &str| stage.get_with("/", &format!("Authorization: Bearer {token}\r\n")).status;
    std::fs::write(folder.join("token"), "another-token-of-length").unwrap();
    assert_eq!((with(TOKEN), with("another-token-of-length")), (200, 401));
    stage.web.reload();
    until("the new one is known", || with("another-token-of-length") == 200);
    assert_eq!(with(TOKEN), 401);
    std::fs::write(folder.join("token"), "short").unwrap();
    stage.web.reload();
    for _ in 0..20 {
        assert_eq!((with("another-token-of-length"), with("short")), (200, 401));
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_thousand_requests_in_one_go_are_all_answered() {
    let stage = Stage::new();
    let mut requests = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(999);
    requests.push_str("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = stage.connect();
    let mut writer = stream.try_clone().unwrap();
    let sent = thread::spawn(move || writer.write_all(requests.as_bytes()));
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    sent.join().unwrap().unwrap();
    assert_eq!(reply.matches("HTTP/1.1 200").count(), 1_000);
}

#[test]
fn connections_that_ask_nothing_end() {
    let patience = Patience { head: Duration::from_millis(200), ..Patience::default() };
    let stage = Stage::with(&on_loopback(), Known::default(), patience);
    // Nothing at all, a part of a request, and nothing after the first.
    for request in ["", "GET / HT", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let reply = stage.send(request.as_bytes());
        assert_eq!(reply.contains("200 OK"), request.contains("livez"), "{reply}");
    }
    // One letter at a time, for longer than a head may take.
    let mut stream = stage.connect();
    until("it ends", || {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"x").is_err()
    });
    until("all are gone", || counts::value(&stage.web.shared.counts.connections) == 0);
}
