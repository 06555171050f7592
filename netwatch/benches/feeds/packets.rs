//! What a packet costs, with feeds and without.

use jiff::Timestamp;
use netwatch::feeds::{Contents, NEVER, set};
use netwatch::kernel::{Options, Watch, limits};
use netwatch_common::prefixes::Line;
use serde_json::{Value, json};

use crate::support::scatter::Scatter;
use crate::support::traffic::{Kind, SOURCE, Traffic};
use crate::support::{drained, table};
use crate::{SIZES, made_up};

/// Packets of each scene and round.
const PACKETS: u32 = 1_000_000;
/// Entries of the reference's maps, which are not used.
const ENTRIES: u32 = 1;

/// What was measured.
pub struct Packets {
    scenes: Vec<&'static str>,
    /// What takes packets, and nanoseconds of each scene, all that it takes.
    rows: Vec<(String, Vec<f64>)>,
}

/// What takes packets.
enum Subject {
    /// A program that does nothing.
    Nothing,
    /// netwatch as it is without feeds.
    Plain,
    /// The one that can look closer, with these lines.
    Feeds(Vec<Line>),
}

pub fn measure(rounds: u32) -> anyhow::Result<Packets> {
    let mut scatter = Scatter::load(ENTRIES)?;
    let options = Options::of_this_host(limits::DEFAULT_MAP_MEMORY);
    let mut plain = Watch::load(&options)?;
    let mut closer = Watch::load(&Options { closer: true, ..options })?;
    let mut subjects = vec![
        ("nothing".to_owned(), Subject::Nothing),
        ("no feeds".to_owned(), Subject::Plain),
        ("no entries".to_owned(), Subject::Feeds(Vec::new())),
    ];
    for size in SIZES {
        subjects.push((format!("{size} entries"), Subject::Feeds(lines(&made_up::text(size)))));
    }
    let last = format!("{}{SOURCE}\n", made_up::text(SIZES[SIZES.len() - 1]));
    subjects.push(("and the first source".to_owned(), Subject::Feeds(lines(&last))));
    let scenes = [
        ("one source", Traffic::ipv4(Kind::Syn)),
        ("64 k sources", Traffic::ipv4(Kind::Syn).random_sources(1 << 16)),
        ("one IPv6 source", Traffic::ipv6(Kind::Syn)),
        ("64 k IPv6 sources", Traffic::ipv6(Kind::Syn).random_sources(1 << 16)),
    ];
    let mut times = vec![vec![Vec::new(); scenes.len()]; subjects.len()];
    for _ in 0..rounds {
        for ((_, subject), times) in subjects.iter().zip(&mut times) {
            let mut watch = match subject {
                Subject::Nothing => None,
                Subject::Plain => Some(&mut plain),
                Subject::Feeds(_) => Some(&mut closer),
            };
            match &mut watch {
                None => scatter.hand_to_reference("reference_pass")?,
                Some(watch) => scatter.hand_to(watch.program()?)?,
            }
            if let (Subject::Feeds(lines), Some(watch)) = (subject, &mut watch) {
                watch.set_feeds(lines)?;
            }
            for ((_, traffic), times) in scenes.iter().zip(times) {
                // So that each source is known.
                scatter.run(traffic, PACKETS / 4)?;
                times.push(scatter.run(traffic, PACKETS)?);
                if let Some(watch) = &mut watch {
                    let _ = drained::end_slot(watch)?;
                    watch.drain_listed(|_, _| {})?;
                }
            }
        }
    }
    let names = subjects.into_iter().map(|(name, _)| name);
    let medians = times.into_iter().map(|times| times.into_iter().map(table::median).collect());
    Ok(Packets {
        scenes: scenes.into_iter().map(|(name, _)| name).collect(),
        rows: names.zip(medians).collect(),
    })
}

fn lines(text: &str) -> Vec<Line> {
    // What is made up has nothing wrong.
    let contents = Contents::read(text.as_bytes(), false, Timestamp::UNIX_EPOCH).unwrap_or_default();
    set::flatten(std::iter::once(&contents.set), &NEVER)
}

impl Packets {
    /// Of each row but the first, without what it takes to make the packets.
    fn net(&self) -> impl Iterator<Item = (&str, Vec<f64>)> {
        let floor = &self.rows[0].1;
        self.rows.iter().skip(1).map(move |(name, ns)| {
            (name.as_str(), ns.iter().zip(floor).map(|(ns, floor)| ns - floor).collect::<Vec<_>>())
        })
    }

    /// In terms of the second row.
    fn ratios<'a>(&self, ns: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let plain = self.net().next().map(|(_, ns)| ns).unwrap_or_default();
        ns.iter().zip(plain).map(|(ns, plain)| ns / plain)
    }

    pub fn print(&self) {
        let mut heading = vec!["ns per packet, net"];
        for scene in &self.scenes {
            heading.extend([*scene, "ratio"]);
        }
        let rows: Vec<_> = self
            .net()
            .map(|(name, ns)| {
                let ratios = self.ratios(&ns).collect::<Vec<_>>();
                let cells = ns.iter().zip(ratios);
                let cells = cells.flat_map(|(ns, ratio)| [format!("{ns:.0}"), format!("{ratio:.2}")]);
                std::iter::once(name.to_owned()).chain(cells).collect()
            })
            .collect();
        table::print(&heading, &rows);
        println!();
        println!(
            "medians of runs of {PACKETS} packets, one CPU, less what it takes to make a packet and to call a program that does \
             nothing. No feeds: the program that looks at no packet more closely. No entries: the one that can. Of 64 k sources, \
             some in a thousand are listed; of the last row, the one source of the first column is."
        );
    }

    pub fn to_json(&self) -> Value {
        let rows = self.net().map(|(name, ns)| {
            let ratios = self.ratios(&ns).collect::<Vec<_>>();
            let scenes = self.scenes.iter().zip(ns.into_iter().zip(ratios));
            let scenes = scenes
                .map(|(scene, (ns, ratio))| ((*scene).to_owned(), json!({ "net_ns": ns, "ratio": ratio })));
            json!({ "feeds": name, "scenes": scenes.collect::<serde_json::Map<_, _>>() })
        });
        rows.collect()
    }
}
