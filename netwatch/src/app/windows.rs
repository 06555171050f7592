//! What each interface saw in each window, for the history.

use std::collections::BTreeMap;

use netwatch_common::Totals;

use super::publish::by_class;
use crate::report::history::{PortSummary, SourceSummary, WindowSummary};
use crate::report::snapshot::InterfaceState;
use crate::report::{Snapshot, Time};

/// Most sources, and most ports, that are kept of a window.
const KEPT: usize = 50;

/// Windows that go on, by interface.
#[derive(Debug, Default)]
pub(super) struct Windows(BTreeMap<Box<str>, Begun>);

/// A window that goes on.
#[derive(Debug)]
struct Begun {
    since: Time,
    before: Totals,
}

impl Windows {
    /// Takes note of a slot. Returns the windows that are over with it.
    pub(super) fn slot(&mut self, snapshot: &Snapshot) -> Vec<WindowSummary> {
        let mut over = Vec::new();
        for state in &snapshot.interfaces {
            let begun = self
                .0
                .entry(state.name.clone())
                .or_insert_with(|| Begun { since: snapshot.run.started_at, before: Totals::default() });
            let length = snapshot.at.0.duration_since(begun.since.0);
            if length.as_nanos() + i128::from(snapshot.slot_ns / 2) < i128::from(snapshot.window_ns) {
                continue;
            }
            over.push(summary(snapshot, state, begun, length.as_secs_f64()));
            *begun = Begun { since: snapshot.at, before: state.totals };
        }
        over
    }
}

fn summary(snapshot: &Snapshot, state: &InterfaceState, begun: &Begun, length_s: f64) -> WindowSummary {
    let (now, before) = (&state.totals, &begun.before);
    let lost = |totals: &Totals| totals.sources_refused + totals.targets_refused;
    let mut classes = [0; netwatch_common::Class::COUNT];
    for (count, class) in classes.iter_mut().zip(netwatch_common::Class::ALL) {
        *count = now.class(class).saturating_sub(before.class(class));
    }
    let sources = snapshot.sources.iter().filter(|source| source.interface == state.name).take(KEPT);
    let ports = snapshot.ports.iter().filter(|port| port.interface == state.name).take(KEPT);
    WindowSummary {
        at: snapshot.at,
        length_s,
        interface: state.name.to_string(),
        packets: now.seen.saturating_sub(before.seen),
        bytes: now.bytes.saturating_sub(before.bytes),
        classes: by_class(&classes),
        lost: lost(now).saturating_sub(lost(before)),
        sources: sources
            .map(|busy| SourceSummary {
                source: busy.source.to_string(),
                packets: busy.packets,
                bytes: busy.bytes,
                classes: by_class(&busy.classes),
            })
            .collect(),
        ports: ports
            .map(|busy| PortSummary {
                proto: busy.proto.name().into(),
                port: busy.port,
                packets: busy.packets,
                bytes: busy.bytes,
            })
            .collect(),
    }
}
