//! What the user types. [`config`](crate::config) turns it into what the program needs. Here are the subcommands; the
//! options of the larger ones are in modules of their own.

mod alerts;
mod feeds;
mod replay;
mod report;
mod run;
mod signatures;
mod top;
mod values;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use alerts::{AlertsArgs, AlertsFormat, LifeName};
pub use feeds::{FeedArgs, FeedsCommand};
pub use replay::{EngineWish, ReplayArgs, SuggestArgs};
pub use report::ReportArgs;
pub use run::{PlaceArgs, RunArgs, SettingArgs};
pub use signatures::{ChosenArgs, ProtoName, SenderName, SignaturesCommand};
pub use top::{TopArgs, URL as TOP_URL};
pub use values::{Format, LogLevel, MinSeverity, Profile, WatchMode, When};
pub use watch::WatchArgs;

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
    #[command(after_help = run::help())]
    Run(Box<RunArgs>),
    /// Show packets as they pass
    #[command(after_help = watch::HELP)]
    Watch(Box<WatchArgs>),
    /// Show what was told, from the history
    #[command(after_help = alerts::HELP)]
    Alerts(Box<AlertsArgs>),
    /// Show what is seen and found at a glance, in a terminal
    #[command(after_help = top::HELP)]
    Top(Box<TopArgs>),
    /// Write a report of some time as one HTML file, for handing on
    #[command(after_help = report::HELP)]
    Report(Box<ReportArgs>),
    /// Find the same in recorded traffic: captures in pcap or pcapng, plain, gz or zstd
    #[command(after_help = replay::REPLAY_HELP)]
    Replay(Box<ReplayArgs>),
    /// Find the thresholds that would have given few alerts on recorded traffic
    #[command(after_help = replay::SUGGEST_HELP)]
    Suggest(Box<SuggestArgs>),
    /// Tell whether this machine can run netwatch, and what to do where it cannot
    #[command(after_help = "Exit codes: 0 it can (warnings included), 1 there is a problem.")]
    Check(CheckArgs),
    /// List the rules, or explain one
    #[command(subcommand)]
    Rules(RulesCommand),
    /// List feeds of addresses that are known to be bad, check their files, or look an address up
    #[command(subcommand)]
    Feeds(FeedsCommand),
    /// List the payload signatures, check files of them, or try them on bytes
    #[command(subcommand)]
    Signatures(SignaturesCommand),
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
  10 a capture cannot be read, or is damaged: what could be read of it was used
  11 a filter was given, and libpcap, which knows the language, is not installed
  12 the address to listen on is taken or not available
  13 there is no history, or it cannot be read
  14 no netwatch answers, or it wants a token";

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
