//! What somebody looks for in incidents, from the address of the page; and addresses of pages from that.

use axum::http::Uri;
use jiff::Timestamp;

use crate::guide;
use crate::report::history::Order;
use crate::report::{IncidentQuery, Network};
use crate::web::answer::Refusal;
use crate::web::past::ID;
use crate::web::query::Asked;

/// Parameters of the page.
const KNOWN: [&str; 9] =
    ["q", "state", "severity", "rule", "interface", "since", "acknowledged", "order", "cursor"];
/// Incidents on one page.
const LIMIT: usize = 100;
/// Most words that are looked for, and most letters of all of them.
const WORDS: (usize, usize) = (5, 100);

/// What is looked for.
#[derive(Debug)]
pub(super) struct Search {
    asked: Asked,
    /// The question.
    pub query: IncidentQuery,
    /// What may be the name of one incident.
    pub id: Option<String>,
    /// How the words of the search were taken, for people; empty where there are none.
    pub taken: String,
}

impl Search {
    /// Reads it. What is left empty in a form does not matter.
    pub fn read(uri: &Uri) -> Result<Self, Refusal> {
        let asked = Asked::filled(uri, &KNOWN)?;
        let order = match asked.text("order") {
            None | Some("worst") => Order::Worst,
            Some("newest") => Order::Newest,
            Some(other) => {
                return Err(Refusal::wrong(format!("order: {other:?} is not right; give worst or newest")));
            }
        };
        let mut query = IncidentQuery {
            since: asked.time("since", Timestamp::now())?,
            rule: asked.rule("rule")?,
            min_severity: asked.severity("severity")?,
            interface: asked.interface("interface")?,
            state: asked.state("state")?,
            acknowledged: asked.yes("acknowledged")?,
            order,
            cursor: asked.cursor()?,
            limit: LIMIT,
            ..IncidentQuery::default()
        };
        let text = asked.text("q").unwrap_or("").trim();
        let (mut id, mut taken) = (None, String::new());
        if let Some(network) = Network::read(text) {
            let what = if network.is_one() { "an address" } else { "a network" };
            taken = format!("{what}, of a source or a destination");
            query.near = Some(network);
        } else if let Ok(rule) = guide::find(text) {
            taken = "a rule".into();
            query.rule = Some(rule.name().into());
        } else if !text.is_empty() {
            if text.chars().count() > WORDS.1 {
                return Err(Refusal::wrong(format!("q: give at most {} letters", WORDS.1)));
            }
            query.words = text.split_whitespace().map(str::to_owned).collect();
            if query.words.len() > WORDS.0 {
                return Err(Refusal::wrong(format!("q: give at most {} words", WORDS.0)));
            }
            taken = "words of the sentence, in the newest 20,000 incidents".into();
            let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            if text.len() <= ID && text.contains('-') && text.chars().all(is_letter) {
                id = Some(text.to_owned());
            }
        }
        Ok(Self { asked, query, id, taken })
    }

    /// What a field holds.
    pub fn text(&self, key: &str) -> &str {
        self.asked.text(key).unwrap_or("")
    }

    /// Whether anything is left out.
    pub fn is_filtered(&self) -> bool {
        KNOWN.iter().any(|key| !["order", "cursor"].contains(key) && !self.text(key).is_empty())
    }

    /// The address of the same page from another place on.
    pub fn at(&self, cursor: Option<u64>) -> String {
        let cursor = cursor.map(|cursor| cursor.to_string()).unwrap_or_default();
        let value = |key| if key == "cursor" { &*cursor } else { self.text(key) };
        path("/incidents", KNOWN.into_iter().map(|key| (key, value(key))))
    }
}

/// A path with parameters, without those that are empty.
pub(super) fn path<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = path.to_owned();
    let mut lead = '?';
    for (key, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        text.push(lead);
        text.push_str(key);
        text.push('=');
        text.push_str(&encoded(value));
        lead = '&';
    }
    text
}

/// A value as it may stand in an address.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(query: &str) -> Search {
        Search::read(&format!("/incidents?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn what_is_looked_for_decides_how() {
        let near = |query: &str| search(query).query.near.map(|near| (near.addr.to_string(), near.bits));
        assert_eq!(near("q=192.0.2.1"), Some(("192.0.2.1".into(), 32)));
        assert_eq!(near("q=+192.0.2.0%2F24+"), Some(("192.0.2.0".into(), 24)));
        assert_eq!(near("q=2001:db8::/64"), Some(("2001:db8::".into(), 64)));
        assert_eq!(search("q=scan.vertical").query.rule.as_deref(), Some("scan.vertical"));
        let words = search("q=probed+ports");
        assert_eq!((words.query.words, words.id), (vec!["probed".to_owned(), "ports".to_owned()], None));
        assert_eq!(search("q=6a20b3a6-1f4c-1").id.as_deref(), Some("6a20b3a6-1f4c-1"));
        let nothing = search("q=&state=&rule=&since=");
        assert_eq!((nothing.is_filtered(), nothing.query.state), (false, None));
        let long = format!("/incidents?q={}", "x".repeat(101));
        assert!(Search::read(&long.parse().unwrap()).is_err());
        assert!(Search::read(&"/incidents?q=a+b+c+d+e+f".parse().unwrap()).is_err());
        assert!(Search::read(&"/incidents?order=changed".parse().unwrap()).is_err());
    }

    #[test]
    fn pages_keep_what_was_looked_for() {
        let search = search("q=a%26b+%22c&state=open&cursor=7&rule=");
        assert_eq!(search.at(Some(9)), "/incidents?q=a%26b%20%22c&state=open&cursor=9");
        assert_eq!(search.at(None), "/incidents?q=a%26b%20%22c&state=open");
    }
}
