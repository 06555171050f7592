//! Lines of feeds, in the formats that people really use. What a line is, is told by what it holds, and not by the file's
//! name: a feed may change its format, and several may have been put together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

/// What a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// Nothing, or a comment.
    Blank,
    /// The names of columns.
    Header,
    /// Something else that feeds list, or say about themselves: a domain, an URL, an autonomous system, a date.
    Other,
    /// Addresses.
    Range(Range, Form, Comment<'a>),
}

/// All addresses from one to another, both of the same IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub first: IpAddr,
    pub last: IpAddr,
    /// Whether it was written as a prefix that begins with another address than was written.
    pub is_masked: bool,
}

/// What a line says about its addresses.
pub(super) type Comment<'a> = std::borrow::Cow<'a, str>;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// An address or a prefix, and what follows.
    Plain,
    /// Two addresses with a dash between.
    Range,
    /// Columns between commas.
    Csv,
    /// Columns between bars.
    Bars,
    /// Columns between tabs: first address, last address, length.
    Block,
    /// An object of JSON.
    Json,
    /// A document of JSON: a list.
    JsonList,
    /// A bundle of STIX 2.1.
    Stix,
    /// An event of MISP.
    Misp,
}

impl Form {
    /// What `netwatch feeds check` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Range => "ranges",
            Self::Csv => "csv",
            Self::Bars => "bars",
            Self::Block => "dshield",
            Self::Json => "json lines",
            Self::JsonList => "json",
            Self::Stix => "stix",
            Self::Misp => "misp",
        }
    }
}

/// Keys of JSON that have an address, in the order in which they are looked for.
const ADDRESS_KEYS: [&str; 8] =
    ["cidr", "ip_address", "ip", "dst_ip", "ioc_value", "value", "ioc", "address"];
/// Keys that say something about it.
const COMMENT_KEYS: [&str; 6] =
    ["malware", "malware_printable", "sblid", "threat_type", "description", "comment"];
/// What a column of other indicators says that it is.
const OTHER_KINDS: [&str; 9] = [
    "domain",
    "url",
    "hostname",
    "md5_hash",
    "sha1_hash",
    "sha256_hash",
    "sha3_384_hash",
    "email",
    "envelope_from",
];
/// Parts of names that a column of addresses has.
const ADDRESS_COLUMNS: [&str; 6] = ["ip", "addr", "cidr", "ioc", "network", "indicator"];
/// What of a line that is not understood is shown, in characters.
const SHOWN: usize = 40;

/// Reads a line; `is_first` says that only blank lines and comments came before. An error says what is wrong, for people.
pub(super) fn line(text: &str, is_first: bool) -> Result<Item<'_>, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with(['#', ';']) || text.starts_with("//") {
        return Ok(Item::Blank);
    }
    // Most lines are no more than this.
    if let Some(range) = prefix(text) {
        return Ok(Item::Range(range, Form::Plain, Comment::Borrowed("")));
    }
    if text.starts_with('{') {
        return json(text);
    }
    if let Some(item) = block(text) {
        return Ok(item);
    }
    let (token, rest) = text.split_at(text.find([' ', '\t', ';', '#', '|', ',']).unwrap_or(text.len()));
    if !rest.trim_start().starts_with([',', '-'])
        && let Some(range) = prefix(token)
    {
        let comment = rest.trim_matches(|c: char| c.is_whitespace() || matches!(c, ';' | '#' | '|'));
        return Ok(Item::Range(range, Form::Plain, Comment::Borrowed(comment)));
    }
    if let Some(item) = dash(text) {
        return Ok(item);
    }
    if text.contains(',') {
        return columns(text, &csv(text), Form::Csv, is_first);
    }
    if text.contains('|') {
        return columns(text, &text.split('|').map(str::trim).collect::<Vec<_>>(), Form::Bars, is_first);
    }
    if is_first && text.starts_with("Start\t") {
        return Ok(Item::Header);
    }
    Err(format!("{} is no address, prefix or range", shown(token)))
}

/// `192.0.2.1`, `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `192.0.2.1:443`, `192.0.2.1|443`, `[2001:db8::1]:443`.
pub(super) fn prefix(text: &str) -> Option<Range> {
    // A look at the first letter, because most columns are something else.
    if !text.starts_with(|c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '[')) {
        return None;
    }
    if let Some((addr, length)) = text.split_once('/') {
        let addr: IpAddr = addr.parse().ok()?;
        return of_prefix(addr, bits(addr, length)?);
    }
    if let Ok(addr) = text.parse::<IpAddr>() {
        return of_prefix(addr, most_bits(addr));
    }
    let (addr, port) = text.rsplit_once([':', '|'])?;
    if port.is_empty() || port.parse::<u16>().is_err() {
        return None;
    }
    let addr = match addr.strip_prefix('[').and_then(|addr| addr.strip_suffix(']')) {
        Some(addr) => IpAddr::V6(addr.parse().ok()?),
        None => IpAddr::V4(addr.parse().ok()?),
    };
    of_prefix(addr, most_bits(addr))
}

const fn most_bits(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

/// A length, or a mask of IPv4.
fn bits(addr: IpAddr, length: &str) -> Option<u8> {
    if !length.is_empty() && length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit()) {
        return length.parse().ok().filter(|bits| *bits <= most_bits(addr));
    }
    let mask: Ipv4Addr = length.parse().ok().filter(|_| addr.is_ipv4())?;
    let ones = mask.to_bits().leading_ones();
    let is_mask = mask.to_bits().checked_shl(ones).unwrap_or(0) == 0;
    is_mask.then(|| u8::try_from(ones).ok()).flatten()
}

/// All addresses with the same first bits.
pub(super) fn of_prefix(addr: IpAddr, bits: u8) -> Option<Range> {
    let (addr, bits) = match (addr, addr.to_canonical()) {
        // IPv4 written as IPv6.
        (IpAddr::V6(_), mapped @ IpAddr::V4(_)) if bits >= 96 => (mapped, bits - 96),
        _ => (addr, bits),
    };
    Some(match addr {
        IpAddr::V4(addr) => {
            let behind = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            let first = addr.to_bits() & !behind;
            Range {
                first: Ipv4Addr::from_bits(first).into(),
                last: Ipv4Addr::from_bits(first | behind).into(),
                is_masked: first != addr.to_bits(),
            }
        }
        IpAddr::V6(addr) => {
            let behind = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
            let first = addr.to_bits() & !behind;
            Range {
                first: Ipv6Addr::from_bits(first).into(),
                last: Ipv6Addr::from_bits(first | behind).into(),
                is_masked: first != addr.to_bits(),
            }
        }
    })
}

/// Two addresses in order.
fn range(first: IpAddr, last: IpAddr) -> Option<Range> {
    let same = first.is_ipv4() == last.is_ipv4();
    (same && first <= last).then_some(Range { first, last, is_masked: false })
}

/// An address as it stands in ranges: numbers may have zeros in front, and are decimal all the same.
fn padded(text: &str) -> Option<IpAddr> {
    if let Ok(addr) = text.parse() {
        return Some(addr);
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        *octet = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

/// `a - b`, `name:a-b`, or `a - b , level , name`.
fn dash(text: &str) -> Option<Item<'_>> {
    let (addresses, rest) = text.split_once(',').unwrap_or((text, ""));
    // Names can have dashes and colons, so the last ones count.
    let (first, last) = addresses.rsplit_once('-')?;
    let last = padded(last.trim())?;
    let (name, first) = match padded(first.trim()) {
        Some(first) => ("", first),
        None => {
            let (name, first) = first.rsplit_once(':')?;
            (name, padded(first.trim())?)
        }
    };
    let name = if name.is_empty() { rest.rsplit(',').next().unwrap_or("") } else { name };
    Some(Item::Range(range(first, last)?, Form::Range, Comment::Borrowed(name.trim())))
}

/// First and last address and length, between tabs, and then the name of the network and where it is.
fn block(text: &str) -> Option<Item<'_>> {
    let mut fields = text.split('\t').map(str::trim);
    let (first, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    bits(first, fields.next()?)?;
    let name = fields.nth(1).unwrap_or("");
    Some(Item::Range(range(first, last)?, Form::Block, Comment::Borrowed(name)))
}

/// The first column that is an address; the last one is what is said about it.
fn columns<'a>(text: &str, fields: &[&'a str], form: Form, is_first: bool) -> Result<Item<'a>, String> {
    if let Some((at, range)) = fields.iter().enumerate().find_map(|(at, field)| Some((at, prefix(field)?))) {
        let comment = fields.iter().skip(at + 1).next_back().copied().unwrap_or("");
        return Ok(Item::Range(range, form, Comment::Borrowed(comment)));
    }
    if fields.iter().any(|field| OTHER_KINDS.contains(field)) {
        return Ok(Item::Other);
    }
    let is_name = |field: &&str| {
        field.starts_with(|c: char| c.is_ascii_alphabetic())
            && field.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' '))
    };
    let is_of_addresses = |field: &&str| {
        let name = field.to_ascii_lowercase();
        ADDRESS_COLUMNS.iter().any(|part| name.contains(part))
    };
    if is_first && fields.iter().all(is_name) && fields.iter().any(is_of_addresses) {
        return Ok(Item::Header);
    }
    Err(format!("no column of {} is an address, prefix or range", shown(text)))
}

/// Fields between commas, in quotes or not, with blanks around them or not.
fn csv(text: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let (field, behind) = match rest.strip_prefix('"') {
            // A doubled quote inside stays as it is: it ends one field and begins another, and neither is an address.
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        fields.push(field.trim());
        match behind.split_once(',') {
            Some((_, next)) => rest = next,
            None => return fields,
        }
    }
}

/// One object of JSON in a line.
fn json(text: &str) -> Result<Item<'_>, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("is no JSON: {}", wrong(&error)))?;
    object_item(&object, Form::Json)
}

/// What is wrong with JSON; its place is told otherwise.
pub(super) fn wrong(error: &serde_json::Error) -> String {
    let says = error.to_string();
    says.split(" at line ").next().unwrap_or_default().to_owned()
}

/// What an object has of an address.
pub(super) fn object_item(object: &Map<String, Value>, form: Form) -> Result<Item<'static>, String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    if text("type") == Some("metadata") {
        return Ok(Item::Other);
    }
    if text("ioc_type").or_else(|| text("type")).is_some_and(|kind| OTHER_KINDS.contains(&kind)) {
        return Ok(Item::Other);
    }
    let Some((key, value)) = ADDRESS_KEYS.iter().find_map(|key| Some((*key, text(key)?))) else {
        if object.contains_key("asn") {
            return Ok(Item::Other);
        }
        return Err(format!("has none of {}", ADDRESS_KEYS.join(", ")));
    };
    let range =
        prefix(value.trim()).ok_or_else(|| format!("{key}: {} is no address or prefix", shown(value)))?;
    let comment = COMMENT_KEYS.iter().find_map(|key| text(key)).unwrap_or_default();
    Ok(Item::Range(range, form, Comment::Owned(comment.to_owned())))
}

/// What a file says, in quotes, shortened, and without anything that a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(SHOWN).collect();
    let more = if letters.next().is_some() { "..." } else { "" };
    format!("{start:?}{more}")
}

#[cfg(test)]
mod tests;
