//! The machine that this runs on: who runs it, what is on it, and how long things take.

use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

use crate::ebpf;

/// The top folder of the repository.
pub fn root() -> PathBuf {
    // Cargo tells it to what it runs, which stays right when the repository has moved since the build.
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map(Path::to_owned).unwrap_or(package)
}

pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Why this must not go on: root's files in a user's checkout would break the user's next build.
pub fn builds_for_someone_else(root: &Path) -> bool {
    let sudo_user = env::var("SUDO_UID").is_ok_and(|uid| uid != "0");
    is_root() && sudo_user && fs::metadata(root).is_ok_and(|folder| folder.uid() != 0)
}

/// A program on `PATH`, or in the folders for administrators that a user's `PATH` often lacks.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The cargo that the user called.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` lends these to xtask; the builds that xtask starts are not xtask's own.
    cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH").env_remove("LD_LIBRARY_PATH");
    cargo.current_dir(root());
    cargo
}

/// The command as root: through sudo, after saying so, unless this is root already.
///
/// # Errors
/// There is no sudo; the message holds the command for somebody who is root.
pub fn as_root(program: &str, arguments: &[String], why: &str) -> Result<Command> {
    let mut words = vec![program.to_owned()];
    words.extend_from_slice(arguments);
    if is_root() {
        let mut command = Command::new(program);
        command.args(arguments);
        return Ok(command);
    }
    let line = words.join(" ");
    let Some(sudo) = which("sudo") else {
        bail!("cannot {why}: it needs root and there is no sudo here; as root, run `{line}`");
    };
    note(&format!("to {why}: sudo {line}"));
    let mut command = Command::new(sudo);
    command.args(words);
    Ok(command)
}

/// Runs a child whose output is progress: all of it goes to standard error.
///
/// # Errors
/// It cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let line = spelled(command);
    let status = command.stdout(io::stderr()).status().with_context(|| format!("cannot run `{line}`"))?;
    check(status, &line)
}

/// As [`run`], but gives up after a while.
///
/// # Errors
/// It cannot be started, fails, or takes too long.
pub fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    let line = spelled(command);
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return check(status, &line);
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("`{line}` was stopped after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// What a short child says, or nothing when it fails.
pub fn ask(program: &str, arguments: &[&str]) -> String {
    ebpf::stdout(Command::new(program).args(arguments).stderr(Stdio::null())).unwrap_or_default()
}

fn check(status: ExitStatus, line: &str) -> Result<()> {
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// A command as it could be typed.
pub fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// One line of progress.
pub fn note(text: &str) {
    eprintln!("    {text}");
}

/// Announces a step, does it, and says how long it took if that was long.
///
/// # Errors
/// The step's own.
pub fn step<T>(what: &str, why: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let (bold, plain) = if io::stderr().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    eprintln!("{bold}==> {what}{plain}{why}");
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "failed" };
    if started.elapsed() > Duration::from_secs(1) || result.is_err() {
        note(&format!("{verdict} after {:.1} s", started.elapsed().as_secs_f64()));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::run_within;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn a_child_that_takes_too_long_is_stopped() {
        let error = run_within(Duration::from_millis(200), Command::new("sleep").arg("60")).unwrap_err();
        assert!(error.to_string().starts_with("`sleep 60` was stopped after"), "{error}");
    }
}
