//! Connections that are accepted where none is expected.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use netwatch_common::classify::{ACK, SYN};
use xtask::lab::Lab;
use xtask::traffic::Frame;

use crate::incident::{incidents, named};
use crate::lab;
use crate::process::{Netwatch, command};
use crate::reload::File;
use crate::wire::{OUTSIDE, TARGET, TARGET6, host, send};

const SSH_IS_DECLARED: &str = "[rules.'port.unusual']\nservices = ['tcp/22']\n";

/// Which ports were told, of whom: `198.51.100.2:4444 1`.
#[track_caller]
fn unusual(netwatch: Netwatch) -> Vec<String> {
    let alerts = netwatch.alerts();
    let incidents = incidents(&alerts);
    let told = incidents.iter().filter(|incident| incident.context("rule") == "port.unusual");
    let mut told: Vec<_> = told
        .map(|incident| {
            assert_eq!((incident.severity(), incident.context("spoofable")), ("low", &false.into()));
            let source = incident.open["src_ip"].as_str().unwrap();
            format!("{source}:{} {}", incident.open["dest_port"], incident.peak())
        })
        .collect();
    told.sort();
    told
}

/// Listens on the watched side, and connects to it from outside; the kernel accepts.
#[track_caller]
fn accepted(lab: &Lab, to: impl Into<IpAddr>, port: u16) -> (TcpListener, TcpStream) {
    let to = SocketAddr::new(to.into(), port);
    let listener = lab.watched().run(|| TcpListener::bind(to).unwrap()).unwrap();
    let stream = lab.outside().run(|| TcpStream::connect(to).unwrap()).unwrap();
    listener.accept().unwrap();
    (listener, stream)
}

#[track_caller]
fn refused(lab: &Lab, port: u16) {
    lab.outside().run(|| TcpStream::connect((TARGET, port)).unwrap_err()).unwrap();
}

#[test]
fn what_is_accepted_outside_of_declared_services_is_told() {
    let (lab, file) = (lab(), File::new("unusual", SSH_IS_DECLARED));
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    let _open = [accepted(&lab, TARGET, 22), accepted(&lab, TARGET, 4_444), accepted(&lab, TARGET6, 5_555)];
    (6_661..=6_665).for_each(|port| refused(&lab, port));
    assert_eq!(unusual(netwatch), ["198.51.100.2:4444 1", "2001:db8:1::2:5555 1"]);
}

#[test]
fn connections_of_our_own_and_those_of_a_learning_netwatch_are_not() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let _open = accepted(&lab, TARGET, 4_444);
    assert_eq!(named(&netwatch.alerts()), [""; 0]);

    let file = File::new("outgoing", SSH_IS_DECLARED);
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    let listener = lab.outside().run(|| TcpListener::bind((OUTSIDE, 7_777)).unwrap()).unwrap();
    let _stream = lab.watched().run(|| TcpStream::connect((OUTSIDE, 7_777)).unwrap()).unwrap();
    listener.accept().unwrap();
    assert_eq!(named(&netwatch.alerts()), [""; 0]);
}

#[test]
fn a_scan_explains_what_accepts_it() {
    let (lab, file) = (lab(), File::new("absorbed", SSH_IS_DECLARED));
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    (6_000..6_030).for_each(|port| refused(&lab, port));
    let _open = accepted(&lab, TARGET, 4_444);
    assert_eq!(named(&netwatch.alerts()), ["scan.vertical 198.51.100.2"]);
}

/// A directory that goes with this value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_learned_outlives_the_run() {
    let (lab, dir) = (lab(), Dir::new("learned"));
    let file = File::new("learned", "[rules.'port.unusual']\nlearn = '5s'\n");
    let options = format!("{} --state-dir {}", file.option(), dir.path().display());
    let mut netwatch = Netwatch::start(lab.watched(), &options);
    netwatch.wait_for("learning for 5 s which services accept connections");
    let _known = accepted(&lab, TARGET, 80);
    netwatch.wait_for("learned 1 service: from now on port.unusual tells of others");
    let _new = accepted(&lab, TARGET, 4_444);
    assert_eq!(unusual(netwatch), ["198.51.100.2:4444 1"]);

    let text = fs::read_to_string(dir.path().join("learned.json")).unwrap();
    let learned: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(learned["interfaces"]["nw0"]["services"], serde_json::json!({ "198.51.100.1": ["tcp/80"] }));

    // What goes on from the first run is another test's affair.
    fs::remove_file(dir.path().join("history.db")).unwrap();
    let mut netwatch = Netwatch::start(lab.watched(), &options);
    let again = lab.outside().run(|| TcpStream::connect((TARGET, 80)).unwrap()).unwrap();
    let new = accepted(&lab, TARGET, 5_555);
    // Who has the directory has it alone.
    let second =
        command(lab.watched(), &format!("{options} -i nw0")).stderr(Stdio::piped()).output().unwrap();
    let says = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{says}");
    assert!(says.contains("another netwatch keeps its state in"), "{says}");
    netwatch.signal(nix::sys::signal::Signal::SIGHUP);
    netwatch.wait_for("again: 0 changes");
    assert_eq!(unusual(netwatch), ["198.51.100.2:5555 1"]);
    drop((again, new));

    // What cannot be read is left alone.
    fs::write(dir.path().join("learned.json"), &text[..text.len() / 2]).unwrap();
    let damaged =
        command(lab.watched(), &format!("{options} -i nw0")).stderr(Stdio::piped()).output().unwrap();
    let says = String::from_utf8(damaged.stderr).unwrap();
    assert_eq!(damaged.status.code(), Some(2), "{says}");
    assert!(says.contains("learned.json: is damaged") && says.contains("delete it to learn anew"), "{says}");
}

/// A handshake and a question with its answer, as a tap sees them.
fn conversation(client: Ipv4Addr, server: Ipv4Addr, port: u16) -> Vec<Vec<u8>> {
    vec![
        Frame::ipv4(client, server).tcp(50_000, port, SYN).build(),
        Frame::ipv4(server, client).tcp(port, 50_000, SYN | ACK).build(),
        Frame::ipv4(client, server).tcp(50_000, port, ACK).build(),
        Frame::ipv4(client, server).udp(50_000, port, b"question").build(),
        Frame::ipv4(server, client).udp(port, 50_000, b"answer").build(),
    ]
}

#[test]
fn on_a_tap_somebody_has_to_say_what_is_ours() {
    let (lab, file) = (lab(), File::new("tap", SSH_IS_DECLARED));
    let frames: Vec<_> = [
        conversation(host(1), host(200), 4_444),
        conversation(host(2), host(200), 22),
        conversation(host(200), host(3), 5_555),
    ]
    .concat();
    let options = format!("--mode mirror {}", file.option());
    let mut netwatch = Netwatch::start(lab.watched(), &options);
    netwatch.wait_for("port.unusual says nothing, because nobody said which networks are ours");
    send(&lab, &frames);
    assert_eq!(named(&netwatch.alerts()), [""; 0]);

    let netwatch = Netwatch::start(lab.watched(), &format!("{options} --local 203.0.113.200/32"));
    send(&lab, &frames);
    let alerts = netwatch.alerts();
    let told = incidents(&alerts);
    let mut told: Vec<_> = told
        .iter()
        .map(|one| format!("{} {} {}", one.what(), one.open["proto"], one.open["dest_port"]))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "port.unusual 203.0.113.1 \"TCP\" 4444",
            "port.unusual 203.0.113.1 \"UDP\" 4444",
            "port.unusual 203.0.113.2 \"UDP\" 22"
        ]
    );
}
