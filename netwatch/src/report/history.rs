//! What was: questions about incidents and windows that are over, and who answers them.

use core::net::IpAddr;
use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Incident, Life, Time};
use crate::analysis::Severity;

/// Most items of an answer.
pub const PAGE_MAX: usize = 1_000;
/// Most letters of a note.
pub const NOTE_MAX: usize = 200;
/// Incidents in which words are looked for: the newest. They lie in documents, which takes time to look through.
pub const SEARCHED: u32 = 20_000;

/// Who knows what was. Answers come from another thread; nobody waits for the disk.
pub trait History: Send + Sync {
    /// Incidents, as of their last step.
    fn incidents(&self, query: IncidentQuery) -> BoxFuture<'static, Result<Page<Incident>, HistoryError>>;

    /// One incident by its name.
    fn incident(&self, id: String) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>>;

    /// Summaries of windows, the newest first.
    fn windows(&self, query: WindowQuery) -> BoxFuture<'static, Result<Page<WindowSummary>, HistoryError>>;

    /// Notes that somebody looks after an incident, or with `None` that nobody does any more. The incident as it is then; none
    /// where there is none of this name. It is kept as surely as a step is.
    fn acknowledge(
        &self,
        id: String,
        ack: Option<Ack>,
    ) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        let _ = (id, ack);
        Box::pin(async { Err(HistoryError::Failed("this one is only read".into())) })
    }
}

/// That somebody looks after an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Since when.
    pub at: Time,
    /// What they note, as [`note`] has it.
    pub note: Option<String>,
}

/// A note as it is kept: in one line, without anything that a terminal would obey; none where nothing is left.
///
/// # Errors
///
/// It is longer than [`NOTE_MAX`] letters.
pub fn note(text: &str) -> Result<Option<String>, String> {
    let line: String = text.chars().map(|letter| if is_odd(letter) { ' ' } else { letter }).collect();
    let line = line.trim();
    let length = line.chars().count();
    if length > NOTE_MAX {
        return Err(format!("note: it has {length} letters; give {NOTE_MAX} at most"));
    }
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

/// Whether a letter does something to what stands around it.
fn is_odd(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Addresses that begin alike; with all bits, one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// One of them.
    pub addr: IpAddr,
    /// How many leading bits they have in common.
    pub bits: u8,
}

impl Network {
    /// Whether it is one address.
    #[must_use]
    pub const fn is_one(self) -> bool {
        self.bits >= if self.addr.is_ipv4() { 32 } else { 128 }
    }

    /// The first of them.
    #[must_use]
    pub fn first(self) -> IpAddr {
        let bits = u32::from(self.bits);
        match self.addr {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        }
    }

    /// Reads `192.0.2.1`, `2001:db8::/64` and the like.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (addr, bits) = text.split_once('/').map_or((text, None), |(addr, bits)| (addr, Some(bits)));
        let addr: IpAddr = addr.parse().ok()?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let is_plain = |bits: &&str| bits.bytes().all(|digit| digit.is_ascii_digit());
        match bits {
            None => {
                // One of IPv4 that is written as IPv6 is taken for what it is.
                let addr = addr.to_canonical();
                Some(Self { addr, bits: if addr.is_ipv4() { 32 } else { 128 } })
            }
            Some(bits) => {
                let bits = Some(bits).filter(is_plain)?.parse().ok().filter(|bits| *bits <= most)?;
                Some(Self { addr, bits })
            }
        }
    }
}

/// Which incidents are wanted. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IncidentQuery {
    /// Updated at this time or later.
    pub since: Option<Time>,
    /// Updated before this time.
    pub until: Option<Time>,
    /// Of this rule.
    pub rule: Option<String>,
    /// At least this severe.
    pub min_severity: Option<Severity>,
    /// At least of this weight.
    pub min_weight: Option<Severity>,
    /// Whose source is this address, or a network with this address in it.
    pub source: Option<IpAddr>,
    /// With this destination.
    pub dest: Option<IpAddr>,
    /// On this interface.
    pub interface: Option<String>,
    /// That go on, or that are over.
    pub state: Option<Life>,
    /// Whose source or destination is one of these, or whose source is a network with them in it.
    pub near: Option<Network>,
    /// In whose sentence all of these are, whatever their case; of the newest [`SEARCHED`].
    pub words: Vec<String>,
    /// That somebody looks after, or that nobody does.
    pub acknowledged: Option<bool>,
    /// In which order; where they are cut off, [`Page::next`] says how to go on.
    pub order: Order,
    /// Where to go on: [`Page::next`] of the page before.
    pub cursor: Option<u64>,
    /// How many at most; at most [`PAGE_MAX`].
    pub limit: usize,
}

/// In which order incidents come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Those that were opened last first.
    #[default]
    Newest,
    /// Those first that somebody should look at: that go on and are not acknowledged; then those that go on; and of either the
    /// most severe first.
    Worst,
    /// Those first whose last step is oldest; with a cursor, only those with a step since then. So that whoever asks again and
    /// again sees every incident that has changed.
    Changed,
}

/// Which windows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WindowQuery {
    /// That ended at this time or later.
    pub since: Option<Time>,
    /// That ended before this time.
    pub until: Option<Time>,
    /// On this interface.
    pub interface: Option<String>,
    /// Those in which this address was among the busiest; of sources, only this one is then in the answer.
    pub source: Option<IpAddr>,
    /// Where to go on.
    pub cursor: Option<u64>,
    /// How many at most; at most [`PAGE_MAX`].
    pub limit: usize,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What was asked for.
    pub items: Vec<T>,
    /// Where to go on. Of incidents in the order of their changes it is always there, so that one can wait for more.
    pub next: Option<u64>,
}

/// What one interface saw in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WindowSummary {
    /// When the window ended.
    pub at: Time,
    /// How long it was, in seconds.
    pub length_s: f64,
    /// The interface.
    pub interface: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets by class.
    pub classes: BTreeMap<String, u64>,
    /// Counts that found no room, and packets that nobody's name is known of.
    pub lost: u64,
    /// The busiest sources, by packets.
    pub sources: Vec<SourceSummary>,
    /// The busiest destination ports of the last slot, by packets.
    pub ports: Vec<PortSummary>,
}

/// A busy source in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceSummary {
    /// The address, or the network that it is accounted with.
    pub source: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets by class.
    pub classes: BTreeMap<String, u64>,
}

/// A busy port in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PortSummary {
    /// `tcp` or `udp`.
    pub proto: String,
    /// The destination port.
    pub port: u16,
    /// Packets to it.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Too many are being answered already.
    #[error("too many questions at once; ask again")]
    Busy,
    /// The history cannot be read.
    #[error("read the history: {0}")]
    Failed(String),
}
