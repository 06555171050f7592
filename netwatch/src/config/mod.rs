//! What the program needs: once a [`Config`] exists, it is right.
//!
//! The command line wins over the file, the file over the profile, and the profile over the defaults, which stand
//! here and in the table of rules. Read it in this order: [`layer`] (what one place says), `value` (what it may
//! say), `file` (the configuration file), `rules` (what the rules are told), `signatures` (which are looked for),
//! `evidence` (which packets are kept), `web`, `history` and `outputs` (how alerts are served, kept and sent), `show` (the whole as text, and what a reload changes).

mod evidence;
mod file;
mod history;
pub mod layer;
mod outputs;
mod rules;
mod show;
mod signatures;
mod value;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::analysis::policy::{Allow, Counting, NOTIFICATIONS_PER_MINUTE, Prefix};
use crate::analysis::{Policy, Severity};
use crate::cli::{Format, LogLevel, PlaceArgs, Profile, RunArgs, SettingArgs, WatchMode};
use crate::feeds::FeedConfig;
use crate::feeds::limits::FEEDS_MAX;
use crate::kernel::ModeWish;
use crate::{guide, units};

pub use evidence::EvidenceSettings;
pub use history::HistorySettings;
use layer::{AllowEntry, Layer, Origin, Said, SignatureFile, first};
pub use outputs::{
    AlertmanagerTarget, FileTarget, OutputSettings, OutputTarget, SyslogAddress, SyslogTarget,
    SyslogTransport, UrlSource, WebhookTarget,
};
use rules::Layers;
pub use show::{Changes, Row};
pub use signatures::SignatureSettings;
pub use web::WebSettings;

/// Shortest slot. A swap waits for the kernel to let go of the maps, mostly 10 to 40 ms.
pub const SLOT_MIN: Duration = Duration::from_millis(100);
/// Longest slot: counters of a slot are 32 bits wide in the kernel.
pub const SLOT_MAX: Duration = Duration::from_secs(60);
/// Longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(3600);
/// Most slots in a window.
pub const SLOTS_MAX: usize = crate::analysis::limits::WINDOW_SLOTS_MAX;
/// Longest time for which netwatch can be told to run.
pub const STOP_AFTER_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Most interfaces watched at once.
pub const INTERFACES_MAX: usize = 64;
/// Most local networks.
pub const LOCAL_MAX: usize = 256;
/// Most entries of the allow-list: each is compared with each source that breaks a rule.
pub const ALLOW_MAX: usize = 1024;
/// Most tags of a feed.
pub const TAGS_MAX: usize = 16;
/// Most services that are declared.
pub const SERVICES_MAX: usize = 1024;
/// Shortest time for which services are learned.
pub const LEARN_MIN: Duration = Duration::from_secs(1);
/// Longest time for which services are learned.
pub const LEARN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Fewest and most notifications within a minute.
pub const NOTIFICATIONS: (u64, u64) = (1, 100_000);
/// Fewest and most leading bits of an IPv6 address that make a source.
pub const IPV6_PREFIX: (u64, u64) = (32, 128);

/// Fewest and most packets that are sampled for signatures within a second.
pub const SIGNATURE_RATE: (u64, u64) = (1, 1_000_000);

/// Leading bits of an IPv6 address that make a source unless configured otherwise: what one customer or one link
/// usually has.
const IPV6_PREFIX_DEFAULT: u8 = 64;
/// Memory for the maps of one interface, in bytes, unless configured otherwise.
const MAP_MEMORY: u64 = 128 << 20;
const WINDOW: Duration = Duration::from_secs(60);
const SLOT: Duration = Duration::from_secs(5);

/// A checked configuration of `netwatch run`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Interfaces by name, without repetition; none stands for that of the default route.
    pub interfaces: Vec<String>,
    /// How alerts are written.
    pub format: Format,
    /// Least severity that is printed.
    pub min_severity: Severity,
    /// How the program is attached.
    pub xdp_mode: ModeWish,
    /// Where netwatch stands, and so how replies are told from probes.
    pub mode: WatchMode,
    /// Leading bits of an IPv6 address that make a source.
    pub ipv6_prefix: u8,
    /// How often counts are read.
    pub slot: Duration,
    /// Slots in the window.
    pub slots: usize,
    /// Memory for the maps of one interface, in bytes.
    pub map_memory: u64,
    /// Which payload signatures are looked for.
    pub signatures: SignatureSettings,
    /// Which packets are kept; none where no directory is named.
    pub evidence: Option<EvidenceSettings>,
    /// How alerts are served over HTTP.
    pub web: WebSettings,
    /// How the history is kept.
    pub history: HistorySettings,
    /// Where alerts go besides stdout.
    pub outputs: Vec<OutputSettings>,
    /// Where what was learned is kept from one run to the next.
    pub state_dir: Option<PathBuf>,
    /// When to stop by itself.
    pub stop_after: Option<Duration>,
    /// What the kernel program logs.
    pub kernel_log: LogLevel,
    /// Feeds of addresses that are known to be bad.
    pub feeds: Vec<FeedConfig>,
    /// How the rules are applied, but for the allow-list.
    policy: Policy,
    allow: Vec<AllowEntry>,
    rows: Vec<Row>,
    /// Whether anybody said [`mode`](Self::mode).
    is_mode_said: bool,
    /// What was typed, to be combined with the file again.
    typed: (SettingArgs, PlaceArgs),
}

impl Config {
    /// Checks what the user typed, and the file that it names.
    ///
    /// # Errors
    ///
    /// A sentence that names the option, or the place in the file, and says what to do.
    pub fn from_args(args: &RunArgs) -> Result<Self, String> {
        let mut config = Self::from_settings(&args.settings, &args.place)?;
        config.kernel_log = args.kernel_log;
        if let Some(text) = &args.stop_after {
            let after = units::duration(text).map_err(|wrong| format!("--for: {wrong}"))?;
            if after.is_zero() || after > STOP_AFTER_MAX {
                return Err("--for: must be more than zero and at most a year".into());
            }
            config.stop_after = Some(after);
        }
        Ok(config)
    }

    /// Checks the settings that a file can have too.
    ///
    /// # Errors
    ///
    /// As of [`from_args`](Self::from_args).
    pub fn from_settings(typed: &SettingArgs, place: &PlaceArgs) -> Result<Self, String> {
        let file = match &typed.config {
            None => Layer::default(),
            Some(path) => file::read(path).map_err(|problems| one_line(path, &problems))?,
        };
        Self::build((typed, place), command_line(typed, place)?, file)
    }

    /// What is doubtful in a file that is right, one sentence each.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, one sentence each.
    pub fn check(path: &Path, now: Timestamp) -> Result<Vec<String>, Vec<String>> {
        let file = file::read(path)?;
        let doubts = file.allow.iter().filter_map(|said| layer::expired(said, now)).collect();
        let (settings, place) = (SettingArgs::default(), PlaceArgs::default());
        Self::build((&settings, &place), Layer::default(), file).map_err(|problem| vec![problem])?;
        Ok(doubts)
    }

    /// How far back a rule looks.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.slot * u32::try_from(self.slots).unwrap_or(u32::MAX)
    }

    /// How replies are told, if somebody said so.
    #[must_use]
    pub const fn mode_said(&self) -> Option<WatchMode> {
        if self.is_mode_said { Some(self.mode) } else { None }
    }

    /// Networks that somebody said are local.
    #[must_use]
    pub fn local(&self) -> &[Prefix] {
        &self.policy.local
    }

    /// How the rules are applied at a time: entries of the allow-list come to their end.
    #[must_use]
    pub fn policy_at(&self, now: Timestamp) -> Policy {
        let live = self.allow.iter().filter(|entry| entry.until.as_ref().is_none_or(|(_, end)| now < *end));
        let allow = live.map(|entry| Allow { prefix: entry.network.prefix, rule: entry.rule }).collect();
        Policy { allow, ..self.policy.clone() }
    }

    fn build(typed: (&SettingArgs, &PlaceArgs), line: Layer, file: Layer) -> Result<Self, String> {
        let profile = first([line.profile, file.profile], Profile::default());
        let literal = profile.value == Profile::Literal;
        let window = first([line.window, file.window], WINDOW);
        // A tumbling window, as far as the kernel's counters allow it.
        let tumbling =
            literal.then(|| Said { value: window.value.min(SLOT_MAX), origin: Origin::Profile("literal") });
        let slot = first([line.slot, file.slot, tumbling], SLOT);
        let slots = slots(&slot, &window)?;

        let mut rules = rules::resolve(Layers {
            line: line.rules,
            file: file.rules,
            is_literal: literal,
            window: window.value,
            slot: slot.value,
        })?;
        let interfaces = first([line.interfaces, file.interfaces], Vec::new());
        let map_memory = first([line.map_memory, file.map_memory], MAP_MEMORY);
        let xdp_mode = first([line.xdp_mode, file.xdp_mode], ModeWish::default());
        let mode = first([line.mode, file.mode], WatchMode::default());
        let ipv6_prefix = first([file.ipv6_prefix], IPV6_PREFIX_DEFAULT);
        let format = first([line.format, file.format], Format::default());
        let min_severity = first([line.min_severity, file.min_severity], Severity::Low);
        let notifications = first([file.notifications_per_minute], NOTIFICATIONS_PER_MINUTE);
        let local = first([line.local, file.local], Vec::new());
        let feeds = feeds(line.feeds, file.feeds)?;
        let state_dir = first([line.state_dir, file.state_dir], PathBuf::new());

        let (signatures, mut signature_rows) = signatures::resolve(line.signatures, file.signatures)?;
        let (evidence, mut evidence_rows) = evidence::resolve(line.evidence, file.evidence);

        let (web, mut web_rows) = web::resolve(line.web, file.web)?;
        let (history, mut history_rows) = history::resolve(line.history, file.history)?;
        let (outputs, mut output_rows) = outputs::resolve(line.outputs, file.outputs)?;

        let mut all = vec![
            show::choice("profile", &profile),
            show::strings("interfaces", &interfaces, |name| name),
            show::duration("window", &window),
            show::duration("slot", &slot),
            show::size("map_memory", &map_memory),
            show::choice("xdp_mode", &xdp_mode),
            show::choice("mode", &mode),
            show::number("ipv6_prefix", &ipv6_prefix),
            show::choice("format", &format),
            show::severity("min_severity", &min_severity),
            show::number("notifications_per_minute", &notifications),
            show::strings("local", &local, |network| &network.text),
            show::path("state_dir", &state_dir),
        ];
        all.append(&mut rules.rows);
        all.append(&mut signature_rows);
        all.append(&mut evidence_rows);
        all.append(&mut web_rows);
        all.append(&mut history_rows);
        all.append(&mut output_rows);
        all.extend(file.allow.iter().map(show::allow));
        all.extend(feeds.iter().map(show::feed));
        Ok(Self {
            interfaces: interfaces.value,
            format: format.value,
            min_severity: min_severity.value,
            xdp_mode: xdp_mode.value,
            is_mode_said: mode.origin.is_said(),
            mode: mode.value,
            ipv6_prefix: ipv6_prefix.value,
            slot: slot.value,
            slots,
            map_memory: map_memory.value,
            signatures,
            evidence,
            web,
            history,
            outputs,
            state_dir: Some(state_dir.value).filter(|path| !path.as_os_str().is_empty()),
            stop_after: None,
            kernel_log: LogLevel::Off,
            feeds: feeds.into_iter().map(|said| said.value).collect(),
            policy: Policy {
                rules: rules.policies,
                counting: if literal { Counting::Everything } else { Counting::Evidence },
                local: local.value.iter().map(|network| network.prefix).collect(),
                login_ports: rules.login_ports,
                expected: rules.expected,
                notifications_per_minute: notifications.value,
                ..Policy::default()
            },
            allow: file.allow.into_iter().map(|said| said.value).collect(),
            rows: all,
            typed: (typed.0.clone(), typed.1.clone()),
        })
    }
}

/// Feeds of the file, and then those that were typed; of the same name, the one that was typed.
fn feeds(typed: Vec<Said<FeedConfig>>, file: Vec<Said<FeedConfig>>) -> Result<Vec<Said<FeedConfig>>, String> {
    let is_typed = |feed: &Said<FeedConfig>| typed.iter().any(|other| other.value.name == feed.value.name);
    let mut feeds: Vec<_> = file.into_iter().filter(|feed| !is_typed(feed)).collect();
    feeds.extend(typed);
    if feeds.len() > FEEDS_MAX {
        return Err(format!(
            "--feed: at most {FEEDS_MAX} feeds, those of the file included, not {}",
            feeds.len()
        ));
    }
    Ok(feeds)
}

/// Checks names of interfaces and drops repetitions.
///
/// # Errors
///
/// A sentence that says which name no interface can have.
pub fn interfaces(names: &[String]) -> Result<Vec<String>, String> {
    let mut interfaces: Vec<String> = Vec::new();
    for name in names {
        let name = value::interface(name).map_err(|wrong| format!("--interface: {wrong}"))?;
        if !interfaces.contains(&name) {
            interfaces.push(name);
        }
    }
    if interfaces.len() > INTERFACES_MAX {
        return Err(format!("--interface: at most {INTERFACES_MAX} interfaces can be watched at once"));
    }
    Ok(interfaces)
}

/// Checks a size for the maps.
///
/// # Errors
///
/// A sentence that says what is wrong with it.
pub fn map_memory(text: &str) -> Result<u64, String> {
    value::map_memory(text).map_err(|wrong| format!("--map-memory: {wrong}"))
}

/// What was typed.
fn command_line(typed: &SettingArgs, place: &PlaceArgs) -> Result<Layer, String> {
    fn said<T>(value: T) -> Option<Said<T>> {
        Some(Said { value, origin: Origin::CommandLine })
    }
    let duration = |name: &str, text: &Option<String>| {
        let read = |text: &String| units::duration(text).map_err(|wrong| format!("{name}: {wrong}"));
        text.as_ref().map(read).transpose().map(|value| value.and_then(said))
    };
    let mut layer = Layer {
        profile: typed.profile.and_then(said),
        window: duration("--window", &typed.window)?,
        slot: duration("--slot", &typed.slot)?,
        map_memory: typed.map_memory.as_deref().map(map_memory).transpose()?.and_then(said),
        xdp_mode: place.xdp_mode.and_then(said),
        mode: typed.mode.and_then(said),
        format: typed.format.and_then(said),
        state_dir: place.state_dir.clone().and_then(said),
        min_severity: typed.min_severity.map(value::severity).and_then(said),
        ..Layer::default()
    };
    if !place.interfaces.is_empty() {
        layer.interfaces = said(interfaces(&place.interfaces)?);
    }
    layer.evidence.dir = place.evidence.clone().and_then(said);
    if let Some(text) = &place.listen {
        layer.web.listen = said(web::listen(text).map_err(|wrong| format!("--listen: {wrong}"))?);
    }
    if !typed.signatures.is_empty() {
        let file = |path: &PathBuf| SignatureFile { text: path.display().to_string(), path: path.clone() };
        layer.signatures.files = said(typed.signatures.iter().map(file).collect());
    }
    if !typed.local.is_empty() {
        let network = |text: &String| value::network(text).map_err(|wrong| format!("--local: {wrong}"));
        layer.local = said(typed.local.iter().map(network).collect::<Result<_, _>>()?);
        if typed.local.len() > LOCAL_MAX {
            return Err(format!("--local: at most {LOCAL_MAX} networks, not {}", typed.local.len()));
        }
    }
    for text in &typed.feeds {
        let value = value::feed(text).map_err(|wrong| format!("--feed: {wrong}"))?;
        if layer.feeds.iter().any(|feed| feed.value.name == value.name) {
            return Err(format!("--feed: there are two called {:?}", value.name));
        }
        layer.feeds.push(Said { value, origin: Origin::CommandLine });
    }
    for text in &place.outputs {
        let value = outputs::typed(text).map_err(|wrong| format!("--output: {wrong}"))?;
        layer.outputs.push(Said { value, origin: Origin::CommandLine });
    }
    for pair in &typed.thresholds {
        let option = |wrong| format!("--threshold: {wrong}");
        let Some((name, number)) = pair.split_once('=') else {
            return Err(option(format!("{pair:?} lacks a number; write it like scan.vertical=10")));
        };
        let rule = guide::find(name).map_err(option)?;
        layer.rules[rule as usize].threshold = said(value::threshold(number, rule.rule()).map_err(option)?);
    }
    Ok(layer)
}

/// How many slots make the window.
fn slots(slot: &Said<Duration>, window: &Said<Duration>) -> Result<usize, String> {
    let (slot_name, window_name) = (slot.origin.name("slot"), window.origin.name("window"));
    // Nobody can be blamed for what was not said.
    let blamed = if window.origin == Origin::Default { &slot_name } else { &window_name };
    let (slot, window) = (slot.value, window.value);
    if slot < SLOT_MIN || slot > SLOT_MAX {
        return Err(format!("{slot_name}: must be {SLOT_MIN:?} to {SLOT_MAX:?}, not {slot:?}"));
    }
    whole_slots(window, slot, &Names { window: &window_name, indivisible: blamed, many: &slot_name })
}

/// What to blame for a window: where it is too short or too long, no whole number of slots, or of too many.
struct Names<'a> {
    window: &'a str,
    indivisible: &'a str,
    many: &'a str,
}

/// How many slots make a window.
fn whole_slots(window: Duration, slot: Duration, names: &Names<'_>) -> Result<usize, String> {
    let Names { window: name, indivisible, many } = names;
    if window < slot || window > WINDOW_MAX {
        return Err(format!("{name}: must be a slot ({slot:?}) to {WINDOW_MAX:?}, not {window:?}"));
    }
    if !window.as_nanos().is_multiple_of(slot.as_nanos()) {
        return Err(format!("{indivisible}: {window:?} is not a whole number of slots of {slot:?}"));
    }
    let slots = usize::try_from(window.as_nanos() / slot.as_nanos()).unwrap_or(usize::MAX);
    if slots > SLOTS_MAX {
        return Err(format!(
            "{many}: {slots} slots in a window are more than {SLOTS_MAX}; lengthen the slot or shorten the window"
        ));
    }
    Ok(slots)
}

/// The first problem, and where to find the others.
fn one_line(path: &Path, problems: &[String]) -> String {
    let first = problems.first().map_or("", String::as_str);
    match problems.len() {
        0 | 1 => first.to_owned(),
        many => format!("{first} (and {} more: `netwatch config check {}`)", many - 1, path.display()),
    }
}

#[cfg(test)]
mod tests;
