//! `netwatch check`: can this machine run netwatch, and what to do where it cannot. docs/hardware.md has the reasons.
//!
//! `machine` and `memory` are about the machine; of an interface, `interface` says what attaching to it will do,
//! and `card` what its device does before netwatch sees a packet.

mod card;
mod drivers;
mod interface;
mod machine;
mod memory;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config;
use crate::ethtool;
use crate::exit::Usage;
use crate::iface::{Interface, Interfaces};
use crate::kernel::{Error, host};

use interface::Facts;

/// How one thing that was looked at stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As it should be.
    Ok,
    /// netwatch runs, but something is worth knowing.
    Warning,
    /// netwatch does not run, or not on this interface.
    Problem,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How it stands.
    pub standing: Standing,
    /// What was looked at.
    pub topic: String,
    /// What was found, and what to do about it.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = match self.standing {
            Standing::Ok => "ok",
            Standing::Warning => "warning",
            Standing::Problem => "problem",
        };
        write!(f, "{standing:<8} {:<14} {}", self.topic, self.text)
    }
}

/// Looks at the machine and at the named interfaces, or at that of the default route.
///
/// # Errors
///
/// A bad option; whatever is wrong with the machine is a line, not an error.
pub async fn check(names: &[String], map_memory: &str) -> anyhow::Result<Vec<Line>> {
    let names = config::interfaces(names).map_err(Usage)?;
    let map_memory = config::map_memory(map_memory).map_err(Usage)?;
    let mut lines = machine::lines();
    lines.extend(memory::lines(map_memory));
    lines.push(machine::trial(map_memory));
    let interfaces = Interfaces::connect()?;
    if names.is_empty() {
        match interfaces.of_default_route().await {
            Ok(interface) => lines.extend(about(&interface)),
            Err(error) => {
                lines.push(line(
                    Standing::Warning,
                    "interface",
                    format!("{error}, without which `run` ends"),
                ));
            }
        }
    }
    for name in &names {
        match interfaces.by_name(name).await? {
            Some(interface) => lines.extend(about(&interface)),
            None => {
                lines.push(line(Standing::Problem, name, Error::NoSuchInterface(name.clone()).to_string()));
            }
        }
    }
    Ok(lines)
}

/// What is to say about one interface.
fn about(interface: &Interface) -> Vec<Line> {
    interface::lines(&Facts {
        interface,
        driver: ethtool::driver(&interface.name).ok().as_ref(),
        kernel: host::kernel_version(),
        cpus: host::online_cpus(),
    })
}

fn line(standing: Standing, topic: &str, text: impl Into<String>) -> Line {
    Line { standing, topic: topic.to_owned(), text: text.into() }
}

/// Prints the lines and returns the exit code: 1 where there is a problem.
///
/// # Errors
///
/// stdout cannot be written; a closed pipe is no error.
pub fn print(lines: &[Line]) -> anyhow::Result<ExitCode> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let problem = lines.iter().any(|line| line.standing == Standing::Problem);
    Ok(if problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
