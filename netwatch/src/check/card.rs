//! What an interface's device does with packets before netwatch sees them. Where a driver does not say, nothing is said.

use super::{Line, Standing, line};
use crate::ethtool::{Driver, Feature, Hashed, Queues, Ring, Spread};
use crate::iface::Interface;

/// A receive ring this long holds what 10 Gbit/s of the smallest packets bring in 70 µs. Shorter ones overflow in any
/// pause that the CPU makes.
const SHORT_RING: u32 = 1024;
/// What is suggested instead, where the device has as much: longer ones cost memory and cache.
const LONG_RING: u32 = 4096;
/// Of how many received packets one may have been missed without being worth a warning: connections are made and
/// interfaces brought up.
const MISSED_OF: u64 = 1_000_000;
/// Drivers that have native mode only where half of the queues are free, for what programs send. netwatch sends nothing,
/// but they cannot know.
const HALVING_DRIVERS: &[&str] = &["ena", "gve"];

/// What is to say about the device of `interface` in a machine of `cpus` CPUs.
pub(super) fn lines(interface: &Interface, driver: &Driver, cpus: usize) -> Vec<Line> {
    let name = &interface.name;
    let mut lines = Vec::new();
    lines.extend(driver.queues.map(|used| queues(name, used, driver, cpus)));
    lines.extend(driver.spread.and_then(|spread| self::spread(name, &spread, driver.queues)));
    lines.extend(driver.ring.and_then(|ring| self::ring(name, ring)));
    if driver.is_device {
        lines.push(missed(interface));
    }
    if driver.strips_vlan_tags {
        lines.push(line(
            Standing::Warning,
            name,
            format!(
                "takes VLAN tags off before XDP sees them: packets are counted, their VLAN is not known; \
                 `ethtool -K {name} rxvlan off` leaves them on"
            ),
        ));
    }
    if driver.merges_packets {
        lines.push(line(
            Standing::Warning,
            name,
            format!(
                "merges received packets (LRO), which native XDP does not allow; `ethtool -K {name} lro off`"
            ),
        ));
    }
    lines.extend(merging(name, driver.merges_in_hardware));
    if driver.is_device {
        lines.push(addressed(interface, driver.filters_vlans));
    }
    lines
}

/// One CPU takes the packets of one queue, so queues are how many CPUs may count at the same time.
fn queues(name: &str, queues: Queues, driver: &Driver, cpus: usize) -> Line {
    let Queues { used, most, combined } = queues;
    let noun = if used == 1 { "queue" } else { "queues" };
    if !driver.is_device {
        return line(Standing::Ok, name, format!("{used} receive {noun}"));
    }
    let (kind, most) = match HALVING_DRIVERS.contains(&&*driver.name) {
        true => (if combined { "combined" } else { "both" }, (most / 2).max(1)),
        false => (if combined { "combined" } else { "rx" }, most),
    };
    let command = |count: u32| match kind {
        "both" => format!("`ethtool -L {name} rx {count} tx {count}`"),
        kind => format!("`ethtool -L {name} {kind} {count}`"),
    };
    if used > most {
        return line(
            Standing::Warning,
            name,
            format!(
                "{used} receive {noun}, and driver {} has native mode with {most} at most; {} leaves as many",
                driver.name,
                command(most)
            ),
        );
    }
    let wanted = most.min(u32::try_from(cpus).unwrap_or(u32::MAX));
    if used < wanted {
        return line(
            Standing::Warning,
            name,
            format!(
                "{used} receive {noun} for {cpus} CPUs, of {most} that it may have: as many CPUs count at the same \
                 time; {} uses more",
                command(wanted)
            ),
        );
    }
    let text = match (used, cpus) {
        (1, 2..) => "1 receive queue, all that it may have: one CPU counts all packets".to_owned(),
        _ => format!("{used} receive {noun} for {cpus} CPUs"),
    };
    line(Standing::Ok, name, text)
}

/// What chooses the queue of a packet. Nothing is to choose where there is one.
fn spread(name: &str, spread: &Spread, queues: Option<Queues>) -> Option<Line> {
    let Spread { reached, reachable, tcp, udp } = *spread;
    let used = queues.map(|queues| queues.used).into_iter().chain(reachable).min()?;
    if used < 2 {
        return None;
    }
    if reached < used as usize {
        return Some(line(
            Standing::Warning,
            name,
            format!(
                "RSS leads to {reached} of {used} receive queues, so the other CPUs do not count; \
                 `ethtool -X {name} equal {used}` spreads packets over all"
            ),
        ));
    }
    let by = [("tcp", tcp), ("udp", udp)].map(|(protocol, by)| by.map(|by| (protocol, by)));
    let by: Vec<_> = by.into_iter().flatten().collect();
    let text: Vec<_> = by.iter().map(|(protocol, by)| format!("{protocol} by {}", words(*by))).collect();
    let colon = if text.is_empty() { "" } else { ": " };
    let mut text = format!("RSS spreads packets over {used} receive queues{colon}{}", text.join(", "));
    let change = |protocol: &str| {
        format!(
            "`ethtool -N {name} rx-flow-hash {protocol}4 sdfn` changes that, and the same with {protocol}6"
        )
    };
    let mut standing = Standing::Ok;
    if let Some((protocol, _)) = by.iter().find(|(_, by)| *by == Hashed::Neither) {
        standing = Standing::Warning;
        text += &format!("; all {protocol} may come to one queue, {}", change(protocol));
    } else if by.contains(&("udp", Hashed::Addresses)) {
        text += &format!("; what one host sends another over udp comes to one queue, {}", change("udp"));
    }
    Some(line(standing, name, text))
}

fn words(hashed: Hashed) -> &'static str {
    match hashed {
        Hashed::Neither => "no address",
        Hashed::Addresses => "addresses",
        Hashed::Ports => "addresses and ports",
    }
}

/// Packets wait there while the CPU is busy, and those that find no room are lost before netwatch sees them.
fn ring(name: &str, ring: Ring) -> Option<Line> {
    let Ring { size, most } = ring;
    if size == 0 {
        return None;
    }
    if size < most && size < SHORT_RING {
        let longer = most.min(LONG_RING);
        return Some(line(
            Standing::Warning,
            name,
            format!(
                "{size} packets can wait in a receive queue, and those of a burst that find no room are lost unseen; \
                 `ethtool -G {name} rx {longer}` makes more room"
            ),
        ));
    }
    let most = if size >= most { ", as many as it has room for" } else { "" };
    Some(line(Standing::Ok, name, format!("{size} packets can wait in a receive queue{most}")))
}

fn missed(interface: &Interface) -> Line {
    let Interface { name, received, missed, .. } = interface;
    if *missed > received / MISSED_OF {
        return line(
            Standing::Warning,
            name,
            format!(
                "has missed {missed} packets beside {received} received, before netwatch could count them: more \
                 queues (`ethtool -l {name}`), longer ones (`ethtool -g {name}`) or native mode help; \
                 docs/hardware.md tells how"
            ),
        );
    }
    line(Standing::Ok, name, "no packets missed for want of room, as far as its driver counts them")
}

fn merging(name: &str, merging: Feature) -> Option<Line> {
    let what = "merges received packets in hardware (rx-gro-hw)";
    match merging {
        Feature::Off => None,
        Feature::On => Some(line(
            Standing::Ok,
            name,
            format!("{what}; where native mode is refused for it, `ethtool -K {name} rx-gro-hw off`"),
        )),
        Feature::Fixed => Some(line(
            Standing::Ok,
            name,
            format!(
                "{what}, which only its driver or the hypervisor can change; netwatch says if it is in the way"
            ),
        )),
    }
}

/// Which frames reach netwatch at all.
fn addressed(interface: &Interface, filters_vlans: Feature) -> Line {
    let name = &interface.name;
    let vlans = match filters_vlans {
        Feature::On => format!(" and `ethtool -K {name} rx-vlan-filter off`"),
        Feature::Off | Feature::Fixed => String::new(),
    };
    let filtered = if filters_vlans == Feature::Off { "" } else { " in its own VLANs" };
    line(
        Standing::Ok,
        name,
        match interface.promiscuous {
            true if filters_vlans == Feature::On => format!(
                "takes all frames (promiscuous), as a tap or mirror port needs; where VLANs are missing, \
                 `ethtool -K {name} rx-vlan-filter off`"
            ),
            true => "takes all frames (promiscuous), as a tap or mirror port needs".to_owned(),
            false => format!(
                "takes frames to this host{filtered}, and to groups; a tap or mirror port needs \
                 `ip link set {name} promisc on`{vlans}"
            ),
        },
    )
}
