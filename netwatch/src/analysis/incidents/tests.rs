use super::*;
use crate::analysis::incident::{MUTE_NS, REMIND_NS};
use crate::analysis::policy::{Allow, Prefix};
use crate::analysis::rules::Severity;
use crate::analysis::slot::PortStats;
use core::net::{Ipv4Addr, Ipv6Addr};
use netwatch_common::{Class, Proto};
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

fn view(seen: Seen) -> SourceView {
    let mut view = SourceView::new(Ipv4Addr::new(192, 0, 2, 1).into());
    (1..=seen.ports)
        .for_each(|port| view.tcp.add(port, &PortStats { packets: 1, evidence: 1, ..PortStats::default() }));
    view.stats.classes[Class::Syn as usize] = seen.syns;
    view.stats.classes[Class::Known as usize] = seen.known;
    view
}

fn step(incidents: &mut Incidents, at_ns: u64, seen: Seen) -> Vec<Transition> {
    let newest = Slot::empty(at_ns, at_ns);
    let mut step = incidents.step(ETH0, "eth0", &newest, 0);
    step.source(&view(seen));
    step.finish()
}

/// Plays a list of (seconds, what is seen) and compares what happens, one word per transition.
fn check(story: &[(u64, Seen)], expect: &[&str]) -> Incidents {
    let mut incidents = Incidents::new(Policy::default(), WINDOW);
    let told: Vec<String> = story
        .iter()
        .flat_map(|(at_s, seen)| step(&mut incidents, at_s * SECOND, *seen))
        .map(|t| format!("{} {} {}", t.at_ns / SECOND, t.state.name(), t.rule.name()))
        .collect();
    assert_eq!(told, expect);
    incidents
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
    let muted = |incidents: &Incidents| incidents.counters().suppressed(Suppression::MutedAfterClose);
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
    let mut incidents = Incidents::new(Policy::default(), WINDOW);
    let story = [(0, 11), (5, 0), (125, 0), (200, 11), (205, 0), (325, 0), (400, 11), (405, 0), (525, 0)];
    for (at_s, seen) in story {
        step(&mut incidents, at_s * SECOND, ports(seen));
    }
    let [open] = &step(&mut incidents, 600 * SECOND, ports(101))[..] else { panic!("opens") };
    assert_eq!((open.state, open.suppressed, open.incident), (State::Open, 2, 2));
    assert_eq!((open.severity, open.observed, open.opened_ns), (Severity::High, 101, 600 * SECOND));
}

#[test]
fn packets_that_are_the_scan_are_no_flood() {
    let absorbed = |incidents: &Incidents| incidents.counters().suppressed(Suppression::PartOfScan);
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
        let mut incidents = Incidents::new(Policy::default(), WINDOW);
        let mut told = step(&mut incidents, 0, ports(11));
        for (at_s, policy) in (1..).zip(policies) {
            incidents.apply(policy);
            told.extend(step(&mut incidents, 10 * at_s * SECOND, ports(11)));
            told.extend(step(&mut incidents, (10 * at_s + 5) * SECOND, ports(11)));
        }
        let told: Vec<_> = told
            .iter()
            .map(|t| match t.state {
                State::Close(reason) => format!("close {}", reason.name()),
                state => state.name().to_owned(),
            })
            .collect();
        assert_eq!(told.join(", "), expect);
        assert_eq!(incidents.counters().suppressed(Suppression::Allowed), held_back, "{expect}");
        assert_eq!(incidents.counters().open(), 1);
    }

    // Held back from the beginning, counted once, and forgotten without a word.
    let mut incidents = Incidents::new(allowed, WINDOW);
    for (at_s, seen) in [(0, 11), (5, 500), (10, 0), (200, 0)] {
        assert_eq!(step(&mut incidents, at_s * SECOND, ports(seen)), []);
    }
    assert_eq!(incidents.counters().suppressed(Suppression::Allowed), 1);
}

#[test]
fn totals_count_each_slot_once() {
    let mut incidents = Incidents::new(Policy::default(), WINDOW);
    let addr = view(ports(0)).addr;
    let mut sent = SourceStats { bytes: 100, first_ns: 7, last_ns: 9, ..SourceStats::default() };
    sent.classes[Class::Syn as usize] = 20;
    let mut told = Vec::new();
    for slot in 0..40u64 {
        let sources = if slot < 3 { vec![(addr, sent)] } else { Vec::new() };
        let newest = Slot::new(slot * 5 * SECOND, (slot + 1) * 5 * SECOND, sources, Vec::new());
        let mut step = incidents.step(ETH0, "eth0", &newest, 0);
        let slots_in_window = 3.min(slot + 1).min(14u64.saturating_sub(slot));
        if slots_in_window > 0 {
            let mut seen = view(ports(20));
            for _ in 0..slots_in_window {
                seen.stats.merge(&sent);
            }
            step.source(&seen);
        }
        told.extend(step.finish());
    }
    let [open, close] = &told[..] else { panic!("{told:?}") };
    assert_eq!((open.packets, open.bytes, open.first_ns, open.last_ns), (20, 100, 7, 9));
    assert_eq!((close.packets, close.bytes, close.observed, close.peak), (60, 300, 0, 20));
    assert_eq!(close.by_class().collect::<Vec<_>>(), [(Class::Syn, 60)]);
    assert_eq!(close.ports.first_ports().len(), 16);
}

#[test]
fn sources_without_counts_of_their_own_have_times() {
    let mut incidents = Incidents::new(Policy::default(), WINDOW);
    let [open] = &step(&mut incidents, 5 * SECOND, ports(11))[..] else { panic!("opens") };
    assert_eq!((open.first_ns, open.last_ns, open.proto), (5 * SECOND, 5 * SECOND, Some(Proto::Tcp)));
}

#[test]
fn incidents_are_bounded_and_say_so() {
    let mut incidents = Incidents::new(Policy::default(), WINDOW);
    let excess = 3;
    let mut many: Vec<SourceView> = (0..OPEN_INCIDENTS + excess)
        .map(|number| {
            let host = Ipv6Addr::from((0x2001_0db8 << 96) | number as u128);
            SourceView { addr: host.into(), ..view(ports(11)) }
        })
        .collect();
    many.sort_by_key(|view| view.addr);
    let round = |incidents: &mut Incidents, at_ns, sources: &[SourceView]| {
        let newest = Slot::empty(at_ns, at_ns);
        let mut step = incidents.step(ETH0, "eth0", &newest, 0);
        sources.iter().for_each(|view| step.source(view));
        step.finish().len()
    };
    assert_eq!(round(&mut incidents, 0, &many), OPEN_INCIDENTS);
    assert_eq!(incidents.counters().suppressed(Suppression::TooManyOpen), excess as u64);
    assert_eq!(round(&mut incidents, 1, &many), 0);
    assert_eq!(incidents.counters().suppressed(Suppression::TooManyOpen), 2 * excess as u64);
    // A flood does not crowd out another rule.
    let mut step = incidents.step(ETH0, "eth0", const { &Slot::empty(2, 2) }, 0);
    step.source(&view(syns(0, 101)));
    assert_eq!(step.finish().len(), 2);
    assert_eq!(incidents.close_all(3, |_| "eth0").len(), OPEN_INCIDENTS + 2);
    assert_eq!(incidents.counters().open(), 0);
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
        let mut incidents = Incidents::new(Policy::default(), WINDOW);
        let mut model = Model::default();
        let mut told = Vec::new();
        let mut now_ns = 0;
        for (gap_s, seen) in story {
            now_ns += gap_s * SECOND;
            model.step(now_ns, seen);
            told.extend(step(&mut incidents, now_ns, ports(seen)));
            let counters = incidents.counters();
            prop_assert_eq!(
                (counters.opened, counters.closed, counters.suppressed(Suppression::MutedAfterClose)),
                (model.opened, model.closed, model.mutings)
            );
        }
        told.extend(incidents.close_all(now_ns, |_| "eth0"));

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
        let counters = incidents.counters();
        let count = |state: &str| told.iter().filter(|t| t.state.name() == state).count() as u64;
        prop_assert_eq!((count("open"), count("update"), count("close")), (
            counters.opened,
            counters.updated,
            counters.closed,
        ));
        prop_assert_eq!(counters.opened, counters.closed);
    }
}
