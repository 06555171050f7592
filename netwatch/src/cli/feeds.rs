//! Options of `netwatch feeds`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The subcommands of `netwatch feeds`.
#[derive(Debug, Subcommand)]
pub enum FeedsCommand {
    /// One line per feed: its entries, its age, and what is wrong with it
    #[command(after_help = "Exit codes: 0 all can be used, 2 one cannot.")]
    List(FeedArgs),
    /// Tell what files hold, and which lines are not understood
    #[command(
        after_help = "Exit codes: 0 all lines are understood, 2 some are not, or a file cannot be read."
    )]
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,

        /// Prefixes may be as wide as they like
        #[arg(long)]
        allow_wide: bool,
    },
    /// Tell which feeds list an address, and where
    #[command(after_help = "Exit codes: 0 it is listed, 1 it is not, 2 a feed cannot be used.")]
    Lookup {
        /// The address
        #[arg(value_name = "ADDRESS")]
        address: IpAddr,

        /// Where to look.
        #[command(flatten)]
        feeds: FeedArgs,
    },
}

/// Which feeds.
#[derive(Args, Clone, Debug)]
pub struct FeedArgs {
    /// Configuration file that names them [default: none]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// One of them; repeat for several
    #[arg(long = "feed", value_name = "NAME=FILE")]
    pub feeds: Vec<String>,
}
