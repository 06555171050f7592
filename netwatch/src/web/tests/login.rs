//! Logging in with a browser, and trying to.

use super::*;
use crate::web::counts::value;

const TOKEN: &str = "correct-horse-battery-staple";

fn with_token(name: &str) -> (Stage, std::path::PathBuf) {
    let folder = folder(name);
    let file = folder.join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let settings = WebSettings { token_file: Some(file), ..on_loopback() };
    (Stage::with(&settings, Known::default(), Patience::default()), folder)
}

fn post(stage: &Stage, path: &str, headers: &str, body: &str) -> Reply {
    let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", stage.web.address);
    let kind =
        format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len());
    Reply::read(&stage.send(format!("{head}{kind}Accept: text/html\r\n{headers}\r\n{body}").as_bytes()))
}

/// The cookie that an answer sets, as a header.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap();
    assert!(set.contains("; httponly; samesite=strict; path=/") && !set.contains("secure"), "{set}");
    format!("Cookie: {}\r\n", set.split(';').next().unwrap())
}

#[test]
fn a_browser_logs_in_comes_back_and_logs_out() {
    let (stage, folder) = with_token("login");
    let html = "Accept: text/html\r\n";
    let led = stage.get_with("/incidents?q=a%20b&state=open", html);
    assert_eq!(
        (led.status, led.header("location")),
        (303, Some("/login?to=/incidents%3fq%3da%2520b%26state%3dopen"))
    );
    assert_eq!(stage.get_with("/incidents", "").status, 401, "programs are told");
    let wrong = format!("{html}Authorization: Bearer wrong\r\n");
    assert_eq!(stage.get_with("/incidents", &wrong).status, 401);
    let form = stage.get_with("/login?to=/incidents%3Fq%3Da%2520b%26state%3Dopen", html);
    assert_eq!(form.status, 200);
    assert!(form.body.contains("name=\"to\" value=\"/incidents?q=a%20b&amp;state=open\""), "{}", form.body);
    let style = form.body.split("href=\"/assets/style.css").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(stage.get(&format!("/assets/style.css{style}")).status, 200, "the form has a style");

    let refused = post(&stage, "/login", "", "token=wrong&to=/status");
    assert_eq!((refused.status, refused.header("set-cookie")), (403, None));
    assert!(refused.body.contains("That is not the token") && refused.body.contains("value=\"/status\""));
    let body = format!("token={TOKEN}&to=%2Fincidents%3Fq%3Da%2520b");
    let entered = post(&stage, "/login", "", &body);
    assert_eq!((entered.status, entered.header("location")), (303, Some("/incidents?q=a%20b")));
    let cookie = cookie(&entered);
    for path in ["/", "/incidents", "/status", "/api/v1/incidents", "/metrics"] {
        assert_eq!(stage.get_with(path, &format!("{html}{cookie}")).status, 200, "{path}");
    }
    let mut stream = stage.connect();
    write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n").unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    // A page of somebody else's changes nothing, with whichever cookie.
    let other = format!("{cookie}Origin: http://attacker.example\r\n");
    assert_eq!(post(&stage, "/logout", &other, "").status, 403);
    assert_eq!(post(&stage, "/incidents/x/acknowledge", &other, "action=acknowledge").status, 403);
    assert_eq!(stage.web.shared.counts.troubles(counts::Trouble::Origin), 2);

    // A proxy that wants a name and a password changes nothing of that.
    let basic = "Authorization: Basic bmFtZTpwYXNz\r\n";
    assert_eq!(stage.get_with("/status", &format!("{html}{basic}{cookie}")).status, 200);
    assert_eq!(stage.get_with("/status", &format!("{html}{basic}")).status, 303);

    let out = post(&stage, "/logout", &cookie, "");
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    assert!(out.header("set-cookie").unwrap().contains("max-age=0"));
    stream.read_to_end(&mut Vec::new()).expect("who is logged out listens no longer");
    assert_eq!(stage.get_with("/status", &format!("{html}{cookie}")).status, 303);
    for (path, leads) in
        [("/incidents/a-1/acknowledge", "/login?to=/incidents/a-1"), ("/logout", "/login?to=/")]
    {
        let late = post(&stage, path, &cookie, "action=acknowledge");
        assert_eq!((late.status, late.header("location")), (303, Some(leads)), "{path}");
    }
    let program = post(&stage, "/api/v1/incidents/a-1/acknowledge", &cookie, "note=x");
    assert_eq!(program.status, 401);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_login_leads_nowhere_else() {
    let (stage, folder) = with_token("redirect");
    for to in
        ["//attacker.example", "https://attacker.example", "/%5Cattacker.example", "%2F%0d%0aSet-Cookie:x"]
    {
        let entered = post(&stage, "/login", "", &format!("token={TOKEN}&to={to}"));
        assert_eq!((entered.status, entered.header("location")), (303, Some("/")), "{to}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn who_guesses_has_to_wait() {
    let (stage, folder) = with_token("guesses");
    for _ in 0..5 {
        assert_eq!(post(&stage, "/login", "", "token=wrong").status, 403);
    }
    let late = post(&stage, "/login", "", &format!("token={TOKEN}"));
    assert_eq!(late.status, 429, "even with the right one");
    let wait: u64 = late.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(stage.web.shared.counts.troubles(counts::Trouble::Login), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn who_holds_guesses_back_and_sends_them_at_once_has_to_wait_too() {
    let (stage, folder) = with_token("at-once");
    let body = "token=wrong";
    let mut held: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = stage.connect();
            let head =
                format!("POST /login HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", stage.web.address);
            let kind = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\n";
            stream.write_all(format!("{head}{kind}").as_bytes()).unwrap();
            stream
        })
        .collect();
    // All of them wait for their bodies now.
    until("they are there", || value(&stage.web.shared.counts.connections) == 20);
    held.iter_mut().for_each(|stream| stream.write_all(body.as_bytes()).unwrap());
    let statuses: Vec<_> = held
        .iter_mut()
        .map(|stream| {
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            Reply::read(&reply).status
        })
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 15, "{statuses:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_new_token_ends_all_sessions() {
    let (stage, folder) = with_token("sessions");
    let cookie = cookie(&post(&stage, "/login", "", &format!("token={TOKEN}")));
    let status = || stage.get_with("/alerts", &cookie).status;
    let mut stream = stage.connect();
    let token = format!("Authorization: Bearer {TOKEN}");
    write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n{token}\r\n\r\n").unwrap();
    stage.web.reload();
    std::fs::write(folder.join("token"), "short").unwrap();
    stage.web.reload();
    for _ in 0..20 {
        assert_eq!(status(), 200, "the same token, and one that is not right, change nothing");
    }
    std::fs::write(folder.join("token"), "another-token-of-length").unwrap();
    stage.web.reload();
    until("it has ended", || status() == 401);
    stream.read_to_end(&mut Vec::new()).expect("streams end with the token that they were asked for with");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn where_no_token_is_needed_nobody_is_asked_for_one() {
    let stage = Stage::new();
    let reply = stage.get_with("/login?to=/rules", "Accept: text/html\r\n");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/rules")));
    assert_eq!(stage.get_with("/rules", "Accept: text/html\r\n").status, 200);
}

#[test]
fn a_proxy_may_write_a_host_of_its_own() {
    let settings = WebSettings { hosts: vec!["watch.example.org".into()], ..on_loopback() };
    let stage = Stage::with(&settings, Known::default(), Patience::default());
    let status = |headers: &str| post(&stage, "/logout", headers, "").status;
    let (site, origin) = ("Sec-Fetch-Site: same-origin\r\n", "Origin: https://watch.example.org\r\n");
    assert_eq!(status(&format!("{site}{origin}")), 303);
    assert_eq!(status(&format!("{site}Origin: https://Watch.example.org:8443\r\n")), 303);
    for refused in [
        origin.to_owned(),
        format!("Sec-Fetch-Site: none\r\n{origin}"),
        format!("Sec-Fetch-Site: same-site\r\n{origin}"),
        format!("{site}Sec-Fetch-Site: none\r\n{origin}"),
        // A name that somebody else makes lead here.
        format!("{site}Origin: https://attacker.example\r\n"),
        format!("{site}Origin: http://localhost:1\r\n"),
        format!("{site}Origin: https://watch.example.org@attacker.example\r\n"),
        format!("{site}{origin}Origin: https://attacker.example\r\n"),
    ] {
        assert_eq!(status(&refused), 403, "{refused}");
    }
}
