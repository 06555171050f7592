//! The options of `netwatch run`, and those that it shares.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Format, LogLevel, MinSeverity, Profile, WatchMode, When};
use crate::analysis::rules::RULES;
use crate::guide;
use crate::kernel::ModeWish;

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

/// Where `netwatch run` watches, where it keeps what it learns and sees, and where it serves it. A configuration file can say it too, and the option wins.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// Interface to watch; repeat for several [default: that of the default route]
    #[arg(short, long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,

    /// How the program is attached [default: auto]
    #[arg(long, value_enum, value_name = "MODE")]
    pub xdp_mode: Option<ModeWish>,

    /// Directory in which learned services outlive the run [default: none]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Directory in which the first packets of each incident's source are kept, as pcapng [default: none]
    #[arg(long, value_name = "DIR")]
    pub evidence: Option<PathBuf>,

    /// Where alerts go besides stdout, like file:/var/log/netwatch/eve.json; repeat for several [default: none]
    #[arg(long = "output", value_name = "KIND:TARGET")]
    pub outputs: Vec<String>,

    /// Where alerts are served over HTTP, or "none" [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
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

    /// Feed of addresses that are known to be bad; repeat for several [default: none]
    #[arg(long = "feed", value_name = "NAME=FILE")]
    pub feeds: Vec<String>,

    /// File of payload signatures beside those that come with netwatch; repeat for several [default: none]
    #[arg(long, value_name = "FILE")]
    pub signatures: Vec<PathBuf>,

    /// Memory for the kernel's maps, per interface [default: 128M]
    #[arg(long, value_name = "SIZE")]
    pub map_memory: Option<String>,
}

/// What follows the options in `netwatch run --help`; the rules come from their one table.
pub(super) fn help() -> String {
    let mut help = "\
Alerts go to stdout, everything else to stderr. Ctrl-C or SIGTERM counts the last packets, prints what is due
and detaches. SIGHUP reads the configuration file and feeds again: rules, allow-list, local networks, feeds,
min_severity and notifications_per_minute change, counts and incidents go on, and a file that is not right
changes nothing.

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
