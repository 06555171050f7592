//! Incidents that an earlier run has left open.

use tracing::info;

use super::App;
use crate::analysis::{CloseReason, Resumed, State, Transition};
use crate::clock;
use crate::report::{Incident, Life};
use crate::sinks::words::Count;
use crate::sinks::{Wall, report};

impl App {
    /// Goes on with the incidents of an earlier run, and ends those that nobody goes on with.
    pub(super) fn resume(&mut self, open: Vec<Incident>) {
        if open.is_empty() {
            return;
        }
        let (wall, now_ns) = (Wall::new(clock::wall_offset_ns()), clock::monotonic_ns());
        let (mut told, mut left) = (Vec::new(), 0);
        for incident in open {
            match self.resumed(&incident, wall, now_ns) {
                Some(step) => told.push(step),
                None => {
                    left += 1;
                    self.leave(&incident, wall, now_ns);
                }
            }
        }
        let going_on = Count(told.len() as u64, "incident");
        info!("continued from an earlier run: {going_on}; not continued: {left}");
        self.tell(&told);
    }

    fn resumed(&mut self, incident: &Incident, wall: Wall, now_ns: u64) -> Option<Transition> {
        let watched = self.watched.iter().find(|watched| *watched.name == incident.interface)?;
        let (last, item) = report::transition(incident, wall)?;
        // Somebody may have set the clock back: nothing lies ahead.
        let [at_ns, opened_ns, first_ns, last_ns] =
            [last.at_ns, last.opened_ns, last.first_ns, last.last_ns].map(|ns| ns.min(now_ns));
        let last = Transition { at_ns, opened_ns, first_ns, last_ns, ..last };
        let item = match item {
            Some(name) => Some(self.lookout.number_of(last.rule, &name)?),
            None => None,
        };
        let name = incident.id.as_str().into();
        self.analysis.resume(watched.id, Resumed { name, last, item }, now_ns)
    }

    /// Ends an incident that cannot go on: its interface is not watched, its rule is off, its feed or signature is gone. Where
    /// the earlier run has told its end, everybody knows it already.
    fn leave(&mut self, incident: &Incident, wall: Wall, now_ns: u64) {
        if incident.state == Life::Closed {
            return;
        }
        let Some((last, _)) = report::transition(incident, wall) else { return };
        let is_off = !self.policy.of(last.rule).enabled;
        let reason = if is_off { CloseReason::Disabled } else { CloseReason::Shutdown };
        self.tell(&[Transition { state: State::Close(reason), at_ns: now_ns, ..last }]);
    }
}
