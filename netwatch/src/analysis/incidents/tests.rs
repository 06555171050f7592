use super::*;
use crate::analysis::Setting;
use crate::analysis::evaluate::Evaluation;
use crate::analysis::incident::{MUTE_NS, REMIND_NS};
use crate::analysis::memory::SlowScan;
use crate::analysis::policy::{Allow, Counting, Policy, Prefix};
use crate::analysis::rules::Severity;
use crate::analysis::slot::{Confidence, ServiceKey};
use crate::analysis::source::Case;
use crate::analysis::stats::{SourceStats, TargetStats};
use crate::analysis::view::SourceView;
use crate::analysis::window::Window;
use core::net::{Ipv4Addr, Ipv6Addr};
use netwatch_common::{Class, PortHash, Proto, Service};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const WINDOW: u64 = 60 * SECOND;
const ETH0: InterfaceId = InterfaceId(0);

/// What one source has in the window at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ports: u16,
    syns: u64,
    known: u64,
}

fn view_of(addr: Addr, seen: Seen) -> SourceView {
    let mut view = SourceView::new(addr);
    let probe = TargetStats { opening: 1, ..TargetStats::default() };
    for port in 1..=seen.ports {
        view.add(ServiceKey { dest: addr, service: Service::new(Proto::Tcp, port) }, probe);
    }
    view.conclude(Counting::Evidence, Confidence::Flows);
    view.stats.classes[Class::Syn as usize] = seen.syns;
    view.stats.classes[Class::Known as usize] = seen.known;
    view
}

fn view(seen: Seen) -> SourceView {
    view_of(Ipv4Addr::new(192, 0, 2, 1).into(), seen)
}

/// Incidents, and how the rules are applied.
#[derive(Default)]
struct World {
    policy: Policy,
    incidents: Incidents,
}

impl World {
    fn evaluate(&mut self, at_ns: u64, view: &SourceView, sent: SourceStats) -> Vec<Transition> {
        let mut evaluation = Evaluation {
            setting: &Setting {
                window_slots: 12,
                slot_ns: 5 * SECOND,
                ipv6_bits: 64,
                one_cpu: false,
                port_hash: PortHash::default(),
            },
            policy: &self.policy,
            incidents: &mut self.incidents,
            id: ETH0,
            name: "eth0",
            now_ns: at_ns,
            confidence: Confidence::Flows,
            transitions: Vec::new(),
        };
        let case = Case {
            view,
            newest: SourceStats::default(),
            newest_ns: 5 * SECOND,
            slow: SlowScan::default(),
            baseline: None,
            rules: RuleSet::of(&RuleId::ALL),
            early: false,
        };
        evaluation.source(&case, &Window::new(12), 12, &Sent::Slot(sent));
        let told = evaluation.transitions;
        self.incidents.forget(at_ns);
        told
    }

    fn step(&mut self, at_ns: u64, seen: Seen) -> Vec<Transition> {
        self.evaluate(at_ns, &view(seen), SourceStats::default())
    }

    fn close_all(&mut self, now_ns: u64) -> Vec<Transition> {
        self.incidents.close_all(|_, _| Moment {
            now_ns,
            window_ns: WINDOW,
            covered_ns: 0,
            patience_ns: 0,
            confidence: Confidence::Flows,
            degraded: false,
            interface: "eth0",
            ipv6_bits: 64,
        })
    }

    fn counters(&self) -> Counters {
        self.incidents.counters()
    }
}

/// Plays a list of (seconds, what is seen) and compares what happens, one word per transition.
fn check(story: &[(u64, Seen)], expect: &[&str]) -> World {
    let mut world = World::default();
    let told: Vec<String> = story
        .iter()
        .flat_map(|(at_s, seen)| world.step(at_s * SECOND, *seen))
        .map(|t| format!("{} {} {}", t.at_ns / SECOND, t.state.name(), t.rule.name()))
        .collect();
    assert_eq!(told, expect);
    world
}

const fn ports(ports: u16) -> Seen {
    Seen { ports, syns: 0, known: 0 }
}

const fn syns(ports: u16, syns: u64) -> Seen {
    Seen { ports, syns, known: 0 }
}

#[test]
fn growth_severity_and_time_are_worth_an_update() {
    check(&[(0, ports(10)), (5, ports(11)), (10, ports(99)), (15, ports(100))], &["5 open scan.vertical"]);
    check(
        &[(0, ports(11)), (5, ports(101)), (10, ports(109))],
        &["0 open scan.vertical", "5 update scan.vertical"],
    );
    check(
        &[(0, syns(0, 101)), (5, syns(0, 1_000)), (10, syns(0, 1_001)), (15, syns(0, 10_009))],
        &[
            "0 open dos.unsolicited",
            "0 open dos.packets",
            "10 update dos.unsolicited",
            // Ten times 101 for the one, the next severity for the other; 10,010 would be ten times 1,001.
            "15 update dos.unsolicited",
            "15 update dos.packets",
        ],
    );
    // Not quiet at half of the threshold, so it goes on.
    check(
        &[(0, ports(11)), (899, ports(5)), (900, ports(5)), (1799, ports(5)), (1800, ports(5))],
        &["0 open scan.vertical", "900 update scan.vertical", "1800 update scan.vertical"],
    );
}

#[test]
fn only_two_quiet_windows_in_a_row_close() {
    check(
        &[(0, ports(11)), (5, ports(4)), (124, ports(4)), (125, ports(4)), (130, ports(0))],
        &["0 open scan.vertical", "125 close scan.vertical"],
    );
    check(
        &[(0, ports(11)), (5, ports(4)), (100, ports(5)), (130, ports(4)), (249, ports(4)), (250, ports(4))],
        &["0 open scan.vertical", "250 close scan.vertical"],
    );
}

#[test]
fn a_reopening_within_the_hour_is_counted_and_not_told() {
    let ended = [(0, ports(11)), (5, ports(0)), (125, ports(0))];
    let muted = |world: &World| world.counters().suppressed(Suppression::MutedAfterClose);
    let told = ["0 open scan.vertical", "125 close scan.vertical"];
    let after =
        |story: &[(u64, Seen)], expect: &[&str]| check(&[&ended, story].concat(), &[&told, expect].concat());

    // Twice, and quiet in between: two reopenings.
    let again = [(200, ports(50)), (205, ports(60)), (210, ports(0)), (400, ports(0)), (500, ports(11))];
    assert_eq!(muted(&after(&again, &[])), 2);
    // More severe than before.
    assert_eq!(muted(&after(&[(200, ports(101))], &["200 open scan.vertical"])), 0);
    assert_eq!(muted(&after(&[(200, ports(50)), (205, ports(101))], &["205 open scan.vertical"])), 1);
    // Still there when the hour is over: 125 s + 3600 s.
    let lasting = [(200, ports(50)), (3724, ports(50)), (3725, ports(50)), (3730, ports(50))];
    assert_eq!(muted(&after(&lasting, &["3725 open scan.vertical"])), 1);
    // Not enough any more when the hour is over, but later again.
    let fading = [(200, ports(50)), (3725, ports(10)), (3730, ports(11))];
    assert_eq!(muted(&after(&fading, &["3730 open scan.vertical"])), 1);
    // Gone when the hour is over.
    assert_eq!(muted(&after(&[(200, ports(50)), (205, ports(0)), (3725, ports(0))], &[])), 1);
    assert_eq!(muted(&after(&[(3725, ports(11))], &["3725 open scan.vertical"])), 0);
}

#[test]
fn an_opening_says_how_many_were_held_back_before() {
    let mut world = World::default();
    let story = [(0, 11), (5, 0), (125, 0), (200, 11), (205, 0), (325, 0), (400, 11), (405, 0), (525, 0)];
    for (at_s, seen) in story {
        world.step(at_s * SECOND, ports(seen));
    }
    let [open] = &world.step(600 * SECOND, ports(101))[..] else { panic!("opens") };
    assert_eq!((open.state, open.suppressed, open.incident), (State::Open, 2, 2));
    assert_eq!((open.severity, open.observed, open.opened_ns), (Severity::High, 101, 600 * SECOND));
}

#[test]
fn packets_that_are_the_scan_are_no_flood() {
    let absorbed = |world: &World| world.counters().suppressed(Suppression::PartOfScan);
    // Both floods are part of the scan, and counted once however long that lasts.
    let scan = check(&[(0, syns(1000, 1000)), (5, syns(1000, 4000))], &["0 open scan.vertical"]);
    assert_eq!(absorbed(&scan), 2);
    // Five packets per port are a flood as well.
    let flood = check(
        &[(0, syns(1000, 5000))],
        &["0 open scan.vertical", "0 open dos.unsolicited", "0 open dos.packets"],
    );
    assert_eq!(absorbed(&flood), 0);
    // It becomes one later.
    let both = check(
        &[(0, syns(1000, 1000)), (5, syns(1000, 4001))],
        &["0 open scan.vertical", "5 open dos.unsolicited", "5 open dos.packets"],
    );
    assert_eq!(absorbed(&both), 2);
    // Ten ports are no scan that could explain anything.
    check(&[(0, syns(26, 101))], &["0 open scan.vertical"]);
    check(&[(0, Seen { ports: 26, syns: 101, known: 9 })], &["0 open scan.vertical", "0 open dos.packets"]);
    // The scan is over, the flood that was part of it isn't.
    check(
        &[(0, syns(1000, 1000)), (5, syns(4, 1000)), (60, syns(4, 1000)), (125, syns(4, 1000))],
        &["0 open scan.vertical", "5 open dos.unsolicited", "5 open dos.packets", "125 close scan.vertical"],
    );
}

#[test]
fn a_new_policy_ends_what_is_not_to_be_and_tells_what_is() {
    let scan = RuleId::ScanVertical;
    let allow = Allow { prefix: Prefix::new(view(ports(0)).addr, 128).unwrap(), rule: Some(scan) };
    let allowed = Policy { allow: vec![allow], ..Policy::default() };
    let mut disabled = Policy::default();
    disabled.rules[scan as usize].enabled = false;
    let mut lower = Policy::default();
    lower.rules[scan as usize].threshold = 5;

    for (policies, expect, held_back) in [
        (vec![allowed.clone(), Policy::default()], "open, close allowed, open", 1),
        (vec![disabled, Policy::default()], "open, close disabled, open", 0),
        (vec![lower, Policy::default()], "open", 0),
    ] {
        let mut world = World::default();
        let mut told = world.step(0, ports(11));
        for (at_s, policy) in (1..).zip(policies) {
            world.policy = policy;
            told.extend(world.step(10 * at_s * SECOND, ports(11)));
            told.extend(world.step((10 * at_s + 5) * SECOND, ports(11)));
        }
        let told: Vec<_> = told
            .iter()
            .map(|t| match t.state {
                State::Close(reason) => format!("close {}", reason.name()),
                state => state.name().to_owned(),
            })
            .collect();
        assert_eq!(told.join(", "), expect);
        assert_eq!(world.counters().suppressed(Suppression::Allowed), held_back, "{expect}");
        assert_eq!(world.counters().open(), 1);
    }

    // Held back from the beginning, counted once, and forgotten without a word.
    let mut world = World { policy: allowed, ..World::default() };
    for (at_s, seen) in [(0, 11), (5, 500), (10, 0), (200, 0)] {
        assert_eq!(world.step(at_s * SECOND, ports(seen)), []);
    }
    assert_eq!(world.counters().suppressed(Suppression::Allowed), 1);
}

#[test]
fn totals_count_each_slot_once() {
    let mut world = World::default();
    let mut sent = SourceStats { bytes: 100, first_ns: 7, last_ns: 9, ..SourceStats::default() };
    sent.classes[Class::Syn as usize] = 20;
    let mut told = Vec::new();
    for slot in 0..40u64 {
        let slots_in_window = 3.min(slot + 1).min(14u64.saturating_sub(slot));
        let mut seen = view(ports(if slots_in_window > 0 { 20 } else { 0 }));
        for _ in 0..slots_in_window {
            seen.stats.merge(&sent);
        }
        let sent = if slot < 3 { sent } else { SourceStats::default() };
        told.extend(world.evaluate((slot + 1) * 5 * SECOND, &seen, sent));
    }
    let [open, close] = &told[..] else { panic!("{told:?}") };
    assert_eq!((open.packets, open.bytes, open.first_ns, open.last_ns), (20, 100, 7, 9));
    assert_eq!((close.packets, close.bytes, close.observed, close.peak), (60, 300, 0, 20));
    assert_eq!(close.by_class().collect::<Vec<_>>(), [(Class::Syn, 60)]);
    assert_eq!(close.ports.first_ports().len(), 16);
}

#[test]
fn sources_without_counts_of_their_own_have_times() {
    let mut world = World::default();
    let [open] = &world.step(5 * SECOND, ports(11))[..] else { panic!("opens") };
    assert_eq!((open.first_ns, open.last_ns, open.proto), (5 * SECOND, 5 * SECOND, Some(Proto::Tcp)));
}

#[test]
fn incidents_are_bounded_and_say_so() {
    let mut world = World::default();
    let excess = 3;
    let many: Vec<SourceView> = (0..OPEN_INCIDENTS + excess)
        .map(|number| view_of(Ipv6Addr::from((0x2001_0db8 << 96) | number as u128).into(), ports(11)))
        .collect();
    world.policy.notifications_per_minute = u64::MAX;
    let mut round = |at_ns| {
        let told: usize =
            many.iter().map(|view| world.evaluate(at_ns, view, SourceStats::default()).len()).sum();
        (told, world.counters().suppressed(Suppression::TooManyOpen))
    };
    assert_eq!(round(0), (OPEN_INCIDENTS, excess as u64));
    assert_eq!(round(1), (0, 2 * excess as u64));
    // A flood does not crowd out another rule.
    assert_eq!(world.step(2, syns(0, 101)).len(), 2);
    assert_eq!(world.close_all(3).len(), OPEN_INCIDENTS + 2);
    assert_eq!(world.counters().open(), 0);
}

#[test]
fn what_is_over_the_cap_is_told_when_there_is_room() {
    let mut world = World::default();
    world.policy.notifications_per_minute = 10;
    let hosts: Vec<SourceView> =
        (1..=20).map(|last| view_of(Ipv4Addr::new(192, 0, 2, last).into(), ports(11))).collect();
    let mut round = |at_s: u64| {
        let told = hosts.iter().map(|view| world.evaluate(at_s * SECOND, view, SourceStats::default()).len());
        let told: usize = told.sum();
        (told, world.incidents.turn(at_s * SECOND, 10).map(|digest| digest.openings))
    };
    // Two of ten are kept for what is high.
    assert_eq!(round(1), (8, None));
    assert_eq!(round(5), (0, None));
    let (told, digest) = round(61);
    assert_eq!((told, digest.unwrap()[RuleId::ScanVertical as usize]), (0, 12));
    assert_eq!(round(66), (8, None));
    assert_eq!(round(122).1.unwrap()[RuleId::ScanVertical as usize], 4);
    assert_eq!(round(127), (4, None));
    assert_eq!(world.counters().suppressed(Suppression::OverCap), 16);
    assert_eq!((world.counters().opened, world.close_all(128 * SECOND).len()), (20, 20));
}

/// What the contract says about one scan, written down once more in another way.
#[derive(Default)]
struct Model {
    /// Number of the open incident, if there is one.
    open: bool,
    severity: Option<Severity>,
    muted: bool,
    closed_ns: Option<u64>,
    quiet_ns: Option<u64>,
    opened: u64,
    closed: u64,
    mutings: u64,
}

impl Model {
    fn step(&mut self, now_ns: u64, seen: u16) {
        let severity = RuleId::ScanVertical.severity(u64::from(seen));
        self.quiet_ns = (seen < 5).then(|| self.quiet_ns.unwrap_or(now_ns));
        let over = self.quiet_ns.is_some_and(|since| now_ns - since >= 2 * WINDOW);
        let mute = self.closed_ns.is_some_and(|at| now_ns - at < MUTE_NS) && Some(severity) <= self.severity;
        if self.open && over {
            (self.open, self.closed_ns, self.closed) = (false, Some(now_ns), self.closed + 1);
        } else if self.open && seen >= 5 {
            self.severity = self.severity.max(Some(severity));
        } else if !self.open && over {
            self.muted = false;
        } else if !self.open && seen > 10 && mute {
            self.mutings += u64::from(!self.muted);
            self.muted = true;
        } else if !self.open && seen > 10 {
            (self.open, self.muted, self.severity, self.opened) =
                (true, false, Some(severity), self.opened + 1);
        }
    }
}

proptest! {
    #[test]
    fn opens_and_closes_alternate_and_nothing_goes_uncounted(
        story in prop::collection::vec(
            (
                prop::sample::select(vec![5u64, 60, 130, 900]),
                prop_oneof![4 => Just(0u16), 1 => 0..12u16, 1 => 5..200u16],
            ),
            0..150,
        ),
    ) {
        let mut world = World::default();
        let mut model = Model::default();
        let mut told = Vec::new();
        let mut now_ns = 0;
        for (gap_s, seen) in story {
            now_ns += gap_s * SECOND;
            model.step(now_ns, seen);
            told.extend(world.step(now_ns, ports(seen)));
            let counters = world.counters();
            prop_assert_eq!(
                (counters.opened, counters.closed, counters.suppressed(Suppression::MutedAfterClose)),
                (model.opened, model.closed, model.mutings)
            );
        }
        told.extend(world.close_all(now_ns));

        let mut open: Option<&Transition> = None;
        for t in &told {
            match (t.state, open) {
                (State::Open, None) => open = Some(t),
                (State::Update, Some(last)) => {
                    prop_assert_eq!(t.incident, last.incident);
                    let due = t.observed >= last.observed * 10
                        || t.severity > last.severity
                        || t.at_ns - last.at_ns >= REMIND_NS;
                    prop_assert!(due, "{last:?} {t:?}");
                    open = Some(t);
                }
                (State::Close(_), Some(last)) => {
                    prop_assert_eq!(t.incident, last.incident);
                    open = None;
                }
                _ => prop_assert!(false, "{:?} after {:?}", t.state, open.map(|t| t.state)),
            }
            prop_assert!(t.peak >= t.observed);
        }
        prop_assert_eq!(open, None);
        let counters = world.counters();
        let count = |state: &str| told.iter().filter(|t| t.state.name() == state).count() as u64;
        prop_assert_eq!((count("open"), count("update"), count("close")), (
            counters.opened,
            counters.updated,
            counters.closed,
        ));
        prop_assert_eq!(counters.opened, counters.closed);
    }
}
