//! What is told goes to everybody who wants it: outputs, the history, the server; and how netwatch is, to the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netwatch_common::Class;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::App;
use super::meters::Meters;
use super::views::Views;
use super::windows::Windows;
use crate::analysis::{Confidence, Digest, RuleId, Severity, Slot, State, Transition};
use crate::config::{Config, OutputSettings};
use crate::exit::Usage;
use crate::lookout::Board;
use crate::outputs::Outputs;
use crate::report::snapshot::{BUSIEST, BusyPort, BusySource, InterfaceState, Run, StoreState, without_room};
use crate::report::{Incident, Snapshot, Time, Told};
use crate::sinks::words::Source;
use crate::sinks::{Renderer, Wall, eve};
use crate::store::{Opened, Store};
use crate::watched::Watched;
use crate::web::{self, Web};
use crate::{clock, summary};

/// How long outputs and the history may take for what is left when netwatch stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Everybody who is told.
pub(super) struct Publisher {
    run: Arc<Run>,
    /// How many steps and digests were told.
    number: u64,
    alerts: Alerts,
    outputs: Outputs,
    store: Option<Store>,
    web: Option<Web>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    windows: Windows,
    has_outputs: bool,
    /// Whether the last reading of the configuration succeeded.
    config_is_good: bool,
    /// The configuration in effect.
    config: Arc<str>,
    /// How long the last drain took, in nanoseconds.
    pub(super) drain_ns: u64,
}

impl Publisher {
    /// Opens what is configured, and tells which incidents of earlier runs go on.
    pub(super) fn start(
        config: &Config,
        renderer: &Renderer,
        watched: &[Watched],
        board: Board,
    ) -> anyhow::Result<(Self, Vec<Incident>)> {
        let run = Arc::new(Run {
            version: env!("CARGO_PKG_VERSION"),
            id: renderer.run.to_string(),
            host: host_name(),
            started_at: Time(clock::now()),
        });
        let outputs = Outputs::start(&config.outputs, Arc::clone(&run));
        let outputs = outputs.map_err(|wrong| Usage(wrong.to_string()))?;
        let has_outputs = !config.outputs.is_empty();
        let serves = config.web.listen.is_some();
        let mut open = Vec::new();
        let mut store = None;
        if serves || config.state_dir.is_some() {
            let opened = Store::start(config.state_dir.as_deref(), &config.history, Time(clock::now()));
            let Opened { store: opened, open: going_on } =
                opened.map_err(|wrong| Usage(wrong.to_string()))?;
            (store, open) = (Some(opened), going_on);
        }
        let text: Arc<str> = config.toml(true).into();
        let first = Snapshot {
            at: run.started_at,
            at_ns: clock::monotonic_ns(),
            run: Arc::clone(&run),
            slot_ns: nanoseconds(config.slot),
            window_ns: nanoseconds(config.window()),
            interfaces: Vec::new(),
            sources: Vec::new(),
            ports: Vec::new(),
            counters: crate::analysis::Counters::default(),
            alerts: Alerts::default().0,
            feeds: Vec::new(),
            config: Arc::clone(&text),
            config_is_good: true,
            stdout_dropped: 0,
            outputs: Vec::new(),
            store: StoreState::default(),
            drain_ns: 0,
        };
        let (snapshots, newest) = watch::channel(Arc::new(first));
        let web = match &store {
            Some(store) if serves => serve(config, store, newest, watched, board)?,
            _ => None,
        };
        let publisher = Self {
            run,
            number: 0,
            alerts: Alerts::default(),
            outputs,
            store,
            web,
            snapshots,
            windows: Windows::since(clock::monotonic_ns()),
            has_outputs,
            config_is_good: true,
            config: text,
            drain_ns: 0,
        };
        Ok((publisher, open))
    }

    /// Whether anybody is told, besides whoever reads stdout.
    fn has_listeners(&self) -> bool {
        self.has_outputs || self.store.is_some() || self.web.is_some()
    }

    pub(super) fn tell(&mut self, transitions: &[Transition], renderer: &Renderer) {
        if self.has_listeners() {
            for transition in transitions {
                self.number += 1;
                self.alerts.count(transition);
                self.hand_out(renderer.told(self.number, transition));
            }
        }
    }

    pub(super) fn tell_digest(&mut self, digest: &Digest, renderer: &Renderer) {
        if self.has_listeners() {
            self.number += 1;
            self.hand_out(renderer.told_digest(self.number, digest));
        }
    }

    fn hand_out(&mut self, told: Told) {
        let told = Arc::new(told);
        self.outputs.offer(&told);
        if let Some(store) = &mut self.store {
            store.offer(&told);
        }
        if let Some(web) = &self.web {
            web.told(&told);
        }
    }

    /// Files are opened and read again.
    pub(super) fn reload(&mut self, config: &Config, is_good: bool) {
        self.config_is_good = is_good;
        self.config = config.toml(true).into();
        self.outputs.reopen();
        if let Some(web) = &self.web {
            web.reload();
        }
    }

    /// Says where alerts go.
    pub(super) fn announce(&self, outputs: &[OutputSettings]) {
        if !outputs.is_empty() {
            info!("alerts go to {} besides stdout", summary::outputs_named(&self.outputs.states()));
        }
    }

    /// Lets outputs and the history take what is left, and says what became of it.
    pub(super) fn finish(self) -> String {
        let Self { outputs, store, web, .. } = self;
        if let Some(web) = web {
            web.stop();
        }
        let (outputs, store) = thread::scope(|scope| {
            let store = scope.spawn(|| store.map(|store| store.finish(LAST_WORDS)));
            (outputs.finish(LAST_WORDS), store.join().ok().flatten())
        });
        summary::published(&outputs, store.as_ref())
    }
}

impl App {
    /// Lets everybody know how netwatch is. To be called after each slot.
    pub(super) fn publish(&mut self) {
        if self.publisher.web.is_none() && self.publisher.store.is_none() {
            return;
        }
        let wall = Wall::new(clock::wall_offset_ns());
        let snapshot = Arc::new(self.snapshot(wall));
        let publisher = &mut self.publisher;
        if let Some(store) = &mut publisher.store {
            for summary in publisher.windows.slot(&snapshot) {
                store.window(summary);
            }
        }
        publisher.snapshots.send_replace(snapshot);
    }

    fn snapshot(&mut self, wall: Wall) -> Snapshot {
        let (mut interfaces, mut sources, mut ports) = (Vec::new(), Vec::new(), Vec::new());
        let before = Arc::clone(&self.publisher.snapshots.borrow());
        for watched in &self.watched {
            let id = watched.id;
            for (peer, sum) in self.analysis.busiest(id, BUSIEST) {
                sources.push(BusySource {
                    interface: watched.name.as_str().into(),
                    source: Source(peer).to_string().into(),
                    addr: peer.addr,
                    bits: peer.bits,
                    packets: sum.packets(),
                    bytes: sum.bytes,
                    classes: sum.classes,
                    completed: sum.completed,
                    first_seen: Time(wall.at(sum.first_ns)),
                    last_seen: Time(wall.at(sum.last_ns)),
                });
            }
            let busy = self.analysis.busiest_ports(id, BUSIEST);
            ports.extend(busy.into_iter().map(|busy| BusyPort {
                interface: watched.name.as_str().into(),
                proto: busy.proto,
                port: busy.port,
                packets: busy.packets,
                bytes: busy.bytes,
                flows: busy.flows,
            }));
            let slot = self.analysis.newest(id);
            let same = before.interfaces.iter().find(|state| *state.name == *watched.name);
            let (seen, bytes) = same.map_or((0, 0), |state| (state.totals.seen, state.totals.bytes));
            let lost = same.map_or(0, |state| without_room(&state.totals));
            interfaces.push(InterfaceState {
                name: watched.name.as_str().into(),
                mode: watched.attached.map(|attached| attached.mode.name()),
                confidence: eve::confidence(
                    watched.attached.map_or(Confidence::default(), |attached| attached.confidence),
                ),
                is_learning: self.analysis.is_learning(id),
                totals: watched.totals,
                drained: watched.drained,
                slot_sources: slot.map_or(0, |slot| slot.sources().len() as u64),
                slot_targets: slot.map_or(0, |slot| slot.targets().len() as u64),
                slot_packets: watched.totals.seen.saturating_sub(seen),
                slot_bytes: watched.totals.bytes.saturating_sub(bytes),
                slot_lost: without_room(&watched.totals).saturating_sub(lost),
                slot_ns: slot.map_or(0, Slot::length_ns),
            });
        }
        sources.sort_by_key(|source| core::cmp::Reverse(source.packets));
        ports.sort_by_key(|port| core::cmp::Reverse(port.packets));
        let (publisher, at_ns) = (&self.publisher, clock::monotonic_ns());
        Snapshot {
            at: Time(wall.at(at_ns)),
            at_ns,
            run: Arc::clone(&publisher.run),
            slot_ns: nanoseconds(self.config.slot),
            window_ns: nanoseconds(self.config.window()),
            interfaces,
            sources,
            ports,
            counters: self.analysis.counters(),
            alerts: publisher.alerts.0,
            feeds: self.lookout.feeds(),
            config: Arc::clone(&publisher.config),
            config_is_good: publisher.config_is_good,
            stdout_dropped: self.output.stream().dropped_lines(),
            outputs: publisher.outputs.states(),
            store: publisher.store.as_ref().map(Store::state).unwrap_or_default(),
            drain_ns: publisher.drain_ns,
        }
    }
}

/// Begins to serve. Where nobody said where, netwatch goes on without.
fn serve(
    config: &Config,
    store: &Store,
    newest: watch::Receiver<Arc<Snapshot>>,
    watched: &[Watched],
    board: Board,
) -> anyhow::Result<Option<Web>> {
    let sources = web::Sources {
        history: store.history(),
        snapshots: newest,
        meter: Box::new(Meters::of(watched)),
        packets: Box::new(Views::of(watched)),
        listed: Box::new(board),
    };
    match Web::start(&config.web, sources) {
        Ok(web) => Ok(Some(web)),
        Err(wrong @ web::Error::Listen { .. }) if !config.web.is_listen_said => {
            warn!("{wrong}; going on without serving alerts; `--listen` names another address");
            Ok(None)
        }
        Err(wrong) => Err(wrong.into()),
    }
}

/// Incidents by rule and weight.
#[derive(Debug, Default)]
struct Alerts([[u64; Severity::COUNT]; RuleId::COUNT], BTreeMap<u64, Severity>);

impl Alerts {
    /// Counts an incident when it is opened, and again when it rises.
    fn count(&mut self, told: &Transition) {
        let Self(counts, open) = self;
        let before = match told.state {
            State::Close(_) => open.remove(&told.incident).or(Some(told.weight)),
            // An earlier run has counted its own.
            State::Update => {
                open.insert(told.incident, told.weight).or(told.name.as_ref().map(|_| told.weight))
            }
            State::Open => open.insert(told.incident, told.weight),
        };
        if before.is_none_or(|before| told.weight > before) {
            counts[told.rule as usize][told.weight as usize] += 1;
        }
    }
}

/// Packets by the names of their classes, those that there are.
pub(super) fn by_class(classes: &[u64; Class::COUNT]) -> BTreeMap<String, u64> {
    let counted = Class::ALL.into_iter().zip(classes).filter(|(_, count)| **count > 0);
    counted.map(|(class, count)| (class.name().to_owned(), *count)).collect()
}

/// The name of this machine, as the kernel knows it.
fn host_name() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) => name.trim().to_owned(),
        Err(wrong) => {
            error!("the name of this host is not known: {wrong}");
            String::new()
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::CloseReason;
    use crate::sinks::tests::scan;

    #[test]
    fn an_incident_counts_at_each_severity_that_it_rises_to() {
        let mut alerts = Alerts::default();
        let step = |state, weight| Transition { weight, ..scan(state) };
        alerts.count(&step(State::Open, Severity::Medium));
        alerts.count(&step(State::Update, Severity::Medium));
        alerts.count(&step(State::Update, Severity::High));
        alerts.count(&step(State::Close(CloseReason::Quiet), Severity::High));
        let of_scans = |alerts: &Alerts| alerts.0[RuleId::ScanVertical as usize];
        assert_eq!(of_scans(&alerts), [0, 0, 1, 1, 0]);
        assert!(alerts.1.is_empty(), "what is over is forgotten");
        // One that an earlier run has opened, and counted.
        let name = Some("old-1".into());
        alerts.count(&Transition { name, ..step(State::Update, Severity::High) });
        alerts.count(&step(State::Update, Severity::Critical));
        assert_eq!(of_scans(&alerts), [0, 0, 1, 1, 1]);
    }
}
