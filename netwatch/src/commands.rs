//! The commands that only print: `netwatch rules`, `netwatch signatures`, `netwatch config`, `netwatch feeds`, `netwatch alerts`
//! and `netwatch report`; `history` says where and when those two look.

mod alerts;
mod feeds;
mod history;
mod report;
mod signatures;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::{ConfigCommand, RulesCommand};
use crate::config::Config;
use crate::exit::Usage;
use crate::{clock, guide};

pub use alerts::alerts;
pub use feeds::feeds;
pub use report::report;
pub use signatures::signatures;

/// `netwatch rules`.
///
/// # Errors
///
/// There is no such rule, or nothing can be printed.
pub fn rules(command: &RulesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RulesCommand::List => print(&guide::list()),
        RulesCommand::Explain { rule } => print(&guide::explain(rule).map_err(Usage)?),
    }
}

/// `netwatch config`.
///
/// # Errors
///
/// All that is wrong with the file or the options, or nothing can be printed.
pub fn config(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Show { place, settings, effective } => {
            print(&Config::from_settings(settings, place).map_err(Usage)?.toml(*effective))
        }
        ConfigCommand::Check { file } => {
            let doubts = Config::check(file, clock::now()).map_err(|problems| Usage(problems.join("\n")))?;
            let doubts: String = doubts.iter().map(|doubt| format!("warning: {doubt}\n")).collect();
            print(&format!("{}: ok\n{doubts}", file.display()))
        }
    }
}

/// Prints what was asked for. A reader who closes the pipe has seen enough.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("write"),
        _ => Ok(ExitCode::SUCCESS),
    }
}
