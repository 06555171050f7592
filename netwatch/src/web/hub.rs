//! What streams are fed from: the last steps in a ring, and the newest state.
//!
//! Each step is made ready once, however many read it. Every reader keeps its own place, so a slow one holds up nobody,
//! and what the ring had to forget before it was read is known by its numbers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::counts::{Counts, more};
use super::limits::{ACKNOWLEDGED, CHUNK, RING, RING_BYTES};
use crate::analysis::Severity;
use crate::report::{Incident, Told};

/// A step, ready to be sent.
struct Frame {
    number: u64,
    weight: Severity,
    bytes: Bytes,
}

/// The last steps.
#[derive(Default)]
struct Ring {
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// What streams are fed from.
pub(super) struct Hub {
    ring: Mutex<Ring>,
    /// Number of the last step.
    latest: watch::Sender<u64>,
    /// The newest state, ready to be sent; empty while there is none.
    state: watch::Sender<Bytes>,
    /// What passed in the last second, likewise.
    rates: watch::Sender<Bytes>,
    /// Who looks after what. It has no number: who misses it sees it when they look again.
    acknowledged: broadcast::Sender<Bytes>,
}

/// Data of an `alert`.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AlertEvent<'a> {
    /// What happened: `open`, `update` or `close`; `digest` says how many alerts were held back, and is of no incident.
    #[schema(value_type = String)]
    step: &'static str,
    /// The incident from now on; null of a digest.
    #[schema(value_type = Option<Incident>)]
    incident: Option<&'a Incident>,
    /// The line for people.
    #[schema(value_type = String)]
    text: &'a str,
}

impl Hub {
    pub fn new() -> Self {
        Self {
            ring: Mutex::default(),
            latest: watch::Sender::new(0),
            state: watch::Sender::new(Bytes::new()),
            rates: watch::Sender::new(Bytes::new()),
            acknowledged: broadcast::Sender::new(ACKNOWLEDGED),
        }
    }

    /// Takes a step in.
    pub fn push(&self, run: &str, told: &Told, counts: &Counts) {
        more(&counts.told_taken);
        let data =
            AlertEvent { step: told.step.name(), incident: told.incident.as_deref(), text: told.sentence() };
        let Ok(json) = serde_json::to_string(&data) else { return };
        let bytes = Bytes::from(format!("id: {run}-{}\nevent: alert\ndata: {json}\n\n", told.number));
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Places are found by number, so numbers must rise.
        if told.number <= *self.latest.borrow() {
            return;
        }
        ring.bytes += bytes.len();
        ring.frames.push_back(Frame { number: told.number, weight: told.weight, bytes });
        while ring.frames.len() > RING || ring.bytes > RING_BYTES {
            let Some(oldest) = ring.frames.pop_front() else { break };
            ring.bytes -= oldest.bytes.len();
        }
        drop(ring);
        self.latest.send_replace(told.number);
    }

    /// Takes the newest state in.
    pub fn set_state(&self, json: &str) {
        self.state.send_replace(format!("event: stats\ndata: {json}\n\n").into());
    }

    /// Takes what passed in the last second in.
    pub fn set_rates(&self, json: &str) {
        self.rates.send_replace(format!("event: rates\ndata: {json}\n\n").into());
    }

    /// Tells who listens that somebody looks after an incident, or does not any more.
    pub fn acknowledged(&self, json: &str) {
        // Where nobody listens, nobody is told.
        let _ = self.acknowledged.send(format!("event: acknowledged\ndata: {json}\n\n").into());
    }

    pub fn wait_for_acknowledged(&self) -> broadcast::Receiver<Bytes> {
        self.acknowledged.subscribe()
    }

    /// Number of the last step.
    pub fn latest(&self) -> u64 {
        *self.latest.borrow()
    }

    /// Number of the step before the oldest in the ring.
    pub fn before_oldest(&self) -> u64 {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.frames.front().map_or_else(|| self.latest(), |frame| frame.number - 1)
    }

    pub fn wait_for_steps(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    pub fn wait_for_state(&self) -> watch::Receiver<Bytes> {
        self.state.subscribe()
    }

    pub fn wait_for_rates(&self) -> watch::Receiver<Bytes> {
        self.rates.subscribe()
    }

    /// What comes after `place` and weighs at least `min`, as much as is sent at a time; moves the place.
    pub fn read(&self, run: &str, place: &mut u64, min: Severity, counts: &Counts) -> Bytes {
        let mut chunk = BytesMut::new();
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let start = ring.frames.partition_point(|frame| frame.number <= *place);
        for frame in ring.frames.iter().skip(start) {
            let missed = frame.number - *place - 1;
            if missed > 0 {
                counts.missed.fetch_add(missed, std::sync::atomic::Ordering::Relaxed);
                chunk.put(gap(run, frame.number - 1, Some(missed)).as_bytes());
            }
            *place = frame.number;
            if frame.weight >= min {
                chunk.put(&frame.bytes[..]);
            }
            if chunk.len() >= CHUNK {
                break;
            }
        }
        chunk.freeze()
    }

    /// Counts a step that there was no room for; who reads on sees by the numbers that it is missing.
    pub fn dropped(counts: &Counts) {
        more(&counts.told_dropped);
    }
}

/// The event that says how many steps are missing, if that is known.
pub(super) fn gap(run: &str, number: u64, missed: Option<u64>) -> String {
    let missed = missed.map_or_else(|| "null".to_owned(), |missed| missed.to_string());
    format!("id: {run}-{number}\nevent: gap\ndata: {{\"missed\":{missed}}}\n\n")
}
