//! One interface: whether netwatch can attach to it, and how.

use super::drivers::NATIVE_DRIVERS;
use super::{Line, Standing, card, line};
use crate::ethtool::Driver;
use crate::iface::{self, Interface};
use crate::kernel::{Error, host::Version};

/// What is known of an interface and of the machine that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// The interface.
    pub interface: &'a Interface,
    /// What its driver says, where there is one that says something.
    pub driver: Option<&'a Driver>,
    /// The running kernel.
    pub kernel: Version,
    /// CPUs that are online.
    pub cpus: usize,
}

/// What is to say about it.
pub(super) fn lines(facts: &Facts<'_>) -> Vec<Line> {
    let Facts { interface, driver, .. } = *facts;
    let name = &interface.name;
    if let Err(link_type) = interface.link {
        let error = Error::LinkType { interface: name.clone(), link_type };
        return vec![line(Standing::Problem, name, error.to_string())];
    }
    let mut lines = vec![mode(facts)];
    lines.extend(driver.and_then(|driver| stacked(interface, driver)));
    if !interface.up {
        lines.push(line(Standing::Warning, name, format!("is down; `ip link set {name} up` brings it up")));
    }
    if let Some(id) = interface.xdp_program {
        lines.push(line(
            Standing::Problem,
            name,
            format!("already has XDP program {id} (`bpftool prog show id {id}`); stop its owner first"),
        ));
    }
    if let Some(driver) = driver {
        lines.extend(card::lines(interface, driver, facts.cpus));
    }
    lines
}

fn mode(facts: &Facts<'_>) -> Line {
    let Facts { interface, driver, kernel, .. } = *facts;
    let name = &interface.name;
    let driver = driver.map_or("none", |driver| driver.name.as_str());
    let since = NATIVE_DRIVERS.iter().find(|(known, ..)| *known == driver);
    match since {
        Some((_, since, frags)) if kernel >= *since => {
            // Without multi-buffer support a frame must fit into a page, beside headroom and bookkeeping.
            if interface.mtu > 3498 && frags.is_none_or(|frags| kernel < frags) {
                return line(
                    Standing::Warning,
                    name,
                    format!(
                        "driver {driver} knows native XDP only up to an MTU of about 3,500, this is {}: \
                         netwatch will use generic mode",
                        interface.mtu
                    ),
                );
            }
            line(
                Standing::Ok,
                name,
                format!(
                    "driver {driver} has native XDP, MTU {}; what its offloads allow shows when attaching",
                    interface.mtu
                ),
            )
        }
        _ => line(
            Standing::Warning,
            name,
            format!(
                "driver {driver} is not known to have native XDP in this kernel: netwatch will use generic mode, \
                 which costs more per packet and counts what the kernel has merged as one packet; \
                 `ethtool -K {name} gro off` stops the merging"
            ),
        ),
    }
}

/// Interfaces that lie upon others have no native XDP of their own, but those may have.
fn stacked(interface: &Interface, driver: &Driver) -> Option<Line> {
    let text = match &*driver.name {
        "802.1Q VLAN Support" => {
            let lower = interface.lower.and_then(iface::name_of)?;
            format!("is a VLAN of {lower}; `-i {lower}` sees it too, with all other VLANs, and in its driver")
        }
        "bridge" => {
            "sees what this host itself gets; name the bridge's ports to watch what passes it, in their drivers".to_owned()
        }
        _ => return None,
    };
    Some(line(Standing::Ok, &interface.name, text))
}
