use super::{
    Candidate, Missing, Toolchain, in_order, is_named, is_of_outer_build, shared_llvm, system_candidates,
    versions,
};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

fn verbose(release: &str, llvm: &str) -> String {
    format!("rustc {release} (abc 2026-05-19)\nbinary: rustc\nrelease: {release}\nLLVM version: {llvm}\n")
}

#[test]
fn a_compiler_counts_with_a_known_llvm_and_no_older_rust() {
    assert_eq!(versions(&verbose("1.97.0-nightly", "22.1.4")), Ok(("1.97.0-nightly".into(), 22)));
    assert_eq!(versions(&verbose("1.95.0", "21.0.0")), Ok(("1.95.0".into(), 21)));
    let refused = |release, llvm| versions(&verbose(release, llvm));
    assert_eq!(refused("1.85.1", "22.1.0"), Err("Rust 1.85.1 is older than 1.95".into()));
    assert_eq!(refused("1.110.0-nightly", "24.0.0"), Err("LLVM 24.0.0 is not 21 to 23".into()));
    assert!(versions("rustc 1.95.0").is_err());
}

#[test]
fn the_pinned_toolchain_comes_first_and_what_floats_last() {
    let host = |name: &str| format!("{name}-{}-unknown-linux-gnu", env::consts::ARCH);
    let installed = ["1.96.0", "beta", "nightly", "nightly-2026-05-20", "stable"].map(host).to_vec();
    let expect = ["nightly-2026-05-20", "stable", "1.96.0", "beta", "nightly"].map(host);
    assert_eq!(in_order(installed, Some(&host("stable"))), expect);
}

#[test]
fn a_toolchain_goes_by_its_full_or_its_short_name() {
    let full = format!("nightly-{}-unknown-linux-gnu", env::consts::ARCH);
    assert!(is_named(&full, "nightly"));
    assert!(is_named(&full, &full));
    assert!(is_named("mine", "mine"));
    assert!(!is_named(&format!("nightly-2026-05-20-{}-unknown-linux-gnu", env::consts::ARCH), "nightly"));
}

#[test]
fn a_compiler_beside_rustup_is_not_the_systems() {
    let base = env::temp_dir().join(format!("netwatch-xtask-{}", std::process::id()));
    let folder = |name: &str, tools: &[&str]| {
        let folder = base.join(name);
        fs::create_dir_all(&folder).unwrap();
        for tool in tools {
            fs::write(folder.join(tool), "").unwrap();
        }
        folder
    };
    let proxies = folder("proxies", &["rustc", "cargo", "rustup"]);
    let system = folder("system", &["rustc", "cargo"]);
    let half = folder("half", &["rustc"]);
    let found = system_candidates(&[proxies, half, system.clone(), system.clone()]);
    fs::remove_dir_all(&base).unwrap();
    assert_eq!(found, [Candidate { name: format!("system:{}", system.display()), bin: system }]);
}

#[test]
fn the_llvm_of_a_program_is_read_from_its_libraries() {
    let rustup =
        "\tlibLLVM.so.22.1-rust-1.97.0-nightly => /t/lib/libLLVM.so.22.1-rust-1.97.0-nightly (0x7f)\n";
    let expect = PathBuf::from("/t/lib/libLLVM.so.22.1-rust-1.97.0-nightly");
    assert_eq!(shared_llvm(rustup), Some((22, expect)));
    let older = "\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibLLVM-21.so.1 => /usr/lib/libLLVM-21.so.1 (0x2)\n";
    assert_eq!(shared_llvm(older), Some((21, PathBuf::from("/usr/lib/libLLVM-21.so.1"))));
    assert_eq!(shared_llvm("\tlibLLVM.so.22.1 => not found\n"), None);
    assert_eq!(shared_llvm("\tstatically linked\n"), None);
}

#[test]
fn the_inner_build_keeps_the_machines_settings_only() {
    let removed = |name: &str| is_of_outer_build(OsStr::new(name));
    for name in
        ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN", "HOST"]
    {
        assert!(removed(name), "{name} leaks");
    }
    for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "RUSTUP_HOME", "PATH", "RUST_BACKTRACE"] {
        assert!(!removed(name), "{name} is lost");
    }
}

#[test]
fn what_is_missing_is_one_line_with_the_command() {
    let toolchain =
        Toolchain { name: "stable".into(), bin: "/t/bin".into(), release: "1.95.0".into(), llvm: 22 };
    let no_sources = vec!["stable: no library sources (rust-src)".to_owned()];
    for missing in
        [Missing::Toolchain(Vec::new()), Missing::Toolchain(no_sources), Missing::Linker(toolchain)]
    {
        let text = missing.to_string();
        assert!(text.ends_with(": run `cargo xtask setup`") && !text.contains('\n'), "{text}");
    }
}
