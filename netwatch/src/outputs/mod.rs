//! Where alerts go besides stdout: files, sockets, syslog, journald, webhooks, Alertmanagers.
//!
//! Each output has a thread and a queue of its own, so that one that is down or slow costs the others nothing, and the loop
//! never waits. What an output does not take is tried again and waits in its queue; what finds no room there is dropped and
//! counted. Read it in this order: `transport` (what an output is to its thread), `worker` (the thread), `endings` (what is
//! over of which no output was told), `trust` (secrets and certificates), then the outputs: `file`, `sockets`, `local`, `unix`, `journal`, `syslog`, `http`, `webhook`, `alertmanager`.

mod alertmanager;
mod endings;
mod file;
mod http;
mod journal;
pub mod limits;
mod local;
mod sockets;
mod syslog;
mod transport;
pub(crate) mod trust;
mod unix;
mod webhook;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::analysis::Severity;
use crate::config::{OutputSettings, OutputTarget};
use crate::report::snapshot::{OutputState, Run};
use crate::report::{Step, Told};
use transport::Transport;
use worker::Worker;

/// Why outputs cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("output {name}: {why}")]
pub struct Error {
    name: String,
    why: String,
}

/// All outputs of a run.
#[derive(Debug, Default)]
pub struct Outputs {
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Output {
    worker: Worker,
    min_severity: Severity,
    /// Alertmanager knows alerts and no digests.
    takes_digests: bool,
}

impl Outputs {
    /// Opens what can be opened, and starts a thread for each output. A file that cannot be written is an error now, and so
    /// is a secret that cannot be read; a receiver that is not there is waited for.
    ///
    /// # Errors
    ///
    /// Which output it is, and why.
    #[expect(clippy::needless_pass_by_value, reason = "it is kept, once for each output")]
    pub fn start(settings: &[OutputSettings], run: Arc<Run>) -> Result<Self, Error> {
        let mut outputs = Vec::new();
        for settings in settings {
            for Named { name, transport } in transports(settings, &run)? {
                let kind = settings.target.kind();
                let worker = Worker::start(&name, kind, settings.queue, transport).map_err(|why| Error {
                    name: name.clone(),
                    why: format!("start a thread for it: {why}"),
                })?;
                outputs.push(Output {
                    worker,
                    min_severity: settings.min_severity,
                    takes_digests: !matches!(settings.target, OutputTarget::Alertmanager(_)),
                });
            }
        }
        Ok(Self { outputs })
    }

    /// Queues what was told for all outputs that want it. Never waits: where a queue is full, it is dropped and counted.
    pub fn offer(&mut self, told: &Arc<Told>) {
        for output in &mut self.outputs {
            let is_wanted =
                told.weight >= output.min_severity && (output.takes_digests || told.step != Step::Digest);
            if is_wanted {
                output.worker.offer(told);
            }
        }
    }

    /// Has all outputs open their files anew and read secrets and certificates again.
    pub fn reopen(&mut self) {
        for output in &self.outputs {
            output.worker.reopen();
        }
    }

    /// What became of what they were given.
    #[must_use]
    pub fn states(&self) -> Vec<OutputState> {
        self.outputs.iter().map(|output| output.worker.state()).collect()
    }

    /// Tries once more to deliver what waits, for as long as `patience` at most. What is left then was dropped.
    #[must_use]
    pub fn finish(self, patience: Duration) -> Vec<OutputState> {
        let until = Instant::now() + patience;
        // All at once, and then each is waited for.
        for output in &self.outputs {
            output.worker.stop();
        }
        self.outputs.into_iter().map(|output| output.worker.finish(until)).collect()
    }
}

/// A way to somewhere, and what it is called.
struct Named {
    name: String,
    transport: Box<dyn Transport>,
}

/// What there is to write to. Each Alertmanager has a queue of its own: all of them are to know everything, and one that is
/// down must not keep the others waiting.
fn transports(settings: &OutputSettings, run: &Arc<Run>) -> Result<Vec<Named>, Error> {
    let name = &settings.name;
    let failed = |why| Error { name: name.clone(), why };
    let one = |transport: Box<dyn Transport>| vec![Named { name: name.clone(), transport }];
    Ok(match &settings.target {
        OutputTarget::File(target) => one(Box::new(file::File::open(target, run).map_err(failed)?)),
        OutputTarget::Unix { path, format } => one(Box::new(unix::Unix::new(path, *format, run))),
        OutputTarget::Journald { path } => one(Box::new(journal::Journal::new(path))),
        OutputTarget::Syslog(target) => one(Box::new(syslog::Syslog::new(target, run).map_err(failed)?)),
        OutputTarget::Webhook(target) => one(Box::new(webhook::Webhook::new(target, run).map_err(failed)?)),
        OutputTarget::Alertmanager(target) => {
            let mut all = Vec::new();
            for (index, url) in target.urls.iter().enumerate() {
                let name = if index == 0 { name.clone() } else { format!("{name}/{}", index + 1) };
                let transport = alertmanager::Alertmanager::new(target, url, run).map_err(failed)?;
                all.push(Named { name, transport: Box::new(transport) });
            }
            all
        }
    })
}
