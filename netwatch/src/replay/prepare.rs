//! What a replay is told before the first packet counts: which side is ours, how replies are told, what counts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use netwatch_common::{Control, PortHash, Settings, parse};
use tracing::{info, warn};

use super::direction::{Guess, Looker};
use super::engine::Engine;
use super::looks::{Looks, Place};
use super::player::{Observe, Player, Setup};
use crate::analysis::policy::Prefix;
use crate::analysis::{self, Confidence, Policy};
use crate::capture::Captures;
use crate::cli::{EngineWish, WatchMode};
use crate::clock;
use crate::config::Config;
use crate::exit::Usage;
use crate::feeds;
use crate::kernel::{Capacity, Options, host};
use crate::kernel::{limits, tables};

/// Bytes of the packets that are looked at to guess which side is ours.
const LOOKED_AT: usize = 8 << 20;

/// How long they are waited for where they come through a pipe.
const PATIENCE: Duration = Duration::from_secs(1);

/// On how many CPUs the maps that a replay has the room of would take the memory that is asked for: the same room
/// everywhere, so that a capture comes to the same on every machine.
const CPUS: u64 = 2;

/// Memory for the kernel's maps, in bytes, beyond which nobody uses the kernel without being told to: on many CPUs its
/// maps take many times what is asked for.
const MOST_UNASKED: u64 = 1 << 30;

/// What is known before the first packet counts.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// How replies are told.
    pub mode: WatchMode,
    /// Networks that are ours; none where that is not known.
    pub local: Vec<Prefix>,
    /// Where they are a guess, or it is one that there are none: why.
    pub guessed: Option<String>,
    /// When the first packet came, in nanoseconds since the epoch; none where there is none.
    pub first_at_ns: Option<i64>,
    /// What stands for the interface in alerts.
    pub name: String,
}

impl Prepared {
    /// Looks at the first packets of captures.
    ///
    /// # Errors
    ///
    /// The mode needs to know which side is ours, and nothing tells.
    pub fn look(config: &Config, captures: &mut Captures, files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut looker = Looker::new();
        let mut first_at_ns = None;
        let is_pipe = captures.position().1.is_none();
        let begun = Instant::now();
        captures.look_ahead(LOOKED_AT, |packet| {
            first_at_ns = first_at_ns.or(Some(packet.at_ns));
            if let Ok(parsed) = parse(packet.frame, &Settings::DEFAULT) {
                looker.packet(&parsed, packet.direction);
            }
            // What happens now is not kept waiting for what may tell more.
            !(looker.is_done() || is_pipe && begun.elapsed() >= PATIENCE)
        });
        let Guess { local: guess, why, one_sided, .. } = looker.guess();
        let mode = config.mode_said().unwrap_or(if one_sided { WatchMode::Flags } else { WatchMode::Mirror });
        let said = config.local();
        let (local, guessed) = match said.is_empty() {
            true => (guess, Some(why)),
            false => (said.to_vec(), None),
        };
        if mode == WatchMode::Host && local.is_empty() && first_at_ns.is_some() {
            let problem = "--mode host: which packets the host sent is not known; name its address with --local, or \
                           take both directions alike with --mode mirror";
            return Err(Usage(problem.into()).into());
        }
        match mode {
            WatchMode::Flags if config.mode_said().is_none() => warn!(
                "few connections in this capture have both directions, so answers are told from probes by their flags; \
                 `--mode mirror` does it by what was asked"
            ),
            WatchMode::Mirror if one_sided => warn!(
                "few connections in this capture have both directions: answers may look like probes; \
                 `--mode flags` tells them by their flags"
            ),
            _ => {}
        }
        Ok(Self { mode, local, guessed, first_at_ns, name: name(files) })
    }

    /// Says what was guessed.
    pub fn announce(&self) {
        if let Some(why) = &self.guessed {
            info!("{why}");
        }
    }

    /// A player of these captures. Must be called on the thread that plays.
    ///
    /// # Errors
    ///
    /// The kernel refused its programs, and they were asked for.
    pub fn player<O: Observe>(
        &self,
        config: &Config,
        wish: EngineWish,
        policy: impl Fn(Policy) -> Policy + Send + 'static,
        observer: O,
    ) -> anyhow::Result<Player<O>> {
        let local = self.local.clone();
        let of_config = config.clone();
        let policy_at =
            Box::new(move |now| policy(Policy { local: local.clone(), ..of_config.policy_at(now) }));
        let (replies, confidence) = match self.mode {
            WatchMode::Mirror => (Control::REPLIES_MIRRORED, Confidence::Flows),
            WatchMode::Host => (Control::REPLIES_BY_FLOWS, Confidence::Flows),
            WatchMode::Flags => (Control::REPLIES_BY_FLAGS, Confidence::Flags),
        };
        let options = options(config);
        let first_at_ns = self.first_at_ns.unwrap_or(0);
        let place = Place {
            settings: options.settings,
            both_ways: self.mode != WatchMode::Host,
            pairs: options.listed,
        };
        let first_at = Timestamp::from_nanosecond(first_at_ns.into()).unwrap_or_default();
        // What a feed says is looked at before the kernel is asked for anything: it may be wrong.
        let looks = Looks::start(config, self.never(), first_at, place)?;
        let setup = Setup {
            engine: engine(config, &options, wish, replies)?,
            looks,
            analysis: analysis::Options {
                window_slots: config.slots,
                slot_ns: u64::try_from(config.slot.as_nanos()).unwrap_or(u64::MAX),
                ipv6_bits: config.ipv6_prefix,
                one_cpu: true,
                // A recording does not answer, and its replay tells the same each time.
                port_hash: PortHash::default(),
                policy: policy_at(clock::now()),
            },
            name: self.name.clone(),
            confidence,
            sends: if self.mode == WatchMode::Host { self.local.clone() } else { Vec::new() },
            first_at_ns,
            policy_at,
        };
        Ok(Player::new(setup, observer)?)
    }

    /// Networks that feeds never list: our own.
    fn never(&self) -> Vec<feeds::Prefix> {
        let prefix = |network: &Prefix| {
            let (first, bits) = network.parts();
            feeds::Prefix { first, bits }
        };
        self.local.iter().map(prefix).collect()
    }
}

/// The networks as they are written.
#[must_use]
pub fn spelled(local: &[Prefix]) -> Vec<String> {
    local.iter().map(ToString::to_string).collect()
}

/// What both engines are told.
fn options(config: &Config) -> Options {
    Options {
        // The same everywhere: the ports of this machine have nothing to do with those of the capture's.
        settings: Settings {
            source6_mask: Settings::source6_prefix(config.ipv6_prefix),
            ..Settings::DEFAULT
        },
        capacity: Capacity::within(config.map_memory, CPUS),
        secrets: tables::replay_secrets(),
        listed: limits::listed_pairs(CPUS),
        ..Options::of_this_host(config.map_memory)
    }
}

/// The engine that is wanted; the host's where the kernel refuses and nobody insists.
fn engine(config: &Config, options: &Options, wish: EngineWish, replies: u32) -> anyhow::Result<Engine> {
    let bytes = options.capacity.bytes(host::possible_cpus() as u64);
    let is_too_much = bytes > MOST_UNASKED.max(config.map_memory);
    let start_ns = super::timeline::BEGINNING_NS;
    if wish == EngineWish::Auto && is_too_much {
        let mebibytes = bytes >> 20;
        info!(
            "counting on the host, with the same results: on all CPUs of this machine the kernel's maps would take \
             {mebibytes} MiB; `--engine kernel` takes them"
        );
    } else if wish != EngineWish::Host {
        match Engine::kernel(options, replies, start_ns) {
            Ok(engine) => {
                info!("each packet runs through the kernel's program");
                return Ok(engine);
            }
            Err(error) if wish == EngineWish::Kernel => return Err(error.into()),
            Err(error) => info!("counting on the host, with the same results, because: {error}"),
        }
    } else {
        info!("counting on the host, by the parser and the counters of the kernel's program");
    }
    Ok(Engine::host(options, replies, start_ns))
}

/// What stands for the interface: the file's name, or how many there are.
fn name(files: &[PathBuf]) -> String {
    match files {
        [only] if only.as_os_str() == "-" => "stdin".into(),
        [only] => only.file_name().unwrap_or(only.as_os_str()).to_string_lossy().into_owned(),
        many => format!("{} captures", many.len()),
    }
}
