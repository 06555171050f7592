//! Whatever a capture holds: it is read to its end without a panic, what is handed out keeps its bounds, and the parser
//! takes each frame.
//!
//! `cargo xtask test --only fuzz` builds this and runs it for a few seconds. To run it for longer, and to keep what it
//! finds, go on with the same program:
//!
//! ```console
//! $ mkdir -p target/fuzz/found
//! $ target/fuzz/*/release/capture target/fuzz/found netwatch/fuzz/seeds/capture -max_len=4096 -max_total_time=3600
//! ```
//!
//! With several processes, `-fork=N`. An input that makes it fail is written to the folder where it runs, and is given
//! as the only argument to fail again. `cargo fuzz run capture seeds/capture`, in `netwatch/fuzz`, does the same where
//! cargo-fuzz and a nightly compiler are installed.
#![no_main]

use std::io::Cursor;

use capture::{Captures, FRAME_MAX};
use libfuzzer_sys::fuzz_target;
use netwatch_common::{Settings, parse};

#[allow(dead_code, unused_imports, reason = "not all of it is of use here")]
#[path = "../../src/capture/mod.rs"]
mod capture;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut captures) = Captures::from_reader("fuzz", Cursor::new(bytes.to_vec())) else { return };
    let mut shown = Vec::new();
    captures.look_ahead(2_000, |packet| {
        shown.push((packet.at_ns, packet.frame.to_vec()));
        shown.len() < 4
    });
    let mut shown = shown.into_iter();
    let mut packets = 0;
    while let Some(packet) = captures.next() {
        assert!(packet.frame.len() <= FRAME_MAX);
        if let Some(first) = shown.next() {
            assert_eq!(first, (packet.at_ns, packet.frame.to_vec()));
        }
        let _ = parse(packet.frame, &Settings::DEFAULT);
        packets += 1;
    }
    assert_eq!((captures.counts().packets, shown.next()), (packets, None));
    assert!(captures.next().is_none() && captures.problems().len() <= 1);
    assert_eq!(captures.position().1, None);
});
