//! `netwatch top` as somebody sees it: the real command in a pseudo-terminal, before a daemon that tests play.
//!
//! `UPDATE=1 cargo test -p netwatch --test top` writes what is on the screen now; read the difference before committing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod daemon;
mod ends;
mod once;
mod pty;
mod screens;
