//! `netwatch run`: start, watch, drain, stop. The one place that knows all edges.

mod announce;
mod drain;
mod evidence;
mod looks;
mod meters;
mod place;
mod publish;
mod resume;
mod views;
mod windows;

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use netwatch_common::Settings;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::{error, info, warn};

use crate::analysis::policy::Prefix;
use crate::analysis::{self, Analysis, Digest, InterfaceId, Learned, Policy, Slot, Transition};
use crate::cli::When;
use crate::config::{Changes as ConfigChanges, Config};
use crate::iface::{Changes, Interfaces};
use crate::kernel::{Error, Options};
use crate::live::Live;
use crate::lookout::Fresh;
use crate::outlet::{Outlet, Trouble};
use crate::printing::output;
use crate::signals::{Asked, Signals};
use crate::sinks::{Output, Wall};
use crate::state::State;
use crate::summary::{self, Summary};
use crate::watched::Watched;
use crate::{clock, exit::Usage, logging};

use drain::drain;
use evidence::Evidence;
use looks::{Lookout, any_samples, looks_closer};
use place::{connected, find};
use publish::Publisher;

/// Runs until something ends it: a signal, the time limit, or a reader that closed the pipe.
///
/// # Errors
///
/// Nothing could be watched, or alerts could not be written.
pub async fn run(config: Config, color: When) -> anyhow::Result<()> {
    let mut app = App::start(config, color).await?;
    app.announce();
    let failure = loop {
        match app.next_event().await {
            Event::Slot => app.begin_drain(),
            Event::Drained(drained) => {
                app.drained(drained.context("drain an interface")?);
                // The kernel tells of most changes, but not of a program that somebody detached.
                app.follow_interfaces().await;
            }
            Event::Hints(index) => app.hints(index),
            Event::Samples(index) => app.samples(index, false),
            Event::Feeds(loaded) => app.feeds_loaded(loaded.context("load feeds")?),
            Event::InterfacesChanged => {
                app.networks_asked = None;
                app.follow_interfaces().await;
            }
            Event::Output(Trouble::Failed(error)) => break Some(error),
            Event::Output(Trouble::Closed) => {
                info!("stopping: the reader of the alerts closed the pipe");
                break None;
            }
            Event::Reload => app.reload(),
            Event::Stop(why) => {
                info!("stopping: {why}");
                break None;
            }
        }
    };
    app.stop().await?;
    failure.map_or(Ok(()), |error| Err(error).context("write alerts"))
}

/// How often this host's networks are asked for where the kernel tells of no change: it may have had too many to tell.
/// There are thousands on some hosts, so a look with each slot would be most of what an idle netwatch does.
const NETWORKS_ASKED: Duration = Duration::from_secs(60);
/// How many changes of a reload are told one by one.
const CHANGES_TOLD: usize = 50;

/// Everything that can happen.
enum Event {
    /// A slot is over.
    Slot,
    /// The slot that was over is drained.
    Drained(Result<Drained, JoinError>),
    /// An interface may have hints.
    Hints(usize),
    /// An interface may have packets to look into.
    Samples(usize),
    /// Feeds were loaded again.
    Feeds(Result<Fresh, JoinError>),
    /// Some interface came, went or changed.
    InterfacesChanged,
    /// Alerts can be written no more.
    Output(Trouble),
    /// SIGHUP: the configuration file is to be read again.
    Reload,
    /// Something asks netwatch to stop.
    Stop(&'static str),
}

/// Every interface with what was drained of it, and what went wrong.
type Drained = Vec<(Watched, Slot, Option<Error>)>;

struct App {
    config: Config,
    /// What of the configuration is applied now.
    policy: Policy,
    /// Networks that this host is connected to.
    connected: Vec<Prefix>,
    /// When they were asked for; `None` where they may have changed since.
    networks_asked: Option<Instant>,
    analysis: Analysis,
    /// The interfaces; none while they are being drained.
    watched: Vec<Watched>,
    /// What drains them, and since when.
    draining: Option<JoinHandle<Drained>>,
    drain_began: Instant,
    live: Vec<Live>,
    lookout: Lookout,
    evidence: Evidence,
    /// Whose samples the lookout reads, and what they are parsed by.
    sampled: Vec<(InterfaceId, Settings)>,
    interfaces: Interfaces,
    changes: Changes,
    output: Output<Outlet>,
    publisher: Publisher,
    trouble: UnboundedReceiver<Trouble>,
    ticks: Interval,
    deadline: Option<Instant>,
    signals: Signals,
    summary: Summary,
    /// What outlives the run; none where nothing does.
    state: Option<State>,
}

impl App {
    async fn start(config: Config, color: When) -> anyhow::Result<Self> {
        // Listening comes first, or a change between looking and listening would be missed.
        let changes = Changes::listen()?;
        let interfaces = Interfaces::connect()?;
        let found = find(&interfaces, &config).await?;

        let slot_ns = u64::try_from(config.slot.as_nanos()).unwrap_or(u64::MAX);
        let connected = connected(&interfaces, &config).await;
        let networks_asked = connected.is_some().then(Instant::now);
        let connected = connected.unwrap_or_default();
        let policy = Policy { connected: connected.clone(), ..config.policy_at(clock::now()) };
        let mut options = Options::of_this_host(config.map_memory);
        options.log_level = config.kernel_log as u8;
        options.settings.source6_mask = Settings::source6_prefix(config.ipv6_prefix);
        options.closer = looks_closer(&config);
        let mut lookout = match options.closer {
            true => Lookout::start(&config, &policy, found.len())?,
            false => Lookout::default(),
        };
        let mut evidence = Evidence::start(&config, &options)?;
        let mut analysis = Analysis::new(&analysis::Options {
            window_slots: config.slots,
            slot_ns,
            ipv6_bits: config.ipv6_prefix,
            one_cpu: false,
            port_hash: options.secrets.of_ports(),
            policy: policy.clone(),
        });
        let state = config.state_dir.as_deref().map(State::open).transpose();
        let state = state.map_err(|wrong| Usage(wrong.to_string()))?;
        let (mut watched, mut live, mut sampled) = (Vec::new(), Vec::new(), Vec::new());
        for interface in &found {
            let id = analysis.add_interface(&interface.name);
            if let Some(learned) = state.as_ref().and_then(|state| state.learned(&interface.name)) {
                analysis.remember(id, learned.clone());
            }
            let mut watch = Watched::start(interface, id, &options, config.xdp_mode, config.mode)?;
            if let Some(logger) = watch.take_logger() {
                logging::read_kernel_log(logger);
            }
            watch.tell_hints(&policy);
            if let Some(attached) = watch.attached {
                analysis.tell_confidence(id, attached.confidence);
            }
            live.extend(watch.live()?);
            if let Some(tap) = watch.tap()? {
                lookout.taps.push(tap);
                sampled.push((id, *watch.settings()));
                lookout.tell(&mut watch, config.signatures.rate)?;
                evidence.watch(id, &mut watch)?;
            }
            watched.push(watch);
        }
        // Loading takes a while for many interfaces: the first slot begins for all of them now.
        let now_ns = clock::monotonic_ns();
        watched.iter_mut().for_each(|watched| watched.begin_slot(now_ns));
        let mut ticks = interval_at(Instant::now() + config.slot, config.slot);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (output, trouble) = output(&config, color);
        let (publisher, open) =
            Publisher::start(&config, output.renderer(), &watched, lookout.lists.board())?;
        let mut app = Self {
            policy,
            connected,
            networks_asked,
            analysis,
            watched,
            draining: None,
            drain_began: Instant::now(),
            live,
            lookout,
            evidence,
            sampled,
            interfaces,
            changes,
            output,
            publisher,
            trouble,
            ticks,
            deadline: config.stop_after.map(|after| Instant::now() + after),
            signals: Signals::listen()?,
            summary: Summary::new(config.window()),
            state,
            config,
        };
        app.resume(open);
        Ok(app)
    }

    async fn next_event(&mut self) -> Event {
        tokio::select! {
            biased;
            asked = self.signals.next() => match asked {
                Asked::Stop(why) => Event::Stop(why),
                Asked::Reload => Event::Reload,
            },
            () = clock::at(self.deadline) => Event::Stop("the time given with --for is over"),
            Some(trouble) = self.trouble.recv() => Event::Output(trouble),
            drained = finished(&mut self.draining) => Event::Drained(drained),
            _ = self.ticks.tick(), if self.draining.is_none() => Event::Slot,
            loaded = self.lookout.lists.finished() => Event::Feeds(loaded),
            // Before hints, of which there may always be more: of these a second has so many and no more.
            index = any_samples(&mut self.lookout.taps) => Event::Samples(index),
            index = any_hints(&mut self.live) => Event::Hints(index),
            () = self.changes.next() => Event::InterfacesChanged,
        }
    }

    /// Reads the configuration file again. Counts and open incidents go on; a bad file changes nothing.
    fn reload(&mut self) {
        let Some(file) = self.config.file() else {
            info!("SIGHUP: there is no configuration file to read again; name one with --config");
            self.lookout.lists.reload(Timestamp::now());
            self.publisher.reload(&self.config, true);
            return;
        };
        let ConfigChanges { config, applied, after_restart } = match self.config.reload() {
            Ok(changes) => changes,
            Err(wrong) => {
                error!("{wrong}; the configuration stays as it was");
                self.publisher.reload(&self.config, false);
                return;
            }
        };
        applied.iter().take(CHANGES_TOLD).for_each(|change| info!("{change}"));
        if applied.len() > CHANGES_TOLD {
            info!("and {} changes more", applied.len() - CHANGES_TOLD);
        }
        if !after_restart.is_empty() {
            warn!("takes effect after a restart: {}", after_restart.join(", "));
        }
        self.config = config;
        self.output.print_from(self.config.min_severity);
        self.keep_policy();
        self.keep_lookout();
        self.lookout.lists.reload(Timestamp::now());
        self.replace_signatures();
        self.publisher.reload(&self.config, true);
        info!("read {file} again: {} changes", applied.len());
    }

    /// Applies what the configuration says by now: entries of the allow-list come to their end.
    fn keep_policy(&mut self) {
        let policy = Policy { connected: self.connected.clone(), ..self.config.policy_at(clock::now()) };
        if policy != self.policy {
            self.watched.iter_mut().for_each(|watched| watched.tell_hints(&policy));
            self.analysis.apply(policy.clone());
            self.policy = policy;
            self.keep_lookout();
        }
    }

    /// Begins to drain every interface. Swapping waits for the kernel: on threads of their own, at the same time,
    /// the interfaces with them, while hints are still read here.
    fn begin_drain(&mut self) {
        let watched = std::mem::take(&mut self.watched);
        let slot = self.config.slot;
        self.drain_began = Instant::now();
        self.draining = Some(spawn_blocking(move || drain(watched, slot, false)));
    }

    /// Tells what the drained slot means.
    fn drained(&mut self, drained: Drained) {
        self.publisher.drain_ns = u64::try_from(self.drain_began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for (mut watched, mut slot, error) in drained {
            if let Some(error) = error {
                error!("{}: {error}; its counts come with a later slot", watched.name);
            }
            watched.tell_hints(&self.policy);
            slot.listed =
                self.lookout.listed(watched.listed.iter().map(|(key, counts)| (slot.number, key, counts)));
            self.summary.slot(&watched, &slot);
            let learned = self.analysis.is_learning(watched.id);
            let transitions = self.analysis.push(watched.id, slot);
            if learned && !self.analysis.is_learning(watched.id) {
                summary::learned(&watched.name, self.analysis.learned(watched.id), self.state.is_some());
            }
            let id = watched.id;
            self.watched.push(watched);
            self.tell_of(id, transitions);
        }
        if let Some(state) = &mut self.state {
            state.keep(Instant::now(), learned(&self.watched, &self.analysis));
        }
        self.tell_lookout();
        if !self.config.feeds.is_empty() {
            self.lookout.lists.look_after(Timestamp::now());
        }
        self.evidence.look_after(clock::monotonic_ns());
        let digest = self.analysis.digest(clock::monotonic_ns());
        self.tell_digest(digest);
        let allowed = self.policy.allow.len();
        self.keep_policy();
        if self.policy.allow.len() < allowed {
            info!("{} entries of the allow-list came to their end", allowed - self.policy.allow.len());
        }
        self.publish();
    }

    /// Follows the interfaces where they went. While they are being drained they are followed right after.
    async fn follow_interfaces(&mut self) {
        if self.draining.is_some() {
            return;
        }
        if self.networks_asked.is_none_or(|asked| asked.elapsed() >= NETWORKS_ASKED) {
            let connected = connected(&self.interfaces, &self.config).await;
            self.networks_asked = connected.is_some().then(Instant::now);
            self.connected = connected.unwrap_or_else(|| std::mem::take(&mut self.connected));
        }
        for watched in &mut self.watched {
            match self.interfaces.by_name(&watched.name).await {
                Ok(interface) => watched.follow(interface.as_ref()),
                Err(error) => warn!("cannot look for {}: {error}", watched.name),
            }
        }
    }

    fn tell(&mut self, transitions: &[Transition]) {
        if transitions.is_empty() {
            return;
        }
        self.output.keep_time(Wall::new(clock::wall_offset_ns()));
        if let Err(error) = self.output.write(transitions) {
            error!("{error}");
        }
        self.publisher.tell(transitions, self.output.renderer());
    }

    fn tell_digest(&mut self, digest: Option<Digest>) {
        if let Some(digest) = digest {
            self.output.keep_time(Wall::new(clock::wall_offset_ns()));
            if let Err(error) = self.output.digest(&digest) {
                error!("{error}");
            }
            self.publisher.tell_digest(&digest, self.output.renderer());
        }
    }

    /// Detaches, counts the last packets, tells what is due, and sums up.
    async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(draining) = self.draining.take() {
            let drained = draining.await.context("drain an interface")?;
            self.drained(drained);
        }
        let (watched, slot) = (std::mem::take(&mut self.watched), self.config.slot);
        let drained =
            spawn_blocking(move || drain(watched, slot, true)).await.context("drain an interface")?;
        self.drained(drained);
        (0..self.lookout.taps.len()).for_each(|index| self.samples(index, true));
        let (mut closing, digest) = self.analysis.close_all(clock::monotonic_ns());
        self.tell_digest(digest);
        self.evidence.link(&mut closing);
        self.tell(&closing);
        if let Some(state) = self.state.take() {
            state.finish(learned(&self.watched, &self.analysis)).await;
        }
        let interfaces =
            self.watched.iter().map(|watched| (&*watched.name, &watched.totals, &watched.drained));
        let mut text = summary::text(interfaces, &self.analysis, &self.output);
        text.push_str(&self.lookout.summary());
        text.push_str(&self.evidence.finish());
        text.push_str(&self.publisher.finish());
        let dropped = self.output.stream().dropped_lines();
        if dropped > 0 {
            warn!("{dropped} lines were not written because nobody read fast enough");
        }
        if !self.output.into_stream().finish() {
            warn!("the last lines were not written because nobody reads them");
        }
        if tracing::enabled!(tracing::Level::INFO) {
            // Where stderr is gone too, there is nobody left to tell.
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
        Ok(())
    }
}

/// What was learned of each interface.
fn learned<'a>(
    watched: &'a [Watched],
    analysis: &'a Analysis,
) -> impl Iterator<Item = (&'a str, &'a Learned)> {
    watched.iter().filter_map(|watched| Some((&*watched.name, analysis.learned(watched.id)?)))
}

/// Waits until interfaces are drained; for ever where none is.
async fn finished(draining: &mut Option<JoinHandle<Drained>>) -> Result<Drained, JoinError> {
    let Some(drain) = draining else { return std::future::pending().await };
    let drained = drain.await;
    *draining = None;
    drained
}

/// Waits until any interface may have hints, and returns its place.
async fn any_hints(live: &mut [Live]) -> usize {
    if live.is_empty() {
        return std::future::pending().await;
    }
    let waiting = live.iter_mut().map(|live| Box::pin(live.wait()));
    futures_util::future::select_all(waiting).await.1
}
