//! Incidents as a reader of alerts sees them: each opened once, closed once, and consistent in between.

use std::collections::BTreeMap;

use serde_json::Value;

/// All that was told of one incident.
#[derive(Debug)]
pub struct Incident {
    /// The first line.
    pub open: Value,
    /// The last line.
    pub close: Value,
}

/// What one incident must say: the rule and whom it is about, the techniques, and how much it came to at the most.
pub fn told(what: impl AsRef<str>, techniques: &[&str], peak: u64) -> String {
    format!("{} by {}: {peak}", what.as_ref(), techniques.join(" and "))
}

impl Incident {
    /// A key of the alert's context, of its last line.
    pub fn context(&self, key: &str) -> &Value {
        &self.close["alert"]["context"][key]
    }

    /// The rule and whom it is about: a source, or after an arrow a destination, perhaps with its port.
    pub fn what(&self) -> String {
        let rule = self.context("rule").as_str().expect("a rule");
        match (self.close["src_ip"].as_str(), self.close["dest_ip"].as_str(), &self.close["dest_port"]) {
            (Some(source), ..) => format!("{rule} {source}"),
            (None, Some(dest), Value::Null) => format!("{rule} -> {dest}"),
            (None, Some(dest), port) => format!("{rule} -> {dest}:{port}"),
            (None, None, _) => rule.to_owned(),
        }
    }

    /// The techniques named, none where there are none.
    pub fn techniques(&self) -> Vec<&str> {
        let names = self.context("techniques").as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().map(|name| name.as_str().expect("a name")).collect()
    }

    /// How much there was at the most.
    pub fn peak(&self) -> u64 {
        self.context("peak").as_u64().expect("a number")
    }

    /// How severe it was in the end.
    pub fn severity(&self) -> &str {
        self.context("severity").as_str().expect("a severity")
    }

    /// What it says of itself.
    pub fn told(&self) -> String {
        told(self.what(), &self.techniques(), self.peak())
    }
}

/// The incidents that alerts tell of, sorted by what they are about.
///
/// An open alert may come early, when the threshold was just crossed, so the numbers of the whole are those of the
/// last line; that each incident has one open, one close and numbers that only grow is checked here.
#[track_caller]
pub fn incidents(alerts: &[Value]) -> Vec<Incident> {
    let mut lives: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for alert in alerts {
        let id = alert["alert"]["context"]["incident"].as_str().expect("an incident");
        lives.entry(id).or_default().push(alert);
    }
    let mut incidents: Vec<_> = lives.values().map(|life| one(life)).collect();
    incidents.sort_by_key(Incident::what);
    incidents
}

#[track_caller]
fn one(life: &[&Value]) -> Incident {
    let states: Vec<_> = life.iter().map(|line| line["alert"]["context"]["state"].as_str()).collect();
    let [Some("open"), between @ .., Some("close")] = &states[..] else { panic!("{states:?}: {life:#?}") };
    assert!(between.iter().all(|state| *state == Some("update")), "{states:?}: {life:#?}");
    let incident = Incident { open: life[0].clone(), close: life[life.len() - 1].clone() };
    let number = |line: &Value, key: &str| line["alert"]["context"][key].as_u64().expect(key);
    let (observed, threshold) = (number(&incident.open, "observed"), number(&incident.open, "threshold"));
    assert!(observed > threshold, "opened at {observed} of {threshold}: {life:#?}");
    assert!(incident.peak() >= observed, "{life:#?}");
    // Of a network's hosts, `src_ip` names one as long as there is only one.
    let same = |key: &str| incident.open.get(key) == incident.close.get(key);
    assert!(["dest_ip", "in_iface"].into_iter().all(same), "{life:#?}");
    // Who is listed may be told after a first packet, and go to other ports then: the last line names the last one.
    let has_more = incident.context("rule") == "ioc.ip";
    assert!(same("dest_port") || has_more, "{life:#?}");
    assert_eq!(incident.open["alert"]["context"]["source"], *incident.context("source"), "{life:#?}");
    incident
}

/// What the incidents in alerts are about, sorted.
#[track_caller]
pub fn named(alerts: &[Value]) -> Vec<String> {
    incidents(alerts).iter().map(Incident::what).collect()
}

/// Compares the incidents in alerts with those expected, in any order.
#[track_caller]
pub fn expect(alerts: &[Value], mut expected: Vec<String>) {
    let mut told: Vec<_> = incidents(alerts).iter().map(Incident::told).collect();
    told.sort();
    expected.sort();
    let missing: Vec<_> = expected.iter().filter(|one| !told.contains(one)).collect();
    let surplus: Vec<_> = told.iter().filter(|one| !expected.contains(one)).collect();
    assert!(told == expected, "missing: {missing:#?}, not expected: {surplus:#?}, of {told:#?}");
}
