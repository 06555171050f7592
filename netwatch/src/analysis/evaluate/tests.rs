//! Each rule by what is sent: what it tells, and what it doesn't.

mod absorption;
mod early;
mod evidence;
mod memory;
mod nameless;
mod pressure;
mod spared;
mod thresholds;
mod unusual;
mod windows;

use crate::analysis::policy::{Policy, Prefix};
use crate::analysis::rules::RuleId;
use crate::analysis::tests::stage::{Stage, inside};

/// Plays something within one slot; returns which rules were told at its end.
fn told_of(policy: &Policy, play: impl FnOnce(&mut Stage)) -> Vec<&'static str> {
    let mut stage = Stage::new(policy.clone());
    play(&mut stage);
    stage.end_slot();
    stage.opened()
}

/// A policy of which only these rules are left.
fn only(rules: &[RuleId]) -> Policy {
    let mut policy = Policy::default();
    for rule in RuleId::ALL {
        policy.rules[rule as usize].enabled = rules.contains(&rule);
    }
    policy
}

/// The network that is watched.
fn home() -> Vec<Prefix> {
    vec![Prefix::new(inside(0), 96 + 24).unwrap()]
}
