//! `netwatch run`: start, watch, drain, stop. The one place that knows all edges.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::{error, info, warn};

use crate::analysis::{self, Analysis, Confidence, Policy, Slot, Transition};
use crate::cli::{Format, When};
use crate::config::{Changes as ConfigChanges, Config};
use crate::iface::{Changes, Interface, Interfaces};
use crate::kernel::{Error, Options, host};
use crate::outlet::{Outlet, Trouble};
use crate::sinks::{self, Output, Renderer, Wall};
use crate::summary::{self, Summary};
use crate::watched::Watched;
use crate::{clock, exit::Usage, logging};

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
            Event::Slot => {
                app.slot(false).await?;
                // The kernel tells of changes; a look with each slot makes sure that none is missed for good.
                app.follow_interfaces().await;
            }
            Event::InterfacesChanged => app.follow_interfaces().await,
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

/// How many changes of a reload are told one by one.
const CHANGES_TOLD: usize = 50;

/// Everything that can happen.
enum Event {
    /// A slot is over.
    Slot,
    /// Some interface came, went or changed.
    InterfacesChanged,
    /// Alerts can be written no more.
    Output(Trouble),
    /// SIGHUP: the configuration file is to be read again.
    Reload,
    /// Something asks netwatch to stop.
    Stop(&'static str),
}

struct App {
    config: Config,
    /// What of the configuration is applied now.
    policy: Policy,
    analysis: Analysis,
    watched: Vec<Watched>,
    interfaces: Interfaces,
    changes: Changes,
    output: Output<Outlet>,
    trouble: UnboundedReceiver<Trouble>,
    ticks: Interval,
    deadline: Option<Instant>,
    stops: Vec<(Signal, &'static str)>,
    hangup: Option<Signal>,
    terminal: bool,
    summary: Summary,
}

impl App {
    async fn start(config: Config, color: When) -> anyhow::Result<Self> {
        // Listening comes first, or a change between looking and listening would be missed.
        let changes = Changes::listen()?;
        let interfaces = Interfaces::connect()?;
        let found = find(&interfaces, &config).await?;

        let slot_ns = u64::try_from(config.slot.as_nanos()).unwrap_or(u64::MAX);
        let policy = config.policy_at(clock::now());
        let mut analysis =
            Analysis::new(&analysis::Options { window_slots: config.slots, slot_ns, policy: policy.clone() });
        let mut options = Options::of_this_host(config.map_memory);
        options.log_level = config.kernel_log as u8;
        let mut watched = Vec::new();
        for interface in &found {
            let id = analysis.add_interface(&interface.name);
            let mut watch = Watched::start(interface, id, &options, config.mode, config.replies)?;
            if let Some(logger) = watch.take_logger() {
                logging::read_kernel_log(logger);
            }
            watched.push(watch);
        }
        // Loading takes a while for many interfaces: the first slot begins for all of them now.
        let now_ns = clock::monotonic_ns();
        watched.iter_mut().for_each(|watched| watched.begin_slot(now_ns));
        let mut ticks = interval_at(Instant::now() + config.slot, config.slot);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (output, trouble) = output(&config, color);
        let mut stops = Vec::new();
        for (kind, number, why) in [
            (SignalKind::interrupt(), nix::sys::signal::SIGINT, "interrupted"),
            (SignalKind::terminate(), nix::sys::signal::SIGTERM, "asked to terminate"),
        ] {
            if !is_ignored(number) {
                stops.push((signal(kind)?, why));
            }
        }
        let hangup = match is_ignored(nix::sys::signal::SIGHUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self {
            policy,
            analysis,
            watched,
            interfaces,
            changes,
            output,
            trouble,
            ticks,
            deadline: config.stop_after.map(|after| Instant::now() + after),
            stops,
            hangup,
            terminal: has_terminal(),
            summary: Summary::new(config.window()),
            config,
        })
    }

    fn announce(&self) {
        let capacity = Options::of_this_host(self.config.map_memory).capacity;
        let mib = capacity.bytes(host::possible_cpus() as u64) >> 20;
        for watched in &self.watched {
            let mode = watched.attached.map_or("no", |attached| match attached.mode {
                crate::kernel::Mode::Native => "native",
                crate::kernel::Mode::Generic => "generic",
            });
            let replies = match watched.attached.map(|attached| attached.confidence) {
                Some(Confidence::Flows) => "flows",
                _ => "flags and ports",
            };
            info!(
                "watching {} in {mode} mode, replies told by {replies}: window {:?} in slots of {:?}, maps of {mib} MiB for {} sources and \
                 {} ports per slot, at most {} MiB for the window",
                watched.name,
                self.config.window(),
                self.config.slot,
                capacity.sources,
                capacity.ports,
                capacity.window_bytes(self.config.slots) >> 20
            );
        }
    }

    async fn next_event(&mut self) -> Event {
        tokio::select! {
            biased;
            why = any_of(&mut self.stops) => Event::Stop(why),
            // The same signal says that the terminal is gone, where there was one.
            () = hung_up(self.hangup.as_mut()) => match self.terminal && !has_terminal() {
                true => Event::Stop("the terminal hung up"),
                false => Event::Reload,
            },
            () = at(self.deadline) => Event::Stop("the time given with --for is over"),
            Some(trouble) = self.trouble.recv() => Event::Output(trouble),
            _ = self.ticks.tick() => Event::Slot,
            () = self.changes.next() => Event::InterfacesChanged,
        }
    }

    /// Reads the configuration file again. Counts and open incidents go on; a bad file changes nothing.
    fn reload(&mut self) {
        let Some(file) = self.config.file() else {
            info!("SIGHUP: there is no configuration file to read again; name one with --config");
            return;
        };
        let ConfigChanges { config, applied, after_restart } = match self.config.reload() {
            Ok(changes) => changes,
            Err(wrong) => {
                error!("{wrong}; the configuration stays as it was");
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
        info!("read {file} again: {} changes", applied.len());
    }

    /// Applies what the configuration says by now: entries of the allow-list come to their end.
    fn keep_policy(&mut self) {
        let policy = self.config.policy_at(clock::now());
        if policy != self.policy {
            self.analysis.apply(policy.clone());
            self.policy = policy;
        }
    }

    /// Drains every interface and tells what that means.
    async fn slot(&mut self, last: bool) -> anyhow::Result<()> {
        let allowed = self.policy.allow.len();
        self.keep_policy();
        if self.policy.allow.len() < allowed {
            info!("{} entries of the allow-list came to their end", allowed - self.policy.allow.len());
        }
        let slot_ns = u64::try_from(self.config.slot.as_nanos()).unwrap_or(u64::MAX);
        // Swapping waits for the kernel: on threads of their own, at the same time, the interfaces with them.
        let drains: Vec<_> = std::mem::take(&mut self.watched)
            .into_iter()
            .map(|mut watched| {
                spawn_blocking(move || {
                    if last {
                        watched.stop();
                    }
                    let (slot, error) = watched.drain(slot_ns);
                    (watched, slot, error)
                })
            })
            .collect();
        for drain in drains {
            let (watched, slot, error): (Watched, Slot, _) = drain.await.context("drain an interface")?;
            if let Some(error) = error {
                error!("{}: {error}; its counts come with a later slot", watched.name);
            }
            self.summary.slot(&watched, &slot);
            let transitions = self.analysis.push(watched.id, slot);
            self.watched.push(watched);
            self.tell(&transitions);
        }
        Ok(())
    }

    async fn follow_interfaces(&mut self) {
        for watched in &mut self.watched {
            match self.interfaces.by_name(&watched.name).await {
                Ok(interface) => watched.follow(interface.as_ref()),
                Err(error) => warn!("cannot look for {}: {error}", watched.name),
            }
        }
    }

    fn tell(&mut self, transitions: &[Transition]) {
        self.output.keep_time(Wall::new(clock::wall_offset_ns()));
        if let Err(error) = self.output.write(transitions) {
            error!("{error}");
        }
    }

    /// Detaches, counts the last packets, tells what is due, and sums up.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.slot(true).await?;
        let closing = self.analysis.close_all(clock::monotonic_ns());
        self.tell(&closing);
        let text = summary::text(&self.watched, &self.analysis.counters(), &self.output);
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

/// The interfaces to watch, each of which must exist.
async fn find(interfaces: &Interfaces, config: &Config) -> anyhow::Result<Vec<Interface>> {
    if config.interfaces.is_empty() {
        let interface = interfaces.of_default_route().await?;
        info!("no interface named: taking {}, that of the default route", interface.name);
        return Ok(vec![interface]);
    }
    let mut found: Vec<Interface> = Vec::new();
    for name in &config.interfaces {
        let interface =
            interfaces.by_name(name).await?.ok_or_else(|| Error::NoSuchInterface(name.clone()))?;
        if let Some(other) = found.iter().position(|other| other.index == interface.index) {
            // What was typed, not what it is called: alternative names lead to the same interface.
            let other = &config.interfaces[other];
            return Err(Usage(format!("--interface: {name} and {other} are the same interface")).into());
        }
        found.push(interface);
    }
    Ok(found)
}

fn output(config: &Config, color: When) -> (Output<Outlet>, UnboundedReceiver<Trouble>) {
    let auto = || io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let renderer = Renderer {
        format: match config.format {
            Format::Text => sinks::Format::Text,
            Format::Json => sinks::Format::Json,
        },
        wall: Wall::new(clock::wall_offset_ns()),
        run: run_id().into(),
        colour: match color {
            When::Auto => auto(),
            When::Always => true,
            When::Never => false,
        },
    };
    let (outlet, trouble) = Outlet::start(io::stdout());
    (Output::new(outlet, renderer).with_min_severity(config.min_severity), trouble)
}

/// Sets the incidents of this run apart from those of other runs and hosts: when it began, and its process.
fn run_id() -> String {
    let now_ns = i128::from(clock::monotonic_ns()) + i128::from(clock::wall_offset_ns());
    format!("{:x}-{:x}", now_ns / 1_000_000_000, std::process::id())
}

/// Whether whoever started netwatch wants it to ignore a signal, as `nohup` does.
fn is_ignored(number: nix::sys::signal::Signal) -> bool {
    // SAFETY: all zeros are a valid `sigaction`, and the call only writes to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number as libc::c_int, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Waits for any of several signals and returns what it stands for.
async fn any_of(stops: &mut [(Signal, &'static str)]) -> &'static str {
    if stops.is_empty() {
        return std::future::pending().await;
    }
    let waiting = stops.iter_mut().map(|(signal, why)| {
        Box::pin(async move {
            signal.recv().await;
            *why
        })
    });
    futures_util::future::select_all(waiting).await.0
}

/// Waits for a hangup; for ever where it is ignored.
async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether there is a terminal that could hang up.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Waits for an instant; for ever where there is none.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
