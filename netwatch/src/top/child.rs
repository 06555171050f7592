//! A watch of our own, where no daemon is asked: `netwatch run` as a child, which ends with us and serves nobody else.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::signals::{self, Signals};
use super::words::harmless;

/// How long it may take until it serves.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end: it counts the last packets and detaches.
const STOP: Duration = Duration::from_secs(15);
/// Lines of what it said that are kept, and letters of each.
const SAID: (usize, usize) = (20, 2_000);
/// What stands before the URL in what it says.
const SERVING: &str = "serving ";

/// The variable that tells a watch whose it is. Not for users, so no help lists it.
const PARENT: &str = "NETWATCH_PARENT";

/// Lets this process end with the dashboard that started it, where one has.
///
/// The watch sees to it by itself, and as its first deed: what was set before the kernel started the program is cleared where
/// its file has capabilities.
///
/// # Errors
///
/// The dashboard has ended already.
pub fn end_with_parent() -> anyhow::Result<()> {
    let Some(parent) = std::env::var_os(PARENT) else { return Ok(()) };
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).context("ask to be told of the parent's end")?;
    // It may have died before that.
    let is_there =
        parent.to_str().and_then(|parent| parent.parse().ok()) == Some(nix::unistd::getppid().as_raw());
    anyhow::ensure!(is_there, "{PARENT} names a dashboard that has ended; unset it to watch without one");
    Ok(())
}

/// The directory with a token, for whoever ends without dropping anything.
static LEFT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Takes away a token that the watch has not read yet.
pub fn forget_token() {
    if let Some(path) = LEFT.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = fs::remove_dir_all(path);
    }
}

/// Why there is no watch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something of ours failed.
    #[error("{0}")]
    Start(String),
    /// It ended, and this is what it said last.
    #[error("{}", says(.said))]
    Ended {
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// What it said, the newest last.
        said: Vec<String>,
    },
}

/// The last line says why, by netwatch's own name or not.
fn says(said: &[String]) -> String {
    match said.last() {
        Some(last) => format!("the watch ended: {}", last.trim_start_matches("netwatch: ")),
        None => "the watch ended and did not say why; `netwatch run` may".into(),
    }
}

/// Whether options of `netwatch run` leave alone what the dashboard needs of it: where it serves, and the line that says so.
///
/// # Errors
///
/// A sentence that names the option that is not for others.
pub fn check(options: &[String]) -> Result<(), String> {
    for option in options {
        let name = option.split('=').next().unwrap_or_default();
        if matches!(name, "--listen" | "--log") {
            return Err(format!("{name}: `netwatch top -i` sets it by itself; leave it out"));
        }
    }
    Ok(())
}

/// What it said last.
type Said = Arc<Mutex<VecDeque<String>>>;

/// The child. It is ended with this value.
pub struct Watch {
    child: Child,
    said: Said,
    /// Closes when its stderr does.
    lines: Option<thread::JoinHandle<()>>,
    /// Where it serves.
    pub url: String,
    /// What to show it, where it has one of ours.
    pub token: Option<String>,
    /// Its directory, which goes as soon as the watch has read what is in it: whatever ends us then leaves no token behind.
    dir: Option<Dir>,
}

impl Watch {
    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    ///
    /// It cannot be started, or ends at once.
    pub fn start(interfaces: &[String], options: &[String], signals: &Signals) -> Result<Self, Error> {
        let failed = |what: &str, error: &dyn core::fmt::Display| Error::Start(format!("{what}: {error}"));
        let program = std::env::current_exe().map_err(|error| failed("find netwatch itself", &error))?;
        let dir = Dir::new().map_err(|error| failed("make a private directory", &error))?;
        *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir.0.clone());
        let mut command = Command::new(program);
        command.arg("run").args(["--listen", "127.0.0.1:0"]);
        for interface in interfaces {
            command.args(["-i", interface]);
        }
        // A configuration file is theirs or ours. Theirs may want a token, which they then give.
        let has_own = options.iter().any(|option| {
            option == "--config" || option.starts_with("--config=") || option.starts_with("-c")
        });
        let token = match has_own {
            true => None,
            false => {
                let (file, token) = dir.token().map_err(|error| failed("write a token", &error))?;
                command.arg("--config").arg(file);
                Some(token)
            }
        };
        command.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // What is typed on the terminal is for the dashboard.
        command.process_group(0);
        command.env(PARENT, nix::unistd::getpid().to_string());
        // SAFETY: between fork and exec this makes a system call only, which is allowed there.
        unsafe {
            // The signals that end us are blocked here, for one thread to wait for; the watch listens to them by itself.
            command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?));
        }
        let mut child = command.spawn().map_err(|error| failed("start `netwatch run`", &error))?;
        let said = Said::default();
        let (serves, served) = sync_channel(1);
        let stderr = child.stderr.take();
        let for_thread = Arc::clone(&said);
        let read = move || {
            if let Some(stderr) = stderr {
                listen(stderr, &for_thread, &serves);
            }
        };
        let lines = thread::Builder::new().name("netwatch-said".into()).spawn(read);
        let lines = Some(lines.map_err(|error| failed("start a thread", &error))?);
        let mut watch = Self { child, said, lines, url: String::new(), token, dir: Some(dir) };
        watch.url = watch.wait(&served, signals)?;
        watch.dir = None;
        Ok(watch)
    }

    fn wait(&mut self, served: &Receiver<String>, signals: &Signals) -> Result<String, Error> {
        let start = Instant::now();
        while !signals.is_over() {
            match served.recv_timeout(signals::LOOK) {
                Ok(url) => return Ok(url),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if start.elapsed() < START => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::Start(format!("the watch does not serve after {START:?}")));
                }
            }
        }
        Err(Error::Start("a signal ended it before the watch served".into()))
    }

    /// What became of it, where it has ended without being asked to.
    pub fn ended_early(&mut self) -> Option<Error> {
        match self.child.try_wait() {
            Ok(Some(_)) => Some(self.ended()),
            Ok(None) | Err(_) => None,
        }
    }

    /// What it said by its end, which has come.
    fn ended(&mut self) -> Error {
        let code = self.child.wait().ok().and_then(|status| status.code());
        if let Some(lines) = self.lines.take() {
            let _ = lines.join();
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        Error::Ended { code, said: said.iter().cloned().collect() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let start = Instant::now();
        let mut signal = Some(Signal::SIGTERM);
        while matches!(self.child.try_wait(), Ok(None)) {
            if let (Some(signal), Ok(pid)) = (signal.take(), i32::try_from(self.child.id())) {
                let _ = kill(Pid::from_raw(pid), signal);
            }
            if start.elapsed() > STOP {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Reads what it says to the end, so that it never waits for us, and tells where it serves.
fn listen(stderr: impl Read, said: &Said, serves: &SyncSender<String>) {
    let mut stderr = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match (&mut stderr).take(SAID.1 as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = harmless(String::from_utf8_lossy(&line).trim_end());
        if let Some((_, url)) = line.split_once(SERVING)
            && url.starts_with("http")
        {
            let _ = serves.try_send(url.trim_end_matches('/').to_owned());
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= SAID.0 {
            said.pop_front();
        }
        said.push_back(line);
    }
}

/// A directory that nobody else may look into, and that goes with this value.
struct Dir(PathBuf);

impl Dir {
    fn new() -> io::Result<Self> {
        // A name that is taken belongs to somebody else.
        let name = format!("netwatch-top-{}", random()?);
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// A configuration file with a token; the file, and the token.
    fn token(&self) -> io::Result<(PathBuf, String)> {
        let (token, token_file, config) = (random()?, self.0.join("token"), self.0.join("netwatch.toml"));
        write(&token_file, &token)?;
        let quoted = token_file.to_str().filter(|path| !path.contains(['\'', '\n']));
        let Some(quoted) = quoted else {
            return Err(io::Error::other(
                "TMPDIR has a quote in it, or is no text; set it to another directory",
            ));
        };
        write(&config, &format!("[web]\ntoken_file = '{quoted}'\n"))?;
        Ok((config, token))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// 32 hexadecimal digits that nobody guesses.
fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_token_is_private_and_goes_with_the_watch() {
        let dir = Dir::new().unwrap();
        let (config, token) = dir.token().unwrap();
        assert_eq!(token.len(), 32);
        for file in [&config, &config.with_file_name("token")] {
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        }
        let path = dir.0.clone();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn what_it_says_is_kept_in_bounds_and_names_where_it_serves() {
        let said = Said::default();
        let (serves, served) = sync_channel(1);
        let mut text = "noise\nserving nothing\n2026 INFO serving http://127.0.0.1:4/\n".to_owned();
        text.push_str(&"x".repeat(100_000));
        text.push_str("\nnetwatch: the\x1b end\n");
        listen(text.as_bytes(), &said, &serves);
        assert_eq!(served.recv().unwrap(), "http://127.0.0.1:4");
        let said: Vec<_> = said.lock().unwrap().iter().cloned().collect();
        assert!(said.len() <= SAID.0);
        assert_eq!(Error::Ended { code: None, said }.to_string(), "the watch ended: the? end");
    }
}
