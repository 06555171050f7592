//! How alerts get to stdout: in which form, in which colours, and by which thread.

use std::io::{self, IsTerminal as _};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::{Format, When};
use crate::clock;
use crate::config::Config;
use crate::outlet::{Outlet, Trouble};
use crate::sinks::{self, Output, Renderer, Wall};

/// What writes alerts to stdout, and what tells when it cannot.
pub fn output(config: &Config, color: When) -> (Output<Outlet>, UnboundedReceiver<Trouble>) {
    let renderer = renderer(config, color, Wall::new(clock::wall_offset_ns()), run_id());
    let (outlet, trouble) = Outlet::start(io::stdout());
    (Output::new(outlet, renderer).with_min_severity(config.min_severity), trouble)
}

/// How alerts are written to stdout.
pub fn renderer(config: &Config, color: When, wall: Wall, run: String) -> Renderer {
    let auto = || io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    Renderer {
        format: match config.format {
            Format::Text => sinks::Format::Text,
            Format::Json => sinks::Format::Json,
        },
        wall,
        run: run.into(),
        colour: match color {
            When::Auto => auto(),
            When::Always => true,
            When::Never => false,
        },
    }
}

/// Sets the incidents of this run apart from those of other runs and hosts: when it began, and its process.
fn run_id() -> String {
    let now_ns = i128::from(clock::monotonic_ns()) + i128::from(clock::wall_offset_ns());
    format!("{:x}-{:x}", now_ns / 1_000_000_000, std::process::id())
}
