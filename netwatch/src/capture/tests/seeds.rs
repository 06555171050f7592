//! The captures that fuzzing starts with. `UPDATE=1 cargo test -p netwatch --lib seeds` writes them anew.

use std::fs;
use std::path::Path;

use super::build::*;
use super::*;

/// Small captures that reach every branch of the readers.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let samples = samples(3);
    let flags: Options<'_> = &[(1, b"comment"), (2, &[2, 0, 0, 0])];
    let cooked = |header: &[u8]| {
        let with = |sample: &Sample| Sample { data: [header, &sample.data[14..]].concat(), ..sample.clone() };
        samples.iter().map(with).collect::<Vec<_>>()
    };
    let sll = cooked(&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0]);
    let sll2 = cooked(&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
    let pcapng_all = Blocks::new(Order::Little)
        .interface(1, 96, &[(2, b"eth0"), (9, &[0x8a]), (14, &[0; 8])])
        .interface(113, 0, &[])
        .simple(&samples[0])
        .enhanced(0, 1 << 40, &samples[1], flags)
        .enhanced(1, 1 << 40, &sll[1], flags)
        .block(4, &[0; 16])
        .section(Order::Big)
        .interface(101, 0, &[(9, &[9])])
        .obsolete(0, 1 << 60, &samples[2], flags)
        .enhanced(7, 1 << 60, &samples[2], flags)
        .bytes;
    let pcap_le = pcap(Order::Little, MICROSECONDS, &samples);
    vec![
        ("pcap-be-ns.pcap", pcap(Order::Big, NANOSECONDS, &samples)),
        ("pcap-le.pcap", pcap_le.clone()),
        ("pcap-loop.pcap", pcap_of(Order::Little, MICROSECONDS, 0, &cooked(&[2, 0, 0, 0]))),
        ("pcap-modified.pcap", pcap(Order::Little, MODIFIED, &samples)),
        ("pcap-raw.pcap", pcap_of(Order::Little, MICROSECONDS, 101, &cooked(&[]))),
        ("pcap-sll.pcap", pcap_of(Order::Little, MICROSECONDS, 113, &sll)),
        ("pcap-sll2.pcap", pcap_of(Order::Little, MICROSECONDS, 276, &sll2)),
        ("pcap-wifi.pcap", pcap_of(Order::Little, MICROSECONDS, 105, &samples)),
        ("pcapng-all.pcapng", pcapng_all.clone()),
        ("pcapng-be.pcapng", pcapng(Order::Big, &samples)),
        ("pcap-le.pcap.gz", gzip(&pcap_le)),
        ("pcap-le.pcap.zst", zstd(&pcap_le)),
        ("pcapng-all.pcapng.gz", gzip(&pcapng_all)),
        ("pcapng-all.pcapng.zst", zstd(&pcapng_all)),
    ]
}

#[test]
fn seeds_are_good_captures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/capture");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds() {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let seeds = seeds();
    assert_eq!(names.len(), seeds.len(), "UPDATE=1 writes them anew: {names:?}");
    for (name, bytes) in &seeds {
        let file = fs::read(folder.join(name)).unwrap();
        // Compressed ones may be written differently by another version of the encoder.
        assert_eq!(read_whole(&file), read_whole(bytes), "UPDATE=1 writes them anew: {name}");
    }
}
