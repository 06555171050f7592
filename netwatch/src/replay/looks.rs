//! A closer look at recorded packets: whether feeds list their addresses, and whether signatures match what flows begin
//! with. Either engine says which packets these are, and what comes of them is told by the same code.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use jiff::Timestamp;
use netwatch_common::classify::{ACK, SYN};
use netwatch_common::limits::INSPECTED_BYTES;
use netwatch_common::listed::{Circumstances, Way};
use netwatch_common::prefixes::{Line, contains};
use netwatch_common::{Kind, ListedCounts, ListedKey, Proto, Replayed, Sample, Settings, Totals, Verdict};
use tracing::{info, warn};

use super::flows::{Looked, Wanted};
use crate::analysis::Event;
use crate::config::Config;
use crate::exit::Usage;
use crate::feeds::Prefix;
use crate::kernel::InspectedPorts;
use crate::lookout::{Fresh, Inspection, Lists};

/// What looks more closely than counting does.
pub struct Looks {
    lists: Lists,
    /// What addresses are looked up in; none where no feed is configured.
    lines: Option<Arc<Vec<Line>>>,
    inspection: Option<Inspection>,
    ports: InspectedPorts,
    place: Place,
    /// What was counted of listed addresses in the slot that goes on.
    pairs: BTreeMap<ListedKey, ListedCounts>,
    listed: u64,
    listed_lost: u64,
    samples: u64,
}

/// What a replay knows of where its packets were recorded.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// By what packets are parsed.
    pub settings: Settings,
    /// Whether received packets may go to listed addresses, because what is sent is among them.
    pub both_ways: bool,
    /// For how many pairs of a listed address and another there is room in a slot.
    pub pairs: u32,
}

impl Looks {
    /// Loads what is configured; none where nothing is. Nothing of `never` is listed, and feeds have come to their end, or
    /// not, as of `at`: when the first packet came.
    ///
    /// # Errors
    ///
    /// What is wrong with the files of feeds, a line each.
    pub fn start(
        config: &Config,
        never: Vec<Prefix>,
        at: Timestamp,
        place: Place,
    ) -> anyhow::Result<Option<Box<Self>>> {
        let signatures = &config.signatures;
        let inspects = signatures.enabled && !signatures.set.is_empty();
        let has_feeds = !config.feeds.is_empty();
        if !has_feeds && !inspects {
            return Ok(None);
        }
        let (lists, Fresh { outcome, lines }) =
            Lists::start(config.feeds.clone(), never, at).map_err(|problems| Usage(problems.join("\n")))?;
        outcome.notes.iter().for_each(|note| warn!("{note}"));
        if has_feeds {
            let loaded = lists.loaded();
            info!("{} entries of {} feeds", loaded.entries(), loaded.feeds().len());
        }
        let inspection = inspects.then(|| Inspection::new(Arc::clone(&signatures.set), 1));
        Ok(Some(Box::new(Self {
            lists,
            lines: has_feeds.then_some(lines),
            ports: inspection.as_ref().map_or_else(InspectedPorts::none, Inspection::ports),
            inspection,
            place,
            pairs: BTreeMap::new(),
            listed: 0,
            listed_lost: 0,
            samples: 0,
        })))
    }

    /// What packets are looked at for.
    #[must_use]
    pub const fn wanted(&self) -> Wanted {
        Wanted { addresses: self.lines.is_some(), payload: self.inspection.is_some() }
    }

    /// Looks at a packet, and returns what there is to tell at once.
    pub fn packet(&mut self, looked: &Looked, replayed: Replayed, frame: &[u8]) -> Vec<Event> {
        let mut events = self.payload(looked, replayed, frame);
        let lines = self.lines.clone();
        let is_listed = |addr| lines.as_ref().is_some_and(|lines| contains(lines.as_slice(), addr));
        let packet = &looked.packet;
        if !looked.is_sent && is_listed(&packet.source) {
            events.extend(self.count(looked, Way::In, replayed));
        }
        if (looked.is_sent || self.place.both_ways) && is_listed(&packet.dest) {
            events.extend(self.count(looked, Way::Out, replayed));
        }
        events
    }

    /// Ends a slot: all that was counted of listed addresses in it.
    pub fn end_slot(&mut self) -> Vec<Event> {
        let pairs = std::mem::take(&mut self.pairs);
        pairs.iter().flat_map(|(key, counts)| self.lists.events(key, counts)).collect()
    }

    /// Adds what was looked at since the start to what was counted: no program of a replay has.
    pub const fn add_to(&self, totals: &mut Totals) {
        totals.listed += self.listed;
        totals.listed_lost += self.listed_lost;
        totals.samples += self.samples;
    }

    /// What the payload of a packet completes.
    fn payload(&mut self, looked: &Looked, replayed: Replayed, frame: &[u8]) -> Vec<Event> {
        let (transport, Some(inspection)) = (&looked.packet.transport, &mut self.inspection) else {
            return Vec::new();
        };
        let proto = match transport.kind {
            Kind::Tcp => Proto::Tcp,
            Kind::Udp => Proto::Udp,
            _ => return Vec::new(),
        };
        let is_of_interest = |port| self.ports.has(proto, port);
        if looked.side == 0 || !(is_of_interest(transport.dest_port) || is_of_interest(transport.source_port))
        {
            return Vec::new();
        }
        self.samples += 1;
        // No more of it than the kernel's programs would send.
        let captured = frame.len().min(INSPECTED_BYTES as usize);
        let frame = frame.get(..captured).unwrap_or(frame);
        let sample = Sample {
            at_ns: replayed.now_ns,
            wire_len: u32::try_from(replayed.wire_bytes).unwrap_or(u32::MAX),
            captured: u32::try_from(captured).unwrap_or(INSPECTED_BYTES),
            payload_at: transport.payload_offset,
            verdict: looked.verdict as u8,
            direction: if looked.is_sent { Sample::OUT } else { Sample::IN },
            purpose: Sample::PAYLOAD,
            side: looked.side,
            ..Sample::default()
        };
        inspection.events(0, &sample, frame, &self.place.settings)
    }

    /// Counts a packet of which one end is listed. What it returns is what is news.
    fn count(&mut self, looked: &Looked, way: Way, replayed: Replayed) -> Vec<Event> {
        let packet = &looked.packet;
        let key = match way {
            Way::In => ListedKey { remote: packet.source, local: packet.dest },
            Way::Out => ListedKey { remote: packet.dest, local: packet.source },
        };
        self.listed += 1;
        let is_full = u32::try_from(self.pairs.len()).is_ok_and(|pairs| pairs >= self.place.pairs);
        let counts = match self.pairs.entry(key) {
            Entry::Vacant(_) if is_full => {
                self.listed_lost += 1;
                return Vec::new();
            }
            Entry::Vacant(free) => free.insert(ListedCounts::ZERO),
            Entry::Occupied(known) => known.into_mut(),
        };
        // A SYN-ACK is known where it is no backscatter.
        let is_answer = packet.transport.flags & (SYN | ACK) == SYN | ACK;
        let circumstances = Circumstances {
            bytes: replayed.wire_bytes,
            now_ns: replayed.now_ns,
            exact_ns: if matches!(packet.transport.kind, Kind::Udp) { replayed.now_ns } else { 0 },
            completed: looked.completed,
            is_known: u32::from(!looked.is_sent && is_answer && looked.verdict == Verdict::Known),
            is_first: looked.is_first.into(),
            padding: 0,
        };
        match counts.count(packet, way, &circumstances) {
            true => self.lists.events(&key, counts),
            false => Vec::new(),
        }
    }
}
