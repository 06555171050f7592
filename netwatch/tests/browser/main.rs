//! The pages in a browser: headless Chromium beside a running netwatch, in a namespace. Needs root.
//!
//! Each test makes its own laboratory, netwatch and browser, which end with it. In reading order: `driver` (a browser does what
//! a test says), `scene` (what it looks at), `axe` (what keeps people from using a page), and the tests.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod axe;
mod driver;
mod every_page;
mod figures;
mod handout;
#[path = "../kernel/incident.rs"]
#[expect(dead_code, reason = "it is the kernel tests' own")]
mod incident;
mod live;
#[path = "../kernel/process.rs"]
#[expect(dead_code, reason = "likewise")]
mod process;
mod scene;
mod visits;

/// Says why a test is skipped, which is counted.
fn skip(why: &str) {
    println!("skipped: {why}");
}
