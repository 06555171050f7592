//! Prometheus and its tools: what they say to the metrics, the alerts and the dashboard in this repository. Where Prometheus
//! is not installed, it is unpacked; where that fails, these are skipped.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use netwatch::analysis::{Counters, RuleId, Severity};
use netwatch::config::WebSettings;
use netwatch::report::snapshot::{InterfaceState, Run, Snapshot, StoreState};
use netwatch::report::{
    History, HistoryError, Incident, IncidentQuery, Listed, ListedBy, Meter, Packets, Page, Passed, Reading,
    Time, WindowQuery, WindowSummary,
};
use netwatch::web::{Sources, Web};
use netwatch_common::Totals;
use tokio::sync::{broadcast, watch};
use xtask::receivers::{self, Program};

/// Longer than anything takes on the slowest machine.
const LONG: Duration = Duration::from_secs(60);

/// A history without anything in it.
struct Nothing;

impl History for Nothing {
    fn incidents(&self, _: IncidentQuery) -> BoxFuture<'static, Result<Page<Incident>, HistoryError>> {
        Box::pin(async { Ok(Page { items: Vec::new(), next: None }) })
    }

    fn incident(&self, _: String) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        Box::pin(async { Ok(None) })
    }

    fn windows(&self, _: WindowQuery) -> BoxFuture<'static, Result<Page<WindowSummary>, HistoryError>> {
        Box::pin(async { Ok(Page { items: Vec::new(), next: None }) })
    }
}

impl Meter for Nothing {
    fn read(&self) -> Reading {
        Reading { at: Time::from_micros(0), at_ns: 0, interfaces: Vec::new() }
    }
}

impl Packets for Nothing {
    fn follow(&self) -> Result<broadcast::Receiver<Arc<Passed>>, String> {
        Err("there are none".into())
    }
}

impl Listed for Nothing {
    fn find(&self, _: std::net::IpAddr) -> Vec<ListedBy> {
        Vec::new()
    }
}

fn snapshot() -> Snapshot {
    let now = Time(jiff::Timestamp::now());
    Snapshot {
        at: now,
        at_ns: 1,
        run: Arc::new(Run { version: "0.1.0", id: "run".into(), host: "here".into(), started_at: now }),
        slot_ns: 5_000_000_000,
        window_ns: 60_000_000_000,
        interfaces: vec![InterfaceState {
            name: "eth0".into(),
            mode: Some("native"),
            confidence: "flows",
            is_learning: false,
            totals: Totals { seen: 7, bytes: 4_321, ..Totals::default() },
            drained: netwatch::drained::Drained::default(),
            slot_sources: 1,
            slot_targets: 1,
            slot_packets: 7,
            slot_bytes: 4_321,
            slot_lost: 0,
            slot_ns: 5_000_000_000,
        }],
        sources: Vec::new(),
        ports: Vec::new(),
        counters: Counters::default(),
        alerts: [[0; Severity::COUNT]; RuleId::COUNT],
        feeds: vec![netwatch::report::snapshot::FeedState {
            name: "drop".into(),
            file: "drop.netset".into(),
            entries: 3,
            is_live: true,
            written_at: Some(now),
        }],
        config: "".into(),
        config_is_good: true,
        stdout_dropped: 0,
        outputs: vec![netwatch::report::snapshot::OutputState {
            name: "siem".into(),
            kind: "syslog",
            delivered: 1,
            dropped: 0,
            failures: 0,
            queued: 0,
            trouble: None,
        }],
        store: StoreState::default(),
        drain_ns: 12_000_000,
    }
}

fn serve(token_file: Option<PathBuf>) -> (Web, watch::Sender<Arc<Snapshot>>) {
    let (sender, receiver) = watch::channel(Arc::new(snapshot()));
    let listen = Some("127.0.0.1:0".parse().unwrap());
    let settings = WebSettings { listen, token_file, ..WebSettings::default() };
    let history = Arc::new(Nothing);
    let sources = Sources {
        history,
        snapshots: receiver,
        meter: Box::new(Nothing),
        packets: Box::new(Nothing),
        listed: Box::new(Nothing),
    };
    (Web::start(&settings, sources).unwrap(), sender)
}

fn get(address: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    stream.set_read_timeout(Some(LONG)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    reply.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
}

fn promtool() -> Option<Program> {
    receivers::program("promtool", &["prometheus"])
}

fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib").join(path)
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Some(promtool) = promtool() else { return };
    let (web, _sender) = serve(None);
    let metrics = get(web.address(), "/metrics");
    assert!(metrics.contains("netwatch_bytes_total{interface=\"eth0\"} 4321"), "{metrics}");
    let mut check = promtool.command();
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let says = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success() && says.is_empty(), "{says}");
    web.stop();
}

#[test]
fn the_alerts_in_the_repository_fire_when_they_should() {
    let Some(promtool) = promtool() else { return };
    for words in [["check", "rules", "prometheus/rules.yml"], ["test", "rules", "prometheus/rules_test.yml"]]
    {
        let output = promtool.command().args(&words[..2]).arg(contrib(words[2])).output().unwrap();
        let says = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(output.status.success(), "{says}");
    }
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let (web, _sender) = serve(None);
    let metrics = get(web.address(), "/metrics");
    let known: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rules = fs::read_to_string(contrib("prometheus/rules.yml")).unwrap();
    let board = fs::read_to_string(contrib("grafana/netwatch.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&board).unwrap();
    let mut count = 0;
    for text in [&rules, &board] {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        for word in text.split(|letter| !is_name(letter)).filter(|word| word.starts_with("netwatch_")) {
            assert!(known.contains(word), "there is no metric {word}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
    web.stop();
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_prometheus_scrapes_netwatch_with_its_token() {
    let Some(prometheus) = receivers::program("prometheus", &["prometheus"]) else { return };
    let folder = std::env::temp_dir().join(format!("netwatch-prometheus-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let token = folder.join("token");
    fs::write(&token, "a-token-for-prometheus").unwrap();
    let (web, _sender) = serve(Some(token.clone()));
    // Whoever else takes the port in between makes Prometheus fail, and this test with it; nobody does.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{:?}]\nscrape_configs:\n  - job_name: \
         netwatch\n    authorization: {{credentials_file: {:?}}}\n    static_configs: [{{targets: ['{}']}}]\n",
        contrib("prometheus/rules.yml").canonicalize().unwrap(),
        token,
        web.address()
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut command = prometheus.command();
    command
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let running = Running(command.spawn().unwrap());
    let ask = |query: &str| get(free, &format!("/api/v1/query?query={query}"));
    let start = Instant::now();
    while !ask("netwatch_bytes_total").contains("\"4321\"") {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(start.elapsed() < LONG * 2, "{}\n{log}", ask("up"));
        thread::sleep(Duration::from_millis(100));
    }
    // It takes OpenMetrics where it can, with types and units.
    let told = get(free, "/api/v1/metadata?metric=netwatch_drain_duration_seconds");
    assert!(told.contains("\"type\":\"gauge\"") && told.contains("\"unit\":\"seconds\""), "{told}");
    assert!(ask("up").contains("\"1\""));
    assert!(get(free, "/api/v1/rules").contains("NetwatchStuck"));
    drop(running);
    web.stop();
    fs::remove_dir_all(folder).unwrap();
}
