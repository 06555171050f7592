//! Single values: what is allowed, and what to say where it isn't.

use std::net::IpAddr;

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::layer::Network;
use super::outputs::{SyslogAddress, SyslogTransport};
use crate::analysis::Severity;
use crate::analysis::policy::Prefix;
use crate::analysis::rules::Rule;
use crate::cli::MinSeverity;
use crate::feeds::FeedConfig;
use crate::kernel::limits;
use crate::units;

/// Highest threshold: more than any link carries in the longest window.
const THRESHOLD_MAX: u64 = 1_000_000_000_000;

/// Letters of a feed's name, and of a tag.
const NAME_MAX: usize = 64;

/// A name that an interface can have.
pub(super) fn interface(name: &str) -> Result<String, String> {
    // What Linux' dev_valid_name() allows.
    let valid = !name.is_empty()
        && name.len() < 16
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    if valid { Ok(name.to_owned()) } else { Err(format!("{name:?} cannot be the name of an interface")) }
}

/// A size for the maps, in bytes.
pub(super) fn map_memory(text: &str) -> Result<u64, String> {
    let bytes = units::size(text)?;
    if (limits::MIN_MAP_MEMORY..=limits::MAX_MAP_MEMORY).contains(&bytes) {
        Ok(bytes)
    } else {
        let (min, max) = (limits::MIN_MAP_MEMORY >> 20, limits::MAX_MAP_MEMORY >> 30);
        Err(format!("{text} is out of range; give {min}M to {max}G"))
    }
}

/// A threshold of a rule.
pub(super) fn threshold(text: &str, rule: &Rule) -> Result<u64, String> {
    // One of anything is too little to speak of, but for the rules that say otherwise.
    let least = rule.threshold.min(1);
    let number = text.parse().ok().filter(|number| (least..=THRESHOLD_MAX).contains(number));
    number.ok_or_else(|| {
        let name = rule.name;
        format!("{text:?} is no threshold for {name}; give a whole number from {least} to {THRESHOLD_MAX}")
    })
}

/// One of the words that an option takes.
pub(super) fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        format!("{text:?} is unknown; give one of {}", names.join(", "))
    })
}

/// A severity by its name.
pub(super) const fn severity(name: MinSeverity) -> Severity {
    match name {
        MinSeverity::Info => Severity::Info,
        MinSeverity::Low => Severity::Low,
        MinSeverity::Medium => Severity::Medium,
        MinSeverity::High => Severity::High,
        MinSeverity::Critical => Severity::Critical,
    }
}

/// `192.0.2.0/24`, `2001:db8::/32`, or one address.
pub(super) fn network(text: &str) -> Result<Network, String> {
    let wrong = || format!("{text:?} is no network; write it like 192.0.2.0/24 or 2001:db8::/32");
    let (addr, bits) = match text.split_once('/') {
        Some((addr, bits)) => (addr, Some(bits)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().map_err(|_| wrong())?;
    let most: u8 = if addr.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(|_| wrong())?,
        Some(_) => return Err(wrong()),
    };
    if bits > most {
        return Err(format!("{text:?} is no network; {addr} has {most} bits"));
    }
    // In 128 bits, IPv4 begins at bit 96.
    let prefix = Prefix::new(addr.into(), 128 - most + bits).ok_or_else(wrong)?;
    let first = first_address(addr, bits);
    if first != addr {
        return Err(format!("{text:?} has bits after the first {bits}; write {first}/{bits}"));
    }
    Ok(Network { text: format!("{addr}/{bits}"), prefix })
}

/// A name that a feed can have.
pub(super) fn feed_name(text: &str) -> Result<String, String> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let is_name = (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(is_letter);
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        format!("{text:?} cannot be the name of a feed; write up to {NAME_MAX} of a-z, 0-9, dot, dash and underscore")
    })
}

/// What a feed is tagged with.
pub(super) fn tag(text: &str) -> Result<String, String> {
    let is_tag = (1..=NAME_MAX).contains(&text.chars().count()) && !text.contains(char::is_control);
    is_tag
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} is no tag; write up to {NAME_MAX} letters"))
}

/// A feed as an option has it: `NAME=FILE`.
pub(super) fn feed(text: &str) -> Result<FeedConfig, String> {
    match text.split_once('=') {
        Some((name, file)) if !file.is_empty() => Ok(FeedConfig::new(feed_name(name)?, file)),
        _ => Err(format!("{text:?} is no feed; write NAME=FILE")),
    }
}

/// A name that an output can have.
pub(super) fn output_name(text: &str) -> Result<String, String> {
    feed_name(text).map_err(|wrong| wrong.replace("a feed", "an output"))
}

/// Where a receiver of syslog listens: `udp://host`, `tcp://192.0.2.1:601`, `tls://[2001:db8::1]:6514`.
pub(super) fn syslog_address(text: &str) -> Result<SyslogAddress, String> {
    let wrong = || {
        format!(
            "{text:?} is no address of syslog; write it like udp://192.0.2.1:514 or tls://logs.example.net:6514"
        )
    };
    let (scheme, place) = text.split_once("://").ok_or_else(wrong)?;
    let (transport, usual) = match scheme {
        "udp" => (SyslogTransport::Udp, 514),
        "tcp" => (SyslogTransport::Tcp, 601),
        "tls" => (SyslogTransport::Tls, 6514),
        _ => return Err(wrong()),
    };
    let (host, port) = host_and_port(place).ok_or_else(wrong)?;
    Ok(SyslogAddress { transport, host, port: port.unwrap_or(usual) })
}

/// Where something is posted to. It is not told again what was given: there may be a secret in it.
pub(super) fn url(text: &str) -> Result<String, String> {
    let wrong = || "is no URL; write it like https://hooks.example.net/netwatch".to_owned();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(wrong)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must have no name or password in it; they would be shown where the URL is".into());
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte));
    host_and_port(authority).filter(|_| is_plain).ok_or_else(wrong)?;
    Ok(text.to_owned())
}

/// A name or an address, without brackets, and a port.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let port = |digits: &str| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|port| is_number && *port > 0)
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<core::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            None => rest.is_empty().then(|| (host.to_owned(), None)),
            Some(digits) => Some((host.to_owned(), Some(port(digits)?))),
        };
    }
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, digits)) => (host, Some(port(digits)?)),
    };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_host = (1..=253).contains(&host.len()) && host.bytes().all(is_letter);
    is_host.then(|| (host.to_owned(), port))
}

/// When something ends: a time with its offset, or a date, of which the whole day is meant, in UTC.
pub(super) fn until(text: &str) -> Result<(String, Timestamp), String> {
    let wrong = || format!("{text:?} is no time; write it like 2026-12-31 or 2026-12-31T18:00:00Z");
    let end = if text.len() == 10 {
        let day: Date = text.parse().map_err(|_| wrong())?;
        let next = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC)).map_err(|_| wrong())?;
        next.timestamp()
    } else {
        text.parse().map_err(|_| wrong())?
    };
    Ok((text.to_owned(), end))
}

fn first_address(addr: IpAddr, bits: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, expect) in [
            ("192.0.2.0/24", Ok("192.0.2.0/24")),
            ("192.0.2.7", Ok("192.0.2.7/32")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:DB8:0::/48", Ok("2001:db8::/48")),
            ("::/0", Ok("::/0")),
            ("192.0.2.1/24", Err("write 192.0.2.0/24")),
            ("2001:db8::1/64", Err("write 2001:db8::/64")),
            ("192.0.2.0/33", Err("has 32 bits")),
            ("192.0.2.0/", Err("is no network")),
            ("192.0.2.0/+8", Err("is no network")),
            ("192.0.2/24", Err("is no network")),
            ("2001:db8::/999", Err("is no network")),
            ("", Err("is no network")),
        ] {
            match (network(text), expect) {
                (Ok(network), Ok(expect)) => assert_eq!(network.text, expect),
                (Err(wrong), Err(says)) => assert!(wrong.contains(says), "{text}: {wrong}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        let v4 = network("192.0.2.0/24").unwrap().prefix;
        let contains = |text: &str| v4.contains(text.parse::<IpAddr>().unwrap().into());
        assert!(contains("192.0.2.255") && !contains("192.0.3.0"));
    }

    #[test]
    fn ends() {
        for (text, expect) in [
            ("2026-12-31", Some("2027-01-01T00:00:00Z")),
            ("2026-12-31T18:00:00Z", Some("2026-12-31T18:00:00Z")),
            ("2026-12-31T18:00:00+02:00", Some("2026-12-31T16:00:00Z")),
            ("2026-12-31T18:00:00", None),
            ("2026-02-30", None),
            ("9999-12-31", None),
            ("tomorrow", None),
        ] {
            assert_eq!(until(text).ok().map(|(_, end)| end.to_string()).as_deref(), expect, "{text}");
        }
    }
}
