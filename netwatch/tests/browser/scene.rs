//! What a test of the pages looks at: netwatch in a laboratory, with a browser beside it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use netwatch::config::HistorySettings;
use netwatch::report::{Incident, Life, Step, Time, Told};
use netwatch::store::Store;
use serde_json::json;
use xtask::lab::Lab;
use xtask::traffic::scenario;

use crate::driver::{Browser, Programs};
use crate::process::{Netwatch, PATIENCE, command};

/// Where netwatch listens; each laboratory has a loopback of its own.
pub const PORT: u16 = 8400;
/// Who scans.
pub const SCANNER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// A directory that goes with this value.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("netwatch-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The laboratory, and where the history is kept.
pub struct Scene {
    pub lab: Lab,
    pub state: Dir,
    programs: Programs,
}

impl Scene {
    /// None where there is no browser, which is said.
    pub fn new() -> Option<Self> {
        let programs = Programs::find().map_err(|why| crate::skip(&why)).ok()?;
        let lab = Lab::new().expect("a laboratory; this needs root and `ip`");
        Some(Self { lab, state: Dir::new("pages"), programs })
    }

    /// netwatch, watching and serving.
    #[track_caller]
    pub fn netwatch(&self, options: &str) -> Netwatch {
        let listen = format!("--slot 1s --listen 127.0.0.1:{PORT}");
        let state = format!("--state-dir {}", self.state.path().display());
        let options = format!("{listen} {state} {options}");
        let watched = self.lab.watched();
        let mut netwatch = Netwatch::spawn(command(watched, &options).args(["-i", watched.interface()]));
        netwatch.wait_for("watching nw0");
        netwatch
    }

    /// Options for netwatch to ask for a token, and the token.
    pub fn with_token(&self) -> (String, &'static str) {
        let token = "a-token-of-forty-letters-0123456789abcdef";
        let (file, config) = (self.state.path().join("token"), self.state.path().join("netwatch.toml"));
        std::fs::write(&file, token).unwrap();
        std::fs::write(&config, format!("[web]\ntoken_file = {:?}\n", file.to_str().unwrap())).unwrap();
        (format!("-c {}", config.display()), token)
    }

    /// A browser, which is nowhere yet.
    #[track_caller]
    pub fn browser(&self) -> Browser<'_> {
        Browser::start(self.lab.watched(), &self.programs, &format!("http://127.0.0.1:{PORT}"))
    }

    /// Probes fifty ports.
    pub fn scan(&self, source: Ipv4Addr) {
        let before = self.lab.watched().counters().unwrap().rx_packets;
        let frames = scenario::syn_scan(source.into(), self.lab.watched().ipv4().into(), 1..=50);
        self.lab.outside().sender().unwrap().send_all(frames, None).unwrap();
        self.lab.watched().received(before + 50, PATIENCE).unwrap();
    }

    /// Some seconds of what passes on any network, so that there is something to see.
    pub fn stir(&self) {
        let sender = self.lab.outside().sender().unwrap();
        for number in 0..40_u32 {
            let source = Ipv4Addr::from_bits(0xc000_0200 + number % 7);
            for _ in 0..=number % 5 {
                let frames = scenario::syn_scan(source.into(), self.lab.watched().ipv4().into(), 440..=443);
                sender.send_all(frames, None).unwrap();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Puts incidents into the history, while netwatch does not run.
    pub fn remember(&self, incidents: impl Iterator<Item = Incident>) {
        let mut store =
            Store::start(Some(self.state.path()), &HistorySettings::default(), ago(0)).unwrap().store;
        for (number, incident) in (1..).zip(incidents) {
            while store.state().waiting > 5_000 {
                std::thread::sleep(Duration::from_millis(5));
            }
            let told = Told {
                number,
                at: incident.updated_at,
                step: if incident.state == Life::Open { Step::Open } else { Step::Close },
                weight: netwatch::analysis::Severity::Medium,
                text: incident.text.clone().into(),
                incident: Some(incident.into()),
                eve: "{}".into(),
            };
            store.offer(&told.into());
        }
        let state = store.finish(PATIENCE);
        assert_eq!((state.dropped, state.waiting, state.trouble), (0, 0, None));
    }
}

/// Gives a file to whoever called sudo, in whose folder it is: root's would be in their way.
pub fn give_back(file: &Path) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let (Some(user), Some(group)) = (number("SUDO_UID"), number("SUDO_GID")) {
        std::os::unix::fs::lchown(file, Some(user), Some(group)).unwrap();
    }
}

/// So many seconds ago.
pub fn ago(seconds: u64) -> Time {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let micros = now.saturating_sub(Duration::from_secs(seconds)).as_micros();
    Time::from_micros(i64::try_from(micros).unwrap())
}

/// An incident that is over, the `number`th of many, each a minute older than the one before.
pub fn incident(number: u32, text: &str) -> Incident {
    let at = ago(60 * u64::from(number % 20_000) + 60);
    let severity = ["low", "medium", "high", "critical"][number as usize % 4];
    let rule = ["scan.vertical", "scan.slow", "dos.rate"][number as usize % 3];
    let source = Ipv4Addr::from_bits(0xc612_0000 + number % 5_000).to_string();
    serde_json::from_value(json!({
        "id": format!("made-{number:06}"), "rule": rule, "severity": severity, "weight": severity, "state": "closed",
        "close_reason": "quiet", "interface": "nw0", "source": source, "src_ip": source, "dest_ip": "198.51.100.1",
        "opened_at": at, "updated_at": at, "closed_at": at, "first_seen": at, "last_seen": at,
        "observed": 11, "peak": 11, "threshold": 10, "unit": "ports", "window_s": 60.0, "first_ports": [1, 2, 3],
        "destinations": 1, "first_destinations": ["198.51.100.1"], "sources": 1, "techniques": ["syn"],
        "evidence": {"syn": 11}, "packets": 11, "bytes": 660, "spoofable": true, "degraded": false,
        "confidence": "flows", "suppressed": 0, "attack_id": "T1046", "reference": "docs/rules.md#scanvertical",
        "text": text,
    }))
    .unwrap()
}
