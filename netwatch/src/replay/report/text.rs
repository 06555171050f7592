//! The report for people.

use core::cmp::Reverse;
use core::fmt::Write as _;
use core::hash::Hash;
use core::net::{IpAddr, SocketAddr};

use netwatch_common::Addr;

use super::{Facts, service, since_1970};
use crate::analysis::incident::peer;
use crate::analysis::rules::Subject;
use crate::analysis::{CloseReason, Peer, State, Suppression, Transition};
use crate::replay::table::{Align, Table};
use crate::replay::tally::{Received, Tally};
use crate::replay::top::{Ranked, Top, Weigh};
use crate::sinks::words::{Amount, Bytes, Count, Duration, Port, Printable, Ranges, Source, Units};

/// Sources, services and destinations that are listed, of each.
const LISTED: usize = 10;

/// Incidents that are listed: the most severe ones.
const INCIDENTS: usize = 100;

/// Files, networks, reasons and problems that are listed, of each.
const NOTES: usize = 10;

/// The report as lines, the last one's end included.
#[must_use]
pub fn text(facts: &Facts, tally: &Tally) -> String {
    let mut text = String::new();
    head(&mut text, facts);
    sources(&mut text, facts, tally);
    services(&mut text, tally);
    dests(&mut text, tally);
    incidents(&mut text, facts, tally);
    text
}

/// What was replayed, and how.
fn head(text: &mut String, facts: &Facts) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:14}{value}");
    };
    line("files", &some(facts.files.iter().map(|file| Printable(file).to_string())));
    match (facts.first_ns, facts.last_ns, facts.length_ns()) {
        (Some(first), Some(last), Some(length)) => {
            let (first, last) = (since_1970(first), since_1970(last));
            line("time", &format!("{first:.6} to {last:.6}, {}", Duration(length)));
        }
        _ => line("time", "no packets"),
    }
    if facts.is_stopped {
        line("stopped", "before the end");
    }
    line(
        "counted by",
        &format!("the {} engine; replies are told as in mode {}", facts.engine, facts.replies),
    );
    let local = match facts.local.as_slice() {
        [] => "not known".to_owned(),
        local => some(local.iter().map(|network| Printable(network).to_string())),
    };
    let guessed = facts.guessed.as_ref().map(|why| format!(" ({})", Printable(why)));
    line("local", &format!("{local}{}", guessed.unwrap_or_default()));
    let totals = &facts.totals;
    line("packets", &format!("{}, {}", totals.seen, Bytes(totals.bytes)));
    let mut numbers = |name, numbers: Vec<String>| {
        if !numbers.is_empty() {
            line(name, &numbers.join(", "));
        }
    };
    numbers("by class", facts.by_class().map(|(name, count)| format!("{name} {count}")).collect());
    numbers("of which", facts.by_verdict().map(|(name, count)| format!("{name} {count}")).collect());
    let (sources, targets) = (totals.sources_refused, totals.targets_refused);
    if sources + targets > 0 {
        line("no room for", &format!("{sources} packets under their source, {targets} under their target"));
    }
    if facts.late > 0 {
        let late = Count(facts.late, "packet");
        line("late", &format!("{late} with a time a slot or more before that of an earlier one"));
    }
    if facts.without_time > 0 {
        line("without time", &Count(facts.without_time, "packet").to_string());
    }
    let reasons = facts.skipped.iter().map(|(reason, packets)| format!("{packets} {}", Printable(reason)));
    match facts.not_replayed() {
        0 => {}
        packets => line("not replayed", &format!("{packets}: {}", some(reasons))),
    }
    if !facts.problems.is_empty() {
        let _ = writeln!(text, "\nproblems: {}", facts.problems.len());
        for problem in facts.problems.iter().take(NOTES) {
            let _ = writeln!(text, "  {}", Printable(problem));
        }
        more(text, facts.problems.len().saturating_sub(NOTES), true);
    }
}

fn sources(text: &mut String, facts: &Facts, tally: &Tally) {
    let top = tally.sources();
    let incidents = tally.incidents_by_source();
    let mut table = Table::new([
        ("source", Align::Left),
        ("packets", Align::Right),
        ("bytes", Align::Right),
        ("unsolicited", Align::Right),
        ("ports tried", Align::Right),
        ("incidents", Align::Right),
        ("first seen", Align::Left),
        ("last seen", Align::Left),
    ]);
    let time = |ns| format!("{:.0}", facts.wall.at(ns));
    for one in top.ranked(LISTED, IpAddr::from) {
        let stats = &one.value.stats;
        let more_ports = if one.value.more_ports || one.uncertainty > 0 { "+" } else { "" };
        table.row([
            who(peer(*one.key, facts.ipv6_bits, stats.hosts)),
            at_least(stats.packets(), &one),
            Bytes(stats.bytes).to_string(),
            stats.unsolicited().to_string(),
            format!("{}{more_ports}", one.value.ports.len()),
            incidents.get(one.key).copied().unwrap_or(0).to_string(),
            time(stats.first_ns),
            time(stats.last_ns),
        ]);
    }
    ranking(text, "sources", top, &table);
}

fn services(text: &mut String, tally: &Tally) {
    let sources = tally.tried_by();
    let more = if tally.tried_by_more() { "+" } else { "" };
    let mut table = Table::new([
        ("service", Align::Left),
        ("packets", Align::Right),
        ("bytes", Align::Right),
        ("unsolicited", Align::Right),
        ("tried by sources", Align::Right),
    ]);
    for one in tally.services().ranked(LISTED, |service| service) {
        let [packets, bytes, unsolicited] = received(&one);
        let sources = sources.get(one.key).copied().unwrap_or(0);
        let sources = one.key.port().map_or_else(String::new, |_| format!("{sources}{more}"));
        table.row([service(*one.key), packets, bytes, unsolicited, sources]);
    }
    ranking(text, "services", tally.services(), &table);
}

fn dests(text: &mut String, tally: &Tally) {
    let mut table = Table::new([
        ("destination", Align::Left),
        ("packets", Align::Right),
        ("bytes", Align::Right),
        ("unsolicited", Align::Right),
    ]);
    for one in tally.dests().ranked(LISTED, IpAddr::from) {
        let [packets, bytes, unsolicited] = received::<Addr>(&one);
        table.row([IpAddr::from(*one.key).to_string(), packets, bytes, unsolicited]);
    }
    ranking(text, "destinations", tally.dests(), &table);
}

fn incidents(text: &mut String, facts: &Facts, tally: &Tally) {
    let counters = &facts.counters;
    let _ = write!(text, "\nincidents: {} opened, {} closed", counters.opened, counters.closed);
    for reason in Suppression::ALL {
        match counters.suppressed(reason) {
            0 => {}
            count => {
                let _ = write!(text, ", {count} held back ({})", reason.name());
            }
        }
    }
    text.push('\n');
    let mut listed: Vec<_> = tally.incidents().collect();
    // Stable, so that of equally severe ones the first are listed.
    listed.sort_by_key(|incident| Reverse(incident.severity));
    listed.truncate(INCIDENTS);
    listed.sort_by_key(|incident| incident.incident);
    let slight = tally.slight();
    let tell_slight = |text: &mut String| match slight {
        0 => {}
        1 => text.push_str("  one is less severe: --min-severity info lists it\n"),
        many => {
            let _ = writeln!(text, "  {many} are less severe: --min-severity info lists them");
        }
    };
    if listed.is_empty() {
        tell_slight(text);
        return;
    }
    let mut table = Table::new([
        ("#", Align::Right),
        ("severity", Align::Left),
        ("rule", Align::Left),
        ("who", Align::Left),
        ("opened", Align::Left),
        ("closed", Align::Left),
        ("at most", Align::Left),
        ("threshold", Align::Right),
        ("packets", Align::Right),
        ("techniques", Align::Left),
        ("first ports", Align::Left),
    ]);
    for t in &listed {
        table.row(incident(t, facts));
    }
    let _ = write!(text, "{table}");
    let unlisted = usize::try_from(tally.unlisted()).unwrap_or(usize::MAX);
    more(text, tally.incidents().len().saturating_sub(listed.len()).saturating_add(unlisted), true);
    tell_slight(text);
}

fn incident(t: &Transition, facts: &Facts) -> [String; 11] {
    let time = |ns| format!("{:.0}", facts.wall.at(ns));
    let techniques: Vec<_> = t.techniques.names().collect();
    let first = t.ports.first_ports();
    let is_cut = t.ports.distinct > 0 && usize::try_from(t.ports.distinct) != Ok(first.len());
    [
        t.incident.to_string(),
        t.severity.name().to_owned(),
        t.rule.name().to_owned(),
        who_and_what(t),
        time(t.opened_ns),
        match t.state {
            State::Open | State::Update => "not yet".to_owned(),
            State::Close(CloseReason::Shutdown) => "at the end".to_owned(),
            State::Close(_) => time(t.at_ns),
        },
        Units::of(t, t.peak).to_string(),
        Amount { number: t.threshold, unit: t.unit }.to_string(),
        t.packets.to_string(),
        techniques.join(", "),
        format!("{}{}", Ranges(first), if is_cut { " …" } else { "" }),
    ]
}

/// `203.0.113.7 → tcp port 22 of 254 destinations`, `25 sources → 192.0.2.5:443`.
fn who_and_what(t: &Transition) -> String {
    let port = t.port.map(|number| Port { number, proto: t.proto });
    let (from, to) = match (t.rule.rule().subject, t.source, t.dest) {
        (Subject::Itself, ..) | (_, None, None) => ("netwatch".to_owned(), None),
        (_, Some(source), _) => {
            let only = t.dests.first().next().filter(|_| t.dests.distinct == 1);
            let to = match (port, only, t.dests.distinct) {
                (Some(port), Some(dest), _) => Some(SocketAddr::new(dest, port.number).to_string()),
                (None, Some(dest), _) => Some(dest.to_string()),
                (Some(port), None, 0) => Some(port.to_string()),
                (Some(port), None, many) => Some(format!("{port} of {}", Count(many, "destination"))),
                (None, None, 0) => None,
                (None, None, many) => Some(Count(many, "destination").to_string()),
            };
            (who(source), to)
        }
        (_, None, Some(dest)) => {
            let to = port.map(|port| SocketAddr::new(dest, port.number).to_string());
            (Count(t.sources, "source").to_string(), to.or_else(|| Some(dest.to_string())))
        }
    };
    to.map_or_else(|| from.clone(), |to| format!("{from} → {to}"))
}

/// A source, with the only host of its network that was seen.
fn who(peer: Peer) -> String {
    let source = Source(peer);
    peer.host.map_or_else(|| source.to_string(), |host| format!("{source} ({host})"))
}

fn received<K>(one: &Ranked<'_, K, Received>) -> [String; 3] {
    let Received { packets, bytes, unsolicited } = *one.value;
    [at_least(packets, one), Bytes(bytes).to_string(), unsolicited.to_string()]
}

/// A number of packets, with a mark where it may be more.
fn at_least<K, V>(packets: u64, one: &Ranked<'_, K, V>) -> String {
    format!("{packets}{}", if one.uncertainty > 0 { "+" } else { "" })
}

/// A table under its heading, with what it leaves out.
fn ranking<K, V, const N: usize>(text: &mut String, name: &str, top: &Top<K, V>, table: &Table<N>)
where
    K: Copy + Eq + Hash,
    V: Default + Weigh,
{
    let (distinct, exact) = (top.distinct(), top.uncertainty() == 0);
    let _ = writeln!(text, "\n{name}: {distinct}{}", if exact { "" } else { " or more" });
    if distinct == 0 {
        return;
    }
    let _ = write!(text, "{table}");
    more(text, distinct.saturating_sub(LISTED), exact);
    if !exact {
        let _ = writeln!(
            text,
            "  + at least: there were too many to remember all, and of each up to {} may be missing",
            Count(top.uncertainty(), "packet")
        );
    }
}

/// The first few of a list in one line.
fn some(all: impl ExactSizeIterator<Item = String>) -> String {
    let rest = all.len().saturating_sub(NOTES);
    let listed: Vec<_> = all.take(NOTES).collect();
    let listed = listed.join(", ");
    if rest > 0 { format!("{listed}, and {rest} more") } else { listed }
}

fn more(text: &mut String, rest: usize, exact: bool) {
    if rest > 0 {
        let _ = writeln!(text, "  and {}{rest} more", if exact { "" } else { "at least " });
    }
}
