//! All signatures together: which may be in a packet is found out in one pass for each group of ports.

use core::ops::Range;
use std::collections::BTreeMap;

use netwatch_common::Proto;
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::limits;
use super::ports::Ports;
use super::signature::{Scope, Sender, Signature};

/// All signatures, compiled.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    all: Vec<Signature>,
    groups: Vec<Group>,
}

/// Signatures of one scope.
#[derive(Clone, Debug)]
struct Group {
    scope: Scope,
    /// The first pattern of each member: where it is not found, the member is not. None where they are few.
    first: Option<RegexSet>,
    /// By their numbers.
    members: Vec<usize>,
}

/// Bytes of one direction of a flow, and whose they are.
#[derive(Clone, Copy, Debug)]
pub struct FlowBytes<'a> {
    /// The protocol.
    pub proto: Proto,
    /// Port of who sent them.
    pub source_port: u16,
    /// Port of who gets them.
    pub dest_port: u16,
    /// Whether who sent them began the flow, where that is known.
    pub client_is_source: Option<bool>,
    /// The bytes, from the flow's first byte of payload on.
    pub bytes: &'a [u8],
    /// Where in `bytes` those begin that are known.
    pub start: usize,
}

/// A signature that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub signature: usize,
    /// Who sent the bytes.
    pub sender: Sender,
    /// Where its first pattern lies.
    pub range: Range<usize>,
}

impl Signatures {
    /// Compiles signatures.
    ///
    /// # Errors
    /// They are too many, or too large together.
    pub fn compile(all: Vec<Signature>) -> Result<Self, String> {
        if all.len() > limits::SIGNATURES {
            return Err(format!("at most {} signatures, not {}", limits::SIGNATURES, all.len()));
        }
        let mut scopes = BTreeMap::<&Scope, Vec<usize>>::new();
        for (number, signature) in all.iter().enumerate() {
            scopes.entry(&signature.scope).or_default().push(number);
        }
        let group = |(scope, members): (&Scope, Vec<usize>)| {
            // Few are found faster one by one: each has literals to jump to, which all together have not.
            if members.len() <= limits::ONE_BY_ONE {
                return Ok(Group { scope: scope.clone(), first: None, members });
            }
            let first = members.iter().filter_map(|number| all.get(*number)?.patterns.first());
            let first = RegexSetBuilder::new(first.map(super::pattern::Pattern::source))
                .unicode(false)
                .size_limit(limits::SET_BYTES)
                .dfa_size_limit(limits::CACHE_BYTES)
                .build()
                .map_err(|_| {
                    format!("the signatures for ports {} take too much memory together", scope.ports)
                })?;
            Ok(Group { scope: scope.clone(), first: Some(first), members })
        };
        let groups = scopes.into_iter().map(group).collect::<Result<_, String>>()?;
        Ok(Self { all, groups })
    }

    /// Which are in the bytes, in their order.
    #[must_use]
    pub fn matches(&self, flow: &FlowBytes<'_>) -> Vec<&Signature> {
        self.hits(flow, |_| false).iter().filter_map(|hit| self.get(hit.signature)).collect()
    }

    /// Which are in the bytes, and where; in their order, without those that are to be skipped.
    #[must_use]
    pub fn hits(&self, flow: &FlowBytes<'_>, skip: impl Fn(usize) -> bool) -> Vec<Hit> {
        let mut hits = Vec::new();
        let Some(known) = flow.bytes.get(flow.start..).filter(|known| !known.is_empty()) else { return hits };
        for group in &self.groups {
            let ports = (flow.source_port, flow.dest_port);
            let Some(sender) = group.scope.sender(flow.proto, ports, flow.client_is_source) else { continue };
            // Behind a gap, patterns that have to lie at the beginning may seem to; the pattern itself knows.
            let candidates = group.first.as_ref().map(|first| first.matches(known));
            if candidates.as_ref().is_some_and(|candidates| !candidates.matched_any()) {
                continue;
            }
            for (member, &signature) in group.members.iter().enumerate() {
                let is_candidate = candidates.as_ref().is_none_or(|candidates| candidates.matched(member));
                if is_candidate && !skip(signature) {
                    let range =
                        self.get(signature).and_then(|signature| signature.find(flow.bytes, flow.start));
                    hits.extend(range.map(|range| Hit { signature, sender, range }));
                }
            }
        }
        hits.sort_unstable_by_key(|hit| hit.signature);
        hits
    }

    /// A signature by its number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&Signature> {
        self.all.get(number)
    }

    /// The number of a signature by its identifier.
    #[must_use]
    pub fn number(&self, id: &str) -> Option<usize> {
        self.all.iter().position(|signature| signature.id == id)
    }

    /// All, in their order.
    #[must_use]
    pub fn all(&self) -> &[Signature] {
        &self.all
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The servers' ports of whose flows the bytes that `sender` sends are of interest.
    #[must_use]
    pub fn ports_of_interest(&self, proto: Proto, sender: Sender) -> Ports {
        let scopes = self.groups.iter().map(|group| &group.scope);
        scopes
            .filter(|scope| scope.proto.is_none_or(|only| only == proto))
            .filter(|scope| scope.from.is_none_or(|from| from == sender))
            .fold(Ports::none(), |ports, scope| ports.and(&scope.ports))
    }
}

impl Signature {
    /// Where its first pattern lies in `bytes[start..]`, if all of them are found; whoever sent the bytes.
    #[must_use]
    pub fn find(&self, bytes: &[u8], start: usize) -> Option<Range<usize>> {
        let (first, others) = self.patterns.split_first()?;
        let range = first.find(bytes, start)?;
        others.iter().all(|pattern| pattern.find(bytes, start).is_some()).then_some(range)
    }
}
