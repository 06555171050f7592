//! The history becomes numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use netwatch_common::Class;

use super::asked::{Asked, seconds, whole};
use super::coverage::{Coverage, Span};
use super::details::SHOWN;
use super::parts::Parts;
use super::top::{Sum, Top};
use crate::analysis::Severity;
use crate::report::history::{Order, PAGE_MAX};
use crate::report::{Incident, IncidentQuery, Life, Time, WindowQuery, WindowSummary};
use crate::store::{Archive, ArchiveError};

/// Incidents that are listed, at most.
pub(super) const LISTED: usize = 1_000;
/// Parts of the time in the chart of incidents, at most.
const COLUMNS: usize = 32;
/// Parts of the time in the charts of packets, at most.
const POINTS: usize = 120;
/// Incidents about netwatch itself that are named, at most.
const TROUBLES: usize = 10;
/// The rule of these.
const OF_ITSELF: &str = "netwatch.degraded";
/// Interfaces that are told apart, at most.
const INTERFACES: usize = 64;

/// What is known of the time.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Incidents that weigh at least `low`, by severity.
    pub severities: [u64; Severity::COUNT],
    /// Others, which are only recorded.
    pub recorded: u64,
    /// Of the first, those that go on.
    pub open: u64,
    /// Those of them that somebody looks after.
    pub acknowledged: u64,
    /// Those during which something that should have been counted was not.
    pub degraded: u64,
    /// Incidents about netwatch itself, the newest, which come first.
    pub troubles: Vec<Incident>,
    /// How many of those there are.
    pub trouble_count: u64,
    /// Where the columns of the chart are.
    pub columns: Parts,
    /// Incidents by the column in which they were opened, and by severity.
    pub opened: Vec<[u64; Severity::COUNT]>,
    pub rules: Top,
    pub sources: Top,
    /// Those that are listed: what goes on first, and of that what nobody looks after.
    pub listed: Vec<Incident>,
    /// Those that are told in full: the most severe, the worst first.
    pub worst: Vec<Incident>,
    /// Where the points of the charts are.
    pub points: Parts,
    pub packets: Vec<f64>,
    pub bytes: Vec<f64>,
    pub classes: Vec<[f64; Class::COUNT]>,
    /// Sums over all windows.
    pub packet_sum: f64,
    pub byte_sum: f64,
    pub busiest: Top,
    pub coverage: BTreeMap<String, Coverage>,
    /// Windows of interfaces that there was no room for.
    pub unplaced: u64,
    /// Nothing older is known than this, where that is within the time.
    pub begins: Option<Time>,
}

/// What an incident of a severity counts where sources are sorted: one that is critical says more than many that are low.
const WEIGHTS: [u64; Severity::COUNT] = [1, 10, 100, 1_000, 10_000];

/// The first of many incidents by some order, without keeping the others.
struct First<K> {
    most: usize,
    /// The last of the first comes out first.
    kept: BinaryHeap<Reverse<Kept<K>>>,
}

/// One of them. Orders of two incidents are the same only where it is the same one: keys end with its name.
struct Kept<K> {
    key: (K, String),
    incident: Incident,
}

impl<K: Ord> First<K> {
    fn new(most: usize) -> Self {
        Self { most, kept: BinaryHeap::new() }
    }

    fn offer(&mut self, key: K, incident: &Incident) {
        let key = (key, incident.id.clone());
        if self.kept.len() >= self.most && self.kept.peek().is_none_or(|Reverse(last)| last.key >= key) {
            return;
        }
        self.kept.push(Reverse(Kept { key, incident: incident.clone() }));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    fn sorted(self) -> Vec<Incident> {
        self.kept.into_sorted_vec().into_iter().map(|Reverse(kept)| kept.incident).collect()
    }
}

impl<K: Ord> PartialEq for Kept<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Ord> Eq for Kept<K> {}

impl<K: Ord> PartialOrd for Kept<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord> Ord for Kept<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The number of a severity; an unknown one is taken for the least.
pub(super) fn rank(severity: &str) -> usize {
    Severity::ALL.iter().position(|known| known.name() == severity).unwrap_or(0)
}

/// Reads it.
pub(super) fn gather(archive: &Archive, asked: &Asked) -> Result<Gathered, ArchiveError> {
    let (columns, points) = (Parts::of(asked, COLUMNS), Parts::of(asked, POINTS));
    let mut gathered = Gathered {
        severities: [0; Severity::COUNT],
        recorded: 0,
        open: 0,
        acknowledged: 0,
        degraded: 0,
        troubles: Vec::new(),
        trouble_count: 0,
        columns,
        opened: vec![[0; Severity::COUNT]; columns.count],
        rules: Top::default(),
        sources: Top::default(),
        listed: Vec::new(),
        worst: Vec::new(),
        points,
        packets: vec![0.0; points.count],
        bytes: vec![0.0; points.count],
        classes: vec![[0.0; Class::COUNT]; points.count],
        packet_sum: 0.0,
        byte_sum: 0.0,
        busiest: Top::default(),
        coverage: BTreeMap::new(),
        unplaced: 0,
        begins: None,
    };
    incidents(archive, asked, &mut gathered)?;
    windows(archive, asked, &mut gathered)?;
    gathered.begins = begins(archive, asked)?;
    Ok(gathered)
}

fn incidents(archive: &Archive, asked: &Asked, gathered: &mut Gathered) -> Result<(), ArchiveError> {
    let (mut listed, mut worst) = (First::new(LISTED), First::new(SHOWN));
    let mut query = IncidentQuery {
        since: Some(asked.since),
        order: Order::Newest,
        limit: PAGE_MAX,
        ..IncidentQuery::default()
    };
    loop {
        let page = archive.incidents(&query)?;
        // One that was told of again after the end was there before it all the same.
        for incident in page.items.into_iter().filter(|incident| incident.opened_at < asked.until) {
            if incident.weight == Severity::Info.name() {
                gathered.recorded += 1;
                continue;
            }
            gathered.count(asked, &incident);
            let (is_open, is_new) = (incident.state == Life::Open, incident.acknowledged_at.is_none());
            let (rank, at) = (rank(&incident.severity), incident.updated_at);
            // What somebody should look at is listed first; how bad it was is another question.
            listed.offer((is_open, is_open && is_new, rank, at), &incident);
            worst.offer((rank, is_open, at), &incident);
        }
        query.cursor = page.next;
        if page.next.is_none() {
            break;
        }
    }
    (gathered.listed, gathered.worst) = (listed.sorted(), worst.sorted());
    Ok(())
}

impl Gathered {
    /// All incidents that were told of.
    pub fn told(&self) -> u64 {
        self.severities.iter().sum()
    }

    fn count(&mut self, asked: &Asked, incident: &Incident) {
        let rank = rank(&incident.severity);
        self.severities[rank] += 1;
        if incident.state == Life::Open {
            self.open += 1;
            self.acknowledged += u64::from(incident.acknowledged_at.is_some());
        }
        self.degraded += u64::from(incident.degraded);
        if incident.rule == OF_ITSELF {
            self.trouble_count += 1;
            // They come from the newest to the oldest.
            if self.troubles.len() < TROUBLES {
                self.troubles.push(incident.clone());
            }
        }
        // One that is older than all of it began before the first column.
        if incident.opened_at >= asked.since {
            self.opened[self.columns.place(incident.opened_at)][rank] += 1;
        }
        let sum = Sum { weight: 1, times: 1, packets: incident.packets, bytes: incident.bytes, worst: rank };
        self.rules.add(&incident.rule, sum);
        if let Some(source) = &incident.source {
            self.sources.add(source, Sum { weight: WEIGHTS[rank], ..sum });
        }
    }

    fn window(&mut self, asked: &Asked, window: &WindowSummary) {
        // Of one that began before the time or ended after it, only what lies within counts.
        let span = Span::of(window);
        let (from, to) = (span.begin.max(asked.since.micros()), span.end.min(asked.end().micros()));
        let within = span.share(to.saturating_sub(from));
        let part = |number: u64| whole((number as f64 * within).round()).unsigned_abs();
        for source in &window.sources {
            let (packets, bytes) = (part(source.packets), part(source.bytes));
            let sum = Sum { weight: packets, times: 1, packets, bytes, worst: 0 };
            self.busiest.add(&source.source, sum);
        }
        self.packet_sum += window.packets as f64 * within;
        self.byte_sum += window.bytes as f64 * within;
        if !self.coverage.contains_key(&window.interface) {
            if self.coverage.len() >= INTERFACES {
                self.unplaced += 1;
                return;
            }
            self.coverage.insert(window.interface.clone(), Coverage::new(asked, &self.points));
        }
        let Some(coverage) = self.coverage.get_mut(&window.interface) else { return };
        coverage.add(window, asked, &self.points);
        for (place, part) in self.points.overlaps(from, to) {
            let share = span.share(part);
            self.packets[place] += window.packets as f64 * share;
            self.bytes[place] += window.bytes as f64 * share;
            for (sum, class) in self.classes[place].iter_mut().zip(Class::ALL) {
                *sum += window.classes.get(class.name()).copied().unwrap_or(0) as f64 * share;
            }
        }
    }

    /// How much of each point was watched, in seconds, by whichever interface was watched longest.
    pub fn watched(&self, place: usize) -> f64 {
        let most = self.coverage.values().map(|coverage| coverage.by_part[place]).max();
        seconds(most.unwrap_or(0))
    }
}

fn windows(archive: &Archive, asked: &Asked, gathered: &mut Gathered) -> Result<(), ArchiveError> {
    let mut query = WindowQuery {
        since: Some(asked.since),
        // The last one may have begun before the end and have ended behind it.
        until: Some(asked.until),
        limit: PAGE_MAX,
        ..WindowQuery::default()
    };
    loop {
        let page = archive.windows(&query)?;
        for window in &page.items {
            gathered.window(asked, window);
        }
        query.cursor = page.next;
        if page.next.is_none() {
            break;
        }
    }
    for coverage in gathered.coverage.values_mut() {
        coverage.finish(asked);
    }
    Ok(())
}

/// When the history begins, if that is later than what was asked for.
fn begins(archive: &Archive, asked: &Asked) -> Result<Option<Time>, ArchiveError> {
    let Some(oldest) = archive.oldest()? else { return Ok(None) };
    // What is hardly shorter than what was asked for is no news.
    let slack = asked.end().micros().saturating_sub(asked.since.micros()) / 50;
    let is_later = |oldest: &Time| oldest.micros() > asked.since.micros().saturating_add(slack);
    Ok(Some(oldest).filter(is_later))
}
