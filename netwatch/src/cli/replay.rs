//! The options of `netwatch replay` and `netwatch suggest`, which read recorded traffic.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{LogLevel, SettingArgs, When};

/// Options of `netwatch replay`.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("config", |arg| arg.help(CONFIG_OF_CAPTURES)),
    mut_arg("mode", |arg| arg.help(MODE_OF_CAPTURES)),
    mut_arg("local", |arg| arg.help(LOCAL_OF_CAPTURES)),
)]
pub struct ReplayArgs {
    /// The captures
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// What counts the packets
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    pub engine: EngineWish,

    /// Print a summary instead of alerts: classes, top sources and ports, and the incidents as a table
    #[arg(long)]
    pub summary: bool,

    /// What a file can say too.
    #[command(flatten)]
    pub settings: SettingArgs,

    /// Colour text alerts [default: on a terminal, unless NO_COLOR is set]
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,

    /// What netwatch says about itself on stderr, progress included
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log: LogLevel,
}

/// Options of `netwatch suggest`.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("config", |arg| arg.help(CONFIG_OF_CAPTURES)),
    mut_arg("mode", |arg| arg.help(MODE_OF_CAPTURES)),
    mut_arg("local", |arg| arg.help(LOCAL_OF_CAPTURES)),
    mut_arg("format", |arg| arg.hide(true)),
)]
pub struct SuggestArgs {
    /// Captures of the traffic that is usual; several, or repeat it
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub from: Vec<PathBuf>,

    /// How many alerts there may be in a day of it
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub per_day: u32,

    /// What counts the packets
    #[arg(long, value_enum, default_value = "host", value_name = "ENGINE")]
    pub engine: EngineWish,

    /// What a file can say too; the format of alerts is none of it.
    #[command(flatten)]
    pub settings: SettingArgs,

    /// What netwatch says about itself on stderr, progress included
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log: LogLevel,
}

const CONFIG_OF_CAPTURES: &str = "Configuration file [default: none]";
const MODE_OF_CAPTURES: &str = "How replies are told from probes [default: mirror; flags where the captures have one \
                                direction only]";
const LOCAL_OF_CAPTURES: &str =
    "Network that is ours, like 192.0.2.0/24; repeat for several [default: guessed from the captures]";

/// What counts recorded packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineWish {
    /// The kernel's program where it may be loaded, the host otherwise
    #[default]
    Auto,
    /// The program that watches interfaces, run on each packet
    Kernel,
    /// The same parser and counters without the kernel: faster, and needs no privileges
    Host,
}

pub(super) const REPLAY_HELP: &str = "\
Alerts go to stdout as `netwatch run` would have printed them, with the times of the packets; everything else goes
to stderr. `-` is standard input. Several captures are merged by time. A capture holds both directions, so `--mode`
is `mirror` unless said otherwise; with `--mode host`, packets of local addresses are what the host sent.

Feeds and payload signatures tell what they would tell in `run`, whatever its rate: connections of which
the beginning is not in the capture are not looked into. Feeds end by the time of the first packet.

Engines: `kernel` runs each packet through the program that `run` attaches, which needs its privileges; `host` counts
in the same way without the kernel, and with the same results. Ctrl-C ends the replay where it is, and sums up.

Exit codes: see `netwatch --help`.";

pub(super) const SUGGEST_HELP: &str = "\
Prints a configuration file: the settings that were said, and the thresholds that have to be raised. Comments
list what is no longer told: see whether one of that was an attack. The captures are replayed again and again,
the last time with what is printed, so `netwatch replay` tells as many alerts with it as it says.

An alert is an incident that is opened and printed (see `--min-severity`); updates and ends are not counted.
Less than a day is taken as a day, and hours without any packet are no time. Nothing is lowered, and
netwatch.degraded stays as it is. Stopped before it is done, netwatch prints nothing and ends with 1.

Exit codes: see `netwatch --help`.";
