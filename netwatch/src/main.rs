//! The netwatch command.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use clap::Parser as _;
use netwatch::capture::Captures;
use netwatch::cli::{CheckArgs, Cli, Command, PlaceArgs, ReplayArgs, RunArgs, SuggestArgs, WatchArgs};
use netwatch::config::Config;
use netwatch::kernel::{Error, host};
use netwatch::{app, check, commands, exit, heap, logging, replay, suggest, top, watch};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Watch(args) => watch(&args),
        Command::Alerts(args) => commands::alerts(&args),
        Command::Top(args) => top::run(&args),
        Command::Report(args) => commands::report(&args),
        Command::Replay(args) => replay(*args),
        Command::Suggest(args) => suggest(*args),
        Command::Check(args) => run_check(&args),
        Command::Rules(command) => commands::rules(&command),
        Command::Feeds(command) => commands::feeds(&command),
        Command::Signatures(command) => commands::signatures(command),
        Command::Config(command) => commands::config(&command),
    };
    result.unwrap_or_else(|error| {
        // Where stderr is gone, the exit code has to say it.
        let _ = writeln!(std::io::stderr(), "netwatch: {error:#}");
        exit::code(&error)
    })
}

fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    top::end_with_parent()?;
    heap::give_back_large_blocks();
    let config = Config::from_args(args).map_err(exit::Usage)?;
    logging::start(args.log);
    let verifier_log = args.verifier_log.as_deref().map(logging::open_verifier_log).transpose()?;
    host::drop_privileges().context("drop privileges")?;
    let result = runtime()?.block_on(app::run(config, args.color));
    tell_verifier(&result, verifier_log)?;
    result.map(|()| ExitCode::SUCCESS)
}

fn watch(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    let wish = watch::Wish::from_args(args).map_err(exit::Usage)?;
    logging::start(args.log);
    let verifier_log = args.verifier_log.as_deref().map(logging::open_verifier_log).transpose()?;
    // Root may write where others may not, until it drops that privilege.
    let open = |path: &PathBuf| watch::open(path).with_context(|| format!("open {}", path.display()));
    let file = wish.file.as_ref().map(open).transpose()?;
    host::drop_privileges().context("drop privileges")?;
    let result = runtime()?.block_on(watch::run(wish, file));
    tell_verifier(&result, verifier_log)?;
    result.map(|()| ExitCode::SUCCESS)
}

fn replay(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = Config::from_settings(&args.settings, &PlaceArgs::default()).map_err(exit::Usage)?;
    logging::start(args.log);
    // Root may read what others may not, until it drops that privilege.
    let stop = Arc::new(AtomicBool::new(false));
    let captures = Captures::open_until(&args.files, &stop)?;
    host::drop_privileges().context("drop privileges")?;
    replay::run(config, args, captures, &stop)
}

fn suggest(args: SuggestArgs) -> anyhow::Result<ExitCode> {
    let config = suggest::config(&args).map_err(exit::Usage)?;
    logging::start(args.log);
    let stop = Arc::new(AtomicBool::new(false));
    let files = suggest::Files::open(&args.from)?;
    host::drop_privileges().context("drop privileges")?;
    suggest::run(config, args, files, &stop)
}

fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let lines = runtime()?.block_on(check::check(&args.interfaces, &args.map_memory))?;
    check::print(&lines)
}

/// Writes the verifier's log where it was asked for and there is one.
fn tell_verifier(result: &anyhow::Result<()>, file: Option<Option<File>>) -> anyhow::Result<()> {
    if let (Err(error), Some(file)) = (result, file)
        && let Some(Error::Verifier { log, .. }) = error.downcast_ref()
    {
        logging::write_verifier_log(file, log)?;
    }
    Ok(())
}

/// One thread: one loop owns the state. What blocks goes to threads of its own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the async runtime")
}
