//! What netwatch says about itself on stderr: a status line per window, and a summary at the end.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use netwatch_common::{Class, Totals, Verdict};
use tracing::{info, warn};

use crate::analysis::{Analysis, Learned, Policy, RuleId, Severity, Slot, Suppression};
use crate::drained::Drained;
use crate::evidence::{Counts, Reason};
use crate::report::snapshot::{OutputState, StoreState};
use crate::sinks::Output;
use crate::sinks::words::{self, Count, Printable};
use crate::watched::Watched;

/// Collects slots until a status line is due.
pub struct Summary {
    window_ns: u64,
    interfaces: Vec<Status>,
}

/// An interface since its last status line.
struct Status {
    name: String,
    since_ns: u64,
    before: Totals,
    sources: usize,
    /// Whether it was said that the maps are full.
    complained: bool,
}

impl Summary {
    /// A status line is due after each window.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX), interfaces: Vec::new() }
    }

    /// Takes note of a slot, complains of losses in it, and logs a status line when one is due.
    pub fn slot(&mut self, watched: &Watched, slot: &Slot) {
        let index = match self.interfaces.iter().position(|status| status.name == watched.name) {
            Some(index) => index,
            None => {
                self.interfaces.push(Status {
                    name: watched.name.clone(),
                    since_ns: slot.start_ns,
                    before: Totals::default(),
                    sources: 0,
                    complained: false,
                });
                self.interfaces.len() - 1
            }
        };
        let status = &mut self.interfaces[index];
        let lost = without_room(&watched.totals) - without_room(&status.before);
        if lost > 0 && !status.complained {
            status.complained = true;
            warn!(
                "{}: the maps are full, alerts may miss something; `--map-memory` gives them more room",
                watched.name
            );
        }
        status.sources = status.sources.max(slot.sources().len());
        let elapsed_ns = slot.end_ns.saturating_sub(status.since_ns);
        if elapsed_ns < self.window_ns {
            return;
        }
        let (now, before) = (&watched.totals, &status.before);
        let packets = now.seen - before.seen;
        let mode = watched.attached.map_or_else(|| "gone".to_owned(), |attached| attached.mode.to_string());
        info!(
            "{} ({mode}): {packets} packets, {} a second, up to {} sources a slot",
            watched.name,
            packets.saturating_mul(1_000_000_000) / elapsed_ns.max(1),
            status.sources,
        );
        if lost > 0 {
            warn!("{}: the maps had no room for {lost} counts", watched.name);
        }
        *status = Status {
            name: watched.name.clone(),
            since_ns: slot.end_ns,
            before: *now,
            sources: 0,
            complained: false,
        };
    }
}

/// Says what `port.unusual` waits for at the start, or why it will say nothing.
pub fn learning(name: &str, learned: &Learned, policy: &Policy) {
    let expected = &policy.expected;
    if learned.goes_on(policy) {
        let rest_ns = expected.learn_ns - learned.spent_ns;
        let rest = words::Duration(rest_ns.max(1_000_000_000));
        info!(
            "{name}: learning for {rest} which services accept connections; port.unusual tells of others then"
        );
    } else if policy.of(RuleId::PortUnusual).enabled && !policy.knows_ours() {
        info!(
            "{name}: port.unusual says nothing, because nobody said which networks are ours; `--local` does"
        );
    }
}

/// Says that `port.unusual` waits no longer.
pub fn learned(name: &str, learned: Option<&Learned>, is_kept: bool) {
    let Some(learned) = learned else { return };
    let services = learned.services().len() + learned.everywhere().len();
    let services = Count(services as u64, "service");
    let without_room = match learned.everywhere().len() {
        0 => String::new(),
        many => format!(", {many} of them on all addresses for want of room"),
    };
    let hint = if is_kept { "" } else { "; `--state-dir` keeps them for the next run" };
    info!("{name}: learned {services}{without_room}: from now on port.unusual tells of others{hint}");
}

/// The summary at the end, several lines: of each interface its name, what was counted and what was drained.
#[must_use]
pub fn text<'a, W: Write>(
    interfaces: impl IntoIterator<Item = (&'a str, &'a Totals, &'a Drained)>,
    analysis: &Analysis,
    output: &Output<W>,
) -> String {
    let counters = analysis.counters();
    let mut text = String::new();
    for (name, totals, drained) in interfaces {
        interface(&mut text, name, totals, drained);
    }
    let _ = write!(
        text,
        "incidents: {} opened, {} updates, {} closed",
        counters.opened, counters.updated, counters.closed
    );
    for reason in Suppression::ALL {
        let count = counters.suppressed(reason);
        if count > 0 {
            let _ = write!(text, ", {count} held back ({})", reason.name());
        }
    }
    for severity in Severity::ALL {
        let count = output.not_printed(severity);
        if count > 0 {
            let _ = write!(text, ", {count} not printed (--min-severity {} prints them)", severity.name());
        }
    }
    text.push('\n');
    let deferred = analysis.deferred();
    if deferred > 0 {
        let _ = writeln!(text, "early looks: {deferred} had to wait for the end of their slot");
    }
    let folded = analysis.folded();
    if folded > 0 {
        let _ = writeln!(
            text,
            "window: {folded} times a source more than there is room for, counted under nobody's name"
        );
    }
    let forgotten = analysis.forgotten();
    if forgotten > 0 {
        let _ =
            writeln!(text, "long memory: {forgotten} sources and destinations forgotten for want of room");
    }
    text
}

/// What became of packets that were to be kept as evidence.
#[must_use]
pub fn evidence(counts: &Counts) -> String {
    let Counts { files, packets, removed, .. } = *counts;
    let mut text = format!("evidence: {} in {}", Count(packets, "packet"), Count(files, "file"));
    for reason in Reason::ALL {
        let count = counts.files_not_begun(reason);
        if count > 0 {
            let _ = write!(text, ", {} without a file ({})", Count(count, "incident"), reason.name());
        }
    }
    for reason in Reason::ALL {
        let count = counts.packets_not_kept(reason);
        if count > 0 {
            let _ = write!(text, ", {} not kept ({})", Count(count, "packet"), reason.name());
        }
    }
    if removed > 0 {
        let _ = write!(text, ", {} removed", Count(removed, "file"));
    }
    text.push('\n');
    text
}

/// Names of outputs, one after the other.
#[must_use]
pub fn outputs_named(outputs: &[OutputState]) -> String {
    outputs.iter().map(|output| Printable(&output.name).to_string()).collect::<Vec<_>>().join(", ")
}

/// What became of what was sent to outputs and written into the history.
#[must_use]
pub fn published(outputs: &[OutputState], store: Option<&StoreState>) -> String {
    let mut text = String::new();
    for OutputState { name, delivered, dropped, failures, trouble, .. } in outputs {
        let _ = write!(text, "output {}: {delivered} delivered, {dropped} dropped", Printable(name));
        if *failures > 0 {
            let _ = write!(text, ", {}", Count(*failures, "failure"));
        }
        if let Some(trouble) = trouble {
            let _ = write!(text, " ({})", Printable(trouble));
        }
        text.push('\n');
    }
    // Of memory alone nothing is left.
    if let Some(StoreState { file: Some(file), written, dropped, removed, trouble, .. }) = store {
        let _ = write!(
            text,
            "history {}: {written} written, {dropped} dropped, {removed} removed",
            Printable(file)
        );
        if let Some(trouble) = trouble {
            let _ = write!(text, " ({})", Printable(trouble));
        }
        text.push('\n');
    }
    text
}

/// Counts that the kernel could not take under the names that they belong to.
const fn without_room(totals: &Totals) -> u64 {
    totals.sources_refused + totals.targets_refused
}

fn interface(text: &mut String, name: &str, totals: &Totals, drained: &Drained) {
    let Totals { seen, bytes, sources_refused, targets_refused, targets_lost, .. } = *totals;
    let _ = writeln!(
        text,
        "{}: {seen} packets, {bytes} bytes in {} slots ({} late, {} failed)",
        Printable(name),
        drained.slots,
        drained.late_slots,
        drained.failed_slots
    );
    let classes: Vec<_> = Class::ALL
        .into_iter()
        .map(|class| (class.name(), totals.class(class)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if !classes.is_empty() {
        let _ = writeln!(text, "  by class: {}", classes.join(", "));
    }
    let reasons: Vec<_> = Verdict::ALL
        .into_iter()
        .filter(|verdict| matches!(verdict.class(), Class::Malformed | Class::Other))
        .map(|verdict| (verdict.name(), totals.verdict(verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if !reasons.is_empty() {
        let _ = writeln!(text, "  of which: {}", reasons.join(", "));
    }
    let Totals { sent, flows_new, flows_lost, flows_again, .. } = *totals;
    if flows_new > 0 {
        let _ = writeln!(
            text,
            "  flows: {flows_new} entered by {sent} packets sent, {flows_lost} had to make room too early, {flows_again} came back"
        );
    }
    let Totals { hints, hints_lost, hints_withheld, .. } = *totals;
    if hints + hints_lost + hints_withheld > 0 {
        let _ = writeln!(
            text,
            "  hints of what may not wait: {hints}, {hints_lost} not for want of room, {hints_withheld} held back in floods"
        );
    }
    let Totals { listed, listed_lost, samples, samples_withheld, samples_lost, .. } = *totals;
    if listed > 0 {
        let _ = writeln!(
            text,
            "  from and to listed addresses: {listed} packets, {listed_lost} of them not told apart for want of room"
        );
    }
    if samples + samples_withheld + samples_lost > 0 {
        let _ = writeln!(
            text,
            "  looked into: {samples} packets, and {samples_withheld} not, because of the rate, {samples_lost} for want of room"
        );
    }
    let unaccounted = drained.unaccounted(totals);
    let _ = writeln!(
        text,
        "  under their source: {} counted, for want of room {sources_refused} without its name; under their target: {} \
         counted, {targets_refused} without port and source, {targets_lost} of them without destination; unaccounted for: {unaccounted}",
        drained.sourced, drained.targeted
    );
}
