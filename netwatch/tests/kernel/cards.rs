//! What the kernel says of interfaces and their drivers.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use netwatch::ethtool::{self, Feature, Queues};
use netwatch::iface::{Interface, Interfaces};
use xtask::lab::Side;
use xtask::traffic::{Frame, transport::SYN};

use crate::lab;
use crate::process::{Netwatch, PATIENCE, opened};

#[test]
fn a_veth_tells_its_queues_and_nothing_that_it_has_not() {
    let lab = lab();
    let side = lab.watched();
    ip(side, "link add nw4 numrxqueues 4 numtxqueues 4 type veth peer name nw5 numrxqueues 4 numtxqueues 4");
    let driver = side.run(|| ethtool::driver("nw4")).unwrap().unwrap();
    assert_eq!(driver.name, "veth");
    assert_eq!(driver.queues, Some(Queues { used: 4, most: 4, combined: false }));
    assert!(!driver.is_device && !driver.merges_packets);
    // What the sender tags comes beside the frame.
    assert!(driver.strips_vlan_tags);
    assert_eq!((driver.ring, driver.spread), (None, None));
    assert_eq!((driver.merges_in_hardware, driver.filters_vlans), (Feature::Off, Feature::Off));

    assert!(side.run(|| ethtool::driver("lo")).unwrap().is_err());
    assert!(side.run(|| ethtool::driver("nosuch0")).unwrap().is_err());
    assert!(side.run(|| ethtool::driver("a-name-longer-than-any")).unwrap().is_err());
}

#[test]
fn software_is_no_card() {
    let lab = lab();
    let side = lab.watched();
    ip(side, "link add nwb type bridge");
    ip(side, "tuntap add nwt mode tap");
    for (interface, name) in [("nwb", "bridge"), ("nwt", "tun")] {
        let driver = side.run(|| ethtool::driver(interface)).unwrap().unwrap();
        assert_eq!((&*driver.name, driver.is_device), (name, false));
    }
    let output = side.command(env!("CARGO_BIN_EXE_netwatch")).args(["check", "-i", "nwb"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("name the bridge's ports"), "{text}");
    assert!(!text.contains("receive queue") && !text.contains("missed"), "{text}");
}

#[test]
fn an_interface_tells_its_packets_and_whether_it_takes_everything() {
    let lab = lab();
    let side = lab.watched();
    let before = described(side, "nw0");
    assert!(!before.promiscuous);
    // A bridge lets its ports take everything, as programs do that listen: the flag alone would not show it.
    ip(side, "link add nwb type bridge");
    ip(side, "link set nw0 master nwb");
    let port = described(side, "nw0");
    assert!(port.promiscuous);
    assert_eq!((port.index, port.missed), (before.index, 0));
    ip(side, "link set nw0 nomaster");
    assert!(!described(side, "nw0").promiscuous);

    let before = described(side, "nw0").received;
    lab.outside().sender().unwrap().send_all([[0xff; 60]; 7], None).unwrap();
    side.received(before + 7, PATIENCE).unwrap();
    assert_eq!(described(side, "nw0").received, before + 7);
}

#[test]
fn a_network_that_comes_later_is_local_from_the_next_slot_on() {
    let lab = lab();
    let side = lab.watched();
    let netwatch = Netwatch::start(side, "--slot 300ms --window 3s");
    side.add_address(Ipv4Addr::new(203, 0, 113, 1).into(), 24).unwrap();
    // What the kernel tells is applied when a slot ends.
    thread::sleep(Duration::from_millis(900));
    let from = Ipv4Addr::new(192, 0, 2, 7);
    let syn = |host| Frame::ipv4(from, Ipv4Addr::new(203, 0, 113, host)).tcp(40000, 8081, SYN).build();
    lab.outside().sender().unwrap().send_all((100..150).map(syn), None).unwrap();
    assert_eq!(opened(&netwatch.alerts()), ["scan.horizontal 192.0.2.7 50"]);
}

fn ip(side: &Side, line: &str) {
    assert!(side.command("ip").args(line.split_whitespace()).status().unwrap().success(), "ip {line}");
}

fn described(side: &Side, name: &str) -> Interface {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Interfaces::connect().unwrap().by_name(name).await.unwrap().unwrap() })
    };
    side.run(ask).unwrap()
}
