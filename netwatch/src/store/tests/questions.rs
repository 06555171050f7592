//! What can be asked, and what an answer costs.

use super::query::{incidents_sql, windows_sql};
use super::*;

/// Questions of all kinds.
fn queries() -> Vec<IncidentQuery> {
    let plain = IncidentQuery { limit: 100, ..IncidentQuery::default() };
    let one = |change: &dyn Fn(&mut IncidentQuery)| {
        let mut query = plain.clone();
        change(&mut query);
        query
    };
    let mut queries = vec![
        plain.clone(),
        one(&|query| query.since = Some(at(1))),
        one(&|query| query.until = Some(at(1))),
        one(&|query| query.rule = Some("scan.vertical".into())),
        one(&|query| query.min_severity = Some(Severity::High)),
        one(&|query| query.min_weight = Some(Severity::High)),
        one(&|query| query.source = Some("192.0.2.1".parse().unwrap())),
        one(&|query| query.source = Some("2001:db8::1".parse().unwrap())),
        one(&|query| query.dest = Some("198.51.100.1".parse().unwrap())),
        one(&|query| query.interface = Some("eth0".into())),
        one(&|query| query.state = Some(Life::Open)),
        one(&|query| {
            query.since = Some(at(1));
            query.rule = Some("scan.vertical".into());
            query.source = Some("192.0.2.1".parse().unwrap());
        }),
    ];
    let changed: Vec<_> =
        queries.iter().map(|query| IncidentQuery { order: Order::Changed, ..query.clone() }).collect();
    queries.extend(changed);
    queries
}

#[test]
fn no_question_walks_through_all_of_it() {
    let shared = Shared::new(None).unwrap();
    let memory = shared.memory();
    let plan = |sql: &str, values: &[rusqlite::types::Value]| -> Vec<String> {
        let mut statement = memory.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for query in queries() {
        let asked = incidents_sql(&query, true);
        for line in plan(&asked.sql, &asked.values) {
            assert!(!line.starts_with("SCAN"), "{query:?}: {line}");
        }
    }
    for source in [None, Some("192.0.2.1".parse().unwrap())] {
        let query = WindowQuery { source, since: Some(at(1)), limit: 10, ..WindowQuery::default() };
        let asked = windows_sql(&query);
        for line in plan(&asked.sql, &asked.values) {
            assert!(!line.starts_with("SCAN"), "{query:?}: {line}");
        }
    }
}

#[test]
fn filters_find_what_they_say() {
    let dir = Dir::new("filters");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    store.offer(&told(incident("a", 1)));
    let b = Incident {
        rule: "flood.syn".into(),
        severity: "high".into(),
        weight: "info".into(),
        interface: "eth1".into(),
        source: Some("2001:db8::/64".into()),
        src_ip: None,
        dest_ip: Some("2001:db8:1::1".parse().unwrap()),
        ..closed("b", 2)
    };
    store.offer(&told(b.clone()));
    let nobody = Incident { source: None, src_ip: None, dest_ip: None, ..incident("c", 3) };
    store.offer(&told(nobody));
    until("all is written", || store.state().written == 3);
    let plain = all(Order::Newest);
    let addr = |text: &str| Some(text.parse().unwrap());
    for (query, expected) in [
        (plain.clone(), vec!["c", "b", "a"]),
        (IncidentQuery { since: Some(at(2)), ..plain.clone() }, vec!["c", "b"]),
        (IncidentQuery { until: Some(at(2)), ..plain.clone() }, vec!["a"]),
        (IncidentQuery { rule: Some("flood.syn".into()), ..plain.clone() }, vec!["b"]),
        (IncidentQuery { min_severity: Some(Severity::High), ..plain.clone() }, vec!["b"]),
        (IncidentQuery { min_weight: Some(Severity::Low), ..plain.clone() }, vec!["c", "a"]),
        (IncidentQuery { source: addr("192.0.2.1"), ..plain.clone() }, vec!["a"]),
        (IncidentQuery { source: addr("2001:db8::7"), ..plain.clone() }, vec!["b"]),
        (IncidentQuery { source: addr("2001:db8:0:1::7"), ..plain.clone() }, vec![]),
        (IncidentQuery { dest: addr("2001:db8:1::1"), ..plain.clone() }, vec!["b"]),
        (IncidentQuery { interface: Some("eth1".into()), ..plain.clone() }, vec!["b"]),
        (IncidentQuery { state: Some(Life::Open), ..plain.clone() }, vec!["c", "a"]),
        (IncidentQuery { rule: Some("' OR 1 --".into()), ..plain }, vec![]),
    ] {
        assert_eq!(ids(&ask(&history, query.clone())), expected, "{query:?}");
        assert_eq!(ids(&dir.archive().incidents(&query).unwrap()), expected, "{query:?}");
    }
    assert_eq!(block_on(history.incident("b".into())).unwrap(), Some(b));
    assert_eq!(block_on(history.incident("z".into())).unwrap(), None);
}

#[test]
fn pages_follow_each_other_and_changes_are_never_missed() {
    let dir = Dir::new("pages");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    for number in 0..25 {
        store.offer(&told(incident(&format!("i-{number}"), number)));
    }
    until("all is written", || store.state().written == 25);
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = ask(&history, IncidentQuery { cursor, limit: 10, ..IncidentQuery::default() });
        seen.extend(page.items.iter().map(|incident| incident.id.clone()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().map(|number| format!("i-{number}")).collect::<Vec<_>>());

    let changed = |cursor, limit| ask(&history, IncidentQuery { cursor, limit, ..all(Order::Changed) });
    let first = changed(None, 20);
    let rest = changed(first.next, 20);
    assert_eq!((first.items.len(), rest.items.len()), (20, 5));
    let nothing = changed(rest.next, 20);
    assert_eq!((nothing.items.len(), nothing.next), (0, rest.next));
    store.offer(&told(incident("i-3", 100)));
    until("it is written", || store.state().written == 26);
    let more = changed(nothing.next, 20);
    assert_eq!((ids(&more), more.next > nothing.next), (vec!["i-3"], true));
    // The last ones in the order of their changes.
    let archive = dir.archive();
    let last = archive.last(&all(Order::Changed), 2).unwrap();
    let page = archive.incidents(&IncidentQuery { cursor: Some(last), ..all(Order::Changed) }).unwrap();
    assert_eq!(ids(&page), ["i-24", "i-3"]);
    assert_eq!(archive.last(&all(Order::Changed), 99).unwrap(), 0);
}

#[test]
fn windows_tell_the_history_of_a_source() {
    let dir = Dir::new("windows");
    let Opened { mut store, .. } = dir.start();
    let history = store.history();
    store.window(summary(1, &["192.0.2.1", "2001:db8::/64"]));
    store.window(summary(2, &["192.0.2.2"]));
    store.window(summary(3, &["192.0.2.1", "192.0.2.2"]));
    until("all is written", || store.state().written == 3);
    let ask = |query| block_on(history.windows(query)).unwrap();
    let plain = WindowQuery { limit: 10, ..WindowQuery::default() };
    assert_eq!(ask(plain.clone()).items.len(), 3);
    let page = ask(WindowQuery { source: Some("192.0.2.1".parse().unwrap()), limit: 1, ..plain.clone() });
    assert_eq!(page.items, [summary(3, &["192.0.2.1"])]);
    let rest = WindowQuery { cursor: page.next, source: Some("192.0.2.1".parse().unwrap()), ..plain.clone() };
    assert_eq!(ask(rest).items, [summary(1, &["192.0.2.1"])]);
    let net = ask(WindowQuery { source: Some("2001:db8::9".parse().unwrap()), ..plain.clone() });
    assert_eq!(net.items, [summary(1, &["2001:db8::/64"])]);
    let since = ask(WindowQuery { since: Some(at(2)), until: Some(at(3)), ..plain.clone() });
    assert_eq!(since.items, [summary(2, &["192.0.2.2"])]);
    assert!(ask(WindowQuery { interface: Some("eth9".into()), ..plain }).items.is_empty());
}

#[test]
fn too_many_questions_are_refused_at_once() {
    let Opened { store, .. } = Store::start(None, &HistorySettings::default(), at(0)).unwrap();
    let history = store.history();
    // Nobody can answer as long as this is held.
    let memory = store.shared.memory();
    let mut waiting = Vec::new();
    let mut refused = 0;
    block_on(async {
        for _ in 0..limits::QUESTIONS + limits::READERS + 10 {
            let mut answer = history.incidents(all(Order::Newest));
            let now = futures_util::FutureExt::now_or_never(&mut answer);
            match now {
                Some(answered) => {
                    assert_eq!(answered, Err(crate::report::HistoryError::Busy));
                    refused += 1;
                }
                None => waiting.push(answer),
            }
        }
    });
    assert!(refused >= 10, "{refused}");
    drop(memory);
    for answer in waiting {
        block_on(answer).unwrap();
    }
}
