//! What builds the kernel programs: a Rust toolchain with the sources of `core`, and a `bpf-linker` whose LLVM
//! is at least as new as the toolchain's.
//!
//! Both `cargo xtask` and `netwatch/build.rs` (which includes this file by its path) choose and build here, so
//! that a plain `cargo build` gives the same object. Only the standard library is used: a build script's
//! dependencies would be everyone's. Nothing is installed here; `cargo xtask setup` does that.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The rustup toolchain that `cargo xtask setup` installs: LLVM 22, which bpf-linker 0.13 knows.
pub const PINNED_TOOLCHAIN: &str = "nightly-2026-05-20";
/// The bpf-linker that `cargo xtask setup` installs.
pub const LINKER_VERSION: &str = "0.13.0";
/// The oldest Rust that builds the workspace: `rust-version` in the root manifest.
pub const OLDEST_RUST: (u32, u32) = (1, 95);
/// The LLVM versions that bpf-linker 0.13 can be built for.
const LLVMS: RangeInclusive<u32> = 21..=23;
/// The first LLVM that can make BPF programs read words that are not aligned.
const UNALIGNED_LLVM: u32 = 22;
/// Where kernels allow that (`CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS` is always set).
const UNALIGNED_ARCHITECTURES: [&str; 3] = ["x86_64", "aarch64", "s390x"];
/// Forces one toolchain: the name of a rustup toolchain, or `system:` and the folder of its `rustc`.
pub const TOOLCHAIN_VARIABLE: &str = "NETWATCH_EBPF_TOOLCHAIN";
const TARGET: &str = "bpfel-unknown-none";

/// A compiler that can build the eBPF crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// As [`TOOLCHAIN_VARIABLE`] spells it.
    pub name: String,
    /// The folder of its `rustc` and `cargo`.
    pub bin: PathBuf,
    /// Its Rust version, such as `1.95.0`.
    pub release: String,
    /// The major version of its LLVM.
    pub llvm: u32,
}

/// A `bpf-linker` that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linker {
    /// The executable.
    pub path: PathBuf,
    /// The major version of its LLVM.
    pub llvm: u32,
}

/// What is missing before the eBPF crate can be built.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// No toolchain will do; each one found, and why it was passed over.
    Toolchain(Vec<String>),
    /// This toolchain has no linker that fits it.
    Linker(Toolchain),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toolchain(passed_over) if passed_over.is_empty() => {
                write!(f, "no Rust toolchain that can build eBPF programs was found")?;
            }
            Self::Toolchain(passed_over) => {
                write!(f, "no Rust toolchain here can build eBPF programs ({})", passed_over.join("; "))?;
            }
            Self::Linker(toolchain) => {
                write!(f, "no bpf-linker with LLVM {} or newer was found, which ", toolchain.llvm)?;
                write!(f, "the Rust toolchain `{}` needs", toolchain.name)?;
            }
        }
        write!(f, ": run `cargo xtask setup`")
    }
}

/// The two objects that the eBPF crate builds.
#[derive(Debug)]
pub struct Objects {
    /// The programs that netwatch loads.
    pub product: PathBuf,
    /// The programs that the benchmarks compare it with.
    pub reference: PathBuf,
}

/// Builds both objects with the first toolchain and linker that fit. Progress goes to standard error.
///
/// # Errors
/// One line that says what to do.
pub fn build(root: &Path) -> Result<Objects, String> {
    let (toolchain, linker) = find(root).map_err(|missing| missing.to_string())?;
    let mut cargo = command(&toolchain, "cargo", root);
    cargo.arg("build").args(arguments(root)).args(["--bins", "--release"]);
    cargo.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &linker.path);
    let status = cargo
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot run the cargo of {}: {error}", toolchain.name))?;
    let release = target_dir(root).join(TARGET).join("release");
    let objects = Objects {
        product: release.join("netwatch-ebpf"),
        reference: release.join("netwatch-ebpf-reference"),
    };
    if status.success() && objects.product.is_file() && objects.reference.is_file() {
        return Ok(objects);
    }
    Err(format!(
        "the eBPF crate does not build with the Rust toolchain `{}` ({status}): see the compiler's messages, \
         which `cargo xtask build` shows alone",
        toolchain.name
    ))
}

/// The first toolchain that has a linker that fits, in the order of preference.
///
/// # Errors
/// What is missing.
pub fn find(root: &Path) -> Result<(Toolchain, Linker), Missing> {
    let linkers = linkers(root);
    let mut passed_over = Vec::new();
    let mut unlinked = None;
    for candidate in candidates() {
        match candidate.examine() {
            Err(why) => passed_over.push(format!("{}: {why}", candidate.name)),
            Ok(toolchain) => match linkers.iter().find(|linker| linker.llvm >= toolchain.llvm) {
                Some(linker) => return Ok((toolchain, linker.clone())),
                None => unlinked = unlinked.or(Some(toolchain)),
            },
        }
    }
    Err(unlinked.map_or(Missing::Toolchain(passed_over), Missing::Linker))
}

/// Where the inner build lives: one place for all profiles of the outer one, wherever that puts its files.
#[must_use]
pub fn target_dir(root: &Path) -> PathBuf {
    root.join("target/ebpf")
}

/// The arguments of every inner `cargo`, after its verb.
#[must_use]
pub fn arguments(root: &Path) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> =
        ["--package", "netwatch-ebpf", "--target", TARGET, "-Z", "build-std=core", "--target-dir"]
            .map(Into::into)
            .into();
    arguments.push(target_dir(root).into());
    arguments
}

/// A tool of the toolchain, in an environment that the outer cargo has left no trace in.
#[must_use]
pub fn command(toolchain: &Toolchain, tool: &str, root: &Path) -> Command {
    // A build script is told the machine that it builds for; xtask builds for its own.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_else(|_| env::consts::ARCH.to_owned());
    let mut command = Command::new(toolchain.bin.join(tool));
    command.current_dir(root);
    clean(&mut command);
    command
        .env("CARGO", toolchain.bin.join("cargo"))
        .env("RUSTC", toolchain.bin.join("rustc"))
        .env("RUSTC_WRAPPER", "") // not even one from a configuration file: it may not know `-Z` flags
        // Lets a stable compiler take `-Z build-std` and the features that the programs need.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&arch, toolchain.llvm));
    command
}

/// What the compiler is told.
fn flags(arch: &str, llvm: u32) -> String {
    let mut flags = vec![
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        // Debug information gives the verifier's log its line numbers; `--btf` describes the maps.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
    ];
    // Without it, a word of a packet is read byte by byte. Kernels whose machines cannot read words that are not aligned
    // refuse such programs.
    if llvm >= UNALIGNED_LLVM && UNALIGNED_ARCHITECTURES.contains(&arch) {
        flags.push("-Clink-arg=--cpu-features=+allows-misaligned-mem-access".to_owned());
    }
    flags.join("\x1f")
}

/// Takes out what an outer cargo, rustup or build script tells its own children about *its* build.
pub fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if is_of_outer_build(&name) {
            command.env_remove(name);
        }
    }
}

fn is_of_outer_build(name: &OsStr) -> bool {
    const SETTINGS_OF_THE_MACHINE: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let name = name.to_string_lossy();
    let is_cargos = name.starts_with("CARGO") && !SETTINGS_OF_THE_MACHINE.iter().any(|s| name.starts_with(s));
    is_cargos
        || name.starts_with("RUSTC")
        || name.starts_with("RUSTDOC")
        // `HOST`, because build scripts inside are run again when it comes or goes.
        || ["HOST", "LD_LIBRARY_PATH", "OUT_DIR", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "TARGET"].contains(&&*name)
}

/// A place where a compiler is, before anything is known of it.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    name: String,
    bin: PathBuf,
}

impl Candidate {
    /// The toolchain, or why it cannot build the eBPF crate.
    fn examine(&self) -> Result<Toolchain, String> {
        for tool in ["rustc", "cargo"] {
            if !self.bin.join(tool).is_file() {
                return Err(format!("no {tool}"));
            }
        }
        let rustc = self.bin.join("rustc");
        let sysroot = stdout(Command::new(&rustc).args(["--print", "sysroot"]))?;
        if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
            return Err("no library sources (rust-src)".into());
        }
        let (release, llvm) = versions(&stdout(Command::new(&rustc).arg("-vV"))?)?;
        Ok(Toolchain { name: self.name.clone(), bin: self.bin.clone(), release, llvm })
    }
}

/// The release and the LLVM major version in what `rustc -vV` says, if both will do.
fn versions(verbose: &str) -> Result<(String, u32), String> {
    let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let number = |part: Option<&str>| part.and_then(|digits| digits.parse::<u32>().ok());
    let release = field("release:").ok_or("rustc does not say its release")?;
    let mut parts = release.split('.');
    match (number(parts.next()), number(parts.next())) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST_RUST => {}
        _ => return Err(format!("Rust {release} is older than {}.{}", OLDEST_RUST.0, OLDEST_RUST.1)),
    }
    let llvm = field("LLVM version:").ok_or("rustc does not say its LLVM version")?;
    match number(llvm.split('.').next()) {
        Some(major) if LLVMS.contains(&major) => Ok((release.to_owned(), major)),
        _ => Err(format!("LLVM {llvm} is not {} to {}", LLVMS.start(), LLVMS.end())),
    }
}

fn candidates() -> Vec<Candidate> {
    let rustup_home = env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(|| {
        let home = env::home_dir()?;
        Some(home.join(".rustup"))
    });
    let toolchains = rustup_home.map(|home| home.join("toolchains")).unwrap_or_default();
    let mut installed: Vec<_> = fs::read_dir(&toolchains)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    installed.sort();
    let path: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(forced) = env::var(TOOLCHAIN_VARIABLE)
        && !forced.is_empty()
    {
        let bin = match forced.strip_prefix("system:") {
            Some(folder) => PathBuf::from(folder),
            None => {
                let name = installed.iter().find(|name| is_named(name, &forced)).unwrap_or(&forced);
                toolchains.join(name).join("bin")
            }
        };
        return vec![Candidate { name: forced, bin }];
    }
    let active = env::var("RUSTUP_TOOLCHAIN").ok();
    let mut all: Vec<_> = in_order(installed, active.as_deref())
        .into_iter()
        .map(|name| Candidate { bin: toolchains.join(&name).join("bin"), name })
        .collect();
    all.extend(system_candidates(&path));
    all
}

/// The pinned toolchain, the active one, other releases, and last what floats with the nightly compiler.
fn in_order(mut installed: Vec<String>, active: Option<&str>) -> Vec<String> {
    installed.sort_by_key(|name| match name {
        name if is_named(name, PINNED_TOOLCHAIN) => 0,
        name if active.is_some_and(|active| is_named(name, active)) => 1,
        name if !name.starts_with("nightly") => 2,
        _ => 3,
    });
    installed
}

/// Whether an installed toolchain, such as `stable-x86_64-unknown-linux-gnu`, is the one called `wanted`.
fn is_named(installed: &str, wanted: &str) -> bool {
    let host = format!("-{}-", env::consts::ARCH);
    installed == wanted || installed.split_once(&host).is_some_and(|(channel, _)| channel == wanted)
}

/// Each folder of `PATH` with a compiler of its own. Beside a `rustup`, `rustc` only stands for one of rustup's.
fn system_candidates(path: &[PathBuf]) -> Vec<Candidate> {
    let mut seen = Vec::new();
    let mut candidates = Vec::new();
    for folder in path {
        let has = |tool: &str| folder.join(tool).is_file();
        let real = fs::canonicalize(folder).unwrap_or_default();
        if has("rustc") && has("cargo") && !has("rustup") && !seen.contains(&real) {
            seen.push(real);
            candidates.push(Candidate { name: format!("system:{}", folder.display()), bin: folder.clone() });
        }
    }
    candidates
}

/// The linker of this repository.
#[must_use]
pub fn own_linker(root: &Path) -> PathBuf {
    root.join("target/tools/bin/bpf-linker")
}

/// Says which linker set-up put into [`own_linker`], and its LLVM; its absence means that none is complete.
#[must_use]
pub fn linker_stamp(root: &Path) -> PathBuf {
    root.join("target/tools/bin/bpf-linker.stamp")
}

/// What the stamp holds.
#[must_use]
pub fn stamp_text(llvm: u32) -> String {
    format!("bpf-linker {LINKER_VERSION}, LLVM {llvm}\n")
}

/// The linkers that run, this repository's own first.
fn linkers(root: &Path) -> Vec<Linker> {
    let own = LLVMS
        .into_iter()
        .find(|llvm| fs::read_to_string(linker_stamp(root)).is_ok_and(|text| text == stamp_text(*llvm)))
        .map(|llvm| Linker { path: own_linker(root), llvm });
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).filter_map(|folder| {
        let path = folder.join("bpf-linker");
        // One without a shared LLVM does not say which it has, so nobody can know that it fits.
        let libraries = path.is_file().then(|| stdout(Command::new("ldd").arg(&path)))?.ok()?;
        Some(Linker { llvm: shared_llvm(&libraries)?.0, path })
    });
    let runs = |linker: &Linker| stdout(Command::new(&linker.path).arg("--version")).is_ok();
    own.into_iter().chain(others).filter(runs).collect()
}

/// The LLVM library in what `ldd` says: its major version and its path.
#[must_use]
pub fn shared_llvm(libraries: &str) -> Option<(u32, PathBuf)> {
    libraries.lines().find_map(|line| {
        let (name, found) = line.trim().split_once(" => ")?;
        let version = name.strip_prefix("libLLVM")?.trim_start_matches(['.', 's', 'o', '-']);
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        let (path, _address) = found.rsplit_once(" (")?;
        Some((digits.parse().ok()?, PathBuf::from(path)))
    })
}

/// What a short child says. Its environment is clean, so that a linker which only runs by chance of an outer
/// cargo's library path is not taken for a working one.
///
/// # Errors
/// Why it did not run or did not succeed.
pub fn stdout(command: &mut Command) -> Result<String, String> {
    clean(command);
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} does not run ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[path = "ebpf_tests.rs"]
mod tests;
