//! Builds the fuzz targets and runs them for a moment. How to run them for longer is said in the targets.
//!
//! They are built by the compiler that builds everything else, with the flags that cargo-fuzz would give it, so that
//! neither cargo-fuzz nor a nightly compiler is needed. The one that these flags leave out is the address sanitizer's: it
//! needs a nightly compiler, and what is fuzzed has no unsafe code.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::host;

/// The manifest of the targets' own workspace.
pub const MANIFEST: &str = "netwatch/fuzz/Cargo.toml";

const TARGET: &str = "capture";
/// Inputs that a smoke run tries, always the same ones; they take a few seconds.
const RUNS: &str = "-runs=300000";
/// What coverage says to libFuzzer.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Why the targets cannot be built here, if they cannot.
pub fn missing() -> Option<String> {
    if env::var_os("CXX").is_none() && host::which("c++").is_none() {
        return Some("libFuzzer is written in C++ and there is no compiler for it here: install g++".into());
    }
    let mut cargo = host::cargo();
    cargo.args(["fetch", "--target", "host-tuple", "--manifest-path", MANIFEST]);
    host::run(&mut cargo).err().map(|error| format!("the sources of libFuzzer cannot be had: {error:#}"))
}

/// Builds the target and runs it.
///
/// # Errors
/// It does not build, or some input makes it fail; libFuzzer has said which.
pub fn smoke() -> Result<()> {
    let target = build()?;
    let folder = host::root().join("target/fuzz");
    // New each time, so that each run does the same.
    let found = folder.join("smoke");
    match fs::remove_dir_all(&found) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", found.display()));
        }
        _ => fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?,
    }
    let mut command = Command::new(target);
    command
        .arg(&found)
        .arg(host::root().join("netwatch/fuzz/seeds").join(TARGET))
        .args([RUNS, "-seed=1", "-max_len=4096", "-max_total_time=20"])
        // What takes a second or a gigabyte for a few kilobytes is a finding, too.
        .args(["-timeout=5", "-rss_limit_mb=1024", "-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", folder.display()))
        .current_dir(&folder)
        .stdin(Stdio::null());
    let line = host::spelled(&command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("{said}");
        bail!("`{line}` failed ({})", output.status);
    }
    for line in said.lines().filter_map(|line| line.strip_prefix("stat::")) {
        host::note(line);
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let mut cargo = host::cargo();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    // With a target named, build scripts and macros are built without these flags.
    let arguments = ["build", "--release", "--target", "host-tuple", "--target-dir", "target/fuzz"];
    build::executable_by(cargo, &[&arguments[..], &["--manifest-path", MANIFEST]].concat(), "bin", TARGET)
}
