//! What is found at the start.

use rusqlite::Connection;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::schema::{APPLICATION_ID, STEPS};
use super::*;

#[test]
fn what_is_told_is_there_after_a_restart() {
    let dir = Dir::new("restart");
    let Opened { mut store, open } = dir.start();
    assert!(open.is_empty());
    store.offer(&told(incident("a", 1)));
    store.offer(&told(closed("b", 2)));
    let at_stop = Incident { close_reason: Some("shutdown".into()), ..closed("c", 3) };
    store.offer(&told(at_stop.clone()));
    let digest = Told { step: Step::Digest, incident: None, ..(*told(incident("d", 3))).clone() };
    store.offer(&Arc::new(digest));
    store.window(summary(4, &["192.0.2.1"]));
    let state = store.finish(PATIENCE);
    assert_eq!((state.written, state.dropped, state.waiting, state.incidents), (4, 0, 0, 3));
    assert_eq!(fs::metadata(dir.file()).unwrap().mode() & 0o777 & !0o640, 0);
    assert!(!file::has_log(&dir.file()), "nothing is left in the log");

    // What goes on, and what ended because netwatch was stopped.
    let Opened { store, open } = dir.start();
    assert_eq!(open, [incident("a", 1), at_stop]);
    assert_eq!(store.state().incidents, 3);
    // Within an hour only.
    drop(store.finish(PATIENCE));
    assert_eq!(dir.start_at(3_700).open, []);
}

#[test]
fn without_a_directory_it_is_kept_in_memory() {
    let Opened { mut store, .. } = Store::start(None, &HistorySettings::default(), at(0)).unwrap();
    let history = store.history();
    store.offer(&told(incident("a", 1)));
    store.window(summary(4, &["192.0.2.1"]));
    until("it is written", || store.state().written == 2);
    assert_eq!(ids(&ask(&history, all(Order::Newest))), ["a"]);
    assert_eq!(block_on(history.incident("a".into())).unwrap(), Some(incident("a", 1)));
    let state = store.finish(PATIENCE);
    assert_eq!((state.file, state.trouble, state.waiting, state.incidents), (None, None, 0, 1));
    // Whoever still has it can still ask.
    assert_eq!(ids(&ask(&history, all(Order::Newest))), ["a"]);
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let dir = Dir::new("newer");
    drop(dir.start().store.finish(PATIENCE));
    Connection::open(dir.file()).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let before = fs::read(dir.file()).unwrap();
    let refused = |dir: &Dir| Store::start(Some(&dir.0), &HistorySettings::default(), at(0)).err().unwrap();
    let error = refused(&dir).to_string();
    assert!(error.contains("version 7, and this netwatch knows version 2 at most"), "{error}");
    assert!(Archive::open(&dir.0).unwrap_err().to_string().contains("version 7"));
    assert_eq!(fs::read(dir.file()).unwrap(), before);
}

#[test]
fn what_belongs_to_others_is_never_touched() {
    let dir = Dir::new("foreign");
    let other = Connection::open(dir.file()).unwrap();
    other.execute_batch("CREATE TABLE notes (text)").unwrap();
    drop(other);
    let before = fs::read(dir.file()).unwrap();
    let refused = |dir: &Dir| Store::start(Some(&dir.0), &HistorySettings::default(), at(0)).err().unwrap();
    assert!(matches!(refused(&dir), Error::Foreign(_)));
    assert_eq!(fs::read(dir.file()).unwrap(), before);
    fs::rename(dir.file(), dir.0.join("other")).unwrap();
    symlink(dir.0.join("other"), dir.file()).unwrap();
    assert!(matches!(refused(&dir), Error::NotRegular(_)));
    assert!(Archive::open(&dir.0).is_err());
    fs::remove_file(dir.file()).unwrap();
    fs::create_dir(dir.file()).unwrap();
    assert!(matches!(refused(&dir), Error::NotRegular(_)));
    assert!(matches!(Archive::open(&dir.0.join("none")), Err(ArchiveError::Missing(_))));
}

#[test]
fn older_schemas_are_migrated_forward() {
    // As an older netwatch, and then a newer one, would leave it.
    const V3: &str = "ALTER TABLE incidents ADD COLUMN note TEXT NOT NULL DEFAULT 'v3'";
    let dir = Dir::new("migration");
    let old = Connection::open(dir.file()).unwrap();
    old.execute_batch(STEPS[0]).unwrap();
    old.execute_batch(
        "INSERT INTO incidents VALUES (5, 'a', 9, 'scan.vertical', 2, 2, 0, NULL, 'eth0', NULL, NULL, 1, 1, 1, NULL);
         INSERT INTO incident_docs VALUES (5, '{}'); UPDATE counters SET seq = 5, change = 9;",
    )
    .unwrap();
    old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let steps = [STEPS[0], STEPS[1], V3];
    let new = file::File::open(&dir.file(), &steps).unwrap();
    let (change, note): (i64, String) = new
        .connection
        .query_row("SELECT change, note FROM incidents WHERE seq = 5", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((change, &*note), (9, "v3"));
    assert_eq!(schema::kind(&new.connection).unwrap(), schema::Kind::Ours(3));
    drop(new);
    // A step that fails changes nothing.
    let bad = [STEPS[0], STEPS[1], V3, "CREATE TABLE more (x); SELECT nothing FROM nowhere"];
    assert!(file::File::open(&dir.file(), &bad).is_err());
    let new = file::File::open(&dir.file(), &steps).unwrap();
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'more'";
    assert_eq!(new.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    drop(new);
    // And this netwatch refuses what that one made.
    assert!(matches!(
        file::File::open(&dir.file(), STEPS),
        Err(file::Wrong::Refused(Error::Newer { found: 3, known: 2, .. }))
    ));
}
