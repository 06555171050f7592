//! Metrics for Prometheus, from the newest snapshot. Their labels are names of few things, and never addresses.

mod process;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use netwatch_common::Class;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use super::counts::{Counts, Trouble, value};
use super::shapes::{lost, seconds};
use crate::analysis::transition::Suppression;
use crate::analysis::{RuleId, Severity};
use crate::report::snapshot::{FeedState, InterfaceState, OutputState, Snapshot};

/// What OpenMetrics is called in `Content-Type`.
pub(super) const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What the text that Prometheus always understood is called there.
pub(super) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Knows what to tell at each scrape.
#[derive(Debug)]
struct Source {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    counts: Arc<Counts>,
}

/// All metrics.
pub(super) fn registry(snapshots: watch::Receiver<Arc<Snapshot>>, counts: Arc<Counts>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Source { snapshots, counts }));
    registry
}

/// The metrics as text.
pub(super) fn text(registry: &Registry, is_open: bool) -> Option<String> {
    let mut open = String::new();
    text::encode(&mut open, registry).ok()?;
    Some(if is_open { open } else { plain(&open) })
}

/// OpenMetrics in the older form: there a metric is called in its description as in its lines, and there are no units.
fn plain(open: &str) -> String {
    let mut plain = String::with_capacity(open.len());
    // It waits for the type, which says what the metric is called.
    let mut help = "";
    for line in open.lines() {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or("");
        let _ = match (word(), word(), word(), word()) {
            ("#", "EOF" | "UNIT", ..) => continue,
            ("#", "HELP", _, text) => {
                help = text;
                continue;
            }
            ("#", "TYPE", name, "counter") => {
                writeln!(plain, "# HELP {name}_total {help}\n# TYPE {name}_total counter")
            }
            ("#", "TYPE", name, "info") => {
                writeln!(plain, "# HELP {name}_info {help}\n# TYPE {name}_info gauge")
            }
            ("#", "TYPE", name, kind) => writeln!(plain, "# HELP {name} {help}\n# TYPE {name} {kind}"),
            _ => writeln!(plain, "{line}"),
        };
    }
    plain
}

/// Writes metrics one after the other.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    /// A metric of which there is one.
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// The same of one that only rises.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        count(&mut self.0.encode_descriptor(name, help, None, MetricType::Counter)?, value)
    }

    /// A metric with one line for each of these labels and values.
    fn gauges<const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<&Unit>,
        keys: [&'static str; N],
        lines: impl IntoIterator<Item = ([String; N], f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in lines {
            metric.encode_family(&named(keys, labels))?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// The same of one that only rises.
    fn counters<const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        keys: [&'static str; N],
        lines: impl IntoIterator<Item = ([String; N], u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in lines {
            count(&mut metric.encode_family(&named(keys, labels))?, value)?;
        }
        Ok(())
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<[(&str, &str); 0], _, f64>(&value, None)
}

fn named<const N: usize>(keys: [&'static str; N], values: [String; N]) -> Vec<(&'static str, String)> {
    keys.into_iter().zip(values).collect()
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.snapshots.borrow().clone();
        let mut writer = Writer(encoder);
        traffic(&mut writer, &snapshot)?;
        incidents(&mut writer, &snapshot)?;
        feeds(&mut writer, &snapshot.feeds)?;
        outputs(&mut writer, &snapshot.outputs, snapshot.stdout_dropped)?;
        store(&mut writer, &snapshot)?;
        server(&mut writer, &self.counts)?;
        process::encode(&mut writer, &snapshot)
    }
}

fn traffic(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let all = &snapshot.interfaces;
    let name = |state: &InterfaceState| state.name.to_string();
    let each = |of: fn(&InterfaceState) -> u64| all.iter().map(move |state| ([name(state)], of(state)));
    let gauge = |of: fn(&InterfaceState) -> f64| all.iter().map(move |state| ([name(state)], of(state)));
    let by_class = all.iter().flat_map(|state| {
        Class::ALL
            .into_iter()
            .map(move |class| ([name(state), class.name().into()], state.totals.class(class)))
    });
    let losses = all.iter().flat_map(|state| {
        lost(state).into_iter().map(move |(what, count)| ([name(state), what.into()], count))
    });
    let interface = ["interface"];

    writer.counters(("netwatch_packets", "Packets seen, by class."), ["interface", "class"], by_class)?;
    writer.counters(
        ("netwatch_bytes", "Bytes seen on the wire."),
        interface,
        each(|state| state.totals.bytes),
    )?;
    writer.counters(
        ("netwatch_sent_packets", "Packets that this host sent and netwatch looked at."),
        interface,
        each(|state| state.totals.sent),
    )?;
    let help = "What was counted under another name, or not at all, for want of room or time.";
    writer.counters(("netwatch_lost", help), ["interface", "what"], losses)?;
    let help = "Slots that could not be read to their end; what remained came with a later one.";
    writer.counters(("netwatch_slots_failed", help), interface, each(|state| state.drained.failed_slots))?;
    let help = "Slots that lasted over one and a half times as long as they should.";
    writer.counters(("netwatch_slots_late", help), interface, each(|state| state.drained.late_slots))?;
    let help = "Whether the program is attached.";
    writer.gauges(("netwatch_attached", help), None, interface, gauge(|state| flag(state.mode.is_some())))?;
    let help = "Whether services are being learned.";
    writer.gauges(("netwatch_learning", help), None, interface, gauge(|state| flag(state.is_learning)))?;
    let help = "Sources with an entry in the last slot.";
    writer.gauges(("netwatch_sources", help), None, interface, gauge(|state| state.slot_sources as f64))?;
    let help = "Pairs of source and target with an entry in the last slot.";
    writer.gauges(("netwatch_targets", help), None, interface, gauge(|state| state.slot_targets as f64))?;
    let help = "How long the last reading of the counts took.";
    writer.gauge("netwatch_drain_duration", help, Some(&Unit::Seconds), seconds(snapshot.drain_ns))?;
    let help = "When the counts were last read.";
    let at = snapshot.at.micros() as f64 / 1e6;
    writer.gauge("netwatch_last_slot_timestamp", help, Some(&Unit::Seconds), at)?;
    let help = "How often the counts are read.";
    writer.gauge("netwatch_slot_length", help, Some(&Unit::Seconds), seconds(snapshot.slot_ns))?;
    let help = "Whether the last reading of the configuration succeeded.";
    writer.gauge("netwatch_config_last_reload_successful", help, None, flag(snapshot.config_is_good))?;
    let labels = [("version", snapshot.run.version)];
    writer
        .0
        .encode_descriptor("netwatch_build", "Which netwatch this is.", None, MetricType::Info)?
        .encode_info(&labels)
}

fn incidents(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let counters = &snapshot.counters;
    let of_rule = |rule: RuleId| Severity::ALL.map(|weight| (rule, weight));
    let alerts = RuleId::ALL.into_iter().flat_map(of_rule).map(|(rule, weight)| {
        ([rule.name().into(), weight.name().into()], snapshot.alerts[rule as usize][weight as usize])
    });
    let help =
        "Incidents that were told: counted when one is opened, and again when it rises to another severity.";
    writer.counters(("netwatch_alerts", help), ["rule", "severity"], alerts)?;
    let steps = [("open", counters.opened), ("update", counters.updated), ("close", counters.closed)];
    let steps = steps.map(|(step, count)| ([step.into()], count));
    writer.counters(("netwatch_incident_steps", "Steps in the lives of incidents."), ["step"], steps)?;
    writer.gauge("netwatch_incidents_open", "Incidents that go on.", None, counters.open() as f64)?;
    let help = "Openings of incidents that were held back.";
    let reasons = Suppression::ALL.map(|reason| ([reason.name().into()], counters.suppressed(reason)));
    writer.counters(("netwatch_suppressed", help), ["reason"], reasons)
}

fn feeds(writer: &mut Writer<'_>, feeds: &[FeedState]) -> fmt::Result {
    let each = |of: fn(&FeedState) -> Option<f64>| {
        feeds.iter().filter_map(move |feed| Some(([feed.name.to_string()], of(feed)?)))
    };
    let help = "Entries of the feed in use.";
    writer.gauges(("netwatch_feed_entries", help), None, ["feed"], each(|feed| Some(feed.entries as f64)))?;
    let help = "Whether the feed is in use: it has not ended, and could be read.";
    writer.gauges(("netwatch_feed_live", help), None, ["feed"], each(|feed| Some(flag(feed.is_live))))?;
    let help = "When the feed's file was written last.";
    let written = each(|feed| feed.written_at.map(|time| time.micros() as f64 / 1e6));
    writer.gauges(("netwatch_feed_written_timestamp", help), Some(&Unit::Seconds), ["feed"], written)
}

fn outputs(writer: &mut Writer<'_>, outputs: &[OutputState], stdout_dropped: u64) -> fmt::Result {
    let labels = |output: &OutputState| [output.name.to_string(), output.kind.to_owned()];
    let each = |of: fn(&OutputState) -> u64| outputs.iter().map(move |output| (labels(output), of(output)));
    let gauge = |of: fn(&OutputState) -> f64| outputs.iter().map(move |output| (labels(output), of(output)));
    let keys = ["output", "kind"];
    writer.counters(
        ("netwatch_output_delivered", "What was delivered."),
        keys,
        each(|output| output.delivered),
    )?;
    writer.counters(("netwatch_output_dropped", "What was dropped."), keys, each(|output| output.dropped))?;
    writer.counters(
        ("netwatch_output_failures", "Failed tries to deliver."),
        keys,
        each(|output| output.failures),
    )?;
    let help = "What waits to be delivered.";
    writer.gauges(("netwatch_output_queued", help), None, keys, gauge(|output| output.queued as f64))?;
    let help = "Whether the last try to deliver succeeded.";
    writer.gauges(
        ("netwatch_output_up", help),
        None,
        keys,
        gauge(|output| flag(output.trouble.is_none())),
    )?;
    let help = "Lines that were not written to stdout because nobody read fast enough.";
    writer.counter("netwatch_stdout_dropped_lines", help, stdout_dropped)
}

fn store(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let store = &snapshot.store;
    let help = "Whether the history can be written.";
    writer.gauge("netwatch_store_up", help, None, flag(store.trouble.is_none()))?;
    writer.gauge(
        "netwatch_store_size",
        "Size of the history's file.",
        Some(&Unit::Bytes),
        store.bytes as f64,
    )?;
    writer.gauge("netwatch_store_incidents", "Incidents in the history.", None, store.incidents as f64)?;
    writer.gauge("netwatch_store_waiting", "What waits to be written.", None, store.waiting as f64)?;
    writer.counter("netwatch_store_written", "Steps and windows that were written.", store.written)?;
    let help = "Steps and windows that were dropped for want of room to wait.";
    writer.counter("netwatch_store_dropped", help, store.dropped)?;
    let help = "Incidents and windows removed because of their age, or for want of room.";
    writer.counter("netwatch_store_removed", help, store.removed)?;
    writer.counter("netwatch_store_failures", "Failed writes.", store.failures)
}

fn server(writer: &mut Writer<'_>, counts: &Counts) -> fmt::Result {
    let answers = counts.answers().map(|(class, count)| ([class.into()], count));
    writer.counters(
        ("netwatch_http_requests", "Answers, by the class of their status."),
        ["code"],
        answers,
    )?;
    let troubles = Trouble::ALL.map(|trouble| ([trouble.name().into()], counts.troubles(trouble)));
    let help = "Connections and requests that were refused, or ended early.";
    writer.counters(("netwatch_http_refused", help), ["reason"], troubles)?;
    writer.counter("netwatch_http_connections", "Connections accepted.", value(&counts.accepted))?;
    let open = value(&counts.connections) as f64;
    writer.gauge("netwatch_http_open_connections", "Connections now.", None, open)?;
    writer.gauge("netwatch_http_streams", "Streams now.", None, value(&counts.streams) as f64)?;
    let help = "Steps of incidents that streams missed.";
    writer.counter("netwatch_http_stream_missed", help, value(&counts.missed))?;
    let help = "Steps of incidents that the server had no room to take.";
    writer.counter("netwatch_http_told_dropped", help, value(&counts.told_dropped))?;
    let help = "How long answers took to be found; of streams, until they began.";
    let name = "netwatch_http_request_duration";
    let metric = writer.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    counts.durations.encode(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_becomes_plain_text() {
        let open = "# HELP a_b What a b is.\n# TYPE a_b counter\na_b_total{x=\"# TYPE y\"} 3\n\
                    # HELP c_seconds C.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 0.5\n\
                    # HELP d D.\n# TYPE d info\nd_info{v=\"1\"} 1\n# EOF\n";
        let expect = "# HELP a_b_total What a b is.\n# TYPE a_b_total counter\na_b_total{x=\"# TYPE y\"} 3\n\
                      # HELP c_seconds C.\n# TYPE c_seconds gauge\nc_seconds 0.5\n\
                      # HELP d_info D.\n# TYPE d_info gauge\nd_info{v=\"1\"} 1\n";
        assert_eq!(plain(open), expect);
    }
}
