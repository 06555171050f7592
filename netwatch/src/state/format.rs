//! Learned services as text, and back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netwatch_common::{Proto, Service};
use serde::{Deserialize, Serialize};

use crate::analysis::Learned;
use crate::analysis::expected::ServiceRange;
use crate::analysis::slot::ServiceKey;
use crate::units;

/// The one version that there is. It grows where older programs could not read what is written.
const VERSION: u64 = 1;

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is not what was written.
    #[error("is damaged: {0}; put back a copy, or delete it to learn anew")]
    Damaged(String),
    /// A newer program has written it.
    #[error(
        "is of version {0}, and this netwatch reads version {VERSION}; use the newer netwatch, or delete it to learn anew"
    )]
    Version(u64),
}

/// What any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    /// By name.
    interfaces: BTreeMap<String, Interface>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interface {
    /// For how long was learned, in milliseconds.
    learned_ms: u64,
    /// By destination.
    services: BTreeMap<IpAddr, Vec<String>>,
    /// Of all destinations.
    everywhere: Vec<String>,
}

/// What a text says.
pub(super) fn read(text: &[u8]) -> Result<BTreeMap<String, Learned>, Wrong> {
    let damaged = |error: serde_json::Error| Wrong::Damaged(error.to_string());
    let Versioned { version } = serde_json::from_slice(text).map_err(damaged)?;
    if version != VERSION {
        return Err(Wrong::Version(version));
    }
    let document: Document = serde_json::from_slice(text).map_err(damaged)?;
    document.interfaces.into_iter().map(|(name, interface)| Ok((name, learned(&interface)?))).collect()
}

/// What is written.
pub(super) fn text(interfaces: &BTreeMap<String, Learned>) -> String {
    let interfaces = interfaces.iter().map(|(name, learned)| (name.clone(), interface(learned))).collect();
    let document = Document { version: VERSION, interfaces };
    // Strings and numbers can always be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn learned(interface: &Interface) -> Result<Learned, Wrong> {
    let mut learned = Learned::after(interface.learned_ms.saturating_mul(1_000_000));
    let services = |text: &String| {
        let ServiceRange { proto, first, last } = units::service(text).map_err(Wrong::Damaged)?;
        Ok((first..=last).map(move |port| Service::new(proto, port)))
    };
    for text in &interface.everywhere {
        services(text)?.for_each(|service| learned.add_everywhere(service));
    }
    for (dest, texts) in &interface.services {
        for text in texts {
            services(text)?.for_each(|service| learned.add(ServiceKey { dest: (*dest).into(), service }));
        }
    }
    Ok(learned)
}

fn interface(learned: &Learned) -> Interface {
    let mut services = BTreeMap::<IpAddr, Vec<Service>>::new();
    for (dest, service) in learned.services() {
        services.entry(dest.into()).or_default().push(service);
    }
    Interface {
        learned_ms: learned.spent_ns / 1_000_000,
        services: services.into_iter().map(|(dest, services)| (dest, ranges(services))).collect(),
        everywhere: ranges(learned.everywhere()),
    }
}

/// Ascending services, neighbours joined.
fn ranges(services: impl IntoIterator<Item = Service>) -> Vec<String> {
    let mut ranges: Vec<ServiceRange> = Vec::new();
    // Port 0 is nobody's service, whatever was accepted there.
    for (proto, port) in services.into_iter().filter_map(Service::port).filter(|(_, port)| *port > 0) {
        match ranges.last_mut() {
            Some(range) if is_next(range, proto, port) => range.last = port,
            _ => ranges.push(ServiceRange { proto, first: port, last: port }),
        }
    }
    ranges.iter().map(ToString::to_string).collect()
}

fn is_next(range: &ServiceRange, proto: Proto, port: u16) -> bool {
    range.proto == proto && range.last.checked_add(1) == Some(port)
}
