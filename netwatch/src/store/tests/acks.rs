//! Who looks after an incident.

use rusqlite::Connection;

use super::super::schema::{self, STEPS};
use super::*;
use crate::report::{Ack, History, Network};

fn ack(note: &str) -> Option<Ack> {
    Some(Ack { at: at(500), note: Some(note.to_owned()).filter(|note| !note.is_empty()) })
}

fn acknowledge(history: &Arc<dyn History>, id: &str, ack: Option<Ack>) -> Option<Incident> {
    block_on(history.acknowledge(id.into(), ack)).unwrap()
}

fn acked(page: &Page<Incident>) -> Vec<(&str, bool)> {
    page.items.iter().map(|one| (&*one.id, one.acknowledged_at.is_some())).collect()
}

#[test]
fn an_acknowledgement_outlives_steps_and_restarts_and_can_be_taken_back() {
    let dir = Dir::new("acks");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    for id in ["a", "b", "c"] {
        store.offer(&told(incident(id, 1)));
    }
    until("all is written", || store.state().written == 3);
    assert_eq!(acknowledge(&history, "nobody", ack("x")), None);
    let one = acknowledge(&history, "a", ack("looking into it")).unwrap();
    assert_eq!((one.acknowledged_at, one.acknowledged_severity.as_deref()), (Some(at(500)), Some("medium")));
    assert_eq!(one.acknowledged_note.as_deref(), Some("looking into it"));
    assert_eq!(acknowledge(&history, "b", ack("")).unwrap().acknowledged_note, None);
    assert_eq!(block_on(history.incident("a".into())).unwrap(), Some(one));

    // It goes on, and is worse than it was.
    store.offer(&told(Incident { severity: "high".into(), ..incident("a", 2) }));
    assert_eq!(store.finish(PATIENCE).trouble, None);
    let Opened { store, open } = dir.start();
    assert!(open.iter().all(|one| one.acknowledged_at.is_none()), "only the history says so");
    let history = store.history();
    let a = block_on(history.incident("a".into())).unwrap().unwrap();
    assert!(a.has_risen() && a.acknowledged_note.as_deref() == Some("looking into it"), "{a:?}");
    let query = |acknowledged| IncidentQuery { acknowledged, ..all(Order::Newest) };
    assert_eq!(acked(&ask(&history, query(None))), [("c", false), ("b", true), ("a", true)]);
    assert_eq!(ids(&ask(&history, query(Some(true)))), ["b", "a"]);
    assert_eq!(ids(&ask(&history, query(Some(false)))), ["c"]);
    assert_eq!(acked(&dir.archive().incidents(&query(Some(true))).unwrap()), [("b", true), ("a", true)]);
    // What nobody looks after comes first, however harmless it is.
    assert_eq!(ids(&ask(&history, all(Order::Worst))), ["c", "a", "b"]);

    assert_eq!(acknowledge(&history, "a", None).unwrap().acknowledged_at, None);
    assert_eq!(ids(&ask(&history, all(Order::Worst))), ["a", "c", "b"]);
    drop(store.finish(PATIENCE));
    assert_eq!(ids(&dir.archive().incidents(&query(Some(true))).unwrap()), ["b"]);
    // Nobody writes any more.
    assert!(block_on(history.acknowledge("a".into(), ack("late"))).is_err());
}

#[test]
fn without_a_file_it_is_remembered_too() {
    let Opened { mut store, .. } = Store::start(None, &HistorySettings::default(), at(0)).unwrap();
    let history = store.history();
    store.offer(&told(incident("a", 1)));
    until("it is written", || store.state().written == 1);
    acknowledge(&history, "a", ack("mine")).unwrap();
    let query = IncidentQuery { acknowledged: Some(true), ..all(Order::Newest) };
    assert_eq!(ids(&ask(&history, query.clone())), ["a"]);
    acknowledge(&history, "a", None).unwrap();
    assert!(ask(&history, query).items.is_empty());
    assert_eq!(store.finish(PATIENCE).dropped, 0);
}

#[test]
fn while_the_file_cannot_be_written_it_waits_in_memory() {
    let dir = Dir::new("acks-degraded");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    for id in ["a", "b"] {
        store.offer(&told(incident(id, 1)));
    }
    until("both are written", || store.state().written == 2);
    acknowledge(&history, "b", ack("before")).unwrap();
    // Another program holds the file.
    let other = Connection::open(dir.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(acknowledge(&history, "a", ack("meanwhile")).is_some());
    assert!(store.state().trouble.is_some());
    acknowledge(&history, "b", None).unwrap();
    store.offer(&told(incident("a", 3)));
    store.offer(&told(incident("c", 4)));
    let newest = |acknowledged| IncidentQuery { acknowledged, ..all(Order::Newest) };
    until("the new one is known", || ask(&history, newest(None)).items.len() == 3);
    let known = || {
        let page = ask(&history, newest(None));
        let mut known: Vec<_> = acked(&page).into_iter().map(|(id, is)| (id.to_owned(), is)).collect();
        known.sort();
        known
    };
    let expect = [("a".to_owned(), true), ("b".to_owned(), false), ("c".to_owned(), false)];
    assert_eq!(known(), expect);
    assert_eq!(ids(&ask(&history, newest(Some(true)))), ["a"]);
    assert_eq!(ids(&ask(&history, newest(Some(false)))), ["c", "b"]);
    other.execute_batch("ROLLBACK").unwrap();
    until("it is written again", || store.state().trouble.is_none() && store.state().waiting == 0);
    assert_eq!(known(), expect);
    assert_eq!(store.finish(PATIENCE).dropped, 0);
    assert_eq!(acked(&dir.archive().incidents(&newest(Some(true))).unwrap()), [("a", true)]);
}

#[test]
fn it_goes_with_its_incident() {
    let dir = Dir::new("acks-removed");
    let settings = HistorySettings { max_age: Duration::from_secs(3_600), ..HistorySettings::default() };
    let Opened { mut store, .. } = Store::start(Some(&dir.0), &settings, at(1_000)).unwrap();
    let history = store.history();
    store.offer(&told(closed("old", -50_000)));
    store.offer(&told(incident("goes-on", -50_000)));
    until("both are written", || store.state().written == 2);
    for id in ["old", "goes-on"] {
        acknowledge(&history, id, ack("x")).unwrap();
    }
    until("the old one is removed", || block_on(history.incident("old".into())).unwrap().is_none());
    drop(store.finish(PATIENCE));
    let file = Connection::open(dir.file()).unwrap();
    let left: Vec<String> = file
        .prepare("SELECT id FROM acks")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left, ["goes-on"]);
}

#[test]
fn a_file_of_the_first_version_is_read_and_taken_to_this_one() {
    let dir = Dir::new("acks-migration");
    let old = Connection::open(dir.file()).unwrap();
    let mut first = old;
    schema::migrate(&mut first, 0, &STEPS[..1]).unwrap();
    drop(first);
    let query = IncidentQuery { acknowledged: Some(true), ..all(Order::Worst) };
    assert!(dir.archive().incidents(&query).unwrap().items.is_empty());
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    store.offer(&told(incident("a", 1)));
    until("it is written", || store.state().written == 1);
    acknowledge(&history, "a", ack("x")).unwrap();
    drop(store.finish(PATIENCE));
    assert_eq!(ids(&dir.archive().incidents(&query).unwrap()), ["a"]);
}

#[test]
fn words_and_networks_find_incidents() {
    let dir = Dir::new("words");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    let of = |id: &str, source: &str, dest: &str, text: &str| Incident {
        source: Some(source.into()),
        dest_ip: Some(dest.parse().unwrap()),
        text: text.into(),
        ..incident(id, 1)
    };
    store.offer(&told(of("a", "192.0.2.1", "198.51.100.1", "192.0.2.1 probed 11 tcp ports")));
    store.offer(&told(of("b", "2001:db8::/64", "198.51.100.2", "100% of \"it\" is_odd \\ here")));
    store.offer(&told(of("c", "203.0.113.0/24", "2001:db8::9", "pinged many")));
    until("all is written", || store.state().written == 3);
    let near = |text: &str| {
        let query = IncidentQuery { near: Network::read(text), ..all(Order::Newest) };
        ids(&ask(&history, query)).join("")
    };
    for (text, found) in [
        ("192.0.2.1", "a"),
        ("192.0.2.0/24", "a"),
        ("192.0.3.0/24", ""),
        ("0.0.0.0/0", "cba"),
        ("198.51.100.2", "b"),
        ("198.51.100.0/30", "ba"),
        ("2001:db8::9", "cb"),
        ("2001:db8::/32", "cb"),
        ("203.0.113.7", "c"),
        ("::/0", "cba"),
    ] {
        assert_eq!(near(text), found, "{text}");
    }
    for (words, found) in [
        (vec!["PROBED", "ports"], "a"),
        (vec!["probed", "many"], ""),
        (vec!["100%"], "b"),
        (vec!["10%1"], ""),
        (vec!["\"it\""], "b"),
        (vec!["is_odd"], "b"),
        (vec!["p_obed"], ""),
        (vec!["\\"], "b"),
        (vec!["' OR 1 --"], ""),
        // Only the sentence is looked through, and not what is written around it.
        (vec!["scan.vertical"], ""),
    ] {
        let words = words.into_iter().map(str::to_owned).collect();
        let query = IncidentQuery { words, ..all(Order::Newest) };
        assert_eq!(ids(&ask(&history, query.clone())).join(""), found, "{query:?}");
    }
}

#[test]
fn pages_of_the_worst_first_follow_each_other() {
    let dir = Dir::new("worst");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    for number in 0..30 {
        let severity = ["low", "high", "medium"][number % 3].to_owned();
        let number = i64::try_from(number).unwrap();
        let base = if number < 20 { closed } else { incident };
        store.offer(&told(Incident { severity, ..base(&format!("i-{number}"), number) }));
    }
    until("all is written", || store.state().written == 30);
    acknowledge(&history, "i-22", ack("")).unwrap();
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = ask(&history, IncidentQuery { cursor, limit: 7, ..all(Order::Worst) });
        seen.extend(page.items.iter().map(|one| one.id[2..].parse::<i64>().unwrap()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen[..10], [28, 25, 29, 26, 23, 20, 27, 24, 21, 22]);
    assert_eq!((seen.len(), &seen[10..13]), (30, &[19, 16, 13][..]));
}
