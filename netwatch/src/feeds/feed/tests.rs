use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::ToSpan as _;

use super::*;
use crate::feeds::Watcher;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("netwatch-feeds-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Puts a file in place at once, as whoever fetches feeds should.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let (new, path) = (self.0.join("new"), self.0.join(name));
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn names(loaded: &Loaded, addr: &str) -> Vec<String> {
    let listing = |listing: &Listing<'_>| format!("{} {}", listing.feed.config.name, listing.entry);
    loaded.lookup(addr.parse().unwrap()).iter().map(listing).collect()
}

#[test]
fn every_feed_that_lists_an_address_is_named() {
    let folder = Folder::new();
    let feeds = [
        FeedConfig::new("first", folder.write("first", "203.0.113.0/24 # net\n10.0.0.0/8\n")),
        FeedConfig::new("second", folder.write("second", "203.0.113.7\n2001:db8::/32\n")),
    ];
    let own = Prefix { first: "203.0.113.8".parse().unwrap(), bits: 32 };
    let Outcome { loaded, problems, notes } = load(&feeds, &[own], None, now());
    assert_eq!((problems, notes), (vec![], vec![]));
    assert_eq!(names(&loaded, "203.0.113.7"), ["first 203.0.113.0/24", "second 203.0.113.7"]);
    assert_eq!(names(&loaded, "::ffff:203.0.113.9"), ["first 203.0.113.0/24"]);
    assert_eq!(names(&loaded, "203.0.113.8"), [""; 0]);
    assert_eq!(loaded.never("203.0.113.8".parse().unwrap()), Some(own));
    assert_eq!(names(&loaded, "10.1.2.3"), [""; 0]);
    assert_eq!(names(&loaded, "2001:db8::1"), ["second 2001:db8::/32"]);
    assert_eq!(loaded.lookup("203.0.113.9".parse().unwrap())[0].comment, Some("net"));
    assert_eq!(loaded.entries(), 4);
}

#[test]
fn a_damaged_file_keeps_the_old_set_and_says_which_line_is_wrong() {
    let folder = Folder::new();
    let path = folder.write("feed", "203.0.113.1\n203.0.113.2\n");
    let feeds = [FeedConfig::new("feed", &path)];
    let old = load(&feeds, &[], None, now()).loaded;
    folder.write("feed", "203.0.113.3\nnonsense\n");
    let Outcome { loaded, problems, .. } = load(&feeds, &[], Some(&old), now());
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0], format!("{}:2: \"nonsense\" is no address, prefix or range", path.display()));
    assert!(
        problems[1].contains("1 line is not understood") && problems[1].contains("stays in use"),
        "{problems:?}"
    );
    assert_eq!(names(&loaded, "203.0.113.1"), ["feed 203.0.113.1"]);
    // At the start there is nothing to keep.
    let Outcome { loaded, problems, .. } = load(&feeds, &[], None, now());
    assert!(loaded.feeds().is_empty() && !problems.iter().any(|line| line.contains("stays")), "{problems:?}");
    // Unless bad lines may be left out.
    let lenient = [FeedConfig { skip_bad_lines: true, ..feeds[0].clone() }];
    let Outcome { loaded, problems, notes } = load(&lenient, &[], Some(&old), now());
    assert_eq!((problems, notes.len()), (vec![], 2));
    assert_eq!(names(&loaded, "203.0.113.3"), ["feed 203.0.113.3"]);
    // But not where they are most of them.
    folder.write("feed", "203.0.113.3\nnonsense\nmore\n");
    let Outcome { loaded, problems, .. } = load(&lenient, &[], Some(&loaded), now());
    assert!(problems[0].contains("something else than a feed"), "{problems:?}");
    assert_eq!(names(&loaded, "203.0.113.3"), ["feed 203.0.113.3"]);
    fs::remove_file(&path).unwrap();
    let Outcome { loaded, problems, .. } = load(&lenient, &[], Some(&loaded), now());
    assert!(problems[0].contains("No such file"), "{problems:?}");
    assert_eq!(loaded.entries(), 1);
}

#[test]
fn a_file_that_lost_most_of_its_entries_is_doubtful() {
    let folder = Folder::new();
    let many: String = (1..=100).map(|last| format!("203.0.113.{last}\n")).collect();
    let feeds = [FeedConfig::new("feed", folder.write("feed", &many))];
    let old = load(&feeds, &[], None, now()).loaded;
    let ten = &many[..12 * 9 + 13];
    for (text, entries) in [("", 100), ("203.0.113.1", 100), (ten, 10)] {
        folder.write("feed", text);
        let Outcome { loaded, problems, .. } = load(&feeds, &[], Some(&old), now());
        assert_eq!(
            (loaded.entries(), problems.is_empty()),
            (entries, entries < 100),
            "{text:?} {problems:?}"
        );
    }
    folder.write("feed", "# nothing today");
    let allowed = [FeedConfig { allow_empty: true, ..feeds[0].clone() }];
    let Outcome { loaded, problems, notes } = load(&allowed, &[], Some(&old), now());
    assert_eq!((loaded.entries(), problems, notes), (0, vec![], vec![]));
    // At the start an empty feed is no error, but somebody should know.
    let Outcome { problems, notes, .. } = load(&feeds, &[], None, now());
    assert_eq!(problems, [""; 0]);
    assert!(notes[0].contains("has no entries"), "{notes:?}");
}

#[test]
fn what_has_come_to_its_end_lists_nothing_and_is_told_once() {
    let folder = Folder::new();
    let path = folder.write("feed", "203.0.113.1");
    let age = Duration::from_secs(30 * 86_400);
    let feeds = [FeedConfig { expires: Some(age), ..FeedConfig::new("feed", &path) }];
    let mut watcher = Watcher::default();
    watcher.watch(&feeds, now());
    let young = load(&feeds, &[], None, now());
    assert_eq!((young.loaded.entries(), &young.notes[..]), (1, &[][..]));
    let later = now().checked_add((31 * 24).hours()).unwrap();
    assert!(!watcher.changed(now()) && watcher.changed(later));
    watcher.watch(&feeds, later);
    assert!(!watcher.changed(later), "it is over");
    let old = load(&feeds, &[], Some(&young.loaded), later);
    assert_eq!((old.loaded.entries(), old.notes.len(), names(&old.loaded, "203.0.113.1").len()), (0, 1, 0));
    assert!(old.notes[0].contains("too long ago"), "{:?}", old.notes);
    assert_eq!(load(&feeds, &[], Some(&old.loaded), later).notes, [""; 0]);
    let until = [FeedConfig { until: Some(("soon".into(), later)), ..FeedConfig::new("feed", &path) }];
    assert_eq!(load(&until, &[], None, now()).loaded.entries(), 1);
    let ended = load(&until, &[], None, later);
    assert!(ended.loaded.entries() == 0 && ended.notes[0].contains("ended with soon"), "{:?}", ended.notes);
}

#[test]
fn a_change_is_noticed_when_the_file_rests() {
    let folder = Folder::new();
    let feeds = [FeedConfig::new("feed", folder.write("feed", "203.0.113.1"))];
    let mut watcher = Watcher::default();
    watcher.watch(&feeds, now());
    assert!(!watcher.changed(now()));
    folder.write("feed", "203.0.113.1\n203.0.113.2");
    assert!(!watcher.changed(now()), "somebody may be writing still");
    folder.write("feed", "203.0.113.1\n203.0.113.2\n203.0.113.3");
    assert!(!watcher.changed(now()));
    assert!(watcher.changed(now()));
    watcher.watch(&feeds, now());
    assert!(!watcher.changed(now()));
    fs::remove_file(&feeds[0].file).unwrap();
    assert!(!watcher.changed(now()) && watcher.changed(now()));
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let folder = Folder::new();
    let feeds = [FeedConfig::new("feed", folder.write("feed", "203.0.113.1"))];
    let old = load(&feeds, &[], None, now()).loaded;
    let renamed = [FeedConfig { name: "other".into(), ..feeds[0].clone() }];
    let new = load(&renamed, &[], Some(&old), now()).loaded;
    assert!(Arc::ptr_eq(&old.feeds()[0].contents, &new.feeds()[0].contents));
    assert_eq!(names(&new, "203.0.113.1"), ["other 203.0.113.1"]);
    let wide = [FeedConfig { allow_wide: true, ..feeds[0].clone() }];
    let new = load(&wide, &[], Some(&old), now()).loaded;
    assert!(!Arc::ptr_eq(&old.feeds()[0].contents, &new.feeds()[0].contents));
}
