//! Builds, as the user; runs what was built, as root.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::ebpf;
use crate::host;
use crate::setup::{self, Purpose};

/// `cargo xtask build`.
///
/// # Errors
/// Set-up or build failed.
pub fn build(release: bool) -> Result<()> {
    setup::run(Purpose::Build)?;
    kernel_programs()?;
    let path = netwatch(release)?;
    host::note(&format!("built {}", path.display()));
    Ok(())
}

/// `cargo xtask run`: becomes netwatch, so that signals and the exit code are its own.
///
/// # Errors
/// Set-up or build failed, or netwatch cannot be started.
pub fn run(args: Vec<String>) -> Result<()> {
    setup::run(Purpose::Build)?;
    kernel_programs()?;
    let path = netwatch(true)?.display().to_string();
    let args = with_verb(args);
    let mut command = if needs_root(&args) {
        host::as_root(&path, &args, "load programs into the kernel")?
    } else {
        let mut command = Command::new(&path);
        command.args(&args);
        command
    };
    Err(anyhow!(command.exec()).context(format!("cannot run `{}`", host::spelled(&command))))
}

/// `cargo xtask demo`: builds as the user, then becomes the demonstration as root.
///
/// # Errors
/// Set-up or build failed, or the demonstration cannot be started.
pub fn demo() -> Result<()> {
    setup::run(Purpose::Laboratory)?;
    kernel_programs()?;
    let path = netwatch(true)?.display().to_string();
    let this = std::env::current_exe().context("cannot find this command's own path")?;
    let mut command =
        host::as_root(&this.display().to_string(), &["stage".to_owned(), path], "make network namespaces")?;
    Err(anyhow!(command.exec()).context(format!("cannot run `{}`", host::spelled(&command))))
}

/// `cargo xtask bench`.
///
/// # Errors
/// Set-up or build failed, or the benchmark does.
pub fn bench(name: &str, args: &[String]) -> Result<()> {
    setup::run(Purpose::Laboratory)?;
    kernel_programs()?;
    let path = host::step("benchmark", "", || {
        executable(&["bench", "--package", "netwatch", "--bench", name, "--no-run"], "bench", name)
    })?;
    // Cargo tells a benchmark so; one that uses a harness needs it.
    let args: Vec<_> = std::iter::once("--bench".to_owned()).chain(args.iter().cloned()).collect();
    let mut command = host::as_root(&path.display().to_string(), &args, "load programs into the kernel")?;
    let status = command.current_dir(host::root()).status().context("cannot run the benchmark")?;
    if !status.success() {
        bail!("the benchmark failed ({status})");
    }
    Ok(())
}

/// Builds the kernel programs first and alone: in a build script, cargo would hide their progress.
///
/// # Errors
/// They do not build.
pub fn kernel_programs() -> Result<()> {
    host::step("kernel programs", "", || {
        ebpf::build(&host::root()).map(drop).map_err(|message| anyhow!(message))
    })
}

fn netwatch(release: bool) -> Result<PathBuf> {
    host::step("netwatch", "", || {
        let mut arguments = vec!["build", "--package", "netwatch", "--bin", "netwatch"];
        arguments.extend(release.then_some("--release"));
        executable(&arguments, "bin", "netwatch")
    })
}

/// Builds with cargo and asks it where one executable is, which configuration may have moved.
///
/// # Errors
/// The build fails, or has no such executable.
pub fn executable(arguments: &[&str], kind: &str, name: &str) -> Result<PathBuf> {
    executable_by(host::cargo(), arguments, kind, name)
}

/// As [`executable`], with a cargo that was told more.
///
/// # Errors
/// The same.
pub fn executable_by(mut cargo: Command, arguments: &[&str], kind: &str, name: &str) -> Result<PathBuf> {
    cargo.args(arguments).arg("--message-format=json-render-diagnostics");
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no standard output")?;
    let mut found = None;
    for line in BufReader::new(output).lines() {
        found = executable_in(&line?, kind, name).or(found);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`cargo {}` failed ({status})", arguments.join(" "));
    }
    found.with_context(|| format!("`cargo {}` made no executable `{name}`", arguments.join(" ")))
}

/// The path in one of cargo's messages, if it is about this executable.
fn executable_in(message: &str, kind: &str, name: &str) -> Option<PathBuf> {
    let (_, target) = message.split_once(r#""target":{"#)?;
    let is_it = target.starts_with(&format!(r#""kind":["{kind}"]"#)) && string_field(target, "name")? == name;
    is_it.then(|| string_field(target, "executable").map(PathBuf::from))?
}

/// A text in cargo's JSON. Its messages are one line each and without blanks, and a path holds no other escapes.
fn string_field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!(r#""{name}":""#))?;
    let mut text = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
}

/// netwatch's main job is the verb `run`.
fn with_verb(mut args: Vec<String>) -> Vec<String> {
    if args.first().is_none_or(|first| first.starts_with('-')) {
        args.insert(0, "run".into());
    }
    args
}

fn needs_root(args: &[String]) -> bool {
    let asks = ["help", "-h", "--help", "-V", "--version"];
    !args.iter().any(|argument| asks.contains(&argument.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{executable_in, needs_root, with_verb};
    use std::path::PathBuf;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn the_main_job_needs_no_verb() {
        assert_eq!(with_verb(words("")), ["run"]);
        assert_eq!(with_verb(words("--interface eth0")), words("run --interface eth0"));
        assert_eq!(with_verb(words("doctor")), ["doctor"]);
    }

    #[test]
    fn help_needs_no_root() {
        assert!(needs_root(&words("run --interface eth0")));
        assert!(!needs_root(&words("run --help")));
    }

    #[test]
    fn cargo_says_where_the_executable_is() {
        let message = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///r/netwatch#0.1.0","manifest_path":"/r/netwatch/Cargo.toml","target":{{"kind":["{kind}"],"crate_types":["bin"],"name":"netwatch","src_path":"/r/netwatch/src/main.rs"}},"filenames":["/r/x"],"executable":{executable},"fresh":true}}"#
            )
        };
        let found = |kind, executable| executable_in(&message(kind, executable), "bin", "netwatch");
        assert_eq!(found("bin", r#""/a \"b\"/netwatch""#), Some(PathBuf::from("/a \"b\"/netwatch")));
        assert_eq!(found("bin", "null"), None);
        assert_eq!(found("test", r#""/r/x""#), None);
        assert_eq!(executable_in(r#"{"reason":"build-finished","success":true}"#, "bin", "netwatch"), None);
    }
}
