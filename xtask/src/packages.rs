//! The distribution's package manager: used on Debian and its kin, named to the person elsewhere.

use std::io;
use std::process::ExitStatus;

use anyhow::{Context as _, Result, bail};

use crate::ebpf::OLDEST_RUST;
use crate::host;

/// Who installs packages here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    Apt,
    Dnf,
    Pacman,
    Unknown,
}

/// Debian's names. Its stable releases carry a newer compiler beside the old one, for browsers, as `-web`.
const APT_RUST: [[&str; 4]; 2] = [
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"],
    ["rustc", "cargo", "rust-src", "rust-clippy"],
];

impl Packages {
    pub fn of_this_machine() -> Self {
        let managers = [("apt-get", Self::Apt), ("dnf", Self::Dnf), ("pacman", Self::Pacman)];
        let found = managers.into_iter().find(|(program, _)| host::which(program).is_some());
        found.map_or(Self::Unknown, |(_, packages)| packages)
    }

    /// Installs the compiler with its sources and lints.
    ///
    /// # Errors
    /// The command that a person would run.
    pub fn install_rust(self) -> Result<()> {
        if self != Self::Apt {
            return self.install(&self.rust(), "install the distribution's Rust with its sources");
        }
        let fitting =
            || APT_RUST.iter().find(|names| apt_version(names[0]).is_some_and(|v| v >= OLDEST_RUST));
        if fitting().is_none() {
            apt_update().with_context(|| self.by_hand(&self.rust()))?;
        }
        let (major, minor) = OLDEST_RUST;
        let names =
            fitting().with_context(|| format!("this distribution has no Rust {major}.{minor} or newer"))?;
        self.install(names, "install the distribution's Rust with its sources")
    }

    /// Installs the lints of the compiler that [`Packages::install_rust`] installs.
    ///
    /// # Errors
    /// The command that a person would run.
    pub fn install_clippy(self) -> Result<()> {
        self.install(&[self.clippy()], "install clippy")
    }

    pub fn clippy_by_hand(self) -> String {
        self.by_hand(&[self.clippy()])
    }

    /// Installs packages on Debian and its kin.
    ///
    /// # Errors
    /// The command that a person would run.
    pub fn install(self, names: &[&str], why: &str) -> Result<()> {
        if self != Self::Apt {
            bail!(
                "cannot {why} without help on this distribution: {}, then call this again",
                self.by_hand(names)
            );
        }
        install_by_apt(names, why)
            .with_context(|| format!("cannot {why}: {}, then call this again", self.by_hand(names)))
    }

    /// What a person would do instead.
    fn by_hand(self, names: &[&str]) -> String {
        let names = names.join(" ");
        match self {
            Self::Apt => format!("run `sudo apt-get install --no-install-recommends {names}`"),
            Self::Dnf => format!("run `sudo dnf install {names}`"),
            Self::Pacman => format!("run `sudo pacman -S {names}`"),
            Self::Unknown => format!("install what it calls {names}"),
        }
    }

    fn rust(self) -> Vec<&'static str> {
        match self {
            Self::Apt => APT_RUST[0][..3].to_vec(),
            Self::Dnf => vec!["rust", "cargo", "rust-src"],
            Self::Pacman => vec!["rust", "rust-src"],
            Self::Unknown => vec!["rust", "cargo", "rust-src"],
        }
    }

    fn clippy(self) -> &'static str {
        match self {
            Self::Apt if apt_version("rustc-web").is_some_and(|version| version >= OLDEST_RUST) => {
                APT_RUST[0][3]
            }
            Self::Apt => APT_RUST[1][3],
            Self::Dnf | Self::Unknown => "clippy",
            Self::Pacman => "rust",
        }
    }
}

fn install_by_apt(names: &[&str], why: &str) -> Result<()> {
    if names.iter().any(|name| apt_version(name).is_none()) {
        apt_update()?;
    }
    // `--no-remove`: some of these conflict with the distribution's rustup, which must not go for them.
    let options = ["install", "-y", "--no-install-recommends", "--no-remove"];
    let arguments: Vec<_> = options.iter().chain(names).map(ToString::to_string).collect();
    let mut status = apt(&arguments, why)?;
    if status.code() == Some(APT_ERROR) {
        // Old lists of packages name files that the server no longer has.
        apt_update()?;
        status = apt(&arguments, why)?;
    }
    if !status.success() {
        bail!("apt-get does not succeed ({status})");
    }
    Ok(())
}

/// What apt-get exits with when it is apt-get that fails, and not sudo before it.
const APT_ERROR: i32 = 100;

fn apt_update() -> Result<()> {
    let status = apt(&["update".to_owned()], "learn which packages there are")?;
    if !status.success() {
        bail!("apt-get cannot fetch the lists of packages ({status})");
    }
    Ok(())
}

fn apt(arguments: &[String], why: &str) -> Result<ExitStatus> {
    if !host::is_root() && host::which("sudo").is_none() {
        bail!("this is not root, and there is no sudo here");
    }
    // Without this, a package's questions would wait for an answer. `env`, because sudo keeps no variables.
    let start = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "Dpkg::Use-Pty=0"];
    // Another apt-get may be at work: waits for it.
    let start = start.into_iter().chain(["-o", "DPkg::Lock::Timeout=500"]);
    let all: Vec<_> = start.map(String::from).chain(arguments.iter().cloned()).collect();
    if host::is_root() {
        host::note(&format!("to {why}: apt-get {}", arguments.join(" ")));
    }
    let mut command = host::as_root("env", &all, why)?;
    command.stdout(io::stderr()).status().context("cannot run apt-get")
}

/// The Rust-like version, major and minor, that apt-get would install.
fn apt_version(name: &str) -> Option<(u32, u32)> {
    candidate_version(&host::ask("apt-cache", &["policy", name]))
}

fn candidate_version(policy: &str) -> Option<(u32, u32)> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    let version = version.split_once(':').map_or(version, |(_epoch, version)| version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::{Packages, candidate_version};

    #[test]
    fn the_version_that_apt_would_install_is_read() {
        let policy = |candidate: &str| format!("rustc-web:\n  Installed: (none)\n  Candidate: {candidate}\n");
        assert_eq!(candidate_version(&policy("1.96.0+dfsg1-1~deb12u2")), Some((1, 96)));
        assert_eq!(candidate_version(&policy("1:22.1.8-1~deb12u1")), Some((22, 1)));
        assert_eq!(candidate_version(&policy("(none)")), None);
        assert_eq!(candidate_version(""), None);
    }

    #[test]
    fn a_person_is_told_the_command_of_the_distribution() {
        let line =
            |packages: Packages| packages.install(&packages.rust(), "install Rust").unwrap_err().to_string();
        assert!(line(Packages::Dnf).contains("`sudo dnf install rust cargo rust-src`"));
        assert!(line(Packages::Pacman).contains("`sudo pacman -S rust rust-src`"));
    }
}
