//! What each interface saw in each window, for the history.

use std::collections::BTreeMap;
use std::time::Duration;

use netwatch_common::Totals;

use super::publish::by_class;
use crate::report::Snapshot;
use crate::report::history::{PortSummary, SourceSummary, WindowSummary};
use crate::report::snapshot::{InterfaceState, without_room};

/// Most sources, and most ports, that are kept of a window.
const KEPT: usize = 50;

/// Windows that go on, by interface.
#[derive(Debug)]
pub(super) struct Windows {
    /// When counting began, in monotonic nanoseconds.
    began_ns: u64,
    begun: BTreeMap<Box<str>, Begun>,
}

/// A window that goes on.
#[derive(Debug)]
struct Begun {
    /// In monotonic nanoseconds: clocks of people are set.
    since_ns: u64,
    before: Totals,
}

impl Windows {
    /// The first of them begin at this time.
    pub(super) const fn since(began_ns: u64) -> Self {
        Self { began_ns, begun: BTreeMap::new() }
    }

    /// Takes note of a slot. Returns the windows that are over with it.
    pub(super) fn slot(&mut self, snapshot: &Snapshot) -> Vec<WindowSummary> {
        let mut over = Vec::new();
        for state in &snapshot.interfaces {
            let first = Begun { since_ns: self.began_ns, before: Totals::default() };
            let begun = self.begun.entry(state.name.clone()).or_insert(first);
            let length_ns = snapshot.at_ns.saturating_sub(begun.since_ns);
            if length_ns + snapshot.slot_ns / 2 < snapshot.window_ns {
                continue;
            }
            over.push(summary(snapshot, state, begun, Duration::from_nanos(length_ns).as_secs_f64()));
            *begun = Begun { since_ns: snapshot.at_ns, before: state.totals };
        }
        over
    }
}

fn summary(snapshot: &Snapshot, state: &InterfaceState, begun: &Begun, length_s: f64) -> WindowSummary {
    let (now, before) = (&state.totals, &begun.before);
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
        lost: without_room(now).saturating_sub(without_room(before)),
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
