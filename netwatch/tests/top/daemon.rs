//! A daemon that answers what tests want.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

#[derive(Default)]
struct State {
    answers: HashMap<String, String>,
    streams: Vec<TcpStream>,
    /// All connections, so that they end with the daemon.
    connections: Vec<TcpStream>,
    /// Heads of the requests for streams.
    followed: Vec<String>,
    token: Option<String>,
}

pub struct Daemon {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    is_over: Arc<AtomicBool>,
}

impl Daemon {
    /// One that answers as a healthy netwatch does.
    pub fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let (state, is_over) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let daemon = Self { address: listener.local_addr().unwrap(), state, is_over };
        for (path, answer) in [
            ("/api/v1/status", status(3)),
            ("/api/v1/incidents", incidents()),
            ("/api/v1/sources", sources()),
            ("/api/v1/ports", ports()),
            ("/api/v1/rates", rates()),
        ] {
            daemon.answer(path, answer.to_string());
        }
        let (state, is_over) = (Arc::clone(&daemon.state), Arc::clone(&daemon.is_over));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&state);
                state.lock().unwrap().connections.push(connection.try_clone().unwrap());
                thread::spawn(move || serve(&connection, &state));
            }
        });
        let (state, is_over) = (Arc::clone(&daemon.state), Arc::clone(&daemon.is_over));
        // As the true one does, so that it is not taken for silent.
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                push(&state, "stats", &json!({"at": NOW, "open": 3, "lost": 0, "interfaces": []}));
                thread::sleep(Duration::from_millis(500));
            }
        });
        daemon
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn want_token(&self, token: &str) {
        self.state.lock().unwrap().token = Some(format!("Bearer {token}"));
    }

    pub fn answer(&self, path: &str, body: String) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), body);
    }

    pub fn push(&self, kind: &str, data: &Value) {
        push(&self.state, kind, data);
    }

    /// What the last request for a stream said.
    pub fn followed(&self) -> Vec<String> {
        self.state.lock().unwrap().followed.clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // So that it is noticed.
        let _ = TcpStream::connect(self.address);
        for connection in &self.state.lock().unwrap().connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn push(state: &Mutex<State>, kind: &str, data: &Value) {
    let id = if kind == "alert" { "id: run-7\n" } else { "" };
    let event = format!("{id}event: {kind}\ndata: {data}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    state.lock().unwrap().streams.retain_mut(|stream| stream.write_all(chunk.as_bytes()).is_ok());
}

fn serve(connection: &TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { return };
    let path = path.split('?').next().unwrap();
    let mut connection = connection.try_clone().unwrap();
    let mut state = state.lock().unwrap();
    let bears = |token: &String| {
        head.iter().any(|line| line.split_once(": ").is_some_and(|(_, value)| value == token))
    };
    if !state.token.as_ref().is_none_or(bears) {
        let _ = connection.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}");
    } else if path == "/api/v1/stream" {
        let head_of_answer =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = connection.write_all(head_of_answer.as_bytes());
        state.followed.push(head.join("\n"));
        state.streams.push(connection);
        return;
    } else if let Some(body) = state.answers.get(path) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body.as_bytes()));
    } else {
        let _ = connection
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    }
    let _ = connection.shutdown(Shutdown::Both);
}

/// The present, as this daemon has it. Ages are in hours and days, so that they stay what they are during a test.
const NOW: &str = "2026-11-22T06:00:00.000000Z";

pub fn status(open: u64) -> Value {
    json!({
        "version": "0.1.0", "run": "run", "host": "gate", "at": NOW, "trouble": null, "config_is_good": true,
        "incidents": {"open": open}, "history": {"trouble": null}, "outputs": [],
        "interfaces": [{"name": "eth0", "mode": "native", "lost": {}}],
    })
}

pub fn incident(id: &str, severity: &str, rule: &str, opened: &str, text: &str) -> Value {
    json!({
        "id": id, "rule": rule, "severity": severity, "weight": severity, "state": "open", "interface": "eth0",
        "source": "203.0.113.7", "src_ip": "203.0.113.7", "opened_at": opened, "updated_at": opened, "observed": 1000,
        "peak": 1000, "threshold": 10, "unit": "distinct ports", "packets": 1000, "bytes": 60000, "spoofable": true,
        "evidence": {"syn": 1000}, "text": text,
    })
}

fn incidents() -> Value {
    incidents_and(&[])
}

/// The usual ones, and more.
pub fn incidents_and(more: &[Value]) -> Value {
    let mut items = vec![
        incident(
            "a-1",
            "high",
            "scan.vertical",
            "2026-11-22T03:00:00Z",
            "203.0.113.7 probed 1000 tcp ports by syn in 60 s on eth0",
        ),
        incident(
            "a-2",
            "low",
            "scan.horizontal",
            "2026-11-20T03:00:00Z",
            "198.51.100.9 probed 31 destinations at tcp port 22",
        ),
        incident(
            "a-3",
            "medium",
            "listed.bad",
            "2026-11-19T03:00:00Z",
            "a name \u{1b}[2J\u{202e} from 東京 was seen",
        ),
    ];
    items.extend_from_slice(more);
    json!({"next": null, "items": items})
}

fn sources() -> Value {
    let source = |name: &str, packets: u64, classes: Value| json!({"interface": "eth0", "source": name, "packets": packets, "bytes": packets * 60, "classes": classes});
    json!({"items": [
        source("203.0.113.7", 1_000, json!({"syn": 1_000})),
        source("2001:db8::/64", 200, json!({"known": 100, "udp_new": 100})),
    ]})
}

fn ports() -> Value {
    json!({"items": [{"interface": "eth0", "proto": "tcp", "port": 22, "packets": 900, "bytes": 1, "flows": 2}]})
}

fn rates() -> Value {
    let packets: Vec<f64> = (0..300_u32).map(|second| f64::from(second % 100)).collect();
    let at: Vec<i64> = (0..300).map(|second| 1_795_327_000_000 + second * 1_000).collect();
    json!({"step_s": 1.0, "at_ms": at, "interfaces": [{"name": "eth0", "packets_per_s": packets, "bytes_per_s": packets, "classes": {"syn": packets}}]})
}
