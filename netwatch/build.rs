//! Builds the kernel programs and tells the crate where their objects are.
//!
//! `NETWATCH_EBPF_OBJECT=skip` builds none (unit tests need none); `NETWATCH_EBPF_OBJECT=/path` takes one that
//! is already built, and `NETWATCH_REFERENCE_OBJECT=/path` the benchmarks' one beside it. Nothing is installed
//! from here: what is missing is an error that names the command.
#![allow(clippy::print_stdout, reason = "cargo reads a build script's standard output")]

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "../xtask/src/ebpf.rs"]
#[allow(dead_code, reason = "set-up uses the rest of it")]
mod ebpf;

const PRODUCT: &str = "NETWATCH_EBPF_OBJECT";
const REFERENCE: &str = "NETWATCH_REFERENCE_OBJECT";

fn main() {
    for variable in [PRODUCT, REFERENCE, ebpf::TOOLCHAIN_VARIABLE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if let Err(message) = objects() {
        println!("cargo::error={message}");
    }
}

fn objects() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let (product, reference) = (out.join("netwatch.o"), out.join("netwatch-reference.o"));
    match env::var(PRODUCT) {
        Ok(choice) if choice == "skip" => {
            write_if_new(&product, &[])?;
            write_if_new(&reference, &[])?;
        }
        Ok(prebuilt) if !prebuilt.is_empty() => {
            take_prebuilt(Path::new(&prebuilt), &product)?;
            match env::var_os(REFERENCE) {
                Some(prebuilt) => take_prebuilt(Path::new(&prebuilt), &reference)?,
                None => write_if_new(&reference, &[])?,
            }
        }
        _ => {
            let package =
                PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets no CARGO_MANIFEST_DIR")?);
            let root = package.parent().ok_or("the package has no parent folder")?;
            watch(root);
            let built = ebpf::build(root)?;
            take(&built.product, &product)?;
            take(&built.reference, &reference)?;
        }
    }
    println!("cargo::rustc-env={PRODUCT}={}", product.display());
    println!("cargo::rustc-env={REFERENCE}={}", reference.display());
    Ok(())
}

/// What the objects are made of.
fn watch(root: &Path) {
    let sources = [
        "netwatch-ebpf/src",
        "netwatch-ebpf/Cargo.toml",
        "netwatch-common/src",
        "netwatch-common/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
        "xtask/src/ebpf.rs",
    ];
    for source in sources.map(|source| root.join(source)) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    // Cargo takes a file that is not there for one that changed, every time.
    let stamp = ebpf::linker_stamp(root);
    if stamp.is_file() {
        println!("cargo::rerun-if-changed={}", stamp.display());
    }
}

fn take_prebuilt(object: &Path, copy: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", object.display());
    take(object, copy)
}

/// Copies an object, so that a build in another profile cannot change it while this one reads it.
fn take(object: &Path, copy: &Path) -> Result<(), String> {
    let bytes = fs::read(object).map_err(|error| format!("cannot read {}: {error}", object.display()))?;
    write_if_new(copy, &bytes)
}

/// Leaves a file alone that is right already: the crate that includes it then need not be built again.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
