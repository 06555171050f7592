//! Live streams: what comes, what comes again, what is missing, and how they end.

use std::io::{BufRead as _, BufReader};

use super::*;
use crate::web::counts::value;
use crate::web::limits::RING;

/// A stream as a client reads it.
struct Listener(BufReader<TcpStream>);

/// An event: type, identifier and data, as far as they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Event {
    event: String,
    id: String,
    data: String,
}

impl Listener {
    fn new(stage: &Stage, query: &str, headers: &str) -> Self {
        let mut stream = stage.connect();
        let request = format!("GET /api/v1/stream{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        Self(lines)
    }

    /// A line without what chunks put around it; none at the end.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            // Lengths of chunks, and their ends, have a carriage return that events have not.
            if !line.ends_with("\r\n") {
                return Some(line.trim_end_matches('\n').to_owned());
            }
        }
    }

    /// The next event, or a bare identifier; comments are passed over.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", text)) => event.event = text.to_owned(),
                Some(("id", text)) => event.id = text.to_owned(),
                Some(("data", text)) => event.data = text.to_owned(),
                _ if line.is_empty() && event != Event::default() => return Some(event),
                _ => {}
            }
        }
    }

    fn alert(&mut self) -> Event {
        loop {
            let event = self.next().expect("the stream ended");
            if event.event == "alert" {
                return event;
            }
        }
    }
}

const RUN: &str = "6a20b3a6-1f4c";

#[test]
fn alerts_and_states_come_as_they_happen() {
    let stage = Stage::new();
    stage.publish();
    until("the state is known", || stage.get("/readyz").status == 200);
    let mut listener = Listener::new(&stage, "", "");
    let hello = listener.next().unwrap();
    assert_eq!((hello.id, hello.event), (format!("{RUN}-0"), String::new()));
    // Who comes in between two slots gets the last state at once.
    let state = listener.next().unwrap();
    assert_eq!(state.event, "stats");
    assert!(state.data.contains("\"packets_per_s\":100.0") && state.data.contains("\"open\":3"), "{state:?}");
    stage.tell(1, Severity::Low);
    let alert = listener.alert();
    assert_eq!(alert.id, format!("{RUN}-1"));
    let data: serde_json::Value = serde_json::from_str(&alert.data).unwrap();
    assert_eq!((&data["step"], &data["incident"]["rule"]), (&"open".into(), &"scan.vertical".into()));
    // What an attacker wrote begins no event of its own.
    assert!(data["incident"]["detail"]["payload"].as_str().unwrap().contains("\ndata: x"));
    stage.publish();
    assert_eq!(listener.next().unwrap().event, "stats");
}

#[test]
fn a_topic_and_a_weight_can_be_asked_for() {
    let stage = Stage::new();
    let mut alerts = Listener::new(&stage, "?topics=alerts&min_severity=high", "");
    let mut states = Listener::new(&stage, "?topics=stats", "");
    alerts.next().unwrap();
    states.next().unwrap();
    stage.tell(1, Severity::Medium);
    stage.tell(2, Severity::High);
    stage.publish();
    assert_eq!(alerts.next().unwrap().id, format!("{RUN}-2"));
    assert_eq!(states.next().unwrap().event, "stats");
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let stage = Stage::new();
    for number in 1..=10 {
        stage.tell(number, Severity::Low);
    }
    until("all is taken", || stage.web.shared.hub.latest() == 10);
    let resume = |id: &str| {
        let mut listener = Listener::new(&stage, "?topics=alerts", &format!("Last-Event-ID: {id}\r\n"));
        (listener.next().unwrap(), listener)
    };
    let (first, mut listener) = resume(&format!("{RUN}-7"));
    assert_eq!(first.id, format!("{RUN}-8"));
    assert_eq!((listener.alert().id, listener.alert().id), (format!("{RUN}-9"), format!("{RUN}-10")));
    // Of another run, from the future, or nonsense: a gap of unknown size, and all that there is.
    for id in
        ["another-3", "6a20b3a6-1f4c-11", "x", "6a20b3a6-1f4c--1", "6a20b3a6-1f4c-99999999999999999999999"]
    {
        let (gap, mut listener) = resume(id);
        assert_eq!((&*gap.event, &*gap.data), ("gap", "{\"missed\":null}"), "{id}");
        assert_eq!(listener.alert().id, format!("{RUN}-1"), "{id}");
    }
}

#[test]
fn what_the_ring_forgot_is_said_to_be_missing() {
    let stage = Stage::new();
    let (ring, more) = (RING as u64, 100);
    for number in 1..=ring + more {
        // The queue into the server has a bound too.
        until("it is taken", || stage.web.shared.hub.latest() + 1_000 > number);
        stage.tell(number, Severity::Low);
    }
    until("all is taken", || stage.web.shared.hub.latest() == ring + more);
    let mut listener = Listener::new(&stage, "?topics=alerts", &format!("Last-Event-ID: {RUN}-40\r\n"));
    let gap = listener.next().unwrap();
    assert_eq!((&*gap.event, &*gap.data, gap.id), ("gap", "{\"missed\":60}", format!("{RUN}-100")));
    for number in 101..=ring + more {
        assert_eq!(listener.next().unwrap().id, format!("{RUN}-{number}"));
    }
    // What never came here is missing as well.
    stage.tell(ring + more + 6, Severity::Low);
    assert_eq!(listener.next().unwrap().data, "{\"missed\":5}");
    assert_eq!(listener.next().unwrap().event, "alert");
    assert_eq!(value(&stage.web.shared.counts.missed), 65);
}

/// A step whose sentence is long.
fn long(number: u64) -> Told {
    let short = told(number, Severity::Low);
    let incident = Incident { text: "x".repeat(1_000), ..(**short.incident.as_ref().unwrap()).clone() };
    Told { incident: Some(Arc::new(incident)), ..short }
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_learns_what_it_missed() {
    let stage =
        Stage::with(&on_loopback(), Known::default(), Patience { stall: LONG * 10, ..Patience::default() });
    let mut slow = Listener::new(&stage, "?topics=alerts", "");
    let mut quick = Listener::new(&stage, "?topics=alerts", "");
    slow.next().unwrap();
    quick.next().unwrap();
    // More than the kernel's buffers and the ring hold together.
    let all = 12_000;
    for number in 1..=all {
        let long = long(number);
        stage.web.told(&Arc::new(long));
        assert_eq!(quick.next().unwrap().id, format!("{RUN}-{number}"));
    }
    assert_eq!(value(&stage.web.shared.counts.told_dropped), 0);
    let (mut seen, mut missed, mut last) = (0, 0, 0);
    while last < all {
        let event = slow.next().unwrap();
        last = event.id.rsplit('-').next().unwrap().parse().unwrap();
        match &*event.event {
            "gap" => {
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
                missed += data["missed"].as_u64().unwrap();
            }
            _ => seen += 1,
        }
    }
    assert_eq!(seen + missed, all, "each was seen, or is known to be missing");
    assert!(missed > 0);
}

#[test]
fn a_client_that_takes_nothing_for_long_is_let_go() {
    let patience = Patience { stall: Duration::from_millis(300), ..Patience::default() };
    let stage = Stage::with(&on_loopback(), Known::default(), patience);
    let _slow = Listener::new(&stage, "?topics=alerts", "");
    let mut number = 0;
    until("it is let go", || {
        for _ in 0..500 {
            number += 1;
            let long = long(number);
            stage.web.told(&Arc::new(long));
        }
        stage.web.shared.counts.troubles(counts::Trouble::Stalled) == 1
    });
    until("its seat is free", || value(&stage.web.shared.counts.streams) == 0);
}

#[test]
fn a_silent_stream_shows_that_it_lives() {
    let patience = Patience { silence: Duration::from_millis(20), ..Patience::default() };
    let stage = Stage::with(&on_loopback(), Known::default(), patience);
    let mut listener = Listener::new(&stage, "", "");
    listener.next().unwrap();
    for _ in 0..2 {
        let alive = listener.next().unwrap();
        assert_eq!((&*alive.event, &*alive.data, &*alive.id), ("alive", "{}", ""));
    }
}

#[test]
fn a_stream_that_is_told_nothing_of_all_that_happens_is_no_silence_without_end() {
    let patience = Patience { silence: Duration::from_millis(300), ..Patience::default() };
    let stage = Stage::with(&on_loopback(), Known::default(), patience);
    let mut listener = Listener::new(&stage, "?topics=alerts&min_severity=critical", "");
    let heard = thread::spawn(move || (listener.next().unwrap(), listener.next().unwrap()));
    // Far more often than a sign of life is due.
    let mut number = 0;
    until("there is a sign of life", || {
        number += 1;
        stage.tell(number, Severity::Low);
        heard.is_finished()
    });
    assert_eq!(heard.join().unwrap().1.event, "alive");
}

#[test]
fn open_streams_end_with_the_server() {
    let stage = Stage::new();
    let mut listeners: Vec<_> = (0..50).map(|_| Listener::new(&stage, "", "")).collect();
    let idle = stage.connect();
    stage.tell(1, Severity::Low);
    let Stage { web, .. } = stage;
    let address = web.address;
    web.stop();
    for listener in &mut listeners {
        while listener.next().is_some() {}
    }
    let mut rest = Vec::new();
    assert_eq!((&idle).read_to_end(&mut rest).unwrap_or(0), 0);
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn telling_never_waits() {
    let stage = Stage::new();
    // Faster than anybody takes it: nothing waits, and what there was no room for is counted.
    let all = 20_000;
    for number in 1..=all {
        stage.tell(number, Severity::Low);
    }
    let shared = &stage.web.shared;
    let taken = || value(&shared.counts.told_taken);
    until("all is taken or dropped", || taken() + value(&shared.counts.told_dropped) == all);
}
