//! Options of `netwatch alerts`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::MinSeverity;

/// What `netwatch alerts --help` says behind the options.
pub(super) const HELP: &str = "\
Examples:
  netwatch alerts --since 1h                 what was told within the last hour, the newest last
  netwatch alerts --src 203.0.113.7 --follow what is told of a source, and what will be
  netwatch alerts --state open --format json incidents that go on, one JSON object a line

Exit codes: 0 done, 2 a bad option or value, 13 there is no history, or it cannot be read.";

/// Which incidents, and how they are printed.
#[derive(Args, Clone, Debug)]
pub struct AlertsArgs {
    /// Directory in which netwatch keeps its state [default: /var/lib/netwatch]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state_dir: Option<PathBuf>,

    /// Configuration file that names that directory
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Told of at this time or later: so long ago, like 1h, or a time like 2026-12-31T18:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Told of last before this time, likewise
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Of this rule, like scan.vertical
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,

    /// From this address, or from a network with it
    #[arg(long, value_name = "ADDRESS")]
    pub src: Option<IpAddr>,

    /// To this address
    #[arg(long, value_name = "ADDRESS")]
    pub dest: Option<IpAddr>,

    /// At least this severe
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub severity: Option<MinSeverity>,

    /// On this interface
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,

    /// That go on, or that are over
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: Option<LifeName>,

    /// How many at most, the newest [default: 100, or all with --since]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Wait for more, and print each incident again when it changes
    #[arg(short, long)]
    pub follow: bool,

    /// How they are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: AlertsFormat,
}

/// Whether an incident goes on, as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LifeName {
    Open,
    Closed,
}

/// How incidents are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AlertsFormat {
    /// A line for people
    #[default]
    Text,
    /// A line of JSON: the incident as `/alerts` has it
    Json,
}
