//! What can be asked at any moment, from any thread, besides what the loop publishes: counts between two slots, and packets.

use core::net::IpAddr;
use std::sync::Arc;

use netwatch_common::Totals;
use serde::Serialize;
use tokio::sync::broadcast;

use super::Time;
use crate::analysis::Severity;

/// Who reads what interfaces have counted. Reading costs a system call for each of them and disturbs nobody.
pub trait Meter: Send + Sync {
    /// What they have counted until now.
    fn read(&self) -> Reading;
}

/// What interfaces have counted until a moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When that is.
    pub at: Time,
    /// The same in monotonic nanoseconds: clocks of people are set.
    pub at_ns: u64,
    /// By name, in the order of the configuration; without those that could not be read.
    pub interfaces: Vec<(Arc<str>, Totals)>,
}

/// Who shows packets as they pass, to as many as want them: a few each second, since nobody reads more.
pub trait Packets: Send + Sync {
    /// Follows them. They are looked at as long as anybody follows.
    ///
    /// # Errors
    ///
    /// Why there are none to see, as a sentence.
    fn follow(&self) -> Result<broadcast::Receiver<Arc<Passed>>, String>;

    /// Why there were none to see at the last try, as a sentence; none where there were.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Looks at none any more, and waits until nothing of that is left, but not for long.
    fn stop(&self) {}
}

/// Who knows which feeds list an address. Feeds are replaced meanwhile; nobody waits for that.
pub trait Listed: Send + Sync {
    /// Feeds in use that list it, each with its narrowest entry.
    fn find(&self, addr: IpAddr) -> Vec<ListedBy>;
}

/// A feed that lists an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBy {
    /// Its name.
    pub feed: String,
    /// The entry.
    pub entry: String,
    /// How severe the feed says it is; else that depends on who talks to whom.
    pub severity: Option<Severity>,
    /// What the feed says of it.
    pub comment: String,
}

/// A packet that passed. What of it comes from the wire holds nothing that a terminal would obey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Passed {
    /// When.
    pub at: Time,
    /// The interface.
    pub interface: String,
    /// `in` or `out`, seen from the host.
    pub direction: &'static str,
    /// What it is taken for: the name of its class.
    pub class: &'static str,
    /// Where it came from, where it has IP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<IpAddr>,
    /// Where it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dest: Option<IpAddr>,
    /// Its bytes on the wire.
    pub bytes: u32,
    /// It in one line, as `netwatch watch` has it.
    pub text: String,
}
