//! What netwatch has found and how it is, over HTTP: JSON, a live stream, and metrics.
//!
//! The server has a thread of its own, which yields to the one that watches. It is told and reads snapshots, and never
//! makes anybody wait. Read it in this order: `limits`, [`error`], `shared` (what all requests share), `hub` and `rates` (what
//! streams are fed from), `server` and `stall` (connections), `guard`, `token`, `session` and `tls` (who may ask), `routes`, `query`,
//! `body` and `answer`, `login`, `acknowledge`, `past`, `now` and `stream` (what is answered), `shapes` (of which form), `page` (the same for people), `metrics`, [`openapi`], `counts`.

mod acknowledge;
mod answer;
mod body;
mod counts;
pub mod error;
mod guard;
mod hub;
mod limits;
mod login;
mod metrics;
mod now;
pub mod openapi;
pub(crate) mod page;
mod past;
mod query;
mod rates;
mod routes;
mod server;
mod session;
mod shapes;
mod shared;
mod stall;
mod stream;
mod tls;
mod token;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{Notify, watch};

use crate::config::WebSettings;
use crate::report::{History, Listed, Meter, Packets, Snapshot, Told};
pub use error::Error;
use hub::Hub;
use limits::{Patience, QUEUE, STOP};
use shared::Shared;

/// How much the server's thread yields to the one that watches.
const NICE: libc::c_int = 5;

/// Whom the server asks.
pub struct Sources {
    /// What was.
    pub history: Arc<dyn History>,
    /// How netwatch is, once a slot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What interfaces have counted, at any moment.
    pub meter: Box<dyn Meter>,
    /// Packets as they pass.
    pub packets: Box<dyn Packets>,
    /// Who is listed.
    pub listed: Box<dyn Listed>,
}

/// The server, while it runs.
pub struct Web {
    address: SocketAddr,
    shared: Arc<Shared>,
    told: Sender<Arc<Told>>,
    reload: Arc<Notify>,
    finished: Receiver<()>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Web {
    /// Binds, reads the files, and serves from then on.
    ///
    /// # Errors
    ///
    /// What the settings say cannot be done.
    pub fn start(settings: &WebSettings, sources: Sources) -> Result<Self, Error> {
        Self::start_with(settings, sources, Patience::default())
    }

    fn start_with(settings: &WebSettings, sources: Sources, patience: Patience) -> Result<Self, Error> {
        let address = settings.listen.ok_or(Error::Off)?;
        let shared = Arc::new(Shared::new(settings, sources, patience)?);
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;

        let (told, steps) = mpsc::channel(QUEUE);
        let (finish, finished) = channel();
        let reload = Arc::<Notify>::default();
        let (for_thread, reloads) = (Arc::clone(&shared), Arc::clone(&reload));
        let run = move || {
            yield_to_others();
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let take_in = for_thread.take_in(steps, reloads);
                tokio::join!(server::serve(listener, Arc::clone(&for_thread)), take_in, for_thread.measure());
            });
            // What a question to the history waits for must not be waited for here.
            runtime.shutdown_timeout(Duration::ZERO);
            let _ = finish.send(());
        };
        thread::Builder::new().name("netwatch-web".into()).spawn(run).map_err(Error::Thread)?;
        if !address.ip().is_loopback() && shared.tls().is_none() {
            tracing::warn!(
                "what is served, and the token, can be read on the way: name tls_cert and tls_key below [web]"
            );
        }
        tracing::info!("serving {}", shared::url(address, shared.tls().is_some()));
        Ok(Self { address, shared, told, reload, finished })
    }

    /// Where it listens really, if any port was good.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells those who listen. Never waits: what there is no room for is counted, and they are told that it is missing.
    pub fn told(&self, told: &Arc<Told>) {
        if self.told.try_send(Arc::clone(told)).is_err() {
            Hub::dropped(&self.shared.counts);
        }
    }

    /// Reads certificate, key and token again. What is not right is told on stderr, and what was there before stays.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Ends all streams and connections. Waits for that, but not for ever.
    pub fn stop(self) {
        self.shared.stop.cancel();
        let _ = self.finished.recv_timeout(STOP);
        self.shared.packets.stop();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// Makes this thread, and no other, go after those that watch.
fn yield_to_others() {
    // SAFETY: both take numbers only. A thread's number stands for that thread alone here.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, libc::gettid().cast_unsigned(), NICE) } != 0;
    if failed {
        tracing::debug!("the server's thread runs with the same priority as the others");
    }
}

#[cfg(test)]
mod tests;
