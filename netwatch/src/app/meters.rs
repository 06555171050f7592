//! What interfaces have counted, for whoever asks between two slots.

use std::sync::Arc;

use crate::clock;
use crate::kernel;
use crate::report::{Meter, Reading, Time};
use crate::watched::Watched;

/// The counters of the interfaces. They can be read while an interface is drained, and after it went away.
pub(super) struct Meters(Vec<(Arc<str>, kernel::Meter)>);

impl Meters {
    pub fn of(watched: &[Watched]) -> Self {
        Self(watched.iter().map(|watched| (watched.name.as_str().into(), watched.meter())).collect())
    }
}

impl Meter for Meters {
    fn read(&self) -> Reading {
        let read = |(name, meter): &(Arc<str>, kernel::Meter)| Some((Arc::clone(name), meter.totals().ok()?));
        Reading {
            at: Time(clock::now()),
            at_ns: clock::monotonic_ns(),
            interfaces: self.0.iter().filter_map(read).collect(),
        }
    }
}
