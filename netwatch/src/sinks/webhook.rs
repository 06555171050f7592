//! What is posted to a webhook: JSON, and a signature over its time and itself.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

use super::line;
use crate::report::snapshot::Run;
use crate::report::{Incident, Told};

#[derive(Serialize)]
struct Body<'a> {
    version: u8,
    host: &'a str,
    run: &'a str,
    alerts: Vec<Alert<'a>>,
}

#[derive(Serialize)]
struct Alert<'a> {
    step: &'static str,
    incident: Option<&'a Incident>,
    text: &'a str,
}

/// The body for a number of steps.
#[must_use]
pub fn body<'a>(told: impl Iterator<Item = &'a Told>, run: &Run) -> Vec<u8> {
    let alert = |told: &'a Told| Alert {
        step: told.step.name(),
        incident: told.incident.as_deref(),
        text: told.sentence(),
    };
    let body = Body { version: 1, host: &run.host, run: &run.id, alerts: told.map(alert).collect() };
    let mut out = Vec::new();
    line::json(&body, &mut out);
    out
}

/// `sha256=` and the HMAC of the time, a dot and the body, in hexadecimal digits.
#[must_use]
pub fn signature(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    // A key can have any length, so this fails for none.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}
