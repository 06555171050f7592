//! What one place says about settings, and which place wins.

use core::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::analysis::policy::Prefix;
use crate::analysis::{RuleId, Severity};
use crate::cli::{Format, Profile};
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
    pub format: Option<Said<Format>>,
    pub min_severity: Option<Said<Severity>>,
    pub local: Option<Said<Vec<Network>>>,
    pub rules: [RuleLayer; RuleId::COUNT],
    pub allow: Vec<Said<AllowEntry>>,
}

/// What one place says about one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleLayer {
    pub threshold: Option<Said<u64>>,
    /// Within: `None` where the rule shall grade by itself.
    pub severity: Option<Said<Option<Severity>>>,
    pub notify: Option<Said<bool>>,
    pub enabled: Option<Said<bool>>,
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
    /// Whose packets.
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

impl Origin {
    /// How a message calls a setting from here: `--slot`, `netwatch.toml:3:1: slot`, `slot`.
    pub(super) fn name(&self, key: &str) -> String {
        match self {
            Self::CommandLine => format!("--{}", key.replace('_', "-")),
            Self::File(path, line, column) => format!("{path}:{line}:{column}: {key}"),
            Self::Default | Self::Profile(_) => key.to_owned(),
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File(path, line, _) => write!(f, "{path}:{line}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
