//! What stands behind the question mark of a request.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::Uri;
use jiff::Timestamp;

use super::answer::Refusal;
use crate::analysis::Severity;
use crate::nearest::nearest;
use crate::report::history::PAGE_MAX;
use crate::report::{Life, Time};
use crate::{guide, units};

/// Items of an answer unless said otherwise.
const LIMIT: usize = 100;
/// Letters of the longest name of an interface.
const INTERFACE: usize = 15;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pairs: Vec<(String, String)>,
}

impl Asked {
    /// Reads them; each is to be one of `known`, and to be there once at most.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        Self::of(pairs(uri.query().unwrap_or(""))?, known)
    }

    fn of(found: Vec<(String, String)>, known: &[&str]) -> Result<Self, Refusal> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (key, value) in found {
            if !known.contains(&&*key) {
                return Err(unknown(&key, known));
            }
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(Refusal::wrong(format!("{key}: give it once")));
            }
            pairs.push((key, value));
        }
        Ok(Self { pairs })
    }

    /// Those of a form, in which a plus is a space and what is empty was not asked.
    pub fn filled(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        let query = uri.query().unwrap_or("").replace('+', " ");
        let mut asked = Self::of(pairs(&query)?, known)?;
        asked.pairs.retain(|(_, value)| !value.trim().is_empty());
        Ok(asked)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == key).map(|(_, value)| &**value)
    }

    fn one<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Option<T>,
        how: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(key) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| Refusal::wrong(format!("{key}: {text:?} is not right; {how}")))
    }

    /// A time, or how long ago that is.
    pub fn time(&self, key: &str, now: Timestamp) -> Result<Option<Time>, Refusal> {
        let read = |text: &str| {
            let ago = || now.checked_sub(units::duration(text).ok()?).ok();
            text.parse().ok().or_else(ago).map(Time)
        };
        self.one(key, read, "give a time like 2026-11-21T18:00:00Z, or how long ago like 15m, 1h or 7d")
    }

    /// How long something is.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>, Refusal> {
        self.one(key, |text| units::duration(text).ok(), "give a time like 90s, 15m or 1h")
    }

    pub fn severity(&self, key: &str) -> Result<Option<Severity>, Refusal> {
        let read = |text: &str| Severity::ALL.into_iter().find(|severity| severity.name() == text);
        self.one(key, read, "give info, low, medium, high or critical")
    }

    pub fn address(&self, key: &str) -> Result<Option<IpAddr>, Refusal> {
        self.one(key, address, "give one address like 192.0.2.1 or 2001:db8::1")
    }

    pub fn rule(&self, key: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let rule = guide::find(text).map_err(|wrong| Refusal::wrong(format!("{key}: {wrong}")))?;
        Ok(Some(rule.name().to_owned()))
    }

    pub fn interface(&self, key: &str) -> Result<Option<String>, Refusal> {
        let is_name = |text: &&str| {
            !text.is_empty() && text.len() <= INTERFACE && !text.contains(|letter: char| letter.is_control())
        };
        self.one(key, |text| Some(text).filter(is_name).map(str::to_owned), "give the name of an interface")
    }

    pub fn state(&self, key: &str) -> Result<Option<Life>, Refusal> {
        let read = |text: &str| [Life::Open, Life::Closed].into_iter().find(|life| life.name() == text);
        self.one(key, read, "give open or closed")
    }

    pub fn yes(&self, key: &str) -> Result<Option<bool>, Refusal> {
        self.one(key, |text| text.parse().ok(), "give true or false")
    }

    pub fn cursor(&self) -> Result<Option<u64>, Refusal> {
        self.one("cursor", |text| text.parse().ok(), "give what the answer before had as `next`")
    }

    pub fn limit(&self) -> Result<usize, Refusal> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        Ok(self.one("limit", read, &format!("give 1 to {PAGE_MAX}"))?.unwrap_or(LIMIT))
    }
}

/// An address that has no port and no network behind it. One of IPv4 that is written as IPv6 is taken for what it is.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Keys and values, decoded.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let one = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(key)?, decode(value)?))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(one).collect()
}

fn unknown(key: &str, known: &[&str]) -> Refusal {
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    // What was sent may be as long as it likes; what is told of it is not.
    let key: String = key.chars().take(64).collect();
    Refusal::wrong(format!("unknown parameter {key:?}; {hint}"))
}

/// Undoes `%41` and `+`.
fn decode(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let pair = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
                pair.ok_or_else(|| {
                    Refusal::wrong("a % in a parameter must have two hexadecimal digits behind it")
                })?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| Refusal::wrong("parameters must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, known: &[&str]) -> Result<Asked, Refusal> {
        Asked::read(&format!("/x?{query}").parse().unwrap(), known)
    }

    #[test]
    fn parameters_are_decoded_and_checked() {
        let known = ["since", "src", "rule", "limit", "cursor", "state", "severity", "interface"];
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let query =
            "since=1h&src=2001%3Adb8::1&rule=scan.vertical&limit=7&state=open&severity=high&interface=eth%30";
        let all = asked(query, &known).unwrap();
        assert_eq!(all.time("since", now).unwrap().unwrap().to_string(), "2026-11-21T11:00:00.000000Z");
        assert_eq!(all.address("src").unwrap().unwrap().to_string(), "2001:db8::1");
        assert_eq!(all.rule("rule").unwrap().unwrap(), "scan.vertical");
        assert_eq!((all.limit().unwrap(), all.cursor().unwrap()), (7, None));
        assert_eq!(all.state("state").unwrap(), Some(Life::Open));
        assert_eq!(all.severity("severity").unwrap(), Some(Severity::High));
        assert_eq!(all.interface("interface").unwrap().unwrap(), "eth0");
        let absolute = asked("since=2026-11-21T10:00:00%2B01:00", &known).unwrap();
        assert_eq!(absolute.time("since", now).unwrap().unwrap().to_string(), "2026-11-21T09:00:00.000000Z");
        assert_eq!(asked("", &known).unwrap().limit().unwrap(), 100);
        for (query, says) in [
            ("sicne=1h", "did you mean \"since\"?"),
            ("q=1", "there are since, src"),
            ("limit=1&limit=2", "limit: give it once"),
            ("src=%zz", "two hexadecimal digits"),
            ("src=%c3%28", "must be UTF-8"),
            ("src=%", "two hexadecimal digits"),
        ] {
            let refusal = asked(query, &known).unwrap_err();
            assert!(refusal.text.contains(says), "{query}: {}", refusal.text);
        }
        let bad = asked(
            "since=then&src=a&rule=scan.horizon&limit=0&cursor=-1&state=new&severity=loud&interface=",
            &known,
        )
        .unwrap();
        for refusal in [
            bad.time("since", now).unwrap_err(),
            bad.address("src").unwrap_err(),
            bad.rule("rule").unwrap_err(),
            bad.limit().unwrap_err(),
            bad.cursor().unwrap_err(),
            bad.state("state").unwrap_err(),
            bad.severity("severity").unwrap_err(),
            bad.interface("interface").unwrap_err(),
        ] {
            assert!(
                refusal.text.contains("give") || refusal.text.contains("did you mean"),
                "{}",
                refusal.text
            );
        }
    }
}
