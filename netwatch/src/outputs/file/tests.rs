use std::path::Path;

use super::*;
use crate::report::Step;
use crate::sinks::line::LineFormat;
use crate::sinks::tests::told::{run, told};

/// A directory that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn target(&self, max_bytes: u64, keep: u32) -> FileTarget {
        let path = self.0.join("out.log");
        FileTarget { path, format: LineFormat::Text, max_bytes, max_age: None, keep }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(target: &FileTarget) -> File {
    File::open(target, &Arc::new(run())).unwrap()
}

fn batch(numbers: core::ops::RangeInclusive<u64>) -> Vec<Arc<Told>> {
    numbers.map(|number| Arc::new(told(number, Step::Open))).collect()
}

fn deliver(file: &mut File, numbers: core::ops::RangeInclusive<u64>) {
    let mut done = 0;
    file.deliver(&batch(numbers.clone()), &mut done).unwrap();
    assert_eq!(done, numbers.count());
}

fn lines(numbers: core::ops::RangeInclusive<u64>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect()
}

#[test]
fn files_take_turns_at_whole_lines() {
    let folder = Folder::new("turns");
    // Seven bytes a line: three of them.
    let mut file = open(&folder.target(21, 2));
    deliver(&mut file, 1..=8);
    assert_eq!(folder.read("out.log.2"), lines(1..=3));
    assert_eq!(folder.read("out.log.1"), lines(4..=6));
    assert_eq!(folder.read("out.log"), lines(7..=8));
    deliver(&mut file, 9..=9);
    deliver(&mut file, 10..=10);
    assert_eq!(folder.read("out.log.2"), lines(4..=6));
    assert_eq!(folder.read("out.log.1"), lines(7..=9));
    assert_eq!(folder.read("out.log"), lines(10..=10));
    assert!(!folder.0.join("out.log.3").exists());
}

#[test]
fn a_file_that_is_too_old_is_put_away() {
    let folder = Folder::new("age");
    let target = FileTarget { max_age: Some(std::time::Duration::ZERO), ..folder.target(0, 5) };
    let mut file = open(&target);
    deliver(&mut file, 1..=1);
    deliver(&mut file, 2..=2);
    assert_eq!((folder.read("out.log.1"), folder.read("out.log")), (lines(1..=1), lines(2..=2)));
}

#[test]
fn a_file_that_could_not_be_put_away_is_put_away_later() {
    let folder = Folder::new("stuck");
    let mut file = open(&folder.target(21, 3));
    deliver(&mut file, 1..=9);
    // A directory with something in it, which no file takes the place of.
    let (first, aside) = (folder.0.join("out.log.1"), folder.0.join("aside"));
    fs::rename(folder.0.join("out.log.2"), &aside).unwrap();
    fs::create_dir_all(folder.0.join("out.log.2/full")).unwrap();
    fs::write(folder.0.join("out.log.3"), "").unwrap();
    deliver(&mut file, 10..=10);
    assert!(file.stuck.is_some());
    assert_eq!(folder.read("out.log"), lines(7..=10));
    // It is possible again, but not tried before it has grown by a tenth, or minutes have gone by.
    fs::remove_dir_all(folder.0.join("out.log.2")).unwrap();
    file.stuck = file.stuck.map(|stuck| Stuck { size: u64::MAX, ..stuck });
    deliver(&mut file, 11..=11);
    assert_eq!(folder.read("out.log"), lines(7..=11));
    file.stuck = file.stuck.map(|stuck| Stuck { size: 35, ..stuck });
    deliver(&mut file, 12..=12);
    assert!(file.stuck.is_none());
    assert_eq!((folder.read("out.log.1"), folder.read("out.log")), (lines(7..=11), lines(12..=12)));
    assert_eq!(folder.read("out.log.2"), lines(4..=6));
    // And where somebody else has moved it, the next one is no longer stuck.
    file.stuck = Some(Stuck { at: Instant::now() + ROTATION, size: u64::MAX });
    fs::rename(folder.0.join("out.log"), &aside).unwrap();
    deliver(&mut file, 13..=16);
    assert!(file.stuck.is_none());
    assert_eq!(
        (fs::read_to_string(first).unwrap(), folder.read("out.log")),
        (lines(13..=14), lines(15..=16))
    );
}

#[test]
fn a_file_that_was_moved_or_removed_is_made_anew() {
    let folder = Folder::new("moved");
    let mut file = open(&folder.target(0, 5));
    deliver(&mut file, 1..=2);
    fs::rename(folder.0.join("out.log"), folder.0.join("moved")).unwrap();
    deliver(&mut file, 3..=3);
    assert_eq!((folder.read("moved"), folder.read("out.log")), (lines(1..=2), lines(3..=3)));
    fs::remove_file(folder.0.join("out.log")).unwrap();
    file.reopen().unwrap();
    deliver(&mut file, 4..=4);
    assert_eq!(folder.read("out.log"), lines(4..=4));
    // Somebody cuts it, as `copytruncate` does.
    OpenOptions::new().write(true).open(folder.0.join("out.log")).unwrap().set_len(0).unwrap();
    deliver(&mut file, 5..=5);
    assert_eq!(folder.read("out.log"), lines(5..=5));
}

#[test]
fn lines_of_a_run_that_was_killed_stay_apart_from_ours() {
    let folder = Folder::new("killed");
    fs::write(folder.0.join("out.log"), "line 1\nli").unwrap();
    deliver(&mut open(&folder.target(0, 5)), 2..=2);
    assert_eq!(folder.read("out.log"), "line 1\nli\nline 2\n");
    use std::os::unix::fs::PermissionsExt as _;
    fs::remove_file(folder.0.join("out.log")).unwrap();
    deliver(&mut open(&folder.target(0, 5)), 2..=2);
    let mode = fs::metadata(folder.0.join("out.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn what_is_no_file_is_not_written_to() {
    let folder = Folder::new("odd");
    std::os::unix::fs::symlink(folder.0.join("elsewhere"), folder.0.join("out.log")).unwrap();
    let refused = |target: &FileTarget| File::open(target, &Arc::new(run())).err().unwrap();
    assert!(refused(&folder.target(0, 5)).contains("open "));
    assert!(!folder.0.join("elsewhere").exists());
    let at = |path: &str| FileTarget { path: Path::new(path).to_owned(), ..folder.target(0, 5) };
    assert!(refused(&at("/dev/null")).contains("no regular file"));
    assert!(refused(&at("/nonexistent/out.log")).contains("No such file"));
}

/// `RLIMIT_FSIZE` cuts a write short as a full disk does, but it is the process's and a signal kills; so the disk is played
/// by a file that may not grow: the test of a small file system is in `tests/outputs`.
#[test]
fn only_whole_lines_stay_where_a_write_is_cut_short() {
    let folder = Folder::new("torn");
    let mut open = Open::new(&folder.0.join("out.log")).unwrap();
    open.append(b"line 1\nline 2\n", &[7, 14]).unwrap();
    // As if the rest of a line could not be cut off at the last try.
    open.file.write_all(b"lin").unwrap();
    open.torn = Some(14);
    open.append(b"line 3\n", &[7]).unwrap();
    assert_eq!(folder.read("out.log"), lines(1..=3));
}
