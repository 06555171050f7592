//! What goes on after a restart, and what does not.

use rusqlite::Connection;

use super::super::continued;
use super::*;

#[test]
fn a_continued_incident_keeps_its_beginning() {
    let dir = Dir::new("continued");
    let Opened { mut store, .. } = dir.start();
    store.offer(&told(incident("a", 1)));
    store.offer(&told(Incident { observed: 99, ..incident("a", 50) }));
    drop(store.finish(PATIENCE));
    let page = dir.archive().incidents(&all(Order::Newest)).unwrap();
    let [found] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((found.opened_at, found.first_seen), (at(1), at(1)));
    assert_eq!((found.updated_at, found.observed), (at(50), 99));
}

#[test]
fn a_continued_incident_keeps_its_evidence() {
    let dir = Dir::new("evidence");
    let mut store = dir.start().store;
    let file = |name: &str| Some(name.to_owned());
    store.offer(&told(incident("none", 1)));
    store.offer(&told(Incident { evidence_file: file("/old"), ..incident("kept", 1) }));
    store.offer(&told(Incident { evidence_file: file("/old"), ..incident("newer", 1) }));
    drop(store.finish(PATIENCE));
    let mut store = dir.start().store;
    store.offer(&told(incident("none", 2)));
    store.offer(&told(incident("kept", 2)));
    store.offer(&told(Incident { evidence_file: file("/new"), ..incident("newer", 2) }));
    store.offer(&told(incident("kept", 3)));
    assert_eq!(store.finish(PATIENCE).written, 4);
    let page = dir.archive().incidents(&all(Order::Newest)).unwrap();
    let kept: Vec<_> = page.items.iter().map(|one| (&*one.id, one.evidence_file.as_deref())).collect();
    assert_eq!(kept, [("newer", Some("/new")), ("kept", Some("/old")), ("none", None)]);
}

#[test]
fn nothing_begins_after_it_was_told_of() {
    let dir = Dir::new("set-back");
    let mut store = dir.start().store;
    store.offer(&told(incident("a", 500)));
    // The clock was set back: what was known of the beginning is too late, and so is what the step says.
    let step = Incident { opened_at: at(300), first_seen: at(400), ..incident("a", 100) };
    store.offer(&told(Incident { last_seen: at(90), ..step }));
    assert_eq!(store.finish(PATIENCE).written, 2);
    let page = dir.archive().incidents(&all(Order::Newest)).unwrap();
    let [found] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((found.opened_at, found.first_seen, found.updated_at), (at(100), at(90), at(100)));
}

#[test]
fn what_a_crash_left_open_long_ago_is_closed_as_of_then() {
    let dir = Dir::new("crash");
    let mut store = dir.start().store;
    store.offer(&told(incident("old", -5_000)));
    store.offer(&told(incident("future", 1_070)));
    store.offer(&told(incident("unreadable", 900)));
    store.offer(&told(incident("recent", 950)));
    store.offer(&told(incident("ahead", 1_050)));
    store.offer(&told(closed("quiet", 960)));
    let at_stop = Some("shutdown".to_owned());
    store.offer(&told(Incident { close_reason: at_stop.clone(), ..closed("stopped-in-future", 1_070) }));
    assert_eq!(store.finish(PATIENCE).written, 7);
    let sql =
        "UPDATE incident_docs SET doc = '{' WHERE seq = (SELECT seq FROM incidents WHERE id = 'unreadable')";
    assert_eq!(Connection::open(dir.file()).unwrap().execute(sql, []).unwrap(), 1);

    let Opened { mut store, open } = dir.start();
    assert_eq!(open, [incident("recent", 950), incident("ahead", 1_050)]);
    // Whoever follows the changes learns of it.
    let page = dir.archive().incidents(&IncidentQuery { cursor: Some(7), ..all(Order::Changed) }).unwrap();
    let ended = |id, seconds| Incident { close_reason: at_stop.clone(), ..closed(id, seconds) };
    assert_eq!(page.items, [ended("old", -5_000), ended("future", 1_070)]);
    let row = |id: &str| {
        let sql = "SELECT state, close_reason, closed_us = updated_us, change FROM incidents WHERE id = ?1";
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let file = Connection::open(dir.file()).unwrap();
        file.query_row::<(i64, Option<String>, Option<bool>, i64), _, _>(sql, [id], columns).unwrap()
    };
    assert_eq!(row("old"), (1, at_stop.clone(), Some(true), 8));
    assert_eq!(row("unreadable"), (1, at_stop.clone(), Some(true), 9));
    assert_eq!(row("future"), (1, at_stop.clone(), Some(true), 10));
    assert_eq!(row("recent"), (0, None, None, 4));
    // Numbers go on behind those, and nothing is left to be closed.
    store.offer(&told(incident("new", 1_000)));
    assert_eq!(store.finish(PATIENCE).trouble, None);
    assert_eq!(row("new").3, 11);
    assert_eq!(dir.start().open.len(), 3);
    assert_eq!(row("old").3, 8);
}

#[test]
fn of_too_many_those_that_were_told_of_last_are_continued() {
    let dir = Dir::new("most");
    let mut store = dir.start().store;
    for (id, seconds) in [("a", 30), ("b", 10), ("c", 20), ("d", 5)] {
        store.offer(&told(incident(id, seconds)));
    }
    drop(store.finish(PATIENCE));
    let file = Connection::open(dir.file()).unwrap();
    let most = continued::open(&file, at(1_000), 2).unwrap();
    assert_eq!(most.values().map(|incident| &*incident.id).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(continued::close_others(&file, &most).unwrap(), 2);
    assert_eq!(continued::close_others(&file, &most).unwrap(), 0);
}
