//! Real captures that nobody here wrote, against totals that were computed by another reader.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use netwatch::capture::{Captures, Counts, Problem};

fn corpus() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: corpus absent");
        return None;
    }
    Some(corpus)
}

/// The rows of a table, by the names of its columns.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let names: Vec<_> = lines.next().unwrap().collect();
    lines.map(|row| names.iter().cloned().zip(row).collect()).collect()
}

/// What netwatch reads of a capture, in the terms of the truth.
struct Found {
    first_ns: Option<i64>,
    counts: Counts,
    skipped: u64,
    problem: Option<Problem>,
    position: (u64, Option<u64>),
}

fn read(path: &Path) -> Result<Found, String> {
    let mut captures = Captures::open(&[path.to_owned()]).map_err(|error| error.to_string())?;
    let first_ns = captures.next().map(|packet| packet.at_ns);
    while captures.next().is_some() {}
    let counts = captures.counts();
    let skipped = counts.skipped.iter().map(|skipped| skipped.packets).sum();
    let problem = captures.problems().first().cloned();
    Ok(Found { first_ns, counts, skipped, problem, position: captures.position() })
}

#[test]
fn totals_are_those_of_the_truth() {
    let Some(corpus) = corpus() else { return };
    let mut differences = Vec::new();
    let rows = table(&corpus.join("truth_files.tsv"));
    for row in &rows {
        let found = read(&corpus.join(&row["file"])).unwrap();
        let counts = &found.counts;
        let mut differs = |what: &str, ours: String, truth: String| {
            if ours != truth {
                differences.push(format!("{}: {what}: {ours}, truth {truth}", row["file"]));
            }
        };
        differs("packets", (counts.packets + found.skipped).to_string(), row["packets"].clone());
        differs("skipped", found.skipped.to_string(), row["unsup"].clone());
        differs("bytes", counts.bytes.to_string(), row["bytes"].clone());
        differs("captured", counts.captured_bytes.to_string(), row["cap_bytes"].clone());
        differs("cut", counts.cut.to_string(), row["snapped"].clone());
        differs("backwards", counts.backwards.to_string(), row["backwards_ts"].clone());
        differs("first", found.first_ns.map_or("-".into(), |at| at.to_string()), row["t0_ns"].clone());
        differs(
            "problem",
            found.problem.map_or("-".into(), |problem| problem.what),
            row["read_error"].clone(),
        );
    }
    assert!(rows.len() > 900);
    assert_eq!(differences, [""; 0]);
}

/// Link types of which netwatch makes Ethernet frames, as the index spells them.
const LINK_TYPES: [&str; 10] = ["0", "1", "12", "14", "101", "108", "113", "228", "229", "276"];

#[test]
fn every_capture_has_the_packets_and_the_damage_that_its_index_says() {
    let Some(corpus) = corpus() else { return };
    let (mut differences, mut damaged, mut link_types) = (Vec::new(), 0, BTreeSet::new());
    let rows = table(&corpus.join("INDEX.tsv"));
    for row in &rows {
        let file = &row["path"];
        // Such as "reader error: truncated record at 5035".
        let damage = row["description"].strip_prefix("reader error: ");
        let found = match (read(&corpus.join(file)), damage) {
            (Ok(found), _) => found,
            (Err(_), Some(damage)) if damage.ends_with(" at 0") && row["packets"] == "0" => {
                damaged += 1;
                continue;
            }
            (Err(error), _) => {
                differences.push(error);
                continue;
            }
        };
        let offset =
            damage.and_then(|damage| damage.rsplit_once(" at ")).map(|(_, offset)| offset.to_owned());
        damaged += u32::from(damage.is_some());
        let ours = found.problem.as_ref().map(|problem| problem.offset.to_string());
        if ours != offset {
            differences.push(format!("{file}: {:?}, index {damage:?}", found.problem));
        }
        let packets = found.counts.packets + found.skipped;
        if packets.to_string() != row["packets"] {
            differences.push(format!("{file}: {packets} packets, index {}", row["packets"]));
        }
        if offset.is_none() && found.position.0.to_string() != row["bytes"] {
            differences.push(format!("{file}: read up to {:?}, index {}", found.position, row["bytes"]));
        }
        let link_type = row["linktype"].as_str();
        if !link_type.contains(',') && packets > 0 {
            let used = if LINK_TYPES.contains(&link_type) { packets } else { 0 };
            if found.counts.packets != used {
                differences.push(format!("{file}: {used} used of link type {link_type}"));
            }
            link_types.insert(link_type);
        }
    }
    assert!(rows.len() > 2_900 && damaged == 6 && link_types.len() > 30, "{damaged} {link_types:?}");
    assert_eq!(differences, [""; 0]);
}
