//! What an alert says that is no count: which feed lists an address, which signature matched.

use core::net::IpAddr;
use std::sync::Arc;

use netwatch_common::Proto;

use super::limits::FIRST_DESTS;
use super::transition::DestSummary;

/// What an incident about an address is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A feed lists the address.
    Listed(Listed),
    /// What the address sent matches a signature.
    Matched(Matched),
}

/// Why an address is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The feed's name.
    pub feed: Box<str>,
    /// The entry: an address or a prefix, as the feed has it.
    pub entry: Box<str>,
    /// What the feed says about the entry; empty where it says nothing.
    pub comment: Box<str>,
    /// What the operator calls the feed's contents.
    pub tags: Vec<Box<str>>,
}

/// What was seen of an address that a feed lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Why it is listed.
    pub listing: Arc<Listing>,
    /// Packets that came from it.
    pub inbound: u64,
    /// Packets that went to it.
    pub outbound: u64,
    /// Bytes of both on the wire.
    pub bytes: u64,
    /// Handshakes that it completed with hosts of ours.
    pub completed: u64,
    /// UDP packets that came from it.
    pub udp_inbound: u64,
    /// UDP flows that hosts of ours began.
    pub udp_begun: u64,
    /// TCP connections and pings that hosts of ours began.
    pub begun: u64,
    /// Whether a host of ours began to talk to it, as far as that is known by now. Who only answers did not.
    pub contacted: bool,
    /// Hosts of ours.
    pub hosts: Hosts,
    /// What was talked to first: protocol and port, on whichever side the service is.
    pub service: Option<(Proto, u16)>,
    /// When the first packet passed, in monotonic nanoseconds.
    pub first_ns: u64,
    /// When the last one did.
    pub last_ns: u64,
}

impl Listed {
    /// Whether somebody talked to it, instead of being knocked at only.
    #[must_use]
    pub const fn is_contact(&self) -> bool {
        self.contacted || self.completed > 0
    }

    /// Packets both ways.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.inbound.saturating_add(self.outbound)
    }

    /// Adds what was seen later, or of another host of ours.
    pub fn merge(&mut self, later: &Self) {
        // What a host sends over UDP after something came from there is an answer.
        let begins = later.begun > 0 || (later.udp_begun > 0 && self.udp_inbound == 0);
        self.contacted |= begins || later.contacted;
        self.listing = Arc::clone(&later.listing);
        self.inbound = self.inbound.saturating_add(later.inbound);
        self.outbound = self.outbound.saturating_add(later.outbound);
        self.bytes = self.bytes.saturating_add(later.bytes);
        self.completed = self.completed.saturating_add(later.completed);
        self.udp_inbound = self.udp_inbound.saturating_add(later.udp_inbound);
        self.udp_begun = self.udp_begun.saturating_add(later.udp_begun);
        self.begun = self.begun.saturating_add(later.begun);
        later.hosts.iter().for_each(|host| self.hosts.add(host));
        self.service = self.service.or(later.service);
        self.first_ns = match (self.first_ns, later.first_ns) {
            (0, first) | (first, 0) => first,
            (mine, theirs) => mine.min(theirs),
        };
        self.last_ns = self.last_ns.max(later.last_ns);
    }
}

/// A few hosts, and whether there were more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    first: Vec<IpAddr>,
    /// Whether there were more than are kept.
    pub more: bool,
}

impl Hosts {
    /// This one.
    #[must_use]
    pub fn one(host: IpAddr) -> Self {
        Self { first: vec![host], more: false }
    }

    /// Adds one, which may be there already.
    pub fn add(&mut self, host: IpAddr) {
        if self.first.contains(&host) {
            return;
        }
        if self.first.len() < FIRST_DESTS {
            self.first.push(host);
        } else {
            self.more = true;
        }
    }

    /// Those that are kept, in the order in which they were seen.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.first.iter().copied()
    }

    /// The only one.
    #[must_use]
    pub fn only(&self) -> Option<IpAddr> {
        match self.first[..] {
            [host] => Some(host),
            _ => None,
        }
    }

    /// As destinations of an alert. Of more than are kept, one more is counted.
    #[must_use]
    pub fn summary(&self) -> DestSummary {
        let mut summary = DestSummary::default();
        self.iter().for_each(|host| summary.add(host));
        summary.distinct += u64::from(self.more);
        summary
    }
}

/// A signature, as an alert names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Its identifier.
    pub id: Box<str>,
    /// What it finds, in a few words.
    pub name: Box<str>,
    /// Where to read about it.
    pub reference: Box<str>,
    /// The technique in MITRE ATT&CK; empty where there is none.
    pub attack_id: Box<str>,
}

/// A flow that matches a signature: the first one, and how many there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// What it matches.
    pub signature: Arc<Signature>,
    /// The protocol.
    pub proto: Proto,
    /// The port that the bytes came from.
    pub source_port: u16,
    /// Whom they went to.
    pub dest: IpAddr,
    /// And which port.
    pub dest_port: u16,
    /// Whether a host of ours sent them.
    pub outgoing: bool,
    /// What matched, and a little around it. Whoever sent it chose it: it is not to be printed as it is.
    pub excerpt: Arc<[u8]>,
    /// All whom such bytes went to.
    pub dests: Hosts,
    /// How many flows.
    pub flows: u64,
    /// When the first bytes passed, in monotonic nanoseconds.
    pub first_ns: u64,
    /// When the last ones did.
    pub last_ns: u64,
}

impl Matched {
    /// Adds what was seen later.
    pub fn merge(&mut self, later: &Self) {
        self.flows = self.flows.saturating_add(later.flows);
        later.dests.iter().for_each(|dest| self.dests.add(dest));
        self.last_ns = self.last_ns.max(later.last_ns);
    }
}

impl Detail {
    /// Adds what was seen later of the same.
    pub fn merge(&mut self, later: &Self) {
        match (self, later) {
            (Self::Listed(mine), Self::Listed(theirs)) => mine.merge(theirs),
            (Self::Matched(mine), Self::Matched(theirs)) => mine.merge(theirs),
            // One key is about one of them.
            (Self::Listed(_), Self::Matched(_)) | (Self::Matched(_), Self::Listed(_)) => {}
        }
    }

    /// How many of what its rule counts.
    #[must_use]
    pub const fn count(&self) -> u64 {
        match self {
            Self::Listed(listed) => listed.packets(),
            Self::Matched(matched) => matched.flows,
        }
    }

    /// When it was seen first and last, in monotonic nanoseconds.
    #[must_use]
    pub const fn times(&self) -> (u64, u64) {
        match self {
            Self::Listed(Listed { first_ns, last_ns, .. })
            | Self::Matched(Matched { first_ns, last_ns, .. }) => (*first_ns, *last_ns),
        }
    }

    /// Whether the address may be forged: nothing shows that answers arrive there.
    #[must_use]
    pub fn is_spoofable(&self) -> bool {
        match self {
            Self::Listed(listed) => !listed.is_contact(),
            Self::Matched(matched) => matched.proto == Proto::Udp && !matched.outgoing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_answers_did_not_begin() {
        let asked = Listed { udp_inbound: 2, inbound: 2, ..Listed::default() };
        let answers = Listed { udp_begun: 1, outbound: 1, ..Listed::default() };
        let after = |parts: &[&Listed]| {
            let mut all = Listed::default();
            parts.iter().for_each(|part| all.merge(part));
            all
        };
        assert!(!after(&[&asked, &answers]).is_contact());
        assert!(after(&[&answers, &asked]).is_contact());
        assert!(after(&[&asked, &Listed { begun: 1, ..Listed::default() }]).is_contact());
        assert!(after(&[&Listed { completed: 1, ..Listed::default() }]).is_contact());
        assert_eq!(after(&[&asked, &answers]).packets(), 3);
    }

    #[test]
    fn hosts_are_counted_up_to_a_bound() {
        let mut hosts = Hosts::default();
        for last in [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] {
            hosts.add(IpAddr::from([192, 0, 2, last]));
        }
        assert_eq!((hosts.iter().count(), hosts.more, hosts.only()), (FIRST_DESTS, true, None));
        assert_eq!(hosts.summary().distinct, 9);
    }
}
