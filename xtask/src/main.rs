//! The developer commands of netwatch.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod build;
mod ebpf;
mod fuzz;
mod host;
mod packages;
mod setup;
mod tally;
mod test;

/// Set-up, build, run, test, demo and benchmarks of netwatch. Every command does the set-up that it needs.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find or install what builds the kernel programs, and stop there.
    Setup,
    /// Build the kernel programs and netwatch.
    Build {
        /// With optimisation, as `run` does.
        #[arg(long)]
        release: bool,
    },
    /// Build netwatch with optimisation and run it, as root.
    Run {
        /// What netwatch is given; `run` is put in front where no verb is.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NETWATCH ARGS")]
        args: Vec<String>,
    },
    /// Check the format, the lints and the dependencies, and run every test; the kernel's as root.
    Test(test::Args),
    /// Show attacks in a laboratory of network namespaces, and what netwatch says of them.
    Demo,
    /// The part of `demo` that runs as root, with what the rest of it has built.
    #[command(hide = true)]
    Stage {
        /// The netwatch binary.
        netwatch: PathBuf,
    },
    /// Build a benchmark and run it as root.
    Bench {
        /// Which one: `kernel`, what a packet costs in the kernel; `throughput`, how many packets a second are seen; `drain`,
        /// what the end of a slot costs; `flood`, what forged sources do to all of it; `memory`, what is taken of a machine;
        /// `latency`, how soon an attack is told of; `replay`, how fast captures are read; `watch`, what a live view costs.
        /// docs/performance.md says how.
        name: String,
        /// What the benchmark is given.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let builds = !matches!(cli.verb, Verb::Stage { .. });
    if builds && host::builds_for_someone_else(&host::root()) {
        eprintln!(
            "error: this builds nothing as root in a user's folder: run `cargo xtask` without sudo, and it calls sudo \
             for the one thing that needs it (`sudo chown -R \"$USER\" target` gives back what cargo has made already)"
        );
        return ExitCode::from(2);
    }
    let result = match cli.verb {
        Verb::Setup => setup::run(setup::Purpose::Laboratory).map(drop),
        Verb::Build { release } => build::build(release),
        Verb::Run { args } => build::run(args),
        Verb::Test(args) => return test::run(&args),
        Verb::Demo => build::demo(),
        Verb::Stage { netwatch } => xtask::demo::run(&netwatch),
        Verb::Bench { name, args } => build::bench(&name, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
