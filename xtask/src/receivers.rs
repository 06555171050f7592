//! Programs that netwatch talks to in tests, like Prometheus: from `PATH`, or else out of Debian's packages, which are
//! unpacked and not installed, because an installed one would start its service.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so to whoever ran it")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io};

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};

/// Folders of programs in an unpacked package, and on the machine, beside those of `PATH`.
const FOLDERS: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];

/// A program that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Where its package was unpacked; none where it is installed.
    pub root: Option<PathBuf>,
}

impl Program {
    /// A command that runs it, with the libraries that were unpacked beside it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(root) = &self.root {
            let mut folders = libraries(root);
            folders.extend(env::var_os("LD_LIBRARY_PATH").iter().flat_map(env::split_paths));
            command.env("LD_LIBRARY_PATH", env::join_paths(folders).unwrap_or_default());
        }
        command
    }
}

/// Finds a program, or unpacks it from these packages; all that are not installed and that it needs are to be named.
/// Says `skipped` on stderr where there is none.
#[must_use]
pub fn program(name: &str, packages: &[&str]) -> Option<Program> {
    if let Some(path) = installed(name) {
        return Some(Program { path, root: None });
    }
    match unpacked(name, packages) {
        Ok(program) => Some(program),
        Err(error) => {
            eprintln!("skipped: there is no {name} here, and its packages cannot be unpacked: {error:#}");
            None
        }
    }
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(FOLDERS.iter().map(|folder| Path::new("/").join(folder)));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Unpacks the packages, once for all tests that ask for it.
fn unpacked(name: &str, packages: &[&str]) -> Result<Program> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/receivers");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    // Other tests may be at the same: they wait, and find it done.
    let lock = File::create(folder.join("lock"))?;
    let _alone = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
    let root = folder.join(packages.join("+"));
    let find = || FOLDERS.iter().map(|folder| root.join(folder).join(name)).find(|file| file.is_file());
    // It gets its name only when it is complete.
    if !root.is_dir() {
        let half = folder.join(format!("{}.half", packages.join("+")));
        let _ = fs::remove_dir_all(&half);
        fs::create_dir(&half)?;
        download(&half, packages)?;
        fs::rename(&half, &root)?;
    }
    let path = find().with_context(|| format!("{} has no program {name}", packages.join(", ")))?;
    Ok(Program { path, root: Some(root) })
}

fn download(folder: &Path, packages: &[&str]) -> Result<()> {
    // Without this, an apt-get that does not reach its server would not end for a long time.
    let patience = ["-q", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20", "download"];
    let words: Vec<_> = patience.iter().chain(packages).map(OsStr::new).collect();
    run("apt-get", &words, folder)?;
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension() == Some(OsStr::new("deb")) {
            run("dpkg-deb", &[OsStr::new("-x"), file.as_os_str(), folder.as_os_str()], folder)?;
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

fn run(program: &str, words: &[&OsStr], folder: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}", said.lines().last().unwrap_or("it failed and said nothing"));
    }
    Ok(())
}

/// Folders of libraries in an unpacked package: Debian keeps them apart by architecture.
fn libraries(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["usr/lib", "lib"].map(|folder| root.join(folder)) {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let is_architecture = |name: &OsString| name.to_string_lossy().contains("-linux-");
        found.extend(entries.filter(|entry| is_architecture(&entry.file_name())).map(|entry| entry.path()));
        found.extend(Some(folder).filter(|folder| folder.is_dir()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_installed_is_used() {
        let program = program("sh", &["dash"]).unwrap();
        assert_eq!(program.root, None);
        assert!(program.command().args(["-c", "true"]).status().unwrap().success());
    }

    #[test]
    fn a_program_that_nobody_has_is_skipped() {
        assert_eq!(program("no-such-program-at-all", &["no-such-package-at-all"]), None);
    }

    #[test]
    fn a_package_is_unpacked_with_its_libraries_in_reach() {
        let program = match unpacked("jq", &["jq", "libjq1", "libonig5"]) {
            Ok(program) => program,
            // Another distribution, or no way to its packages.
            Err(error) => return eprintln!("skipped: no package can be unpacked here: {error:#}"),
        };
        let answer = program.command().args(["-n", "1+1"]).output().unwrap();
        assert_eq!(answer.stdout, b"2\n");
    }
}
