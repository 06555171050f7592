//! What the rules are told, of all that the command line, the file and the profile say about them.

use std::time::Duration;

use super::layer::{Origin, RuleLayer, Said, first};
use super::show::{self, Row, RuleInEffect};
use super::{Names, whole_slots};
use crate::analysis::expected::{Expected, LEARN_NS, ServiceRange};
use crate::analysis::policy::{LoginPorts, RulePolicy};
use crate::analysis::rules::{Reach, Rule};
use crate::analysis::{Policy, RuleId, Severity};

/// What the layers say about all rules, and what they rest on.
pub(super) struct Layers {
    pub line: [RuleLayer; RuleId::COUNT],
    pub file: [RuleLayer; RuleId::COUNT],
    /// Whether the profile is `literal`.
    pub is_literal: bool,
    /// The window of all rules that have none of their own.
    pub window: Duration,
    pub slot: Duration,
}

/// What comes of it.
pub(super) struct Rules {
    pub policies: [RulePolicy; RuleId::COUNT],
    pub login_ports: LoginPorts,
    pub expected: Expected,
    pub rows: Vec<Row>,
}

/// Puts the layers on top of each other.
///
/// # Errors
///
/// A sentence that says which window is wrong, and where it is said.
pub(super) fn resolve(layers: Layers) -> Result<Rules, String> {
    let defaults = Policy::default();
    let Policy { rules: policies, login_ports, expected, .. } = defaults;
    let mut rules = Rules { policies, login_ports, expected, rows: Vec::new() };
    let said = layers.line.into_iter().zip(layers.file);
    for ((id, policy), (line, file)) in RuleId::ALL.into_iter().zip(&mut rules.policies).zip(said) {
        let by_profile =
            |value| layers.is_literal.then_some(Said { value, origin: Origin::Profile("literal") });
        // `dos.packets` counts all packets; a second rule for some of them would tell each flood twice.
        let enabled = by_profile(false).filter(|_| id == RuleId::DosUnsolicited);
        let told = by_profile(true).filter(|_| id == RuleId::DosPackets);
        let rule = id.rule();
        let severity = first([file.severity], None);
        let least = severity.value.unwrap_or(rule.severity);
        let notify_is_said = file.notify.is_some() || told.is_some();
        let own_window = file.window;
        let window_ns = own_window.as_ref().map(|own| window_ns(rule, own, layers.slot)).transpose()?;
        let params = file.params.into_iter().zip(rule.params);
        let in_effect = RuleInEffect {
            threshold: first([line.threshold, file.threshold], policy.threshold),
            notify: first([file.notify, told], least > Severity::Info),
            enabled: first([file.enabled, enabled], true),
            window: own_window.or_else(|| default_window(rule, layers.window)),
            params: params.map(|(said, param)| first([said], param.default)).collect(),
            ports: (id == RuleId::PortHammer).then(|| first([file.ports], rules.login_ports.clone())),
            expected: (id == RuleId::PortUnusual).then(|| known_services(file.services, file.learn)),
            severity,
        };
        for (param, said) in policy.params.iter_mut().zip(&in_effect.params) {
            *param = said.value;
        }
        *policy = RulePolicy {
            threshold: in_effect.threshold.value,
            severity: in_effect.severity.value,
            notify: notify_is_said.then_some(in_effect.notify.value),
            enabled: in_effect.enabled.value,
            window_ns,
            params: policy.params,
        };
        if let Some(ports) = &in_effect.ports {
            rules.login_ports = ports.value.clone();
        }
        if let Some((services, learn)) = &in_effect.expected {
            let learn_ns = u64::try_from(learn.value.as_nanos()).unwrap_or(u64::MAX);
            rules.expected = Expected { services: services.value.clone(), learn_ns };
        }
        rules.rows.extend(show::rule(rule, &in_effect));
    }
    Ok(rules)
}

/// Which services are expected, and for how long others are learned: who declares services has said which ones.
fn known_services(
    services: Option<Said<Vec<ServiceRange>>>,
    learn: Option<Said<Duration>>,
) -> (Said<Vec<ServiceRange>>, Said<Duration>) {
    let services = first([services], Vec::new());
    let unless_said = if services.value.is_empty() { Duration::from_nanos(LEARN_NS) } else { Duration::ZERO };
    (services, first([learn], unless_said))
}

/// How far back a rule looks unless it is said.
fn default_window(rule: &Rule, window: Duration) -> Option<Said<Duration>> {
    match rule.reach {
        Reach::Slot => None,
        Reach::Window => Some(Said { value: window, origin: Origin::RootWindow }),
        Reach::Memory { default_s, .. } => {
            Some(Said { value: Duration::from_secs(default_s), origin: Origin::Default })
        }
    }
}

/// Checks a rule's own window; in nanoseconds.
fn window_ns(rule: &Rule, window: &Said<Duration>, slot: Duration) -> Result<u64, String> {
    let name = window.origin.name("window");
    match rule.reach {
        Reach::Slot => {}
        Reach::Window => {
            let names = Names { window: &name, indivisible: &name, many: &name };
            whole_slots(window.value, slot, &names)?;
        }
        Reach::Memory { min_s, max_s, .. } => {
            let (min, max) = (Duration::from_secs(min_s), Duration::from_secs(max_s));
            if window.value < min || window.value > max {
                let found = window.value;
                return Err(format!("{name}: of {} must be {min:?} to {max:?}, not {found:?}", rule.name));
            }
        }
    }
    Ok(u64::try_from(window.value.as_nanos()).unwrap_or(u64::MAX))
}
