//! One incident, as it is kept, served and sent. Its names are those of `alert.context` in EVE, where both have a field.

use core::net::IpAddr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;

/// An incident as of its last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Incident {
    /// Its name: the same in all its steps, and after a restart.
    pub id: String,
    /// The rule that was broken, like `scan.vertical`.
    pub rule: String,
    /// The highest severity so far: `info`, `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// How much it weighs where it is decided who is told, by the same names; `info` is recorded only.
    pub weight: String,
    /// Whether it goes on.
    pub state: Life,
    /// Why it ended: `quiet`, `shutdown`, `allowed` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<String>,
    /// The interface on which it was seen.
    pub interface: String,
    /// The source as it is accounted: an address, or a network like `2001:db8::/64`. None where the rule is about a
    /// destination, or about netwatch itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where the packets came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub src_ip: Option<IpAddr>,
    /// From which port, where that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// Where they went, where that is one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dest_ip: Option<IpAddr>,
    /// To which port, where that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// `TCP` or `UDP`, where it is about one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
    /// When the threshold was crossed.
    pub opened_at: Time,
    /// When it was told of last.
    pub updated_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
    /// When the first of its packets came.
    pub first_seen: Time,
    /// When the last one came, as of the last step.
    pub last_seen: Time,
    /// What the window held at the last step, in `unit`s.
    pub observed: u64,
    /// The most that a window held.
    pub peak: u64,
    /// What is tolerated.
    pub threshold: u64,
    /// What is counted.
    pub unit: String,
    /// Length of the window, in seconds.
    pub window_s: f64,
    /// The lowest ports that were tried.
    pub first_ports: Vec<u16>,
    /// How many destinations were tried, where that matters.
    pub destinations: u64,
    /// The first of them.
    #[schema(value_type = Vec<String>)]
    pub first_destinations: Vec<IpAddr>,
    /// How many sources took part, where the rule is about a destination.
    pub sources: u64,
    /// How ports were probed, like `syn`.
    pub techniques: Vec<String>,
    /// Packets by class, in the window, or of an incident that ended during all of it.
    pub evidence: BTreeMap<String, u64>,
    /// Packets during the incident.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Whether the source may be forged: no handshake was completed.
    pub spoofable: bool,
    /// Whether something that should have been counted was not.
    pub degraded: bool,
    /// How replies were told from probes: `flows` or `flags`.
    pub confidence: String,
    /// How often it was held back since its last close.
    pub suppressed: u64,
    /// The technique in MITRE ATT&CK; empty where there is none.
    pub attack_id: String,
    /// Where the rule is explained.
    pub reference: String,
    /// Where packets of the source are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_file: Option<String>,
    /// Which feed or signature it is about, and what is known of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub detail: Option<serde_json::Value>,
    /// What happened, as a sentence for people, without anything that a terminal would obey.
    pub text: String,
    /// When somebody said that they look after it. This and what follows is filled in by the history alone, and no output ever
    /// has it: it silences nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Time>,
    /// The highest severity so far, as it was then: one that has risen since was not what they saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_severity: Option<String>,
    /// What they noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_note: Option<String>,
}

impl Incident {
    /// Whether it has become worse since somebody acknowledged it.
    #[must_use]
    pub fn has_risen(&self) -> bool {
        self.acknowledged_severity.as_deref().is_some_and(|before| before != self.severity)
    }
}

/// Whether an incident goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It does.
    Open,
    /// It is over.
    Closed,
}

impl Life {
    /// The lower-case name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}
