//! Several captures at once, and a look ahead.

use std::fs;
use std::path::PathBuf;

use super::build::*;
use super::*;

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-capture-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A capture with packets at these times, whose lengths on the wire say which is which.
fn capture(times: &[i64], first: u32) -> Vec<u8> {
    let of = |(wire_bytes, at)| Sample { at_ns: START + at, wire_bytes, data: vec![0; 20] };
    let samples: Vec<_> = (first..).zip(times.iter().copied()).map(of).collect();
    pcap(Order::Little, NANOSECONDS, &samples)
}

fn order(outcome: &Outcome) -> Vec<u32> {
    outcome.packets.iter().map(|packet| packet.wire_bytes).collect()
}

#[test]
fn packets_come_in_order_of_time() {
    let folder = Folder::new("order");
    let paths = [
        folder.file("a", &capture(&[10, 20, 30, 90], 100)),
        folder.file("b", &gzip(&capture(&[5, 20, 25], 200))),
        folder.file("c", &capture(&[], 300)),
        folder.file("d", &zstd(&capture(&[20, 100], 400))),
    ];
    let outcome = Outcome::of(Captures::open(&paths).unwrap());
    assert_eq!(order(&outcome), [200, 100, 101, 201, 400, 202, 102, 103, 401]);
    assert!(outcome.times().is_sorted());
    assert_eq!((outcome.counts.packets, outcome.counts.backwards), (9, 0));
    let [a, b, c, d] = paths;
    let outcome = Outcome::of(Captures::open(&[d, c, b, a]).unwrap());
    assert_eq!(order(&outcome), [200, 100, 400, 201, 101, 202, 102, 103, 401], "of equals the first named");
}

#[test]
fn a_capture_that_goes_backwards_keeps_its_order() {
    let folder = Folder::new("backwards");
    let paths =
        [folder.file("a", &capture(&[50, 10, 60, 55], 100)), folder.file("b", &capture(&[20, 58], 200))];
    let outcome = Outcome::of(Captures::open(&paths).unwrap());
    assert_eq!(order(&outcome), [200, 100, 101, 201, 102, 103]);
    assert_eq!(outcome.counts.backwards, 2, "each of them in its own capture");
}

#[test]
fn damage_of_one_capture_does_not_end_the_others() {
    let folder = Folder::new("damage");
    let mut damaged = capture(&[10, 30], 100);
    damaged.truncate(damaged.len() - 1);
    let paths = [folder.file("a", &damaged), folder.file("b", &capture(&[20, 40], 200))];
    let outcome = Outcome::of(Captures::open(&paths).unwrap());
    assert_eq!(order(&outcome), [100, 200, 201]);
    assert_eq!(outcome.problems.len(), 1);
    let expect = format!("{}: damaged at byte 60: a record is cut short", paths[0].display());
    assert_eq!(outcome.problems[0].to_string(), expect);
}

#[test]
fn what_was_looked_at_still_comes() {
    let folder = Folder::new("ahead");
    let paths =
        [folder.file("a", &capture(&[10, 30, 50], 100)), folder.file("b", &capture(&[20, 40, 45], 200))];
    let expected = Outcome::of(Captures::open(&paths).unwrap());
    for (packets, bytes, shown) in
        [(1, 1_000, 1), (4, 1_000, 4), (99, 1_000, 6), (99, 60, 3), (99, 59, 2), (99, 0, 0)]
    {
        let mut captures = Captures::open(&paths).unwrap();
        let mut seen = Vec::new();
        captures.look_ahead(bytes, |packet| {
            seen.push(owned(packet));
            seen.len() < packets
        });
        assert_eq!(captures.counts(), Counts::default(), "nothing was handed out yet");
        assert_eq!(seen, expected.packets[..shown]);
        assert_eq!(Outcome::of(captures), expected);
    }
}

#[test]
fn counts_are_of_what_was_handed_out() {
    let folder = Folder::new("counts");
    let paths = [folder.file("a", &capture(&[10, 30], 100)), folder.file("b", &capture(&[20], 200))];
    let mut captures = Captures::open(&paths).unwrap();
    for expect in [100, 300, 401] {
        captures.next().unwrap();
        assert_eq!(captures.counts().bytes, expect);
    }
}

#[test]
fn the_position_is_in_the_files_as_they_lie_on_disk() {
    let folder = Folder::new("position");
    let (plain, packed) = (capture(&[10, 30], 100), gzip(&capture(&[20], 200)));
    let size = (plain.len() + packed.len()) as u64;
    let mut captures = Captures::open(&[folder.file("a", &plain), folder.file("b", &packed)]).unwrap();
    while captures.next().is_some() {}
    assert_eq!(captures.position(), (size, Some(size)));
    let mut captures = open(&plain).unwrap();
    while captures.next().is_some() {}
    assert_eq!(captures.position(), (plain.len() as u64, None));
}
