//! Both engines of a replay say the same of the same packets: the host counts what the kernel's programs count.
//!
//! That is promised for as long as flows have room: the kernel's table of them makes room in an order of its own.

mod both;
mod frames;
mod looks;
mod players;

use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use netwatch::capture::{Captures, Packet};
use netwatch::cli::WatchMode;
use netwatch::kernel::Capacity;
use netwatch::replay::prepare::Prepared;
use netwatch_common::Control;

use crate::skip;
use both::{Both, CAPACITY, ours};
use players::{Players, config};

/// The corpus; none, and a word about it, where it is absent.
fn folder() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if !corpus.is_dir() {
        skip("corpus absent");
        return None;
    }
    Some(corpus)
}

/// The captures of the corpus, in order. A file that is damaged from its first byte on is none.
fn corpus() -> Vec<PathBuf> {
    let Some(corpus) = folder() else { return Vec::new() };
    let entries = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries(&corpus).filter(|path| path.is_dir());
    let mut files: Vec<_> = folders.flat_map(|folder| entries(&folder).collect::<Vec<_>>()).collect();
    files.retain(|file| Captures::open(from_ref(file)).is_ok());
    files.sort();
    assert!(files.len() > 2_900, "{} captures", files.len());
    files
}

fn bytes(file: &PathBuf) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// How cases follow each other, in nanoseconds.
struct Pace {
    /// How long a case takes at most, whatever its times say.
    longest_ns: i64,
    /// How long after the last packet of a case the next one begins.
    apart_ns: i64,
}

/// Shows all that is made here and then some captures, one after the other, each packet with the name of its case; after
/// the last one of a case none. The clock never goes back.
fn one_after_the_other(files: &[PathBuf], pace: &Pace, mut each: impl FnMut(&str, Option<&Packet<'_>>)) {
    let mut now_ns = frames::FIRST_NS;
    let mut first = None;
    let mut shift = |packet: Option<&Packet<'_>>| {
        let Some(packet) = packet else {
            now_ns += pace.apart_ns;
            first = None;
            return now_ns;
        };
        let (began_ns, first_ns) = *first.get_or_insert((now_ns, packet.at_ns));
        now_ns = now_ns.max(began_ns + packet.at_ns.saturating_sub(first_ns).clamp(0, pace.longest_ns));
        now_ns
    };
    for (case, packets) in frames::cases() {
        for packet in &packets {
            let packet = packet.borrowed();
            each(case, Some(&Packet { at_ns: shift(Some(&packet)), ..packet }));
        }
        each(case, None);
        shift(None);
    }
    for file in files {
        let case = file.display().to_string();
        let mut captures = Captures::open(from_ref(file)).unwrap();
        while let Some(packet) = captures.next() {
            each(&case, Some(&Packet { at_ns: shift(Some(&packet)), ..packet }));
        }
        each(&case, None);
        shift(None);
    }
}

/// Packet by packet, and slot by slot. The flows of a case are not known any more in the next one.
fn engines_agree(replies: u32) {
    let pace = Pace { longest_ns: 3_600_000_000_000, apart_ns: 130_000_000_000 };
    let mut both = Both::new(replies, CAPACITY);
    one_after_the_other(&corpus(), &pace, |case, packet| match packet {
        Some(packet) => both.packet(case, packet),
        None => both.end(case),
    });
    let totals = both.totals();
    assert_eq!((totals.sources_refused, totals.targets_lost), (0, 0));
    let [packets, sent, hints] = both.agree;
    assert!(packets > 25_000 && hints > 3_000, "{packets} packets, {hints} hints");
    assert_eq!((packets, sent), (totals.seen + totals.sent, totals.sent));
    assert_eq!(sent > 0, replies == Control::REPLIES_BY_FLOWS);
    println!("{packets} packets agree, {sent} of them sent; {hints} hints, {} flows", totals.flows_new);
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

#[test]
fn engines_agree_on_what_finds_no_room() {
    let pace = Pace { longest_ns: 3_600_000_000_000, apart_ns: 130_000_000_000 };
    let mut both = Both::new(Control::REPLIES_MIRRORED, Capacity { sources: 60, targets: 90, ..CAPACITY });
    one_after_the_other(&[], &pace, |case, packet| match packet {
        Some(packet) => both.packet(case, packet),
        None => both.end(case),
    });
    let totals = both.totals();
    let lost = [totals.sources_refused, totals.targets_lost];
    assert!(lost.iter().all(|lost| *lost > 5_000), "{lost:?}");
}

/// All slots, transitions and news, of every sixth capture, another one in each mode: that is as much as takes a few
/// seconds. What is going on at the end of a case goes on in the next one.
fn players_agree(mode: WatchMode) {
    // Larger ones need larger tables, which take longer to drain.
    const MOST_BYTES: u64 = 600_000;
    let pace = Pace { longest_ns: 300_000_000_000, apart_ns: 20_000_000_000 };
    let mut files = corpus();
    files.retain(|file| bytes(file) < MOST_BYTES);
    let files: Vec<_> = files.into_iter().skip(mode as usize).step_by(6).collect();
    let mut players = Players::with_many_flows(mode, frames::FIRST_NS);
    one_after_the_other(&files, &pace, |case, packet| {
        packet.into_iter().for_each(|packet| players.packet(case, packet));
    });
    let [packets, slots, transitions] = players.finish("the end");
    assert!(slots > 80 && transitions > 20, "{slots} slots, {transitions} transitions");
    println!("mode {mode:?}: {packets} packets, {slots} slots and {transitions} transitions agree");
}

#[test]
fn players_agree_where_both_directions_count() {
    players_agree(WatchMode::Mirror);
}

#[test]
fn players_agree_where_a_host_sends() {
    players_agree(WatchMode::Host);
}

#[test]
fn players_agree_where_flags_tell() {
    players_agree(WatchMode::Flags);
}

/// As `netwatch replay` makes players of captures: of the captures in a folder, those with the most packets, but for
/// those with too many.
#[test]
fn players_of_single_captures_agree() {
    const MOST_PACKETS: u64 = 5_000;
    let Some(folder) = folder() else { return };
    let index = fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let row = |line: &str| {
        let mut columns = line.split('\t');
        let path = folder.join(columns.next()?);
        let packets = columns.nth(2)?.parse().ok()?;
        Some((path.parent()?.to_owned(), packets, path))
    };
    let mut rows: Vec<(PathBuf, u64, PathBuf)> = index.lines().filter_map(row).collect();
    rows.retain(|(_, packets, _)| *packets < MOST_PACKETS);
    rows.sort();
    let folders = rows.chunk_by(|left, right| left.0 == right.0);
    let files = folders.flat_map(|folder| folder.iter().rev().take(2));
    for ((_, _, file), mode) in
        files.zip([WatchMode::Mirror, WatchMode::Host, WatchMode::Flags].iter().cycle())
    {
        let case = format!("{} in mode {mode:?}", file.display());
        let mut captures = Captures::open(from_ref(file)).unwrap();
        let mut prepared =
            Prepared { mode: *mode, ..Prepared::look(&config(), &mut captures, from_ref(file)).unwrap() };
        if *mode == WatchMode::Host && prepared.local.is_empty() {
            prepared.local = ours();
        }
        let mut players = Players::of(&prepared, &config());
        while let Some(packet) = captures.next() {
            players.packet(&case, &packet);
        }
        let [packets, slots, transitions] = players.finish(&case);
        println!("{case}: {packets} packets, {slots} slots and {transitions} transitions agree");
    }
}
