//! Incidents that an earlier run has left open.

use tracing::info;

use super::App;
use crate::analysis::{Resumed, Severity};
use crate::clock;
use crate::report::{Incident, Life, Step, Time, Told};
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
                    self.leave(incident);
                }
            }
        }
        let going_on = Count(told.len() as u64, "incident");
        info!("continued from an earlier run: {going_on}; not continued: {left}");
        self.tell(&told);
    }

    fn resumed(
        &mut self,
        incident: &Incident,
        wall: Wall,
        now_ns: u64,
    ) -> Option<crate::analysis::Transition> {
        let watched = self.watched.iter().find(|watched| *watched.name == incident.interface)?;
        let (last, item) = report::transition(incident, wall)?;
        let item = match item {
            Some(name) => Some(self.lookout.number_of(last.rule, &name)?),
            None => None,
        };
        let name = incident.id.as_str().into();
        self.analysis.resume(watched.id, Resumed { name, last, item }, now_ns)
    }

    /// Ends an incident that cannot go on, in the history: its interface is not watched, its rule is off, its feed or
    /// signature is gone. Others were told when the earlier run ended, if it could.
    fn leave(&mut self, incident: Incident) {
        let ended = Incident {
            state: Life::Closed,
            close_reason: Some(incident.close_reason.unwrap_or_else(|| "shutdown".into())),
            closed_at: Some(incident.closed_at.unwrap_or(incident.updated_at)),
            ..incident
        };
        self.publisher.forget(Told {
            number: 0,
            at: Time(clock::now()),
            step: Step::Close,
            weight: Severity::Info,
            text: ended.text.as_str().into(),
            eve: "".into(),
            incident: Some(ended.into()),
        });
    }
}
