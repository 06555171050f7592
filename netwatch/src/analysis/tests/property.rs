//! What holds of all that is told, whatever is sent and whenever it is looked at.

use std::collections::BTreeMap;

use super::stage::{
    ACK, COMPLETED, ECHO, FIN, FRAGMENT, Kind, LATE_REPLY, RESET, SECOND, SYN, Stage, TALK, UDP, inside,
    outside, tcp, udp,
};
use crate::analysis::policy::Policy;
use crate::analysis::rules::{Reach, RuleId};
use crate::analysis::transition::{State, Transition};
use netwatch_common::{Addr, Service};
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Packets of a source to some ports of some destinations.
    Send { source: u32, dests: u32, first: u64, ports: u64, kind: Kind, each: u64 },
    /// Hints are read.
    Look,
    /// The slot, or a part of it, ends.
    End,
    /// Slots without a packet.
    Silence(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = prop::sample::select(vec![
        SYN, SYN, FIN, ACK, RESET, UDP, LATE_REPLY, ECHO, FRAGMENT, TALK, COMPLETED,
    ]);
    let dests = prop_oneof![4 => 1..4u32, 1 => 15..30u32];
    let ports = prop_oneof![4 => 1..4u64, 2 => 8..14u64, 1 => 90..120u64];
    let each = prop_oneof![6 => 1..4u64, 1 => 90..110u64, 1 => 1_000..50_000u64];
    let send = (1..6u32, dests, 1..30u64, ports, kinds, each).prop_map(
        |(source, dests, first, ports, kind, each)| Step::Send { source, dests, first, ports, kind, each },
    );
    let silence = prop_oneof![1..14u64, 30..50u64, 700..800u64].prop_map(Step::Silence);
    prop_oneof![8 => send, 4 => Just(Step::Look), 3 => Just(Step::End), 1 => silence]
}

fn service(kind: Kind, port: u64) -> Service {
    match kind {
        UDP | LATE_REPLY => udp(port),
        ECHO => Service::PROBE,
        FRAGMENT => Service::FRAGMENT,
        _ => tcp(port),
    }
}

fn send(stage: &mut Stage, step: &Step) {
    let Step::Send { source, dests, first, ports, kind, each } = *step else { return };
    for dest in 1..=dests {
        for port in first..first + ports {
            stage.send(outside(source), inside(dest), service(kind, port), kind, each);
        }
    }
}

/// What one side sent or got, in packets.
#[derive(Default)]
struct Sent(BTreeMap<Addr, u64>);

impl Sent {
    fn add(&mut self, step: &Step) {
        let Step::Send { source, dests, ports, each, .. } = *step else { return };
        for dest in 1..=dests {
            *self.0.entry(outside(source)).or_default() += ports * each;
            *self.0.entry(inside(dest)).or_default() += ports * each;
        }
    }

    fn of(&self, t: &Transition) -> u64 {
        let peer = t.source.map(|peer| peer.addr).or(t.dest);
        peer.and_then(|peer| self.0.get(&peer.into()).copied()).unwrap_or(0)
    }
}

/// Checks the lives of all incidents of a run that is over.
fn check_lives(stage: &Stage, sent: &Sent) -> Result<(), TestCaseError> {
    let mut open: BTreeMap<u64, &Transition> = BTreeMap::new();
    let (mut opened, mut updated, mut closed) = (0, 0, 0);
    for t in &stage.told {
        prop_assert!(t.peak >= t.observed, "{t:?}");
        prop_assert!(t.packets <= sent.of(t), "{t:?}");
        prop_assert!(t.opened_ns <= t.at_ns && t.first_ns <= t.last_ns && t.last_ns <= t.at_ns, "{t:?}");
        match t.state {
            State::Open => {
                opened += 1;
                prop_assert_eq!(t.incident, opened);
                prop_assert!(t.observed > t.threshold, "{t:?}");
                open.insert(t.incident, t);
                continue;
            }
            State::Update => updated += 1,
            State::Close(_) => closed += 1,
        }
        let Some(last) = open.remove(&t.incident) else {
            return Err(TestCaseError::fail(format!("not open: {t:?}")));
        };
        let same = |t: &Transition| (t.rule, t.source.map(|peer| peer.addr), t.dest, t.port, t.proto, t.unit);
        prop_assert_eq!(same(last), same(t));
        prop_assert!(t.peak >= last.peak && t.severity >= last.severity, "{last:?} {t:?}");
        prop_assert!(t.packets >= last.packets && t.bytes >= last.bytes, "{last:?} {t:?}");
        if t.state == State::Update {
            open.insert(t.incident, t);
        }
    }
    prop_assert!(open.is_empty(), "{open:?}");
    let counters = stage.analysis.counters();
    prop_assert_eq!((counters.opened, counters.updated, counters.closed), (opened, updated, closed));
    prop_assert_eq!(counters.open(), 0);
    Ok(())
}

/// Ends a run.
fn close(stage: &mut Stage) {
    stage.end_slot();
    let (closed, _) = stage.analysis.close_all(stage.start_ns);
    stage.told.extend(closed);
}

/// The highest value that each incident's rule has found of a source or destination.
fn peaks(stage: &Stage) -> BTreeMap<String, u64> {
    let mut peaks = BTreeMap::new();
    for t in stage.told.iter().filter(|t| t.rule.rule().reach == Reach::Window) {
        let who = t.source.map(|peer| peer.addr).or(t.dest).unwrap();
        let key = format!("{} {who} {:?} {:?}", t.rule.name(), t.proto, t.port);
        let peak = peaks.entry(key).or_insert(0);
        *peak = t.peak.max(*peak);
    }
    peaks
}

/// A policy by which nothing has to wait for the next minute.
fn frank() -> Policy {
    Policy { notifications_per_minute: u64::MAX, ..Policy::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_incident_has_one_life(steps in prop::collection::vec(step(), 1..60)) {
        let mut stage = Stage::new(frank());
        let mut sent = Sent::default();
        for step in &steps {
            match step {
                Step::Send { .. } => {
                    stage.now_ns += 1;
                    send(&mut stage, step);
                    sent.add(step);
                }
                Step::Look => drop(stage.look()),
                Step::End => drop(stage.end_slot()),
                Step::Silence(slots) => drop(stage.silence(*slots)),
            }
        }
        close(&mut stage);
        check_lives(&stage, &sent)?;
    }

    #[test]
    fn a_source_with_one_incident_is_told_with_all_that_it_sent(
        slots in prop::collection::vec((11..40u64, 1..5u64, 0..3u32), 1..10),
    ) {
        // It fires in the first slot and never grows quiet.
        let mut stage = Stage::new(frank());
        let mut sent = 0;
        for (ports, each, looks) in slots {
            for round in 0..=looks {
                for port in 1..=ports {
                    stage.send(outside(1), inside(1), tcp(port + 50 * u64::from(round)), SYN, each);
                    sent += each;
                }
                if round > 0 {
                    stage.look();
                }
            }
            stage.end_slot();
        }
        stage.silence(60);
        for t in stage.told.iter().filter(|t| matches!(t.state, State::Close(_)) && t.opened_ns <= 5 * SECOND) {
            prop_assert_eq!((t.packets, t.evidence.iter().sum::<u64>(), t.bytes), (sent, sent, sent * 60));
        }
        let closed = stage.told.iter().any(|t| t.rule == RuleId::ScanVertical && t.opened_ns <= 5 * SECOND);
        prop_assert!(closed);
    }

    // No more slots than the window has: the first part of a slot may be added to the slot before it, as one that
    // ended late.
    #[test]
    fn a_slot_may_come_in_parts(
        slots in prop::collection::vec((prop::collection::vec(step(), 0..6), 1..5u64), 1..12),
        only in prop::sample::select(
            RuleId::ALL.into_iter().filter(|rule| rule.rule().reach == Reach::Window).collect::<Vec<_>>()
        ),
    ) {
        // Each rule by itself: what explains it may come with another part.
        let mut policy = frank();
        for rule in RuleId::ALL {
            policy.rules[rule as usize].enabled = rule == only;
        }
        let (mut whole, mut parts) = (Stage::new(policy.clone()), Stage::new(policy));
        let mut sent = Sent::default();
        for (steps, count) in slots {
            for (index, step) in (0..).zip(&steps) {
                sent.add(step);
                send(&mut whole, step);
                send(&mut parts, step);
                if index < count - 1 {
                    parts.end_slot_after(SECOND);
                }
            }
            let end_ns = whole.start_ns + whole.slot_ns;
            whole.end_slot();
            parts.end_slot_after(end_ns - parts.start_ns);
        }
        close(&mut whole);
        close(&mut parts);
        check_lives(&whole, &sent)?;
        check_lives(&parts, &sent)?;
        // An answer takes away from what these have found, and in parts it is seen before that comes.
        let shrinks = matches!(
            only,
            RuleId::ScanVertical | RuleId::ScanHorizontal | RuleId::DosUnsolicited | RuleId::FloodSyn
        );
        let (of_whole, of_parts) = (peaks(&whole), peaks(&parts));
        if shrinks {
            for (key, peak) in of_whole {
                prop_assert!(of_parts.get(&key).is_some_and(|parts| *parts >= peak), "{key} {peak}");
            }
        } else {
            prop_assert_eq!(of_whole, of_parts);
        }
    }
}
