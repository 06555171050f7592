//! Options of `netwatch report`.

use std::path::PathBuf;

use clap::Args;

/// What `netwatch report --help` says behind the options.
pub(super) const HELP: &str = "\
The file has all in it that it needs: no script, no picture from elsewhere. It shows what the history knows, whether or not
netwatch runs, and how much of the time was watched at all. A file that is there is replaced.

Examples:
  netwatch report --since 24h -o report.html
  netwatch report --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z --title November -o november.html

Exit codes: 0 done, 1 the file cannot be written, 2 a bad option or value, 13 there is no history, or it cannot be read.";

/// Of which time a report is made, and where it goes.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// From when on: so long ago, like 24h or 7d, or a time like 2026-12-31T18:00:00Z
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: String,

    /// Until before then, likewise [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Directory in which netwatch keeps its state [default: /var/lib/netwatch]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state_dir: Option<PathBuf>,

    /// Configuration file that names that directory
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What stands above the report [default: What netwatch saw]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// The file to write; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}
