//! What the program needs: once a [`Config`] exists, it is right.

use std::time::Duration;

use crate::analysis::{Policy, RuleId, Severity};
use crate::cli::{Format, LogLevel, MinSeverity, RunArgs};
use crate::kernel::{ModeWish, limits};
use crate::units;

/// Shortest slot. A swap waits for the kernel to let go of a map, some 10 ms, twice.
pub const SLOT_MIN: Duration = Duration::from_millis(100);
/// Longest slot: counters of a slot are 32 bits wide in the kernel.
pub const SLOT_MAX: Duration = Duration::from_secs(60);
/// Longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(3600);
/// Most slots in a window.
pub const SLOTS_MAX: usize = crate::analysis::limits::WINDOW_SLOTS_MAX;
/// Most interfaces watched at once.
pub const INTERFACES_MAX: usize = 64;

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
    pub mode: ModeWish,
    /// How often counts are read.
    pub slot: Duration,
    /// Slots in the window.
    pub slots: usize,
    /// How the rules are applied.
    pub policy: Policy,
    /// Memory for the maps of one interface, in bytes.
    pub map_memory: u64,
    /// When to stop by itself.
    pub stop_after: Option<Duration>,
    /// What the kernel program logs.
    pub kernel_log: LogLevel,
}

impl Config {
    /// Checks what the user typed.
    ///
    /// # Errors
    ///
    /// A sentence that names the option and says what to do.
    pub fn from_args(args: &RunArgs) -> Result<Self, String> {
        let option = |name: &'static str| move |wrong: String| format!("{name}: {wrong}");
        let slot = units::duration(&args.slot).map_err(option("--slot"))?;
        let window = units::duration(&args.window).map_err(option("--window"))?;
        let stop_after = args
            .stop_after
            .as_deref()
            .map(|text| units::duration(text).map_err(option("--for")))
            .transpose()?;
        if stop_after.is_some_and(|time| time.is_zero()) {
            return Err("--for: must be more than zero".into());
        }
        Ok(Self {
            interfaces: interfaces(&args.interfaces)?,
            format: args.format,
            min_severity: severity(args.min_severity),
            mode: args.xdp_mode,
            slot,
            slots: slots(slot, window)?,
            policy: policy(&args.thresholds)?,
            map_memory: map_memory(&args.map_memory)?,
            stop_after,
            kernel_log: args.kernel_log,
        })
    }

    /// How far back a rule looks.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.slot * u32::try_from(self.slots).unwrap_or(u32::MAX)
    }
}

/// Checks names of interfaces and drops repetitions.
///
/// # Errors
///
/// A sentence that says which name no interface can have.
pub fn interfaces(names: &[String]) -> Result<Vec<String>, String> {
    let mut interfaces: Vec<String> = Vec::new();
    for name in names {
        // What Linux' dev_valid_name() allows.
        let valid = !name.is_empty()
            && name.len() < 16
            && name != "."
            && name != ".."
            && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
        if !valid {
            return Err(format!("--interface: {name:?} cannot be the name of an interface"));
        }
        if !interfaces.contains(name) {
            interfaces.push(name.clone());
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
    let bytes = units::size(text).map_err(|wrong| format!("--map-memory: {wrong}"))?;
    if (limits::MIN_MAP_MEMORY..=limits::MAX_MAP_MEMORY).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!(
            "--map-memory: {text} is out of range; give {}M to {}G",
            limits::MIN_MAP_MEMORY >> 20,
            limits::MAX_MAP_MEMORY >> 30
        ))
    }
}

/// How many slots make a window.
fn slots(slot: Duration, window: Duration) -> Result<usize, String> {
    if slot < SLOT_MIN || slot > SLOT_MAX {
        return Err(format!("--slot: must be {SLOT_MIN:?} to {SLOT_MAX:?}, not {slot:?}"));
    }
    if window < slot || window > WINDOW_MAX {
        return Err(format!("--window: must be a slot ({slot:?}) to {WINDOW_MAX:?}, not {window:?}"));
    }
    if !window.as_millis().is_multiple_of(slot.as_millis()) {
        return Err(format!("--window: {window:?} is not a whole number of slots of {slot:?}"));
    }
    let slots = usize::try_from(window.as_millis() / slot.as_millis()).unwrap_or(usize::MAX);
    if slots > SLOTS_MAX {
        return Err(format!(
            "--slot: {slots} slots in a window are more than {SLOTS_MAX}; lengthen --slot or shorten --window"
        ));
    }
    Ok(slots)
}

/// Reads `rule=number` pairs.
fn policy(pairs: &[String]) -> Result<Policy, String> {
    let mut policy = Policy::default();
    for pair in pairs {
        let Some((name, number)) = pair.split_once('=') else {
            return Err(format!("--threshold: {pair:?} lacks a number; write it like scan.vertical=10"));
        };
        let Some(rule) = RuleId::ALL.into_iter().find(|rule| rule.name() == name) else {
            let names: Vec<_> = RuleId::ALL.iter().map(|rule| rule.name()).collect();
            return Err(format!("--threshold: no rule named {name:?}; there are {}", names.join(", ")));
        };
        match number.parse::<u64>() {
            Ok(number @ 1..=1_000_000_000_000) => policy.rules[rule as usize].threshold = number,
            _ => {
                return Err(format!(
                    "--threshold: {number:?} is no threshold for {name}; give a whole number from 1 on"
                ));
            }
        }
    }
    Ok(policy)
}

fn severity(min: MinSeverity) -> Severity {
    match min {
        MinSeverity::Info => Severity::Info,
        MinSeverity::Low => Severity::Low,
        MinSeverity::Medium => Severity::Medium,
        MinSeverity::High => Severity::High,
        MinSeverity::Critical => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(options: &str) -> Result<Config, String> {
        let arguments = ["netwatch", "run"].into_iter().chain(options.split_whitespace());
        match Cli::try_parse_from(arguments).map_err(|error| error.to_string())?.command {
            Command::Run(args) => Config::from_args(&args),
            _ => Err("not run".into()),
        }
    }

    #[test]
    fn defaults_are_the_contracts() {
        let config = parse("").unwrap();
        assert_eq!((config.slot, config.slots), (Duration::from_secs(5), 12));
        assert_eq!(config.window(), Duration::from_secs(60));
        assert_eq!(config.policy.of(RuleId::ScanVertical).threshold, 10);
        assert_eq!(config.policy.of(RuleId::DosUnsolicited).threshold, 100);
        assert_eq!(config.policy.of(RuleId::DosPackets).threshold, 100);
    }

    #[test]
    fn good_options_are_taken() {
        let config =
            parse("-i a -i b -i a --slot 60s --threshold scan.vertical=20 --map-memory 64M").unwrap();
        assert_eq!(config.interfaces, ["a", "b"]);
        assert_eq!(config.slots, 1);
        assert_eq!(config.policy.of(RuleId::ScanVertical).threshold, 20);
        assert_eq!(config.map_memory, 64 << 20);
    }

    #[test]
    fn bad_options_are_named() {
        for (options, says) in [
            ("--slot 0", "--slot: must be 100ms to 60s, not 0ns"),
            ("--slot 61s --window 61s", "--slot: must be"),
            ("--window 0", "--window: must be a slot (5s) to 3600s, not 0ns"),
            ("--window 2h", "--window: must be"),
            ("--window 7s", "--window: 7s is not a whole number of slots of 5s"),
            ("--slot 100ms", "--slot: 600 slots in a window are more than"),
            ("--slot soon", "--slot: \"soon\" is not a duration"),
            ("--for 0s", "--for: must be more than zero"),
            ("--threshold scan.vertical", "--threshold: \"scan.vertical\" lacks a number"),
            ("--threshold scan.diagonal=3", "--threshold: no rule named \"scan.diagonal\"; there are"),
            ("--threshold dos.packets=0", "--threshold: \"0\" is no threshold for dos.packets"),
            ("--threshold dos.packets=-1", "--threshold: \"-1\" is no threshold"),
            ("--threshold dos.packets=many", "--threshold: \"many\" is no threshold"),
            ("--map-memory 1K", "--map-memory: 1K is out of range"),
            ("--map-memory huge", "--map-memory: \"huge\" is not a size"),
            ("-i ../etc", "--interface: \"../etc\" cannot be the name"),
            ("-i an-interface-with-a-long-name", "cannot be the name"),
        ] {
            let error = parse(options).unwrap_err();
            assert!(error.contains(says), "{options}: {error}");
        }
    }
}
