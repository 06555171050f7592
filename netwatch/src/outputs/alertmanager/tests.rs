use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

use super::*;
use crate::outputs::limits::ENDINGS;
use crate::outputs::worker::Worker;
use crate::report::{Life, Step};
use crate::sinks::tests::told::{run, told};

/// A receiver that a test plays: what it answers, and the alerts that it took, each with whether it goes on.
#[derive(Clone)]
struct Played {
    port: u16,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<(String, bool)>>>,
    is_over: Arc<AtomicBool>,
}

impl Played {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(AtomicU16::new(200));
        let played = Self { port, status, taken: Arc::default(), is_over: Arc::default() };
        let own = played.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if own.is_over.load(Ordering::Relaxed) {
                    return;
                }
                own.serve(stream.unwrap());
            }
        });
        played
    }

    fn serve(&self, mut stream: std::net::TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let status = self.status.load(Ordering::Relaxed);
        if status == 200 {
            let alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
            self.taken.lock().unwrap().extend(alerts.iter().map(|alert| {
                let ends_at: Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
                (alert["labels"]["incident"].as_str().unwrap().to_owned(), ends_at > Timestamp::now())
            }));
        }
        let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }

    fn alertmanager(&self, reminder: Duration) -> Alertmanager {
        let target = AlertmanagerTarget { urls: Vec::new(), bearer_token_file: None, ca_file: None };
        let url = format!("http://127.0.0.1:{}", self.port);
        Alertmanager { reminder, ..Alertmanager::new(&target, &url, &Arc::new(run())).unwrap() }
    }

    fn worker(&self, room: usize) -> Worker {
        let transport = Box::new(self.alertmanager(Duration::from_millis(20)));
        Worker::start("played", "alertmanager", room, transport).unwrap()
    }

    /// How often each that goes on was sent from now on, once `id` was sent three times.
    fn reminded(&self, id: &str) -> BTreeMap<String, usize> {
        self.taken.lock().unwrap().clear();
        until("it is reminded", || self.firing().get(id).is_some_and(|count| *count >= 3));
        self.firing()
    }

    fn firing(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (id, goes_on) in &*self.taken.lock().unwrap() {
            *counts.entry(id.clone()).or_default() += usize::from(*goes_on);
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    fn finish(self, worker: Worker) {
        worker.stop();
        let _ = worker.finish(Instant::now() + Duration::from_secs(60));
        self.is_over.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A step of an incident.
fn step(id: &str, step: Step) -> Arc<Told> {
    let mut told = told(1, step);
    let mut incident = Incident::clone(told.incident.as_ref().unwrap());
    incident.id = id.into();
    incident.opened_at = Time(Timestamp::now());
    let is_over = step == Step::Close;
    incident.state = if is_over { Life::Closed } else { Life::Open };
    incident.close_reason = is_over.then(|| "quiet".into());
    incident.closed_at = is_over.then(|| Time(Timestamp::now()));
    told.incident = Some(Arc::new(incident));
    Arc::new(told)
}

#[test]
fn nobody_is_reminded_of_what_ended_while_the_queue_was_full() {
    let played = Played::start();
    let mut worker = played.worker(1);
    for id in ["a", "b", "c"] {
        worker.offer(&step(id, Step::Open));
        until("it is taken", || worker.state().queued == 0);
    }
    assert_eq!(played.reminded("c").len(), 3);
    played.status.store(503, Ordering::Relaxed);
    // What waits is of one that the same dropped end ends: it must not begin it anew.
    worker.offer(&step("a", Step::Update));
    worker.offer(&step("a", Step::Close));
    worker.offer(&step("b", Step::Close));
    assert_eq!(worker.state().dropped, 2);
    until("it is down", || worker.state().trouble.is_some());
    played.status.store(200, Ordering::Relaxed);
    until("it is taken", || worker.state().queued == 0);
    // One of them may be under way already.
    played.reminded("c");
    assert_eq!(played.reminded("c").into_keys().collect::<Vec<_>>(), ["c"]);
    played.finish(worker);
}

#[test]
fn nobody_is_reminded_of_anything_where_too_many_ends_were_lost() {
    let played = Played::start();
    let mut worker = played.worker(1);
    worker.offer(&step("a", Step::Open));
    until("it is taken", || worker.state().queued == 0);
    played.status.store(503, Ordering::Relaxed);
    worker.offer(&step("b", Step::Open));
    (0..ENDINGS).for_each(|number| worker.offer(&step(&format!("x{number}"), Step::Close)));
    worker.offer(&step("a", Step::Close));
    played.status.store(200, Ordering::Relaxed);
    until("it is taken", || worker.state().queued == 0);
    // What is told again is known again.
    worker.offer(&step("c", Step::Update));
    played.reminded("c");
    assert_eq!(played.reminded("c").into_keys().collect::<Vec<_>>(), ["c"]);
    played.finish(worker);
}

#[test]
fn nobody_is_reminded_of_what_ended_and_was_refused() {
    let played = Played::start();
    let mut worker = played.worker(10);
    ["a", "b"].iter().for_each(|id| worker.offer(&step(id, Step::Open)));
    until("both are taken", || worker.state().queued == 0);
    played.status.store(400, Ordering::Relaxed);
    worker.offer(&step("a", Step::Close));
    until("it is refused", || worker.state().dropped == 1);
    played.status.store(200, Ordering::Relaxed);
    played.reminded("b");
    assert_eq!(played.reminded("b").into_keys().collect::<Vec<_>>(), ["b"]);
    played.finish(worker);
}

#[test]
fn a_token_that_no_header_can_have_is_an_error_and_the_old_one_stays() {
    let path = std::env::temp_dir().join(format!("netwatch-token-{}", std::process::id()));
    let target =
        AlertmanagerTarget { urls: Vec::new(), bearer_token_file: Some(path.clone()), ca_file: None };
    let open = || Alertmanager::new(&target, "http://127.0.0.1:1", &Arc::new(run()));
    for (wrong, says) in [("a\nb\n", "control character"), ("a b", "write the token alone"), ("", "is empty")]
    {
        std::fs::write(&path, wrong).unwrap();
        let why = open().err().unwrap();
        assert!(why.contains(says), "{why}");
        std::fs::write(&path, "right\n").unwrap();
        let mut alertmanager = open().unwrap();
        std::fs::write(&path, wrong).unwrap();
        assert!(alertmanager.reopen().is_err());
        assert_eq!(alertmanager.token.unwrap().bytes(), b"right");
    }
    std::fs::remove_file(&path).unwrap();
}
