//! Files: nothing is lost and nothing is there twice, however often they are rotated, moved and opened anew, and whatever
//! room there is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use netwatch::config::{FileTarget, OutputTarget};
use netwatch::sinks::line::LineFormat;
use nix::sched::{CloneFlags, unshare};

use crate::common::{Folder, Output, is_root, skip, texts, until};

fn target(path: &Path, max_bytes: u64) -> OutputTarget {
    let (path, format) = (path.to_owned(), LineFormat::Text);
    OutputTarget::File(FileTarget { path, format, max_bytes, max_age: None, keep: 1_000 })
}

/// All lines of all files; each file has whole lines, in order.
fn lines(folder: &Path) -> Vec<u64> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let numbers: Vec<u64> =
            text.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted());
        all.extend(numbers);
    }
    all.sort_unstable();
    all
}

#[test]
fn many_lines_in_many_files() {
    let folder = Folder::new("files");
    let path = folder.path().join("out.log");
    let mut output = Output::start(target(&path, 64 << 10), 100_000);
    let mut moved = 0;
    for begin in (1..=60_000).step_by(500) {
        output.offer(begin..=begin + 499);
        // What a logrotate does: with a signal to us, and without.
        if begin % 7 == 0 {
            moved += u64::from(fs::rename(&path, folder.path().join(format!("moved-{begin}"))).is_ok());
        }
        if begin % 3 == 0 {
            output.0.reopen();
        }
    }
    output.finish(60_000);
    assert_eq!(lines(folder.path()), (1..=60_000).collect::<Vec<_>>());
    let rotated = fs::read_dir(folder.path()).unwrap().count();
    assert!(moved > 0 && rotated > 5, "{moved} {rotated}");
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert!(entry.unwrap().metadata().unwrap().len() <= 64 << 10);
    }
}

#[test]
fn a_full_disk_is_waited_for() {
    if !is_root() {
        return skip("a small file system takes root");
    }
    // Mounted where only this thread, and what it starts, can see it.
    let test = thread::spawn(|| {
        let folder = Folder::new("full");
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let mount = |words: &[&str]| {
            assert!(Command::new("mount").args(words).arg(folder.path()).status().unwrap().success());
        };
        assert!(Command::new("mount").args(["--make-rprivate", "/"]).status().unwrap().success());
        mount(&["-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
        let filler = folder.path().join("filler");
        fs::write(&filler, vec![0; 192 << 10]).unwrap();
        let path = folder.path().join("out.log");
        let mut output = Output::start(target(&path, 0), 100_000);
        output.offer(1..=10_000);
        until("it is full", || output.state().trouble.is_some_and(|why| why.contains("No space left")));
        let text = fs::read_to_string(&path).unwrap();
        let count = text.lines().count() as u64;
        assert!(count > 100 && text == texts(1..=count).join("\n") + "\n", "whole lines stay, as they were");
        assert_eq!(output.state().delivered, count);
        fs::remove_file(&filler).unwrap();
        until("all is written", || output.state().queued == 0);
        output.finish(10_000);
        assert_eq!(fs::read_to_string(&path).unwrap(), texts(1..=10_000).join("\n") + "\n");
        assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    });
    test.join().unwrap();
}
