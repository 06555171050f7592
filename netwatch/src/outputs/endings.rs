//! Incidents whose end was dropped: an output that reminds its receiver of what goes on must not go on with these.
//!
//! What was queued before such an end must be done with first, or else it would begin the incident again. So an end is told
//! once so many were done with as had been queued when it was dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::limits::ENDINGS;
use super::transport::Transport;
use crate::report::{Life, Step, Told};

/// The name of the incident, if this is its end.
pub(super) fn ended(told: &Told) -> Option<&str> {
    let incident = told.incident.as_deref()?;
    (told.step == Step::Close || incident.state == Life::Closed).then_some(&*incident.id)
}

/// What the loop and the thread know of it.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// How many are on their way to the thread or wait there.
    count: AtomicUsize,
    /// Once so many are done with, and one, all may be over; 0 is never.
    all: AtomicU64,
}

/// An end that was dropped.
#[derive(Debug)]
pub(super) struct Ending {
    /// How many had been queued before.
    after: u64,
    incident: Box<str>,
}

impl Lost {
    /// What the thread is to be told of something that was dropped after so many were queued.
    pub(super) fn note(&self, told: &Told, after: u64) -> Option<Ending> {
        let incident = ended(told)?.into();
        // Only the loop adds, so what is seen here can only become less.
        if self.count.load(Ordering::Relaxed) < ENDINGS {
            self.count.fetch_add(1, Ordering::Relaxed);
            return Some(Ending { after, incident });
        }
        self.all.store(after + 1, Ordering::Relaxed);
        None
    }
}

/// The thread's end of it.
#[derive(Debug, Default)]
pub(super) struct Endings {
    waiting: VecDeque<Ending>,
    /// How many were done with, whatever became of them.
    pub(super) done: u64,
}

impl Endings {
    pub(super) fn put(&mut self, ending: Ending) {
        self.waiting.push_back(ending);
    }

    /// Tells what can be told by now.
    pub(super) fn tell(&mut self, lost: &Lost, transport: &mut dyn Transport) {
        while self.waiting.front().is_some_and(|ending| ending.after <= self.done) {
            if let Some(ending) = self.waiting.pop_front() {
                transport.is_over(&ending.incident);
                lost.count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let all = lost.all.load(Ordering::Relaxed);
        // Where the loop has just set it anew, that is looked at the next time.
        let is_due = all > 0 && self.done + 1 >= all;
        if is_due && lost.all.compare_exchange(all, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            transport.all_may_be_over();
        }
    }
}
