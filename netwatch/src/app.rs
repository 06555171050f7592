//! `netwatch run`: start, watch, drain, stop. The one place that knows all edges.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::{error, info, warn};

use crate::analysis::{self, Analysis, Policy, Slot, Transition};
use crate::cli::{Format, When};
use crate::config::{Changes as ConfigChanges, Config};
use crate::iface::{Changes, Interface, Interfaces};
use crate::kernel::program::Logger;
use crate::kernel::{Error, Options, host};
use crate::sinks::{self, Output, OutputError, Renderer, Wall};
use crate::summary::{self, Summary};
use crate::watched::Watched;
use crate::{clock, exit::Usage};

/// Runs until something ends it: a signal, the time limit, or a reader that closed the pipe.
///
/// # Errors
///
/// Nothing could be watched, or alerts could not be written.
pub async fn run(config: Config, color: When) -> anyhow::Result<()> {
    let mut app = App::start(config, color).await?;
    app.announce();
    loop {
        match app.next_event().await {
            Event::Slot => app.slot(false).await?,
            Event::InterfacesChanged => app.follow_interfaces().await,
            Event::KernelLog => {}
            Event::Reload => app.reload(),
            Event::Stop(why) => {
                info!("stopping: {why}");
                break;
            }
        }
        if app.pipe_closed {
            break;
        }
    }
    app.stop().await
}

/// How many changes of a reload are told one by one.
const CHANGES_TOLD: usize = 50;

/// Everything that can happen.
enum Event {
    /// A slot is over.
    Slot,
    /// Some interface came, went or changed.
    InterfacesChanged,
    /// The kernel program's log was read.
    KernelLog,
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
    output: Output<io::Stdout>,
    loggers: Vec<AsyncFd<Logger>>,
    ticks: Interval,
    deadline: Option<Instant>,
    stops: [(Signal, &'static str); 2],
    hangup: Signal,
    terminal: bool,
    summary: Summary,
    pipe_closed: bool,
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
        let mut loggers = Vec::new();
        for interface in &found {
            let id = analysis.add_interface(&interface.name);
            let mut watch = Watched::start(interface, id, &options, config.mode)?;
            loggers.extend(watch.take_logger().map(readable).transpose().context("read the kernel's log")?);
            watched.push(watch);
        }
        let output = output(&config, color);
        let mut ticks = interval_at(Instant::now() + config.slot, config.slot);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = |kind, why| Ok::<_, io::Error>((signal(kind)?, why));
        Ok(Self {
            policy,
            analysis,
            watched,
            interfaces,
            changes,
            output,
            loggers,
            ticks,
            deadline: config.stop_after.map(|after| Instant::now() + after),
            stops: [
                stop(SignalKind::interrupt(), "interrupted")?,
                stop(SignalKind::terminate(), "asked to terminate")?,
            ],
            hangup: signal(SignalKind::hangup())?,
            terminal: has_terminal(),
            summary: Summary::new(config.window()),
            pipe_closed: false,
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
            info!(
                "watching {} in {mode} mode: window {:?} in slots of {:?}, maps of {mib} MiB for {} sources and \
                 {} ports per slot",
                watched.name,
                self.config.window(),
                self.config.slot,
                capacity.sources,
                capacity.ports
            );
        }
        info!("replies are told from probes by TCP flags and UDP ports, which can be forged");
    }

    async fn next_event(&mut self) -> Event {
        let [(interrupt, interrupted), (terminate, terminated)] = &mut self.stops;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Event::Stop(interrupted),
            _ = terminate.recv() => Event::Stop(terminated),
            // The same signal says that the terminal is gone, where there was one.
            _ = self.hangup.recv() => match self.terminal && !has_terminal() {
                true => Event::Stop("the terminal hung up"),
                false => Event::Reload,
            },
            () = at(self.deadline) => Event::Stop("the time given with --for is over"),
            _ = self.ticks.tick() => Event::Slot,
            () = self.changes.next() => Event::InterfacesChanged,
            () = read_logs(&mut self.loggers) => Event::KernelLog,
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
            self.tell(&transitions)?;
        }
        // Interfaces that could not be attached again are tried with each slot.
        if self.watched.iter().any(|watched| watched.attached.is_none()) && !last {
            self.follow_interfaces().await;
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

    fn tell(&mut self, transitions: &[Transition]) -> anyhow::Result<()> {
        if self.pipe_closed {
            return Ok(());
        }
        self.output.keep_time(Wall::new(clock::wall_offset_ns()));
        match self.output.write(transitions) {
            Ok(()) => Ok(()),
            Err(OutputError::Closed) => {
                info!("stopping: the reader of the alerts closed the pipe");
                self.pipe_closed = true;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Detaches, counts the last packets, tells what is due, and sums up.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.slot(true).await?;
        let closing = self.analysis.close_all(clock::monotonic_ns());
        self.tell(&closing)?;
        if tracing::enabled!(tracing::Level::INFO) {
            let text = summary::text(&self.watched, &self.analysis.counters(), &self.output);
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
        if let Some(other) = found.iter().find(|other| other.index == interface.index) {
            return Err(
                Usage(format!("--interface: {name} and {} are the same interface", other.name)).into()
            );
        }
        found.push(interface);
    }
    Ok(found)
}

fn output(config: &Config, color: When) -> Output<io::Stdout> {
    let auto = || io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let renderer = Renderer {
        format: match config.format {
            Format::Text => sinks::Format::Text,
            Format::Json => sinks::Format::Json,
        },
        wall: Wall::new(clock::wall_offset_ns()),
        run: format!("{:x}", clock::monotonic_ns() / 1_000_000).into(),
        colour: match color {
            When::Auto => auto(),
            When::Always => true,
            When::Never => false,
        },
    };
    Output::new(io::stdout(), renderer).with_min_severity(config.min_severity)
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

fn readable(logger: Logger) -> io::Result<AsyncFd<Logger>> {
    // SAFETY: the logger owns its descriptor for as long as it lives, and is not replaced.
    unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) }.map_err(Into::into)
}

/// Waits until a kernel program has logged something and passes it on; for ever where none logs.
async fn read_logs(loggers: &mut [AsyncFd<Logger>]) {
    if loggers.is_empty() {
        return std::future::pending().await;
    }
    let mut waiting: Vec<_> = loggers.iter_mut().map(|logger| Box::pin(logger.readable_mut())).collect();
    let (ready, ..) = futures_util::future::select_all(waiting.drain(..)).await;
    if let Ok(mut ready) = ready {
        ready.get_inner_mut().flush();
        ready.clear_ready();
    } else {
        // A poll that fails at once again and again must not take the whole core.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
