//! Whatever steps come in whatever order, with restarts in between: the history is what a map would be.

use std::sync::atomic::Ordering;

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// A step of one of a few incidents, at a time, open or closed.
    Step(u8, i64, bool),
    Restart,
    /// The file is gone for a while.
    Remove,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        30 => (0..12_u8, 0..1_000_i64, any::<bool>()).prop_map(|(who, when, over)| Act::Step(who, when, over)),
        1 => Just(Act::Restart),
        1 => Just(Act::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_a_map_would_be(acts in proptest::collection::vec(act(), 1..120)) {
        let dir = Dir::new("model");
        let mut store = dir.start().store;
        // In the order of their first and of their last steps.
        let (mut model, mut first, mut last) = (HashMap::<String, Incident>::new(), Vec::new(), Vec::new());
        for act in acts {
            match act {
                Act::Step(who, when, is_over) => {
                    let id = format!("i-{who}");
                    let mut one = if is_over { closed(&id, when) } else { incident(&id, when) };
                    store.offer(&told(one.clone()));
                    match model.get(&id) {
                        Some(before) => {
                            one.opened_at = one.opened_at.min(before.opened_at);
                            one.first_seen = one.first_seen.min(before.first_seen);
                        }
                        None => first.push(id.clone()),
                    }
                    last.retain(|other| *other != id);
                    last.push(id.clone());
                    model.insert(id, one);
                }
                Act::Restart => {
                    let state = store.finish(PATIENCE);
                    prop_assert_eq!((state.dropped, state.waiting, state.trouble), (0, 0, None));
                    let Opened { store: next, open } = dir.start();
                    store = next;
                    let goes_on = first.iter().filter(|id| model[*id].state == Life::Open);
                    prop_assert_eq!(open, goes_on.map(|id| model[id].clone()).collect::<Vec<_>>());
                }
                Act::Remove => {
                    // All is told again, as nobody knows what was in it.
                    until("all is written", || store.state().waiting == 0);
                    fs::remove_file(dir.file()).unwrap();
                    for id in &last {
                        store.offer(&told(model[id].clone()));
                    }
                    first.clone_from(&last);
                    until("it is written again", || store.state().waiting == 0);
                }
            }
        }
        let history = store.history();
        until("all is known", || store.shared.queued.load(Ordering::Relaxed) == 0);
        drop(store.finish(PATIENCE));
        let expected = |order: &[String]| order.iter().map(|id| model[id].clone()).collect::<Vec<_>>();
        let mut newest = ask(&history, all(Order::Newest)).items;
        newest.reverse();
        prop_assert_eq!(newest, expected(&first));
        prop_assert_eq!(ask(&history, all(Order::Changed)).items, expected(&last));
    }
}
