//! A webhook: signed, tried again where that makes sense, and nothing followed.

use std::fs;
use std::path::PathBuf;

use netwatch::config::{OutputTarget, UrlSource, WebhookTarget};
use netwatch::sinks::webhook::signature;
use serde_json::Value;

use crate::common::{Folder, Output, Receiver as _, down_and_back, free_port, texts, too_long, until};
use crate::server::{Answer, Book, Request, Server};

fn target(port: u16, secret_file: Option<PathBuf>) -> OutputTarget {
    let url = format!("http://127.0.0.1:{port}/hook?token=hush");
    OutputTarget::Webhook(WebhookTarget { url: UrlSource::Said(url), secret_file, ca_file: None })
}

/// The texts of all requests that were answered with 200.
fn taken(requests: &[Request]) -> Vec<String> {
    let mut texts = Vec::new();
    for request in requests.iter().filter(|request| request.answer == 200) {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            texts.push(alert["text"].as_str().unwrap().to_owned());
        }
    }
    texts
}

#[test]
fn a_webhook_that_comes_and_goes() {
    let (port, book) = (free_port(), Book::default());
    down_and_back(target(port, None), || Server::start(port, &book), || taken(&book.requests()));
    let (port, book) = (free_port(), Book::default());
    too_long(target(port, None), || Server::start(port, &book), || taken(&book.requests()));
}

#[test]
fn what_is_sent_is_signed_and_says_who_sends_it() {
    let folder = Folder::new("secret");
    let secret = folder.path().join("secret");
    fs::write(&secret, "first\n").unwrap();
    let (port, book) = (free_port(), Book::default());
    let server = Server::start(port, &book);
    let mut output = Output::start(target(port, Some(secret.clone())), 1_000);
    output.offer(1..=1);
    until("it arrives", || book.requests().len() == 1);
    // Another secret counts from the moment that it is read.
    fs::write(&secret, "second").unwrap();
    output.0.reopen();
    output.offer(2..=2);
    until("the second arrives", || book.requests().len() == 2);
    output.finish(2);
    server.stop();
    for (request, secret) in book.requests().iter().zip(["first", "second"]) {
        assert_eq!(request.line, "POST /hook?token=hush HTTP/1.1");
        let header = |name: &str| request.headers.get(name).unwrap();
        let expect = signature(secret.as_bytes(), header("x-netwatch-timestamp"), &request.body);
        assert_eq!(*header("x-netwatch-signature"), expect);
        assert_eq!(header("content-type"), "application/json");
        assert!(header("user-agent").starts_with("netwatch/"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["version"], &body["host"]), (&1.into(), &"edge-17".into()));
        assert_eq!(body["alerts"][0]["step"], "open");
    }
    assert_eq!(book.requests()[0].headers["idempotency-key"], "7f3a-1-1");
}

#[test]
fn what_may_be_taken_later_is_sent_again_as_it_was() {
    let (port, book) = (free_port(), Book::default());
    let redirect = "Location: http://127.0.0.1:1/elsewhere\r\n";
    // One that hangs is given ten seconds.
    book.answer([
        Answer::Status(500, ""),
        Answer::Status(429, "Retry-After: 1\r\n"),
        Answer::Status(302, redirect),
        Answer::Nothing,
        Answer::Hang,
    ]);
    let server = Server::start(port, &book);
    let mut output = Output::start(target(port, None), 1_000);
    output.offer(1..=1);
    until("it is tried", || !book.requests().is_empty());
    output.offer(2..=250);
    until("all arrives", || taken(&book.requests()).len() == 250);
    let state = output.state();
    assert_eq!((state.failures, state.dropped), (5, 0));
    output.finish(250);
    server.stop();
    let requests = book.requests();
    assert_eq!(taken(&requests), texts(1..=250));
    // The first six are the same request, whatever came meanwhile; then there are a hundred at most in each.
    for request in &requests[1..6] {
        assert_eq!((&request.body, &request.line), (&requests[0].body, &requests[0].line));
        assert_eq!(request.headers["idempotency-key"], requests[0].headers["idempotency-key"]);
    }
    let counts: Vec<_> =
        requests[6..].iter().map(|request| taken(core::slice::from_ref(request)).len()).collect();
    assert!(counts.iter().all(|count| *count <= 100) && counts.len() >= 3, "{counts:?}");
}

#[test]
fn what_somebody_can_put_right_is_waited_for() {
    for (status, says) in [
        (401, "check the token or the secret"),
        (403, "check the token or the secret"),
        (404, "check the URL"),
        (407, "a proxy answers"),
    ] {
        let (port, book) = (free_port(), Book::default());
        book.answer((0..1_000).map(|_| Answer::Status(status, "")));
        let server = Server::start(port, &book);
        let mut output = Output::start(target(port, None), 1_000);
        output.offer(1..=10);
        output.until_trouble();
        let state = output.state();
        assert_eq!(state.dropped, 0);
        let trouble = state.trouble.unwrap();
        assert!(trouble.contains(&status.to_string()) && trouble.contains(says), "{trouble}");
        book.answers.lock().unwrap().clear();
        output.finish(10);
        server.stop();
        assert_eq!(taken(&book.requests()), texts(1..=10));
    }
}

#[test]
fn a_secret_with_a_line_break_in_it_is_not_taken() {
    let folder = Folder::new("broken");
    let secret = folder.path().join("secret");
    fs::write(&secret, "first\n").unwrap();
    let (port, book) = (free_port(), Book::default());
    let server = Server::start(port, &book);
    let mut output = Output::start(target(port, Some(secret.clone())), 1_000);
    // The one that is known already stays.
    fs::write(&secret, "hush\nhush\n").unwrap();
    output.0.reopen();
    output.offer(1..=1);
    output.finish(1);
    server.stop();
    let request = &book.requests()[0];
    let expect = signature(b"first", &request.headers["x-netwatch-timestamp"], &request.body);
    assert_eq!(request.headers["x-netwatch-signature"], expect);
}

#[test]
fn what_is_refused_for_good_is_dropped_and_the_rest_is_not() {
    let (port, book) = (free_port(), Book::default());
    book.answer([Answer::Status(503, ""), Answer::Status(400, "")]);
    let server = Server::start(port, &book);
    let mut output = Output::start(target(port, None), 1_000);
    output.offer(1..=1);
    until("it is dropped", || output.state().dropped == 1);
    let trouble = output.state().trouble.unwrap();
    assert_eq!(trouble, format!("http://127.0.0.1:{port} answers 400: no"));
    assert!(!trouble.contains("hush"));
    output.offer(2..=10);
    until("the rest arrives", || output.state().delivered == 9);
    let state = output.0.finish(crate::common::PATIENCE).remove(0);
    assert_eq!((state.delivered, state.dropped, state.trouble), (9, 1, None));
    server.stop();
}

#[test]
fn a_url_that_is_a_secret_is_in_a_file() {
    let folder = Folder::new("url");
    let file = folder.path().join("url");
    let (port, book) = (free_port(), Book::default());
    fs::write(&file, format!("http://127.0.0.1:{}/hush\n", free_port())).unwrap();
    let url = UrlSource::File(file.clone());
    let target = WebhookTarget { url, secret_file: None, ca_file: None };
    let mut output = Output::start(OutputTarget::Webhook(target), 10);
    output.offer(1..=1);
    output.until_trouble();
    assert!(!output.state().trouble.unwrap().contains("hush"));
    // It has moved; what waits goes there.
    fs::write(&file, format!("http://127.0.0.1:{port}/moved\n")).unwrap();
    let server = Server::start(port, &book);
    output.0.reopen();
    output.finish(1);
    server.stop();
    assert_eq!(book.requests()[0].line, "POST /moved HTTP/1.1");
}

#[test]
fn a_secret_that_is_not_there_is_an_error_at_the_start() {
    let folder = Folder::new("nosecret");
    let refused = |file: PathBuf| {
        let settings = netwatch::config::OutputSettings {
            name: "hook".into(),
            min_severity: netwatch::analysis::Severity::Low,
            queue: 10,
            target: target(1, Some(file)),
        };
        netwatch::outputs::Outputs::start(&[settings], crate::common::run()).unwrap_err().to_string()
    };
    let missing = refused(folder.path().join("missing"));
    assert!(missing.starts_with("output hook: ") && missing.contains("No such file"), "{missing}");
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::write(folder.path().join("two"), "hush\nhush\n").unwrap();
    let two = refused(folder.path().join("two"));
    assert!(two.contains("has a line break or another control character") && !two.contains("hush"), "{two}");
    let empty = refused(folder.path().join("empty"));
    assert!(empty.contains("is empty") && !empty.contains("hush"), "{empty}");
}
