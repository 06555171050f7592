//! The netwatch command as a user runs it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::Value;
use xtask::lab::Side;

use crate::incident::incidents;

/// How long anything may take before a test fails. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `netwatch run`.
pub struct Netwatch {
    child: Child,
    stderr: Receiver<String>,
    said: Vec<String>,
    stdout: Option<JoinHandle<Vec<String>>>,
    told: Arc<Mutex<Vec<(SystemTime, String)>>>,
}

/// A running `netwatch run` whose stdout is the test's own affair.
pub struct Bare {
    pub child: Child,
    said: BufReader<ChildStderr>,
}

impl Bare {
    /// Starts netwatch on nw0 and waits until it watches.
    pub fn start(side: &Side, options: &str, stdout: impl Into<Stdio>) -> Self {
        Self::start_command(command(side, options).args(["-i", "nw0"]), stdout)
    }

    /// Starts a command and waits until it watches.
    pub fn start_command(command: &mut Command, stdout: impl Into<Stdio>) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("watching nw0") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "netwatch ended early");
        }
        Self { child, said }
    }

    /// Waits for its end: the exit code, and what else it said.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

/// What is left of it.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

/// The command with small maps and JSON alerts.
pub fn command(side: &Side, options: &str) -> Command {
    let mut command = side.command(env!("CARGO_BIN_EXE_netwatch"));
    command.args(["run", "--format", "json"]);
    for (option, value) in [("--map-memory", "8M"), ("--slot", "1s")] {
        if !options.contains(option) {
            command.args([option, value]);
        }
    }
    command.args(options.split_whitespace()).stdin(Stdio::null());
    command
}

impl Netwatch {
    /// Starts netwatch on the side's interface and waits until it watches.
    pub fn start(side: &Side, options: &str) -> Self {
        let mut started = Self::spawn(command(side, options).args(["-i", side.interface()]));
        started.wait_for(&format!("watching {}", side.interface()));
        started
    }

    /// Starts a command and collects what it says.
    ///
    /// Tests may be run in the background, where a shell has interrupts ignored; netwatch would ignore them too.
    pub fn spawn(command: &mut Command) -> Self {
        // SAFETY: between fork and exec only signal dispositions are set, which is allowed there.
        unsafe {
            command.pre_exec(|| {
                for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
                    signal(number, SigHandler::SigDfl)?;
                }
                Ok(())
            });
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("netwatch starts");
        let (sender, stderr) = channel();
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let told = Arc::<Mutex<Vec<_>>>::default();
        let times = Arc::clone(&told);
        let note = move |line: &String| times.lock().unwrap().push((SystemTime::now(), line.clone()));
        let stdout = Some(thread::spawn(move || lines.map_while(Result::ok).inspect(note).collect()));
        Self { child, stderr, said: Vec::new(), stdout, told }
    }

    /// Waits until a line with `text` is on its stdout, and returns when it came.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str) -> SystemTime {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let told = self.told.lock().unwrap();
            if let Some((at, _)) = told.iter().find(|(_, line)| line.contains(text)) {
                return *at;
            }
            drop(told);
            thread::sleep(Duration::from_millis(5));
        }
        panic!("netwatch did not tell of {text:?}");
    }

    /// Waits until it says something that contains `text`, and returns that line.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.stderr.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        panic!("netwatch did not say {text:?}; it said {:#?}", self.said);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("the process is there");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "netwatch did not end; it said {:#?}", self.said);
            thread::sleep(Duration::from_millis(5));
        };
        let stdout = self.stdout.take().expect("once").join().expect("a reader");
        let mut stderr = std::mem::take(&mut self.said);
        stderr.extend(self.stderr.iter());
        Ended { status, stdout, stderr }
    }

    /// Interrupts it as Ctrl-C does and returns its alerts; it must end well.
    #[track_caller]
    pub fn alerts(self) -> Vec<Value> {
        self.signal(Signal::SIGINT);
        let ended = self.ended();
        assert!(ended.status.success(), "{}: {:#?}", ended.status, ended.stderr);
        let all = ended.stderr.join("\n");
        assert!(all.contains("unaccounted for: 0"), "{all}");
        ended.alerts()
    }
}

impl Drop for Netwatch {
    fn drop(&mut self) {
        // Ended already, mostly; a test that fails must not leave it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub fn alerts(&self) -> Vec<Value> {
        self.stdout.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// The incidents in alerts, as `rule whom peak`, sorted by the first two.
#[track_caller]
pub fn opened(alerts: &[Value]) -> Vec<String> {
    incidents(alerts).iter().map(|incident| format!("{} {}", incident.what(), incident.peak())).collect()
}
