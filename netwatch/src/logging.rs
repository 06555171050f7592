//! What netwatch says about itself: on stderr, never on stdout.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;

use crate::cli::LogLevel;

/// Starts logging to stderr. The kernel program's records come through the `log` facade, at their own level.
pub fn start(level: LogLevel, kernel: LogLevel) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_target(false)
        // Where stderr is gone, as with a terminal that hung up, saying so on stderr would panic.
        .log_internal_errors(false)
        .with_max_level(filter(level.max(kernel)))
        .finish();
    // Fails only where a subscriber was set before: in a test that starts two.
    let _ = tracing::subscriber::set_global_default(subscriber);
    // Libraries speak through the same facade, of what is of no use to a user.
    let program = tracing_log::LogTracer::builder()
        .ignore_all(["aya", "netlink", "rtnetlink"])
        .with_max_level(match kernel {
            LogLevel::Off => log::LevelFilter::Off,
            LogLevel::Error => log::LevelFilter::Error,
            LogLevel::Warn => log::LevelFilter::Warn,
            LogLevel::Info => log::LevelFilter::Info,
            LogLevel::Debug => log::LevelFilter::Debug,
            LogLevel::Trace => log::LevelFilter::Trace,
        });
    let _ = program.init();
}

/// Opens the file for the verifier's log, or stderr where it is called `-`. To be done before privileges are
/// dropped, without which root may not write where the user wants it.
///
/// # Errors
///
/// The file cannot be made.
pub fn open_verifier_log(file: &Path) -> anyhow::Result<Box<dyn io::Write>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stderr()));
    }
    let opened = File::create(file);
    Ok(Box::new(opened.with_context(|| format!("open {} for the verifier's log", file.display()))?))
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
