//! Incidents of an earlier run.

use super::stage::*;
use crate::analysis::{Policy, Resumed, State, Transition};

/// A scan by a run that came to its end.
fn earlier() -> Transition {
    let mut before = Stage::new(Policy::default());
    for port in 1..=20 {
        before.send(outside(7), inside(1), tcp(port), SYN, 1);
    }
    before.end_slot();
    let told = before.told.last().cloned().unwrap();
    assert_eq!((told.state, told.observed), (State::Open, 20));
    told
}

fn resumed(stage: &mut Stage) -> Option<Transition> {
    let resumed = Resumed { name: "old-1".into(), last: earlier(), item: None };
    let now_ns = stage.now_ns;
    let told = stage.analysis.resume(stage.eth0, resumed, now_ns)?;
    stage.told.push(told.clone());
    Some(told)
}

#[test]
fn what_goes_on_is_not_opened_again_and_keeps_its_name() {
    let mut stage = Stage::new(Policy::default());
    let told = resumed(&mut stage).unwrap();
    assert_eq!((told.state, told.name.as_deref(), told.observed), (State::Update, Some("old-1"), 20));
    assert_eq!(stage.analysis.counters().open(), 1);
    for port in 21..=40 {
        stage.send(outside(7), inside(1), tcp(port), SYN, 1);
    }
    assert_eq!(stage.end_slot(), Vec::<String>::new(), "it goes on as before");
    // Ten times as much is news, as it is of one's own.
    for port in 100..=400 {
        stage.send(outside(7), inside(1), tcp(port), SYN, 1);
    }
    assert_eq!(stage.end_slot().len(), 1);
    let update = stage.told.last().unwrap().clone();
    assert_eq!((update.state, update.name.as_deref()), (State::Update, Some("old-1")));
    assert_eq!(update.packets, 20 + 20 + 301, "what both runs have seen");
    // Another source is an incident of this run.
    for port in 1..=20 {
        stage.send(outside(8), inside(1), tcp(port), SYN, 1);
    }
    stage.end_slot();
    let own = stage.told.last().unwrap();
    assert_eq!((own.state, own.incident, own.name.as_deref()), (State::Open, 1, None));
    let (closed, _) = stage.analysis.close_all(stage.now_ns);
    let mut names: Vec<_> = closed.iter().map(|told| told.name.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, [None, Some("old-1")]);
    assert_eq!(stage.analysis.counters().open(), 0);
}

#[test]
fn what_is_over_meanwhile_comes_to_its_end() {
    let mut stage = Stage::new(Policy::default());
    resumed(&mut stage).unwrap();
    let told = stage.silence(30);
    assert_eq!(told.len(), 1, "{told:?}");
    let close = stage.told.last().unwrap();
    assert_eq!((close.state.name(), close.name.as_deref(), close.packets), ("close", Some("old-1"), 20));
    assert!(stage.analysis.is_at_rest());
}

#[test]
fn one_incident_is_continued_once_and_not_where_its_rule_is_off() {
    let mut stage = Stage::new(Policy::default());
    assert!(resumed(&mut stage).is_some());
    assert!(resumed(&mut stage).is_none());
    let mut policy = Policy::default();
    policy.rules[earlier().rule as usize].enabled = false;
    assert!(resumed(&mut Stage::new(policy)).is_none());
}
