use super::*;
use netwatch_common::classify::SYN;
use netwatch_common::{Transport, Verdict};

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// TCP from and to these ports.
fn packet(source: &str, dest: &str, (source_port, dest_port): (u16, u16), flags: u8) -> Packet {
    let reason = Verdict::IpOther;
    let (sequence, acknowledgement, payload_offset, payload_len) = (0, 0, 0, 0);
    let transport = Transport {
        kind: Kind::Tcp,
        reason,
        flags,
        source_port,
        dest_port,
        sequence,
        acknowledgement,
        payload_offset,
        payload_len,
    };
    Packet { source: addr(source), dest: addr(dest), transport }
}

/// The guess from packets written as `from to`, where `<>` stands for one each way.
fn guess(packets: &[(&str, Direction)]) -> Guess {
    let mut looker = Looker::new();
    for (ends, sight) in packets {
        let ends: Vec<_> = ends.split(' ').collect();
        let (from, to) = (ends[0], ends[ends.len() - 1]);
        looker.packet(&packet(from, to, (40000, 443), ACK), *sight);
        if ends[1] == "<>" {
            assert_eq!(*sight, Direction::Unknown);
            looker.packet(&packet(to, from, (443, 40000), ACK), *sight);
        }
    }
    looker.guess()
}

#[test]
fn what_the_capture_says_is_believed() {
    use Direction::{Received, Sent, Unknown};
    for (packets, names) in [
        (&[("192.0.2.5 > 203.0.113.7", Sent)][..], "192.0.2.5"),
        (&[("203.0.113.7 > 192.0.2.5", Received)], "192.0.2.5"),
        (&[("203.0.113.7 > 2001:db8::5", Received), ("192.0.2.5 > 1.1.1.1", Sent)], "192.0.2.5 2001:db8::5"),
        // Private or not does not matter then: a laboratory may say it.
        (&[("10.0.0.5 > 10.0.0.6", Received), ("10.0.0.6 > 10.0.0.5", Sent)], "10.0.0.6"),
        // What is said comes before what is guessed.
        (&[("10.0.0.5 <> 203.0.113.7", Unknown), ("203.0.113.7 > 10.0.0.6", Received)], "10.0.0.6"),
        // A router has received all that it sends: only what is its own is ours.
        (
            &[
                ("203.0.113.7 > 192.0.2.5", Received),
                ("203.0.113.7 > 192.0.2.5", Sent),
                ("198.51.100.1 > 192.0.2.1", Received),
            ],
            "192.0.2.1",
        ),
        (&[("203.0.113.7 > 192.0.2.5", Received), ("203.0.113.7 > 192.0.2.5", Sent)], ""),
        // Nobody's address, or everybody's.
        (&[("203.0.113.7 > 224.0.0.251", Received), ("0.0.0.0 > 255.255.255.255", Sent)], ""),
        (&[("127.0.0.1 > 127.0.0.1", Sent), ("fe80::1 > ff02::1", Sent), (":: > ::1", Received)], ""),
    ] {
        let guess = guess(packets);
        assert_eq!(guess.names.join(" "), names, "{packets:?}");
        assert_eq!(guess.local.len(), guess.names.len());
        for (name, prefix) in guess.names.iter().zip(&guess.local) {
            assert_eq!(Some(*prefix), Prefix::new(addr(name), 128));
        }
    }
}

#[test]
fn who_receives_for_many_is_no_host() {
    let hosts: Vec<_> = (1..=65).map(|last| format!("203.0.113.7 > 192.0.2.{last}")).collect();
    let received = |count: usize| -> Vec<_> {
        hosts.iter().take(count).map(|ends| (ends.as_str(), Direction::Received)).collect()
    };
    assert_eq!(guess(&received(64)).local.len(), 64);
    assert_eq!(guess(&received(65)).local, []);
    let mut talk = received(65);
    talk.push(("10.0.0.5 <> 203.0.113.7", Direction::Unknown));
    assert_eq!(guess(&talk).names, ["10.0.0.0/8"]);
}

#[test]
fn private_addresses_that_talk_with_the_world_are_ours() {
    for (packets, names) in [
        (&["192.168.1.5 <> 203.0.113.7"][..], "192.168.0.0/16"),
        (&["203.0.113.7 <> 192.168.1.5", "192.168.1.5 <> 10.0.0.1"], "192.168.0.0/16"),
        (&["172.31.255.255 <> 8.8.8.8", "10.9.9.9 <> 8.8.8.8"], "10.0.0.0/8 172.16.0.0/12"),
        (&["100.127.0.1 <> 192.0.2.1"], "100.64.0.0/10"),
        (&["fd00::1 <> 2001:db8::1"], "fc00::/7"),
        (&["fd00::1 <> 64:ff9b::808:808"], "fc00::/7"),
        // A laboratory: who scans there must not get ten times the threshold.
        (&["10.0.0.5 <> 10.0.0.6"], ""),
        (&["10.0.0.5 <> 192.168.0.6", "fd00::5 <> fd00::6"], ""),
        // Private and public ones, each among themselves.
        (&["10.0.0.5 <> 10.0.0.6", "192.0.2.1 <> 203.0.113.7"], ""),
        // A question that nobody answers, and forged sources.
        (&["10.0.0.5 > 8.8.8.8", "203.0.113.7 > 10.0.0.6"], ""),
        // None of them is everybody's.
        (&["10.0.0.5 <> 239.255.255.250", "10.0.0.5 <> 169.254.1.1", "fd00::1 <> fe80::1"], ""),
        (&["10.0.0.5 <> 255.255.255.255", "0.0.0.0 <> 10.0.0.5", "127.0.0.1 <> 10.0.0.5"], ""),
        (&["172.32.0.1 <> 203.0.113.7", "192.169.0.1 <> 100.128.0.1"], ""),
        (&[], ""),
    ] {
        let packets: Vec<_> = packets.iter().map(|ends| (*ends, Direction::Unknown)).collect();
        let guess = guess(&packets);
        assert_eq!(guess.names.join(" "), names, "{packets:?}");
        for (name, prefix) in guess.names.iter().zip(&guess.local) {
            let (network, _) = name.split_once('/').unwrap();
            assert!(prefix.contains(addr(network)), "{name}");
        }
    }
    let home = guess(&[("192.168.1.5 <> 203.0.113.7", Direction::Unknown)]);
    let is_ours = |text| home.local[0].contains(addr(text));
    assert!(is_ours("192.168.255.255") && !is_ours("192.169.0.0") && !is_ours("203.0.113.7"));
}

#[test]
fn the_reason_is_one_sentence() {
    let check = |packets: &[(&str, Direction)], expect: &str| assert_eq!(guess(packets).why, expect);
    check(&[], "nothing tells which side is ours, so every destination counts as local; --local says which");
    check(
        &[("192.168.1.5 <> 192.0.2.1", Direction::Unknown)],
        "guessed from private and public addresses that talk with each other: 192.168.0.0/16 is ours; --local says \
         otherwise",
    );
    check(
        &[
            ("192.168.1.5 <> 192.0.2.1", Direction::Unknown),
            ("10.0.0.5 <> 192.0.2.1", Direction::Unknown),
            ("fd00::1 <> 2001:db8::1", Direction::Unknown),
        ],
        "guessed from private and public addresses that talk with each other: 10.0.0.0/8, 192.168.0.0/16 and fc00::/7 \
         are ours; --local says otherwise",
    );
    let sent = ["192.0.2.1 > 1.1.1.1", "192.0.2.2 > 1.1.1.1", "192.0.2.3 > 1.1.1.1", "192.0.2.4 > 1.1.1.1"];
    let sent = sent.map(|ends| (ends, Direction::Sent));
    check(
        &sent[..2],
        "the capture says which packets were received and which were sent: 192.0.2.1 and 192.0.2.2 are ours; --local \
         says otherwise",
    );
    check(
        &sent,
        "the capture says which packets were received and which were sent: 192.0.2.1, 192.0.2.2, 192.0.2.3 and 1 more \
         are ours; --local says otherwise",
    );
}

#[test]
fn a_forged_source_makes_no_network_ours() {
    let ours = |packets: &[(&str, &str, u8)]| {
        let mut looker = Looker::new();
        for (from, to, flags) in packets {
            looker.packet(&packet(from, to, (40000, 443), *flags), Direction::Unknown);
        }
        looker.guess().names
    };
    let (inside, outside) = ("10.9.9.9", "192.0.2.1");
    let refused = [(inside, outside, SYN), (outside, inside, RST | ACK)];
    let unfinished = [(inside, outside, SYN), (outside, inside, SYN | ACK)];
    let talk = [(inside, outside, ACK), (outside, inside, ACK)];
    assert_eq!((ours(&refused), ours(&unfinished)), (vec![], vec![]));
    assert_eq!(ours(&talk), ["10.0.0.0/8"]);
    // Where most who talk are global, a private address is not enough.
    let others = ["198.51.100.1", "198.51.100.2"].map(|host| [(host, outside, ACK), (outside, host, ACK)]);
    assert_eq!(ours(&[&talk[..], &others[0]].concat()), ["10.0.0.0/8"]);
    assert_eq!(ours(&[&talk[..], others.as_flattened()].concat()), [""; 0]);
}

#[test]
fn what_went_to_others_too_is_nobodys() {
    let mut looker = Looker::new();
    looker.packet(&packet("192.168.1.9", "192.168.1.255", (1, 2), ACK), Direction::Passed);
    assert_eq!(looker.guess().names, [""; 0]);
}

#[test]
fn one_direction_is_one_side() {
    // How much more each of four packets acknowledges; flows, those of them that were answered, the flags of all.
    for (more, flows, answered, flags, one_sided) in [
        ([0, 0, 500, 0], 0, 0, ACK, false),
        ([0, 0, 500, 0], 1, 0, ACK, true),
        ([0, 0, 500, 0], 20, 0, ACK, true),
        ([0, 0, 500, 0], 20, 1, ACK, true),
        ([0, 0, 500, 0], 20, 2, ACK, false),
        ([0, 0, 500, 0], 20, 20, ACK, false),
        ([0, u32::MAX - 7, 20, 20], 20, 0, SYN | ACK, false),
        // Scans and floods: nothing shows that there is somebody at the other end.
        ([0, 0, 0, 0], 1_000, 0, ACK, false),
        ([0, 1 << 30, 1 << 31, 77], 1_000, 0, ACK, false),
        ([0, 0, 500, 0], 1_000, 0, SYN, false),
    ] {
        let mut looker = Looker::new();
        for port in 0..flows {
            let mut acknowledgement = 0_u32;
            for more in more {
                acknowledgement = acknowledgement.wrapping_add(more);
                let mut one = packet("192.0.2.1", "203.0.113.7", (1024 + port, 443), flags);
                one.transport.acknowledgement = acknowledgement;
                looker.packet(&one, Direction::Unknown);
            }
            if port < answered {
                let other = packet("203.0.113.7", "192.0.2.1", (443, 1024 + port), flags);
                looker.packet(&other, Direction::Unknown);
            }
        }
        assert_eq!(looker.guess().one_sided, one_sided, "{more:?} {flows} {answered} {flags:#x}");
    }
}

#[test]
fn few_one_sided_connections_do_not_stand_for_a_flood() {
    let of = |flows: u16, lone: u16| {
        let mut looker = Looker::new();
        for port in 0..flows + lone {
            for acknowledgement in 0..if port < flows { 2 } else { 1 } {
                let mut one = packet("192.0.2.1", "203.0.113.7", (1024 + port, 443), ACK);
                one.transport.acknowledgement = acknowledgement;
                looker.packet(&one, Direction::Unknown);
            }
        }
        looker.guess().one_sided
    };
    assert_eq!((of(10, 90), of(9, 91)), (true, false));
}

#[test]
fn only_the_first_packets_are_looked_at() {
    let mut looker = Looker::new();
    for number in 0..3 * PACKETS {
        assert_eq!(looker.is_done(), number >= PACKETS);
        let source = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap());
        let mut one = packet("192.0.2.1", "203.0.113.7", (1024, 443), ACK);
        one.source = source.into();
        looker.packet(&one, Direction::Received);
    }
    let most = usize::try_from(PACKETS).unwrap();
    assert_eq!((looker.theirs.len(), looker.pairs.len(), looker.flows.len()), (most, most, FLOWS));
    let guess = looker.guess();
    assert_eq!((guess.names, guess.one_sided), (vec!["203.0.113.7".to_owned()], false));
}
