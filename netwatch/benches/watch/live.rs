//! Live views, and others that show packets, under a flood.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aya::Ebpf;
use aya::programs::{Xdp, XdpMode};
use netwatch::kernel::object;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xtask::lab::Lab;

use crate::support::generator::{Generator, Sent};
use crate::support::process;
use crate::support::table::float;
use crate::support::traffic::{Kind, Traffic};

/// How long a watcher has after the last packet to deal with what lies in its queues.
const CATCH_UP: Duration = Duration::from_millis(300);

/// Who watches.
pub struct Watcher {
    pub name: &'static str,
    /// The program, or netwatch where it is empty, and its arguments.
    program: &'static str,
    arguments: &'static [&'static str],
    /// What it says when it is ready.
    ready: &'static str,
}

const fn view(name: &'static str, arguments: &'static [&'static str]) -> Watcher {
    Watcher { name, program: "", arguments, ready: "watching nw0" }
}

const fn tcpdump(name: &'static str, arguments: &'static [&'static str]) -> Watcher {
    Watcher { name, program: "tcpdump", arguments, ready: "listening on" }
}

pub const WATCHERS: [Watcher; 7] = [
    Watcher { name: "nobody", program: "cat", arguments: &[], ready: "" },
    view("watch, nothing matches", &["watch", "-i", "nw0", "udp port 53"]),
    view("watch --rate 1000/s", &["watch", "-i", "nw0", "--rate", "1000/s"]),
    view("watch, all, as lines", &["watch", "-i", "nw0", "--rate", "none"]),
    view("watch -w, all", &["watch", "-i", "nw0", "-w", "-", "-s", "96"]),
    tcpdump("tcpdump, nothing matches", &["-nn", "-i", "nw0", "-w", "-", "-s", "96", "udp port 53"]),
    tcpdump("tcpdump -w, all", &["-nn", "-i", "nw0", "-w", "-", "-s", "96"]),
];

/// What one round has shown.
pub struct Round {
    sent: Sent,
    arrived: u64,
    cpu: Duration,
    shown: u64,
    /// Whether what it says it has seen is what has arrived, where it says so.
    pub is_whole: bool,
}

impl Round {
    /// Nanoseconds for a packet.
    pub fn ns(&self) -> f64 {
        self.sent.ns()
    }

    /// Seconds of the watcher's own processor time for a million packets that have arrived.
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / float(self.arrived.max(1))
    }

    /// Of what has arrived, what was shown.
    pub fn share_shown(&self) -> f64 {
        float(self.shown) / float(self.arrived.max(1))
    }
}

impl Watcher {
    /// Watches while packets come for so long, in a laboratory of its own. Nothing where it is not installed.
    pub fn watch(&self, netwatch: &Path, time: Duration) -> anyhow::Result<Option<Round>> {
        let lab = Lab::new()?;
        let mut generator = Generator::load()?;
        generator.set(&[Traffic::ipv4(Kind::Syn).random_sources(1_000)])?;
        // Frames that the kernel lets a program send are taken by native XDP alone.
        let mut object = Ebpf::load(object::reference().context("built without the reference programs")?)?;
        let pass: &mut Xdp = object.program_mut("reference_pass").context("no such program")?.try_into()?;
        pass.load()?;
        lab.watched().run(|| pass.attach(lab.watched().interface(), XdpMode::Driver))??;
        let program = if self.program.is_empty() { netwatch } else { Path::new(self.program) };
        let mut command = lab.watched().command(program);
        command.args(self.arguments).stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::piped());
        let mut child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            child => child.with_context(|| self.name)?,
        };
        let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
        let mut line = String::new();
        while !self.ready.is_empty() && !line.contains(self.ready) {
            line.clear();
            ensure!(stderr.read_line(&mut line)? > 0, "{} ended early", self.name);
        }
        let received = lab.watched().counters()?.rx_packets;
        let before = process::sample(child.id())?;
        let sent = generator.send(&lab, None, |sent| sent.wall < time)?;
        thread::sleep(CATCH_UP);
        let cpu = process::sample(child.id())?.cpu.saturating_sub(before.cpu);
        let arrived = lab.watched().counters()?.rx_packets - received;
        let said = end(&mut child, stderr)?;
        let number = |word: &str| -> Option<u64> {
            let line = said.lines().find(|line| line.contains(word))?;
            line.split(word).next()?.split_whitespace().last()?.parse().ok()
        };
        let seen = number(" packets seen");
        let shown = number(" shown").or_else(|| number(" packets captured")).unwrap_or(0);
        // Answers of the host, which go out, are seen, too.
        let is_whole = seen.is_none_or(|seen| seen >= arrived) && !said.contains("unaccounted");
        Ok(Some(Round { sent, arrived, cpu, shown, is_whole }))
    }
}

/// Interrupts it, and returns what it says at the end.
fn end(child: &mut Child, mut stderr: impl std::io::Read) -> anyhow::Result<String> {
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let mut said = String::new();
    stderr.read_to_string(&mut said)?;
    child.wait()?;
    Ok(said)
}
