//! One line per transition for people.

use core::fmt::{self, Display, Formatter};
use core::net::SocketAddr;

use netwatch_common::{Proto, Techniques};

use super::words::{Amount, Bytes, Count, Duration, Port, Printable, Ranges, Source, Units, Window};
use super::{Renderer, detail};
use crate::analysis::rules::Subject;
use crate::analysis::{CloseReason, Digest, RuleId, Severity, State, Transition};

/// Destinations that a line lists; the others are in the JSON.
const DESTINATIONS: usize = 4;

/// A line without its end.
pub(super) struct Line<'a> {
    pub(super) transition: &'a Transition,
    pub(super) renderer: &'a Renderer,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { transition: t, renderer } = self;
        write!(f, "{:.0} ", renderer.wall.at(t.at_ns))?;
        column(f, t.severity.name(), t.severity, renderer.colour)?;
        write!(f, " {:6} {:17} ", t.state.name(), t.rule.name())?;
        write!(f, "{}; incident {}", Sentence(t), renderer.incident(t))
    }
}

/// What a line says, without what all lines have: when, how severe, of which rule and incident.
pub(super) struct Sentence<'a>(pub(super) &'a Transition);

impl Display for Sentence<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(t) = *self;
        if let Some(detail) = &t.detail {
            detail::line(f, t, detail)?;
        } else {
            self.counted(f)?;
        }
        if t.degraded && t.rule != RuleId::Degraded {
            f.write_str("; counting was lossy")?;
        }
        if t.suppressed > 0 {
            write!(f, "; held back {} before", Count(t.suppressed, "time"))?;
        }
        if let Some(path) = &t.evidence_file {
            write!(f, "; packets in {}", Printable(path))?;
        }
        Ok(())
    }
}

impl Sentence<'_> {
    /// What was counted, of whom.
    fn counted(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(t) = *self;
        who(f, t)?;
        match t.state {
            State::Open | State::Update => does(f, t)?,
            State::Close(reason) => did(f, t, reason)?,
        }
        techniques(f, t)?;
        let threshold = Amount { number: t.threshold, unit: t.unit };
        write!(f, " {} on {} (threshold {threshold})", Window(t), Printable(&t.interface))?;
        ports(f, t)?;
        destinations(f, t)?;
        if matches!(t.state, State::Close(_)) {
            totals(f, t)?;
        }
        let mut lead = "; evidence ";
        for (class, count) in t.by_class() {
            write!(f, "{lead}{}={count}", class.name())?;
            lead = " ";
        }
        match (t.spoofable, t.source) {
            (true, Some(_)) => f.write_str("; may be spoofed")?,
            (true, None) => f.write_str("; sources may be spoofed")?,
            (false, _) => {}
        }
        Ok(())
    }
}

/// A line about what the cap held back, without its end.
pub(super) struct DigestLine<'a> {
    pub(super) digest: &'a Digest,
    pub(super) renderer: &'a Renderer,
}

impl Display for DigestLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { digest, renderer } = self;
        write!(f, "{:.0} ", renderer.wall.at(digest.at_ns))?;
        column(f, "digest", Severity::Low, renderer.colour)?;
        write!(f, " {} held back in the last minute, over {} a minute", HeldBack(digest), digest.cap)?;
        let mut lead = ": ";
        for (rule, count) in RuleId::ALL.into_iter().zip(digest.openings).filter(|(_, count)| *count > 0) {
            write!(f, "{lead}{} {count}", rule.name())?;
            lead = ", ";
        }
        f.write_str("; they are told as room comes")
    }
}

/// `880 openings and 12 updates`.
pub(super) struct HeldBack<'a>(pub(super) &'a Digest);

impl Display for HeldBack<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let openings = self.0.openings.iter().sum();
        match (openings, self.0.updates) {
            (openings, 0) => write!(f, "{}", Count(openings, "opening")),
            (0, updates) => write!(f, "{}", Count(updates, "update")),
            (openings, updates) => {
                write!(f, "{} and {}", Count(openings, "opening"), Count(updates, "update"))
            }
        }
    }
}

/// A word in the column of severities, in a severity's colour.
fn column(f: &mut Formatter<'_>, word: &str, severity: Severity, colour: bool) -> fmt::Result {
    // Padded by hand: the escape sequences must not count.
    let word = word.to_uppercase();
    let padding = 8_usize.saturating_sub(word.len());
    let code = match severity {
        Severity::Info => "2",
        Severity::Low => "36",
        Severity::Medium => "33",
        Severity::High => "31",
        Severity::Critical => "1;31",
    };
    if colour {
        write!(f, "\x1b[{code}m{word}\x1b[0m{:padding$}", "")
    } else {
        write!(f, "{word}{:padding$}", "")
    }
}

/// Who did it, or to whom it was done.
fn who(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    match (t.source, t.dest, t.port) {
        (Some(peer), ..) => {
            write!(f, "{}", Source(peer))?;
            peer.host.map_or(Ok(()), |host| write!(f, " ({host})"))
        }
        (None, Some(dest), Some(port)) => write!(f, "{}", SocketAddr::new(dest, port)),
        (None, Some(dest), None) => write!(f, "{dest}"),
        (None, None, _) => f.write_str("netwatch"),
    }
}

/// What goes on.
fn does(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    let units = Units::of(t, t.observed);
    let port = Port { number: t.port.unwrap_or(0), proto: t.proto };
    match t.rule {
        RuleId::ScanVertical | RuleId::ScanStealth | RuleId::ScanSlow => write!(f, " probed {units}"),
        RuleId::ScanHorizontal => write!(f, " tried {port} of {units}"),
        RuleId::ScanSweepIcmp => write!(f, " asked {} addresses", t.observed),
        RuleId::ScanDistributed => write!(f, " was probed at {units} from {}", Count(t.sources, "source")),
        RuleId::DosUnsolicited | RuleId::DosPackets | RuleId::DosRate => write!(f, " sent {units}"),
        RuleId::DdosDestination | RuleId::FloodFragment => {
            write!(f, " is sent {units} by {}", Count(t.sources, "source"))
        }
        RuleId::FloodSyn => write!(f, " has {units} from {}", Count(t.sources, "source")),
        RuleId::PortHammer => write!(f, " tried {port} {} times", t.observed),
        RuleId::PortUnusual => {
            let connections = Count(t.observed, "connection");
            write!(f, " was accepted on {port}, which is no known service: {connections}")
        }
        RuleId::IocIp | RuleId::PayloadMatch => write!(f, " has {units}"),
        RuleId::Degraded if t.unit == t.rule.rule().unit => write!(f, " lost {}", Count(t.observed, "count")),
        RuleId::Degraded => write!(f, " was sent {units}"),
    }
}

/// What went on, and why that is over.
fn did(f: &mut Formatter<'_>, t: &Transition, reason: CloseReason) -> fmt::Result {
    let subject = t.rule.rule().subject;
    let ended = match (subject, reason) {
        (_, CloseReason::Allowed) => "is allowed now",
        (Subject::Source | Subject::SourcePort | Subject::Address, CloseReason::Quiet) => "is quiet",
        (Subject::Source | Subject::SourcePort | Subject::Address, CloseReason::Shutdown) => {
            "was active at the end"
        }
        (Subject::Source | Subject::SourcePort | Subject::Address, CloseReason::Disabled) => {
            "was active when the rule was switched off"
        }
        (Subject::Destination | Subject::DestinationPort, CloseReason::Quiet) => "is left alone",
        (Subject::Destination | Subject::DestinationPort, CloseReason::Shutdown) => "was a target at the end",
        (Subject::Destination | Subject::DestinationPort, CloseReason::Disabled) => {
            "was a target when the rule was switched off"
        }
        (Subject::Itself, CloseReason::Quiet) => "misses nothing any more",
        (Subject::Itself, CloseReason::Shutdown) => "was missing something at the end",
        (Subject::Itself, CloseReason::Disabled) => "was missing something when the rule was switched off",
    };
    // The port of a destination was said with its address.
    let port = t.port.filter(|_| subject == Subject::SourcePort);
    let unit = if t.rule == RuleId::ScanSweepIcmp { "addresses" } else { t.unit };
    write!(f, " {ended}: at most {}", Units { port, unit, ..Units::of(t, t.peak) })?;
    if t.sources > 0 {
        write!(f, " from {}", Count(t.sources, "source"))?;
    }
    Ok(())
}

/// How it was probed, where that is not said by the protocol.
fn techniques(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    let is_scan = matches!(
        t.rule,
        RuleId::ScanVertical
            | RuleId::ScanStealth
            | RuleId::ScanHorizontal
            | RuleId::ScanSweepIcmp
            | RuleId::ScanSlow
            | RuleId::ScanDistributed
    );
    if !is_scan || (t.proto == Some(Proto::Udp) && t.techniques == Techniques::UDP) {
        return Ok(());
    }
    let mut lead = " by ";
    for name in t.techniques.names() {
        write!(f, "{lead}{name}")?;
        lead = ", ";
    }
    Ok(())
}

fn ports(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    let first = t.ports.first_ports();
    let lead = match (first, t.proto) {
        ([], _) => return Ok(()),
        // It is about one port, which was said.
        _ if t.port.is_some() => return Ok(()),
        (_, Some(_)) => ": ",
        ([_], None) => ": port ",
        (_, None) => ": ports ",
    };
    write!(f, "{lead}{}", Ranges(first))?;
    if t.ports.distinct > 0 && usize::try_from(t.ports.distinct) != Ok(first.len()) {
        f.write_str(" …")?;
    }
    Ok(())
}

fn destinations(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    let mut lead = match (t.rule, t.dests.distinct) {
        (RuleId::ScanHorizontal | RuleId::ScanSweepIcmp, _) => ": ".to_owned(),
        (_, 1) => "; to ".to_owned(),
        (_, many) => format!("; to {many} destinations: "),
    };
    let mut listed = 0;
    for dest in t.dests.first().take(DESTINATIONS) {
        write!(f, "{lead}{dest}")?;
        ", ".clone_into(&mut lead);
        listed += 1;
    }
    if listed > 0 && listed < t.dests.distinct {
        f.write_str(" …")?;
    }
    Ok(())
}

/// What it came to.
fn totals(f: &mut Formatter<'_>, t: &Transition) -> fmt::Result {
    if t.packets == 0 {
        return Ok(());
    }
    write!(f, "; {}", Count(t.packets, "packet"))?;
    if t.bytes > 0 {
        write!(f, ", {}", Bytes(t.bytes))?;
    }
    write!(f, " in {}", Duration(t.last_ns.saturating_sub(t.first_ns)))
}
