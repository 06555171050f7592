//! The server.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch::Receiver;

use crate::config::WebSettings;
use crate::report::{History, Snapshot, Told};

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[error("nothing is served yet")]
pub struct Error;

/// The server, on a thread of its own.
#[derive(Debug)]
pub struct Web;

impl Web {
    /// Begins to serve.
    ///
    /// # Errors
    ///
    /// Nothing can be served.
    pub fn start(
        _settings: &WebSettings,
        _history: Arc<dyn History>,
        _snapshots: Receiver<Arc<Snapshot>>,
    ) -> Result<Self, Error> {
        Err(Error)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Where a browser finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    /// Tells whoever listens.
    pub fn told(&self, _told: &Arc<Told>) {}

    /// Reads files again.
    pub fn reload(&self) {}

    /// Ends it.
    pub fn stop(self) {}
}
