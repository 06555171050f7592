//! Feeds while they are in use: loaded, looked after, and what was counted of the addresses in them told as events.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use netwatch_common::prefixes::Line;
use netwatch_common::{ListedCounts, ListedKey, Service};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::{Board, Numbers};
use crate::analysis::detail::{Hosts, Listed, Listing};
use crate::analysis::{Detail, Event, Severity};
use crate::feeds::{self, FeedConfig, Loaded, Outcome, Prefix, Watcher};

/// Most severe that an alert about a listed address is where its feed says nothing else: somebody talks to it.
const SEVERITY: Severity = Severity::High;

/// The feeds in use.
#[derive(Debug, Default)]
pub struct Lists {
    configs: Vec<FeedConfig>,
    /// What is never listed beside what nobody lists: own networks.
    never: Vec<Prefix>,
    loaded: Arc<Loaded>,
    board: Board,
    watcher: Watcher,
    loading: Option<JoinHandle<Fresh>>,
    /// Whether something changed while they were being loaded.
    is_stale: bool,
    numbers: Numbers,
}

/// Feeds that were just loaded.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// What became of loading.
    pub outcome: Outcome,
    /// What the kernel looks packets up in.
    pub lines: Arc<Vec<Line>>,
}

impl Fresh {
    fn of(outcome: Outcome) -> Self {
        let lines = Arc::new(outcome.loaded.lines());
        Self { outcome, lines }
    }
}

impl Lists {
    /// Loads feeds for the first time, which all must be right. Returns what the kernel looks packets up in. Blocks.
    ///
    /// # Errors
    ///
    /// What is wrong with their files, a line each.
    pub fn start(
        configs: Vec<FeedConfig>,
        never: Vec<Prefix>,
        now: Timestamp,
    ) -> Result<(Self, Fresh), Vec<String>> {
        let mut watcher = Watcher::default();
        watcher.watch(&configs, now);
        let outcome = feeds::load(&configs, &never, None, now);
        if !outcome.problems.is_empty() {
            return Err(outcome.problems);
        }
        let loaded = Arc::clone(&outcome.loaded);
        let lists = Self { configs, never, loaded, watcher, ..Self::default() };
        lists.board.put(&lists.loaded);
        Ok((lists, Fresh::of(outcome)))
    }

    /// The feeds as they are in use.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The same for those who ask from other threads, from now on.
    #[must_use]
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// The number of a feed in use, by its name.
    pub fn number_of(&mut self, name: &str) -> Option<u16> {
        self.configs.iter().any(|config| config.name == name).then(|| self.numbers.of(name))?
    }

    /// Begins to load again what has changed, if anything has. To be called about once in a slot.
    pub fn look_after(&mut self, now: Timestamp) {
        if self.watcher.changed(now) {
            self.load(now);
        }
    }

    /// Uses other feeds from now on, or the same with other networks that are never listed; once they are loaded.
    pub fn configure(&mut self, configs: &[FeedConfig], never: &[Prefix], now: Timestamp) {
        // Where there are no feeds, and were none, other networks change nothing.
        let is_new = self.configs != configs || (self.never != never && !configs.is_empty());
        self.never = never.to_vec();
        if is_new {
            self.configs = configs.to_vec();
            self.load(now);
        }
    }

    /// Loads again what has changed, because somebody asks for it.
    pub fn reload(&mut self, now: Timestamp) {
        if !self.configs.is_empty() {
            self.load(now);
        }
    }

    fn load(&mut self, now: Timestamp) {
        if self.loading.is_some() {
            self.is_stale = true;
            return;
        }
        self.watcher.watch(&self.configs, now);
        let (configs, never, previous) = (self.configs.clone(), self.never.clone(), Arc::clone(&self.loaded));
        self.loading =
            Some(spawn_blocking(move || Fresh::of(feeds::load(&configs, &never, Some(&previous), now))));
    }

    /// Waits until feeds are loaded; for ever where none are being loaded. What is loaded is in use when this returns, but
    /// for the kernel, which looks packets up in the lines that come with it.
    ///
    /// # Errors
    ///
    /// Loading came to an unexpected end.
    pub async fn finished(&mut self) -> Result<Fresh, JoinError> {
        let Some(loading) = &mut self.loading else { return std::future::pending().await };
        let result = loading.await;
        self.loading = None;
        let fresh = result?;
        self.loaded = Arc::clone(&fresh.outcome.loaded);
        self.board.put(&self.loaded);
        if std::mem::take(&mut self.is_stale) {
            self.load(Timestamp::now());
        }
        Ok(fresh)
    }

    /// What was counted of an address in a slot, once for each feed that lists it. None where it is listed no more: the feeds have
    /// changed since it was counted.
    pub fn events(&mut self, slot: u32, key: &ListedKey, counts: &ListedCounts) -> Vec<Event> {
        let listings = self.loaded.lookup(IpAddr::from(key.remote));
        let numbers = &mut self.numbers;
        let event = |listing: feeds::Listing<'_>| {
            let config = &listing.feed.config;
            let why = Listing {
                feed: config.name.as_str().into(),
                entry: listing.entry.to_string().into(),
                comment: listing.comment.unwrap_or_default().into(),
                tags: config.tags.iter().map(|tag| tag.as_str().into()).collect(),
            };
            Some(Event {
                addr: key.remote,
                item: numbers.of(&config.name)?,
                slot,
                severity: config.severity.unwrap_or(SEVERITY),
                detail: Detail::Listed(listed(key, counts, why)),
            })
        };
        listings.into_iter().filter_map(event).collect()
    }
}

/// What was counted, as an alert tells it.
pub(super) fn listed(key: &ListedKey, counts: &ListedCounts, why: Listing) -> Listed {
    // The port of the side that was asked: there where a host of ours began, and here elsewhere.
    let begun = counts.opened + counts.probes_out;
    let is_answer = counts.udp_in_ns != 0 && counts.udp_in_ns < counts.udp_begun_ns;
    let udp_begun = if is_answer { 0 } else { counts.udp_begun };
    let (first, other) = match begun + udp_begun {
        0 => (counts.service_in(), counts.service_out()),
        _ => (counts.service_out(), counts.service_in()),
    };
    Listed {
        listing: Arc::new(why),
        inbound: counts.packets_in,
        outbound: counts.packets_out,
        bytes: counts.bytes_in + counts.bytes_out,
        completed: counts.completed,
        udp_inbound: counts.udp_in,
        udp_begun,
        begun,
        contacted: false,
        hosts: Hosts::one(key.local.into()),
        service: first.or(other).and_then(Service::port),
        first_ns: counts.first_ns,
        last_ns: counts.last_ns,
    }
}
