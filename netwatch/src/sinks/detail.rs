//! What is said of a listed address, or of a signature that matched.

use core::fmt::{self, Display, Formatter};
use core::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::eve::address;
use super::words::{Bytes, Count, Duration, Port, Printable, Source, Window};
use crate::analysis::detail::{Hosts, Listed, Matched};
use crate::analysis::{CloseReason, Detail, State, Transition};

/// Hosts that a line lists; more are in the JSON.
const HOSTS: usize = 4;

/// What happened, for people.
pub(super) fn line(f: &mut Formatter<'_>, t: &Transition, detail: &Detail) -> fmt::Result {
    if let Some(peer) = t.source {
        write!(f, "{}", Source(peer))?;
    }
    match (detail, t.state) {
        (Detail::Listed(listed), State::Open | State::Update) => {
            f.write_str(" is listed")?;
            listing(f, listed)?;
            contact(f, listed)?;
            write!(f, " {} on {}", Window(t), Printable(&t.interface))
        }
        (Detail::Listed(listed), State::Close(reason)) => {
            write!(f, " {}; listed", ended(reason))?;
            listing(f, listed)?;
            contact(f, listed)?;
            let length = Duration(t.last_ns.saturating_sub(t.first_ns));
            write!(f, " on {}; {} in {length}", Printable(&t.interface), Bytes(listed.bytes))
        }
        (Detail::Matched(matched), State::Open | State::Update) => {
            sent(f, matched)?;
            let to = SocketAddr::new(matched.dest, matched.dest_port);
            let (proto, from) = (matched.proto.name(), matched.source_port);
            write!(f, " to {to} from {proto} port {from} on {}", Printable(&t.interface))?;
            if t.observed > 1 {
                write!(f, ", {} of {} {}", Count(t.observed, "flow"), Hosts4(&matched.dests), Window(t))?;
            }
            write!(f, ": \"{}\"", matched.excerpt.escape_ascii())
        }
        (Detail::Matched(matched), State::Close(reason)) => {
            write!(f, " {}:", ended(reason))?;
            sent(f, matched)?;
            let flows = Count(matched.flows, "flow");
            write!(f, " in {flows} to {} on {}", Hosts4(&matched.dests), Printable(&t.interface))
        }
    }
}

const fn ended(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Quiet => "is quiet",
        CloseReason::Shutdown => "was active at the end",
        CloseReason::Allowed => "is allowed now",
        CloseReason::Disabled => "was active when the rule was switched off",
    }
}

fn listing(f: &mut Formatter<'_>, listed: &Listed) -> fmt::Result {
    let listing = &listed.listing;
    write!(f, " by {} as {}", Printable(&listing.feed), Printable(&listing.entry))?;
    if !listing.comment.is_empty() {
        write!(f, " ({})", Printable(&listing.comment))?;
    }
    Ok(())
}

/// Who talked to whom.
fn contact(f: &mut Formatter<'_>, listed: &Listed) -> fmt::Result {
    let hosts = Hosts4(&listed.hosts);
    match (listed.contacted, listed.completed) {
        (true, _) => write!(f, "; {hosts} began to talk to it")?,
        (false, 0) if listed.inbound == 0 => write!(f, "; {hosts} sent to it")?,
        (false, 0) => write!(f, "; it knocked at {hosts}")?,
        (false, completed) => write!(f, "; it completed {} with {hosts}", Count(completed, "handshake"))?,
    }
    if let Some((proto, number)) = listed.service {
        write!(f, " on {}", Port { number, proto: Some(proto) })?;
    }
    write!(f, "; {} in, {} out", listed.inbound, listed.outbound)
}

fn sent(f: &mut Formatter<'_>, matched: &Matched) -> fmt::Result {
    let signature = &matched.signature;
    write!(f, " sent what matches {} ({})", Printable(&signature.id), Printable(&signature.name))
}

/// A few hosts.
struct Hosts4<'a>(&'a Hosts);

impl Display for Hosts4<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lead = "";
        for host in self.0.iter().take(HOSTS) {
            write!(f, "{lead}{host}")?;
            lead = ", ";
        }
        if self.0.more || self.0.iter().count() > HOSTS { f.write_str(" …") } else { Ok(()) }
    }
}

/// What the context of an alert says of it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Context<'a> {
    Listed {
        direction: &'static str,
        feed: &'a str,
        entry: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        comment: &'a str,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        tags: &'a [Box<str>],
        inbound_packets: u64,
        outbound_packets: u64,
        handshakes: u64,
        contacted: bool,
        hosts: Vec<IpAddr>,
    },
    Matched {
        direction: &'static str,
        signature_id: &'a str,
        signature_name: &'a str,
        signature_reference: &'a str,
        /// Printable ASCII; all else is escaped as in a byte string.
        excerpt: String,
        flows: u64,
        hosts: Vec<IpAddr>,
    },
}

impl<'a> Context<'a> {
    pub(super) fn of(detail: &'a Detail) -> Self {
        match detail {
            Detail::Listed(listed) => Self::Listed {
                direction: match (listed.inbound, listed.outbound) {
                    (_, 0) => "inbound",
                    (0, _) => "outbound",
                    _ => "both",
                },
                feed: &listed.listing.feed,
                entry: &listed.listing.entry,
                comment: &listed.listing.comment,
                tags: &listed.listing.tags,
                inbound_packets: listed.inbound,
                outbound_packets: listed.outbound,
                handshakes: listed.completed,
                contacted: listed.contacted,
                hosts: listed.hosts.iter().collect(),
            },
            Detail::Matched(matched) => Self::Matched {
                direction: if matched.outgoing { "outbound" } else { "inbound" },
                signature_id: &matched.signature.id,
                signature_name: &matched.signature.name,
                signature_reference: &matched.signature.reference,
                excerpt: matched.excerpt.escape_ascii().to_string(),
                flows: matched.flows,
                hosts: matched.dests.iter().collect(),
            },
        }
    }
}

/// Source and destination of an alert, as readers of EVE expect them: with addresses and ports.
pub(super) struct Ends {
    pub(super) source: Option<IpAddr>,
    pub(super) source_port: Option<u16>,
    pub(super) dest: Option<IpAddr>,
    pub(super) dest_port: Option<u16>,
}

impl Ends {
    pub(super) fn of(t: &Transition) -> Self {
        let counted =
            Self { source: t.source.map(address), source_port: None, dest: t.dest, dest_port: t.port };
        match t.detail.as_deref() {
            None => counted,
            Some(Detail::Listed(listed)) => {
                let (remote, host) = (counted.source, listed.hosts.iter().next());
                let port = listed.service.map(|(_, port)| port);
                if listed.contacted || listed.inbound == 0 {
                    Self { source: host, dest: remote, dest_port: port, ..counted }
                } else {
                    Self { dest: listed.hosts.only(), dest_port: port, ..counted }
                }
            }
            Some(Detail::Matched(matched)) => Self {
                source_port: Some(matched.source_port),
                dest: Some(matched.dest),
                dest_port: Some(matched.dest_port),
                ..counted
            },
        }
    }
}
