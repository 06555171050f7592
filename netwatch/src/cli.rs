//! What the user types. [`config`](crate::config) turns it into what the program needs.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::analysis::rules::RULES;
use crate::guide;
use crate::kernel::ModeWish;

/// netwatch counts every packet of a network interface inside the kernel and turns the counts into alerts.
#[derive(Debug, Parser)]
#[command(name = "netwatch", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch interfaces and print alerts
    #[command(after_help = run_help())]
    Run(Box<RunArgs>),
    /// Find the same in recorded traffic: captures in pcap or pcapng, plain, gz or zstd
    #[command(after_help = REPLAY_HELP)]
    Replay(Box<ReplayArgs>),
    /// Find the thresholds that would have given few alerts on recorded traffic
    #[command(after_help = SUGGEST_HELP)]
    Suggest(Box<SuggestArgs>),
    /// Tell whether this machine can run netwatch, and what to do where it cannot
    #[command(after_help = "Exit codes: 0 it can (warnings included), 1 there is a problem.")]
    Check(CheckArgs),
    /// List the rules, or explain one
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Check a configuration file, or show what is in effect
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// The subcommands of `netwatch config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Tell all that is wrong with a configuration file
    #[command(after_help = "Exit codes: 0 it is right, 2 it is not.")]
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what `netwatch run` makes of the same options, and where each value comes from
    Show {
        /// Where to watch.
        #[command(flatten)]
        place: PlaceArgs,

        /// What a file can say too.
        #[command(flatten)]
        settings: Box<SettingArgs>,

        /// Everything, defaults too
        #[arg(long)]
        effective: bool,
    },
}

/// The subcommands of `netwatch rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// One line per rule: its name, default threshold, severity and what it finds
    List,
    /// What a rule measures, why it fires, what it spares, and what to do about it
    Explain {
        /// The rule, like scan.vertical
        #[arg(value_name = "RULE")]
        rule: String,
    },
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped by Ctrl-C, SIGTERM or a closed pipe
  1  failed for a reason that has no code of its own
  2  a bad option or value, or a configuration file that is not right
  3  no such interface
  4  no permission
  5  the kernel is too old
  6  no memory for the maps
  7  the kernel's verifier refused the program
  8  the interface is taken, or does not do what was asked of it
  9  built without the kernel program
  10 a capture cannot be read, or is damaged: what could be read of it was used";

const REPLAY_HELP: &str = "\
Alerts go to stdout as `netwatch run` would have printed them, with the times of the packets; everything else goes
to stderr. `-` is standard input. Several captures are merged by time. A capture holds both directions, so `--mode`
is `mirror` unless said otherwise; with `--mode host`, packets of local addresses are what the host sent.

Engines: `kernel` runs each packet through the program that `run` attaches, which needs its privileges; `host` counts
in the same way without the kernel, and with the same results. Ctrl-C ends the replay where it is, and sums up.

Exit codes: see `netwatch --help`.";

const SUGGEST_HELP: &str = "\
Prints a configuration file: the settings that were said, and the thresholds that have to be raised. Comments
list what is no longer told: see whether one of that was an attack. The captures are replayed again and again,
the last time with what is printed, so `netwatch replay` tells as many alerts with it as it says.

An alert is an incident that is opened and printed (see `--min-severity`); updates and ends are not counted.
Less than a day is taken as a day, and hours without any packet are no time. Nothing is lowered, and
netwatch.degraded stays as it is. Stopped before it is done, netwatch prints nothing and ends with 1.

Exit codes: see `netwatch --help`.";

/// What follows the options in `netwatch run --help`; the rules come from their one table.
fn run_help() -> String {
    let mut help = "\
Alerts go to stdout, everything else to stderr. Ctrl-C or SIGTERM counts the last packets, prints what is due
and detaches. SIGHUP reads the configuration file again: rules, allow-list, local networks, min_severity and
notifications_per_minute change, counts and incidents go on, and a file that is not right changes nothing.

Rules; each fires when there is more of this than the threshold, over the window or as it says:
"
    .to_owned();
    for rule in RULES {
        let _ = writeln!(
            help,
            "  {:<17}  {:<21} {:>6}  {:<6}  {}",
            rule.name,
            rule.unit,
            rule.threshold,
            guide::over(&rule),
            rule.severity.name()
        );
    }
    help.push_str("`netwatch rules explain RULE` tells more.\n\nExit codes: see `netwatch --help`.");
    help
}

/// Options of `netwatch run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Where to watch.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// What a file can say too.
    #[command(flatten)]
    pub settings: SettingArgs,

    /// Stop by itself after this long [default: never]
    #[arg(long = "for", value_name = "DURATION")]
    pub stop_after: Option<String>,

    /// Colour text alerts [default: on a terminal, unless NO_COLOR is set]
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,

    /// What netwatch says about itself on stderr
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log: LogLevel,

    /// What the kernel program says about itself on stderr; costs up to 200 ns for each packet it speaks of
    #[arg(long, value_enum, default_value = "off", value_name = "LEVEL")]
    pub kernel_log: LogLevel,

    /// Write the verifier's whole log here where it refuses the program; `-`, the default, is stderr
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub verifier_log: Option<PathBuf>,
}

/// Where `netwatch run` watches. A configuration file can say it too, and the option wins.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// Interface to watch; repeat for several [default: that of the default route]
    #[arg(short, long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,

    /// How the program is attached [default: auto]
    #[arg(long, value_enum, value_name = "MODE")]
    pub xdp_mode: Option<ModeWish>,
}

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

/// Settings that a configuration file can have too, where the option wins. Their defaults are those of
/// [`config`](crate::config), which is why none is set here.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingArgs {
    /// Configuration file; read again on SIGHUP [default: none]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What is counted [default: balanced]
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub profile: Option<Profile>,

    /// How alerts are written [default: text]
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Least severity that is printed; the others are counted [default: low]
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub min_severity: Option<MinSeverity>,

    /// Where netwatch stands, and so how it tells replies from probes [default: host]
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<WatchMode>,

    /// Network that is ours, like 192.0.2.0/24; repeat for several [default: none]
    #[arg(long, value_name = "PREFIX")]
    pub local: Vec<String>,

    /// How far back a rule looks [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub window: Option<String>,

    /// How often counts are read; the window slides by this much [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub slot: Option<String>,

    /// Threshold of a rule; repeat for several
    #[arg(long = "threshold", value_name = "RULE=N")]
    pub thresholds: Vec<String>,

    /// Memory for the kernel's maps, per interface [default: 128M]
    #[arg(long, value_name = "SIZE")]
    pub map_memory: Option<String>,
}

/// Options of `netwatch check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Interface to check; repeat for several [default: that of the default route]
    #[arg(short, long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,

    /// Memory for the kernel's maps, per interface
    #[arg(long, default_value = "128M", value_name = "SIZE")]
    pub map_memory: String,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Evidence of scans, and packets that nobody asked for
    #[default]
    Balanced,
    /// Every packet, in windows that do not overlap: as simple watchers do
    Literal,
}

/// Where netwatch stands, and so how replies are told from probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WatchMode {
    /// On the host: by what it sends on the interface; by their flags where that cannot be seen
    #[default]
    Host,
    /// On a SPAN port or tap, where both directions arrive: by what goes the other way
    Mirror,
    /// Anywhere: by TCP flags and UDP ports alone
    Flags,
}

/// How alerts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for people
    #[default]
    Text,
    /// A line of JSON after Suricata's EVE schema
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Severities as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MinSeverity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// Log levels, from silent to everything. The discriminants are aya-log's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u8)]
pub enum LogLevel {
    Off = 0,
    Error = 1,
    Warn = 2,
    #[default]
    Info = 3,
    Debug = 4,
    Trace = 5,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
