//! The command line as a user meets it, without root: help, errors, exit codes, and the README's examples.
#![allow(missing_docs, reason = "tests")]

#[test]
fn the_command_line_says_what_it_always_said() {
    // `TRYCMD=overwrite cargo test --test cli` writes what it says now; read the difference before committing.
    // The README's examples are run where its reader is.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    trycmd::TestCases::new()
        .env("COLUMNS", "110")
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .case("netwatch/tests/cmd/*.trycmd")
        .case("README.md");
}
