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

/// In place of a slot's number: in a replay no slot begins before the last one is told.
const SLOT: u32 = 0;

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
        let packet = &looked.packet;
        let is_listed = |addr| self.lines.as_ref().is_some_and(|lines| contains(lines.as_slice(), addr));
        let is_from = !looked.is_sent && is_listed(&packet.source);
        let is_to = (looked.is_sent || self.place.both_ways) && is_listed(&packet.dest);
        let mut events = self.payload(looked, replayed, frame);
        if is_from {
            events.extend(self.count(looked, Way::In, replayed));
        }
        if is_to {
            events.extend(self.count(looked, Way::Out, replayed));
        }
        events
    }

    /// Ends a slot: all that was counted of listed addresses in it.
    pub fn end_slot(&mut self) -> Vec<Event> {
        let pairs = std::mem::take(&mut self.pairs);
        pairs.iter().flat_map(|(key, counts)| self.lists.events(SLOT, key, counts)).collect()
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
            true => self.lists.events(SLOT, &key, counts),
            false => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use netwatch_common::{Sight, classify::Replies, parse};
    use xtask::traffic::Frame;

    use super::*;
    use crate::analysis::Detail;
    use crate::cli::{PlaceArgs, SettingArgs};

    const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);

    fn looks(name: &str, pairs: u32) -> Option<Box<Looks>> {
        let path = std::env::temp_dir().join(format!("netwatch-{name}-{}", std::process::id()));
        std::fs::write(&path, "203.0.113.0/24\n").unwrap();
        let feeds = vec![format!("bad={}", path.display())];
        let settings = SettingArgs { feeds, ..SettingArgs::default() };
        let config = Config::from_settings(&settings, &PlaceArgs::default()).unwrap();
        let place = Place { settings: Settings::DEFAULT, both_ways: true, pairs };
        let looks = Looks::start(&config, Vec::new(), Timestamp::UNIX_EPOCH, place).unwrap();
        std::fs::remove_file(path).unwrap();
        looks
    }

    /// An echo request from one of the listed addresses.
    fn ping(looks: &mut Looks, from: u8, now_ns: u64) -> Vec<Event> {
        let frame = Frame::ipv4(Ipv4Addr::new(203, 0, 113, from), OURS).echo_request(1, 1).build();
        let packet = parse(&frame[..], &Settings::DEFAULT).unwrap();
        let sight = Sight::of(Replies::Unknown);
        let looked = looks.wanted().of_received(&packet, sight, false, Verdict::IpOther).unwrap();
        looks.packet(&looked, Replayed { now_ns, wire_bytes: 98 }, &frame)
    }

    #[test]
    fn pairs_are_bounded_and_those_that_find_no_room_are_counted() {
        let mut looks = looks("pairs", 2).unwrap();
        assert_eq!(looks.wanted(), Wanted { addresses: true, payload: true });
        assert_eq!([1, 1, 2, 3, 3].map(|from| ping(&mut looks, from, 5).len()), [1, 0, 1, 0, 0]);
        let inbound = looks.end_slot().into_iter().map(|event| match event.detail {
            Detail::Listed(listed) => (event.addr, listed.inbound, listed.bytes),
            Detail::Matched(matched) => panic!("{matched:?}"),
        });
        let inbound: Vec<_> = inbound.collect();
        let addr = |last| Ipv4Addr::new(203, 0, 113, last).into();
        assert_eq!(inbound, [(addr(1), 2, 196), (addr(2), 1, 98)]);
        let mut totals = Totals::default();
        looks.add_to(&mut totals);
        assert_eq!((totals.listed, totals.listed_lost, totals.samples), (5, 2, 0));
        // The next slot has room again, and what comes first in it is news.
        assert_eq!(ping(&mut looks, 3, 6).len(), 1);
    }

    #[test]
    fn packets_that_go_to_a_listed_address_count_where_both_directions_do() {
        let mut looks = looks("ways", 9).unwrap();
        let frame = Frame::ipv4(OURS, Ipv4Addr::new(203, 0, 113, 1)).echo_request(1, 1).build();
        let packet = parse(&frame[..], &Settings::DEFAULT).unwrap();
        let (sight, wanted) = (Sight::of(Replies::Unknown), looks.wanted());
        let received = wanted.of_received(&packet, sight, false, Verdict::IpOther).unwrap();
        let sent = wanted.of_sent(&packet, (false, 0)).unwrap();
        let replayed = Replayed { now_ns: 5, wire_bytes: 98 };
        assert_eq!(looks.packet(&received, replayed, &frame).len(), 1);
        looks.place.both_ways = false;
        looks.end_slot();
        assert_eq!(looks.packet(&received, replayed, &frame), []);
        assert_eq!(looks.packet(&sent, replayed, &frame).len(), 1);
    }

    #[test]
    fn who_wants_nothing_has_nothing_looked_at() {
        let nothing = Wanted::default();
        let frame = Frame::ipv4(OURS, OURS).udp(40_000, 53, b"question").build();
        let packet = parse(&frame[..], &Settings::DEFAULT).unwrap();
        let unknown = Sight::of(Replies::Unknown);
        let side = |wanted: Wanted, sight| {
            let looked = wanted.of_received(&packet, sight, true, Verdict::IpOther);
            looked.map(|looked| looked.side)
        };
        assert_eq!(side(nothing, unknown), None);
        let payload = Wanted { payload: true, ..nothing };
        assert_eq!(side(payload, unknown), Some(Sample::CLIENT));
        assert_eq!(side(payload, Sight::of(Replies::Known)), None, "an answer");
        let addresses = Wanted { addresses: true, ..nothing };
        assert_eq!(side(addresses, unknown), Some(0));
    }
}
