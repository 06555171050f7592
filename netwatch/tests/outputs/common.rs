//! What all tests need: steps to send, receivers to start and stop, and patience.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use netwatch::analysis::Severity;
use netwatch::config::{OutputSettings, OutputTarget};
use netwatch::outputs::Outputs;
use netwatch::report::snapshot::{OutputState, Run};
use netwatch::report::{Incident, Life, Step, Time, Told};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take before a test fails. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(PATIENCE, what, is_so);
}

pub fn until_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < patience, "not within {patience:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn run() -> Arc<Run> {
    let started_at = Time(Timestamp::now());
    Arc::new(Run { version: "0.1.0", id: "7f3a".into(), host: "edge-17".into(), started_at })
}

pub fn incident(number: u64) -> Incident {
    let now = Time(Timestamp::now());
    Incident {
        id: format!("7f3a-{number}"),
        rule: "scan.vertical".into(),
        severity: "medium".into(),
        weight: "medium".into(),
        state: Life::Open,
        close_reason: None,
        interface: "eth0".into(),
        source: Some("203.0.113.7".into()),
        src_ip: Some([203, 0, 113, 7].into()),
        src_port: None,
        dest_ip: None,
        dest_port: None,
        proto: Some("TCP".into()),
        opened_at: now,
        updated_at: now,
        closed_at: None,
        first_seen: now,
        last_seen: now,
        observed: 1000,
        peak: 1000,
        threshold: 10,
        unit: "distinct ports".into(),
        window_s: 60.0,
        first_ports: vec![1, 2, 3],
        destinations: 0,
        first_destinations: Vec::new(),
        sources: 0,
        techniques: vec!["syn".into()],
        evidence: BTreeMap::from([("syn".into(), 1000)]),
        packets: 1000,
        bytes: 60_000,
        spoofable: true,
        degraded: false,
        confidence: "flags".into(),
        suppressed: 0,
        attack_id: "T1046".into(),
        reference: "docs/rules.md#scanvertical".into(),
        evidence_file: None,
        detail: None,
        text: format!("line {number}"),
        acknowledged_at: None,
        acknowledged_severity: None,
        acknowledged_note: None,
    }
}

pub fn told(number: u64) -> Arc<Told> {
    step(number, Step::Open, incident(number))
}

pub fn step(number: u64, step: Step, incident: Incident) -> Arc<Told> {
    Arc::new(Told {
        number,
        at: Time(Timestamp::now()),
        step,
        weight: Severity::Medium,
        text: incident.text.as_str().into(),
        eve: format!("{{\"number\":{number},\"text\":\"{}\"}}", incident.text).into(),
        incident: Some(Arc::new(incident)),
    })
}

/// One output.
pub struct Output(pub Outputs);

impl Output {
    pub fn start(target: OutputTarget, queue: usize) -> Self {
        let settings = OutputSettings { name: "out".into(), min_severity: Severity::Low, queue, target };
        Self(Outputs::start(&[settings], run()).unwrap())
    }

    pub fn offer(&mut self, numbers: core::ops::RangeInclusive<u64>) {
        numbers.for_each(|number| self.0.offer(&told(number)));
    }

    pub fn state(&self) -> OutputState {
        self.0.states().remove(0)
    }

    /// Waits until it has noticed that something is wrong.
    pub fn until_trouble(&self) {
        until("it notices", || self.state().trouble.is_some());
    }

    /// All was delivered: so many.
    pub fn finish(self, delivered: u64) {
        until("all is delivered", || self.state().queued == 0);
        let state = self.0.finish(PATIENCE).remove(0);
        assert_eq!((state.delivered, state.dropped), (delivered, 0), "{state:?}");
    }
}

/// A receiver is not there, comes, goes and comes back: all arrives, once and in order. `received` are the texts that came.
pub fn down_and_back<R: Receiver>(
    target: OutputTarget,
    start: impl Fn() -> R,
    received: impl Fn() -> Vec<String>,
) {
    let mut output = Output::start(target, 1_000);
    output.offer(1..=50);
    output.until_trouble();
    let receiver = start();
    until("what waited arrives", || received().len() >= 50);
    output.offer(51..=100);
    until("what comes now arrives", || received().len() >= 100);
    until("and it is known to", || output.state().queued == 0);
    assert_eq!(output.state().trouble, None);
    receiver.stop();
    output.offer(101..=250);
    output.until_trouble();
    assert_eq!(output.state().dropped, 0);
    let receiver = start();
    until("what waited again arrives", || received().len() >= 250);
    output.finish(250);
    receiver.stop();
    assert_eq!(received(), texts(1..=250));
}

/// A receiver stays away for too long: what was dropped is counted to the last one, and the rest arrives.
pub fn too_long<R: Receiver>(
    target: OutputTarget,
    start: impl Fn() -> R,
    received: impl Fn() -> Vec<String>,
) {
    let mut output = Output::start(target, 20);
    output.offer(1..=100);
    output.until_trouble();
    let state = output.state();
    assert_eq!((state.delivered, state.dropped, state.queued), (0, 80, 20));
    let receiver = start();
    until("what waited arrives", || output.state().delivered == 20);
    until("and is there", || received().len() >= 20);
    output.offer(101..=110);
    until("and so does what comes now", || received().len() >= 30);
    let state = output.0.finish(PATIENCE).remove(0);
    assert_eq!((state.delivered, state.dropped), (30, 80), "of 110");
    receiver.stop();
    assert_eq!(received(), texts(1..=20).into_iter().chain(texts(101..=110)).collect::<Vec<_>>());
}

pub fn texts(numbers: core::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|number| format!("line {number}")).collect()
}

/// What can be stopped.
pub trait Receiver {
    fn stop(self);
}

/// A program, which ends with its test.
pub struct Program(Child);

impl Program {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Receiver for Program {
    fn stop(mut self) {
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that ends with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("netwatch-outputs-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    // Below those that the kernel gives to whoever connects: to a port of these, one can connect from the same port, and be
    // one's own receiver. And never the same one twice, whoever runs these tests at the same time.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = u64::from(std::process::id()) * 37 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_240 + (number % 20_000) as u16;
        // Free for both protocols.
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

pub fn skip(why: &str) {
    println!("skipped: {why}");
}

/// An authority, and a certificate of it for 127.0.0.1.
pub fn certificates(folder: &Folder) {
    let script = "set -e; cd \"$1\"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out csr.pem
printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > ext
openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem";
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
