//! Files that break, at the start and while they are written.

use std::io::{Seek as _, Write as _};
use std::sync::atomic::Ordering;

use super::*;

/// A history with some incidents in it.
fn filled(dir: &Dir, count: i64) {
    let Opened { mut store, .. } = dir.start();
    for number in 0..count {
        store.offer(&told(closed(&format!("old-{number}"), number)));
    }
    assert_eq!(store.finish(PATIENCE).written, u64::try_from(count).unwrap());
}

fn damaged_files(dir: &Dir) -> Vec<PathBuf> {
    let entries = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("history.db.damaged-") && name.ends_with('Z')
    };
    entries.filter(is_one).collect()
}

fn overwrite(dir: &Dir, from: u64, length: usize) {
    let mut file = fs::OpenOptions::new().write(true).open(dir.file()).unwrap();
    file.seek(io::SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0xa5; length]).unwrap();
}

#[test]
fn a_file_that_is_none_is_moved_aside_and_a_new_one_begun() {
    let dir = Dir::new("garbage");
    fs::write(dir.file(), vec![0xa5; 20_000]).unwrap();
    let Opened { mut store, open } = dir.start();
    assert!(open.is_empty());
    store.offer(&told(incident("a", 1)));
    let state = store.finish(PATIENCE);
    assert_eq!((state.trouble, state.written), (None, 1));
    let [aside] = &damaged_files(&dir)[..] else { panic!("not moved aside") };
    assert_eq!(fs::read(aside).unwrap(), vec![0xa5; 20_000]);
    assert_eq!(ids(&dir.archive().incidents(&all(Order::Newest)).unwrap()), ["a"]);
}

#[test]
fn of_a_damaged_file_is_taken_over_what_can_be_read() {
    let dir = Dir::new("salvage");
    filled(&dir, 500);
    // Some pages in the middle.
    let length = fs::metadata(dir.file()).unwrap().len();
    overwrite(&dir, length / 2 / 4096 * 4096, 8 * 4096);
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    until("the damage is found and mended", || {
        // Whoever asks finds it.
        let _ = block_on(history.incidents(all(Order::Newest)));
        if store.state().waiting == 0 {
            store.offer(&told(incident("new", 1)));
        }
        !damaged_files(&dir).is_empty() && store.state().trouble.is_none()
    });
    until("all is written", || store.state().waiting == 0);
    let page = ask(&history, all(Order::Newest));
    assert!(ids(&page).contains(&"new"));
    let old = page.items.iter().filter(|incident| incident.id.starts_with("old-")).count();
    assert!((1..500).contains(&old), "{old} were taken over");
}

/// Does something to the file of a running store, and sees that it goes on.
fn survives(name: &str, aside: usize, hurt: impl Fn(&Dir)) {
    let dir = Dir::new(name);
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    store.offer(&told(incident("before", 1)));
    until("the first is written", || store.state().written == 1);
    hurt(&dir);
    let mut offered = 1;
    until("it is written again", || {
        // One after the other, so that there are moments in which nothing waits.
        if store.state().waiting == 0 {
            offered += 1;
            store.offer(&told(incident(&format!("after-{offered}"), offered)));
            thread::sleep(Duration::from_millis(100));
        }
        // As it would be by itself after some hours, or as soon as somebody reads what is damaged.
        store.shared.suspect.store(true, Ordering::Relaxed);
        let state = store.state();
        let archive = Archive::open(&dir.0).and_then(|archive| archive.incidents(&all(Order::Newest)));
        let is_there = archive.is_ok_and(|page| ids(&page).iter().any(|id| id.starts_with("after-")));
        state.trouble.is_none() && state.waiting == 0 && is_there && damaged_files(&dir).len() == aside
    });
    until("it can be asked for", || {
        let page = block_on(history.incidents(all(Order::Newest)));
        page.is_ok_and(|page| page.items.first().is_some_and(|one| one.id == format!("after-{offered}")))
    });
    let state = store.finish(PATIENCE);
    assert_eq!((state.dropped, state.waiting), (0, 0));
    assert_eq!(state.written, u64::try_from(offered).unwrap());
    let sound = file::open_to_read(&dir.file(), false).unwrap();
    let says: String = sound.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(says, "ok");
}

#[test]
fn a_file_that_is_removed_is_begun_anew() {
    survives("removed", 0, |dir| fs::remove_file(dir.file()).unwrap());
}

#[test]
fn a_file_that_is_removed_with_its_log_is_begun_anew() {
    survives("removed-all", 0, |dir| {
        for end in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{end}", dir.file().display())).unwrap();
        }
    });
}

#[test]
fn a_file_that_is_replaced_is_taken_or_moved_aside() {
    survives("replaced", 1, |dir| {
        fs::write(dir.0.join("other"), vec![b'x'; 10_000]).unwrap();
        fs::rename(dir.0.join("other"), dir.file()).unwrap();
    });
}

#[test]
fn a_file_that_is_cut_off_is_begun_anew() {
    survives("truncated", 0, |dir| {
        fs::OpenOptions::new().write(true).open(dir.file()).unwrap().set_len(0).unwrap();
        // What the log has could mend it, until it is gone too.
        fs::OpenOptions::new()
            .write(true)
            .open(format!("{}-wal", dir.file().display()))
            .unwrap()
            .set_len(0)
            .unwrap();
    });
}

#[test]
fn a_file_that_is_overwritten_is_moved_aside() {
    survives("overwritten", 1, |dir| {
        let length = usize::try_from(fs::metadata(dir.file()).unwrap().len()).unwrap();
        overwrite(dir, 0, length.max(4096));
        fs::write(format!("{}-wal", dir.file().display()), vec![0xa5; 50_000]).unwrap();
    });
}

#[test]
fn a_database_of_others_under_a_running_store_is_left_alone() {
    let dir = Dir::new("swapped");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    store.offer(&told(incident("before", 1)));
    until("the first is written", || store.state().written == 1);
    let other = dir.0.join("other");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let theirs = fs::read(&other).unwrap();
    fs::rename(&other, dir.file()).unwrap();
    until("it is noticed", || store.state().trouble.is_some());
    store.offer(&told(incident("after", 2)));
    until("it can be asked for", || ids(&ask(&history, all(Order::Newest))) == ["after"]);
    until("the reason is known", || {
        store.state().trouble.is_some_and(|why| why.contains("database of another program"))
    });
    assert_eq!(fs::read(dir.file()).unwrap(), theirs);
    fs::remove_file(dir.file()).unwrap();
    until("it is written again", || store.state().trouble.is_none() && store.state().waiting == 0);
    assert_eq!(ids(&ask(&history, all(Order::Newest))), ["after"]);
    assert_eq!(store.finish(PATIENCE).dropped, 0);
}
