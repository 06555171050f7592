//! What goes because it is old, or finds no room.

use super::*;

#[test]
fn what_is_old_and_over_goes_and_what_goes_on_stays() {
    let dir = Dir::new("age");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    let days = |days: i64| days * 86_400;
    store.offer(&told(closed("old", -days(40))));
    store.offer(&told(incident("old-but-open", -days(40))));
    store.offer(&told(closed("young", -days(20))));
    store.window(summary(-days(40), &["192.0.2.1"]));
    store.window(summary(-days(20), &["192.0.2.1"]));
    // Room is looked for after so many.
    for number in 0..limits::TIDY_AFTER {
        store.offer(&told(incident("new", i64::try_from(number).unwrap())));
    }
    until("the old ones go", || store.state().removed == 2);
    assert_eq!(ids(&ask(&history, all(Order::Newest))), ["new", "young", "old-but-open"]);
    let windows = block_on(history.windows(WindowQuery { limit: 10, ..WindowQuery::default() })).unwrap();
    assert_eq!(windows.items, [summary(-days(20), &["192.0.2.1"])]);
    assert_eq!(store.finish(PATIENCE).incidents, 3);
}

#[test]
fn the_file_keeps_its_bound_and_the_oldest_go_first() {
    let dir = Dir::new("bytes");
    let settings = HistorySettings { max_bytes: 16 << 20, ..HistorySettings::default() };
    let Opened { mut store, .. } = Store::start(Some(&dir.0), &settings, at(0)).unwrap();
    store.offer(&told(incident("open", 0)));
    let mut most = 0;
    for number in 1..16_000 {
        store.offer(&told(closed(&format!("closed-{number}"), number)));
        if number % 10 == 0 {
            store.window(summary(number, &["192.0.2.1", "192.0.2.2"]));
        }
        until("there is room in the queue", || store.state().waiting < 5_000);
        most = most.max(file::bytes(&dir.file()));
    }
    until("all is written", || store.state().waiting == 0);
    let state = store.finish(PATIENCE);
    assert!(most <= settings.max_bytes, "{most}");
    assert!(state.bytes <= settings.max_bytes && state.removed > 1_000, "{state:?}");
    assert_eq!(state.dropped, 0);
    let archive = dir.archive();
    let page = archive.incidents(&all(Order::Newest)).unwrap();
    assert_eq!(page.items[0].id, "closed-15999");
    let oldest = archive.incidents(&IncidentQuery { limit: 2, ..all(Order::Changed) }).unwrap();
    assert_eq!(oldest.items[0].id, "open");
    assert_ne!(oldest.items[1].id, "closed-1");
}

#[test]
fn windows_never_cost_incidents_as_long_as_they_have_half_of_the_room() {
    let dir = Dir::new("windows-first");
    let settings = HistorySettings { max_bytes: 16 << 20, ..HistorySettings::default() };
    let Opened { mut store, .. } = Store::start(Some(&dir.0), &settings, at(0)).unwrap();
    // Older than all windows, and about a quarter of the room.
    for number in 0..1_000 {
        store.offer(&told(closed(&format!("closed-{number}"), number - 2_000)));
    }
    // As a flood would make them: 20 MB.
    let sources: Vec<_> = (0..100).map(|number| format!("192.0.2.{number}")).collect();
    let sources: Vec<_> = sources.iter().map(String::as_str).collect();
    for number in 0..3_000 {
        store.window(summary(number, &sources));
        until("there is room in the queue", || store.state().waiting < 5_000);
    }
    let state = store.finish(PATIENCE);
    assert!(state.bytes <= settings.max_bytes && state.removed > 1_000, "{state:?}");
    assert_eq!((state.incidents, state.dropped), (1_000, 0));
    // And windows keep what incidents leave them.
    let file = file::open_to_read(&dir.file(), false).unwrap();
    let windows = memory::count(&file, "windows");
    assert!((300..2_000).contains(&windows), "{windows}");
    let last: i64 = file.query_row("SELECT max(id) FROM windows", [], |row| row.get(0)).unwrap();
    assert_eq!(last, 3_000);
}

#[test]
fn where_only_incidents_are_left_that_go_on_there_is_no_more_to_do() {
    let dir = Dir::new("open-only");
    let mut store = dir.start().store;
    for number in 0..1_500 {
        store.offer(&told(incident(&format!("open-{number}"), number)));
        store.offer(&told(closed(&format!("closed-{number}"), number)));
    }
    assert_eq!(store.finish(PATIENCE).written, 3_000);
    let mut file = file::File::open(&dir.file(), schema::STEPS).unwrap();
    let mut removed = Vec::new();
    // There is room for nothing.
    loop {
        let step = retention::tidy(&mut file.connection, 0, 0).unwrap();
        removed.push(step.incidents);
        if !step.is_more {
            break;
        }
        assert!(removed.len() < 1_000, "{removed:?}");
    }
    assert_eq!((removed[0], removed.iter().sum::<u64>()), (600, 1_500));
    assert_eq!(memory::count(&file.connection, "incidents"), 1_500);
    let free = "PRAGMA freelist_count";
    assert_eq!(file.connection.query_row(free, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert_eq!(retention::tidy(&mut file.connection, 0, 0).unwrap(), retention::Removed::default());
}

#[test]
fn memory_is_bounded() {
    let Opened { mut store, .. } = Store::start(None, &HistorySettings::default(), at(0)).unwrap();
    let count = limits::MEMORY_INCIDENTS + 100;
    for number in 0..count {
        store.offer(&told(closed(&format!("i-{number}"), i64::try_from(number).unwrap())));
        until("there is room in the queue", || store.state().waiting < 5_000);
    }
    for number in 0..limits::MEMORY_WINDOWS + 10 {
        store.window(summary(i64::try_from(number).unwrap(), &["192.0.2.1"]));
    }
    let history = store.history();
    let state = store.finish(PATIENCE);
    assert_eq!((state.incidents, state.removed), (limits::MEMORY_INCIDENTS as u64, 110));
    assert_eq!(ask(&history, all(Order::Newest)).items[0].id, format!("i-{}", count - 1));
}

#[test]
fn a_full_queue_costs_what_comes_and_is_counted() {
    let Opened { mut store, .. } = Store::start(None, &HistorySettings::default(), at(0)).unwrap();
    let shared = Arc::clone(&store.shared);
    // The writer can write nothing as long as this is held.
    let memory = shared.memory();
    let count = limits::QUEUE + 2 * limits::BATCH;
    let one = told(incident("a", 1));
    for _ in 0..count {
        store.offer(&one);
    }
    let state = store.state();
    assert!(state.dropped > 0 && state.waiting <= count as u64, "{state:?}");
    drop(memory);
    let state = store.finish(PATIENCE);
    assert_eq!(state.written + state.dropped, count as u64);
}
