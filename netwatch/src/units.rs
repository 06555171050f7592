//! Durations, sizes and services as people write them.

use std::time::Duration;

use netwatch_common::Proto;

use crate::analysis::expected::ServiceRange;
use crate::nearest::nearest;

/// Reads `90`, `90s`, `1.5m`, `500ms`, `1h`, `30d`; a bare number is seconds.
///
/// # Errors
///
/// A sentence that says what is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; write it like 500ms, 60s, 5m or 1h");
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// Reads `1048576`, `512K`, `64M`, `2G`, with or without `iB` or `B` behind; the units are powers of 1024.
///
/// # Errors
///
/// A sentence that says what is wrong with it.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size; write it like 512K, 64M or 2G");
    let (number, unit) = split(text);
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Reads `tcp/22`, `udp/53`, `tcp/8000-8010`; a bare port is one of TCP.
///
/// # Errors
///
/// A sentence that says what is wrong with it, and what may have been meant.
pub fn service(text: &str) -> Result<ServiceRange, String> {
    let wrong = || format!("{text:?} is no service; write it like tcp/22, udp/53 or tcp/8000-8010");
    let (name, ports) = text.split_once('/').unwrap_or(("tcp", text));
    let is_number = |part: &str| part.starts_with(|letter: char| letter.is_ascii_digit());
    let proto = match name {
        "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        port if is_number(port) && ["tcp", "udp"].contains(&ports) => {
            return Err(format!("{text:?} is no service; did you mean \"{ports}/{port}\"?"));
        }
        name => {
            let near = nearest(&name.to_lowercase(), ["tcp", "udp"])
                .filter(|_| is_number(ports))
                .ok_or_else(wrong)?;
            return Err(format!("{text:?} is no service; did you mean \"{near}/{ports}\"?"));
        }
    };
    let port = |part: &str| {
        let digits =
            Some(part).filter(|part| !part.is_empty() && part.bytes().all(|one| one.is_ascii_digit()));
        let number = digits.ok_or_else(wrong)?.parse().ok().filter(|port: &u16| *port > 0);
        number.ok_or_else(|| format!("{text:?} is no service: ports are 1 to 65535"))
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("{text:?} ends before it begins; write {name}/{last}-{first}"));
    }
    Ok(ServiceRange { proto, first, last })
}

/// Number and unit.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("60s", 60_000),
            ("60", 60_000),
            ("500ms", 500),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "1 fortnight", "-5s", "1e9s", "nan", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn services() {
        for (text, shown) in [
            ("22", "tcp/22"),
            ("tcp/22", "tcp/22"),
            ("udp/53", "udp/53"),
            ("8000-8010", "tcp/8000-8010"),
            ("udp/1-65535", "udp/1-65535"),
            ("tcp/7-7", "tcp/7"),
        ] {
            assert_eq!(service(text).unwrap().to_string(), shown, "{text}");
        }
        for (text, says) in [
            ("", "write it like tcp/22"),
            ("ssh", "write it like tcp/22"),
            ("tcp/ssh", "write it like tcp/22"),
            ("tcp/", "write it like"),
            ("tcp/22-", "write it like"),
            ("tcp/+22", "write it like"),
            ("tcp/22,23", "write it like"),
            ("sctp/ssh", "write it like"),
            ("tcp/0", "ports are 1 to 65535"),
            ("tcp/65536", "ports are 1 to 65535"),
            ("tpc/22", "did you mean \"tcp/22\"?"),
            ("UDP/53", "did you mean \"udp/53\"?"),
            ("22/tcp", "did you mean \"tcp/22\"?"),
            ("udp/9-7", "write udp/7-9"),
        ] {
            let wrong = service(text).unwrap_err();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("1", 1), ("2K", 2048), ("64M", 64 << 20), ("64MiB", 64 << 20), ("2GB", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1.5M", "-1", "1T", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
