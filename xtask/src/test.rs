//! `cargo xtask test`: every check that a change must pass, and the sum of them as the last line.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::build;
use crate::ebpf::{self, Toolchain};
use crate::fuzz;
use crate::host;
use crate::packages::Packages;
use crate::setup::{self, Purpose};
use crate::tally::Tally;

const CARGO_DENY: &str = "0.20.2";

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub struct Args {
    /// One check alone.
    #[arg(long, value_name = "CHECK")]
    only: Option<Check>,
    /// What the kernel and browser tests are given, such as part of a test's name.
    #[arg(last = true, value_name = "TEST ARGS")]
    given: Vec<String>,
}

/// In the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Check {
    /// The format of the sources.
    Format,
    /// The lints of all crates, for this machine.
    Lint,
    /// The lints of the kernel programs, for the kernel.
    KernelLint,
    /// Tests that need neither root nor a kernel: of units, documents and the command line.
    Unit,
    /// Tests in the kernel, as root, in network namespaces of their own.
    Kernel,
    /// The pages in headless Chromium, as root, in network namespaces.
    Browser,
    /// Some thousand captures that no capture program would write.
    Fuzz,
    /// Licences and origins of the dependencies.
    Dependencies,
}

/// Goes on after a failed check, so that one call shows all of them.
pub fn run(args: &Args) -> ExitCode {
    let started = Instant::now();
    let mut sum = Tally::default();
    match checks(args, &mut sum) {
        Ok(()) => {}
        Err(error) => {
            eprintln!("error: {error:#}");
            sum.failed += 1;
        }
    }
    host::note(&format!("all of it took {:.1} s", started.elapsed().as_secs_f64()));
    println!("{sum}");
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn checks(args: &Args, sum: &mut Tally) -> Result<()> {
    let wanted: Vec<_> =
        Check::value_variants().iter().filter(|check| args.only.is_none_or(|only| only == **check)).collect();
    let toolchain = setup::run(Purpose::Test)?;
    build::kernel_programs()?;
    for (index, check) in wanted.iter().enumerate() {
        let title = format!("[{}/{}] {}", index + 1, wanted.len(), check.title());
        let result = host::step(&title, "", || match check {
            Check::Format => {
                with_component("fmt", "rustfmt", &["--all", "--check"])?;
                // A workspace of its own.
                with_component("fmt", "rustfmt", &["--check", "--manifest-path", fuzz::MANIFEST])
            }
            Check::Lint => {
                with_component(
                    "clippy",
                    "clippy",
                    &["--workspace", "--all-targets", "--", "-D", "warnings"],
                )?;
                // A target that plain `cargo test` leaves alone is no part of "all".
                let by_root =
                    ["-p", "netwatch", "--test", "kernel", "--test", "browser", "--", "-D", "warnings"];
                with_component("clippy", "clippy", &by_root)
            }
            Check::KernelLint => kernel_lint(&toolchain),
            Check::Unit => unit(),
            Check::Kernel => by_root("kernel", "test in the kernel", &args.given),
            Check::Browser => browser(&args.given),
            Check::Fuzz => fuzz(),
            Check::Dependencies => dependencies(),
        });
        match result {
            Ok(tally) => *sum += tally,
            Err(error) => {
                eprintln!("error: {error:#}");
                sum.failed += 1;
            }
        }
    }
    Ok(())
}

impl Check {
    fn title(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lint => "lints",
            Self::KernelLint => "lints of the kernel programs",
            Self::Unit => "unit, document and command-line tests",
            Self::Kernel => "kernel tests",
            Self::Browser => "browser tests",
            Self::Fuzz => "fuzzing, a smoke run",
            Self::Dependencies => "dependencies",
        }
    }
}

fn skipped(why: &str) -> Tally {
    host::note(&format!("skipped: {why}"));
    Tally { skipped: 1, ..Tally::default() }
}

/// A cargo verb that a small installation lacks.
fn with_component(verb: &str, component: &str, arguments: &[&str]) -> Result<Tally> {
    let is_here =
        host::cargo().args([verb, "--version"]).output().is_ok_and(|output| output.status.success());
    if !is_here {
        return Ok(skipped(&format!("cargo {verb} is not here: run `rustup component add {component}`")));
    }
    host::run(host::cargo().arg(verb).args(arguments))?;
    Ok(Tally::default())
}

fn kernel_lint(toolchain: &Toolchain) -> Result<Tally> {
    if !setup::has_clippy(toolchain) {
        let by_hand = setup::clippy_by_hand(toolchain);
        return Ok(skipped(&format!("the Rust toolchain `{}` has no clippy: {by_hand}", toolchain.name)));
    }
    let root = host::root();
    // By its path: `cargo clippy` would take rustup's, which belongs to another toolchain.
    let mut clippy = ebpf::command(toolchain, "cargo-clippy", &root);
    clippy.arg("clippy").args(ebpf::arguments(&root)).args(["--bins", "--release", "--", "-D", "warnings"]);
    host::run(&mut clippy)?;
    Ok(Tally::default())
}

fn unit() -> Result<Tally> {
    count(host::cargo().args(["test", "--workspace", "--no-fail-fast"]))
}

/// The tests of the pages, for which a browser is installed where there is none.
fn browser(arguments: &[String]) -> Result<Tally> {
    if let Err(error) = setup::browser() {
        // Where nothing can be in the way, tests that never run must not look like tests that pass.
        let must = env::var_os("CI").is_some_and(|ci| !ci.is_empty())
            && host::is_root()
            && Packages::of_this_machine() == Packages::Apt;
        return if must { Err(error) } else { Ok(skipped(&format!("{error:#}"))) };
    }
    // The tests write into these as root; made here, they belong to whoever calls this.
    for folder in ["target/tools/axe", "target/screenshots"] {
        let folder = host::root().join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    by_root("browser", "test the pages in namespaces", arguments)
}

/// Tests of netwatch that need root: a target of their own, which plain `cargo test` leaves alone.
fn by_root(target: &str, why: &str, arguments: &[String]) -> Result<Tally> {
    let tests =
        build::executable(&["test", "--package", "netwatch", "--test", target, "--no-run"], "test", target)?;
    // Named one by one: sudo passes no variables on.
    let mut words: Vec<_> = ["CI", "RUST_BACKTRACE"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)))
        .collect();
    // A test that passes shows its output too, for its `skipped: ` lines.
    words.extend([tests.display().to_string(), "--show-output".into()]);
    words.extend_from_slice(arguments);
    let mut command = host::as_root("env", &words, why)?;
    Ok(count(command.current_dir(host::root()))?.without_skipped_among_passed())
}

/// Runs tests, shows their output as it comes, and counts.
fn count(command: &mut Command) -> Result<Tally> {
    let line = host::spelled(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run `{line}`"))?;
    let output = child.stdout.take().context("the tests have no standard output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        // It did not build, or died: nothing else says so in the sum.
        eprintln!("error: `{line}` failed ({status})");
        tally.failed += 1;
    }
    Ok(tally)
}

fn fuzz() -> Result<Tally> {
    if let Some(why) = fuzz::missing() {
        return Ok(skipped(&why));
    }
    fuzz::smoke()?;
    Ok(Tally { passed: 1, ..Tally::default() })
}

fn dependencies() -> Result<Tally> {
    let deny = match cargo_deny() {
        Ok(deny) => deny,
        Err(error) => return Ok(skipped(&format!("{error:#}"))),
    };
    let mut command = Command::new(deny);
    // Not the advisories: fetching them needs a server that may be out of reach.
    command.args(["--locked", "check", "bans", "licenses", "sources"]).current_dir(host::root());
    host::run(&mut command)?;
    Ok(Tally::default())
}

/// The pinned cargo-deny: the user's, this repository's, or a new one.
fn cargo_deny() -> Result<PathBuf> {
    let tools = host::root().join("target/tools");
    let own = tools.join("bin/cargo-deny");
    let pinned = format!("cargo-deny {CARGO_DENY}");
    let is_pinned = |path: &PathBuf| host::ask(&path.to_string_lossy(), &["--version"]).trim() == pinned;
    if let Some(found) = host::which("cargo-deny").into_iter().chain([own.clone()]).find(is_pinned) {
        return Ok(found);
    }
    let _lock = setup::alone(&host::root())?;
    host::note(&format!("{pinned} is not here; it is built once, in about two minutes"));
    let build = tools.join("build-deny");
    let mut cargo = host::cargo();
    cargo
        .args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--force", "--root"])
        .arg(&tools)
        .arg("--target-dir")
        .arg(&build)
        .env("PATH", setup::with_folder(&tools.join("bin"))?);
    host::run(&mut cargo).context("cargo-deny cannot be built")?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    if !is_pinned(&own) {
        bail!("cargo-deny was built but does not run: `{} --version` says why", own.display());
    }
    Ok(own)
}
