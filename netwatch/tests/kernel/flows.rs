//! Replies to what this host sends are no scan and no flood, and what only looks like a reply is.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use netwatch_common::classify::{ACK, RST, SYN};
use xtask::traffic::{Frame, scenario};

use crate::lab;
use crate::process::{Netwatch, opened};
use crate::wire::{OUTSIDE, TARGET, host, send};

#[test]
fn answers_from_closed_ports_are_no_scan() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    // Our side tries two hundred closed ports: every answer is a RST to another port of ours.
    lab.watched()
        .run(|| {
            for port in 1..=200 {
                assert!(TcpStream::connect((OUTSIDE, port)).is_err());
            }
        })
        .unwrap();
    assert_eq!(opened(&netwatch.alerts()), [""; 0]);
}

#[test]
fn udp_both_ways_on_any_port_raises_nothing() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    let far = lab.outside().run(|| UdpSocket::bind((OUTSIDE, 9999)).unwrap()).unwrap();
    let near = lab.watched().run(|| UdpSocket::bind((TARGET, 7777)).unwrap()).unwrap();
    near.connect((OUTSIDE, 9999)).unwrap();
    far.connect((TARGET, 7777)).unwrap();
    let mut buffer = [0; 64];
    near.send(b"question").unwrap();
    far.recv(&mut buffer).unwrap();
    for _ in 0..500 {
        far.send(b"answer").unwrap();
        near.recv(&mut buffer).unwrap();
    }
    // A resolver: a thousand questions, each answered on a port of its own.
    let resolver = lab.outside().run(|| UdpSocket::bind((OUTSIDE, 53)).unwrap()).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((len, from)) = resolver.recv_from(&mut buffer) {
            let _ = resolver.send_to(&buffer[..len], from);
        }
    });
    lab.watched()
        .run(|| {
            for _ in 0..1000 {
                let socket = UdpSocket::bind((TARGET, 0)).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                socket.send_to(b"name?", (OUTSIDE, 53)).unwrap();
                socket.recv(&mut [0; 64]).unwrap();
            }
        })
        .unwrap();
    assert_eq!(opened(&netwatch.alerts()), [""; 0]);
}

#[test]
fn a_restart_in_the_middle_of_connections_raises_nothing() {
    let lab = lab();
    let listener = lab.outside().run(|| TcpListener::bind((OUTSIDE, 8080)).unwrap()).unwrap();
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        near.push(lab.watched().run(|| TcpStream::connect((OUTSIDE, 8080)).unwrap()).unwrap());
        far.push(listener.accept().unwrap().0);
    }
    // netwatch starts when the connections are there; the other side speaks first, on forty of our ports.
    let netwatch = Netwatch::start(lab.watched(), "");
    for (near, far) in near.iter_mut().zip(&mut far) {
        far.write_all(b"hello").unwrap();
        near.read_exact(&mut [0; 5]).unwrap();
    }
    assert_eq!(opened(&netwatch.alerts()), [""; 0]);
}

#[test]
fn what_only_looks_like_an_answer_is_seen() {
    let ack = |last: u8, port| Frame::ipv4(host(last), TARGET).tcp(40_000, port, ACK).build();
    let syn_ack = |last: u8, port| Frame::ipv4(host(last), TARGET).tcp(80, port, SYN | ACK).build();
    let rst = |last: u8, port| Frame::ipv4(host(last), TARGET).tcp(80, port, RST | ACK).build();
    let dns = |last: u8, port| Frame::ipv4(host(last), TARGET).udp(53, port, b"answer").build();
    let frames: Vec<_> = (0..10)
        .map(|port| ack(10, 5000 + port))
        .chain((0..11).map(|port| ack(11, 5000 + port)))
        .chain((0..60).map(|port| syn_ack(20, 40_000 + port)))
        .chain((0..60).map(|port| rst(21, 40_000 + port)))
        .chain((0..60).map(|port| dns(22, 40_000 + port)))
        .chain((0..101).map(|_| syn_ack(30, 40_000)))
        .collect();
    let told = |options: &str| {
        let lab = lab();
        let netwatch = Netwatch::start(lab.watched(), options);
        send(&lab, &frames);
        let alerts = netwatch.alerts();
        (opened(&alerts), alerts[0]["alert"]["context"]["confidence"].clone())
    };
    let (seen, confidence) = told("");
    assert_eq!(seen, ["dos.unsolicited 203.0.113.30 101", "scan.vertical 203.0.113.11 11"]);
    assert_eq!(confidence, "flows");
    // By flags alone, all of it passes for answers.
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--mode flags");
    send(&lab, &frames);
    assert_eq!(opened(&netwatch.alerts()), [""; 0]);
}

#[test]
fn a_tap_that_sees_both_directions_knows_the_answers() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--mode mirror");
    // Conversations of others, both directions in one stream, on forty ports each; a resolver; somebody who announces
    // itself; then a scan, and as many questions to which there are no answers.
    let (a, b, group) = (host(1), host(2), Ipv4Addr::new(224, 0, 0, 251));
    let mut frames = Vec::new();
    for port in 0..40 {
        frames.push(Frame::ipv4(a, b).tcp(50_000 + port, 443, SYN).build());
        frames.push(Frame::ipv4(b, a).tcp(443, 50_000 + port, SYN | ACK).build());
        frames.push(Frame::ipv4(a, b).tcp(50_000 + port, 443, ACK).build());
        for _ in 0..5 {
            frames.push(Frame::ipv4(b, a).tcp(443, 50_000 + port, ACK).build());
            frames.push(Frame::ipv4(a, b).udp(50_000 + port, 3000, b"question").build());
            frames.push(Frame::ipv4(b, a).udp(3000, 50_000 + port, b"answer").build());
        }
    }
    for port in 0..1_500 {
        frames.push(Frame::ipv4(host(3), host(4)).udp(20_000 + port, 53, b"question").build());
        frames.push(Frame::ipv4(host(4), host(3)).udp(53, 20_000 + port, b"answer").build());
        frames.push(Frame::ipv4(host(5), group).udp(5353, 5353, b"here I am").build());
    }
    frames.extend((0..101).map(|port| Frame::ipv4(host(6), host(4)).udp(30_000 + port, 53, b"?").build()));
    frames.extend(scenario::syn_scan(host(7).into(), TARGET.into(), 1..=30));
    send(&lab, &frames);
    assert_eq!(
        opened(&netwatch.alerts()),
        ["dos.unsolicited 203.0.113.6 101", "scan.vertical 203.0.113.7 30"]
    );
}
