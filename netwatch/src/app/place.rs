//! Where netwatch is: the interfaces to watch, and the networks that belong to this host.

use tracing::{info, warn};

use crate::analysis::policy::Prefix;
use crate::cli::WatchMode;
use crate::config::Config;
use crate::exit::Usage;
use crate::iface::{Interface, Interfaces};
use crate::kernel::Error;

/// The interfaces to watch, each of which must exist.
pub(super) async fn find(interfaces: &Interfaces, config: &Config) -> anyhow::Result<Vec<Interface>> {
    if config.interfaces.is_empty() {
        let interface = interfaces.of_default_route().await?;
        info!("no interface named: taking {}, that of the default route", interface.name);
        return Ok(vec![interface]);
    }
    let mut found: Vec<Interface> = Vec::new();
    for name in &config.interfaces {
        let interface =
            interfaces.by_name(name).await?.ok_or_else(|| Error::NoSuchInterface(name.clone()))?;
        if let Some(other) = found.iter().position(|other| other.index == interface.index) {
            // What was typed, not what it is called: alternative names lead to the same interface.
            let other = &config.interfaces[other];
            return Err(Usage(format!("--interface: {name} and {other} are the same interface")).into());
        }
        found.push(interface);
    }
    Ok(found)
}

/// Networks that this host is connected to, or `None` where the kernel does not say. What a mirror shows belongs to
/// others.
pub(super) async fn connected(interfaces: &Interfaces, config: &Config) -> Option<Vec<Prefix>> {
    if config.mode == WatchMode::Mirror {
        return Some(Vec::new());
    }
    let networks = interfaces.networks().await;
    networks
        .inspect_err(|error| {
            warn!("cannot ask for this host's addresses: {error}; all destinations count as local");
        })
        .ok()
}
