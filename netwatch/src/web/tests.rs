//! The server as those meet it who talk to it: over sockets.

mod answers;
mod described;
mod harmless;
mod hostile;
mod login;
mod overload;
mod pages;
mod streams;
mod tls;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

use futures_util::future::BoxFuture;
use netwatch_common::{Class, Proto, Totals, Verdict};
use tokio::sync::{broadcast, watch};

use super::*;
use crate::analysis::{Counters, RuleId, Severity};
use crate::drained::Drained;
use crate::report::snapshot::{
    BusyPort, BusySource, FeedState, InterfaceState, OutputState, Run, StoreState,
};
use crate::report::{
    Ack, HistoryError, Incident, IncidentQuery, Life, ListedBy, Page, Passed, Reading, Step, Time,
    WindowQuery, WindowSummary,
};

/// Longer than anything takes on the slowest machine.
const LONG: Duration = Duration::from_secs(60);

/// A history in memory, that remembers what it was asked.
#[derive(Default)]
struct Known {
    incidents: Mutex<Vec<Incident>>,
    windows: Mutex<Vec<WindowSummary>>,
    asked: Mutex<Vec<IncidentQuery>>,
    asked_windows: Mutex<Vec<WindowQuery>>,
    /// What to answer instead.
    fails: Mutex<Option<HistoryError>>,
    /// Whether there is never an answer.
    hangs: bool,
    /// How long an answer about incidents takes.
    takes: Duration,
}

impl History for Known {
    fn incidents(&self, query: IncidentQuery) -> BoxFuture<'static, Result<Page<Incident>, HistoryError>> {
        self.asked.lock().unwrap().push(query.clone());
        if self.hangs {
            return Box::pin(std::future::pending());
        }
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Box::pin(async { Err(error) });
        }
        let all = self.incidents.lock().unwrap();
        let is_rule = |one: &&Incident| query.rule.as_deref().is_none_or(|rule| rule == one.rule);
        let weighs = |one: &&Incident| query.min_weight.is_none() || one.weight != "info";
        let is_state = |one: &&Incident| query.state.is_none_or(|state| state == one.state);
        let fitting: Vec<_> = all.iter().filter(is_rule).filter(weighs).filter(is_state).cloned().collect();
        let mut fitting = fitting;
        if query.order == crate::report::history::Order::Worst {
            let rank =
                |one: &Incident| Severity::ALL.iter().position(|severity| severity.name() == one.severity);
            fitting.sort_by_key(|one| (one.acknowledged_at.is_some(), std::cmp::Reverse(rank(one))));
        }
        let start = query.cursor.unwrap_or(0);
        let skip = usize::try_from(start).unwrap();
        let items: Vec<_> = fitting.iter().skip(skip).take(query.limit).cloned().collect();
        let next = (skip + items.len() < fitting.len()).then_some(start + items.len() as u64);
        let takes = self.takes;
        Box::pin(async move {
            if takes > Duration::ZERO {
                tokio::time::sleep(takes).await;
            }
            Ok(Page { items, next })
        })
    }

    fn incident(&self, id: String) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        let found = self.incidents.lock().unwrap().iter().find(|one| one.id == id).cloned();
        Box::pin(async { Ok(found) })
    }

    fn windows(&self, query: WindowQuery) -> BoxFuture<'static, Result<Page<WindowSummary>, HistoryError>> {
        let items = self.windows.lock().unwrap().iter().take(query.limit).cloned().collect();
        self.asked_windows.lock().unwrap().push(query);
        Box::pin(async { Ok(Page { items, next: Some(u64::MAX) }) })
    }

    fn acknowledge(
        &self,
        id: String,
        ack: Option<Ack>,
    ) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        let mut all = self.incidents.lock().unwrap();
        let found = all.iter_mut().find(|one| one.id == id).map(|one| {
            one.acknowledged_at = ack.as_ref().map(|ack| ack.at);
            one.acknowledged_severity = ack.as_ref().map(|_| one.severity.clone());
            one.acknowledged_note = ack.and_then(|ack| ack.note);
            one.clone()
        });
        Box::pin(async { Ok(found) })
    }
}

/// Interfaces that count three packets each time that somebody looks.
#[derive(Default)]
struct Ticking(std::sync::atomic::AtomicU64);

impl Meter for Ticking {
    fn read(&self) -> Reading {
        let seen = self.0.fetch_add(3, std::sync::atomic::Ordering::Relaxed);
        let at_ns = crate::clock::monotonic_ns();
        let totals = Totals { seen, bytes: seen * 60, ..Totals::default() };
        Reading { at: Time(jiff::Timestamp::now()), at_ns, interfaces: vec![("eth0".into(), totals)] }
    }
}

/// Nobody shows packets.
struct NoPackets;

impl Packets for NoPackets {
    fn follow(&self) -> Result<broadcast::Receiver<Arc<Passed>>, String> {
        Err("there are no packets to see".into())
    }
}

/// Lists one address, and says what nobody should show as it is.
struct Hostile;

impl Listed for Hostile {
    fn find(&self, addr: std::net::IpAddr) -> Vec<ListedBy> {
        let is_listed = addr.to_string() == "203.0.113.7";
        let by = ListedBy {
            feed: "drop <script>".into(),
            entry: "203.0.113.0/24".into(),
            severity: Some(Severity::High),
            comment: "<img src=x onerror=alert(1)>".into(),
        };
        is_listed.then_some(by).into_iter().collect()
    }
}

fn sources(history: &Arc<Known>, snapshots: watch::Receiver<Arc<Snapshot>>) -> Sources {
    let history = Arc::clone(history) as _;
    Sources {
        history,
        snapshots,
        meter: Box::<Ticking>::default(),
        packets: Box::new(NoPackets),
        listed: Box::new(Hostile),
    }
}

/// A server, and all that it is fed from.
struct Stage {
    web: Web,
    history: Arc<Known>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

fn on_loopback() -> WebSettings {
    WebSettings { listen: Some("127.0.0.1:0".parse().unwrap()), ..WebSettings::default() }
}

impl Stage {
    fn new() -> Self {
        Self::with(&on_loopback(), Known::default(), Patience::default())
    }

    fn with(settings: &WebSettings, history: Known, patience: Patience) -> Self {
        let history = Arc::new(history);
        let (snapshots, receiver) = watch::channel(Arc::new(snapshot()));
        let web = Web::start_with(settings, sources(&history, receiver), patience).unwrap();
        Self { web, history, snapshots }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.web.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends these bytes and reads until the other end closes.
    fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // Who refuses what is sent may close before it has all of it.
        let _ = stream.write_all(request);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn get(&self, path: &str) -> Reply {
        self.get_with(path, "")
    }

    /// The answer to a request with more headers.
    fn get_with(&self, path: &str, headers: &str) -> Reply {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.web.address);
        Reply::read(&self.send(format!("{head}{headers}\r\n").as_bytes()))
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    fn publish(&self) {
        self.snapshots.send_replace(Arc::new(snapshot()));
    }

    fn tell(&self, number: u64, weight: Severity) {
        self.web.told(&Arc::new(told(number, weight)));
    }
}

/// An answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A new folder for files.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("netwatch-web-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn time(seconds: i64) -> Time {
    Time::from_micros(1_795_000_000_000_000 + seconds * 1_000_000)
}

fn incident(number: u64, rule: &str, weight: &str) -> Incident {
    Incident {
        id: format!("6a20b3a6-1f4c-{number}"),
        rule: rule.into(),
        severity: weight.into(),
        weight: weight.into(),
        state: Life::Open,
        close_reason: None,
        interface: "eth0".into(),
        source: Some("203.0.113.7".into()),
        src_ip: Some("203.0.113.7".parse().unwrap()),
        src_port: None,
        dest_ip: None,
        dest_port: None,
        proto: Some("TCP".into()),
        opened_at: time(0),
        updated_at: time(5),
        closed_at: None,
        first_seen: time(-3),
        last_seen: time(5),
        observed: 12,
        peak: 12,
        threshold: 10,
        unit: "ports".into(),
        window_s: 60.0,
        first_ports: vec![21, 22, 23],
        destinations: 1,
        first_destinations: vec!["192.0.2.10".parse().unwrap()],
        sources: 1,
        techniques: vec!["syn".into()],
        evidence: BTreeMap::from([("syn".into(), 12)]),
        packets: 12,
        bytes: 720,
        spoofable: true,
        degraded: false,
        confidence: "flows".into(),
        suppressed: 0,
        attack_id: "T1046".into(),
        reference: "docs/rules.md#scanvertical".into(),
        evidence_file: None,
        detail: Some(serde_json::json!({ "payload": "<script>\u{1b}[31m\r\n\r\ndata: x" })),
        text: "203.0.113.7 probed 12 tcp ports".into(),
        acknowledged_at: None,
        acknowledged_severity: None,
        acknowledged_note: None,
    }
}

fn told(number: u64, weight: Severity) -> Told {
    Told {
        number,
        at: time(5),
        step: Step::Open,
        weight,
        incident: Some(Arc::new(incident(number, "scan.vertical", weight.name()))),
        text: "203.0.113.7 probed 12 tcp ports".into(),
        eve: "{}".into(),
    }
}

fn snapshot() -> Snapshot {
    let mut totals = Totals { seen: 1_000, bytes: 60_000, flows_lost: 3, ..Totals::default() };
    let other = Verdict::ALL.into_iter().find(|verdict| verdict.class() == Class::Other).unwrap();
    totals.verdicts[other as usize] = 1_000;
    let mut counters = Counters::default();
    (counters.opened, counters.closed) = (5, 2);
    let mut alerts = [[0; Severity::COUNT]; RuleId::COUNT];
    alerts[RuleId::ScanVertical as usize][Severity::High as usize] = 1;
    Snapshot {
        at: time(10),
        at_ns: 10_000_000_000,
        run: Arc::new(Run {
            version: "0.1.0",
            id: "6a20b3a6-1f4c".into(),
            host: "watcher".into(),
            started_at: time(-100),
        }),
        slot_ns: 5_000_000_000,
        window_ns: 60_000_000_000,
        interfaces: vec![InterfaceState {
            name: "eth0".into(),
            mode: Some("native"),
            confidence: "flows",
            is_learning: false,
            totals,
            drained: Drained { sourced: 1_000, targeted: 1_000, slots: 2, late_slots: 1, failed_slots: 0 },
            slot_sources: 7,
            slot_targets: 9,
            slot_packets: 500,
            slot_bytes: 30_000,
            slot_lost: 0,
            slot_ns: 5_000_000_000,
        }],
        sources: vec![source("203.0.113.7", 32), source("2001:db8::", 64)],
        ports: vec![BusyPort {
            interface: "eth0".into(),
            proto: Proto::Tcp,
            port: 443,
            packets: 300,
            bytes: 18_000,
            flows: 4,
        }],
        counters,
        alerts,
        feeds: vec![FeedState {
            name: "drop \"x\"\\".into(),
            file: "feeds/drop.netset".into(),
            entries: 1_692,
            is_live: true,
            written_at: Some(time(-3_600)),
        }],
        config: "slot = \"5s\"  # default\n".into(),
        config_is_good: true,
        stdout_dropped: 0,
        outputs: vec![OutputState {
            name: "siem".into(),
            kind: "syslog",
            delivered: 10,
            dropped: 1,
            failures: 2,
            queued: 3,
            trouble: Some("connection refused".into()),
        }],
        store: StoreState { file: Some("netwatch.db".into()), bytes: 4_096, ..StoreState::default() },
        drain_ns: 12_000_000,
    }
}

fn source(address: &str, bits: u8) -> BusySource {
    BusySource {
        interface: "eth0".into(),
        source: format!("{address}/{bits}").into(),
        addr: address.parse().unwrap(),
        bits,
        packets: 400,
        bytes: 24_000,
        classes: [40; 10],
        completed: 1,
        first_seen: time(-50),
        last_seen: time(9),
    }
}
