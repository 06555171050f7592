//! Prometheus' Alertmanager: alerts begin, change and end with their incidents.

use std::fs;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use netwatch::config::{AlertmanagerTarget, OutputTarget};
use netwatch::report::{Incident, Life, Step, Time};
use serde_json::Value;
use xtask::receivers;

use crate::common::{
    Folder, Output, Program, Receiver as _, certificates, free_port, incident, skip, step, until,
    until_within,
};

struct Alertmanager {
    program: receivers::Program,
    folder: Folder,
    port: u16,
    is_tls: bool,
}

/// Debian's Alertmanager looks for its templates in one place only. Where it was not installed but unpacked, it sees them
/// there in a view of the file system of its own.
fn command(program: &receivers::Program) -> Command {
    let Some(root) = &program.root else { return program.command() };
    const VIEW: &str =
        "mount -t overlay overlay -o lowerdir=\"$0/usr/share\":/usr/share /usr/share && exec \"$@\"";
    let mut command = Command::new("unshare");
    let own = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
    command.args([own, "sh", "-c", VIEW]).arg(root).arg(&program.path);
    command
}

impl Alertmanager {
    fn new() -> Option<Self> {
        let program = receivers::program("prometheus-alertmanager", &["prometheus-alertmanager"])?;
        if !command(&program).arg("--version").output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: an unpacked Alertmanager cannot be given its templates here");
            return None;
        }
        let folder = Folder::new("alertmanager");
        fs::write(folder.path().join("conf.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n")
            .unwrap();
        Some(Self { program, folder, port: free_port(), is_tls: false })
    }

    /// One that speaks TLS.
    fn with_tls() -> Option<Self> {
        let manager = Self::new()?;
        certificates(&manager.folder);
        let web = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n";
        fs::write(manager.folder.path().join("web.yml"), web).unwrap();
        Some(Self { is_tls: true, ..manager })
    }

    fn start(&self) -> Program {
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = command(&self.program);
        command.arg(format!("--config.file={}", place("conf.yml")));
        command.arg(format!("--storage.path={}", place("data")));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", self.port)).arg("--cluster.listen-address=");
        if self.is_tls {
            command.arg(format!("--web.config.file={}", place("web.yml")));
        }
        Program::start(&mut command)
    }

    /// What it holds for active; none where it does not answer.
    fn active(&self) -> Option<Vec<Value>> {
        let url = format!("{}/api/v2/alerts?active=true", self.url());
        let mut curl = Command::new("curl");
        let output = curl.args(["-s", "-k", "-m", "10", &url]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Incident and severity of each, sorted.
    fn seen(&self) -> Vec<(u64, String)> {
        let one = |alert: &Value| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap().to_owned();
            (label("incident").trim_start_matches("7f3a-").parse().unwrap(), label("severity"))
        };
        let mut seen: Vec<_> = self.active().unwrap_or_default().iter().map(one).collect();
        seen.sort();
        seen
    }

    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.is_tls { "https" } else { "http" }, self.port)
    }

    fn target(&self, urls: usize) -> OutputTarget {
        let url = format!("{}/", self.url());
        OutputTarget::Alertmanager(AlertmanagerTarget {
            urls: vec![url; urls],
            bearer_token_file: None,
            ca_file: None,
        })
    }
}

fn changed(number: u64, change: impl Fn(&mut Incident)) -> Incident {
    let mut incident = incident(number);
    change(&mut incident);
    incident
}

fn closed(number: u64, reason: &str) -> Incident {
    changed(number, |incident| {
        incident.state = Life::Closed;
        incident.close_reason = Some(reason.into());
        incident.closed_at = Some(Time(Timestamp::now()));
    })
}

fn medium(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    numbers.into_iter().map(|number| (number, "medium".into())).collect()
}

#[test]
fn alerts_live_as_their_incidents_do() {
    let Some(manager) = Alertmanager::new() else { return skip("no Alertmanager") };
    let mut output = Output::start(manager.target(1), 1_000);
    output.offer(1..=150);
    output.until_trouble();
    let program = manager.start();
    until("all are active", || manager.seen() == medium(1..=150));
    let active = manager.active().unwrap();
    let first = active.iter().find(|alert| alert["labels"]["incident"] == "7f3a-1").unwrap();
    assert_eq!(first["labels"]["alertname"], "NetwatchScanVertical");
    assert_eq!(first["annotations"]["summary"], "line 1");

    // One becomes worse, and one ends. The third was open when netwatch stopped, of which nothing follows.
    output.0.offer(&step(151, Step::Update, changed(1, |incident| incident.severity = "critical".into())));
    output.0.offer(&step(152, Step::Close, closed(2, "quiet")));
    output.0.offer(&step(153, Step::Close, closed(3, "shutdown")));
    let mut expect = medium(3..=150);
    expect.insert(0, (1, "critical".into()));
    until("one is worse and one is gone", || manager.seen() == expect);

    // What is open survives that the Alertmanager forgets everything: it is reminded within a minute. What netwatch said
    // goodbye to is not among it, and neither is what ended meanwhile.
    program.stop();
    output.0.offer(&step(154, Step::Close, closed(4, "quiet")));
    output.until_trouble();
    let program = manager.start();
    expect.retain(|(number, _)| ![3, 4].contains(number));
    until_within(Duration::from_secs(180), "it is reminded", || manager.seen() == expect);
    output.finish(154);
    program.stop();
}

#[test]
fn what_waits_too_long_for_an_alertmanager_is_counted() {
    let Some(manager) = Alertmanager::new() else { return skip("no Alertmanager") };
    let mut output = Output::start(manager.target(1), 20);
    output.offer(1..=100);
    output.until_trouble();
    let program = manager.start();
    until("what waited is active", || manager.seen() == medium(1..=20));
    output.offer(101..=110);
    until("and what comes now", || manager.seen() == medium((1..=20).chain(101..=110)));
    let state = output.0.finish(crate::common::PATIENCE).remove(0);
    assert_eq!((state.delivered, state.dropped), (30, 80));
    program.stop();
}

#[test]
fn an_alertmanager_is_known_by_its_certificate() {
    let Some(manager) = Alertmanager::with_tls() else { return skip("no Alertmanager") };
    let (program, other) = (manager.start(), Folder::new("authority"));
    until("it answers", || manager.active().is_some());
    certificates(&other);
    let OutputTarget::Alertmanager(mut target) = manager.target(1) else { panic!("alertmanager") };
    target.ca_file = Some(other.path().join("ca.pem"));
    // Somebody else's authority has not signed it, and so it gets nothing.
    let mut output = Output::start(OutputTarget::Alertmanager(target), 100);
    output.offer(1..=5);
    until("it is refused", || output.state().trouble.is_some_and(|why| why.contains("certificate")));
    assert_eq!(manager.seen(), []);
    fs::copy(manager.folder.path().join("ca.pem"), other.path().join("ca.pem")).unwrap();
    output.0.reopen();
    until("what waited is active", || manager.seen() == medium(1..=5));
    output.finish(5);
    program.stop();
}

#[test]
fn each_of_several_has_a_queue_of_its_own() {
    let Some(manager) = Alertmanager::new() else { return skip("no Alertmanager") };
    let OutputTarget::Alertmanager(mut target) = manager.target(2) else { panic!("alertmanager") };
    // The first is never there.
    target.urls[0] = format!("http://127.0.0.1:{}", free_port());
    let program = manager.start();
    let mut output = Output::start(OutputTarget::Alertmanager(target), 100);
    output.offer(1..=5);
    until("the other one has it", || manager.seen() == medium(1..=5));
    until("the first one is down", || output.state().trouble.is_some());
    let states = output.0.finish(Duration::from_secs(1));
    assert_eq!(states.iter().map(|state| &*state.name).collect::<Vec<_>>(), ["out", "out/2"]);
    assert_eq!((states[0].delivered, states[0].dropped), (0, 5));
    assert_eq!((states[1].delivered, states[1].dropped), (5, 0));
    program.stop();
}
