//! A Prometheus Alertmanager: alerts begin and end with their incidents, and it is reminded of those that go on.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::endings::ended;
use super::http::Client;
use super::limits::{BATCH, EXPIRY, REMINDED, REMINDER};
use super::transport::{Transport, Trouble};
use super::trust::Secret;
use crate::config::AlertmanagerTarget;
use crate::report::snapshot::Run;
use crate::report::{Incident, Time, Told};
use crate::sinks::alertmanager::alert;

/// One Alertmanager.
pub(super) struct Alertmanager {
    client: Client,
    token_file: Option<PathBuf>,
    token: Option<Secret>,
    run: Arc<Run>,
    /// What goes on, by the name of the incident, as it was told last.
    open: HashMap<String, Arc<Incident>>,
    reminded_at: Instant,
    /// How often it is reminded.
    reminder: Duration,
}

impl Alertmanager {
    pub(super) fn new(target: &AlertmanagerTarget, url: &str, run: &Arc<Run>) -> Result<Self, String> {
        let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
        let client = Client::new(url, target.ca_file.as_deref())?;
        let token_file = target.bearer_token_file.clone();
        let token = token_file.as_deref().map(Secret::token).transpose()?;
        Ok(Self {
            client,
            token_file,
            token,
            run: Arc::clone(run),
            open: HashMap::new(),
            reminded_at: Instant::now(),
            reminder: REMINDER,
        })
    }

    fn post(&self, alerts: &[Value]) -> Result<(), Trouble> {
        if alerts.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(alerts).map_err(|wrong| Trouble::Refused(wrong.to_string()))?;
        let mut headers = Vec::new();
        if let Some(token) = &self.token {
            headers.push(("Authorization", format!("Bearer {}", String::from_utf8_lossy(token.bytes()))));
        }
        self.client.post(&headers, &body)
    }

    fn alert(&self, incident: &Incident, severity: &str, ends_at: Time) -> Value {
        alert(incident, severity, &self.run.host, ends_at)
    }
}

/// When an alert ends that nobody is reminded of.
fn expiry() -> Time {
    let now = Timestamp::now();
    Time(now.checked_add(EXPIRY).unwrap_or(now))
}

impl Transport for Alertmanager {
    fn deliver(&mut self, batch: &[Arc<Told>], _: &mut usize) -> Result<(), Trouble> {
        // What changes is kept apart until it was taken: another try must find what this one did.
        let mut changed: HashMap<&str, Option<Arc<Incident>>> = HashMap::new();
        let mut alerts = Vec::new();
        for told in batch {
            let Some(incident) = &told.incident else { continue };
            let id = &*incident.id;
            let before = match changed.get(id) {
                Some(changed) => changed.clone(),
                None => self.open.get(id).cloned(),
            };
            // Another severity is another alert there; the old one ends.
            if let Some(before) = before.filter(|before| before.severity != incident.severity) {
                alerts.push(self.alert(incident, &before.severity, told.at));
            }
            let is_over = ended(told).is_some();
            match incident.close_reason.as_deref() {
                // netwatch stopped, and whether the incident did is not known: the alert expires.
                Some("shutdown") => {}
                _ if is_over => {
                    let ends_at = incident.closed_at.unwrap_or(told.at);
                    alerts.push(self.alert(incident, &incident.severity, ends_at));
                }
                _ => alerts.push(self.alert(incident, &incident.severity, expiry())),
            }
            changed.insert(id, (!is_over).then(|| Arc::clone(incident)));
        }
        self.post(&alerts)?;
        if self.open.is_empty() {
            self.reminded_at = Instant::now();
        }
        for (id, now) in changed {
            match now {
                Some(incident) if self.open.len() < REMINDED || self.open.contains_key(id) => {
                    self.open.insert(id.to_owned(), incident);
                }
                Some(_) => {}
                None => {
                    self.open.remove(id);
                }
            }
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.client.reopen()?;
        self.token = self.token_file.as_deref().map(Secret::token).transpose().map_err(Trouble::again)?;
        Ok(())
    }

    fn is_over(&mut self, incident: &str) {
        self.open.remove(incident);
    }

    fn all_may_be_over(&mut self) {
        self.open.clear();
    }

    fn due(&self) -> Option<Instant> {
        (!self.open.is_empty()).then(|| self.reminded_at + self.reminder)
    }

    fn tick(&mut self) -> Result<(), Trouble> {
        let ends_at = expiry();
        let all: Vec<_> =
            self.open.values().map(|incident| self.alert(incident, &incident.severity, ends_at)).collect();
        let result = all.chunks(BATCH).try_for_each(|some| self.post(some));
        // What is refused now would be refused again at once: it waits for the next minute.
        if !matches!(result, Err(Trouble::Again(..))) {
            self.reminded_at = Instant::now();
        }
        result
    }
}

#[cfg(test)]
mod tests;
