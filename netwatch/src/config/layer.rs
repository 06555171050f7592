//! What one place says about settings, and which place wins.

use core::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::history::HistoryLayer;
use super::outputs::OutputSettings;
use super::web::WebLayer;
use crate::analysis::expected::ServiceRange;
use crate::analysis::policy::{LoginPorts, Prefix};
use crate::analysis::rules::PARAMS_MAX;
use crate::analysis::{RuleId, Severity};
use crate::cli::{Format, Profile, WatchMode};
use crate::feeds::FeedConfig;
use crate::kernel::ModeWish;

/// What the command line or a file says. What it says nothing about is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub profile: Option<Said<Profile>>,
    pub interfaces: Option<Said<Vec<String>>>,
    pub window: Option<Said<Duration>>,
    pub slot: Option<Said<Duration>>,
    pub map_memory: Option<Said<u64>>,
    pub xdp_mode: Option<Said<ModeWish>>,
    pub mode: Option<Said<WatchMode>>,
    pub ipv6_prefix: Option<Said<u8>>,
    pub format: Option<Said<Format>>,
    pub min_severity: Option<Said<Severity>>,
    pub notifications_per_minute: Option<Said<u64>>,
    pub local: Option<Said<Vec<Network>>>,
    /// Empty where nothing is to be kept.
    pub state_dir: Option<Said<PathBuf>>,
    pub rules: [RuleLayer; RuleId::COUNT],
    pub signatures: SignatureLayer,
    pub evidence: EvidenceLayer,
    pub web: WebLayer,
    pub history: HistoryLayer,
    pub outputs: Vec<Said<OutputSettings>>,
    pub allow: Vec<Said<AllowEntry>>,
    pub feeds: Vec<Said<FeedConfig>>,
}

/// What one place says about payload signatures.
#[derive(Clone, Debug, Default)]
pub(super) struct SignatureLayer {
    pub enabled: Option<Said<bool>>,
    pub files: Option<Said<Vec<SignatureFile>>>,
    pub starter: Option<Said<bool>>,
    pub rate: Option<Said<u32>>,
    pub disable: Option<Said<Vec<String>>>,
    pub severity: Option<Said<Vec<(String, Severity)>>>,
}

/// What one place says about evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct EvidenceLayer {
    /// Empty where nothing is to be kept.
    pub dir: Option<Said<PathBuf>>,
    pub packets: Option<Said<u32>>,
    pub max_bytes: Option<Said<u64>>,
    pub max_files: Option<Said<usize>>,
    pub max_age: Option<Said<Duration>>,
    pub min_severity: Option<Said<Severity>>,
}

/// A file of signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignatureFile {
    /// As it was written.
    pub text: String,
    /// Where it is: what the configuration file names is looked for beside it.
    pub path: PathBuf,
}

/// What one place says about one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleLayer {
    pub threshold: Option<Said<u64>>,
    /// Within: `None` where the rule shall grade by itself.
    pub severity: Option<Said<Option<Severity>>>,
    pub notify: Option<Said<bool>>,
    pub enabled: Option<Said<bool>>,
    pub window: Option<Said<Duration>>,
    /// In the order of [`Rule::params`](crate::analysis::rules::Rule::params).
    pub params: [Option<Said<u64>>; PARAMS_MAX],
    /// Of `port.hammer`.
    pub ports: Option<Said<LoginPorts>>,
    /// Of `port.unusual`.
    pub services: Option<Said<Vec<ServiceRange>>>,
    /// Of `port.unusual`; zero where nothing is learned.
    pub learn: Option<Said<Duration>>,
}

/// A value, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said<T> {
    pub value: T,
    pub origin: Origin,
}

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// Nobody: a rule has the window of all rules.
    RootWindow,
    /// The profile, by its name.
    Profile(&'static str),
    /// A place in the file: line and column, from 1 on.
    File(Arc<str>, usize, usize),
    /// An option.
    CommandLine,
}

/// A network as it was written, and as it is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Address and length, like `192.0.2.0/24`.
    pub text: String,
    /// What it contains.
    pub prefix: Prefix,
}

/// An entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowEntry {
    /// Whose packets; for rules about a destination, packets to whom.
    pub network: Network,
    /// Which rule they may break; any where none is named.
    pub rule: Option<RuleId>,
    /// As it was written, and when it ends.
    pub until: Option<(String, Timestamp)>,
    /// Why it is there.
    pub comment: Option<String>,
}

/// The first of several places that says something; the default where none does.
pub(super) fn first<T, const N: usize>(places: [Option<Said<T>>; N], default: T) -> Said<T> {
    places.into_iter().flatten().next().unwrap_or(Said { value: default, origin: Origin::Default })
}

/// What there is to say about an entry that allows nothing any more.
pub(super) fn expired(said: &Said<AllowEntry>, now: Timestamp) -> Option<String> {
    let AllowEntry { network, until, .. } = &said.value;
    let (text, _) = until.as_ref().filter(|(_, end)| *end <= now)?;
    Some(format!(
        "{}: {} ended with {text} and allows nothing any more",
        said.origin.name("allow"),
        network.text
    ))
}

impl Origin {
    /// Whether anybody said the value, or a profile.
    pub(super) fn is_said(&self) -> bool {
        !matches!(self, Self::Default | Self::RootWindow)
    }

    /// How a message calls a setting from here: `--slot`, `netwatch.toml:3:1: slot`, `slot`.
    pub(super) fn name(&self, key: &str) -> String {
        match self {
            Self::CommandLine => format!("--{}", key.replace('_', "-")),
            Self::File(path, line, column) => format!("{path}:{line}:{column}: {key}"),
            Self::Default | Self::RootWindow | Self::Profile(_) => key.to_owned(),
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::RootWindow => f.write_str("as window above"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File(path, line, _) => write!(f, "{path}:{line}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
