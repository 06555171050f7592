//! Outputs against the real receivers: rsyslog, journald, Alertmanager; and against receivers that tests play.
//!
//! Each receiver is not there at first, comes, goes for a while and comes back. What cannot be had here is skipped, and says
//! so.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod alertmanager;
mod common;
mod files;
mod journal;
mod rsyslog;
mod server;
mod unix;
mod webhook;
