//! `netwatch signatures`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use netwatch_common::Proto;

use super::SettingArgs;
use crate::signatures::Sender;

/// The subcommands of `netwatch signatures`.
#[derive(Debug, Subcommand)]
pub enum SignaturesCommand {
    /// One line per signature that is in effect: its name, severity, where it is looked for, and what it finds
    List {
        /// Which.
        #[command(flatten)]
        chosen: ChosenArgs,
    },
    /// All that a signature says: what it looks for and why, and where to read on
    Explain {
        /// The signature, like web.log4shell
        #[arg(value_name = "SIGNATURE")]
        signature: String,

        /// Among which.
        #[command(flatten)]
        chosen: ChosenArgs,
    },
    /// Tell all that is wrong with files of signatures
    #[command(after_help = "Exit codes: 0 they are right, 2 they are not.")]
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Tell which signatures are found in bytes, and where
    #[command(after_help = TEST_HELP)]
    Test {
        /// The bytes: payload as it is on the wire, without headers; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Only signatures that are looked for in this protocol
        #[arg(long, value_enum, value_name = "PROTO")]
        proto: Option<ProtoName>,

        /// Only signatures that are looked for on this port of the server
        #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,

        /// Only signatures that are looked for in what this side sends
        #[arg(long, value_enum, value_name = "SIDE")]
        from: Option<SenderName>,

        /// Among which.
        #[command(flatten)]
        chosen: ChosenArgs,
    },
}

const TEST_HELP: &str = "\
The bytes are taken for the first ones that one side of a flow sends, and more than are looked at there are left out.

Exit codes: 0 something was found, 1 nothing was, 2 a bad option, or a file that is not right.";

/// Which signatures.
#[derive(Args, Clone, Debug, Default)]
pub struct ChosenArgs {
    /// Configuration file, of which [signatures] counts [default: none]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// File of signatures beside those that come with netwatch; repeat for several [default: none]
    #[arg(long = "signatures", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl ChosenArgs {
    /// The same as options of `netwatch run`.
    #[must_use]
    pub fn settings(&self) -> SettingArgs {
        SettingArgs { config: self.config.clone(), signatures: self.files.clone(), ..SettingArgs::default() }
    }
}

/// Protocols as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProtoName {
    Tcp,
    Udp,
}

impl From<ProtoName> for Proto {
    fn from(name: ProtoName) -> Self {
        match name {
            ProtoName::Tcp => Self::Tcp,
            ProtoName::Udp => Self::Udp,
        }
    }
}

/// Sides of a flow as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SenderName {
    /// Who began it
    Client,
    /// Who was asked
    Server,
}

impl From<SenderName> for Sender {
    fn from(name: SenderName) -> Self {
        match name {
            SenderName::Client => Self::Client,
            SenderName::Server => Self::Server,
        }
    }
}
