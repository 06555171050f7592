//! What the dashboard knows, and what is chosen in it. Time is an argument, and drawing only reads.

use std::time::Duration;

use super::data::{Incident, Point, Port, Source, Stats, Status};
use super::known::{Data, INCIDENTS};

/// Points that are kept: five minutes.
pub(super) const POINTS: usize = 300;
/// By how much the daemon's clock may go back before what was told under the old one is no use any more.
const SET_BACK_MS: i64 = 10_000;
/// How much newer than an answer a point may be that the stream told meanwhile.
const MEANWHILE_MS: i64 = 60_000;
/// How long nothing may be heard before what is shown is said to be old.
const OLD: Duration = Duration::from_secs(5);

/// What there is to know.
#[derive(Debug)]
pub enum Update {
    /// The stream is there.
    Live,
    /// It is not, and why.
    Lost(String),
    /// A question was not answered, and why.
    Unanswered(String),
    /// How the daemon is.
    Status(Box<Status>),
    /// The same in short.
    Stats(Stats),
    /// What passed in the last second.
    Point(Point),
    /// What passed before.
    Series(Vec<Point>),
    /// All open incidents are about to be asked for.
    Listing,
    /// All open incidents.
    Incidents(Vec<Incident>),
    /// One that was opened, goes on, or is over.
    Alert(Box<Incident>),
    /// The busiest sources.
    Sources(Vec<Source>),
    /// The busiest ports.
    Ports(Vec<Port>),
    /// Something of ours failed.
    Failed(String),
    /// Our own watch ended: its exit code, and what it said last.
    Ended(Option<i32>, Vec<String>),
}

/// Whether what is shown is true now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing was heard yet.
    Connecting,
    /// It is.
    Live,
    /// The connection is gone, and why.
    Lost(String),
}

/// A list of which a row can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// Open incidents.
    Incidents,
    /// Sources.
    Sources,
    /// Ports.
    Ports,
}

impl Panel {
    /// In the order in which Tab leads to them.
    pub const ALL: [Self; 3] = [Self::Incidents, Self::Sources, Self::Ports];

    /// By what it can be sorted.
    #[must_use]
    pub const fn orders(self) -> &'static [&'static str] {
        match self {
            Self::Incidents => &["severity", "newest", "packets"],
            Self::Sources => &["packets", "evidence", "bytes"],
            Self::Ports => &["packets", "sources", "port"],
        }
    }
}

/// What fills the screen.
#[derive(Clone, Debug)]
pub enum View {
    /// Everything at a glance.
    Board,
    /// One incident.
    Incident(Box<Incident>),
    /// One source.
    Source(Box<Source>),
    /// The keys.
    Help,
}

/// What is chosen in a panel: by name, because lists change; and where that was, in case it goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    pub key: Option<String>,
    pub index: usize,
}

/// Whether the daemon's clock went back between two points.
const fn is_set_back(before: &Point, now: &Point) -> bool {
    before.at_ms > now.at_ms.saturating_add(SET_BACK_MS)
}

/// Everything that is drawn.
#[derive(Debug)]
pub struct Model {
    /// Where the daemon is.
    pub place: String,
    /// What is known now.
    pub(super) newest: Data,
    /// What was known when it was paused.
    pub(super) paused: Option<Box<Data>>,
    /// Whether it is true now.
    pub link: Link,
    /// Why the last question was not answered.
    pub unanswered: Option<String>,
    /// When anything was heard.
    heard: Duration,
    /// What was told since all incidents were asked for.
    meanwhile: Option<Vec<Incident>>,
    /// The present.
    pub now: Duration,
    /// What fills the screen.
    pub view: View,
    /// From which line on it is shown, where it is a text.
    pub(super) scroll: usize,
    /// The panel that keys are for.
    pub panel: Panel,
    pub(super) cursors: [Cursor; 3],
    pub(super) sorts: [usize; 3],
    /// What rows must hold.
    pub filter: String,
    /// Whether keys are letters of that.
    pub is_typing: bool,
    /// Columns and rows.
    pub size: (u16, u16),
}

impl Model {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(place: String, size: (u16, u16)) -> Self {
        Self {
            place,
            newest: Data::default(),
            paused: None,
            link: Link::Connecting,
            unanswered: None,
            heard: Duration::ZERO,
            meanwhile: None,
            now: Duration::ZERO,
            view: View::Board,
            scroll: 0,
            panel: Panel::Incidents,
            cursors: Default::default(),
            sorts: [0; 3],
            filter: String::new(),
            is_typing: false,
            size,
        }
    }

    /// What is shown.
    #[must_use]
    pub fn data(&self) -> &Data {
        self.paused.as_deref().unwrap_or(&self.newest)
    }

    /// Takes in what is new.
    pub fn update(&mut self, update: Update, now: Duration) {
        self.now = now;
        let data = &mut self.newest;
        match update {
            Update::Lost(why) => {
                self.link = Link::Lost(why);
                return;
            }
            Update::Unanswered(why) => {
                self.unanswered = Some(why);
                return;
            }
            // These two end the dashboard, and whoever drives it knows.
            Update::Failed(_) | Update::Ended(..) => return,
            Update::Live => self.link = Link::Live,
            Update::Status(status) => {
                let is_other = data.status.as_ref().is_some_and(|before| before.run != status.run);
                if is_other {
                    // It counts anew.
                    data.losses.clear();
                }
                data.clock = status.at_ms.map(|at| (at, now)).or(data.clock);
                (data.open, data.lost) = (status.open, status.lost);
                data.note_losses(now);
                data.status = Some(*status);
                self.unanswered = None;
            }
            Update::Stats(stats) => {
                data.clock = stats.at_ms.map(|at| (at, now)).or(data.clock);
                (data.open, data.lost) = (stats.open, stats.lost);
                data.note_losses(now);
            }
            Update::Point(point) => {
                // Otherwise nothing new would be taken in until that clock is where it was.
                if data.points.back().is_some_and(|last| is_set_back(last, &point)) {
                    data.points.clear();
                }
                if data.points.back().is_none_or(|last| last.at_ms < point.at_ms) {
                    data.points.push_back(point);
                }
                while data.points.len() > POINTS {
                    data.points.pop_front();
                }
            }
            Update::Series(points) => {
                let first = points.first().map_or(i64::MAX, |point| point.at_ms);
                let last = points.last().map_or(i64::MIN, |point| point.at_ms);
                let own = data.points.iter().copied();
                // What the stream told meanwhile is not in the answer, and what is older is not there any more. What is much newer
                // was told before the daemon's clock went back.
                let newest = last.saturating_add(MEANWHILE_MS);
                let before: Vec<_> = own.clone().filter(|point| point.at_ms < first).collect();
                let after: Vec<_> = own.filter(|point| point.at_ms > last && point.at_ms <= newest).collect();
                data.points = before.into_iter().chain(points).chain(after).collect();
                let excess = data.points.len().saturating_sub(POINTS);
                data.points.drain(..excess);
            }
            Update::Incidents(incidents) => {
                data.incidents = incidents;
                // The list may be older than what was told since it was asked for.
                for incident in self.meanwhile.take().into_iter().flatten() {
                    data.take_in(incident);
                }
                data.bound();
            }
            Update::Listing => {
                self.meanwhile = Some(Vec::new());
                return;
            }
            Update::Alert(incident) => {
                if let View::Incident(shown) = &mut self.view
                    && shown.id == incident.id
                    && self.paused.is_none()
                {
                    shown.clone_from(&incident);
                }
                if let Some(meanwhile) = self.meanwhile.as_mut().filter(|told| told.len() < INCIDENTS) {
                    meanwhile.push(Incident::clone(&incident));
                }
                data.open = match data.take_in(*incident) {
                    1 => data.open.saturating_add(1),
                    -1 => data.open.saturating_sub(1),
                    _ => data.open,
                };
            }
            Update::Sources(sources) => data.sources = sources,
            Update::Ports(ports) => data.ports = ports,
        }
        self.heard = now;
    }

    /// How old what is shown is, in seconds, where that matters.
    #[must_use]
    pub fn age_s(&self) -> Option<u64> {
        let age = self.now.saturating_sub(self.heard);
        (age >= OLD && self.link != Link::Connecting).then_some(age.as_secs())
    }

    /// The daemon's clock, in milliseconds since 1970.
    #[must_use]
    pub fn clock_ms(&self) -> Option<i64> {
        let (at, read) = self.data().clock?;
        let since = self.now.saturating_sub(read).as_millis();
        Some(at.saturating_add(i64::try_from(since).unwrap_or(i64::MAX)))
    }

    fn matches(&self, texts: &[&str]) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    }

    /// What a panel is sorted by.
    pub(super) fn sort(&self, panel: Panel) -> &'static str {
        let orders = panel.orders();
        orders[self.sorts[panel as usize] % orders.len()]
    }

    /// Incidents as they are listed.
    #[must_use]
    pub fn incidents(&self) -> Vec<&Incident> {
        let all = self.data().incidents.iter();
        let mut rows: Vec<_> = all
            .filter(|one| self.matches(&[&one.text, &one.rule, one.severity.name(), &one.source, &one.id]))
            .collect();
        match self.sort(Panel::Incidents) {
            "newest" => rows.sort_by(|a, b| b.opened_ms.cmp(&a.opened_ms).then_with(|| a.id.cmp(&b.id))),
            "packets" => rows.sort_by(|a, b| b.packets.cmp(&a.packets).then_with(|| a.id.cmp(&b.id))),
            _ => rows.sort_by(|a, b| {
                let key = |one: &Incident| (one.is_told, one.severity, one.opened_ms);
                key(b).cmp(&key(a)).then_with(|| a.id.cmp(&b.id))
            }),
        }
        rows
    }

    /// Sources as they are listed.
    #[must_use]
    pub fn sources(&self) -> Vec<&Source> {
        let all = self.data().sources.iter();
        let mut rows: Vec<_> = all.filter(|one| self.matches(&[&one.source, &one.interface])).collect();
        let sort = self.sort(Panel::Sources);
        // What is equal stays as the daemon has it: the busiest first.
        rows.sort_by_key(|one| {
            std::cmp::Reverse(match sort {
                "evidence" => one.unsolicited(),
                "bytes" => one.bytes,
                _ => one.packets,
            })
        });
        rows
    }

    /// Ports as they are listed.
    #[must_use]
    pub fn ports(&self) -> Vec<&Port> {
        let mut rows: Vec<_> = self.data().ports.iter().collect();
        match self.sort(Panel::Ports) {
            "sources" => rows.sort_by_key(|one| std::cmp::Reverse(one.flows)),
            "port" => rows.sort_by_key(|one| (one.port, one.proto.clone())),
            _ => rows.sort_by_key(|one| std::cmp::Reverse(one.packets)),
        }
        rows
    }

    /// What sets the rows of a panel apart.
    pub(super) fn keys(&self, panel: Panel) -> Vec<String> {
        match panel {
            Panel::Incidents => self.incidents().iter().map(|one| one.id.clone()).collect(),
            Panel::Sources => {
                self.sources().iter().map(|one| format!("{} {}", one.interface, one.source)).collect()
            }
            Panel::Ports => self
                .ports()
                .iter()
                .map(|one| format!("{} {} {}", one.interface, one.proto, one.port))
                .collect(),
        }
    }

    /// Which row is chosen; none where there are no rows.
    pub(super) fn chosen(&self, panel: Panel, keys: &[String]) -> Option<usize> {
        let Cursor { key, index } = &self.cursors[panel as usize];
        // Before anything was chosen, the first row is, whichever that is.
        let found = key.as_ref().map_or(Some(0), |key| keys.iter().position(|found| found == key));
        (!keys.is_empty()).then(|| found.unwrap_or(*index).min(keys.len() - 1))
    }
}
