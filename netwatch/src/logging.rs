//! What netwatch says about itself: on stderr, never on stdout.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::level_filters::LevelFilter;

use crate::cli::LogLevel;
use crate::kernel::program::Logger;

/// Starts logging to stderr.
pub fn start(level: LogLevel) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_target(false)
        // Where stderr is gone, as with a terminal that hung up, saying so on stderr would panic.
        .log_internal_errors(false)
        .with_max_level(filter(level))
        .finish();
    // Fails only where a subscriber was set before: in a test that starts two.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Writes what the kernel program logs to stderr, on a thread of its own: a flood may log faster than stderr
/// takes it. Records that come while the ring buffer is full are lost; the counters tell how many packets there
/// were.
pub fn read_kernel_log(mut logger: Logger) {
    thread::spawn(move || {
        loop {
            let mut waited = [PollFd::new(logger.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waited, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => logger.flush(),
                Err(_) => return,
            }
        }
    });
}

/// Where the kernel program's records go. They have passed the program's own level already.
pub struct KernelLog;

impl log::Log for KernelLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(io::stderr(), "kernel program: {} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Opens the file for the verifier's log, or nothing where it is called `-`. To be done before privileges are
/// dropped, without which root may not write where the user wants it. What is in the file stays until there is
/// something to write.
///
/// # Errors
///
/// The file cannot be opened.
pub fn open_verifier_log(file: &Path) -> anyhow::Result<Option<File>> {
    if file == Path::new("-") {
        return Ok(None);
    }
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(file);
    opened.map(Some).with_context(|| format!("open {} for the verifier's log", file.display()))
}

/// Writes the verifier's log to the file, or to stderr.
///
/// # Errors
///
/// It cannot be written.
pub fn write_verifier_log(file: Option<File>, log: &str) -> anyhow::Result<()> {
    match file {
        None => io::stderr().write_all(log.as_bytes()),
        Some(mut file) => file.set_len(0).and_then(|()| file.write_all(log.as_bytes())),
    }
    .context("write the verifier's log")
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
