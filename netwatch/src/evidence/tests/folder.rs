//! The directory: who may use it, and what is removed.

use super::*;
use crate::evidence::folder::is_ours;
use std::os::unix::fs::symlink;

#[test]
fn names_are_those_of_incidents() {
    for (name, ours) in [
        ("7f3a-1-1.pcapng", true),
        ("6b0a12ff-1c8-18446744073709551615.pcapng", true),
        ("7f3a-1-1.pcap", false),
        ("7f3a-1-1.pcapng.gz", false),
        ("7f3a-1.pcapng", false),
        ("7f3a-1-1-1.pcapng", false),
        ("7F3A-1-1.pcapng", false),
        ("7f3a-1-a.pcapng", false),
        ("-1-1.pcapng", false),
        ("7f3a--1.pcapng", false),
        ("7f3a-1-.pcapng", false),
        ("../7f3a-1-1.pcapng", false),
        (".7f3a-1-1.pcapng", false),
        ("x7f3a-1-1.pcapng", false),
        ("00000000000000000-1-1.pcapng", false),
        (".pcapng", false),
        ("", false),
    ] {
        assert_eq!(is_ours(name), ours, "{name}");
    }
}

#[test]
fn what_is_too_old_or_too_much_goes_the_oldest_first_and_nothing_else_does() {
    let dir = Dir::new("sweep");
    fs::create_dir(&dir.0).unwrap();
    let outside = Dir::new("sweep-outside");
    fs::write(&outside.0, "not netwatch's").unwrap();
    for (name, bytes, age) in [
        ("aa-1-1.pcapng", 10, 7_200),
        ("aa-1-2.pcapng", 10, 3_000),
        ("aa-1-3.pcapng", 10, 2_000),
        ("aa-1-4.pcapng", 10, 1_000),
        ("notes.txt", 10, 7_200),
        ("copy-of-aa-1-1.pcapng", 10, 7_200),
    ] {
        dir.write(name, bytes, age);
    }
    symlink(&outside.0, dir.0.join("aa-1-5.pcapng")).unwrap();
    fs::create_dir(dir.0.join("aa-1-6.pcapng")).unwrap();
    let settings = EvidenceSettings { max_files: 2, ..dir.settings() };
    let counts = keeper(&settings).finish();
    assert_eq!(counts.removed, 2);
    let left = ["aa-1-3.pcapng", "aa-1-4.pcapng", "aa-1-5.pcapng", "aa-1-6.pcapng", "copy-of-aa-1-1.pcapng"];
    assert_eq!(dir.names(), [&left[..], &["notes.txt"]].concat());
    assert_eq!(fs::read_to_string(&outside.0).unwrap(), "not netwatch's");
    fs::remove_file(&outside.0).unwrap();
}

#[test]
fn files_make_room_for_new_ones_but_not_while_they_are_written() {
    let dir = Dir::new("files");
    let settings = EvidenceSettings { max_files: 2, ..dir.settings() };
    let mut keeper = keeper(&settings);
    assert!(begin(&mut keeper, &opened(1, "203.0.113.1")).is_some());
    assert!(begin(&mut keeper, &opened(2, "203.0.113.2")).is_some());
    assert_eq!(begin(&mut keeper, &opened(3, "203.0.113.3")), None);
    assert_eq!(keeper.done(71 * SECOND).len(), 2);
    assert!(begin(&mut keeper, &opened(4, "203.0.113.4")).is_some());
    let counts = keeper.finish();
    assert_eq!((counts.files, counts.removed, counts.files_not_begun(Reason::Full)), (3, 1, 1));
    assert_eq!(dir.names(), ["7f3a-1-2.pcapng", "7f3a-1-4.pcapng"]);
}

#[test]
fn all_files_together_have_so_many_bytes_and_no_more() {
    let dir = Dir::new("bytes");
    fs::create_dir(&dir.0).unwrap();
    dir.write("aa-1-1.pcapng", 1 << 19, 20);
    dir.write("aa-1-2.pcapng", (1 << 19) - 1_000, 10);
    let settings = EvidenceSettings { packets: 10_000, ..dir.settings() };
    let mut keeper = keeper(&settings);
    let begun = begin(&mut keeper, &opened(1, "203.0.113.7")).unwrap();
    let big = vec![7; 2_048];
    for _ in 0..600 {
        keeper.packet(ETH0, begun.account, &sample(10, &big), &big);
    }
    let counts = keeper.finish();
    assert_eq!((counts.removed, dir.names().len()), (2, 1));
    let (kept, not) = (counts.packets, counts.packets_not_kept(Reason::Full));
    assert!(kept + not == 600 && not > 0, "{counts:?}");
    let bytes = fs::metadata(&*begun.path).unwrap().len();
    assert!(bytes <= 1 << 20 && bytes > (1 << 20) - 3_000, "{bytes}");
    assert_eq!(read_back(&begun.path).len() as u64, kept, "and it is no damaged file");
}

#[test]
fn a_name_that_is_taken_is_not_written_to() {
    let dir = Dir::new("taken");
    let mut keeper = dir.keeper();
    let outside = Dir::new("taken-outside");
    fs::write(&outside.0, "").unwrap();
    symlink(&outside.0, dir.0.join("7f3a-1-1.pcapng")).unwrap();
    assert_eq!(begin(&mut keeper, &opened(1, "203.0.113.7")), None);
    assert_eq!(keeper.finish().files_not_begun(Reason::Failed), 1);
    assert_eq!(fs::read(&outside.0).unwrap(), b"");
    fs::remove_file(&outside.0).unwrap();
}

#[test]
fn what_cannot_be_a_directory_is_refused_with_what_to_do() {
    let dir = Dir::new("refused");
    let refused = |settings: &EvidenceSettings| {
        Keeper::<u8>::start(settings, Settings::DEFAULT).map(|_| ()).unwrap_err().to_string()
    };
    fs::write(&dir.0, "").unwrap();
    let says = refused(&dir.settings());
    assert!(says.contains("Not a directory") && says.contains("name a directory"), "{says}");
    fs::remove_file(&dir.0).unwrap();
    let says = refused(&EvidenceSettings { dir: dir.0.join("missing/below"), ..dir.settings() });
    assert!(says.starts_with("evidence: cannot use ") && says.contains("No such file"), "{says}");
    // Nobody can write there, not even root.
    let says = refused(&EvidenceSettings { dir: "/proc/self/net".into(), ..dir.settings() });
    assert!(says.contains("name a directory that this user can write to"), "{says}");

    let keeper = dir.keeper();
    let says = refused(&dir.settings());
    assert!(says.contains("another netwatch"), "{says}");
    let _ = keeper.finish();
    let _ = dir.keeper().finish();
}
