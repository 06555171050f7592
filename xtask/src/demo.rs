//! `cargo xtask demo`: netwatch at work on traffic made for it, in about half a minute.
//!
//! Everything happens between two network namespaces that nothing leads out of, and that end with the process.
#![expect(clippy::print_stderr, reason = "the narrator's voice is this command's output")]

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, Child, ChildStderr, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, killpg, sigaction};
use nix::unistd::Pid;

use crate::lab::Lab;
use crate::traffic::Sender;
use crate::traffic::scenario::{self, Crossing};

/// What scans.
const SCANNER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
/// What floods.
const FLOODER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66));

/// How long netwatch may take to start, and again to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks at what else has happened.
const STEP: Duration = Duration::from_millis(50);

/// Exit code of a command that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

static STOP: AtomicBool = AtomicBool::new(false);

/// Runs the demonstration with the netwatch binary at `netwatch`.
///
/// After Ctrl-C it ends the process with exit code 130, once netwatch has said its last words.
///
/// # Errors
///
/// Where the laboratory cannot be made, or netwatch does not start, ends early or fails.
pub fn run(netwatch: &Path) -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler only stores to an atomic, which is allowed at any moment.
        unsafe { sigaction(signal, &action) }.context("preparing for Ctrl-C")?;
    }
    let lab = Lab::new().context("making the laboratory")?;
    let mut watcher = Watcher::start(netwatch, &lab)?;
    let played = play(&lab, &mut watcher);
    let ended = watcher.stop();
    drop(lab);

    if STOP.load(Ordering::Relaxed) {
        if let Err(error) = ended {
            tell(&format!("{error:#}"));
        }
        leave();
    }
    played?;
    let status = ended?;
    // Some programs report the signal that they were asked to end with.
    if !status.success() && status.code() != Some(INTERRUPTED) {
        bail!("netwatch ended with {}", describe(status));
    }
    Ok(())
}

/// The scenes, in their order. Ends early, and in peace, on Ctrl-C.
fn play(lab: &Lab, watcher: &mut Watcher) -> Result<()> {
    let host = IpAddr::from(lab.watched().ipv4());
    let (outside, inside) = (lab.outside().sender()?, lab.watched().sender()?);
    if !watcher.ready()? {
        return Ok(());
    }

    tell("ordinary traffic for 6 seconds: pages, lookups, pings. Nothing should be said about it");
    let mut rounds = scenario::ordinary(host, 120);
    while watcher.pause(STEP)? {
        // About one round at a time.
        let round: Vec<_> = rounds.by_ref().take(45).collect();
        if round.is_empty() {
            break;
        }
        for crossing in round {
            match crossing {
                Crossing::In(frame) => outside.send(&frame)?,
                Crossing::Out(frame) => inside.send(&frame)?,
            };
        }
    }

    if !watcher.pause(Duration::ZERO)? {
        return Ok(());
    }

    tell(&format!("a SYN scan of 1,000 ports from {SCANNER}"));
    watcher.send(&outside, scenario::syn_scan(SCANNER, host, 1..=1000), 25)?;
    if !watcher.pause(Duration::from_secs(5))? {
        return Ok(());
    }

    tell(&format!("a flood of 20,000 SYNs to port 443 from {FLOODER}"));
    watcher.send(&outside, scenario::syn_flood(FLOODER, host, 443, 20_000), 250)?;
    if watcher.pause(Duration::from_secs(6))? {
        tell("the end; netwatch sums up");
    }
    Ok(())
}

/// netwatch, running on the watched side.
struct Watcher {
    child: Child,
    /// Says when netwatch has announced that it is watching, and hangs up when its stderr ends.
    watching: Receiver<()>,
}

impl Watcher {
    fn start(netwatch: &Path, lab: &Lab) -> Result<Self> {
        let interface = lab.watched().interface();
        let mut child = lab
            .watched()
            .command(netwatch)
            .args(["run", "-i", interface, "--slot", "1s"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C reaches it through this process alone, once.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", netwatch.display()))?;
        let stderr = child.stderr.take().context("reading netwatch's stderr")?;
        let watching = follow(stderr, format!("watching {interface}"));
        Ok(Self { child, watching })
    }

    /// Waits until netwatch watches; says whether to go on.
    fn ready(&mut self) -> Result<bool> {
        let start = Instant::now();
        while self.pause(STEP)? {
            match self.watching.try_recv() {
                Ok(()) => return Ok(true),
                Err(_) if start.elapsed() < PATIENCE => {}
                Err(_) => bail!("netwatch has not begun to watch within {} seconds", PATIENCE.as_secs()),
            }
        }
        Ok(false)
    }

    /// Sends frames, `step` of them at a time.
    fn send(
        &mut self,
        sender: &Sender,
        mut frames: impl Iterator<Item = Vec<u8>>,
        step: usize,
    ) -> Result<()> {
        while self.pause(STEP)? && sender.send_all(frames.by_ref().take(step), None)?.accepted > 0 {}
        Ok(())
    }

    /// Lets `time` pass; says whether to go on.
    ///
    /// # Errors
    ///
    /// Where netwatch ends meanwhile.
    fn pause(&mut self, time: Duration) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            if STOP.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if let Some(status) = self.child.try_wait().context("looking after netwatch")? {
                bail!("netwatch ended early, with {}", describe(status));
            }
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(true);
            }
            thread::sleep(rest.min(STEP));
        }
    }

    /// Asks netwatch to end, and waits for its summary.
    fn stop(mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        if self.child.try_wait()?.is_none() {
            kill(self.pid()?, Signal::SIGTERM).context("asking netwatch to end")?;
        }
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() < PATIENCE => thread::sleep(STEP),
                None => {
                    // The whole group, which is netwatch's own, so that nobody keeps the namespace.
                    killpg(self.pid()?, Signal::SIGKILL).context("ending netwatch")?;
                    self.child.wait()?;
                    bail!("netwatch had to be killed: it ignored SIGTERM for {} seconds", PATIENCE.as_secs());
                }
            }
        };
        // Its last lines may still be on their way. A process that it left behind could hold stderr open, so
        // this is not for ever.
        while self.watching.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Disconnected) {
            if start.elapsed() > PATIENCE {
                break;
            }
        }
        Ok(status)
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id()).context("naming netwatch's process")?))
    }
}

/// Passes on each line of `stderr`, and reports those that contain `sign`.
fn follow(stderr: ChildStderr, sign: String) -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("{line}");
            if line.contains(&sign) {
                // Nobody listens any more once netwatch has begun.
                let _ = sender.send(());
            }
        }
    });
    receiver
}

fn tell(line: &str) {
    eprintln!("demo: {line}");
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

extern "C" fn note(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

#[expect(clippy::exit, reason = "an exit code of its own, when everything has been put away")]
fn leave() -> ! {
    process::exit(INTERRUPTED)
}
