//! The options of `netwatch watch`.

use std::path::PathBuf;

use clap::Args;

use super::{Format, LogLevel, When};
use crate::kernel::view::Direction;

/// Options of `netwatch watch`.
#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    /// Which packets to show, in tcpdump's language: `tcp port 443 and host 192.0.2.1`; all, where there is none
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Interface to watch [default: that of the default route]
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,

    /// Which packets, seen from this host
    #[arg(long, value_enum, default_value_t, value_name = "DIRECTION")]
    pub direction: Direction,

    /// Show the payload, too, in hex and ASCII
    #[arg(short = 'x', long)]
    pub payload: bool,

    /// Show one of so many packets
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: u32,

    /// Show so many packets at most, like 100/s or 600/m; `none` is no limit [default: 1000/s on a terminal, none elsewhere]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,

    /// Stop after so many packets [default: never]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop by itself after this long [default: never]
    #[arg(long = "for", value_name = "DURATION")]
    pub stop_after: Option<String>,

    /// Bytes to take of each packet, 64 to 16384 [default: 256; 2048 with --payload, 16384 with --write]
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..=16_384))]
    pub snaplen: Option<u32>,

    /// Write the packets to a file that Wireshark opens (pcapng), and print nothing; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// Print the packets, too, where they are written to a file
    #[arg(long, requires = "write")]
    pub print: bool,

    /// How packets are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Memory for packets on their way out of the kernel [default: 4M]
    #[arg(long, value_name = "SIZE")]
    pub buffer: Option<String>,

    /// Colour packets [default: on a terminal, unless NO_COLOR is set]
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,

    /// What netwatch says about itself on stderr
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log: LogLevel,

    /// Write the verifier's whole log here where it refuses a program; `-`, the default, is stderr
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub verifier_log: Option<PathBuf>,
}

pub(super) const HELP: &str = "\
A line is a packet: when (UTC), in or out, protocol, source and destination, TCP flags, bytes on the wire, and what
netwatch takes it for. Filter, --sample and --rate are kept in the kernel, so that a flood costs this host next to
nothing; what was not shown is counted by its reason, and told at the end. It works beside a running `netwatch run`.

TCP flags: S SYN, F FIN, R RST, P PSH, A ACK, U URG, E ECE, C CWR. What the host sends is of class known unless it
opens something. Before Linux 6.6 there can be one `netwatch watch` for an interface at a time.

Exit codes: see `netwatch --help`; with a filter, 2 says that it is not right, and 11 that libpcap is not installed.";
