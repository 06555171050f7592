//! Finds or installs what builds the kernel programs, and what the tests need: once, and saying so.
//!
//! It uses what is there. A toolchain that is missing comes from rustup, pinned, or where rustup's server is out
//! of reach from the distribution's packages. bpf-linker is built against that toolchain's own LLVM library, so
//! that no LLVM package is needed and its LLVM always fits.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::ebpf::{self, Linker, Missing, Toolchain};
use crate::host;
use crate::packages::Packages;

/// What the build tools are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The product alone.
    Build,
    /// Networks of namespaces too.
    Laboratory,
    /// And the lints of the kernel programs.
    Test,
}

/// A rustup that does not reach its server does not always notice.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);
/// Nor does npm.
const NPM_LIMIT: Duration = Duration::from_secs(60);

/// Makes the machine ready; quick when it is already.
///
/// # Errors
/// What is missing and the command that a person would run.
pub fn run(purpose: Purpose) -> Result<Toolchain> {
    let root = host::root();
    let started = Instant::now();
    let (toolchain, linker) = match ebpf::find(&root) {
        Ok(found) => found,
        Err(_) => {
            let _lock = alone(&root)?;
            // Another set-up may have done it by now.
            ebpf::find(&root).or_else(|missing| install(&root, missing))?
        }
    };
    if purpose != Purpose::Build && host::which("ip").is_none() {
        host::step("ip", "the laboratory's networks are made with it", || {
            Packages::of_this_machine().install(&["iproute2"], "install iproute2")
        })?;
    }
    if purpose != Purpose::Build && !has_libpcap() {
        // Only filters of `netwatch watch` need it, and say so, so this may fail.
        if let Err(error) = Packages::of_this_machine().install(&["libpcap0.8"], "install libpcap") {
            host::note(&format!("{error:#}"));
        }
    }
    if purpose == Purpose::Test && host::which("curl").is_none() {
        // The examples of the README are run with it, and skipped without, so this may fail.
        if let Err(error) = Packages::of_this_machine().install(&["curl"], "install curl") {
            host::note(&format!("{error:#}"));
        }
    }
    if purpose == Purpose::Test && !has_clippy(&toolchain) {
        // The lints of the kernel programs can be skipped, so this may fail.
        if let Err(error) = install_clippy(&toolchain) {
            host::note(&format!("{error:#}"));
        }
    }
    host::note(&format!(
        "set-up: Rust {} of `{}` (LLVM {}), {} (LLVM {}); {:.2} s",
        toolchain.release,
        toolchain.name,
        toolchain.llvm,
        linker.path.strip_prefix(&root).unwrap_or(&linker.path).display(),
        linker.llvm,
        started.elapsed().as_secs_f64()
    ));
    Ok(toolchain)
}

/// What the tests of the pages need besides: Chromium with what drives it, and something that fetches axe-core.
///
/// # Errors
/// The command that a person would run.
pub fn browser() -> Result<()> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let has_browser = || names.iter().any(|name| host::which(name).is_some());
    if host::which("chromedriver").is_none() || !has_browser() {
        host::step("chromium", "the pages are tested with it; it takes 350 MB", || {
            Packages::of_this_machine().install(&["chromium", "chromium-driver"], "install Chromium")
        })?;
    }
    let is_fetched = host::root().join("target/tools/axe/axe.min.js").is_file();
    if !is_fetched && host::which("pip3").is_none() && !npm_reaches_its_registry() {
        // Only the tests that use axe-core are skipped without, so this may fail.
        if let Err(error) = Packages::of_this_machine().install(&["python3-pip"], "install pip") {
            host::note(&format!("{error:#}"));
        }
    }
    Ok(())
}

/// Whether npm is here and finds what the tests of the pages fetch with it.
fn npm_reaches_its_registry() -> bool {
    let Some(npm) = host::which("npm") else { return false };
    let mut command = Command::new(npm);
    command.args(["view", "--fetch-retries=0", "axe-core", "version"]).stderr(Stdio::null());
    host::run_within(NPM_LIMIT, &mut command).is_ok()
}

/// Keeps a second set-up of the same repository waiting, until the file is dropped.
///
/// # Errors
/// The target folder cannot be written.
pub fn alone(root: &Path) -> Result<File> {
    let tools = root.join("target/tools");
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let path = tools.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if file.try_lock().is_err() {
        host::note("waiting for another set-up of this repository");
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

fn install(root: &Path, mut missing: Missing) -> Result<(Toolchain, Linker)> {
    if let Missing::Toolchain(passed_over) = &missing {
        for candidate in passed_over {
            host::note(&format!("passed over {candidate}"));
        }
        if env::var_os(ebpf::TOOLCHAIN_VARIABLE).is_some_and(|forced| !forced.is_empty()) {
            bail!(
                "{} names a toolchain that will not do ({})",
                ebpf::TOOLCHAIN_VARIABLE,
                passed_over.join("; ")
            );
        }
        let why = "no Rust here has the library sources that eBPF programs are built from";
        host::step("toolchain", why, install_toolchain)?;
        match ebpf::find(root) {
            Ok(found) => return Ok(found),
            Err(still) => missing = still,
        }
    }
    let toolchain = match missing {
        Missing::Linker(toolchain) => toolchain,
        Missing::Toolchain(passed_over) => {
            bail!("the installed toolchain will not do ({})", passed_over.join("; "))
        }
    };
    let why = format!(
        "no bpf-linker for LLVM {} is here; version {} is built in about a minute",
        toolchain.llvm,
        ebpf::LINKER_VERSION
    );
    host::step("bpf-linker", &why, || install_linker(root, &toolchain))?;
    ebpf::find(root).map_err(|_| {
        anyhow!(
            "bpf-linker was built but does not run: `{} --version` says why",
            ebpf::own_linker(root).display()
        )
    })
}

fn install_toolchain() -> Result<()> {
    let arguments = [
        "toolchain",
        "install",
        ebpf::PINNED_TOOLCHAIN,
        "--profile",
        "minimal",
        "-c",
        "rust-src",
        "-c",
        "clippy",
    ];
    let by_rustup = format!("rustup {}", arguments.join(" "));
    if let Some(rustup) = host::which("rustup") {
        host::note(&format!("{by_rustup} (about 700 MB on disk)"));
        let mut command = Command::new(rustup);
        for_rustup(command.args(arguments).arg("--no-self-update"));
        match host::run_within(RUSTUP_LIMIT, &mut command) {
            Ok(()) => return Ok(()),
            Err(error) => host::note(&format!("{error:#}: taking the distribution's Rust instead")),
        }
    } else {
        host::note("no rustup here: taking the distribution's Rust");
    }
    let packages = Packages::of_this_machine();
    packages.install_rust().with_context(|| {
        format!("no Rust toolchain can be installed (where rustup reaches its server, `{by_rustup}` does it)")
    })
}

/// A server out of reach is no mishap here: one try more, and no trace of rustup's insides.
fn for_rustup(command: &mut Command) {
    ebpf::clean(command);
    command.env("RUSTUP_MAX_RETRIES", "1").env("RUST_BACKTRACE", "0");
}

/// Builds bpf-linker against the LLVM library that the toolchain's own compiler loads.
fn install_linker(root: &Path, toolchain: &Toolchain) -> Result<()> {
    let tools = root.join("target/tools");
    let stamp = ebpf::linker_stamp(root);
    if stamp.exists() {
        fs::remove_file(&stamp).with_context(|| format!("cannot remove {}", stamp.display()))?;
    }
    let prefix = llvm_prefix(&tools, toolchain)?;
    let build = tools.join("build");
    let mut cargo = ebpf::command(toolchain, "cargo", root);
    cargo
        .args(["install", "bpf-linker", "--version", ebpf::LINKER_VERSION, "--locked", "--force"])
        .args(["--no-default-features", "--features", &format!("llvm-{}", toolchain.llvm)])
        .arg("--root")
        .arg(&tools)
        // Kept until it succeeds: after an interruption it goes on where it was.
        .arg("--target-dir")
        .arg(&build)
        // These are for the kernel programs; this one is for the host.
        .env_remove("RUSTC_BOOTSTRAP")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("PATH", with_folder(&tools.join("bin"))?)
        .env("LLVM_PREFIX", &prefix);
    host::note(&format!("LLVM_PREFIX={} {}", prefix.display(), host::spelled(&cargo)));
    host::run(&mut cargo).context("bpf-linker cannot be built")?;
    fs::write(&stamp, ebpf::stamp_text(toolchain.llvm))
        .with_context(|| format!("cannot write {}", stamp.display()))?;
    // It is only space now.
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}

/// `PATH` with one folder more: where it lacks the folder that it installs to, `cargo install` asks the person to
/// add it, who need not.
pub fn with_folder(folder: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(env::split_paths(&path).chain([folder.to_owned()]))
        .context("the repository's path has a colon")
}

/// A folder in the shape of an LLVM installation.
///
/// The library goes in by the name that the linker asks for and by the one that the loader asks for: bpf-linker
/// records this folder as the place to load it from.
fn llvm_prefix(tools: &Path, toolchain: &Toolchain) -> Result<PathBuf> {
    let libraries =
        ebpf::stdout(Command::new("ldd").arg(toolchain.bin.join("rustc"))).map_err(|e| anyhow!(e))?;
    let Some((_, library)) = ebpf::shared_llvm(&libraries) else {
        // This compiler has its LLVM inside, so another of the same version is needed.
        let package = format!("llvm-{}-dev", toolchain.llvm);
        let installed = PathBuf::from(format!("/usr/lib/llvm-{}", toolchain.llvm));
        if !installed.join("lib/libLLVM.so").exists() {
            Packages::of_this_machine().install(&[&package], &format!("install {package}"))?;
        }
        return Ok(installed);
    };
    let name = library.file_name().context("the compiler's LLVM library has no name")?;
    let prefix = tools.join(format!("llvm-{}", toolchain.llvm));
    let folder = prefix.join("lib");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for link in [folder.join("libLLVM.so"), folder.join(name)] {
        if link.is_symlink() {
            fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
        }
        symlink(&library, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    let lib64 = prefix.join("lib64");
    if !lib64.is_symlink() {
        symlink("lib", &lib64).with_context(|| format!("cannot link {}", lib64.display()))?;
    }
    Ok(prefix)
}

/// Whether the dynamic linker knows libpcap.
fn has_libpcap() -> bool {
    host::ask("ldconfig", &["-p"]).contains("libpcap.so.")
        || host::ask("/sbin/ldconfig", &["-p"]).contains("libpcap.so.")
}

/// Whether the lints of the kernel programs can be checked.
pub fn has_clippy(toolchain: &Toolchain) -> bool {
    ["cargo-clippy", "clippy-driver"].iter().all(|tool| toolchain.bin.join(tool).is_file())
}

/// What a person does to add clippy to a toolchain.
pub fn clippy_by_hand(toolchain: &Toolchain) -> String {
    if toolchain.name.starts_with("system:") {
        return Packages::of_this_machine().clippy_by_hand();
    }
    format!("run `rustup component add clippy --toolchain {}`", toolchain.name)
}

fn install_clippy(toolchain: &Toolchain) -> Result<()> {
    host::step("clippy", &format!("`{}` has none to check the kernel programs with", toolchain.name), || {
        if toolchain.name.starts_with("system:") {
            return Packages::of_this_machine().install_clippy();
        }
        let rustup =
            host::which("rustup").context("the toolchain is rustup's, but there is no rustup on PATH")?;
        let mut command = Command::new(rustup);
        command
            .args(["component", "add", "clippy", "--toolchain", &toolchain.name])
            .env("RUSTUP_MAX_RETRIES", "1");
        ebpf::clean(&mut command);
        host::run_within(RUSTUP_LIMIT, &mut command)
    })
}
