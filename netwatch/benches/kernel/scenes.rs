//! Packets that differ from each other: many sources in no order, floods of new ones, and a scan.
//!
//! `BPF_PROG_TEST_RUN` repeats one frame, so a program rewrites it and then calls the one that is measured
//! (`bpf_tail_call`). What that costs with one that does nothing is taken off.

use anyhow::Context as _;
use netwatch::kernel::{Options, Watch, limits};
use serde_json::{Value, json};

use crate::support::scatter::Scatter;
use crate::support::traffic::{Kind, Traffic};
use crate::support::{drained, table};

/// Packets per program, scene and round, at most.
const PACKETS: u32 = 1_000_000;
/// Entries of the reference's maps, for scenes with few sources and with many: what is twice as much as there is.
const ENTRIES: [u32; 2] = [1 << 17, 2 << 20];
/// Memory of the netwatch that has room for all scenes, in bytes.
const ROOMY: u64 = 2 << 30;
/// What is taken off, and what netwatch is compared with.
const FLOOR: usize = 0;
const REFERENCE: usize = 1;

/// What was measured.
pub struct Scenes {
    rounds: u32,
    names: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    scene: &'static str,
    /// Nanoseconds per packet of each program, all that the scene takes.
    ns: Vec<f64>,
}

impl Row {
    /// The same without what it takes to make the packets.
    fn net(&self) -> impl Iterator<Item = f64> {
        self.ns.iter().map(|ns| ns - self.ns[FLOOR])
    }

    /// In terms of the reference.
    fn ratios(&self) -> impl Iterator<Item = f64> {
        let reference = self.ns[REFERENCE] - self.ns[FLOOR];
        self.net().map(move |net| net / reference)
    }
}

/// Packets, and what they meet.
struct Scene {
    name: &'static str,
    traffic: Traffic,
    packets: u32,
    /// Whether there are many sources.
    is_large: bool,
    /// What comes first, so that every source is known.
    before: Option<(Traffic, u32)>,
}

pub fn measure(rounds: u32) -> anyhow::Result<Scenes> {
    let mut scatters = [Scatter::load(ENTRIES[0])?, Scatter::load(ENTRIES[1])?];
    let default = Options::of_this_host(limits::DEFAULT_MAP_MEMORY);
    let mut subjects = [
        Subject::new("nothing", Tables::None),
        Subject::new("reference_count", Tables::Reference),
        Subject::new("netwatch", Tables::Netwatch(Box::new(Watch::load(&default)?))),
        Subject::new(
            &format!("netwatch {} GiB", ROOMY >> 30),
            Tables::Netwatch(Box::new(Watch::load(&Options::of_this_host(ROOMY))?)),
        ),
    ];
    let scenes = scenes();
    let mut times = vec![vec![Vec::new(); subjects.len()]; scenes.len()];
    for _ in 0..rounds {
        for (scene, times) in scenes.iter().zip(&mut times) {
            let scatter = &mut scatters[usize::from(scene.is_large)];
            for (subject, times) in subjects.iter_mut().zip(times) {
                let ns = run(scatter, subject, scene)
                    .with_context(|| format!("{}, {}", subject.name, scene.name))?;
                times.push(ns);
            }
        }
    }
    let row = |(scene, times): (&Scene, Vec<Vec<f64>>)| Row {
        scene: scene.name,
        ns: times.into_iter().map(table::median).collect(),
    };
    let rows = scenes.iter().zip(times).map(row).collect();
    Ok(Scenes { rounds, names: subjects.into_iter().map(|subject| subject.name).collect(), rows })
}

fn scenes() -> Vec<Scene> {
    let syn = || Traffic::ipv4(Kind::Syn);
    let small = |name, traffic, packets| Scene { name, traffic, packets, is_large: false, before: None };
    let large = |name, traffic| Scene { is_large: true, ..small(name, traffic, PACKETS) };
    let known = |name, count| Scene {
        before: Some((syn().new_sources(count), count)),
        is_large: count > ENTRIES[0] / 2,
        ..small(name, syn().random_sources(count), PACKETS)
    };
    vec![
        small("one source", syn(), PACKETS),
        known("1 k sources", 1 << 10),
        known("64 k sources", 1 << 16),
        known("1 M sources", 1_000_000),
        large("new source each", syn().new_sources(0)),
        large("new IPv6 source each", Traffic::ipv6(Kind::Syn).new_sources(0)),
        // Each port once.
        small("scan, new port each", syn().new_ports(), 1 << 16),
    ]
}

/// A program that is measured.
struct Subject {
    name: String,
    tables: Tables,
}

/// Where it counts.
enum Tables {
    None,
    Reference,
    Netwatch(Box<Watch>),
}

impl Subject {
    fn new(name: &str, tables: Tables) -> Self {
        Self { name: name.to_owned(), tables }
    }
}

/// Runs a scene on a program with empty tables. Returns nanoseconds per packet.
fn run(scatter: &mut Scatter, subject: &mut Subject, scene: &Scene) -> anyhow::Result<f64> {
    match &mut subject.tables {
        Tables::None => scatter.hand_to_reference("reference_pass")?,
        Tables::Reference => scatter.hand_to_reference("reference_count")?,
        Tables::Netwatch(watch) => scatter.hand_to(watch.program()?)?,
    }
    if let Some((traffic, packets)) = &scene.before {
        scatter.run(traffic, *packets)?;
    }
    let ns = scatter.run(&scene.traffic, scene.packets)?;
    match &mut subject.tables {
        Tables::None => {}
        Tables::Reference => drop(scatter.empty_in_batches()?),
        Tables::Netwatch(watch) => drop(drained::end_slot(watch)?),
    }
    Ok(ns)
}

impl Scenes {
    pub fn print(&self) {
        let mut heading = vec!["ns per packet, net"];
        heading.extend(self.names.iter().skip(1).map(String::as_str));
        heading.extend(["ratio", "ratio, roomy", "making it"]);
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let mut cells = vec![row.scene.to_owned()];
                cells.extend(row.net().skip(1).map(|ns| format!("{ns:.0}")));
                cells.extend(row.ratios().skip(2).map(|ratio| format!("{ratio:.2}")));
                cells.push(format!("{:.0}", row.ns[FLOOR]));
                cells
            })
            .collect();
        table::print(&heading, &rows);
        println!();
        println!(
            "medians of {} runs of up to {PACKETS} packets on empty tables, one CPU, less what it takes to make a packet \
             and to call a program that does nothing (last column). Sources come in no order, after each was there once. \
             reference_count has maps of {} entries, or of {} where there are more than 64 k sources; netwatch has its default memory, where it does not have room \
             for all, and {} GiB. Ratios are to reference_count.",
            self.rounds,
            ENTRIES[0],
            ENTRIES[1],
            ROOMY >> 30,
        );
    }

    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let by_name = |figures: &mut dyn Iterator<Item = f64>| {
                self.names.iter().cloned().zip(figures.map(Value::from)).collect::<serde_json::Map<_, _>>()
            };
            json!({
                "scene": row.scene,
                "ns_per_packet": by_name(&mut row.ns.iter().copied()),
                "net_ns_per_packet": by_name(&mut row.net()),
                "ratio": by_name(&mut row.ratios()),
            })
        });
        rows.collect()
    }
}
