use super::*;
use core::net::Ipv4Addr;
use netwatch_common::{Addr, Class, Proto, Service, TargetKey};

mod property;
mod resume;
pub mod stage;

const SECOND: u64 = 1_000_000_000;

/// What the module is made of, but for its tests.
const SOURCES: [(&str, &str); 32] = [
    ("busy.rs", include_str!("busy.rs")),
    ("cap.rs", include_str!("cap.rs")),
    ("crowd.rs", include_str!("crowd.rs")),
    ("dest.rs", include_str!("dest.rs")),
    ("detail.rs", include_str!("detail.rs")),
    ("early.rs", include_str!("early.rs")),
    ("evaluate.rs", include_str!("evaluate.rs")),
    ("evaluate/addresses.rs", include_str!("evaluate/addresses.rs")),
    ("events.rs", include_str!("events.rs")),
    ("expected.rs", include_str!("expected.rs")),
    ("finding.rs", include_str!("finding.rs")),
    ("health.rs", include_str!("health.rs")),
    ("incident.rs", include_str!("incident.rs")),
    ("incidents.rs", include_str!("incidents.rs")),
    ("learn.rs", include_str!("learn.rs")),
    ("limits.rs", include_str!("limits.rs")),
    ("memory.rs", include_str!("memory.rs")),
    ("mod.rs", include_str!("mod.rs")),
    ("packed.rs", include_str!("packed.rs")),
    ("policy.rs", include_str!("policy.rs")),
    ("ports.rs", include_str!("ports.rs")),
    ("resume.rs", include_str!("resume.rs")),
    ("rules.rs", include_str!("rules.rs")),
    ("rules/table.rs", include_str!("rules/table.rs")),
    ("rules/texts.rs", include_str!("rules/texts.rs")),
    ("slot.rs", include_str!("slot.rs")),
    ("slot/fold.rs", include_str!("slot/fold.rs")),
    ("source.rs", include_str!("source.rs")),
    ("stats.rs", include_str!("stats.rs")),
    ("transition.rs", include_str!("transition.rs")),
    ("view.rs", include_str!("view.rs")),
    ("window.rs", include_str!("window.rs")),
];

#[test]
fn analysis_imports_nothing_from_its_environment() {
    let forbidden = [
        "std::time",
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "std::sync::atomic",
        "std::sync::mpsc",
        "std::os",
        "core::time",
        "Instant",
        "SystemTime",
        "tokio",
        "async",
        "await",
        "serde",
        "jiff",
        "aya",
        "libc",
        "nix::",
        "unsafe",
        "HashMap",
        "Mutex",
        "RwLock",
        "Condvar",
        "OnceLock",
        "RefCell",
        "println!",
        "tracing",
        "Result<",
        "panic!",
        "crate::sinks",
    ];
    for (name, source) in SOURCES {
        let code: Vec<&str> = source
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        for (number, line) in code.iter().enumerate() {
            let found = forbidden.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{name}:{number}: {line}");
        }
    }
}

#[test]
fn no_source_of_the_module_escapes_the_scan() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/analysis"));
    let mut folders = vec![root.to_owned()];
    let mut names: Vec<String> = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
                names.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    assert_eq!(names, SOURCES.map(|(name, _)| name));
}

fn addr(last: u8) -> Addr {
    Ipv4Addr::new(203, 0, 113, last).into()
}

/// A SYN to a port of the host that is watched.
fn probe(source: Addr, port: u16) -> (TargetKey, TargetStats) {
    let key = TargetKey { source, dest: addr(1), service: Service::new(Proto::Tcp, port) };
    (key, TargetStats { opening: 1, techniques: netwatch_common::Techniques::SYN, ..TargetStats::default() })
}

/// A slot of 5 s in which one source sends a SYN to each of these ports.
fn scan(start_s: u64, last: u8, ports: core::ops::Range<u16>) -> Slot {
    let mut stats = SourceStats {
        bytes: 60 * ports.len() as u64,
        first_ns: start_s * SECOND + 1,
        last_ns: start_s * SECOND + 2,
        ..SourceStats::default()
    };
    stats.classes[Class::Syn as usize] = ports.len() as u64;
    let targets = ports.map(|port| probe(addr(last), port)).collect();
    let mut slot = Slot::new(
        start_s * SECOND,
        (start_s + 5) * SECOND,
        Counted::named(vec![(addr(last), stats)], targets),
    );
    slot.number = u32::try_from(start_s / 5).unwrap();
    slot
}

/// Plays slots on one interface and then silence, and tells the story in one line per transition.
fn story(slots: Vec<Slot>) -> Vec<String> {
    let mut analysis = Analysis::new(&Options::default());
    let eth0 = analysis.add_interface("eth0");
    let end_s = slots.last().map_or(0, |slot| slot.end_ns / SECOND);
    let silence =
        (0..60).map(|slot| Slot::empty((end_s + slot * 5) * SECOND, (end_s + slot * 5 + 5) * SECOND));
    slots
        .into_iter()
        .chain(silence)
        .flat_map(|slot| analysis.push(eth0, slot))
        .map(|t| {
            let (rule, state, at_s) = (t.rule.name(), t.state.name(), t.at_ns / SECOND);
            format!("{at_s} {state} {rule} {} of {} packets {}", t.observed, t.peak, t.packets)
        })
        .collect()
}

#[test]
fn a_scan_is_one_incident() {
    assert_eq!(
        story(vec![scan(0, 7, 1..1001)]),
        [
            "5 open scan.vertical 1000 of 1000 packets 1000",
            // The scan leaves the window at 60 s and is quiet for two windows.
            "185 close scan.vertical 0 of 1000 packets 1000",
        ]
    );
}

#[test]
fn a_scan_split_over_slots_is_seen_and_counted_once() {
    assert_eq!(story(vec![scan(0, 7, 1..11)]), [""; 0]);
    assert_eq!(
        story(vec![scan(0, 7, 1..11), scan(5, 7, 11..12), scan(10, 7, 12..20)]),
        [
            "10 open scan.vertical 11 of 11 packets 11",
            // The last eight ports leave the window at 75 s.
            "195 close scan.vertical 0 of 19 packets 19",
        ]
    );
}

#[test]
fn an_early_look_does_not_shorten_the_window() {
    let mut analysis = Analysis::new(&Options::default());
    let eth0 = analysis.add_interface("eth0");
    assert_eq!(analysis.push(eth0, scan(0, 7, 1..11)), []);
    // Three looks per slot, and timers a little late: 36 slots would be three windows.
    for slot in 1..11 {
        let start_ns = slot * 5 * SECOND;
        for (from, to) in [(0, 2), (2, 3), (3, 5)] {
            let empty = Slot::empty(start_ns + from * SECOND, start_ns + to * SECOND + 1_000_000);
            assert_eq!(analysis.push(eth0, empty), []);
        }
    }
    let mut part = scan(55, 7, 11..12);
    part.end_ns -= 4 * SECOND;
    let [open] = &analysis.push(eth0, part)[..] else { panic!("opens") };
    assert_eq!((open.observed, open.packets), (11, 11));
    let mut part = scan(56, 7, 12..14);
    part.end_ns -= 4 * SECOND;
    assert_eq!(analysis.push(eth0, part), []);
    let [close] = &analysis.close_all(58 * SECOND).0[..] else { panic!("closes") };
    assert_eq!((close.observed, close.packets), (13, 13));
}

#[test]
fn interfaces_do_not_share_windows() {
    let mut analysis = Analysis::new(&Options::default());
    let (eth0, eth1) = (analysis.add_interface("eth0"), analysis.add_interface("eth1"));
    assert_eq!(analysis.push(eth0, scan(0, 7, 1..11)), []);
    assert_eq!(analysis.push(eth1, scan(0, 7, 11..21)), []);
    let opened = analysis.push(eth1, scan(5, 7, 21..22));
    assert_eq!(opened.iter().map(|t| (&*t.interface, t.observed)).collect::<Vec<_>>(), [("eth1", 11)]);
    assert_eq!(analysis.push(eth0, Slot::empty(5 * SECOND, 10 * SECOND)), []);

    let (closed, _) = analysis.close_all(11 * SECOND);
    assert_eq!(
        closed.iter().map(|t| (&*t.interface, t.state)).collect::<Vec<_>>(),
        [("eth1", State::Close(CloseReason::Shutdown))]
    );
    assert_eq!((analysis.counters().opened, analysis.counters().open()), (1, 0));
}

#[test]
fn a_flood_of_many_spoofed_sources_says_nothing() {
    let stats = SourceStats { classes: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..SourceStats::default() };
    let sources = (0..=255).map(|last| (addr(last), stats)).collect();
    assert_eq!(story(vec![Slot::new(0, 5 * SECOND, Counted::named(sources, Vec::new()))]), [""; 0]);
}

#[test]
fn an_alert_tells_how_long_its_window_really_was() {
    let second = 1_000_000_000;
    let probes = |last: u8| (1..=20).map(|port| probe(addr(last), port)).collect::<Vec<_>>();
    let options = Options { window_slots: 2, slot_ns: second, ..Options::default() };
    let mut analysis = Analysis::new(&options);
    let eth0 = analysis.add_interface("eth0");
    let mut window_of = |slot| analysis.push(eth0, slot).first().map(|told| told.window_ns);
    assert_eq!(window_of(Slot::new(0, second, Counted::named(Vec::new(), probes(1)))), Some(2 * second));
    // netwatch was stopped for nine seconds: what came in that time did not come in two seconds.
    assert_eq!(
        window_of(Slot::new(second, 10 * second, Counted::named(Vec::new(), probes(2)))),
        Some(10 * second)
    );
    assert_eq!(
        window_of(Slot::new(10 * second, 11 * second, Counted::named(Vec::new(), probes(3)))),
        Some(10 * second)
    );
    assert_eq!(
        window_of(Slot::new(11 * second, 12 * second, Counted::named(Vec::new(), probes(4)))),
        Some(2 * second)
    );
}
