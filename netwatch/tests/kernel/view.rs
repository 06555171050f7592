//! The programs of the live view: what they count, what they hand over, and what filters let through.

use std::time::{Duration, Instant};

use netwatch::filter::{Filter, LinkType};
use netwatch::kernel::view::{Direction, Rate};
use netwatch::kernel::{EgressHook, EgressWish, Samples, View, ViewOptions};
use netwatch_common::{Sample, Settings, Verdict, WatchTotals};
use xtask::lab::{Lab, Side};
use xtask::traffic::Frame;
use xtask::traffic::transport::{ACK, SYN};

use crate::lab;
use crate::wire::{OUTSIDE, TARGET, TARGET6, host, send};

/// All packets, and room for many.
pub fn all() -> ViewOptions {
    ViewOptions {
        settings: Settings::DEFAULT,
        snap_bytes: 256,
        one_of: 1,
        rate: None,
        ring_bytes: 1 << 20,
        direction: Direction::Both,
        filter: None,
    }
}

/// All packets that an expression is about.
fn about(expression: &str) -> ViewOptions {
    ViewOptions { filter: Some(Filter::compile(expression, LinkType::Ethernet).unwrap()), ..all() }
}

/// A view of nw0.
pub fn view(side: &Side, options: &ViewOptions) -> View {
    attach(side, options, EgressWish::Auto).0
}

fn attach(side: &Side, options: &ViewOptions, wish: EgressWish) -> (View, EgressHook) {
    side.run(|| {
        let mut view = View::load(options).unwrap();
        let index = nix::net::if_::if_nametoindex("nw0").unwrap();
        let hook = view.attach("nw0", index, wish, 0).unwrap();
        (view, hook)
    })
    .unwrap()
}

/// Ends a view: what it counted, and the packets that it has handed over.
pub fn end(lab: &Lab, mut view: View) -> (WatchTotals, Vec<(Sample, Vec<u8>)>) {
    lab.watched().run(|| view.detach()).unwrap().unwrap();
    let mut packets = Vec::new();
    let mut samples = view.take_samples().unwrap();
    while samples.read(1000, |sample, frame| packets.push((*sample, frame.to_vec()))) > 0 {}
    let totals = view.totals().unwrap();
    assert_eq!(totals.shown, packets.len() as u64);
    let WatchTotals { matched, sampled_out, rate_limited, ring_full, shown, .. } = totals;
    assert_eq!(matched, sampled_out + rate_limited + ring_full + shown, "{totals:?}");
    (totals, packets)
}

fn syns(count: u16) -> Vec<Vec<u8>> {
    (0..count).map(|port| Frame::ipv4(host(7), TARGET).tcp(40_000, port, SYN).build()).collect()
}

#[test]
fn packets_come_as_they_are_with_what_they_are() {
    let lab = lab();
    let view = view(lab.watched(), &all());
    let frames = [
        Frame::ipv4(host(7), TARGET).tcp(40_000, 22, SYN).build(),
        Frame::ipv6("2001:db8:9::1".parse().unwrap(), TARGET6).udp(4000, 4001, b"hello").build(),
        Frame::ipv4(host(8), TARGET).tcp(40_000, 22, ACK).build(),
        Frame::ethernet(0x0806, &[0; 28]).build(),
    ];
    send(&lab, &frames);
    let (totals, packets) = end(&lab, view);
    let came: Vec<_> = packets.iter().filter(|(sample, _)| sample.direction == Sample::IN).collect();
    assert_eq!(
        came.iter().map(|(_, frame)| &frame[..]).collect::<Vec<_>>(),
        frames.each_ref().map(|f| &f[..])
    );
    let verdicts: Vec<_> = came.iter().map(|(sample, _)| sample.verdict()).collect();
    assert_eq!(verdicts, [Verdict::Syn, Verdict::UdpNew, Verdict::OutOfState, Verdict::Arp]);
    assert_eq!(came.iter().map(|(sample, _)| sample.payload_at).collect::<Vec<_>>(), [54, 62, 54, 0]);
    for (sample, frame) in &came {
        assert_eq!((sample.wire_len, sample.captured), (frame.len() as u32, frame.len() as u32));
        assert!(sample.at_ns > 0 && sample.vlan == 0 && sample.purpose == Sample::WATCH);
    }
    // The host resets both connections, and says that nothing listens there.
    assert_eq!(totals.seen, packets.len() as u64);
    assert!(packets.iter().filter(|(sample, _)| sample.direction == Sample::OUT).count() >= 2);
}

#[test]
fn a_packet_is_cut_to_what_is_shown_of_it() {
    let lab = lab();
    let view = view(lab.watched(), &ViewOptions { snap_bytes: 80, ..all() });
    let frame = Frame::ipv4(host(7), TARGET).udp(4000, 4001, &[7; 1400]).build();
    send(&lab, std::slice::from_ref(&frame));
    let (_, packets) = end(&lab, view);
    let (sample, shown) = &packets[0];
    assert_eq!((sample.wire_len, sample.captured), (1442, 80));
    assert_eq!(shown[..], frame[..80]);
}

#[test]
fn one_of_so_many_is_shown_and_the_others_are_counted() {
    let lab = lab();
    let options = ViewOptions { one_of: 10, direction: Direction::In, ..all() };
    let view = view(lab.watched(), &options);
    send(&lab, &syns(1000));
    let (totals, packets) = end(&lab, view);
    assert_eq!((totals.seen, totals.matched), (1000, 1000));
    // Each CPU begins by itself.
    assert!((100..=110).contains(&packets.len()), "{totals:?}");
}

#[test]
fn no_more_are_shown_than_the_rate_says() {
    let lab = lab();
    let rate = Some(Rate { packets: 50, period_ns: 3_600_000_000_000 });
    let view = view(lab.watched(), &ViewOptions { rate, direction: Direction::In, ..all() });
    send(&lab, &syns(5000));
    let (totals, packets) = end(&lab, view);
    assert_eq!((totals.seen, totals.rate_limited, packets.len()), (5000, 4950, 50));
}

#[test]
fn what_the_ring_has_no_room_for_is_counted() {
    let lab = lab();
    let view = view(lab.watched(), &ViewOptions { ring_bytes: 4096, direction: Direction::In, ..all() });
    send(&lab, &syns(1000));
    let (totals, packets) = end(&lab, view);
    assert_eq!(totals.seen, 1000);
    // 32 and 54 bytes, and 8 of the ring's own, in units of 8.
    assert!((30..=42).contains(&packets.len()) && totals.ring_full > 950, "{totals:?}");
}

#[test]
fn filters_let_through_what_they_are_about() {
    let lab = lab();
    let tagged = |id| Frame::ipv4(host(7), TARGET).vlan(0x8100, id).tcp(40_000, 80, SYN).build();
    let frames = [
        Frame::ipv4(host(7), TARGET).tcp(40_000, 80, SYN).build(),
        Frame::ipv4(host(8), TARGET).tcp(40_000, 443, ACK).build(),
        Frame::ipv4(host(8), TARGET).options(&[1; 8]).tcp(80, 8080, ACK).build(),
        Frame::ipv4(host(9), TARGET).udp(4000, 53, &[0; 200]).build(),
        Frame::ipv6("2001:db8:9::1".parse().unwrap(), TARGET6).echo_request(1, 1).build(),
        Frame::ipv6("2001:db8:9::1".parse().unwrap(), TARGET6).udp(1, 53, b"").build(),
        tagged(5),
        tagged(6),
        Frame::ipv4(host(7), TARGET).vlan(0x88a8, 9).vlan(0x8100, 5).tcp(40_000, 80, SYN).build(),
        Frame::ethernet(0x0806, &[0; 28]).build(),
    ];
    for (expression, wanted) in [
        ("tcp port 80 and host 203.0.113.7", &[0][..]),
        ("icmp6", &[4]),
        ("udp port 53", &[3, 5]),
        ("not ip and not ip6 and not vlan", &[9]),
        ("portrange 440-450", &[1]),
        ("tcp[tcpflags] & tcp-syn != 0", &[0]),
        ("ip[0] & 0xf != 5 and tcp dst port 8080", &[2]),
        ("len > 100", &[3]),
        ("vlan", &[6, 7, 8]),
        ("vlan 5", &[6]),
        ("vlan 5 and tcp port 80 and host 203.0.113.7", &[6]),
        ("vlan 9 and vlan 5 and tcp[tcpflags] & tcp-syn != 0", &[8]),
        ("arp or vlan 6", &[7, 9]),
        ("ether[12:2] = 0x8100", &[6, 7]),
        ("ether[14:2] & 0xfff = 5", &[6]),
        ("ether[13:4] & 0xffffff00 = 0x00000600", &[7]),
        ("ether[len - 58] = 0x81", &[]),
        ("ether[2000] = 0", &[]),
        ("ether src 00:00:5e:00:53:02 and greater 200", &[3]),
        ("len = 58", &[6, 7]),
    ] {
        let view = view(lab.watched(), &ViewOptions { direction: Direction::In, ..about(expression) });
        send(&lab, &frames);
        let (totals, packets) = end(&lab, view);
        let whole = |(sample, frame): &(Sample, Vec<u8>)| {
            let mut frame = frame.clone();
            if let Some((protocol, control)) = sample.tag() {
                let tag = [protocol.to_be_bytes(), control.to_be_bytes()].concat();
                frame.splice(12..12, tag);
            }
            frame
        };
        let shown: Vec<_> = packets.iter().map(whole).collect();
        let wanted: Vec<_> = wanted.iter().map(|index: &usize| frames[*index].clone()).collect();
        assert!(shown == wanted, "{expression}: {shown:?}");
        assert_eq!((totals.seen, totals.filtered_out()), (10, 10 - wanted.len() as u64), "{expression}");
    }
}

#[test]
fn views_hang_on_older_hooks_too_and_one_at_a_time() {
    let lab = lab();
    let (first, hook) = attach(lab.watched(), &all(), EgressWish::Clsact);
    assert_eq!(hook, EgressHook::Clsact);
    let second = lab.watched().run(|| {
        let mut view = View::load(&all()).unwrap();
        let index = nix::net::if_::if_nametoindex("nw0").unwrap();
        view.attach("nw0", index, EgressWish::Clsact, 0)
    });
    let said = second.unwrap().unwrap_err().to_string();
    assert!(said.contains("another `netwatch watch` watches nw0"), "{said}");
    send(&lab, &syns(10));
    let (totals, _) = end(&lab, first);
    assert!(totals.seen >= 10, "{totals:?}");
    let filters = |hook: &str| {
        let output = lab.watched().command("tc").args(["filter", "show", "dev", "nw0", hook]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!((filters("ingress"), filters("egress")), (String::new(), String::new()));
}

/// Reads until there are so many packets.
pub fn wait_for(samples: &mut Samples, count: usize) -> Vec<(Sample, Vec<u8>)> {
    let (start, mut packets) = (Instant::now(), Vec::new());
    while packets.len() < count {
        assert!(start.elapsed() < crate::process::PATIENCE, "{} of {count} packets", packets.len());
        samples.read(1000, |sample, frame| packets.push((*sample, frame.to_vec())));
        std::thread::sleep(Duration::from_millis(1));
    }
    packets
}

#[test]
fn replies_are_known_by_what_the_host_sent() {
    let lab = lab();
    let mut view = view(lab.watched(), &about("udp"));
    let mut samples = view.take_samples().unwrap();
    let near = lab.watched().run(|| std::net::UdpSocket::bind((TARGET, 7777)).unwrap()).unwrap();
    let far = lab.outside().run(|| std::net::UdpSocket::bind((OUTSIDE, 9999)).unwrap()).unwrap();
    near.send_to(b"question", (OUTSIDE, 9999)).unwrap();
    far.recv(&mut [0; 8]).unwrap();
    far.send_to(b"answer", (TARGET, 7777)).unwrap();
    far.send_to(b"news", (TARGET, 7778)).unwrap();
    let packets = wait_for(&mut samples, 3);
    let seen: Vec<_> = packets.iter().map(|(sample, _)| (sample.direction, sample.verdict())).collect();
    assert_eq!(
        seen[..3],
        [(Sample::OUT, Verdict::Known), (Sample::IN, Verdict::Known), (Sample::IN, Verdict::UdpNew)]
    );
}
