//! Options of `netwatch top`.

use std::path::PathBuf;

use clap::Args;

/// Where a daemon answers unless it was told otherwise.
pub const URL: &str = "http://127.0.0.1:8080";

/// What `netwatch top --help` says behind the options.
pub(super) const HELP: &str = "\
Examples:
  netwatch top                                  what the daemon of this machine sees
  netwatch top --url https://watch.example.org:8443 --token-file token
  netwatch top -i eth0 -- --slot 1s             watch by itself, with options of `netwatch run`
  netwatch top --once                           one screen as text

The token can also be in NETWATCH_TOKEN. In the dashboard, `?` lists the keys.

Exit codes: see `netwatch --help`; 14 says that nobody answers, or not to us. With -i, those of `netwatch run`.";

/// Whom to ask, and how to show it.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Where a running netwatch serves
    #[arg(long, default_value = URL, value_name = "URL", conflicts_with = "interfaces")]
    pub url: String,

    /// File with the token that the daemon wants
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// File of certificates to trust, in PEM [default: those that the system trusts]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Watch this interface by itself, without a daemon; repeat for several
    #[arg(short, long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,

    /// Least time between two drawings, 50ms to 60s
    #[arg(long, default_value = "250ms", value_name = "DURATION")]
    pub refresh: String,

    /// Use no colours; so do NO_COLOR and TERM=dumb
    #[arg(long)]
    pub no_color: bool,

    /// Use ASCII alone; so does a locale that is not UTF-8
    #[arg(long)]
    pub ascii: bool,

    /// Print one screen as text, and end
    #[arg(long)]
    pub once: bool,

    /// Columns and rows of that screen
    #[arg(long, default_value = "80x24", value_name = "COLUMNSxROWS", value_parser = size, requires = "once")]
    pub size: (u16, u16),

    /// With -i, options of `netwatch run`
    #[arg(last = true, value_name = "OPTIONS", requires = "interfaces")]
    pub run_options: Vec<String>,
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let numbers =
        text.split_once('x').and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
    numbers
        .filter(|(columns, rows)| (1..=1_000).contains(columns) && (1..=1_000).contains(rows))
        .ok_or_else(|| "write it like 80x24; 1000 of each at most".into())
}
