//! What is served and kept of alerts, while attacks go on, and after the end of a run.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use xtask::lab::Lab;
use xtask::traffic::scenario;

use crate::lab;
use crate::life::scan;
use crate::process::{Netwatch, PATIENCE};
use crate::watch::attached;

/// A directory that goes with this value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn option(&self) -> String {
        format!("--state-dir {}", self.0.display())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// netwatch, of which nothing was read yet.
fn started(lab: &Lab, options: &str) -> Netwatch {
    Netwatch::spawn(crate::process::command(lab.watched(), options).args(["-i", lab.watched().interface()]))
}

/// Asks for a path: the status, and the body.
fn get(lab: &Lab, path: &str) -> Option<(u16, String)> {
    let mut stream = lab.watched().run(|| TcpStream::connect(ADDRESS)).unwrap().ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Asks until what is answered is as it should be.
#[track_caller]
fn get_until(lab: &Lab, path: &str, is_right: impl Fn(u16, &str) -> bool) -> String {
    let start = Instant::now();
    let mut last = None;
    while start.elapsed() < PATIENCE {
        last = get(lab, path);
        if let Some((status, body)) = &last
            && is_right(*status, body)
        {
            return body.clone();
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{path}: {last:?}");
}

#[test]
fn a_default_run_serves_what_it_tells() {
    let lab = lab();
    let mut netwatch =
        Netwatch::spawn(crate::process::command(lab.watched(), "").args(["-i", lab.watched().interface()]));
    netwatch.wait_for("serving http://127.0.0.1:8080");
    netwatch.wait_for("watching nw0");
    get_until(&lab, "/readyz", |status, _| status == 200);
    let mut stream = lab.watched().run(|| TcpStream::connect(ADDRESS)).unwrap().unwrap();
    stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    scan(&lab);
    let alerts = get_until(&lab, "/alerts", |_, body| body.contains("scan.vertical"));
    let alerts: Value = serde_json::from_str(&alerts).unwrap();
    let incident = &alerts[0];
    assert_eq!((&incident["rule"], &incident["src_ip"]), (&"scan.vertical".into(), &"203.0.113.7".into()));
    let mut streamed = String::new();
    while !streamed.contains("scan.vertical") {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).unwrap();
        assert_ne!(count, 0, "{streamed}");
        streamed.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    assert!(streamed.contains("event: alert"), "{streamed}");
    get_until(&lab, "/metrics", |_, body| body.contains("netwatch_incidents_open") && body.contains("nw0"));
    get_until(&lab, "/api/v1/sources", |_, body| body.contains("203.0.113.7"));
    // An open stream keeps nobody from stopping.
    netwatch.signal(Signal::SIGTERM);
    let ended = netwatch.ended();
    assert!(ended.status.success(), "{:#?}", ended.stderr);
    assert!(ended.stderr.join("\n").contains("unaccounted for: 0"));
}

/// Follows a stream of packets until one has this text in it.
fn packets_until(lab: &Lab, text: &str) -> TcpStream {
    let mut stream = lab.watched().run(|| TcpStream::connect(ADDRESS)).unwrap().unwrap();
    stream.write_all(b"GET /api/v1/stream?topics=packets HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (start, mut streamed) = (Instant::now(), String::new());
    while !streamed.contains(text) {
        assert!(start.elapsed() < PATIENCE, "{streamed}");
        // What passed before the programs were there is not seen.
        scan(lab);
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(count) => {
                assert_ne!(count, 0, "{streamed}");
                streamed.push_str(&String::from_utf8_lossy(&part[..count]));
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
        }
    }
    assert!(streamed.contains("event: packet\n"), "{streamed}");
    stream
}

#[test]
fn packets_are_looked_at_as_long_as_somebody_follows_them() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let own = attached(lab.watched());
    let one = packets_until(&lab, r#""source":"203.0.113.7","dest":"198.51.100.1""#);
    assert_eq!(attached(lab.watched()), own + 3, "those of a live view");
    // Who looks at packets takes none from the count.
    netwatch.wait_for_line("scan.vertical");
    let other = packets_until(&lab, r#""class":"syn""#);
    assert_eq!(attached(lab.watched()), own + 3, "all follow the same");
    drop((one, other));
    let start = Instant::now();
    while attached(lab.watched()) > own {
        assert!(start.elapsed() < PATIENCE, "they go when nobody looks");
        thread::sleep(Duration::from_millis(50));
        // A stream finds out that nobody reads it when it is to be sent something.
        scan(&lab);
    }
    drop(packets_until(&lab, "203.0.113.7"));
    netwatch.signal(Signal::SIGTERM);
    let ended = netwatch.ended();
    assert!(ended.stderr.join("\n").contains("unaccounted for: 0"), "{:#?}", ended.stderr);
}

#[test]
fn a_taken_address_is_no_reason_not_to_watch_unless_it_was_asked_for() {
    let lab = lab();
    let _taken = lab.watched().run(|| std::net::TcpListener::bind(ADDRESS)).unwrap().unwrap();
    let mut netwatch =
        Netwatch::spawn(crate::process::command(lab.watched(), "").args(["-i", lab.watched().interface()]));
    netwatch.wait_for("going on without serving");
    netwatch.wait_for("watching nw0");
    drop(netwatch.alerts());
    let asked = crate::process::command(lab.watched(), "--listen 127.0.0.1:8080")
        .args(["-i", lab.watched().interface()])
        .output()
        .unwrap();
    assert_eq!(asked.status.code(), Some(12), "{asked:?}");
}

#[test]
fn the_readmes_curl_examples_work() {
    let readme = include_str!("../../../README.md");
    let examples: Vec<_> = readme.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(examples.len() >= 5, "{examples:?}");
    let lab = lab();
    if lab.watched().command("curl").arg("--version").output().is_err() {
        return crate::skip("curl is not here");
    }
    let netwatch = Netwatch::start(lab.watched(), "");
    scan(&lab);
    get_until(&lab, "/alerts", |_, body| body.contains("scan.vertical"));
    // Of who is busy, netwatch learns with the end of the slot.
    get_until(&lab, "/api/v1/sources", |_, body| body.contains("203.0.113.7"));
    for example in examples {
        // What a comment says, and who reads the output, is the reader's affair.
        let command = example.split(" #").next().unwrap().split(" | ").next().unwrap();
        let output = lab.watched().command("sh").args(["-c", command]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // A stream ends when its time is over.
        let is_stream = command.contains("/stream");
        let code = output.status.code();
        assert!(code == Some(0) || (is_stream && code == Some(28)), "{command}: {code:?}: {text}");
        assert!(
            ["netwatch", "nw0", "scan.vertical", "203.0.113.7"].iter().any(|word| text.contains(word)),
            "{command}: {text}"
        );
        if !is_stream && !command.contains("/metrics") {
            serde_json::from_str::<Value>(&text).unwrap_or_else(|wrong| panic!("{command}: {wrong}: {text}"));
        }
    }
    drop(netwatch.alerts());
}

/// Names of the incidents that the history holds.
fn kept(dir: &Path) -> Option<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let history = Connection::open_with_flags(dir.join("history.db"), flags).ok()?;
    history.busy_timeout(Duration::from_secs(5)).ok()?;
    let mut question = history.prepare("SELECT id FROM incidents JOIN incident_docs USING (seq)").ok()?;
    let rows = question.query_map([], |row| row.get(0)).ok()?;
    rows.collect::<Result<_, _>>().ok()
}

fn states(alerts: &[Value], source: &str) -> Vec<(String, String)> {
    let own = alerts.iter().filter(|alert| alert["src_ip"] == source);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    own.map(|alert| {
        let context = &alert["alert"]["context"];
        (text(&context["state"]), text(&context["incident"]))
    })
    .collect()
}

#[test]
fn an_incident_that_goes_on_is_not_opened_again_after_a_restart() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let (lab, dir) = (lab(), Dir::new(&format!("resume-{signal}")));
        let first = Netwatch::start(lab.watched(), &dir.option());
        scan(&lab);
        let start = Instant::now();
        while kept(&dir.0).is_none_or(|kept| kept.is_empty()) {
            assert!(start.elapsed() < PATIENCE, "nothing was written");
            thread::sleep(Duration::from_millis(50));
        }
        first.signal(signal);
        let before = states(&first.ended().alerts(), "203.0.113.7");
        assert_eq!(before[0].0, "open");
        let name = before[0].1.clone();

        let mut second = started(&lab, &dir.option());
        second.wait_for("continued from an earlier run: 1 incident;");
        second.wait_for("watching nw0");
        scan(&lab);
        thread::sleep(Duration::from_millis(1_500));
        let after = states(&second.alerts(), "203.0.113.7");
        let told: Vec<_> = after.iter().map(|(state, _)| state.as_str()).collect();
        assert_eq!((told[0], told[told.len() - 1]), ("update", "close"), "{signal}: {after:?}");
        assert!(after.iter().all(|(_, incident)| *incident == name), "{signal}: {name}: {after:?}");
        assert_eq!(kept(&dir.0).unwrap().len(), 1, "one incident, whatever happened");
    }
}

/// How often it is killed.
const KILLS: u32 = 100;

#[test]
fn what_was_written_outlives_a_hundred_kills_under_attack() {
    let (lab, dir) = (lab(), Dir::new("kills"));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Each source scans once: an incident each, some thousands of them.
            let sender = lab.outside().sender().unwrap();
            for number in 0_u32..1 << 20 {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let source = Ipv4Addr::from_bits(0xc612_0000 + number % (1 << 17));
                let frames = scenario::syn_scan(source.into(), lab.watched().ipv4().into(), 1..=12);
                sender.send_all(frames, None).unwrap();
                thread::sleep(Duration::from_millis(4));
            }
        });
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| kill_again_and_again(&lab, &dir)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

fn kill_again_and_again(lab: &Lab, dir: &Dir) {
    let file = crate::reload::File::new("kills", "notifications_per_minute = 100000\n");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut known = BTreeSet::new();
    for round in 0..KILLS {
        let options = format!("{} {} --slot 100ms --window 1s --listen none", dir.option(), file.option());
        let netwatch = Netwatch::start(lab.watched(), &options);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let until = Instant::now() + Duration::from_millis(20 + random % 400);
        // What somebody has read was acknowledged.
        while Instant::now() < until {
            known.extend(kept(&dir.0).into_iter().flatten());
            thread::sleep(Duration::from_millis(random % 7));
        }
        netwatch.signal(Signal::SIGKILL);
        netwatch.ended();
        let history = Connection::open(dir.0.join("history.db")).unwrap();
        let check: String = history.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "after {round} kills");
        drop(history);
        let now: BTreeSet<_> = kept(&dir.0).unwrap().into_iter().collect();
        let lost: Vec<_> = known.difference(&now).collect();
        assert!(lost.is_empty(), "after {round} kills: {lost:?}");
    }
    println!("{KILLS} kills, {} incidents read before one of them, none lost", known.len());
    assert!(known.len() > 300, "{}", known.len());
}
