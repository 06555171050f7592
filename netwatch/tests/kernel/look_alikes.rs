//! Traffic that only looks like an attack raises nothing.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use netwatch_common::classify::{ACK, FIN, RST};
use nix::sys::socket::{setsockopt, sockopt};
use xtask::lab::{Lab, LabOptions, Side};
use xtask::traffic::{Frame, scenario};

use crate::incident::named;
use crate::lab;
use crate::process::Netwatch;
use crate::talk::{connect, echo, fetch, serve};
use crate::wire::{OUTSIDE, TARGET, host, send};

/// How long a socket waits for what must come.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// How long those wait who ask often, so that they are at it for a few seconds.
const PAUSE: Duration = Duration::from_millis(2);

#[track_caller]
fn raises_nothing(scene: fn(&Lab)) {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "");
    scene(&lab);
    assert_eq!(named(&netwatch.alerts()), [""; 0]);
}

/// An address of the outside, in the network that both sides share.
fn neighbour(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, last)
}

#[track_caller]
fn listen(side: &Side, address: Ipv4Addr, port: u16) -> TcpListener {
    side.run(|| TcpListener::bind((address, port)).unwrap()).unwrap()
}

#[track_caller]
fn datagrams(side: &Side, address: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = side.run(|| UdpSocket::bind((address, port)).unwrap()).unwrap();
    socket.set_read_timeout(PATIENCE).unwrap();
    socket
}

/// One side sends so many bytes to the other, at most so many a second: netwatch tells what is faster than that by
/// its rate, as it should.
fn bulk(sender: &Side, receiver: &Side, to: Ipv4Addr, port: u16, megabytes: usize, a_second: u32) {
    let listener = listen(receiver, to, port);
    let mut stream = sender.run(|| TcpStream::connect((to, port)).unwrap()).unwrap();
    pace(&stream, a_second);
    thread::scope(|scope| {
        scope.spawn(move || {
            let megabyte = vec![7; 1 << 20];
            (0..megabytes).for_each(|_| stream.write_all(&megabyte).unwrap());
        });
        let (mut stream, _) = listener.accept().unwrap();
        let received = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        assert_eq!(received, (megabytes as u64) << 20);
    });
}

/// Has the kernel send no more than so many bytes a second.
fn pace(stream: &TcpStream, bytes: u32) {
    // SAFETY: the pointer is to a number of the size given, which outlives the call.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MAX_PACING_RATE,
            (&raw const bytes).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    assert_eq!(set, 0);
}

#[test]
fn bulk_transfers_both_ways() {
    let lab = Lab::with(LabOptions { mtu: 9000, ..Default::default() }).unwrap();
    let netwatch = Netwatch::start(lab.watched(), "");
    let (near, far) = (lab.watched(), lab.outside());
    thread::scope(|scope| {
        scope.spawn(|| bulk(near, far, OUTSIDE, 5001, 200, 50_000_000));
        scope.spawn(|| bulk(far, near, TARGET, 5002, 200, 50_000_000));
    });
    assert_eq!(named(&netwatch.alerts()), [""; 0]);
}

/// A little of the same with frames of the usual size.
fn transfers(lab: &Lab) {
    thread::scope(|scope| {
        scope.spawn(|| bulk(lab.watched(), lab.outside(), OUTSIDE, 5001, 24, 6_000_000));
        scope.spawn(|| bulk(lab.outside(), lab.watched(), TARGET, 5002, 24, 6_000_000));
    });
}

/// Three hundred pages each way, twenty at a time.
fn pages(lab: &Lab) {
    for (server, client, address) in
        [(lab.watched(), lab.outside(), TARGET), (lab.outside(), lab.watched(), OUTSIDE)]
    {
        serve(listen(server, address, 8080), 20_000);
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let page = |_| {
                        fetch(TcpStream::connect((address, 8080)).unwrap(), 20_000);
                        thread::sleep(PAUSE * 40);
                    };
                    client.run(|| (0..15).for_each(page)).unwrap();
                });
            }
        });
    }
}

#[test]
fn pages_fetched_both_ways() {
    raises_nothing(pages);
}

/// Four clients with eight hundred connections each.
fn web_server(lab: &Lab) {
    serve(listen(lab.watched(), TARGET, 443), 500);
    let clients: Vec<_> = (50..54).map(neighbour).collect();
    for client in &clients {
        lab.outside().add_address((*client).into(), 24).unwrap();
    }
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                let page = |_| {
                    fetch(connect(SocketAddrV4::new(client, 0), SocketAddrV4::new(TARGET, 443)), 500);
                    thread::sleep(PAUSE);
                };
                lab.outside().run(|| (0..800).for_each(page)).unwrap();
            });
        }
    });
}

#[test]
fn a_busy_web_server() {
    raises_nothing(web_server);
}

/// Forty clients ask fifty names each, and each name is asked for further up.
fn resolver(lab: &Lab) {
    let upstream = neighbour(99);
    let clients: Vec<_> = (100..140).map(neighbour).collect();
    for address in clients.iter().chain([&upstream]) {
        lab.outside().add_address((*address).into(), 24).unwrap();
    }
    echo(datagrams(lab.outside(), upstream, 53));
    let service = datagrams(lab.watched(), TARGET, 53);
    let ask = move || {
        let mut buffer = [0; 512];
        for _ in 0..40 * 50 {
            let (len, client) = service.recv_from(&mut buffer).unwrap();
            let question = UdpSocket::bind((TARGET, 0)).unwrap();
            question.set_read_timeout(PATIENCE).unwrap();
            question.send_to(&buffer[..len], (upstream, 53)).unwrap();
            let len = question.recv(&mut buffer).unwrap();
            service.send_to(&buffer[..len], client).unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(move || lab.watched().run(ask).unwrap());
        for client in clients {
            for _ in 0..50 {
                let socket = datagrams(lab.outside(), client, 0);
                socket.send_to(b"name?", (TARGET, 53)).unwrap();
                socket.recv(&mut [0; 512]).unwrap();
            }
            thread::sleep(PAUSE * 20);
        }
    });
}

#[test]
fn a_resolver() {
    raises_nothing(resolver);
}

/// Streams of datagrams on a few ports, opened by either side; each side sends more than a thousand.
fn streams(lab: &Lab) {
    for (server, client, to, from) in
        [(lab.outside(), lab.watched(), OUTSIDE, TARGET), (lab.watched(), lab.outside(), TARGET, OUTSIDE)]
    {
        echo(datagrams(server, to, 4433));
        for _ in 0..4 {
            let socket = datagrams(client, from, 0);
            for _ in 0..80 {
                for _ in 0..4 {
                    socket.send_to(&[7; 1200], (to, 4433)).unwrap();
                }
                for _ in 0..4 {
                    socket.recv(&mut [0; 1500]).unwrap();
                }
                thread::sleep(PAUSE);
            }
        }
    }
}

#[test]
fn streams_of_datagrams_both_ways() {
    raises_nothing(streams);
}

/// The time, from servers' port to clients' port 123, asked for by either side.
fn time(lab: &Lab) {
    let others: Vec<_> = (60..64).map(neighbour).collect();
    let message = [&[0x23][..], &[0; 47]].concat();
    let near = datagrams(lab.watched(), TARGET, 123);
    let far: Vec<_> = others
        .iter()
        .map(|address| {
            lab.outside().add_address((*address).into(), 24).unwrap();
            datagrams(lab.outside(), *address, 123)
        })
        .collect();
    let mut answer = [0; 48];
    for _ in 0..20 {
        for (server, address) in far.iter().zip(&others) {
            near.send_to(&message, (*address, 123)).unwrap();
            let (_, client) = server.recv_from(&mut answer).unwrap();
            server.send_to(&message, client).unwrap();
            near.recv(&mut answer).unwrap();
        }
    }
    for _ in 0..20 {
        for client in &far {
            client.send_to(&message, (TARGET, 123)).unwrap();
            let (_, client_address) = near.recv_from(&mut answer).unwrap();
            near.send_to(&message, client_address).unwrap();
            client.recv(&mut answer).unwrap();
        }
    }
}

#[test]
fn the_time_of_day() {
    raises_nothing(time);
}

/// Somebody looks whether a port is open, over and over, and resets the connection.
fn health_checks(lab: &Lab) {
    let monitor = neighbour(70);
    lab.outside().add_address(monitor.into(), 24).unwrap();
    let listener = listen(lab.watched(), TARGET, 8081);
    thread::spawn(move || listener.incoming().for_each(drop));
    lab.outside()
        .run(|| {
            for _ in 0..150 {
                let stream = connect(SocketAddrV4::new(monitor, 0), SocketAddrV4::new(TARGET, 8081));
                let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(&stream, sockopt::Linger, &at_once).unwrap();
                drop(stream);
                thread::sleep(Duration::from_millis(20));
            }
        })
        .unwrap();
}

#[test]
fn health_checks_that_reset() {
    raises_nothing(health_checks);
}

/// The last words of connections that are closed, and of some that nobody remembers.
fn late_ends(lab: &Lab) {
    let listener = listen(lab.outside(), OUTSIDE, 8443);
    let mut ports = Vec::new();
    for _ in 0..40 {
        let mut near = lab.watched().run(|| TcpStream::connect((OUTSIDE, 8443)).unwrap()).unwrap();
        ports.push(near.local_addr().unwrap().port());
        let (far, _) = listener.accept().unwrap();
        drop(far);
        assert_eq!(near.read(&mut [0; 1]).unwrap(), 0);
    }
    let late = |from: Ipv4Addr, source_port, port, flags| {
        Frame::ipv4(from, TARGET).tcp(source_port, port, flags).build()
    };
    let closed = ports
        .iter()
        .flat_map(|port| [FIN | ACK, RST | ACK, RST, ACK].map(|flags| late(OUTSIDE, 8443, *port, flags)));
    let forgotten = (0..8).map(|nth| late(host(80), 443, 40_000 + nth * 17, FIN | ACK));
    let reset = (0..40).map(|nth| late(host(81), 443, 40_000 + nth * 17, RST | ACK));
    send(lab, &closed.chain(forgotten).chain(reset).collect::<Vec<_>>());
}

#[test]
fn late_ends_of_connections() {
    raises_nothing(late_ends);
}

/// A server opens the connections that files come on, from its port 20 to ports of the client.
fn active_ftp(lab: &Lab) {
    let control = listen(lab.outside(), OUTSIDE, 21);
    let _client = lab.watched().run(|| TcpStream::connect((OUTSIDE, 21)).unwrap()).unwrap();
    let _server = control.accept().unwrap();
    for _ in 0..8 {
        let data = listen(lab.watched(), TARGET, 0);
        let port = data.local_addr().unwrap().port();
        let from = SocketAddrV4::new(OUTSIDE, 20);
        let mut file = lab.outside().run(|| connect(from, SocketAddrV4::new(TARGET, port))).unwrap();
        file.write_all(&[7; 5000]).unwrap();
        drop(file);
        let mut received = Vec::new();
        data.accept().unwrap().0.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), 5000);
    }
}

#[test]
fn active_ftp_from_a_server() {
    raises_nothing(active_ftp);
}

/// What twenty neighbours tell everybody: names, services and groups, over both families.
fn multicast(lab: &Lab) {
    send(lab, &(150..170).flat_map(scenario::multicast).collect::<Vec<_>>());
}

#[test]
fn multicast_of_neighbours() {
    raises_nothing(multicast);
}

#[test]
fn all_of_it_at_once_and_netwatch_restarted_in_the_middle() {
    let scenes: [fn(&Lab); 10] = [
        transfers,
        pages,
        web_server,
        resolver,
        streams,
        time,
        health_checks,
        late_ends,
        active_ftp,
        multicast,
    ];
    let lab = &lab();
    let options = "--slot 5s --map-memory 32M";
    let netwatch = Netwatch::start(lab.watched(), options);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // A conversation that goes on throughout.
        let listener = listen(lab.outside(), OUTSIDE, 9000);
        let mut near = lab.watched().run(|| TcpStream::connect((OUTSIDE, 9000)).unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        // Set whatever happens: a test that fails must not wait for the conversation.
        let _over = Over(&done);
        let done = &done;
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                far.write_all(&[7; 1000]).unwrap();
                near.read_exact(&mut [0; 1000]).unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        });
        let running: Vec<_> = scenes.map(|scene| scope.spawn(move || scene(lab))).into();
        thread::sleep(Duration::from_millis(700));
        assert!(running.iter().any(|scene| !scene.is_finished()), "this is the middle");
        assert_eq!(named(&netwatch.alerts()), [""; 0]);
        let netwatch = Netwatch::start(lab.watched(), options);
        for scene in running {
            scene.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        assert_eq!(named(&netwatch.alerts()), [""; 0]);
    });
}

/// Says so when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
