//! What is made from the program stays true: docs/rules.md.
#![allow(missing_docs, reason = "tests")]

use std::{env, fs};

#[test]
fn the_documentation_of_the_rules_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
    let made = netwatch::guide::markdown();
    if env::var_os("UPDATE").is_some() {
        fs::write(path, &made).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == made, "run `UPDATE=1 cargo test -p netwatch --test docs` and commit docs/rules.md");
}
