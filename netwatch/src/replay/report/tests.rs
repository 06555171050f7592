use core::net::{IpAddr, Ipv4Addr};

use netwatch_common::{Addr, Class, Proto, Service, TargetKey, Techniques, Verdict};

use serde_json::Value;

use super::*;
use crate::analysis::{
    Analysis, CloseReason, Counted, Hosts, Options, Policy, Severity, Slot, SourceStats, State, TargetStats,
    Transition,
};
use crate::replay::tally::Tally;

const SECOND: u64 = 1_000_000_000;

/// 2026-11-21T02:50:00Z, and a fraction.
const BEGIN_NS: i64 = 1_795_229_400_123_456_789;

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// A slot of 5 s that is filled packet by packet.
struct Filling {
    start_ns: u64,
    sources: Vec<(Addr, SourceStats)>,
    targets: Vec<(TargetKey, TargetStats)>,
}

impl Filling {
    fn new(number: u64) -> Self {
        Self { start_ns: number * 5 * SECOND, sources: Vec::new(), targets: Vec::new() }
    }

    /// Adds `count` packets of 60 bytes.
    fn add(&mut self, source: Addr, dest: Addr, service: Service, class: Class, count: u32) {
        let mut classes = [0; Class::COUNT];
        classes[class as usize] = u64::from(count);
        let hosts =
            if source == addr("2001:db8:bad:cafe::") { Hosts::One([0, 9_u32.to_be()]) } else { Hosts::Many };
        let (first_ns, last_ns) = (self.start_ns + SECOND, self.start_ns + 3 * SECOND);
        let bytes = 60 * u64::from(count);
        self.sources.push((
            source,
            SourceStats { bytes, first_ns, last_ns, classes, hosts, ..SourceStats::default() },
        ));
        let mut stats = TargetStats { bytes, ..TargetStats::default() };
        let (number, techniques) = match class {
            Class::Syn => (&mut stats.opening, Techniques::SYN),
            Class::UdpNew => (&mut stats.opening, Techniques::UDP),
            Class::Stealth => (&mut stats.stealth, Techniques::FIN),
            Class::Known | Class::Other => (&mut stats.rest, Techniques::NONE),
            _ => (&mut stats.noise, Techniques::NONE),
        };
        *number = count;
        stats.techniques = techniques;
        self.targets.push((TargetKey { source, dest, service }, stats));
    }

    fn slot(self) -> Slot {
        Slot::new(self.start_ns, self.start_ns + 5 * SECOND, Counted::named(self.sources, self.targets))
    }
}

/// Some scans and a flood among ordinary traffic, as the analysis tells them.
fn story() -> (Facts, Tally) {
    let mut analysis = Analysis::new(&Options { policy: Policy::default(), ..Options::default() });
    let eth0 = analysis.add_interface("eth0");
    let (server, server6) = (addr("192.0.2.5"), addr("2001:db8:1111:2222:3333:4444:5555:6666"));
    let tcp = |port| Service::new(Proto::Tcp, port);
    let mut tally = Tally::new(Severity::Info);
    let mut totals = Totals::default();
    for number in 0..40 {
        let mut filling = Filling::new(number);
        filling.add(addr("198.51.100.9"), server, tcp(443), Class::Known, 200);
        match number {
            1 => (1..=12).for_each(|port| {
                filling.add(addr("203.0.113.7"), server, tcp(port), Class::Syn, 1);
            }),
            2 => [22, 80, 443, 8080].into_iter().for_each(|port| {
                filling.add(addr("2001:db8:bad:cafe::"), server6, tcp(port), Class::Stealth, 10);
            }),
            4 => (0..12_u32).for_each(|last| {
                let source = Ipv4Addr::from_bits(0xc612_0000 + last).into();
                filling.add(source, server, tcp(25), Class::Syn, 25);
            }),
            38 => (1..=25).for_each(|last| {
                let dest = Ipv4Addr::new(192, 0, 2, last).into();
                filling.add(addr("2001:db8:7::"), dest, tcp(23), Class::Syn, 1);
                filling.add(addr("2001:db8:7::"), dest, Service::PROBE, Class::IcmpProbe, 1);
            }),
            _ => {}
        }
        let slot = filling.slot();
        for (_, stats) in slot.sources() {
            totals.seen += stats.packets();
            totals.bytes += stats.bytes;
            for (class, count) in stats.by_class() {
                let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.class() == class).unwrap();
                totals.verdicts[verdict as usize] += count;
            }
        }
        tally.slot(&slot);
        tally.transitions(&analysis.push(eth0, slot));
    }
    tally.transitions(&analysis.close_all(200 * SECOND).0);
    totals.seen += 5;
    totals.verdicts[Verdict::Arp as usize] = 3;
    totals.verdicts[Verdict::TcpTruncated as usize] = 2;
    let facts = Facts {
        files: vec!["monday.pcap".to_owned(), "tues\x1b[2Jday\n.pcapng".to_owned()],
        first_ns: Some(BEGIN_NS),
        last_ns: Some(BEGIN_NS + 198_000_000_000),
        is_stopped: true,
        late: 3,
        without_time: 1,
        engine: "host",
        replies: "mirror",
        local: vec!["192.168.0.0/16".to_owned()],
        guessed: Some("guessed from the weather".to_owned()),
        ipv6_bits: 64,
        totals,
        skipped: vec![("unknown link type 147".to_owned(), 12), ("no time".to_owned(), 1)],
        problems: vec!["tues\x1b[2Jday: ends within a packet".to_owned()],
        wall: Wall::new(BEGIN_NS),
        counters: analysis.counters(),
    };
    (facts, tally)
}

/// What is told when there is nothing.
fn nothing() -> (Facts, Tally) {
    let facts = Facts {
        files: vec!["empty.pcap".to_owned()],
        first_ns: None,
        last_ns: None,
        is_stopped: false,
        late: 0,
        without_time: 0,
        engine: "kernel",
        replies: "flags",
        local: Vec::new(),
        guessed: None,
        ipv6_bits: 64,
        totals: Totals::default(),
        skipped: Vec::new(),
        problems: Vec::new(),
        wall: Wall::new(0),
        counters: Counters::default(),
    };
    (facts, Tally::new(Severity::Info))
}

/// `UPDATE=1 cargo test -p netwatch --lib report` writes what is said now; read the difference before committing.
fn golden(name: &str, told: &str) {
    let path = format!("{}/src/replay/report/tests/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, told).unwrap();
    }
    let expect = std::fs::read_to_string(&path).unwrap_or_default();
    for (told, expect) in told.lines().zip(expect.lines()) {
        assert_eq!(told, expect, "{name}");
    }
    assert_eq!(told.lines().count(), expect.lines().count(), "{name}");
}

/// An object or list with each of its values on a line, down to a depth.
fn lines(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(3 - depth);
    let inner = |value| if depth == 0 { format!("{value}") } else { lines(value, depth - 1) };
    match value {
        Value::Object(map) if depth > 0 && !map.is_empty() => {
            let lines: Vec<_> =
                map.iter().map(|(key, value)| format!("{indent}{key:?}: {}", inner(value))).collect();
            format!("{{\n{}\n}}", lines.join(",\n"))
        }
        Value::Array(list) if !list.is_empty() => {
            let lines: Vec<_> = list.iter().map(|value| format!("{indent}{value}")).collect();
            format!("[\n{}\n]", lines.join(",\n"))
        }
        other => other.to_string(),
    }
}

#[test]
fn the_report_reads_well() {
    let (facts, tally) = story();
    let told = text(&facts, &tally);
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told}");
    golden("report.txt", &told);
    let (facts, tally) = nothing();
    golden("nothing.txt", &text(&facts, &tally));
}

#[test]
fn the_report_for_machines_has_the_same() {
    let (facts, tally) = story();
    golden("report.json", &lines(&json(&facts, &tally), 2));
    let (facts, tally) = nothing();
    let told = json(&facts, &tally);
    assert_eq!((&told["first_packet"], &told["duration_s"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (told["sources"]["distinct"].as_u64(), told["incidents"]["list"].as_array()),
        (Some(0), Some(&vec![]))
    );
}

#[test]
fn rows_add_up_to_the_totals() {
    let (facts, tally) = story();
    let told = json(&facts, &tally);
    let sum = |list: &str, name: &str| -> u64 {
        let rows = told[list]["top"].as_array().unwrap();
        rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
    };
    // Five packets had no source, nor a length.
    let packets = facts.totals.seen - 5;
    for list in ["sources", "services", "destinations"] {
        assert_eq!((sum(list, "packets"), sum(list, "bytes")), (packets, facts.totals.bytes), "{list}");
    }
    let classes = told["classes"].as_object().unwrap();
    assert_eq!(classes.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), facts.totals.seen);
    let incidents = told["incidents"]["list"].as_array().unwrap();
    assert_eq!(u64::try_from(incidents.len()).ok(), told["incidents"]["opened"].as_u64());
    let with_source = incidents.iter().filter(|incident| incident.get("source").is_some()).count();
    assert_eq!(sum("sources", "incidents"), u64::try_from(with_source).unwrap());
}

#[test]
fn what_is_left_out_is_said() {
    let (mut facts, mut tally) = story();
    let example = tally.incidents().next().cloned().unwrap();
    for incident in 100..10_100 {
        let severity = if incident == 5_000 { Severity::Critical } else { Severity::Low };
        tally.transitions(&[Transition { incident, severity, state: State::Open, ..example.clone() }]);
    }
    let of_the_story = 10_000 - tally.incidents().filter(|told| told.incident >= 100).count();
    assert_eq!((tally.incidents().len(), tally.unlisted()), (10_000, 0));
    // Each that found no room is counted when it closes.
    for incident in 100..10_100 {
        let severity = if incident == 5_000 { Severity::Critical } else { Severity::Low };
        let state = State::Close(CloseReason::Quiet);
        tally.transitions(&[Transition { incident, severity, state, ..example.clone() }]);
    }
    let unlisted = tally.unlisted();
    assert_eq!(usize::try_from(unlisted).unwrap(), of_the_story);
    facts.problems = (0..30).map(|number| format!("problem {number}")).collect();
    facts.files = (0..30).map(|number| format!("{number}.pcap")).collect();
    facts.totals.targets_refused = 7;
    let told = text(&facts, &tally);
    for part in [
        ", 9.pcap, and 20 more\n",
        "problems: 30\n  problem 0\n",
        "  problem 9\n  and 20 more\n",
        "no room for   0 packets under their source, 7 under their target\n",
        "  5000  critical  ",
        &format!("  and {} more\n", 9_900 + unlisted),
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    let told = json(&facts, &tally);
    assert_eq!(told["incidents"]["list"].as_array().map(Vec::len), Some(10_000));
    assert_eq!(told["incidents"]["not_listed"].as_u64(), Some(unlisted));
}

#[test]
fn what_is_not_severe_enough_is_counted_and_takes_no_room() {
    let (facts, story) = story();
    let example = story.incidents().next().cloned().unwrap();
    let mut tally = Tally::new(Severity::Low);
    let mut tell = |incident, weight, state| {
        tally.transitions(&[Transition { incident, weight, state, ..example.clone() }]);
    };
    let close = State::Close(CloseReason::Quiet);
    for incident in 1..=20_000 {
        tell(incident, Severity::Info, State::Open);
        tell(incident, Severity::Info, close);
    }
    // One that becomes severe is listed from then on.
    tell(20_001, Severity::Info, State::Open);
    tell(20_001, Severity::High, State::Update);
    tell(20_001, Severity::High, close);
    assert_eq!((tally.incidents().len(), tally.slight(), tally.unlisted()), (1, 20_000, 0));
    let told = text(&facts, &tally);
    assert!(told.ends_with("\n  20000 are less severe: --min-severity info lists them\n"), "{told}");
    assert_eq!(json(&facts, &tally)["incidents"]["less_severe"].as_u64(), Some(20_000));
}

#[test]
fn counts_that_may_be_too_small_are_marked() {
    let mut tally = Tally::new(Severity::Info);
    let service = Service::new(Proto::Tcp, 443);
    for turn in 0..6_u32 {
        let mut filling = Filling::new(turn.into());
        for source in 0..20_000 {
            let source = Ipv4Addr::from_bits(1_000_000 + turn * 20_000 + source).into();
            filling.add(source, addr("192.0.2.5"), service, Class::Syn, 1);
        }
        filling.add(addr("203.0.113.7"), addr("192.0.2.5"), service, Class::Syn, 50);
        tally.slot(&filling.slot());
    }
    let (facts, _) = nothing();
    let told = text(&facts, &tally);
    for part in [
        "sources: 98306 or more\n",
        "  203.0.113.7       300  18.0 kB          300            1  ",
        "       1+     60 B            1           1+  ",
        "  and at least 98296 more\n  + at least: there were too many to remember all, and of each up to 1 packet may be \
         missing\n",
        "120300            21697+\n",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    let told = json(&facts, &tally);
    assert_eq!(
        (told["sources"]["exact"].as_bool(), told["sources"]["packets_missed_max"].as_u64()),
        (Some(false), Some(1))
    );
    assert_eq!(told["services"]["top"][0]["sources_exact"].as_bool(), Some(false));
}
