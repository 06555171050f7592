//! The tables of the rules.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::analysis::policy::LoginPorts;
use crate::analysis::rules::{RULES, Reach, Rule};
use crate::analysis::{RuleId, Severity};
use crate::cli::MinSeverity;
use crate::config::layer::{Layer, RuleLayer, Said};
use crate::config::{LEARN_MAX, LEARN_MIN, SERVICES_MAX, value};
use crate::document::{Key, Reader, Value, boolean, kind, quantity, text, whole};
use crate::nearest::nearest;
use crate::{guide, units};

/// All keys of a rule, in the order in which they are shown.
pub(in crate::config) fn keys(rule: &Rule) -> Vec<&'static str> {
    let mut keys = vec!["threshold", "severity", "notify", "enabled"];
    if rule.reach != Reach::Slot {
        keys.push("window");
    }
    keys.extend(rule.params.iter().map(|param| param.name));
    match rule.id {
        RuleId::PortHammer => keys.push("ports"),
        RuleId::PortUnusual => keys.extend(["services", "learn"]),
        _ => {}
    }
    keys
}

impl Reader {
    pub(super) fn rules(&mut self, layer: &mut Layer, key: &Key<'_>, value: &Value<'_>) {
        let DeValue::Table(rules) = value.get_ref() else {
            return self.wrong(value, format!("{}: write [rules.\"scan.vertical\"]", key.get_ref()));
        };
        for (name, value) in rules.iter() {
            let rule = match guide::find(name.get_ref()) {
                Ok(rule) => rule,
                Err(wrong) => {
                    let begins = format!("{}.", name.get_ref());
                    let quoted = RULES.iter().find(|rule| rule.name.starts_with(&begins));
                    self.wrong(
                        name,
                        quoted.map_or(wrong, |rule| {
                            format!(
                                "names of rules have a dot in them: write [rules.{:?}], with the quotes",
                                rule.name
                            )
                        }),
                    );
                    continue;
                }
            };
            let DeValue::Table(table) = value.get_ref() else {
                self.wrong(value, format!("write [rules.{:?}] and the settings below it", rule.name()));
                continue;
            };
            layer.rules[rule as usize] = self.rule(rule.rule(), table);
        }
    }

    fn rule(&mut self, rule: &Rule, table: &DeTable<'_>) -> RuleLayer {
        let mut layer = RuleLayer::default();
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "threshold" => {
                    layer.threshold = self.one(key, value, |value| match value {
                        DeValue::Integer(number) => value::threshold(&number.to_string(), rule),
                        other => Err(format!("must be a whole number, not {}", kind(other))),
                    });
                }
                "severity" => layer.severity = self.one(key, value, severity),
                "notify" => layer.notify = self.one(key, value, boolean),
                "enabled" => layer.enabled = self.one(key, value, boolean),
                "window" => {
                    layer.window = self.one(key, value, |value| match rule.reach {
                        Reach::Slot => Err(format!(
                            "{} looks at one slot, and how long that is says slot at the top of the file",
                            rule.name
                        )),
                        Reach::Window | Reach::Memory { .. } => units::duration(&quantity(value)?),
                    });
                }
                "ports" if rule.id == RuleId::PortHammer => layer.ports = self.ports(key, value),
                "services" if rule.id == RuleId::PortUnusual => {
                    layer.services = self.list(key, value, SERVICES_MAX, units::service);
                    layer.services.iter_mut().for_each(|said| said.value.sort_unstable());
                }
                "learn" if rule.id == RuleId::PortUnusual => layer.learn = self.one(key, value, learn),
                name => match rule.params.iter().zip(&mut layer.params).find(|(param, _)| param.name == name)
                {
                    Some((param, said)) => {
                        *said = self.one(key, value, |value| whole(value, (param.min, param.max)));
                    }
                    None => self.unknown_of(rule, key),
                },
            }
        }
        layer
    }

    /// `[22, 23]`, or `"any"`.
    fn ports(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Said<LoginPorts>> {
        let any = |value: &DeValue<'_>| match value.as_str() {
            Some("any") => Ok(LoginPorts::Any),
            _ => Err("must be a list of ports like [22, 23], or \"any\"".into()),
        };
        let DeValue::Array(items) = value.get_ref() else {
            return self.one(key, value, any);
        };
        if items.is_empty() {
            self.wrong(value, "ports: lists none; write enabled = false to switch the rule off".into());
            return None;
        }
        let mut ports = Vec::new();
        for item in items.iter() {
            match whole(item.get_ref(), (1, u16::MAX.into())) {
                Ok(port) => ports.extend(u16::try_from(port)),
                Err(wrong) => self.wrong(item, format!("ports: {wrong}")),
            }
        }
        ports.sort_unstable();
        ports.dedup();
        self.one(key, value, |_| Ok(LoginPorts::These(ports)))
    }

    /// Says which keys a rule has, and which may have been meant.
    fn unknown_of(&mut self, rule: &Rule, key: &Key<'_>) {
        let (name, known) = (key.get_ref(), keys(rule));
        let meant = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}? "),
            None => String::new(),
        };
        let known = known.join(", ");
        self.wrong(key, format!("unknown key {name:?}; {meant}{} has {known}", rule.name));
    }
}

/// A time for which what is accepted is learned; zero where nothing is.
fn learn(value: &DeValue<'_>) -> Result<Duration, String> {
    let text = quantity(value)?;
    let length = if text == "off" { Duration::ZERO } else { units::duration(&text)? };
    if length.is_zero() || (LEARN_MIN..=LEARN_MAX).contains(&length) {
        Ok(length)
    } else {
        Err(format!("must be \"off\", or a duration from {LEARN_MIN:?} to 720h, not {text:?}"))
    }
}

/// One for all findings; none where the rule shall grade by itself.
fn severity(value: &DeValue<'_>) -> Result<Option<Severity>, String> {
    match text(value)? {
        "auto" => Ok(None),
        name => value::choice::<MinSeverity>(name).map(|name| Some(value::severity(name))),
    }
}
