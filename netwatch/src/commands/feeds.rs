//! `netwatch feeds`: what feeds hold, without watching anything.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;

use super::print;
use crate::cli::{FeedArgs, FeedsCommand, PlaceArgs, SettingArgs};
use crate::clock;
use crate::config::Config;
use crate::exit::Usage;
use crate::feeds::{self, Contents, Outcome, feed};

/// Exit code where a feed cannot be used.
const UNUSABLE: u8 = 2;
/// Exit code where an address is not listed.
const NOT_LISTED: u8 = 1;

/// `netwatch feeds`.
///
/// # Errors
///
/// No feeds are named, the configuration is not right, or nothing can be printed.
pub fn feeds(command: &FeedsCommand) -> anyhow::Result<ExitCode> {
    let (text, code) = match command {
        FeedsCommand::List(args) => list(&load(args)?, clock::now()),
        FeedsCommand::Check { files, allow_wide } => check(files, *allow_wide, clock::now()),
        FeedsCommand::Lookup { address, feeds } => look_up(&load(feeds)?, *address),
    };
    print(&text)?;
    Ok(ExitCode::from(code))
}

/// Loads the feeds that a file and options name.
fn load(args: &FeedArgs) -> anyhow::Result<Outcome> {
    let settings =
        SettingArgs { config: args.config.clone(), feeds: args.feeds.clone(), ..SettingArgs::default() };
    let config = Config::from_settings(&settings, &PlaceArgs::default()).map_err(Usage)?;
    if config.feeds.is_empty() {
        return Err(Usage("there are no feeds; name some with --feed NAME=FILE, or --config".into()).into());
    }
    Ok(feeds::load(&config.feeds, &[], None, clock::now()))
}

fn list(outcome: &Outcome, now: Timestamp) -> (String, u8) {
    let heads = ["NAME", "ENTRIES", "IPV4", "IPV6", "AGE", "SEVERITY", "TAGS", "FILE"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(outcome.loaded.feeds().iter().map(|feed| {
        let (config, set) = (&feed.config, &feed.contents.set);
        let used = if feed.is_live { set.len().to_string() } else { "ended".into() };
        [
            config.name.clone(),
            used,
            set.v4.len().to_string(),
            set.v6.len().to_string(),
            age(now.duration_since(feed.written).unsigned_abs()),
            config.severity.map_or("auto", crate::analysis::Severity::name).to_owned(),
            if config.tags.is_empty() { "-".into() } else { config.tags.join(",") },
            config.file.display().to_string(),
        ]
    }));
    let mut text = if rows.len() > 1 { table(&rows) } else { String::new() };
    tell(&mut text, outcome);
    (text, if outcome.problems.is_empty() { 0 } else { UNUSABLE })
}

/// What went wrong, and what else there is to know.
fn tell(text: &mut String, outcome: &Outcome) {
    for note in &outcome.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for problem in &outcome.problems {
        let _ = writeln!(text, "error: {problem}");
    }
}

/// Columns, each as wide as it must be.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// How long, in the largest unit of which there are two at least.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn check(files: &[PathBuf], allow_wide: bool, now: Timestamp) -> (String, u8) {
    let (mut text, mut code) = (String::new(), 0);
    for file in files {
        let read = feed::read_file(file).and_then(|(bytes, _)| Contents::read(&bytes, allow_wide, now));
        match read {
            Ok(contents) => {
                report(&mut text, file, &contents);
                code = if contents.counts.bad > 0 { UNUSABLE } else { code };
            }
            Err(wrong) => {
                let _ = writeln!(text, "{}: {wrong}", file.display());
                code = UNUSABLE;
            }
        }
    }
    (text, code)
}

/// What a file holds: a line of numbers, and one for each line that is not understood.
fn report(text: &mut String, file: &Path, contents: &Contents) {
    let (counts, set) = (&contents.counts, &contents.set);
    let forms: Vec<_> = counts.forms.iter().map(|(form, count)| format!("{} {count}", form.name())).collect();
    let forms = if forms.is_empty() { String::new() } else { format!(" ({})", forms.join(", ")) };
    let _ = writeln!(
        text,
        "{}: entries {} (IPv4 {}, IPv6 {}), {} {}{forms}",
        file.display(),
        set.len(),
        set.v4.len(),
        set.v6.len(),
        if contents.is_document { "items" } else { "lines" },
        counts.lines,
    );
    let others = [
        ("comments, names of columns, and what is no address", counts.other),
        ("entries that were there before", counts.duplicates),
        ("prefixes that begin before the address that is written", counts.masked),
        ("left out because it is too wide, unless with --allow-wide", counts.wide),
        ("not understood", counts.bad),
    ];
    for (what, count) in others.into_iter().filter(|(_, count)| *count > 0) {
        let _ = writeln!(text, "  {what}: {count}");
    }
    for (line, prefix) in &contents.wide {
        let _ = writeln!(text, "{}:{}{line}: {prefix} is too wide", file.display(), contents.place());
    }
    for line in feed::bad_lines(file, contents) {
        let _ = writeln!(text, "{line}");
    }
}

fn look_up(outcome: &Outcome, address: IpAddr) -> (String, u8) {
    let loaded = &outcome.loaded;
    let listings = loaded.lookup(address);
    let mut text = match (listings.is_empty(), loaded.never(address)) {
        (_, Some(never)) => format!("{address} is never listed, because it is in {never}\n"),
        (true, None) => format!("{address} is not listed\n"),
        (false, None) => format!("{address} is listed\n"),
    };
    let mut rows = vec![["FEED", "ENTRY", "SEVERITY", "WHERE", "COMMENT"].map(str::to_owned)];
    rows.extend(listings.iter().map(|listing| {
        let config = &listing.feed.config;
        [
            config.name.clone(),
            listing.entry.to_string(),
            config.severity.map_or("auto", crate::analysis::Severity::name).to_owned(),
            format!("{}:{}{}", config.file.display(), listing.feed.contents.place(), listing.line),
            listing.comment.unwrap_or("-").to_owned(),
        ]
    }));
    if rows.len() > 1 {
        text.push_str(&table(&rows));
    }
    tell(&mut text, outcome);
    let code = match (outcome.problems.is_empty(), listings.is_empty()) {
        (_, false) => 0,
        (true, true) => NOT_LISTED,
        // It may be listed by what could not be read.
        (false, true) => UNUSABLE,
    };
    (text, code)
}
