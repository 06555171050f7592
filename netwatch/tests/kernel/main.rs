//! netwatch against a real kernel, in network namespaces of its own. Needs root.
//!
//! Each test makes its own laboratory, which ends with it: nothing is left over, even where a test is killed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod attacks;
mod budget;
mod cards;
mod classification;
mod conservation;
mod drained;
mod egress;
mod evasions;
mod feeds;
mod filters;
mod floods;
mod flows;
mod generator;
mod hints;
mod incident;
mod life;
mod look_alikes;
mod process;
#[path = "../top/pty.rs"]
#[allow(dead_code, reason = "these tests need a part of it")]
mod pty;
mod refusals;
mod reload;
mod replay;
mod scans;
mod serve;
mod slow;
#[path = "../../benches/support/mod.rs"]
mod support;
mod suspicious;
mod talk;
mod top;
mod unusual;
mod view;
mod watch;
mod wire;

use netwatch::kernel::{Capacity, Options};
use xtask::lab::Lab;

/// First by its name, so that its three minutes pass beside all other tests.
#[test]
fn a_patient_scanner_is_found_all_the_same() {
    slow::all_at_once();
}

/// Says why a test is skipped. A skip on a machine that should be able to run the test is a failure: only
/// what a user may really lack (a corpus, a tool) comes here.
fn skip(why: &str) {
    println!("skipped: {why}");
}

#[track_caller]
fn lab() -> Lab {
    Lab::new().expect("a laboratory; this needs root and `ip`")
}

/// Options with small maps, which are made quickly.
fn options() -> Options {
    Options {
        capacity: Capacity { sources: 8192, targets: 16384, blocks: 256, flows: 4096 },
        ..Options::of_this_host(1 << 20)
    }
}
