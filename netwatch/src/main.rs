//! The netwatch command.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use netwatch::cli::{CheckArgs, Cli, Command, ConfigCommand, RulesCommand, RunArgs};
use netwatch::config::Config;
use netwatch::kernel::{Error, host};
use netwatch::{app, check, exit, guide, logging};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Check(args) => run_check(&args),
        Command::Rules(RulesCommand::List) => print(&guide::list()),
        Command::Rules(RulesCommand::Explain { rule }) => {
            guide::explain(&rule).map_err(|wrong| exit::Usage(wrong).into()).and_then(|text| print(&text))
        }
        Command::Config(ConfigCommand::Show { settings, effective }) => {
            let config = Config::from_settings(&settings).map_err(|wrong| exit::Usage(wrong).into());
            config.and_then(|config| print(&config.toml(effective)))
        }
        Command::Config(ConfigCommand::Check { file }) => match Config::check(&file) {
            Ok(()) => print(&format!("{}: ok\n", file.display())),
            Err(problems) => Err(exit::Usage(problems.join("\n")).into()),
        },
    };
    result.unwrap_or_else(|error| {
        // Where stderr is gone, the exit code has to say it.
        let _ = writeln!(std::io::stderr(), "netwatch: {error:#}");
        exit::code(&error)
    })
}

fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = Config::from_args(args).map_err(exit::Usage)?;
    logging::start(args.log);
    let verifier_log = args.verifier_log.as_deref().map(logging::open_verifier_log).transpose()?;
    host::drop_privileges().context("drop privileges")?;
    let result = runtime()?.block_on(app::run(config, args.color));
    if let (Err(error), Some(file)) = (&result, verifier_log)
        && let Some(Error::Verifier { log, .. }) = error.downcast_ref()
    {
        logging::write_verifier_log(file, log)?;
    }
    result.map(|()| ExitCode::SUCCESS)
}

fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let lines = runtime()?.block_on(check::check(&args.interfaces, &args.map_memory))?;
    check::print(&lines)
}

/// Prints what was asked for. A reader who closes the pipe has seen enough.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("write"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// One thread: one loop owns the state. What blocks goes to threads of its own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the async runtime")
}
