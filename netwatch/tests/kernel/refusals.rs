//! What netwatch may do, what it refuses, and what `netwatch check` says of both.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use netwatch::kernel::{Capacity, host};
use nix::sys::signal::Signal;
use xtask::lab::Side;

use crate::lab;
use crate::life::{scan, xdp_of};
use crate::process::{Bare, Netwatch, command, opened};

/// Runs netwatch to its end and checks the code and the one line it says.
#[track_caller]
pub fn fails(side: &Side, options: &str, code: i32, says: &str) {
    let output = command(side, options).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let line = stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("netwatch: ") && line.contains(says), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_cannot_be_done_is_said_in_one_line_with_its_code() {
    let lab = lab();
    let side = lab.watched();
    fails(side, "-i nosuch0", 3, "no interface named nosuch0");
    fails(side, "-i nw0 -i nosuch0", 3, "no interface named nosuch0");
    assert_eq!(xdp_of(side), None, "nothing stays attached");
    fails(side, "-i lo --xdp-mode native", 8, "cannot attach to lo in native mode");
    fails(side, "-i nw0 --threshold scan.vertical=0", 2, "--threshold");
    fails(side, "-i nw0 --window 7s --slot 2s", 2, "--window");
    // Where so much is to be had, there is nothing to refuse.
    let most = Capacity::within(64 << 30, host::possible_cpus() as u64).bytes(host::possible_cpus() as u64);
    if host::available_memory().is_some_and(|available| available < most) {
        fails(side, "-i nw0 --map-memory 64G --for 1s", 6, "no memory for maps");
    }
    let outside = lab.outside();
    // The quiet laboratory's watched side has a default route, the outside has none.
    fails(outside, "", 3, "no default route");
    let named = command(side, "--for 1s").output().unwrap();
    let stderr = String::from_utf8(named.stderr).unwrap();
    assert!(named.status.success() && stderr.contains("taking nw0, that of the default route"), "{stderr}");
}

#[test]
fn without_privileges_it_says_which_are_missing() {
    let lab = lab();
    // setpriv is part of util-linux, which every Linux has.
    let binary = Copy::new();
    let mut unprivileged = lab.watched().command("setpriv");
    unprivileged.args(["--reuid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    unprivileged.arg(&binary.0).args(["run", "-i", "nw0", "--map-memory", "8M"]);
    let output = unprivileged.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("CAP_BPF") && stderr.contains("run as root"), "{stderr}");
}

#[test]
fn three_capabilities_are_enough() {
    let lab = lab();
    let caps = "+bpf,+net_admin,+perfmon";
    let binary = Copy::new();
    let mut capable = lab.watched().command("setpriv");
    capable.args(["--reuid", "65534", "--clear-groups"]);
    capable.args([format!("--inh-caps=-all,{caps}"), format!("--ambient-caps=-all,{caps}")]);
    capable.args([format!("--bounding-set=-all,{caps}")]);
    capable.arg(&binary.0).args(["run", "-i", "nw0", "--map-memory", "8M", "--format", "json"]);
    let mut netwatch = Netwatch::spawn(&mut capable);
    netwatch.wait_for("watching nw0 in native mode");
    scan(&lab);
    netwatch.signal(Signal::SIGTERM);
    let ended = netwatch.ended();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    assert_eq!(opened(&ended.alerts()), ["scan.vertical 203.0.113.7 50"]);
}

#[test]
fn privileges_that_watching_does_not_need_are_given_up() {
    let lab = lab();
    let mut netwatch = Bare::start(lab.watched(), "", Stdio::null());
    let status = fs::read_to_string(format!("/proc/{}/status", netwatch.child.id())).unwrap();
    netwatch.child.kill().unwrap();
    netwatch.ended();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    // CAP_NET_ADMIN 12, CAP_PERFMON 38, CAP_BPF 39.
    let needed = 1 << 12 | 1 << 38 | 1 << 39;
    assert_eq!((set("CapEff:"), set("CapPrm:"), set("CapBnd:")), (needed, needed, needed));
    assert_eq!((set("CapInh:"), set("CapAmb:")), (0, 0));
}

#[test]
fn check_says_whether_netwatch_can_run() {
    let lab = lab();
    let side = lab.watched();
    let check = |options: &[&str]| {
        let output =
            side.command(env!("CARGO_BIN_EXE_netwatch")).arg("check").args(options).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = check(&["-i", "nw0"]);
    println!("{text}");
    assert_eq!(code, Some(0), "{text}");
    for topic in ["kernel", "BTF", "JIT", "capabilities", "maps", "program"] {
        assert!(text.lines().any(|line| line.starts_with("ok") && line.contains(topic)), "{topic}: {text}");
    }
    assert!(text.contains("driver veth has native XDP"), "{text}");

    let (code, text) = check(&["-i", "nosuch0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.lines().any(|line| line.starts_with("problem") && line.contains("nosuch0")), "{text}");

    let netwatch = Netwatch::start(side, "");
    let (code, text) = check(&["-i", "nw0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("already has XDP program"), "{text}");
    netwatch.alerts();
}

/// A copy of the binary that another user may execute: the build folder may lie in a home that others may not
/// enter. It goes with this value.
///
/// The folder is made, not found: a shared temporary folder may hold anything under a name that can be guessed.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("netwatch-test-{}-{number}", std::process::id()));
        fs::DirBuilder::new().mode(0o755).create(&folder).unwrap();
        let copy = folder.join("netwatch");
        fs::copy(env!("CARGO_BIN_EXE_netwatch"), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        Self(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = self.0.parent().map(fs::remove_dir_all);
    }
}
