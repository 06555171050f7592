//! The history.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::config::HistorySettings;
use crate::report::snapshot::StoreState;
use crate::report::{
    History, HistoryError, Incident, IncidentQuery, Page, Time, Told, WindowQuery, WindowSummary,
};

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
#[error("there is no history yet")]
pub struct Error;

/// What writes the history.
#[derive(Debug)]
pub struct Store;

/// A history, and what goes on in it.
#[derive(Debug)]
pub struct Opened {
    /// What writes it.
    pub store: Store,
    /// Incidents of earlier runs that go on.
    pub open: Vec<Incident>,
}

impl Store {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// It cannot be used.
    pub fn start(_dir: Option<&Path>, _settings: &HistorySettings, _now: Time) -> Result<Opened, Error> {
        Ok(Opened { store: Self, open: Vec::new() })
    }

    /// Takes note of a step.
    pub fn offer(&mut self, _told: &Arc<Told>) {}

    /// Takes note of a window.
    pub fn window(&mut self, _summary: WindowSummary) {}

    /// Who answers questions.
    #[must_use]
    pub fn history(&self) -> Arc<dyn History> {
        Arc::new(Nothing)
    }

    /// How it is kept.
    #[must_use]
    pub fn state(&self) -> StoreState {
        StoreState::default()
    }

    /// Ends it.
    #[must_use]
    pub fn finish(self, _patience: Duration) -> StoreState {
        StoreState::default()
    }
}

/// No history.
struct Nothing;

fn none<T: Send + 'static>() -> BoxFuture<'static, Result<Page<T>, HistoryError>> {
    async { Ok(Page { items: Vec::new(), next: None }) }.boxed()
}

impl History for Nothing {
    fn incidents(&self, _query: IncidentQuery) -> BoxFuture<'static, Result<Page<Incident>, HistoryError>> {
        none()
    }

    fn incident(&self, _id: String) -> BoxFuture<'static, Result<Option<Incident>, HistoryError>> {
        async { Ok(None) }.boxed()
    }

    fn windows(&self, _query: WindowQuery) -> BoxFuture<'static, Result<Page<WindowSummary>, HistoryError>> {
        none()
    }
}
