use super::interface::{Facts, lines};
use super::{Standing, memory};
use crate::ethtool::{Driver, Feature, Hashed, Queues, Ring, Spread};
use crate::iface::{Interface, Link};
use crate::kernel::host::Version;

const NOW: Version = Version(6, 18);

fn interface() -> Interface {
    Interface {
        name: "eth0".into(),
        index: 2,
        link: Ok(Link::Ethernet),
        mtu: 1500,
        up: true,
        xdp_program: None,
        promiscuous: false,
        lower: None,
        received: 5_000_000,
        missed: 0,
    }
}

/// A card with four queues that says all there is to say, and nothing to worry about.
fn card() -> Driver {
    Driver {
        name: "ice".into(),
        is_device: true,
        queues: Some(Queues { used: 4, most: 8, combined: true }),
        ring: Some(Ring { size: 2048, most: 8160 }),
        spread: Some(Spread {
            reached: 4,
            reachable: Some(4),
            tcp: Some(Hashed::Ports),
            udp: Some(Hashed::Ports),
        }),
        ..Driver::default()
    }
}

/// All lines in a machine of four CPUs, but for the first, which is about the mode.
fn said(interface: &Interface, driver: &Driver) -> Vec<String> {
    let facts = Facts { interface, driver: Some(driver), kernel: NOW, cpus: 4 };
    lines(&facts).iter().skip(1).map(ToString::to_string).collect()
}

/// The line about what `change` has changed: the one that is not there otherwise.
#[track_caller]
fn changed(change: impl FnOnce(&mut Interface, &mut Driver)) -> String {
    let (mut interface, mut driver) = (interface(), card());
    let usual = said(&interface, &driver);
    change(&mut interface, &mut driver);
    let mut new = said(&interface, &driver);
    new.retain(|line| !usual.contains(line));
    assert_eq!(new.len(), 1, "{new:#?}");
    new.remove(0)
}

#[test]
fn a_card_as_it_should_be_gives_no_warning() {
    assert_eq!(
        said(&interface(), &card()),
        [
            "ok       eth0           4 receive queues for 4 CPUs",
            "ok       eth0           RSS spreads packets over 4 receive queues: tcp by addresses and ports, udp by \
             addresses and ports",
            "ok       eth0           2048 packets can wait in a receive queue",
            "ok       eth0           no packets missed for want of room, as far as its driver counts them",
            "ok       eth0           takes frames to this host, and to groups; a tap or mirror port needs `ip link set \
             eth0 promisc on`",
        ]
    );
}

#[test]
fn of_what_a_driver_does_not_say_nothing_is_said() {
    let mut driver = Driver { name: "veth".into(), ..Driver::default() };
    assert!(said(&interface(), &driver).is_empty());
    // Software has queues, but no command to recommend.
    driver.queues = Some(Queues { used: 1, most: 4, combined: false });
    assert_eq!(said(&interface(), &driver), ["ok       eth0           1 receive queue"]);

    let facts = Facts { interface: &interface(), driver: None, kernel: NOW, cpus: 4 };
    let lines = lines(&facts);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].text.contains("generic mode"), "{lines:?}");
}

#[test]
fn queues_are_held_against_cpus() {
    let queues = |used| changed(move |_, driver| (driver.queues, driver.spread) = (Some(used), None));
    let line = queues(Queues { used: 2, most: 8, combined: true });
    assert!(line.starts_with("warning"), "{line}");
    assert!(line.contains("`ethtool -L eth0 combined 4`"), "{line}");
    let line = queues(Queues { used: 1, most: 2, combined: false });
    assert!(line.contains("`ethtool -L eth0 rx 2`"), "{line}");
    // There is nothing to be done about these two.
    for used in [Queues { used: 1, most: 1, combined: true }, Queues { used: 8, most: 8, combined: true }] {
        let (interface, mut driver) = (interface(), card());
        (driver.queues, driver.spread) = (Some(used), None);
        let line = said(&interface, &driver).remove(0);
        assert!(line.starts_with("ok") && !line.contains("ethtool"), "{line}");
    }
}

#[test]
fn drivers_that_need_queues_to_spare_get_no_advice_that_costs_native_mode() {
    let queues = |name: &str, used, combined| {
        let queues = Some(Queues { used, most: 8, combined });
        let driver = Driver { name: name.into(), is_device: true, queues, ..Driver::default() };
        said(&interface(), &driver).remove(0)
    };
    let line = queues("ena", 8, true);
    assert!(line.starts_with("warning") && line.contains("`ethtool -L eth0 combined 4`"), "{line}");
    let line = queues("ena", 2, true);
    assert!(line.starts_with("warning") && line.contains("`ethtool -L eth0 combined 4`"), "{line}");
    let line = queues("gve", 8, false);
    assert!(line.starts_with("warning") && line.contains("`ethtool -L eth0 rx 4 tx 4`"), "{line}");
    assert!(queues("ena", 4, true).starts_with("ok"));
    assert!(queues("ice", 8, true).starts_with("ok"));
}

#[test]
fn a_table_that_leaves_queues_out_is_told() {
    let usual = card().spread.unwrap();
    let spread = |spread: Spread| changed(move |_, driver| driver.spread = Some(spread));
    let line = spread(Spread { reached: 2, ..usual });
    assert!(line.starts_with("warning") && line.contains("2 of 4"), "{line}");
    assert!(line.contains("`ethtool -X eth0 equal 4`"), "{line}");
    // The table of some cards leads to fewer queues than there are.
    let line = spread(Spread { reached: 2, reachable: Some(2), ..usual });
    assert!(line.starts_with("ok") && line.contains("over 2 receive queues"), "{line}");

    let line = spread(Spread { udp: Some(Hashed::Addresses), ..usual });
    assert!(line.starts_with("ok") && line.contains("`ethtool -N eth0 rx-flow-hash udp4 sdfn`"), "{line}");
    let line = spread(Spread { tcp: Some(Hashed::Neither), ..usual });
    assert!(line.starts_with("warning") && line.contains("rx-flow-hash tcp4"), "{line}");
    let line = spread(Spread { tcp: None, udp: None, ..usual });
    assert!(line.ends_with("4 receive queues"), "{line}");
    // One queue needs no table.
    let mut driver = card();
    driver.queues = Some(Queues { used: 1, most: 1, combined: true });
    assert!(!said(&interface(), &driver).concat().contains("RSS"));
}

#[test]
fn short_rings_and_missed_packets_are_told() {
    let ring = |size, most| changed(move |_, driver| driver.ring = Some(Ring { size, most }));
    let line = ring(256, 8192);
    assert!(line.starts_with("warning") && line.contains("`ethtool -G eth0 rx 4096`"), "{line}");
    let line = ring(256, 256);
    assert!(line.starts_with("ok") && line.contains("as many as"), "{line}");

    let line = changed(|interface, _| interface.missed = 6);
    assert!(line.starts_with("warning") && line.contains("missed 6 packets beside 5000000"), "{line}");
    let (mut some, driver) = (interface(), card());
    some.missed = 5;
    assert_eq!(said(&some, &driver), said(&interface(), &driver));
}

#[test]
fn offloads_are_told_with_the_command_that_changes_them() {
    let line = changed(|_, driver| driver.strips_vlan_tags = true);
    assert!(line.starts_with("warning") && line.contains("rxvlan off"), "{line}");
    let line = changed(|_, driver| driver.merges_packets = true);
    assert!(line.starts_with("warning") && line.contains("lro off"), "{line}");
    let line = changed(|_, driver| driver.merges_in_hardware = Feature::On);
    assert!(line.starts_with("ok") && line.contains("rx-gro-hw off"), "{line}");
    let line = changed(|_, driver| driver.merges_in_hardware = Feature::Fixed);
    assert!(line.starts_with("ok") && !line.contains("ethtool"), "{line}");

    // What a tap needs depends on who filters.
    let line = changed(|interface, _| interface.promiscuous = true);
    assert!(line.contains("takes all frames"), "{line}");
    for (filters, advice) in [(Feature::On, true), (Feature::Fixed, false)] {
        let line = changed(move |_, driver| driver.filters_vlans = filters);
        assert!(line.contains("in its own VLANs") && line.contains("promisc on"), "{line}");
        assert_eq!(line.contains("rx-vlan-filter off"), advice, "{line}");
    }
}

#[test]
fn the_mode_follows_from_driver_kernel_and_mtu() {
    let mode = |name: &str, kernel, mtu| {
        let driver = Driver { name: name.into(), ..Driver::default() };
        let interface = Interface { mtu, ..interface() };
        let facts = Facts { interface: &interface, driver: Some(&driver), kernel, cpus: 4 };
        lines(&facts)[0].standing
    };
    for (driver, kernel, mtu, standing) in [
        ("ice", NOW, 1500, Standing::Ok),
        ("ice", NOW, 9000, Standing::Ok),
        ("ice", Version(6, 2), 9000, Standing::Warning),
        ("ixgbe", NOW, 9000, Standing::Warning),
        ("gve", Version(6, 3), 1500, Standing::Warning),
        ("bridge", NOW, 1500, Standing::Warning),
    ] {
        assert_eq!(mode(driver, kernel, mtu), standing, "{driver} {kernel} {mtu}");
    }
}

#[test]
fn cpus_that_never_come_are_told() {
    let told = |possible, online| memory::cpus(possible, online).map(|line| line.to_string());
    for (possible, online) in [(2, 2), (8, 2), (64, 64), (72, 64), (1, 0)] {
        assert_eq!(told(possible, online), None, "{possible} {online}");
    }
    let line = told(240, 4).unwrap();
    assert!(line.starts_with("warning") && line.contains("nr_cpus=4"), "{line}");
}
