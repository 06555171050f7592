//! The benchmarks' generator makes the packets that it should, and they arrive.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use netwatch::kernel::{ModeWish, Watch};
use netwatch_common::{Packet, Settings, parse};
use nix::net::if_::if_nametoindex;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use crate::support::drained::end_slot;
use crate::support::generator::{Generator, with_scanner};
use crate::support::scatter::Scatter;
use crate::support::scene::Vary;
use crate::support::traffic::{Kind, Traffic};
use crate::{lab, options};

/// The first packets of this traffic, read by netwatch's own parser.
fn packets(traffic: &Traffic, count: usize) -> Vec<Packet> {
    // Where the generator is, it remembers for each CPU.
    let mut cpu = CpuSet::new();
    cpu.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpu).unwrap();
    let mut generator = Generator::load().unwrap();
    generator.set(std::slice::from_ref(traffic)).unwrap();
    let packet = |_| {
        let frame = generator.preview().unwrap();
        if frame[12..14] == [8, 0] {
            assert_eq!(checksum(&frame[14..34]), 0, "{frame:02x?}");
        }
        parse(&frame[..], &Settings::DEFAULT).unwrap()
    };
    (0..count).map(packet).collect()
}

/// The checksum of the Internet, which is 0 over a header whose own is right.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|half| u32::from(u16::from_be_bytes([half[0], half[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn sources(packets: &[Packet]) -> HashSet<[u32; 4]> {
    packets.iter().map(|packet| Settings::DEFAULT.account(packet.source).0).collect()
}

#[test]
fn every_packet_has_a_source_of_its_own() {
    for traffic in [Traffic::ipv4(Kind::Syn), Traffic::ipv6(Kind::Udp)] {
        let packets = packets(&traffic.new_sources(0), 300);
        assert_eq!(sources(&packets).len(), 300);
        assert!(packets.iter().all(|packet| packet.transport.dest_port == 80 && !packet.source.is_group()));
    }
}

#[test]
fn sources_come_again_after_so_many() {
    let packets = packets(&Traffic::ipv4(Kind::Ack).new_sources(7), 70);
    assert_eq!(sources(&packets).len(), 7);
    assert_eq!(packets[3].source, packets[10].source);
    let any = self::packets(&Traffic::ipv6(Kind::Syn).random_sources(7), 300);
    assert_eq!(sources(&any).len(), 7);
}

#[test]
fn a_scanner_comes_in_between() {
    let scanner = Ipv4Addr::new(203, 0, 113, 7);
    let packets = packets(&with_scanner(Traffic::ipv4(Kind::Syn).new_sources(0), scanner, 10), 100);
    let of_scanner = |packet: &&Packet| IpAddr::from(packet.source) == IpAddr::from(scanner);
    let ports: Vec<_> = packets.iter().filter(of_scanner).map(|packet| packet.transport.dest_port).collect();
    assert_eq!(ports, (0..10).collect::<Vec<_>>());
}

#[test]
fn sources_come_thrice_to_one_port_after_the_other() {
    let mut traffic = Traffic::ipv4(Kind::Syn).new_sources(0).new_ports();
    traffic.scene.visits = 3;
    traffic.scene.dest = Vary { step: 1, count: 2, order: Vary::NEXT };
    let packets = packets(&traffic, 30);
    assert_eq!(sources(&packets).len(), 10);
    assert_eq!(packets[0].source, packets[2].source);
    let ports: Vec<_> = packets.iter().map(|packet| packet.transport.dest_port).collect();
    assert_eq!(ports, (0..30).collect::<Vec<_>>());
    let dests: HashSet<_> = packets.iter().map(|packet| packet.dest).collect();
    assert_eq!(dests.len(), 2);
}

#[test]
fn what_the_generator_sends_arrives_and_is_counted() {
    let lab = lab();
    let mut watch = Watch::load(&options()).unwrap();
    lab.watched()
        .run(|| {
            let index = if_nametoindex(lab.watched().interface()).unwrap();
            watch.attach(lab.watched().interface(), index, ModeWish::Native).unwrap();
        })
        .unwrap();
    let mut generator = Generator::load().unwrap();
    generator.set(&[Traffic::ipv4(Kind::Syn).new_sources(1000)]).unwrap();
    let sent = generator.send_count(&lab, 50_000).unwrap();
    let arrived = lab.watched().counters().unwrap().rx_packets;
    let drained = end_slot(&mut watch).unwrap();
    assert_eq!(sent.packets, 50_000);
    assert!(arrived > 10_000 && arrived <= 50_000, "{arrived} arrived");
    assert_eq!((drained.sources, drained.targets, drained.sourced), (1000, 1000, arrived));
}

#[test]
fn another_program_is_handed_the_packets() {
    let mut scatter = Scatter::load(4096).unwrap();
    scatter.hand_to_reference("reference_count").unwrap();
    scatter.run(&Traffic::ipv4(Kind::Syn).new_sources(1000), 3000).unwrap();
    assert_eq!(scatter.empty_in_batches().unwrap(), (2000, 3000));
    scatter.run(&Traffic::ipv6(Kind::Syn).new_sources(1000).new_ports(), 3000).unwrap();
    assert_eq!(scatter.empty_by_key().unwrap(), (4000, 3000));
    assert_eq!(scatter.empty_in_batches().unwrap(), (0, 0));
}
