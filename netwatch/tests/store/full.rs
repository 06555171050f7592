//! A file system that is full for a while. Needs root, for a small one of its own.

use netwatch::report::history::{IncidentQuery, PAGE_MAX};
use nix::mount::{MntFlags, MsFlags, umount2};

use super::*;

#[test]
fn a_full_file_system_costs_nothing_that_finds_room_in_memory() {
    let dir = Dir::new("full");
    let mounted = nix::mount::mount(
        Some("netwatch-test"),
        &dir.0,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=4m,mode=0755"),
    );
    if let Err(error) = mounted {
        eprintln!("skipped: no file system of its own: {error}");
        return;
    }
    let result = std::panic::catch_unwind(|| fill_and_empty(&dir));
    // Threads that answer may have it open a moment longer.
    umount2(&dir.0, MntFlags::MNT_DETACH).unwrap();
    result.unwrap();
}

fn fill_and_empty(dir: &Dir) {
    let Opened { mut store, .. } = start(&dir.0);
    let history = store.history();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let newest = || {
        let query = IncidentQuery { limit: PAGE_MAX, ..IncidentQuery::default() };
        runtime.block_on(history.incidents(query)).unwrap().items
    };
    store.offer(&told(incident("before", 1, "open")));
    until("the first is written", || store.state().written == 1);
    // All that is left is taken.
    let ballast = dir.0.join("ballast");
    let zeros = vec![0; 64 << 10];
    let mut file = fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    let mut offered = 1;
    until("it is full", || {
        if store.state().waiting == 0 {
            offered += 1;
            store.offer(&told(incident(&format!("full-{offered}"), 1, "open")));
        }
        store.state().trouble.is_some()
    });
    let trouble = store.state().trouble.unwrap();
    assert!(trouble.contains("full") || trouble.contains("I/O"), "{trouble}");
    for step in 1..=500 {
        offered += 1;
        store.offer(&told(incident(&format!("wait-{}", step % 50), step, "open")));
    }
    until("all of it waits", || {
        newest().first().is_some_and(|one| one.id == "wait-0" || one.id == "wait-49")
    });
    until("the last step waits", || newest().iter().any(|one| one.id == "wait-0" && one.observed == 500));
    let page = newest();
    assert_eq!(page.last().unwrap().id, "before", "the file can still be read");
    assert_eq!(page.iter().filter(|one| one.id.starts_with("wait-")).count(), 50);
    let state = store.state();
    assert!(state.waiting >= 500 && state.dropped == 0 && state.failures > 0, "{state:?}");

    drop(file);
    fs::remove_file(&ballast).unwrap();
    until("it is written again", || store.state().trouble.is_none());
    until("nothing waits", || store.state().waiting == 0);
    let after = newest();
    assert_eq!(after.len(), page.len());
    let state = store.finish(PATIENCE);
    assert_eq!((state.written, state.dropped), (offered, 0));
    let open = start(&dir.0).open;
    assert_eq!(open.len(), page.len());
    assert!(open.iter().any(|one| one.id == "wait-0" && one.observed == 500));
}
