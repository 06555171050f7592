//! What is looked at before a slot ends: hints, listed addresses, sampled payload.

use std::sync::Arc;

use jiff::Timestamp;
use netwatch_common::prefixes::Line;
use netwatch_common::{ListedCounts, ListedKey, Sample};
use tracing::{error, info, warn};

use super::App;
use crate::analysis::policy::Policy;
use crate::analysis::{Event, InterfaceId, RuleId};
use crate::clock;
use crate::config::Config;
use crate::exit::Usage;
use crate::feeds::Prefix;
use crate::kernel::{Error, host};
use crate::lookout::{Fresh, Inspection, Lists, Tap};
use crate::report::Time;
use crate::report::snapshot::FeedState;
use crate::watched::Watched;

/// What looks more closely than counting does.
#[derive(Default)]
pub(super) struct Lookout {
    pub(super) lists: Lists,
    /// What the kernel looks packets up in.
    lines: Arc<Vec<Line>>,
    /// Whether interfaces that are being drained have yet to be told of it.
    untold: bool,
    /// What is to be said once they were.
    news: Option<String>,
    pub(super) inspection: Option<Inspection>,
    /// One for each interface, in their order.
    pub(super) taps: Vec<Tap>,
}

/// Whether anything that is configured needs a closer look, and this kernel can take it.
pub(super) fn looks_closer(config: &Config) -> bool {
    let has_feeds = !config.feeds.is_empty();
    let inspects = config.signatures.enabled && !config.signatures.set.is_empty();
    let keeps = config.evidence.is_some();
    if !has_feeds && !inspects && !keeps {
        return false;
    }
    if host::kernel_version() < host::MULTI_BUFFER_KERNEL {
        warn!(
            "feeds, payload signatures and evidence need Linux {}, and this is {}: going on without",
            host::MULTI_BUFFER_KERNEL,
            host::kernel_release()
        );
        return false;
    }
    true
}

impl Lookout {
    /// Loads what is configured. Blocks while it reads files.
    pub(super) fn start(config: &Config, policy: &Policy, interfaces: usize) -> anyhow::Result<Self> {
        let (lists, Fresh { outcome, lines }) =
            Lists::start(config.feeds.clone(), never(policy), Timestamp::now())
                .map_err(|problems| Usage(problems.join("\n")))?;
        outcome.notes.iter().for_each(|note| warn!("{note}"));
        if !config.feeds.is_empty() {
            let loaded = lists.loaded();
            info!("{} entries of {} feeds", loaded.entries(), loaded.feeds().len());
        }
        let signatures = &config.signatures;
        let inspects = signatures.enabled && !signatures.set.is_empty();
        let inspection = inspects.then(|| Inspection::new(Arc::clone(&signatures.set), interfaces));
        Ok(Self { lists, lines, inspection, ..Self::default() })
    }

    /// The feeds, for people who ask.
    pub(super) fn feeds(&self) -> Vec<FeedState> {
        let feeds = self.lists.loaded().feeds().iter();
        feeds
            .map(|feed| FeedState {
                name: feed.config.name.as_str().into(),
                file: feed.config.file.display().to_string().into(),
                entries: feed.contents.set.len() as u64,
                is_live: feed.is_live,
                written_at: Some(Time(feed.written)),
            })
            .collect()
    }

    /// The number of a feed or signature in use that incidents of a rule are about.
    pub(super) fn number_of(&mut self, rule: RuleId, name: &str) -> Option<u16> {
        match rule {
            RuleId::IocIp => self.lists.number_of(name),
            RuleId::PayloadMatch => self.inspection.as_mut()?.number_of(name),
            _ => None,
        }
    }

    /// Tells an interface's program what to look for.
    pub(super) fn tell(&self, watched: &mut Watched, rate: u32) -> Result<(), Error> {
        watched.tell_feeds(&self.lines)?;
        if let Some(inspection) = &self.inspection {
            watched.tell_inspected(&inspection.ports(), rate);
        }
        Ok(())
    }

    /// What became of what was looked into, for the summary.
    pub(super) fn summary(&self) -> String {
        let Some(inspection) = &self.inspection else { return String::new() };
        let counters = inspection.counters();
        if counters.samples == 0 {
            return String::new();
        }
        format!(
            "signatures: {} found in {} packets; {} flows were forgotten too early, {} came in too many pieces\n",
            counters.matches, counters.samples, counters.forgotten, counters.scattered
        )
    }

    /// Events of what was counted of listed addresses.
    pub(super) fn listed<'a>(
        &mut self,
        counted: impl IntoIterator<Item = (u32, &'a ListedKey, &'a ListedCounts)>,
    ) -> Vec<Event> {
        let events = |(slot, key, counts)| self.lists.events(slot, key, counts);
        counted.into_iter().flat_map(events).collect()
    }
}

/// Networks that feeds never list: our own.
pub(super) fn never(policy: &Policy) -> Vec<Prefix> {
    let own = policy.local.iter().chain(&policy.connected);
    own.map(|network| {
        let (first, bits) = network.parts();
        Prefix { first, bits }
    })
    .collect()
}

impl App {
    /// Tells what the hints of an interface mean.
    pub(super) fn hints(&mut self, index: usize) {
        let Some(live) = self.live.get_mut(index) else { return };
        let id = live.id;
        live.read();
        let listed = live.listed();
        let (hints, maps) = live.hints();
        let transitions = self.analysis.hints(id, hints, clock::monotonic_ns(), maps);
        live.schedule(self.analysis.is_near(id));
        self.tell_of(id, transitions);
        let events = self.lookout.listed(listed.iter().map(|(slot, key, counts)| (*slot, key, counts)));
        self.happened(id, events);
    }

    /// Looks into the packets that an interface's program has sent.
    pub(super) fn samples(&mut self, index: usize, to_end: bool) {
        let Some(tap) = self.lookout.taps.get_mut(index) else { return };
        let Some((id, settings)) = self.sampled.get(index).copied() else { return };
        let mut seen = Vec::new();
        let inspection = &mut self.lookout.inspection;
        let mut each = |sample: &Sample, frame: &[u8]| {
            let is_payload = sample.purpose & Sample::PAYLOAD != 0;
            let events = match inspection {
                Some(inspection) if is_payload => inspection.events(index, sample, frame, &settings),
                _ => Vec::new(),
            };
            // What tells an attack is evidence of it, too.
            if !events.is_empty() || sample.purpose & Sample::EVIDENCE != 0 {
                seen.push((*sample, frame.to_vec(), events));
            }
        };
        if to_end {
            tap.read_to_end(&mut each);
        } else {
            tap.read(&mut each);
        }
        for (sample, frame, events) in seen {
            self.happened(id, events);
            self.evidence.packet(id, &settings, &sample, &frame);
        }
        self.evidence.look_after(clock::monotonic_ns());
    }

    fn happened(&mut self, id: InterfaceId, events: Vec<Event>) {
        if !events.is_empty() {
            let transitions = self.analysis.events(id, events, clock::monotonic_ns());
            self.tell_of(id, transitions);
        }
    }

    /// Uses feeds that were loaded again.
    pub(super) fn feeds_loaded(&mut self, Fresh { outcome, lines }: Fresh) {
        outcome.problems.iter().for_each(|problem| warn!("{problem}"));
        outcome.notes.iter().for_each(|note| warn!("{note}"));
        let loaded = self.lookout.lists.loaded();
        let how = if outcome.problems.is_empty() { "feeds loaded again" } else { "feeds in use" };
        // Who reads this relies on packets being compared with them.
        self.lookout.news =
            Some(format!("{how}: {} entries of {} feeds", loaded.entries(), loaded.feeds().len()));
        self.lookout.lines = lines;
        self.lookout.untold = true;
        self.tell_lookout();
    }

    /// Tells the programs what to look for, if that is new; of interfaces that are being drained, when they are back.
    pub(super) fn tell_lookout(&mut self) {
        if self.lookout.untold && self.draining.is_none() {
            let (lookout, rate) = (&self.lookout, self.config.signatures.rate);
            let mut untold = false;
            for watched in &mut self.watched {
                if let Err(error) = lookout.tell(watched, rate) {
                    untold = true;
                    error!("{}: the feeds stay as they were, trying again: {error}", watched.name);
                }
            }
            self.lookout.untold = untold;
            if !untold && let Some(news) = self.lookout.news.take() {
                info!("{news}");
            }
        }
    }

    /// Looks for what the configuration says now.
    pub(super) fn keep_lookout(&mut self) {
        if self.lookout.taps.is_empty() {
            if !self.config.feeds.is_empty() {
                warn!("feeds take effect after a restart: nothing is looked at more closely now");
            }
            return;
        }
        self.lookout.lists.configure(&self.config.feeds, &never(&self.policy), Timestamp::now());
    }

    /// Looks for other signatures, after the configuration was read again.
    pub(super) fn replace_signatures(&mut self) {
        if self.lookout.taps.is_empty() || !self.config.signatures.enabled {
            return;
        }
        let (set, interfaces) = (&self.config.signatures.set, self.lookout.taps.len());
        match &mut self.lookout.inspection {
            Some(inspection) => inspection.replace(set),
            none => *none = Some(Inspection::new(Arc::clone(set), interfaces)),
        }
        self.lookout.untold = true;
        self.tell_lookout();
    }
}

/// Waits until any interface may have samples, and returns its place.
pub(super) async fn any_samples(taps: &mut [Tap]) -> usize {
    if taps.is_empty() {
        return std::future::pending().await;
    }
    let waiting = taps.iter_mut().map(|tap| Box::pin(tap.wait()));
    futures_util::future::select_all(waiting).await.1
}
