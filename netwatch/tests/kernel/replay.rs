//! Both engines of a replay say the same of the same packets: the host counts what the kernel's programs count.
//!
//! That is promised for as long as no table is full.

mod both;
mod frames;

use std::fs;
use std::path::{Path, PathBuf};

use netwatch::capture::Captures;
use netwatch_common::Control;

use crate::skip;
use both::Both;

/// The captures of the corpus, in order; none, and a word about it, where there is no corpus.
fn corpus() -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if !corpus.is_dir() {
        skip("corpus absent");
        return Vec::new();
    }
    let entries = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries(&corpus).filter(|path| path.is_dir());
    let mut files: Vec<_> = folders.flat_map(|folder| entries(&folder).collect::<Vec<_>>()).collect();
    files.sort();
    assert!(files.len() > 2_900, "{} captures", files.len());
    files
}

fn engines_agree(replies: u32) {
    let mut both = Both::new(replies);
    for (case, packets) in frames::cases() {
        both.begin(case);
        packets.iter().for_each(|packet| both.packet(&packet.borrowed()));
        both.end_slot();
    }
    let generated = both.counted;
    assert!(generated[0] > 25_000 && generated[2] > 100, "{generated:?}");
    let mut unreadable = 0;
    for file in corpus() {
        // Some are no captures, or damaged from their first byte on.
        let Ok(mut captures) = Captures::open(std::slice::from_ref(&file)) else {
            unreadable += 1;
            continue;
        };
        both.begin(file.display().to_string());
        while let Some(packet) = captures.next() {
            both.packet(&packet);
        }
        both.end_slot();
    }
    let totals = both.totals();
    let [packets, sent, hints] = both.counted;
    assert_eq!(packets, totals.seen + totals.sent);
    assert_eq!((sent, replies == Control::REPLIES_BY_FLOWS), (totals.sent, sent > 0));
    println!(
        "{packets} packets agree, {sent} of them sent, with {hints} hints and {} flows; {unreadable} files are no captures",
        totals.flows_new
    );
}

#[test]
fn engines_agree_where_both_directions_count() {
    engines_agree(Control::REPLIES_MIRRORED);
}

#[test]
fn engines_agree_where_a_host_sends() {
    engines_agree(Control::REPLIES_BY_FLOWS);
}

#[test]
fn engines_agree_where_flags_tell() {
    engines_agree(Control::REPLIES_BY_FLAGS);
}
