//! The report for machines. What alerts have a name for has the same name here.

use core::hash::Hash;
use core::net::IpAddr;

use netwatch_common::{Addr, Service};
use serde_json::{Map, Value, json};

use super::{Facts, service, since_1970};
use crate::analysis::incident::peer;
use crate::analysis::{State, Suppression, Transition};
use crate::replay::tally::{Received, Sender, Tally};
use crate::replay::top::{Ranked, Top, Weigh};
use crate::sinks::eve;
use crate::sinks::words::Source;

/// Sources, services and destinations that are listed, of each.
const LISTED: usize = 100;

/// Files, networks, reasons and problems that are listed, of each.
const NOTES: usize = 1_000;

/// The report as one JSON object.
#[must_use]
pub fn json(facts: &Facts, tally: &Tally) -> Value {
    let at = |ns: Option<i64>| ns.map(|ns| format!("{:.6}", since_1970(ns)));
    let skipped = facts.skipped.iter().take(NOTES);
    json!({
        "files": facts.files.iter().take(NOTES).collect::<Vec<_>>(),
        "files_total": facts.files.len(),
        "first_packet": at(facts.first_ns),
        "last_packet": at(facts.last_ns),
        "stopped": facts.is_stopped,
        "packets_late": facts.late,
        "packets_without_time": facts.without_time,
        "duration_s": facts.length_ns().map(eve::seconds),
        "engine": facts.engine,
        "replies": facts.replies,
        "local": facts.local.iter().take(NOTES).collect::<Vec<_>>(),
        "local_guessed": facts.guessed,
        "packets": facts.totals.seen,
        "bytes": facts.totals.bytes,
        "classes": numbers(facts.by_class()),
        "verdicts": numbers(facts.by_verdict()),
        "sources_refused": facts.totals.sources_refused,
        "targets_refused": facts.totals.targets_refused,
        "targets_lost": facts.totals.targets_lost,
        "not_replayed": skipped.map(|(reason, packets)| json!({ "reason": reason, "packets": packets }))
            .collect::<Vec<_>>(),
        "not_replayed_total": facts.not_replayed(),
        "problems": facts.problems.iter().take(NOTES).collect::<Vec<_>>(),
        "problems_total": facts.problems.len(),
        "sources": ranking(tally.sources(), &sources(facts, tally)),
        "services": ranking(tally.services(), &services(tally)),
        "destinations": ranking(tally.dests(), &dests(tally)),
        "incidents": incidents(facts, tally),
    })
}

/// A list, and what it leaves out.
fn ranking<K: Copy + Eq + Hash, V: Default + Weigh>(top: &Top<K, V>, list: &[Value]) -> Value {
    json!({
        "distinct": top.distinct(),
        "exact": top.uncertainty() == 0,
        // What any one of them may have sent, or have been sent, beyond what is listed.
        "packets_missed_max": top.uncertainty(),
        "top": list,
    })
}

fn sources(facts: &Facts, tally: &Tally) -> Vec<Value> {
    let incidents = tally.incidents_by_source();
    let time = |ns| format!("{:.6}", facts.wall.at(ns));
    let source = |one: Ranked<'_, Addr, Sender>| {
        let stats = &one.value.stats;
        let peer = peer(*one.key, facts.ipv6_bits, stats.hosts);
        json!({
            "source": Source(peer).to_string(),
            "src_ip": eve::address(peer),
            "packets": stats.packets(),
            "bytes": stats.bytes,
            "unsolicited": stats.unsolicited(),
            "evidence": numbers(stats.by_class().map(|(class, count)| (class.name(), count))),
            "handshakes": stats.completed,
            "ports": one.value.ports.len(),
            "ports_exact": !one.value.more_ports && one.uncertainty == 0,
            "incidents": incidents.get(one.key).copied().unwrap_or(0),
            "first_seen": time(stats.first_ns),
            "last_seen": time(stats.last_ns),
            "packets_missed_max": one.uncertainty,
        })
    };
    tally.sources().ranked(LISTED, IpAddr::from).into_iter().map(source).collect()
}

fn services(tally: &Tally) -> Vec<Value> {
    let sources = tally.tried_by();
    let exact = !tally.tried_by_more();
    let row = |one: Ranked<'_, Service, Received>| {
        let mut row = received(&one);
        row.insert("service".to_owned(), service(*one.key).into());
        if let Some((proto, port)) = one.key.port() {
            row.insert("proto".to_owned(), eve::protocol(proto).into());
            row.insert("dest_port".to_owned(), port.into());
            row.insert("sources".to_owned(), sources.get(one.key).copied().unwrap_or(0).into());
            row.insert("sources_exact".to_owned(), exact.into());
        }
        Value::Object(row)
    };
    tally.services().ranked(LISTED, |service| service).into_iter().map(row).collect()
}

fn dests(tally: &Tally) -> Vec<Value> {
    let row = |one: Ranked<'_, Addr, Received>| {
        let mut row = received(&one);
        row.insert("dest_ip".to_owned(), IpAddr::from(*one.key).to_string().into());
        Value::Object(row)
    };
    tally.dests().ranked(LISTED, IpAddr::from).into_iter().map(row).collect()
}

fn received<K>(one: &Ranked<'_, K, Received>) -> Map<String, Value> {
    let Received { packets, bytes, unsolicited } = *one.value;
    numbers([
        ("packets", packets),
        ("bytes", bytes),
        ("unsolicited", unsolicited),
        ("packets_missed_max", one.uncertainty),
    ])
}

fn incidents(facts: &Facts, tally: &Tally) -> Value {
    let counters = &facts.counters;
    let held_back = Suppression::ALL.into_iter().map(|reason| (reason.name(), counters.suppressed(reason)));
    json!({
        "opened": counters.opened,
        "updates": counters.updated,
        "closed": counters.closed,
        "held_back": numbers(held_back.filter(|(_, count)| *count > 0)),
        "not_listed": tally.unlisted(),
        "less_severe": tally.slight(),
        "list": tally.incidents().map(|t| incident(t, facts)).collect::<Vec<_>>(),
    })
}

/// What an alert says of it in its context, and with whom, and when it opened and closed.
fn incident(t: &Transition, facts: &Facts) -> Value {
    let context = eve::context(t, facts.wall, t.incident.to_string());
    let mut incident = serde_json::to_value(context).unwrap_or_default();
    let time = |ns| format!("{:.6}", facts.wall.at(ns));
    let closed = matches!(t.state, State::Close(_)).then(|| time(t.at_ns));
    for (name, value) in [
        ("opened", Some(time(t.opened_ns).into())),
        ("closed", closed.map(Value::from)),
        ("src_ip", t.source.map(|peer| eve::address(peer).to_string().into())),
        ("dest_ip", t.dest.map(|dest| dest.to_string().into())),
        ("dest_port", t.port.map(Value::from)),
        ("proto", t.proto.map(|proto| eve::protocol(proto).into())),
        ("in_iface", Some((*t.interface).into())),
    ] {
        if let (Some(value), Some(incident)) = (value, incident.as_object_mut()) {
            incident.insert(name.to_owned(), value);
        }
    }
    incident
}

fn numbers(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Map<String, Value> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}
