//! What is configured of feeds, and loading them: a new file takes the place of the old one, or is doubtful and does not.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use netwatch_common::prefixes::Line;

use super::contents::Contents;
use super::limits::{ENTRIES_IN_ALL, FILE_BYTES_MAX, NARROW4, NARROW6, SHRINK};
use super::set::{self, Prefix};
use super::watcher::Stamp;
use crate::analysis::Severity;

/// A feed as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// What alerts call it.
    pub name: String,
    /// Where its entries are.
    pub file: PathBuf,
    /// Of its alerts; as the rule grades them where there is none.
    pub severity: Option<Severity>,
    /// What alerts say, too.
    pub tags: Vec<String>,
    /// How long after the file was last written to its entries are used.
    pub expires: Option<Duration>,
    /// When its entries are no longer used: as it was written, and as it is meant.
    pub until: Option<(String, Timestamp)>,
    /// Prefixes may be as wide as they like.
    pub allow_wide: bool,
    /// A file that has fewer entries than the one before may have as few as it likes, and none.
    pub allow_empty: bool,
    /// Lines that are not understood are left out, as long as they are not most of them.
    pub skip_bad_lines: bool,
}

impl FeedConfig {
    /// A feed of which nothing is said but its name and its file.
    #[must_use]
    pub fn new(name: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            file: file.into(),
            severity: None,
            tags: Vec::new(),
            expires: None,
            until: None,
            allow_wide: false,
            allow_empty: false,
            skip_bad_lines: false,
        }
    }

    /// When the entries of a file that was written at some time are no longer used.
    pub(super) fn ends(&self, written: Timestamp) -> Option<Timestamp> {
        let by_age = self.expires.and_then(|age| written.checked_add(age).ok());
        by_age.into_iter().chain(self.until.as_ref().map(|(_, end)| *end)).min()
    }

    /// Why the entries of a file that was written at some time are not used at another, for people.
    fn ended(&self, written: Timestamp, now: Timestamp) -> Option<String> {
        self.ends(written).filter(|end| *end <= now)?;
        let path = self.file.display();
        Some(match self.until.as_ref().filter(|(_, end)| *end <= now) {
            Some((until, _)) => {
                format!("{path}: feed {} ended with {until}, and lists nothing any more", self.name)
            }
            None => format!(
                "{path}: feed {} was last written at {written}, which is too long ago: it lists nothing until there is a \
                 new one",
                self.name
            ),
        })
    }
}

/// What no feed can list, whatever it says: private networks, links, groups, this host itself. Feeds of addresses that
/// should not be on the internet have these, and would tell of every packet.
pub const NEVER: [Prefix; 14] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([224, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 127),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

const fn v4(octets: [u8; 4], bits: u8) -> Prefix {
    let [a, b, c, d] = octets;
    Prefix { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
}

const fn v6(words: [u16; 8], bits: u8) -> Prefix {
    let [a, b, c, d, e, f, g, h] = words;
    Prefix { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
}

/// A feed that is loaded.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What is configured.
    pub config: FeedConfig,
    /// What its file holds.
    pub contents: Arc<Contents>,
    /// When the file was last written to.
    pub written: Timestamp,
    /// Whether its entries are used: it has not come to its end.
    pub is_live: bool,
    stamp: Stamp,
}

/// All feeds, as they are in use. It does not change: other feeds are another one.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    feeds: Vec<Feed>,
    never: Vec<Prefix>,
}

/// Where an address is listed.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The number of the feed, in the order in which they are configured.
    pub number: usize,
    /// The feed.
    pub feed: &'a Feed,
    /// The narrowest of its entries that holds the address.
    pub entry: Prefix,
    /// The line of the entry, or its number in a document.
    pub line: u32,
    /// What the line says about it.
    pub comment: Option<&'a str>,
}

/// What has become of loading.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is in use from now on.
    pub loaded: Arc<Loaded>,
    /// Why a feed is as it was before, or is not there: a line each, beginning with file and line.
    pub problems: Vec<String>,
    /// What else somebody should know, likewise.
    pub notes: Vec<String>,
}

impl Loaded {
    /// The feeds, in the order in which they are configured.
    #[must_use]
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// Every feed that lists an address, each with its narrowest entry.
    #[must_use]
    pub fn lookup(&self, addr: IpAddr) -> Vec<Listing<'_>> {
        let addr = addr.to_canonical();
        if self.never.iter().any(|never| never.holds(addr)) {
            return Vec::new();
        }
        let listing = |(number, feed): (usize, &'_ Feed)| {
            let (entry, line, comment) = feed.contents.set.find(addr)?;
            Some((number, entry, line, comment))
        };
        let live = self.feeds.iter().enumerate().filter(|(_, feed)| feed.is_live);
        live.filter_map(|(number, feed)| {
            let (number, entry, line, comment) = listing((number, feed))?;
            Some(Listing { number, feed, entry, line, comment: feed.contents.comment(comment) })
        })
        .collect()
    }

    /// The prefix that keeps an address from being listed, where there is one.
    #[must_use]
    pub fn never(&self, addr: IpAddr) -> Option<Prefix> {
        let addr = addr.to_canonical();
        self.never.iter().copied().find(|never| never.holds(addr))
    }

    /// All of them as the kernel looks them up.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let live = self.feeds.iter().filter(|feed| feed.is_live);
        set::flatten(live.map(|feed| &feed.contents.set), &self.never)
    }

    /// Entries of all feeds that are in use.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.feeds.iter().filter(|feed| feed.is_live).map(|feed| feed.contents.set.len()).sum()
    }
}

/// Loads feeds. What has not changed since `previous` is not read again; what is doubtful stays as it was there. Beside
/// [`NEVER`], nothing of `never` is listed: own addresses, those on the allow-list.
///
/// Blocks while it reads files.
#[must_use]
pub fn load(feeds: &[FeedConfig], never: &[Prefix], previous: Option<&Loaded>, now: Timestamp) -> Outcome {
    let mut outcome = Outcome { loaded: Arc::default(), problems: Vec::new(), notes: Vec::new() };
    let mut loaded = Loaded { feeds: Vec::new(), never: NEVER.iter().chain(never).copied().collect() };
    for config in feeds {
        // What was allowed of a file may not be any more, so that another configuration reads it again.
        let old = previous.and_then(|old| old.feeds.iter().find(|feed| feed.config.file == config.file));
        let same = old.filter(|old| {
            old.config.allow_wide == config.allow_wide && old.config.skip_bad_lines == config.skip_bad_lines
        });
        let unchanged = same.filter(|old| Stamp::of(&config.file) == Some(old.stamp));
        let feed = match unchanged {
            Some(old) => Some(old.clone()),
            None => read_feed(config, same, now, &mut outcome).or_else(|| same.cloned()),
        };
        let Some(mut feed) = feed else { continue };
        feed.config = config.clone();
        let ended = config.ended(feed.written, now);
        // Said once, and not again each time that another feed changes.
        let was_live = unchanged.is_none_or(|old| old.is_live);
        feed.is_live = ended.is_none();
        outcome.notes.extend(ended.filter(|_| was_live));
        if loaded.entries() + feed.contents.set.len() > ENTRIES_IN_ALL {
            let (path, name) = (config.file.display(), &config.name);
            let wrong = format!("all feeds together have more than {ENTRIES_IN_ALL} entries");
            outcome.problems.push(format!("{path}: feed {name} is left out: {wrong}"));
            continue;
        }
        loaded.feeds.push(feed);
    }
    outcome.loaded = Arc::new(loaded);
    outcome
}

/// Reads a feed's file; none where it should not be used.
fn read_feed(config: &FeedConfig, old: Option<&Feed>, now: Timestamp, outcome: &mut Outcome) -> Option<Feed> {
    let path = config.file.display();
    let stays = if old.is_some() { "; what was loaded before stays in use" } else { "" };
    let (bytes, stamp) = match read_file(&config.file) {
        Ok(read) => read,
        Err(wrong) => {
            outcome.problems.push(format!("{path}: {wrong}{stays}"));
            return None;
        }
    };
    let contents = match Contents::read(&bytes, config.allow_wide, now) {
        Ok(contents) => contents,
        Err(wrong) => {
            outcome.problems.push(format!("{path}: {wrong}{stays}"));
            return None;
        }
    };
    if let Err(wrong) = doubt(config, &contents, old) {
        outcome.problems.extend(bad_lines(&config.file, &contents).filter(|_| !config.skip_bad_lines));
        outcome.problems.push(format!("{path}: {wrong}{stays}"));
        return None;
    }
    outcome.notes.extend(worth_knowing(config, &contents));
    Some(Feed {
        config: config.clone(),
        contents: Arc::new(contents),
        written: stamp.written(),
        is_live: true,
        stamp,
    })
}

/// Why a file should not take the place of what was loaded before.
fn doubt(config: &FeedConfig, contents: &Contents, old: Option<&Feed>) -> Result<(), String> {
    let counts = &contents.counts;
    if counts.bad > 0 && !config.skip_bad_lines {
        let lines = if counts.bad == 1 { "line is" } else { "lines are" };
        return Err(format!(
            "feed {}: {} {lines} not understood; mend the file, or write skip_bad_lines = true to leave them out",
            config.name, counts.bad
        ));
    }
    if counts.bad > counts.with_addresses() {
        return Err(format!(
            "feed {}: {} lines are not understood, and {} are: it is something else than a feed",
            config.name,
            counts.bad,
            counts.with_addresses()
        ));
    }
    let (before, entries) = (old.map_or(0, |old| old.contents.set.len()), contents.set.len());
    if !config.allow_empty && before > 0 && entries * SHRINK < before {
        return Err(format!(
            "feed {}: has {entries} entries where it had {before}; write allow_empty = true, or start netwatch again, to take it",
            config.name
        ));
    }
    Ok(())
}

/// What is to be said about a file that is used.
fn worth_knowing(config: &FeedConfig, contents: &Contents) -> Vec<String> {
    let path = config.file.display();
    let counts = &contents.counts;
    let mut notes = Vec::new();
    if counts.bad > 0 {
        notes.extend(bad_lines(&config.file, contents));
        notes.push(format!("{path}: feed {}: {} lines are left out", config.name, counts.bad));
    }
    if let Some((line, prefix)) = contents.wide.first() {
        notes.push(format!(
            "{path}:{}{line}: feed {}: {prefix} is left out{}: nothing wider than /{NARROW4}, or /{NARROW6} in IPv6, without \
             allow_wide = true",
            contents.place(),
            config.name,
            match counts.wide {
                1 => String::new(),
                many => format!(", and {} more", many - 1),
            }
        ));
    }
    if contents.set.is_empty() && !config.allow_empty {
        notes.push(format!("{path}: feed {} has no entries", config.name));
    }
    notes
}

/// The first lines that are not understood, and how many more there are.
pub fn bad_lines<'a>(file: &'a Path, contents: &'a Contents) -> impl Iterator<Item = String> + 'a {
    let path = file.display();
    let place = contents.place();
    let said =
        contents.bad.iter().map(move |(line, wrong)| format!("{}:{place}{line}: {wrong}", file.display()));
    let more = contents.counts.bad - contents.bad.len() as u64;
    said.chain((more > 0).then(|| format!("{path}: {more} more lines are not understood")))
}

/// Reads a whole file, and what tells it from others.
///
/// # Errors
///
/// Why it cannot be read, for people.
pub fn read_file(path: &Path) -> Result<(Vec<u8>, Stamp), String> {
    // A pipe could be read once only, and a device without end.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("is not a regular file".into());
    }
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let size = usize::try_from(metadata.len().min(FILE_BYTES_MAX)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size + 1);
    (&mut file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    Ok((bytes, Stamp::from(&metadata)))
}

#[cfg(test)]
mod tests;
